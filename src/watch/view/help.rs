//! Keys and signs.

use super::{Paint, put};
use crate::watch::verdict::Verdict;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use ratatui::widgets::{Block, Clear, Widget};

const KEYS: [(&str, &str); 12] = [
    ("↑ ↓  j k", "move; Page Up, Page Down, Home, End too"),
    ("Enter", "open the device"),
    ("Esc", "back; drops the filter"),
    ("/", "filter: name, site, id, source, defect or verdict;"),
    ("", "several words must all fit: cardiff freeze"),
    ("s", "sort: trouble, name, cpu, heat"),
    ("p", "picture of the source, large"),
    ("n N", "next, former device of the list"),
    ("q", "quit"),
    ("", ""),
    ("SINCE", "since when the verdict stands"),
    ("HEARD", "when the device last said something"),
];

pub(super) fn draw(buffer: &mut Buffer, area: Rect, paint: Paint) {
    let signs = [
        (Verdict::Lost, "the device or the signal is gone"),
        (Verdict::Alert, "a major or critical defect"),
        (Verdict::Silent, "the device should have said something by now"),
        (Verdict::Warning, "a minor defect, or the box is in trouble"),
        (Verdict::Off, "not watched: starting or stopped"),
        (Verdict::Ok, "watched, nothing wrong"),
    ];
    let (width, height) = (66.min(area.width), (KEYS.len() as u16 + signs.len() as u16 + 3).min(area.height));
    let (x, y) = (area.x + (area.width - width) / 2, area.y + (area.height - height) / 2);
    let panel = Rect { x, y, width, height };
    Clear.render(panel, buffer);
    let block = Block::bordered().title(" Help: any key closes it ").border_style(paint.dim());
    let inside = block.inner(panel);
    block.render(panel, buffer);
    let mut row = 0;
    for (key, text) in KEYS {
        put(buffer, inside, row, vec![Span::styled(format!(" {key:10}"), paint.title()), Span::raw(text)]);
        row += 1;
    }
    row += 1;
    for (verdict, text) in signs {
        let sign = Span::styled(format!(" {} {:8}", verdict.sign(), verdict.name()), paint.verdict(verdict));
        put(buffer, inside, row, vec![sign, Span::raw(text)]);
        row += 1;
    }
}
