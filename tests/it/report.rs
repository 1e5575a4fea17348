//! The page of `analyze --report`: whole, alone, and the same each time.

use crate::support::{ffmpeg, lines, picket, ran, text};
use std::path::Path;

/// Elements without an end tag.
const VOID: [&str; 3] = ["meta", "img", "path"];

/// Analyses `input` and hands out the page and the events.
fn reported(input: &str, folder: &Path) -> (String, Vec<serde_json::Value>) {
    let page = folder.join("page.html");
    let output =
        picket().args(["analyze", input, "--format", "ndjson", "--report"]).arg(&page).output().expect("starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    (std::fs::read_to_string(&page).expect("written"), lines(&output.stdout))
}

/// Each element is closed where it should be, each attribute quoted, no id given twice, and links have their ends.
fn assert_well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let (mut ids, mut links) = (Vec::new(), Vec::new());
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a document");
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[..end];
        let name = tag.trim_start_matches('/').split([' ', '/']).next().expect("a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "at {:?}", &rest[..rest.len().min(80)]);
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
        let parts: Vec<&str> = tag.split('"').collect();
        assert_eq!(parts.len() % 2, 1, "quotes are closed in <{tag}>");
        for pair in parts.chunks_exact(2) {
            assert!(pair[0].ends_with('=') && !pair[1].contains('<'), "{tag}");
            match pair[0].rsplit(' ').next() {
                Some("id=") => ids.push(pair[1]),
                Some("href=") => links.push(pair[1].strip_prefix('#').expect("a place in the page")),
                _ => {}
            }
        }
        rest = &rest[end + 1..];
        if matches!(name, "style" | "script") && !tag.starts_with('/') {
            rest = &rest[rest.find("</").expect("it ends")..];
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "no id twice");
    assert!(links.iter().all(|link| ids.contains(link)), "{links:?} in {ids:?}");
}

/// Nothing is fetched from anywhere.
fn assert_alone(page: &str) {
    for outside in ["http:", "https:", "url(", "@import", "src=\"/", "<link", "<iframe"] {
        let found: Vec<&str> = page.match_indices(outside).map(|(at, _)| &page[at..][..40]).collect();
        assert!(found.is_empty(), "{found:?}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_page_tells_what_the_events_tell() {
    let folder = tempfile::tempdir().expect("a folder");
    let (page, events) = reported("pattern:defects", folder.path());
    assert_well_formed(&page);
    assert_alone(&page);
    let raised: Vec<&serde_json::Value> = events.iter().filter(|event| event["state"] == "raised").collect();
    assert!(raised.len() >= 3, "{events:?}");
    assert_eq!(page.matches("<article").count(), raised.len(), "a card for each");
    assert_eq!(page.matches("<tr class=").count(), raised.len(), "a row for each");
    assert!(page.contains(&format!("<strong>{} incidents</strong>", raised.len())));
    for event in &raised {
        let line = event["text"].as_str().expect("text");
        assert!(page.contains(line), "{line}");
        assert!(event["evidence"]["sha256"].is_string(), "a report implies pictures");
    }
    let pictures = events.iter().filter(|event| event["evidence"].is_object()).count();
    assert_eq!(page.matches("data:image/jpeg;base64,/9j/").count(), pictures);
    for part in ["Mean luma", "Motion", "Noise", "Loudness", "Level", "limit 98", "aria-label=\"Freeze: 1 incident\""] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page, reported("pattern:defects", folder.path()).0, "the same bytes");
    let left: Vec<_> = folder.path().read_dir().expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["page.html"], "no part of it is left");
}

#[test]
fn names_of_files_are_only_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("<img src=x onerror=alert(1)> & 'sound' \"only\".wav").display().to_string();
    ffmpeg(&["-f", "lavfi", "-i", "anoisesrc=d=2:a=0.1:seed=1", &input]);
    let (page, _) = reported(&input, folder.path());
    assert_well_formed(&page);
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt; &amp; &#39;sound&#39; &quot;only&quot;.wav"));
    assert!(page.contains("Nothing in this input to judge by") && !page.contains("Mean luma"), "sound only");
}

#[test]
fn a_page_that_cannot_be_is_told_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    for place in [at("none/page.html"), at(""), "/".to_owned()] {
        let output = ran(&["analyze", "pattern:loop", "--report", &place]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{error}");
        assert!(error.contains("cannot be written") && error.trim_end().lines().count() == 1, "{error}");
    }
    assert_eq!(ran(&["analyze", &at("missing.ts"), "--report", &at("page.html")]).status.code(), Some(3));
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 0, "nothing is left behind");
}
