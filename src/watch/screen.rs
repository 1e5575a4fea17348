//! What the person looks at: page, place, filter. Keys in, no drawing.

use super::Now;
use super::fleet::Fleet;
use super::order::{Listing, Sort};
use super::view::picture::Cache;
use crate::ids::DeviceId;
use crate::time::Mono;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::time::Duration;

/// The order changes at most so often: rows must not run away from the eye.
const ORDER_EVERY: Duration = Duration::from_secs(1);
const FILTER_MAX: usize = 60;

/// How the line to the broker is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Link {
    /// Where to.
    pub broker: String,
    pub up: bool,
    /// Since when it is so, ms since the Unix epoch.
    pub since_ms: i64,
    /// Why it is down, or what it does not give.
    pub trouble: String,
    /// Messages per second.
    pub rate: f64,
}

/// What the key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    End,
}

/// The page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Fleet,
    Device(DeviceId),
}

/// All that is not the fleet itself.
pub(super) struct Screen {
    pub page: Page,
    pub listing: Listing,
    listed_at: Option<Mono>,
    pub sort: Sort,
    pub filter: String,
    /// The filter is being typed.
    pub typing: bool,
    pub help: bool,
    /// The chosen device; stays chosen while the order changes.
    pub chosen: Option<DeviceId>,
    /// First row of the list on the screen.
    pub top: usize,
    /// Rows of the list on the screen; set by drawing.
    pub rows: usize,
    /// The chosen source of the device's page.
    pub source: usize,
    /// The picture takes the whole page.
    pub large: bool,
    pub link: Link,
    pub picture: Cache,
    /// Colours are wanted.
    pub colour: bool,
}

impl Screen {
    pub(super) fn new(link: Link, colour: bool, true_colour: bool) -> Self {
        Self {
            page: Page::Fleet,
            listing: Listing::default(),
            listed_at: None,
            sort: Sort::default(),
            filter: String::new(),
            typing: false,
            help: false,
            chosen: None,
            top: 0,
            rows: 1,
            source: 0,
            large: false,
            link,
            picture: Cache::new(true_colour),
            colour,
        }
    }

    /// Puts the list in order where that is due.
    pub(super) fn order(&mut self, fleet: &Fleet, now: Now) {
        if self.listed_at.is_some_and(|at| now.mono.since(at) < ORDER_EVERY) {
            return;
        }
        self.listed_at = Some(now.mono);
        self.listing = Listing::of(fleet, &self.filter, self.sort);
        if let Page::Device(id) = &self.page
            && fleet.device(id).is_none()
        {
            self.page = Page::Fleet;
        }
    }

    /// Where the chosen device is in the list.
    pub(super) fn place(&self) -> usize {
        let chosen = self.chosen.as_ref();
        self.listing.ids.iter().position(|id| Some(id) == chosen).unwrap_or(0)
    }

    /// Devices on the screen.
    pub(super) fn seen(&self) -> &[DeviceId] {
        match &self.page {
            Page::Device(id) => std::slice::from_ref(id),
            Page::Fleet => {
                let end = (self.top + self.rows).min(self.listing.ids.len());
                self.listing.ids.get(self.top..end).unwrap_or_default()
            }
        }
    }

    /// The device that is looked at.
    pub(super) fn open(&self) -> Option<&DeviceId> {
        match &self.page {
            Page::Device(id) => Some(id),
            Page::Fleet => None,
        }
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent, fleet: &Fleet) -> Asked {
        if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Asked::End;
        }
        if self.typing {
            self.type_filter(key.code);
            return Asked::Nothing;
        }
        if self.help {
            self.help = false;
            return Asked::Nothing;
        }
        match key.code {
            KeyCode::Char('q') => return Asked::End,
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('/') => {
                self.typing = true;
                self.page = Page::Fleet;
            }
            code => match self.page.clone() {
                Page::Fleet => self.fleet_key(code, fleet),
                Page::Device(id) => self.device_key(code, &id, fleet),
            },
        }
        Asked::Nothing
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) if self.filter.len() < FILTER_MAX => self.filter.push(c),
            _ => return,
        }
        self.relist();
    }

    fn fleet_key(&mut self, code: KeyCode, fleet: &Fleet) {
        let page = self.rows.max(2) as isize - 1;
        match code {
            KeyCode::Down | KeyCode::Char('j') => self.go(1),
            KeyCode::Up | KeyCode::Char('k') => self.go(-1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.go(page),
            KeyCode::PageUp => self.go(-page),
            KeyCode::Home | KeyCode::Char('g') => self.go(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.go(isize::MAX),
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.relist();
            }
            KeyCode::Esc => {
                self.filter.clear();
                self.relist();
            }
            KeyCode::Enter | KeyCode::Right | KeyCode::Char('l') => {
                self.chosen = self.listing.ids.get(self.place()).cloned();
                self.open_chosen(fleet);
            }
            _ => {}
        }
    }

    fn device_key(&mut self, code: KeyCode, id: &DeviceId, fleet: &Fleet) {
        let sources = fleet.device(id).map_or(0, |device| device.sources.len());
        match code {
            KeyCode::Esc if self.large => self.large = false,
            KeyCode::Esc | KeyCode::Left | KeyCode::Backspace => self.page = Page::Fleet,
            KeyCode::Down | KeyCode::Char('j') => self.source = (self.source + 1).min(sources.saturating_sub(1)),
            KeyCode::Up | KeyCode::Char('k') => self.source = self.source.saturating_sub(1),
            KeyCode::Char('p') | KeyCode::Enter => self.large = !self.large,
            // From one device to the next without the list.
            KeyCode::Char('n') | KeyCode::PageDown => self.turn(1, fleet),
            KeyCode::Char('N') | KeyCode::PageUp => self.turn(-1, fleet),
            _ => {}
        }
    }

    fn turn(&mut self, by: isize, fleet: &Fleet) {
        self.go(by);
        self.open_chosen(fleet);
    }

    /// Opens the chosen device at its worst source.
    fn open_chosen(&mut self, fleet: &Fleet) {
        let Some(device) = self.chosen.as_ref().and_then(|id| fleet.device(id)) else { return };
        let worst = (0..device.sources.len()).min_by_key(|at| device.sources.get(*at).map(|source| source.verdict));
        self.page = Page::Device(device.id.clone());
        (self.source, self.large) = (worst.unwrap_or(0), false);
    }

    fn go(&mut self, by: isize) {
        let last = self.listing.ids.len().saturating_sub(1);
        let to = self.place().saturating_add_signed(by).min(last);
        self.chosen = self.listing.ids.get(to).cloned();
    }

    /// The list is made anew with the next drawing.
    fn relist(&mut self) {
        self.listed_at = None;
        self.top = 0;
    }
}
