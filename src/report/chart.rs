//! Curves and lanes as SVG. Drawings stretch to any width, so that words stand beside them as HTML and stay readable.

use super::curve::{Curve, Point, Seen, Track};
use super::incidents::Incident;
use super::text::{counted, escaped, length, measure, place, title};
use crate::time::MediaTime;
use std::time::Duration;

/// Width and height of a drawing, in its own units.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 100.0;
/// Decibels below this are silence in a drawing, which would be all gap if digital silence had its -144.
const DB_FLOOR: f64 = -70.0;
/// Ticks on the axis at most.
const TICKS_MAX: i64 = 10;
/// Seconds between ticks that people count in.
const TICK_SECONDS: [i64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600];
const DAY: i64 = 86_400;

/// Time from left to right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// What stands at the right end, above 0.
    length: i64,
}

impl Axis {
    /// From 0 to `end`.
    pub fn to(end: MediaTime) -> Self {
        Self { length: end.0.max(1) }
    }

    /// Place of `at` in a drawing.
    fn x(self, at: MediaTime) -> f64 {
        (at.0 as f64 / self.length as f64).clamp(0.0, 1.0) * WIDTH
    }

    /// Seconds from one tick to the next.
    fn step(self) -> i64 {
        let seconds = self.length / 1_000_000_000;
        let step = TICK_SECONDS.into_iter().find(|step| seconds / step < TICKS_MAX);
        // Longer than two days: whole days, as many as it takes.
        step.unwrap_or(DAY * (seconds / (DAY * TICKS_MAX) + 1))
    }

    /// The time from one tick to the next, in words.
    pub fn pace(self) -> String {
        length(Duration::from_secs(self.step().unsigned_abs())).replace(".00", "")
    }

    /// Whole seconds at which a tick stands, and how far to the right, in %.
    pub fn ticks(self) -> Vec<(i64, f64)> {
        let step = self.step();
        (0..=self.length / 1_000_000_000 / step)
            .map(|tick| (tick * step, self.x(MediaTime(tick * step * 1_000_000_000)) / WIDTH * 100.0))
            .collect()
    }

    fn grid(self) -> String {
        let lines: String = self.ticks().iter().map(|(_, left)| format!("M{} 0V100", short(left * 10.0))).collect();
        format!("<path class=\"grid\" d=\"{lines}\"/>")
    }
}

/// A number of the drawing, to a tenth.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn open(role: &str, label: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"{role}\" aria-label=\"{}\">",
        escaped(label)
    )
}

/// One detector: what it saw, and above it what was raised, each with a link to the place that tells more.
pub(super) fn lane(name: &str, track: &Track, raised: &[&Incident], axis: Axis) -> String {
    let label = match raised.len() {
        0 => format!("{}: nothing raised", title(name)),
        count => format!("{}: {}", title(name), counted(count as u64, "incident")),
    };
    let mut out = open("group", &label) + &axis.grid();
    for (from, to, seen) in track.stretches() {
        let (class, top) = if seen == Seen::Present { ("seen", 55.0) } else { ("unclear", 80.0) };
        out += &bar(class, axis, (from, to), top);
    }
    for incident in raised {
        let name = incident.severity.name();
        let end = incident.onset.plus(incident.duration());
        let what = format!(
            "{} ({name}), {} to {}, {}",
            title(incident.defect.name()),
            place(incident.onset),
            place(end),
            length(incident.duration())
        );
        out += &format!("<a href=\"#i{}\" aria-label=\"{what}\"><title>{what}</title>", incident.number);
        // Height tells the severity to those who do not see its colour.
        let top = 45.0 - 15.0 * f64::from(incident.severity as u8);
        out += &bar(&format!("s-{name}"), axis, (incident.onset, end), top);
        out += "</a>";
    }
    out + "</svg>"
}

fn bar(class: &str, axis: Axis, (from, to): (MediaTime, MediaTime), top: f64) -> String {
    let (left, right) = (axis.x(from), axis.x(to));
    format!(
        "<rect class=\"{class}\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\"/>",
        short(left),
        short(right - left),
        HEIGHT - top
    )
}

/// Curves over each other, on one scale.
#[derive(Clone, Debug)]
pub(super) struct Plot<'a> {
    /// What is drawn, with its name.
    pub curves: Vec<(&'static str, &'a Curve)>,
    /// Where the defect begins.
    pub limit: Option<&'a Curve>,
    /// Unit of all.
    pub unit: &'static str,
    /// What lies above is drawn at the upper edge.
    pub cap: f64,
    /// Stretches to shade.
    pub raised: Vec<&'a Incident>,
}

impl Plot<'_> {
    /// Least and greatest value that are drawn.
    pub fn scale(&self) -> (f64, f64) {
        let ranges = self.curves.iter().map(|(_, curve)| *curve).chain(self.limit).filter_map(Curve::range);
        let (low, high) =
            ranges.fold((f64::INFINITY, f64::NEG_INFINITY), |all, range| (all.0.min(range.0), all.1.max(range.1)));
        let decibels = ["dBFS", "LUFS"].contains(&self.unit);
        let (low, high) = if decibels { (low.max(DB_FLOOR), high.max(DB_FLOOR)) } else { (low, high) };
        // What counts from nothing is drawn from nothing.
        let low = if low > 0.0 { 0.0 } else { low };
        let high = if decibels { high.max(0.0) } else { high.min(self.cap) };
        if high > low { (low, high) } else { (low, low + 1.0) }
    }

    /// The limit, where it is always the same, and how far from the top it lies, in %.
    pub fn steady_limit(&self) -> Option<(f64, f64)> {
        let (low, high) = self.limit?.range()?;
        (low == high).then(|| (low, self.y(low)))
    }

    fn y(&self, value: f64) -> f64 {
        let (low, high) = self.scale();
        // A little room, so that lines at either end are seen whole.
        (1.0 - ((value - low) / (high - low)).clamp(0.0, 1.0)) * (HEIGHT - 6.0) + 3.0
    }

    /// In words: "black, 0 to 100 %, limit 98 %".
    pub fn label(&self, name: &str) -> String {
        let ranges = self.curves.iter().filter_map(|(part, curve)| {
            let (low, high) = curve.range()?;
            let part = if self.curves.len() > 1 { format!("{part} ") } else { String::new() };
            Some(format!(", {part}{} to {}", measure(low, ""), measure(high, self.unit)))
        });
        let limit = self.steady_limit().map(|(limit, _)| format!(", limit {}", measure(limit, self.unit)));
        format!("{name}{}{}", ranges.collect::<String>(), limit.unwrap_or_default())
    }

    /// The drawing.
    pub fn draw(&self, name: &str, axis: Axis) -> String {
        let mut out = open("img", &self.label(name)) + &axis.grid();
        for incident in &self.raised {
            let stretch = (incident.onset, incident.onset.plus(incident.duration()));
            out += &bar(&format!("shade s-{}", incident.severity.name()), axis, stretch, 0.0);
        }
        for (index, (_, curve)) in self.curves.iter().enumerate().rev() {
            let (mut band, mut line) = (String::new(), String::new());
            for stretch in curve.stretches() {
                band += &self.band(&stretch, axis);
                line += &self.line(&stretch, axis);
            }
            if !band.is_empty() {
                out += &format!("<path class=\"band c{index}\" d=\"{band}\"/>");
            }
            out += &format!("<path class=\"line c{index}\" d=\"{line}\"/>");
        }
        if let Some((_, top)) = self.steady_limit() {
            out += &format!("<path class=\"limit\" d=\"M0 {}H{WIDTH}\"/>", short(top));
        } else if let Some(limit) = self.limit {
            let line: String = limit.stretches().iter().map(|stretch| self.line(stretch, axis)).collect();
            out += &format!("<path class=\"limit\" d=\"{line}\"/>");
        }
        out + "</svg>"
    }

    /// Means.
    fn line(&self, stretch: &[Point], axis: Axis) -> String {
        let mut out = String::new();
        for (index, point) in stretch.iter().enumerate() {
            out.push(if index == 0 { 'M' } else { 'L' });
            out += &format!("{} {}", short(axis.x(point.at)), short(self.y(point.mean)));
        }
        // A point alone is seen as a dot.
        if stretch.len() == 1 { out + "h.1" } else { out }
    }

    /// Least to greatest; empty where they are the same to the eye.
    fn band(&self, stretch: &[Point], axis: Axis) -> String {
        let wide = |point: &Point| self.y(point.min) - self.y(point.max) >= 1.0;
        if !stretch.iter().any(wide) {
            return String::new();
        }
        let place = |point: &Point, value: f64| format!("{} {}", short(axis.x(point.at)), short(self.y(value)));
        let upper = stretch.iter().map(|point| place(point, point.max));
        let lower = stretch.iter().rev().map(|point| place(point, point.min));
        format!("M{}Z", upper.chain(lower).collect::<Vec<_>>().join("L"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[(i64, f64)]) -> Curve {
        let mut curve = Curve::default();
        values.iter().for_each(|&(ms, value)| curve.add(MediaTime(ms * 1_000_000), value));
        curve
    }

    fn plot<'a>(curve: &'a Curve, limit: Option<&'a Curve>, unit: &'static str) -> Plot<'a> {
        Plot { curves: vec![("value", curve)], limit, unit, cap: f64::INFINITY, raised: Vec::new() }
    }

    #[test]
    fn ticks_are_few_and_even_at_any_length() {
        for seconds in [0, 1, 9, 30, 61, 3_600, 86_400, 400_000, 40_000_000] {
            let ticks = Axis::to(MediaTime(seconds * 1_000_000_000)).ticks();
            assert!((1..=TICKS_MAX as usize + 1).contains(&ticks.len()), "{seconds} s: {ticks:?}");
            assert!(ticks.iter().all(|(_, left)| (0.0..=100.0).contains(left)), "{seconds} s: {ticks:?}");
        }
        let ticks = Axis::to(MediaTime(30_000_000_000)).ticks();
        assert_eq!(ticks[..2].iter().map(|tick| tick.0).collect::<Vec<_>>(), [0, 5]);
    }

    #[test]
    fn a_scale_holds_values_and_limit() {
        let (value, limit) = (curve(&[(0, 2.0), (40, 4.0)]), curve(&[(0, 98.0), (40, 98.0)]));
        let drawn = plot(&value, Some(&limit), "%");
        assert_eq!((drawn.scale(), drawn.steady_limit()), ((0.0, 98.0), Some((98.0, 3.0))));
        assert_eq!(drawn.label("Black").replace('\u{a0}', " "), "Black, 2 to 4 %, limit 98 %");
        assert_eq!(plot(&curve(&[(0, -144.0), (40, -20.0)]), None, "dBFS").scale(), (-70.0, 0.0));
        assert_eq!(plot(&curve(&[]), None, "s").scale(), (0.0, 1.0));
        assert_eq!(plot(&curve(&[(0, 0.0)]), None, "s").scale(), (0.0, 1.0));
    }

    #[test]
    fn means_are_lines_and_extremes_a_band() {
        let axis = Axis::to(MediaTime(1_000_000_000));
        let alone = plot(&curve(&[(0, 1.0)]), None, "%").draw("x", axis);
        assert!(alone.contains("h.1\"/>") && !alone.contains("band"), "{alone}");
        let both = plot(&curve(&[(0, 1.0), (1, 0.0), (40, 1.0)]), None, "%").draw("x", axis);
        assert!(both.contains("d=\"M10 3L50 3L50 3L10 97Z\"") && both.contains("M10 50L50 3"), "{both}");
        assert!(both.starts_with("<svg") && both.ends_with("</svg>"));
    }
}
