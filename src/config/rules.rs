//! How defects are judged on a source, and what is expected when: from keys to rules.

use super::forms;
use super::mistake::{Origin, quoted};
use super::nearest::nearest;
use super::raw::{self, Form, Leaf};
use super::validate::{Check, within};
use crate::alert::{Expected, Often, Profile, Rule, Settings};
use crate::detect::{Defect, Severity};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Check<'_> {
    /// The profile, and over it the source's own keys.
    pub(super) fn incidents(&mut self, raw: &raw::Source) -> Settings {
        let profile = self.value(&raw.keys.profile, profile).unwrap_or_default();
        let mut settings = profile.settings();
        for (defect, keys) in Defect::ALL.into_iter().zip(&raw.detect) {
            *settings.rule_mut(defect) = self.rule(defect, keys, *settings.rule(defect));
        }
        for (path, origin, keys) in &raw.expect {
            settings.expected.extend(self.expected(path, origin, keys));
        }
        settings
    }

    fn rule(&mut self, defect: Defect, keys: &raw::Detect, base: Rule) -> Rule {
        let mut rule = base;
        let mut hold = base.hold.unwrap_or_else(|| crate::alert::Hold::default_for(defect));
        for (leaf, place) in [(&keys.raise_after, &mut hold.raise_after), (&keys.clear_after, &mut hold.clear_after)] {
            if leaf.given.is_some() {
                *place = self.duration(leaf);
            }
        }
        let watched = if keys.enabled.given.is_some() { keys.enabled.switch() } else { base.hold.is_some() };
        rule.hold = watched.then_some(hold);
        rule.levels.raise = self.measure(defect, &keys.raise_level);
        rule.levels.clear = self.measure(defect, &keys.clear_level);
        self.order(defect, keys, &rule);
        rule.severity = self.value(&keys.severity, severity).or(base.severity);
        rule.often = self.often(keys).or(base.often);
        rule
    }

    /// A level in the unit of the defect's measure.
    fn measure(&mut self, defect: Defect, leaf: &Leaf) -> Option<f64> {
        let text = leaf.text()?;
        let Some((own, unit)) = defect.levels() else {
            let others = Defect::ALL.into_iter().filter(|other| other.levels().is_some()).map(Defect::name);
            let right = format!(
                "no such key here: levels can be set for {}; try raise_after, severity or enabled",
                others.collect::<Vec<_>>().join(", ")
            );
            self.wrong(leaf, format!("{} has no level that could be set", defect.name()), right);
            return None;
        };
        match forms::level(text, unit) {
            Ok(level) => Some(level),
            Err(wrong) => {
                let own = if leaf.key.name == "clear_level" { own.clear } else { own.raise };
                self.wrong(
                    leaf,
                    format!("{} {wrong}", quoted(text)),
                    format!("a level in {unit}, such as \"{own}{unit}\""),
                );
                None
            }
        }
    }

    /// Levels must leave the same side worse as the detector's own.
    fn order(&mut self, defect: Defect, keys: &raw::Detect, rule: &Rule) {
        let Some((own, unit)) = defect.levels() else { return };
        let asked = rule.levels.over(own);
        if (own.raise > own.clear && asked.raise < asked.clear) || (own.raise < own.clear && asked.raise > asked.clear)
        {
            let side = if own.raise > own.clear { "below" } else { "above" };
            let leaf = if keys.clear_level.given.is_some() { &keys.clear_level } else { &keys.raise_level };
            let wrong = format!("{}{unit} clears where {}{unit} raises", asked.clear, asked.raise);
            self.wrong(leaf, wrong, format!("a clear_level {side} the raise_level"));
        }
    }

    fn often(&mut self, keys: &raw::Detect) -> Option<Often> {
        let window = self.duration(&keys.window);
        if keys.present_share.given.is_none() {
            self.wrong(&keys.window, "needs present_share beside it".to_owned(), "both, or neither".to_owned());
            return None;
        }
        let Form::Share(least, most) = keys.present_share.key.form else { return None };
        let shown = |share: f64| format!("{share}%");
        let share = self.value(&keys.present_share, |text| within(forms::percent(text)?, least, most, shown))?;
        Some(Often { share: share / 100.0, window })
    }

    fn expected(&mut self, path: &str, origin: &Origin, keys: &raw::Expect) -> Option<Expected> {
        for leaf in [&keys.from, &keys.to, &keys.states].into_iter().filter(|leaf| leaf.given.is_none()) {
            self.missing(origin, &format!("{path}.{}", leaf.key.name), leaf.key.form);
        }
        let (from, to) = (self.value(&keys.from, hour), self.value(&keys.to, hour));
        let (days, zone) = (self.value(&keys.days, days), self.value(&keys.zone, zone));
        let states = self.value(&keys.states, states);
        Some(Expected { from: from?, to: to?, days: days?, zone: zone?, states: states? })
    }
}

fn profile(text: &str) -> Result<Profile, String> {
    let known = Profile::ALL.into_iter().find(|profile| profile.name() == text);
    known.ok_or_else(|| match nearest(text, Profile::ALL.iter().map(|profile| profile.name())) {
        Some(near) => format!("is no profile; did you mean \"{near}\"?"),
        None => "is no profile".to_owned(),
    })
}

fn severity(text: &str) -> Result<Severity, String> {
    let all = [Severity::Warning, Severity::Minor, Severity::Major, Severity::Critical];
    all.into_iter().find(|severity| severity.name() == text).ok_or_else(|| "is no severity".to_owned())
}

/// Seconds of the day.
fn hour(text: &str) -> Result<u32, String> {
    let number =
        |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?;
    let parts = text.split_once(':').and_then(|(hours, minutes)| Some((number(hours)?, number(minutes)?)));
    match parts {
        Some((hours @ 0..24, minutes @ 0..60)) => Ok(hours * 3600 + minutes * 60),
        Some((24, 0)) => Ok(24 * 3600),
        _ => Err("is no time of the day".to_owned()),
    }
}

/// Single days and ranges, which may go over the end of the week.
fn days(text: &str) -> Result<[bool; 7], String> {
    let number =
        |name: &str| DAYS.iter().position(|day| *day == name).ok_or_else(|| "has a day that is none".to_owned());
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        let (first, last) = (number(first)?, number(last)?);
        (0..=(last + 7 - first) % 7).for_each(|n| days[(first + n) % 7] = true);
    }
    Ok(days)
}

/// Seconds ahead of UTC.
fn zone(text: &str) -> Result<i32, String> {
    if text == "UTC" {
        return Ok(0);
    }
    let wrong = || "is no distance from UTC".to_owned();
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(wrong()),
    };
    let seconds = i32::try_from(hour(rest).map_err(|_| wrong())?).map_err(|_| wrong())?;
    // UTC+14 is the farthest in use.
    if seconds <= 14 * 3600 { Ok(sign * seconds) } else { Err(wrong()) }
}

fn states(text: &str) -> Result<Vec<Defect>, String> {
    let named = |name: &str| {
        Defect::ALL.into_iter().find(|defect| defect.name() == name.trim()).ok_or_else(|| {
            let near = nearest(name, Defect::ALL.iter().map(|defect| defect.name()));
            let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
            format!("names {name:?}, which is no defect{hint}")
        })
    };
    text.split(',').map(named).collect()
}

/// Days as they are written, for the settings that stand.
pub(super) fn days_text(days: [bool; 7]) -> String {
    if days == [true; 7] {
        return "mon-sun".to_owned();
    }
    let names = DAYS.iter().zip(days).filter(|(_, on)| *on).map(|(name, _)| *name);
    names.collect::<Vec<_>>().join(",")
}
