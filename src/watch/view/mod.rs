//! The screen, drawn anew from what is known; nothing is remembered here but the cut-out that is shown.

mod device;
mod fleet;
mod help;
pub(super) mod picture;

use super::Now;
use super::fleet::Fleet;
use super::incident::{Change, Moved, What};
use super::screen::{Page, Screen};
use super::text::{clock, count, fit, since, words};
use super::verdict::{Severity, Verdict};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// Smaller than this nothing can be shown.
const LEAST: (u16, u16) = (40, 8);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &mut Screen, fleet: &Fleet, now: Now) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("{} x {} is the least", LEAST.0, LEAST.1);
        frame.buffer_mut().set_stringn(0, 0, text, area.width.into(), Style::new());
        return;
    }
    let paint = Paint { colour: screen.colour };
    let buffer = frame.buffer_mut();
    let [top, rest, bottom] = split(area);
    header(buffer, top, screen, fleet, now, paint);
    match screen.page.clone() {
        Page::Fleet => fleet::draw(buffer, rest, screen, fleet, now, paint),
        Page::Device(id) => device::draw(buffer, rest, screen, fleet, &id, now, paint),
    }
    footer(buffer, bottom, screen, paint);
    if screen.help {
        help::draw(buffer, area, paint);
    }
}

fn split(area: Rect) -> [Rect; 3] {
    let rows = |from: u16, height: u16| Rect { y: area.y + from, height, ..area };
    [rows(0, 2), rows(2, area.height - 3), rows(area.height - 1, 1)]
}

/// Colours, or only weights where none are wanted.
#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn coloured(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }
    fn dim(self) -> Style {
        self.coloured(Color::DarkGray)
    }
    fn title(self) -> Style {
        self.coloured(Color::Cyan).add_modifier(Modifier::BOLD)
    }
    fn verdict(self, verdict: Verdict) -> Style {
        match verdict {
            Verdict::Lost => self.coloured(Color::Red).add_modifier(Modifier::BOLD),
            Verdict::Alert => self.coloured(Color::LightRed),
            Verdict::Silent => self.coloured(Color::Magenta),
            Verdict::Warning => self.coloured(Color::Yellow),
            Verdict::Off => self.dim(),
            Verdict::Ok => self.coloured(Color::Green),
        }
    }
    fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Critical => self.verdict(Verdict::Lost),
            Severity::Major => self.verdict(Verdict::Alert),
            Severity::Minor => self.verdict(Verdict::Warning),
            Severity::Warning => self.coloured(Color::Blue),
        }
    }
}

/// Puts spans on one row; what does not fit is cut.
fn put(buffer: &mut Buffer, area: Rect, row: u16, spans: Vec<Span<'_>>) {
    if row < area.height {
        buffer.set_line(area.x, area.y + row, &Line::from(spans), area.width);
    }
}

/// A rule with a title.
fn rule(buffer: &mut Buffer, area: Rect, row: u16, title: &str, paint: Paint) {
    let line = "─".repeat(usize::from(area.width).saturating_sub(title.chars().count() + 4));
    put(
        buffer,
        area,
        row,
        vec![
            Span::styled("─ ", paint.dim()),
            Span::styled(title.to_owned(), paint.title()),
            Span::styled(format!(" {line}"), paint.dim()),
        ],
    );
}

/// Where we are connected, and how the whole fleet is.
fn header(buffer: &mut Buffer, area: Rect, screen: &Screen, fleet: &Fleet, now: Now, paint: Paint) {
    let link = &screen.link;
    let age = since(link.since_ms, now.wall_ms);
    let state = match link.up {
        true if link.trouble.is_empty() => {
            Span::styled(format!("● for {age}, {:.0} messages/s", link.rate), paint.verdict(Verdict::Ok))
        }
        true => Span::styled(format!("△ {}", link.trouble), paint.verdict(Verdict::Warning)),
        false => Span::styled(format!("✖ no broker for {age}: {}", link.trouble), paint.verdict(Verdict::Lost)),
    };
    let mut spans = vec![Span::styled("picket ", paint.title()), Span::raw(format!("{} ", link.broker)), state];
    if fleet.counts.bad > 0 {
        let text = format!("  {} not understood", fleet.counts.bad);
        spans.push(Span::styled(text, paint.verdict(Verdict::Warning)));
    }
    if fleet.counts.beyond > 0 {
        spans.push(Span::styled("  more devices than can be shown", paint.verdict(Verdict::Warning)));
    }
    put(buffer, area, 0, spans);
    let listing = &screen.listing;
    let (devices, sources) = (listing.devices.iter().sum(), listing.sources.iter().sum());
    let plural = |number: usize, what| format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" });
    let mut spans = vec![Span::raw(format!("{}  {} ", plural(devices, "device"), plural(sources, "source")))];
    for verdict in Verdict::ALL {
        let number = listing.devices[verdict as usize];
        let style = if number == 0 { paint.dim() } else { paint.verdict(verdict) };
        // Signs alone where there is no room for words.
        let word = if area.width < 100 { String::new() } else { format!(" {}", verdict.name()) };
        spans.push(Span::styled(format!("  {} {}{word}", verdict.sign(), count(number)), style));
    }
    put(buffer, area, 1, spans);
}

fn footer(buffer: &mut Buffer, area: Rect, screen: &Screen, paint: Paint) {
    if screen.typing {
        let text = format!(" filter: {}▏   Enter keeps it, Esc drops it", screen.filter);
        buffer.set_stringn(area.x, area.y, text, area.width.into(), paint.title());
        return;
    }
    let keys = match (&screen.page, screen.large) {
        (Page::Fleet, _) => " ↑↓ move   Enter open   / filter   s sort   ? help   q quit",
        (_, true) => " ↑↓ source   p small picture   Esc back   q quit",
        (Page::Device(_), _) => " ↑↓ source   p picture   n N next device   Esc back   ? help   q quit",
    };
    buffer.set_stringn(area.x, area.y, keys, area.width.into(), paint.dim());
}

/// Steps of incidents say more than the verdicts that follow from them; devices that go and come back have none.
fn is_news(change: &Change) -> bool {
    match change.what {
        What::Verdict { moved, .. } => moved != Moved::Not,
        What::Named { .. } => false,
        What::Step(_) | What::Gone => true,
    }
}

/// What happened last, newest first, as far as there is room.
fn events<'a>(
    buffer: &mut Buffer,
    area: Rect,
    changes: impl Iterator<Item = &'a Change>,
    fleet: &Fleet,
    with_device: bool,
    paint: Paint,
) {
    for (row, change) in changes.take(area.height.into()).enumerate() {
        let row = u16::try_from(row).unwrap_or(u16::MAX);
        let width = match (with_device, area.width) {
            (false, _) => 18,
            (true, ..100) => 26,
            (true, _) => 34,
        };
        put(buffer, area, row, event(change, fleet, with_device, width, paint));
    }
}

fn event(change: &Change, fleet: &Fleet, with_device: bool, width: usize, paint: Paint) -> Vec<Span<'static>> {
    let mut who = match fleet.device(&change.device) {
        Some(device) if with_device => device.label().to_owned(),
        None if with_device => change.device.as_str().to_owned(),
        _ => String::new(),
    };
    if let Some(source) = &change.source {
        who = if who.is_empty() { source.as_str().to_owned() } else { format!("{who} / {source}") };
    }
    let (sign, style, text) = match &change.what {
        What::Verdict { is, was, moved } => {
            let was = was.map_or("", |was| was.name());
            let device = match moved {
                Moved::Not => "",
                Moved::Away => "device is away: ",
                Moved::Back => "device is back: ",
            };
            (is.sign(), paint.verdict(*is), format!("{device}{}, was {was}", is.name()))
        }
        What::Step(step) => {
            let lasted = step.lasted_s.map_or(String::new(), |lasted| format!(" after {lasted:.0} s"));
            let style = if step.step == "cleared" { paint.verdict(Verdict::Ok) } else { paint.severity(step.severity) };
            let sign = if step.step == "cleared" { "▼" } else { "▲" };
            (sign, style, format!("{} {}{lasted}: {}", words(&step.defect), step.step, step.text))
        }
        What::Named { .. } => ("·", paint.dim(), "named".to_owned()),
        What::Gone => ("·", paint.dim(), "forgotten by the broker".to_owned()),
    };
    vec![
        Span::styled(format!(" {} ", clock(change.at_ms)), paint.dim()),
        Span::styled(format!("{sign} "), style),
        Span::raw(format!("{} ", fit(&who, width))),
        Span::styled(text, style),
    ]
}

/// A number with its unit, or a dash.
fn figure(value: Option<f64>, unit: &str, digits: usize) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.digits$}{unit}"))
}
