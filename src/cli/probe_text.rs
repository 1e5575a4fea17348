//! `picket probe` for people.

use super::output::paint;
use crate::wire::{
    ProbeChange, ProbeDecoder, ProbeFormat, ProbeHolder, ProbeReport, ProbeSize, ProbeSound, ProbeVideo,
};
use std::fmt::Write;

/// Sizes that are listed for one pixel format; cameras have dozens.
const SIZES_MAX: usize = 6;

/// Everything.
pub(super) fn report(report: &ProbeReport) -> String {
    let mut out = String::new();
    let board = &report.board;
    let model = board.model.as_deref().unwrap_or("unknown model");
    line(&mut out, "board", &format!("{model}, {} cores, profile {}", board.cores, board.profile));
    board.notes.iter().for_each(|note| line(&mut out, "", note));
    let others: Vec<&str> = report.kernels_available.iter().copied().filter(|name| *name != report.kernels).collect();
    let also = if others.is_empty() { String::new() } else { format!(" (also {})", others.join(", ")) };
    line(&mut out, "kernels", &format!("{}{also}", report.kernels));
    let temps: Vec<String> = board.temps.iter().map(|(zone, degrees)| format!("{zone} {degrees:.1} °C")).collect();
    line(&mut out, "thermal", &listed(&temps, "no thermal zones"));
    let dogs: Vec<String> = board
        .watchdogs
        .iter()
        .map(|dog| {
            let timeout = dog.timeout_s.map_or(String::new(), |seconds| format!(", {seconds} s"));
            format!("{} {}{timeout}, {}", dog.name, dog.identity, if dog.active { "armed" } else { "not armed" })
        })
        .collect();
    line(&mut out, "watchdog", &listed(&dogs, "no hardware watchdog"));
    line(&mut out, "FFmpeg", &report.ffmpeg);
    decoders(&mut out, &report.decoders);
    out.push_str("\npicture\n");
    match report.video.is_empty() {
        true => out.push_str("  no V4L2 devices\n"),
        false => report.video.iter().for_each(|node| video(&mut out, node)),
    }
    out.push_str("\nsound\n");
    match report.sound.is_empty() {
        true => out.push_str("  no ALSA capture devices\n"),
        false => report.sound.iter().for_each(|device| sound(&mut out, device)),
    }
    out.trim_end().to_owned()
}

/// One device that came, went or changed.
pub(super) fn change(change: &ProbeChange) -> String {
    let (mark, kind) = match change.change {
        "came" => ("+", "cleared"),
        "went" => ("-", "major"),
        _ => ("~", "minor"),
    };
    let mut device = String::new();
    match (change.change, &change.video, &change.sound) {
        ("went", Some(node), _) => device = format!("{}  {}", node.path, node.card),
        ("went", _, Some(card)) => device = format!("{}  {}", card.name, card.card),
        (_, node, card) => {
            node.iter().for_each(|node| video(&mut device, node));
            card.iter().for_each(|card| sound(&mut device, card));
        }
    }
    format!("{} {}: {}", paint(mark, kind), change.change, device.trim())
}

fn line(out: &mut String, title: &str, text: &str) {
    // Writing to a String does not fail, here and below.
    let _ = writeln!(out, "{}", format!("{title:9} {text}").trim_end());
}

fn detail(out: &mut String, title: &str, text: &str) {
    let _ = writeln!(out, "    {title:9} {text}");
}

fn listed(parts: &[String], none: &str) -> String {
    if parts.is_empty() { none.to_owned() } else { parts.join(", ") }
}

fn decoders(out: &mut String, all: &[ProbeDecoder]) {
    let told = |decoder: &ProbeDecoder| match decoder.works {
        true => format!("{} {}", decoder.name, paint("works", "cleared")),
        false => format!("{} {}", decoder.name, paint(decoder.outcome, "minor")),
    };
    let of = |hardware: bool| all.iter().filter(|d| d.hardware == hardware).map(told).collect::<Vec<_>>();
    line(out, "decoders", &format!("software: {}", listed(&of(false), "none")));
    line(out, "", &format!("hardware: {}", listed(&of(true), "none in this FFmpeg")));
}

fn held(out: &mut String, holders: &[ProbeHolder]) {
    let names: Vec<String> = holders
        .iter()
        .map(|holder| match &holder.name {
            Some(name) => format!("{name} (pid {})", holder.pid),
            None => format!("pid {}", holder.pid),
        })
        .collect();
    if !names.is_empty() {
        detail(out, "in use", &format!("by {}", names.join(", ")));
    }
}

fn video(out: &mut String, node: &ProbeVideo) {
    let purpose = if node.role == "capture" { String::new() } else { format!("  [{}]", node.role) };
    let _ = writeln!(out, "  {}  {}{purpose}", node.path, if node.card.is_empty() { "?" } else { &node.card });
    if !node.driver.is_empty() {
        let planar = if node.multiplanar { ", multi-planar" } else { "" };
        let media = if node.media_controlled { ", set up by the media controller" } else { "" };
        detail(out, "driver", &format!("{} at {}{planar}{media}", node.driver, node.bus));
    }
    node.stable.iter().for_each(|name| detail(out, "also", name));
    if let Some(problem) = &node.problem {
        detail(out, "problem", &paint(problem, "major"));
    }
    held(out, &node.holders);
    if node.role != "capture" || node.problem.is_some() {
        return;
    }
    let input = node.input.as_ref().map_or(String::new(), |name| format!("  (input {name})"));
    let signal = match (node.signal, &node.measured) {
        (_, Some(timings)) => paint(timings, "cleared"),
        (Some(word), None) => paint(word, "major"),
        (None, None) => "not told by this device".to_owned(),
    };
    detail(out, "signal", &format!("{signal}{input}"));
    if let Some(timings) = node.timings.as_ref().filter(|timings| node.measured.as_ref() != Some(timings)) {
        detail(out, "set to", timings);
    }
    node.formats.iter().for_each(|format| pixel_format(out, format));
}

fn pixel_format(out: &mut String, format: &ProbeFormat) {
    let sizes: Vec<String> = format.sizes.iter().take(SIZES_MAX).map(size).collect();
    let more = format.sizes.len().saturating_sub(SIZES_MAX);
    let more = if more > 0 { format!("; {more} more sizes") } else { String::new() };
    let text = format!("{:14} {}{more}", format.description, sizes.join("; "));
    detail(out, &format.fourcc, text.trim_end());
}

fn size(size: &ProbeSize) -> String {
    // 59.94, but 60 rather than 60.00.
    let rate = |rate: &f64| format!("{rate:.2}").trim_end_matches('0').trim_end_matches('.').to_owned();
    let range = size.width_max.zip(size.height_max).map_or(String::new(), |(w, h)| format!(" to {w}x{h}"));
    let rates: Vec<String> = size.fps.iter().map(rate).collect();
    let at = if rates.is_empty() { String::new() } else { format!(" at {}", rates.join(", ")) };
    format!("{}x{}{range}{at}", size.width, size.height)
}

fn sound(out: &mut String, device: &ProbeSound) {
    let _ = writeln!(out, "  {}  {}: {}", device.name, device.card, device.device);
    if device.stable != device.name {
        detail(out, "also", &device.stable);
    }
    if let Some(problem) = &device.problem {
        detail(out, "problem", &paint(problem, "major"));
    }
    held(out, &device.holders);
    if let Some(running) = &device.running {
        detail(out, "runs at", running);
    }
    if let Some((least, most)) = device.channels_min.zip(device.channels_max) {
        let channels = if least == most { format!("{least} channels") } else { format!("{least} to {most} channels") };
        let rates: Vec<String> = device.rates.iter().map(u32::to_string).collect();
        detail(out, "can", &format!("{channels}, {} Hz, {}", rates.join(", "), device.formats.join(" ")));
    }
}
