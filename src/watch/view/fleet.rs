//! The list of devices, and what happened last.

use super::{Paint, events, figure, is_news, put, rule};
use crate::watch::Now;
use crate::watch::device::{Device, Presence};
use crate::watch::fleet::Fleet;
use crate::watch::screen::Screen;
use crate::watch::text::{count, fit, lasting, right, since, words};
use crate::watch::verdict::Verdict;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::Span;

/// Columns, in the order in which they are given up when there is no room. Widths include the space behind.
struct Columns {
    name: usize,
    site: usize,
    since: usize,
    sources: usize,
    heat: usize,
    load: usize,
    heard: usize,
    what: usize,
}

const VERDICT: usize = 11;

impl Columns {
    fn of(width: usize) -> Self {
        let mut columns = Self { name: 22, site: 14, since: 9, sources: 0, heat: 0, load: 0, heard: 0, what: 0 };
        if width < 70 {
            columns.site = 0;
        }
        if width >= 90 {
            (columns.sources, columns.load) = (10, 6);
        }
        if width >= 120 {
            (columns.name, columns.heat, columns.heard) = (24, 6, 8);
        }
        if width >= 160 {
            (columns.name, columns.site, columns.sources) = (32, 24, 18);
        }
        let fixed = VERDICT
            + columns.name
            + columns.site
            + columns.since
            + columns.sources
            + columns.heat
            + columns.load
            + columns.heard;
        columns.what = width.saturating_sub(fixed);
        columns
    }
}

pub(super) fn draw(buffer: &mut Buffer, area: Rect, screen: &mut Screen, fleet: &Fleet, now: Now, paint: Paint) {
    // The log has a fifth to a quarter, and goes first where there is no room.
    let log = if area.height < 12 { 0 } else { (area.height / 4).clamp(4, 16) };
    let list = Rect { height: area.height - log, ..area };
    table(buffer, list, screen, fleet, now, paint);
    if log > 0 {
        let below = Rect { y: area.y + list.height, height: log, ..area };
        rule(buffer, below, 0, "Last events", paint);
        let below = Rect { y: below.y + 1, height: log - 1, ..below };
        let told = fleet.log.iter().rev().filter(|change| is_news(change));
        events(buffer, below, told, fleet, true, paint);
    }
}

fn table(buffer: &mut Buffer, area: Rect, screen: &mut Screen, fleet: &Fleet, now: Now, paint: Paint) {
    let columns = Columns::of(area.width.into());
    let total: usize = screen.listing.devices.iter().sum();
    let listed = screen.listing.ids.len();
    let filter = match screen.filter.as_str() {
        "" => String::new(),
        filter => format!(", that match \"{filter}\""),
    };
    let head = [
        fit(" VERDICT", VERDICT),
        fit("DEVICE", columns.name),
        fit("SITE", columns.site),
        fit("WHAT", columns.what),
        fit("SOURCES", columns.sources),
        fit("SINCE", columns.since),
        fit("CPU", columns.load),
        fit("HEAT", columns.heat),
        fit("HEARD", columns.heard),
    ];
    put(buffer, area, 0, vec![Span::styled(head.concat(), paint.dim())]);
    let rows = usize::from(area.height).saturating_sub(2);
    screen.rows = rows;
    if listed == 0 {
        let text = if total == 0 {
            "  nothing heard of any device yet"
        } else {
            "  no device matches the filter (Esc drops it)"
        };
        put(buffer, area, 2, vec![Span::styled(text, paint.dim())]);
        screen.top = 0;
    }
    let place = screen.place();
    // The chosen row stays on the screen, and so does the end of the list.
    screen.top = screen.top.min(listed.saturating_sub(rows)).clamp((place + 1).saturating_sub(rows), place);
    for (row, id) in screen.listing.ids.iter().skip(screen.top).take(rows).enumerate() {
        let Some(device) = fleet.device(id) else { continue };
        let mut spans = device_row(device, &columns, now, paint);
        if screen.top + row == place {
            spans.iter_mut().for_each(|span| span.style = span.style.add_modifier(Modifier::REVERSED));
        }
        put(buffer, area, 1 + u16::try_from(row).unwrap_or(u16::MAX), spans);
    }
    let shown = format!(
        "  {} to {} of {}, by {}{filter}",
        count((screen.top + 1).min(listed)),
        count((screen.top + rows).min(listed)),
        count(listed),
        screen.sort.name()
    );
    put(buffer, area, area.height - 1, vec![Span::styled(shown, paint.dim())]);
}

fn device_row(device: &Device, columns: &Columns, now: Now, paint: Paint) -> Vec<Span<'static>> {
    let verdict = device.verdict;
    let style = paint.verdict(verdict);
    let health = device.health.as_ref();
    let mut spans = vec![
        Span::styled(fit(&format!(" {} {}", verdict.sign(), verdict.name()), VERDICT), style),
        Span::raw(gap(device.label(), columns.name)),
        Span::styled(gap(&device.site, columns.site), paint.dim()),
        Span::styled(gap(&what(device), columns.what), style),
    ];
    spans.extend(dots(device, columns.sources, paint));
    let since = if verdict == Verdict::Ok { String::new() } else { since(device.since_ms, now.wall_ms) };
    let heard = lasting(now.mono.since(device.heard));
    let heat = figure(health.and_then(|health| health.temp_c), "°", 0);
    spans.push(Span::raw(fit(&since, columns.since)));
    spans.push(Span::raw(column(&figure(health.and_then(|health| health.cpu_pct), "%", 0), columns.load)));
    spans.push(Span::raw(column(&heat, columns.heat)));
    spans.push(Span::styled(fit(&heard, columns.heard), paint.dim()));
    spans
}

/// Text with at least one space behind it.
fn gap(text: &str, width: usize) -> String {
    match width {
        0 => String::new(),
        width => format!("{} ", fit(text, width - 1)),
    }
}

/// A number at the right end of its column, two spaces before the next.
fn column(text: &str, width: usize) -> String {
    if width < 3 { String::new() } else { format!("{}  ", right(text, width - 2)) }
}

/// A sign for each source, the worst first, in its colour.
fn dots(device: &Device, width: usize, paint: Paint) -> Vec<Span<'static>> {
    if width == 0 {
        return Vec::new();
    }
    let mut verdicts: Vec<Verdict> = device.sources.iter().map(|source| source.verdict).collect();
    verdicts.sort_unstable();
    let room = width - 1;
    let more = verdicts.len() > room;
    let shown = if more { room - 1 } else { verdicts.len() };
    let mut spans: Vec<Span<'static>> =
        verdicts.iter().take(shown).map(|verdict| Span::styled(verdict.sign(), paint.verdict(*verdict))).collect();
    if more {
        spans.push(Span::styled("…", paint.dim()));
    }
    let used = shown + usize::from(more);
    spans.push(Span::raw(" ".repeat(width - used)));
    spans
}

/// The worst of it in a few words.
fn what(device: &Device) -> String {
    match (device.verdict, device.presence) {
        (_, Presence::Lost) => return "device lost".to_owned(),
        (_, Presence::Stopping) => return "stopped".to_owned(),
        (Verdict::Silent, _) => return "no word from it".to_owned(),
        _ => {}
    }
    let open = device.sources.iter().flat_map(|source| source.open.iter().map(move |open| (source, open)));
    let count = device.sources.iter().map(|source| source.open.len()).sum::<usize>();
    if let Some((source, open)) = open.min_by_key(|(source, open)| (source.verdict, open.severity)) {
        let more = if count > 1 { format!(" +{}", count - 1) } else { String::new() };
        return format!("{} {}{more}", source.id, words(&open.defect));
    }
    let bad = device.sources.iter().min_by_key(|source| source.verdict).filter(|source| source.verdict.is_trouble());
    if let Some(source) = bad {
        let reason = if source.reason.is_empty() { source.verdict.name() } else { &source.reason };
        return format!("{} {reason}", source.id);
    }
    match &device.health {
        Some(health) if !health.trouble.is_empty() => format!("outbox: {}", health.trouble),
        Some(health) if !health.complaint.is_empty() => format!("broker: {}", health.complaint),
        _ if device.verdict == Verdict::Off => "starting".to_owned(),
        _ => String::new(),
    }
}
