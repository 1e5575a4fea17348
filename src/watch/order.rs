//! Which devices are listed, and in which order.

use super::device::Device;
use super::fleet::Fleet;
use super::verdict::Verdict;
use crate::ids::DeviceId;
use std::cmp::Ordering;

/// By what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// The worst first; among those the youngest, so that news is on top.
    #[default]
    Trouble,
    /// By site and name.
    Name,
    /// The busiest processor first.
    Load,
    /// The hottest first.
    Heat,
}

impl Sort {
    pub(super) fn next(self) -> Self {
        match self {
            Sort::Trouble => Sort::Name,
            Sort::Name => Sort::Load,
            Sort::Load => Sort::Heat,
            Sort::Heat => Sort::Trouble,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Trouble => "trouble",
            Sort::Name => "name",
            Sort::Load => "cpu",
            Sort::Heat => "heat",
        }
    }
}

/// What is listed.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// In order.
    pub ids: Vec<DeviceId>,
    /// Devices of each verdict, in the order of [`Verdict::ALL`], whatever the filter.
    pub devices: [usize; 6],
    /// Sources of each verdict.
    pub sources: [usize; 6],
}

impl Listing {
    /// Of `fleet`, those that have every word of `filter`.
    pub(super) fn of(fleet: &Fleet, filter: &str, sort: Sort) -> Self {
        let words: Vec<String> = filter.split_whitespace().map(str::to_lowercase).collect();
        let mut listing = Self::default();
        let mut listed: Vec<&Device> = Vec::with_capacity(fleet.devices().len());
        for device in fleet.devices() {
            listing.devices[device.verdict as usize] += 1;
            for source in &device.sources {
                listing.sources[source.verdict as usize] += 1;
            }
            if words.iter().all(|word| has(device, word)) {
                listed.push(device);
            }
        }
        listed.sort_unstable_by(|a, b| compare(a, b, sort));
        listing.ids = listed.into_iter().map(|device| device.id.clone()).collect();
        listing
    }
}

/// Whether a word of the filter fits: names, the verdict, a source, a defect.
fn has(device: &Device, word: &str) -> bool {
    device.text.contains(word)
        || device.verdict.name() == word
        || device.sources.iter().any(|source| {
            source.id.as_str().contains(word)
                || (source.verdict.is_trouble() && source.verdict.name() == word)
                || source.open.iter().any(|open| open.defect.contains(word))
        })
}

fn compare(a: &Device, b: &Device, sort: Sort) -> Ordering {
    let by = |value: fn(&Device) -> Option<f64>| value(b).unwrap_or(-1.0).total_cmp(&value(a).unwrap_or(-1.0));
    let names = || a.site.cmp(&b.site).then_with(|| natural(a.label(), b.label())).then_with(|| a.id.cmp(&b.id));
    let first = match sort {
        Sort::Trouble => trouble(a, b),
        Sort::Name => Ordering::Equal,
        Sort::Load => by(|device| device.health.as_ref().and_then(|health| health.cpu_pct)),
        Sort::Heat => by(|device| device.health.as_ref().and_then(|health| health.temp_c)),
    };
    first.then_with(names)
}

/// "Rack 9" before "Rack 10".
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (one, other) = (chunk(&mut a), chunk(&mut b));
        let order = match (one.parse::<u64>(), other.parse::<u64>()) {
            (Ok(one), Ok(other)) => one.cmp(&other),
            _ => one.cmp(other),
        };
        if order.is_ne() || one.is_empty() {
            return order;
        }
    }
}

/// Takes what begins `text`: digits, or everything up to the next digit.
fn chunk<'a>(text: &mut &'a str) -> &'a str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    let (begin, rest) = text.split_at(end);
    *text = rest;
    begin
}

fn trouble(a: &Device, b: &Device) -> Ordering {
    let worst =
        |device: &Device| device.sources.iter().filter_map(|source| source.worst()).map(|open| open.severity).min();
    let severity = |device: &Device| worst(device).map_or(9, |severity| severity as u8);
    a.verdict.cmp(&b.verdict).then_with(|| match a.verdict {
        Verdict::Ok | Verdict::Off => Ordering::Equal,
        _ => severity(a).cmp(&severity(b)).then(b.since_ms.cmp(&a.since_ms)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["b 1", "a 10", "a 9", "a", "", "a 9 x", "a 09", "10", "9", "a 99999999999999999999999"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["", "9", "10", "a", "a 9", "a 09", "a 9 x", "a 10", "a 99999999999999999999999", "b 1"]);
    }
}
