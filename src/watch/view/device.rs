//! One device: its sources, its health, what is open, what happened, and a picture.

use super::{Paint, events, figure, is_news, put, rule};
use crate::ids::DeviceId;
use crate::watch::Now;
use crate::watch::device::{Device, Source};
use crate::watch::fleet::Fleet;
use crate::watch::screen::Screen;
use crate::watch::text::{fit, lasting, right, since, words};
use crate::watch::verdict::Verdict;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::Span;
use ratatui::widgets::{Sparkline, SparklineBar, Widget};
use std::time::Duration;

/// With less than this there is no room for a picture beside the log.
const PICTURE_FROM: (u16, u16) = (100, 9);

pub(super) fn draw(
    buffer: &mut Buffer,
    area: Rect,
    screen: &mut Screen,
    fleet: &Fleet,
    id: &DeviceId,
    now: Now,
    paint: Paint,
) {
    let Some(device) = fleet.device(id) else {
        put(buffer, area, 1, vec![Span::styled("  the broker has forgotten this device", paint.dim())]);
        return;
    };
    screen.source = screen.source.min(device.sources.len().saturating_sub(1));
    identity(buffer, area, device, now, paint);
    let below = rows(area, 2, area.height.saturating_sub(2));
    if screen.large {
        picture(buffer, below, screen, fleet, device, paint);
        return;
    }
    let log = lists(buffer, below, screen, fleet, device, now, paint);
    let (mut left, mut beside) = (log, None);
    if log.width >= PICTURE_FROM.0 && log.height >= PICTURE_FROM.1 {
        // As wide as it comes to be when it is as high as there is room: 480 x 405 pixels, two in a cell.
        let width = (u32::from(log.height - 1) * 2 * 480 / 405).min(u32::from(log.width / 2)) as u16;
        left.width -= width + 1;
        beside = Some(Rect { x: log.x + left.width + 1, width, ..log });
    }
    if left.height > 1 {
        rule(buffer, left, 0, "Last events", paint);
        let told = fleet.log.iter().rev().filter(|change| change.device == device.id && is_news(change));
        events(buffer, rows(left, 1, left.height - 1), told, fleet, false, paint);
    }
    if let Some(beside) = beside {
        picture(buffer, beside, screen, fleet, device, paint);
    }
}

fn rows(area: Rect, from: u16, height: u16) -> Rect {
    let from = from.min(area.height);
    Rect { y: area.y + from, height: height.min(area.height - from), ..area }
}

/// Who it is and how it is, in two rows.
fn identity(buffer: &mut Buffer, area: Rect, device: &Device, now: Now, paint: Paint) {
    let verdict = device.verdict;
    let mut first = vec![
        Span::styled(
            format!(" {} {} ", verdict.sign(), verdict.name()),
            paint.verdict(verdict).add_modifier(Modifier::REVERSED),
        ),
        Span::styled(format!(" {} ", device.label()), paint.title()),
    ];
    if !device.site.is_empty() {
        first.push(Span::raw(format!(" {} ", device.site)));
    }
    first.push(Span::styled(format!(" {}", device.id), paint.dim()));
    put(buffer, area, 0, first);
    let health = device.health.as_ref();
    let mut words = vec![format!("{} for {}", verdict.name(), since(device.since_ms, now.wall_ms))];
    words.push(format!("heard {} ago", lasting(now.mono.since(device.heard))));
    if let Some(up) = health.and_then(|health| health.up_s) {
        words.push(format!("up {}", lasting(Duration::from_secs_f64(up.clamp(0.0, 1e9)))));
    }
    if !device.version.is_empty() {
        words.push(format!("picket {} {}", device.version, device.arch));
    }
    let mut spans = vec![Span::styled(format!(" {}", words.join(", ")), paint.dim())];
    let mut trouble = Vec::new();
    if let Some(health) = health {
        trouble.extend(Some(&health.trouble).filter(|text| !text.is_empty()).map(|text| format!("outbox: {text}")));
        trouble.extend(Some(&health.complaint).filter(|text| !text.is_empty()).map(|text| format!("broker: {text}")));
        trouble
            .extend(health.dropped.filter(|dropped| *dropped > 0).map(|dropped| format!("{dropped} events given up")));
    }
    if device.missed > 0 {
        trouble.push(format!("{} events never came here", device.missed));
    }
    if !trouble.is_empty() {
        spans.push(Span::styled(format!("  {}", trouble.join(", ")), paint.verdict(Verdict::Warning)));
    }
    put(buffer, area, 1, spans);
}

/// Sources, the box and what is open; returns what is left for the log.
fn lists(
    buffer: &mut Buffer,
    area: Rect,
    screen: &Screen,
    fleet: &Fleet,
    device: &Device,
    now: Now,
    paint: Paint,
) -> Rect {
    // Curves have four rows at least; the rest is shared, sources first.
    let sources_wanted = u16::try_from(device.sources.len()).unwrap_or(u16::MAX).saturating_add(1);
    let curves = if area.height >= 40 { 8 } else { 4 };
    let left = area.height.saturating_sub(curves);
    let sources = sources_wanted.min(left / 2).max(2.min(left));
    let open = fleet.open_on(device);
    let open_wanted = u16::try_from(open.len()).unwrap_or(u16::MAX).max(1).saturating_add(1);
    let left = left.saturating_sub(sources);
    let open_rows = open_wanted.min((left / 2).max(2));
    let mut from = 0;
    let mut part = |height: u16| {
        let part = rows(area, from, height);
        from += part.height;
        part
    };
    source_table(buffer, part(sources), screen, device, now, paint);
    health(buffer, part(curves), device, paint);
    let area_open = part(open_rows);
    rule(buffer, area_open, 0, &format!("Open incidents: {}", open.len()), paint);
    for (row, (source, open, known)) in open.iter().enumerate().take(usize::from(area_open.height).saturating_sub(1)) {
        let (age, text) = match known {
            Some(known) if known.vague => (format!("{}+", since(known.began_ms, now.wall_ms)), ""),
            Some(known) => (since(known.began_ms, now.wall_ms), known.text.as_str()),
            None => (String::new(), ""),
        };
        let acked = if open.acked { " (acknowledged)" } else { "" };
        let spans = vec![
            Span::styled(format!(" {}", fit(open.severity.name(), 9)), paint.severity(open.severity)),
            Span::raw(format!("{} {} ", fit(source.as_str(), 14), fit(&words(&open.defect), 17))),
            Span::styled(fit(&age, 10), paint.dim()),
            Span::raw(format!("{text}{acked}")),
        ];
        put(buffer, area_open, 1 + u16::try_from(row).unwrap_or(u16::MAX), spans);
    }
    part(u16::MAX)
}

fn source_table(buffer: &mut Buffer, area: Rect, screen: &Screen, device: &Device, now: Now, paint: Paint) {
    let wide = area.width >= 100;
    let what = if wide { 30 } else { 22 };
    let head = format!(
        " {}{}{}{}{}{}{}",
        fit("VERDICT", 10),
        fit("SOURCE", 15),
        fit("WHAT", what),
        right("FPS", 6),
        right("SEEN", 6),
        right("LUFS", 7),
        right("ERRORS", 8)
    );
    let format = if area.width >= 78 { "  FORMAT" } else { "" };
    put(buffer, area, 0, vec![Span::styled(format!("{head}{format}"), paint.dim())]);
    let room = usize::from(area.height).saturating_sub(1);
    let top = (screen.source + 1).saturating_sub(room);
    for (row, (at, source)) in device.sources.iter().enumerate().skip(top).take(room).enumerate() {
        let mut spans = source_row(source, what, now, paint);
        if at == screen.source {
            spans.iter_mut().for_each(|span| span.style = span.style.add_modifier(Modifier::REVERSED));
        }
        put(buffer, area, 1 + u16::try_from(row).unwrap_or(u16::MAX), spans);
    }
    if device.sources.is_empty() {
        put(buffer, area, 1, vec![Span::styled(" no source is known yet", paint.dim())]);
    }
}

fn source_row(source: &Source, what: usize, now: Now, paint: Paint) -> Vec<Span<'static>> {
    let verdict = source.verdict;
    let style = paint.verdict(verdict);
    let said = match source.worst() {
        Some(open) if source.open.len() > 1 => format!("{} +{}", words(&open.defect), source.open.len() - 1),
        Some(open) => words(&open.defect),
        None if !source.reason.is_empty() && verdict != Verdict::Ok => source.reason.clone(),
        None if source.muted => "muted".to_owned(),
        None => String::new(),
    };
    let said = match verdict {
        Verdict::Ok | Verdict::Off => said,
        _ => format!("{said} {}", since(source.since_ms, now.wall_ms)),
    };
    let seen = source.coverage.map(|coverage| coverage * 100.0);
    let shed = if source.shed_by.is_empty() { String::new() } else { format!(" ({})", words(&source.shed_by)) };
    let errors = source.errors.map_or("–".to_owned(), |errors| errors.to_string());
    vec![
        Span::styled(format!(" {}", fit(&format!("{} {}", verdict.sign(), verdict.name()), 10)), style),
        Span::raw(format!("{} ", fit(source.id.as_str(), 14))),
        Span::styled(format!("{} ", fit(&said, what - 1)), style),
        Span::raw(right(&figure(source.fps, "", 0), 6)),
        Span::raw(right(&figure(seen, "%", 0), 6)),
        Span::raw(right(&figure(source.lufs, "", 1), 7)),
        Span::raw(right(&errors, 8)),
        Span::styled(format!("  {}{shed}", source.format), paint.dim()),
    ]
}

/// Curves of the box: one column for each health message.
fn health(buffer: &mut Buffer, area: Rect, device: &Device, paint: Paint) {
    rule(buffer, area, 0, "Box", paint);
    let Some(health) = &device.health else {
        put(buffer, area, 1, vec![Span::styled(" no health message yet", paint.dim())]);
        return;
    };
    let own = match (health.own_cpu_pct, health.budget_cpu_pct) {
        (Some(own), Some(budget)) => format!(", picket {own:.0}% of {budget:.0}%"),
        (Some(own), None) => format!(", picket {own:.0}%"),
        _ => String::new(),
    };
    let own_memory =
        health.rss_bytes.map_or(String::new(), |bytes| format!(", picket {:.0} MiB", bytes / f64::from(1 << 20)));
    let link = format!(
        "disk {}  outbox {}  broker {}",
        figure(health.disk_pct, "%", 0),
        health.spool.map_or("–".to_owned(), |waiting| waiting.to_string()),
        figure(health.rtt_ms, " ms", 0)
    );
    let told = [
        ("cpu", format!("{}{own}", figure(health.cpu_pct, "%", 0)), 100.0),
        ("memory", format!("{}{own_memory}", figure(health.mem_pct, "%", 0)), 100.0),
        ("heat", format!("{}  {link}", figure(health.temp_c, "°C", 0)), 100.0),
    ];
    let tall = if area.height >= 7 { 2 } else { 1 };
    for ((at, (name, text, most)), curve) in (0_u16..).zip(told).zip(&device.curves) {
        let part = rows(area, 1 + at * tall, tall);
        let room = usize::from((part.width.saturating_sub(9) / 3).min(60));
        let shown = curve.iter().skip(curve.len().saturating_sub(room));
        let bars: Vec<SparklineBar> = shown
            .map(|value| SparklineBar::from(value.map(|value| (f64::from(value).clamp(0.0, most) * 10.0) as u64)))
            .collect();
        let width = u16::try_from(room).unwrap_or(0);
        let place = Rect { x: part.x + 9, width: width.min(part.width.saturating_sub(9)), ..part };
        Sparkline::default()
            .data(bars)
            .max((most * 10.0) as u64)
            .style(paint.verdict(Verdict::Ok))
            .render(place, buffer);
        let last = part.height.saturating_sub(1);
        put(
            buffer,
            Rect { width: 9.min(part.width), ..part },
            last,
            vec![Span::styled(format!(" {name:7}"), paint.dim())],
        );
        let beside = place.x + place.width + 1;
        let text_area = Rect { x: beside, width: (area.x + area.width).saturating_sub(beside), ..part };
        put(buffer, text_area, last, vec![Span::raw(text)]);
    }
}

/// The last picture of the chosen source.
fn picture(buffer: &mut Buffer, area: Rect, screen: &mut Screen, fleet: &Fleet, device: &Device, paint: Paint) {
    let Some(source) = device.sources.get(screen.source) else { return };
    rule(buffer, area, 0, &format!("Last picture of {}", source.id), paint);
    let inside = rows(area, 1, area.height.saturating_sub(1));
    let words = match fleet.picture(&source.id) {
        _ if !screen.colour => " pictures need colours (NO_COLOR is set)",
        None => " none came: there was no incident, or pictures are off",
        Some((number, jpeg)) => match screen.picture.show(buffer, inside, (&device.id, &source.id, number), jpeg) {
            true => return,
            false => " what came is no picture",
        },
    };
    put(buffer, inside, 0, vec![Span::styled(words, paint.dim())]);
}
