//! The page in its parts, from top to bottom.

use super::chart::{Axis, Plot, lane};
use super::curve::Curve;
use super::incidents::{Incident, LISTED_MAX};
use super::text::{base64, counted, escaped, length, measure, place, title, whole};
use super::{Lane, Report};
use crate::alert::ClearedBy;
use crate::detect::{Defect, Severity};
use crate::time::MediaTime;
use crate::wire::Summary;
use std::time::Duration;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Nothing is fetched, whatever a name in the page may try.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// A cut changes the picture by 50 code values: motion is drawn up to so many, or so many times its mean.
const MOTION_CAP: (f64, f64) = (4.0, 6.0);

/// The whole page.
pub(super) fn page(report: &Report, summary: &Summary) -> String {
    let listed = report.incidents.listed();
    let axis = Axis::to(MediaTime::from_secs_f64(summary.duration_s));
    let name = escaped(short_name(&summary.input));
    let parts = [
        header(report, summary, &listed),
        timeline(report, &listed, axis),
        cards(report),
        deciding(report, &listed, axis),
        table(report, &listed),
        footer(report, summary),
    ];
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{name} \u{2013} Picket report</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body data-length=\"{}\">\n{}<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        summary.duration_s,
        parts.concat()
    )
}

/// The last part of a path; all of a URL.
fn short_name(input: &str) -> &str {
    let path = !input.contains("://");
    input.rsplit('/').next().filter(|name| path && !name.is_empty()).unwrap_or(input)
}

fn header(report: &Report, summary: &Summary, listed: &[&Incident]) -> String {
    let (verdict, class) = match report.incidents.worst {
        None => ("Nothing wrong".to_owned(), "s-none"),
        Some(worst) => (counted(report.incidents.count, "incident"), severity_class(worst)),
    };
    let worst = report.incidents.worst.map(|worst| format!("<span>worst: {}</span>", worst.name()));
    let found: String = Defect::ALL
        .iter()
        .filter_map(|&defect| {
            let count = summary.incidents.get(defect.name()).copied().filter(|&count| count > 0)?;
            let worst = of(defect, listed).iter().map(|incident| incident.severity).max();
            let class = severity_class(worst.unwrap_or(Severity::Warning));
            Some(format!("<li class=\"{class}\"><b>{count}</b> {}</li>", title(defect.name())))
        })
        .collect();
    let found = if found.is_empty() { found } else { format!("<ul class=\"found\">{found}</ul>\n") };
    format!(
        "<header class=\"top\">\n<p class=\"kind\">Picket report</p>\n<h1>{}</h1>\n\
         <p class=\"verdict {class}\"><strong>{verdict}</strong>{}</p>\n{found}<dl class=\"facts\">{}</dl>\n</header>\n<main>\n",
        escaped(short_name(&summary.input)),
        worst.unwrap_or_default(),
        facts(report, summary),
    )
}

fn severity_class(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "s-warning",
        Severity::Minor => "s-minor",
        Severity::Major => "s-major",
        Severity::Critical => "s-critical",
    }
}

fn fact(name: &str, value: &str) -> String {
    format!("<div><dt>{name}</dt><dd>{value}</dd></div>")
}

fn facts(report: &Report, summary: &Summary) -> String {
    let mut out = String::new();
    if short_name(&summary.input) != summary.input {
        out += &fact("Input", &escaped(&summary.input));
    }
    out += &fact("Format", &escaped(&summary.format));
    out += &fact("Duration", &length(Duration::from_secs_f64(summary.duration_s.max(0.0))));
    let looked = match summary.frames_analysed {
        all if all == summary.frames => format!("{all}, all looked at"),
        some => format!("{}, {some} looked at", summary.frames),
    };
    out += &fact("Pictures", &looked);
    out += &fact("Damaged packets and pictures", &summary.decoder_errors.to_string());
    let peak = report.measured.true_peak.range().filter(|(_, peak)| *peak > -100.0);
    if let (Some(integrated), Some((_, peak))) = (report.measured.integrated, peak) {
        let loudness = format!("{integrated:.1} LUFS, peak {peak:.1} dBTP").replace('-', "\u{2212}");
        out += &fact("Loudness", &loudness);
    }
    out
}

fn of<'a>(defect: Defect, listed: &[&'a Incident]) -> Vec<&'a Incident> {
    listed.iter().copied().filter(|incident| incident.defect == defect).collect()
}

fn timeline(report: &Report, listed: &[&Incident], axis: Axis) -> String {
    let mut rows = String::new();
    for each in report.lanes.iter().filter(|lane| lane.track.has_spoken()) {
        let name = each.defect.name();
        let raised = of(each.defect, listed);
        let class = if raised.is_empty() { "row lane quiet" } else { "row lane" };
        let drawing = lane(name, &each.track, &raised, axis);
        rows += &format!(
            "<div class=\"{class}\"><div class=\"name\">{}</div><div class=\"plot\">{drawing}</div></div>\n",
            title(name)
        );
    }
    let ticks = ticks(axis);
    let measured: String = measured(report).iter().map(|(name, plot)| measured_row(name, plot, axis)).collect();
    let legend: String = ["critical", "major", "minor", "warning"]
        .iter()
        .map(|name| format!("<li><i class=\"s-{name}\"></i>{name}</li>"))
        .collect();
    format!(
        "<section id=\"timeline\">\n<h2>Timeline</h2>\n<ul class=\"legend\">{legend}\
         <li><i class=\"seen\"></i>seen, not raised</li><li><i class=\"unclear\"></i>unclear</li></ul>\n\
         <div class=\"figure lanes\">\n{ticks}{rows}</div>\n<h3 class=\"part\">What was measured</h3>\n\
         <div class=\"figure curves\">\n{measured}{ticks}</div>\n</section>\n"
    )
}

fn ticks(axis: Axis) -> String {
    let ticks = axis.ticks();
    let mut out = String::new();
    for (index, (seconds, left)) in ticks.iter().enumerate() {
        let class = if index % 2 == 1 { " class=\"odd\"" } else { "" };
        out += &format!("<span{class} style=\"left:{left:.2}%\">{}</span>", whole(*seconds));
    }
    format!(
        "<div class=\"row axis\" aria-hidden=\"true\"><div class=\"name\"></div><div class=\"ticks\">{out}</div></div>\n"
    )
}

/// What was measured, in the order in which people look at it.
fn measured(report: &Report) -> Vec<(&'static str, Plot<'_>)> {
    let all = &report.measured;
    let plot = |name, unit, curves| (name, Plot { curves, limit: None, unit, cap: f64::INFINITY, raised: Vec::new() });
    let mut plots = vec![
        plot("Mean luma", "%", vec![("luma", &all.luma)]),
        plot("Motion", "code values", vec![("motion", &all.motion)]),
        plot("Noise", "code values", vec![("noise", &all.noise)]),
        plot("Loudness", "LUFS", vec![("short-term", &all.short_term), ("momentary", &all.momentary)]),
        plot("Level", "dBFS", vec![("RMS", &all.rms), ("true peak", &all.true_peak)]),
    ];
    plots[1].1.cap = MOTION_CAP.0.max(MOTION_CAP.1 * all.motion.mean());
    let damage = report.lanes.iter().find(|lane| lane.defect == Defect::BlockCorruption);
    if let Some(trace) = damage.and_then(|lane| lane.traces.first()) {
        plots.insert(3, plot("Damage", "% of picture", vec![("damage", &trace.value)]));
    }
    plots.retain(|(_, plot)| plot.curves.iter().any(|(_, curve)| curve.range().is_some()));
    plots
}

fn measured_row(name: &str, plot: &Plot<'_>, axis: Axis) -> String {
    let parts: String = match plot.curves.as_slice() {
        [_] => String::new(),
        several => several
            .iter()
            .enumerate()
            .map(|(index, (part, _))| format!("<span class=\"key c{index}\">{part}</span>"))
            .collect(),
    };
    format!(
        "<div class=\"row curve\"><div class=\"name\">{name} <small>{}</small>{parts}</div>{}</div>\n",
        plot.unit,
        drawn(name, plot, axis)
    )
}

/// A drawing with the ends of its scale and its limit.
fn drawn(name: &str, plot: &Plot<'_>, axis: Axis) -> String {
    let (low, high) = plot.scale();
    let above = if high >= plot.cap { "\u{2265}\u{a0}" } else { "" };
    let limit = plot.steady_limit().map(|(limit, top)| {
        let class = if top > 50.0 { "limit above" } else { "limit below" };
        format!("<span class=\"{class}\" style=\"top:{top:.1}%\">limit {}</span>", measure(limit, ""))
    });
    format!(
        "<div class=\"plot\">{}<span class=\"high\" aria-hidden=\"true\">{above}{}</span><span class=\"low\" aria-hidden=\"true\">{}</span>{}</div>",
        plot.draw(name, axis),
        measure(high, ""),
        measure(low, ""),
        limit.unwrap_or_default(),
    )
}

fn deciding(report: &Report, listed: &[&Incident], axis: Axis) -> String {
    let (with, without): (Vec<&Lane>, Vec<&Lane>) =
        report.lanes.iter().partition(|lane| listed.iter().any(|incident| incident.defect == lane.defect));
    let mut plots = String::new();
    for lane in with.into_iter().chain(without) {
        let raised = of(lane.defect, listed);
        for trace in lane.traces.iter().filter(|trace| trace.value.range().is_some()) {
            let plot = Plot {
                curves: vec![("value", &trace.value)],
                limit: Some(&trace.limit),
                unit: trace.unit,
                cap: f64::INFINITY,
                raised: raised.clone(),
            };
            let name = title(lane.defect.name());
            plots += &format!(
                "<figure class=\"{}\"><figcaption>{name} <small>{}</small></figcaption>{}</figure>\n",
                if raised.is_empty() { "quiet" } else { "hit" },
                escaped(trace.unit),
                drawn(&name, &plot, axis)
            );
        }
    }
    if plots.is_empty() {
        return plots;
    }
    format!(
        "<section id=\"values\">\n<h2>What the detectors decided by</h2>\n<p>The measure of each detector over the whole \
         input, with its limit as a dashed line. Incidents are shaded; vertical lines stand every {}.</p>\n<div class=\"multiples\">\n{plots}</div>\n</section>\n",
        axis.pace()
    )
}

fn cards(report: &Report) -> String {
    let pictured = report.incidents.pictured();
    if pictured.is_empty() {
        return String::new();
    }
    let shown = pictured.len() as u64;
    let left = match report.incidents.count - shown {
        0 => String::new(),
        left => format!("<p>The worst {shown}; {left} milder ones are left out here.</p>\n"),
    };
    let cards: String = pictured.iter().map(|incident| card(incident)).collect();
    format!("<section id=\"incidents\">\n<h2>Incidents</h2>\n{left}<div class=\"cards\">\n{cards}</div>\n</section>\n")
}

fn card(incident: &Incident) -> String {
    let name = title(incident.defect.name());
    let mut pictures = String::new();
    for picture in &incident.pictures {
        let caption = format!("{} {}", place(picture.at), picture.caption);
        pictures += &format!(
            "<figure><img src=\"data:image/jpeg;base64,{}\" alt=\"{name}, picture at {caption}\">\
             <figcaption>{caption}</figcaption></figure>",
            base64(&picture.jpeg)
        );
    }
    let mut steps = String::new();
    for step in &incident.steps {
        steps += &format!("<li><time>{}</time> <b>{}</b> {}</li>", place(step.at), step.state, escaped(&step.text));
    }
    format!(
        "<article class=\"card {}\" id=\"i{}\">\n<h3>{name} <span class=\"pill\">{}</span><small>#{}</small></h3>\n\
         <div class=\"pictures\">{pictures}</div>\n<dl class=\"facts\">{}</dl>\n<ol class=\"steps\">{steps}</ol>\n</article>\n",
        severity_class(incident.severity),
        incident.number,
        incident.severity.name(),
        incident.number,
        numbers(incident),
    )
}

fn numbers(incident: &Incident) -> String {
    let mut out = fact("Began", &place(incident.onset));
    out += &fact("Ended", &ended(incident));
    out += &fact("Lasted", &length(incident.duration()));
    out += &fact("Told after", &length(incident.raised.since(incident.onset)));
    if !incident.unit.is_empty() {
        out += &fact("Measured", &measure(incident.value, incident.unit));
        out += &fact("Limit", &measure(incident.threshold, incident.unit));
    }
    if let Some(region) = incident.region {
        out += &fact("Where", &format!("{}\u{d7}{} at {}, {}", region.w, region.h, region.x, region.y));
    }
    if let Some(confidence) = incident.confidence {
        out += &fact("Confidence", &measure(confidence * 100.0, "%"));
    }
    if !incident.masks.is_empty() {
        let masks: Vec<String> = incident.masks.iter().map(|defect| title(defect.name())).collect();
        out += &fact("Explains", &masks.join(", "));
    }
    out
}

fn ended(incident: &Incident) -> String {
    match incident.end {
        None => "still open".to_owned(),
        Some((end, ClearedBy::Recovered)) => place(end),
        Some((end, by)) => format!("{} ({})", place(end), by.name().replace('_', " ")),
    }
}

fn table(report: &Report, listed: &[&Incident]) -> String {
    if listed.is_empty() {
        return String::new();
    }
    let pictured: Vec<u64> = report.incidents.pictured().iter().map(|incident| incident.number).collect();
    let mut rows = String::new();
    for incident in listed {
        let number = incident.number;
        let (id, link) = if pictured.contains(&number) {
            (String::new(), format!("<a href=\"#i{number}\">{number}</a>"))
        } else {
            // Lanes lead here where there is no card.
            (format!(" id=\"i{number}\""), number.to_string())
        };
        rows += &format!("<tr class=\"{}\"{id}><th scope=\"row\">{link}</th>", severity_class(incident.severity));
        let measured = if incident.unit.is_empty() { String::new() } else { measure(incident.value, incident.unit) };
        let limit = if incident.unit.is_empty() { String::new() } else { measure(incident.threshold, incident.unit) };
        let cells = [
            ("Defect", title(incident.defect.name())),
            ("Severity", format!("<span class=\"pill\">{}</span>", incident.severity.name())),
            ("Began", place(incident.onset)),
            ("Ended", ended(incident)),
            ("Lasted", length(incident.duration())),
            ("Measured", measured),
            ("Limit", limit),
        ];
        rows += &cells.map(|(name, cell)| format!("<td data-name=\"{name}\">{cell}</td>")).concat();
        rows += "</tr>\n";
    }
    let heads = ["No.", "Defect", "Severity", "Began", "Ended", "Lasted", "Measured", "Limit"];
    let heads = heads.map(|head| format!("<th scope=\"col\">{head}</th>")).concat();
    format!(
        "<section id=\"all\">\n<h2>All incidents</h2>\n{}<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</section>\n",
        match report.incidents.count - listed.len() as u64 {
            0 => String::new(),
            left => format!("<p>The worst {LISTED_MAX}; {left} milder ones are left out.</p>\n"),
        }
    )
}

fn footer(report: &Report, summary: &Summary) -> String {
    let unheard: Vec<String> =
        report.lanes.iter().filter(|lane| !lane.track.has_spoken()).map(|lane| title(lane.defect.name())).collect();
    let unheard = match unheard.as_slice() {
        [] => String::new(),
        names => format!("<li>Nothing in this input to judge by: {}.</li>", names.join(", ")),
    };
    let curves = report.lanes.iter().flat_map(|lane| &lane.traces).map(|trace| trace.value.resolution());
    let finest = curves.chain([&report.measured.luma, &report.measured.rms].map(Curve::resolution)).max().unwrap_or(0);
    let resolution = length(Duration::from_nanos(finest.unsigned_abs()));
    let version = env!("CARGO_PKG_VERSION");
    let looked = match summary.frames - summary.frames_analysed.min(summary.frames) {
        0 => String::new(),
        left => format!("<li>{left} pictures were not looked at, as --effort asked.</li>"),
    };
    format!(
        "</main>\n<footer>\n<h2>How to read this</h2>\n<ul>\n<li>Times count from the first picture (first sound where there is \
         none). An incident begins at its onset; it is raised when it has lasted for its hold time.</li>\n\
         <li>In the timeline the height of a bar is its severity. What was seen but not raised was too short, or is explained \
         by another defect.</li>\n<li>A point of a curve stands for {resolution} at most: the line is the mean, the band goes from the \
         least to the greatest value. Digital silence is drawn at \u{2212}70.</li>\n\
         {unheard}{looked}\n</ul>\n<p>Picket {version}</p>\n</footer>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::alert;
    use super::*;
    use crate::alert::Transition;

    fn summary(input: &str) -> Summary {
        Summary { input: input.to_owned(), format: "<b>h264".to_owned(), duration_s: 10.0, ..Summary::default() }
    }

    #[test]
    fn names_are_shown_and_never_run() {
        let mut report = Report::new(&[Defect::BlockCorruption]);
        report.tell(&alert(1, Severity::Major, Transition::Raised, 2));
        let page = report.page(&summary("/media/<script>alert('x')</script>\".ts"));
        assert_eq!(page.matches("<script>").count(), 1, "ours");
        assert!(!page.contains("alert('x')") && !page.contains("<b>h264") && !page.contains("<here>"));
        assert!(page.contains("blocks are broken &lt;here&gt; &amp; there"));
    }

    #[test]
    fn a_card_has_pictures_numbers_and_steps() {
        let mut report = Report::new(&[Defect::BlockCorruption]);
        report.tell(&alert(1, Severity::Major, Transition::Raised, 2));
        let end = MediaTime::from_secs_f64(5.0);
        report.tell(&alert(1, Severity::Major, Transition::Cleared { end, by: ClearedBy::EndOfInput }, 6));
        let page = report.page(&summary("a.ts")).replace('\u{a0}', " ");
        for part in [
            "<dt>Measured</dt><dd>4 %</dd>",
            "<dt>Limit</dt><dd>0.4 %</dd>",
            "<dt>Ended</dt><dd>0:05.00 (end of input)</dd>",
            "<dt>Where</dt><dd>64×48 at 16, 32</dd>",
            "<dt>Explains</dt><dd>Freeze</dd>",
            "data:image/jpeg;base64,/9j/",
            "alt=\"Block corruption, picture at 0:02.00 when it was raised\"",
            "<time>0:06.00</time> <b>cleared</b>",
            "<a href=\"#i1\">1</a>",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
    }

    #[test]
    fn nothing_found_is_said() {
        let page = Report::new(&[Defect::Black]).page(&summary("rtp://239.0.0.1:5000/x"));
        assert!(page.contains("<strong>Nothing wrong</strong>") && page.contains("<h1>rtp://239.0.0.1:5000/x</h1>"));
        assert!(page.contains("Nothing in this input to judge by: Black."));
        assert!(!page.contains("id=\"incidents\"") && !page.contains("NaN") && !page.contains("inf"));
    }

    #[test]
    fn what_is_left_out_is_said() {
        let mut report = Report::new(&[Defect::BlockCorruption]);
        for number in 1..=1_200 {
            report.tell(&alert(number, Severity::Minor, Transition::Raised, number + 1));
            let end = MediaTime::from_secs_f64(number as f64 + 2.0);
            report.tell(&alert(
                number,
                Severity::Minor,
                Transition::Cleared { end, by: ClearedBy::Recovered },
                number + 3,
            ));
        }
        let page = report.page(&summary("a.ts"));
        assert!(page.contains("The worst 100; 1100 milder ones are left out here."));
        assert!(page.contains("The worst 1000; 200 milder ones are left out."));
        assert_eq!((page.matches("<article").count(), page.matches("<tr ").count()), (100, 1000));
        assert!(page.len() < 2_000_000, "{}", page.len());
    }
}
