//! Snow: noise, or streaks of single rows, that come over the whole picture and were not there before.
//!
//! Plain noise changes from picture to picture as much as from row to row, in every cell. Coders at low rates make less
//! of it than that: they keep it standing, so that only its fineness is left. Hence four signs, of which one will do,
//! each held against the most that the source itself has shown:
//! a floor of noise under all cells; texture without a picture behind it (snow that hides the programme); differences
//! from row to row alone (streaks); and more and whiter texture in all cells at once. The latter two may belong to
//! another scene, so they count only where they come within one.

use super::{Defect, Observation, Presence, Severity};
use crate::features::{Depth, Texture, VideoFeatures};
use crate::frame::FieldOrder;
use crate::time::MediaTime;
use std::time::Duration;

/// Measures are averaged over this time.
const AVERAGE: Duration = Duration::from_millis(200);
/// So much later than the end of noise they are below half of the limits, in the median.
const OUTLIVE: Duration = Duration::from_millis(300);
/// "Before" ends this long ago at least, so that what comes within this time is new.
const BEFORE: Duration = Duration::from_millis(400);
/// The most that was seen is forgotten by 2 % a second.
const FORGET: f64 = 0.02;
/// So much must have been seen to know what is usual.
const WARM_UP: Duration = Duration::from_millis(2_500);
/// A scene that has lasted this long is part of what was before.
const SCENE: Duration = Duration::from_secs(1);
/// Cell means that correlate less than this with those of the picture before belong to another scene.
const CUT: f64 = 0.8;
/// Noise from here on is snow, and what was before goes into it with this factor: grain of films stays below 5, moving
/// texture and cuts in the programme below 5.
const FLOOR: (f64, f64, f64) = (5.0, 2.0, 2.0);
/// As above where nothing is known of before: no grain and no camera has so much.
const FLOOR_UNKNOWN: f64 = 20.0;
/// Freshness of noise, from here on: moving texture has 0.2 to 0.5, noise after coding 0.75 and more.
const FRESH: f64 = 0.6;
/// Texture over what there is of a picture, and texture in code values: programme has less than 0.7, confetti all over
/// 0.8, snow at any rate more.
const BARE: (f64, f64) = (1.0, 4.0);
/// It must also be twice (logarithm) the most of before.
const BARE_RISE: f64 = 0.7;
/// A picture that changes less than this, in code values per sample, is a still pattern: even coders at low rates do
/// not let noise stand still.
const STILL: f64 = 0.3;
/// Rise, as logarithms, of vertical against horizontal texture, and of vertical texture.
const STREAKS: (f64, f64) = (0.15, 0.12);
/// Rise of whiteness, of fine steps, and of texture.
const WHITER: (f64, f64, f64) = (0.15, 0.35, 0.05);
/// Fine steps of 10 % of the cells, in code values: less is what no one sees.
const FINE: f64 = 1.0;
/// Woven fields are streaks too: bits that are combed, of those that move. Streaks comb some bits by chance.
const COMBED: f64 = 0.15;
/// What has begun goes on down to this share of each limit.
const GO_ON: f64 = 0.5;
/// After so long it is how the source is, except for snow that hides it.
const ACCEPTED: Duration = Duration::from_secs(120);
/// Noise that spoils the programme, and noise that hides it, as a standard deviation in code values.
const SIGMA: (f64, f64) = (8.0, 40.0);

/// Measures of one picture: logarithms, but for the noise itself.
const MEASURES: usize = 11;
type Measures = [f64; MEASURES];
const WHITE: usize = 0;
const STEPS: [usize; 2] = [1, 2];
const SIDED: [usize; 2] = [3, 4];
const DOWN: [usize; 3] = [5, 6, 7];
const BARENESS: usize = 8;
const NOISE: usize = 9;
const CHANGE: usize = 10;

/// The most of each measure, over two stretches of time.
#[derive(Clone, Copy, Debug, Default)]
struct Most {
    /// Of all that is longer ago.
    past: Option<Measures>,
    /// Of the stretch before this one, and of this one.
    last: Option<Measures>,
    current: Option<Measures>,
    since: MediaTime,
}

impl Most {
    fn note(&mut self, at: MediaTime, measures: &Measures) {
        let passed = at.since(self.since);
        if passed >= BEFORE {
            let lost = FORGET * passed.as_secs_f64();
            let faded = self.past.map(|past| past.map(|most| most - lost));
            self.past = higher(faded, self.last);
            (self.last, self.current, self.since) = (self.current, None, at);
        }
        self.current = higher(self.current, Some(*measures));
    }
}

fn higher(a: Option<Measures>, b: Option<Measures>) -> Option<Measures> {
    match (a, b) {
        (Some(a), Some(b)) => Some(std::array::from_fn(|n| a[n].max(b[n]))),
        (one, other) => one.or(other),
    }
}

/// A sign of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Floor,
    Bare,
    Streaks,
    Whiter,
}

/// Follows one source.
#[derive(Clone, Debug, Default)]
pub struct Noise {
    average: Option<Measures>,
    most: Most,
    began: Option<MediaTime>,
    scene: MediaTime,
    last: MediaTime,
    /// The sign, and since when.
    seen: Option<(Sign, MediaTime)>,
    ended: Option<MediaTime>,
}

impl Noise {
    /// Looks at one picture.
    pub fn observe(&mut self, features: &VideoFeatures) -> Observation {
        let at = features.stamp.at;
        if features.first {
            *self = Self { scene: at, last: at, most: Most { since: at, ..Most::default() }, ..Self::default() };
            return Observation::of(Defect::Noise);
        }
        if features.depth == Depth::Light {
            return self.say(&features.texture, true);
        }
        let passed = at.since(std::mem::replace(&mut self.last, at));
        let cut = features.alike_in_full < CUT;
        if cut {
            self.scene = at;
        }
        let now = measures(features);
        let part = if cut { 1.0 } else { 1.0 - (-passed.as_secs_f64() / AVERAGE.as_secs_f64()).exp() };
        let before = self.average.unwrap_or(now);
        let average = std::array::from_fn(|n| before[n] + (now[n] - before[n]) * part);
        self.average = Some(average);
        let began = *self.began.get_or_insert(at);
        let sign = self.sign(features, &average, at.since(began) >= WARM_UP);
        self.follow(at, sign);
        if self.seen.is_none() {
            self.most.note(at, &average);
        }
        self.say(&features.texture, false)
    }

    fn follow(&mut self, at: MediaTime, sign: Option<Sign>) {
        match (self.seen, sign) {
            (None, Some(sign)) => self.seen = Some((sign, at)),
            (Some((was, since)), Some(sign)) => {
                let accepted = at.since(since) > ACCEPTED && sign != Sign::Bare;
                // The first sign may be a weak one.
                let sign = if matches!(sign, Sign::Floor | Sign::Bare) { sign } else { was };
                self.seen = (!accepted).then_some((sign, since));
            }
            // Averages outlive what they are of.
            (Some(_), None) => (self.seen, self.ended) = (None, Some(at.minus(OUTLIVE))),
            (None, None) => {}
        }
    }

    /// What speaks for noise.
    fn sign(&self, features: &VideoFeatures, average: &Measures, known: bool) -> Option<Sign> {
        let texture = &features.texture;
        let ease = if self.seen.is_some() { GO_ON } else { 1.0 };
        let Some(past) = self.most.past.filter(|_| known) else {
            let snow = average[NOISE] > FLOOR_UNKNOWN && texture.fresh > FRESH;
            return snow.then_some(Sign::Floor);
        };
        let rise = |n: usize| (average[n] - past[n]) / ease;
        let floor = FLOOR.0.max(FLOOR.1 * past[NOISE] + FLOOR.2);
        if average[NOISE] > floor * ease && texture.fresh > FRESH * ease {
            return Some(Sign::Floor);
        }
        if average[CHANGE] < STILL * ease {
            return None;
        }
        let bare = average[BARENESS].exp() > BARE.0 * ease && fineness(texture) > BARE.1 * ease;
        if bare && rise(BARENESS) > BARE_RISE {
            return Some(Sign::Bare);
        }
        if self.seen.is_none() && features.stamp.at.since(self.scene) < SCENE {
            return None;
        }
        let sided = SIDED.iter().all(|&n| rise(n) > STREAKS.0) && DOWN.iter().all(|&n| rise(n) > STREAKS.1);
        if sided && !is_woven(features) {
            return Some(Sign::Streaks);
        }
        let fine = STEPS.iter().all(|&n| rise(n) > WHITER.1) && texture.steps[1] > FINE * ease;
        let more = rise(DOWN[1]) > WHITER.2 || self.seen.is_some();
        (rise(WHITE) > WHITER.0 && fine && more && !is_woven(features)).then_some(Sign::Whiter)
    }

    fn say(&self, texture: &Texture, light: bool) -> Observation {
        let sigma = fineness(texture).max(texture.floor);
        let (presence, since) = match self.seen {
            Some((_, since)) if !light => (Presence::Present, Some(since)),
            Some((_, since)) => (Presence::Unclear, Some(since)),
            None if light => (Presence::Unclear, self.ended),
            None => (Presence::Absent, self.ended),
        };
        let (severity, phrase) = match self.seen {
            Some((Sign::Bare, _)) => (Severity::Critical, "picture is lost in snow"),
            Some((Sign::Streaks, _)) => (Severity::Minor, "picture has streaks of noise"),
            _ if texture.floor > SIGMA.1 => (Severity::Critical, "picture is lost in snow"),
            _ if sigma > SIGMA.0 => (Severity::Major, "picture is noisy"),
            _ => (Severity::Minor, "picture is noisy"),
        };
        Observation {
            presence,
            since,
            severity,
            value: sigma,
            threshold: FLOOR.0,
            unit: "code values",
            phrase,
            ..Observation::of(Defect::Noise)
        }
    }
}

fn is_woven(features: &VideoFeatures) -> bool {
    let weave = &features.weave;
    features.field_order != FieldOrder::Progressive || f64::from(weave.combed) > COMBED * f64::from(weave.moving)
}

/// Mean texture of the busier cells, code values.
fn fineness(texture: &Texture) -> f64 {
    (texture.across[1] + texture.across[2] + texture.down[1] + texture.down[2]) / 4.0
}

fn measures(features: &VideoFeatures) -> Measures {
    let texture = &features.texture;
    // What is added keeps logarithms of next to nothing from jumping.
    let level = |value: f64| (value + 0.3).ln();
    let sided = |n: usize| level(texture.down[n]) - level(texture.across[n]);
    [
        (texture.white + 0.005).ln(),
        (texture.steps[0] + 0.1).ln(),
        (texture.steps[1] + 0.1).ln(),
        sided(1),
        sided(2),
        level(texture.down[1]),
        level(texture.down[2]),
        level(texture.down[3]),
        (fineness(texture) / texture.spread.max(2.0) + 0.02).ln(),
        texture.floor,
        features.sad_mean,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{Picture, analyzer, at};

    /// The last word on four seconds of `before` and one of `after`.
    fn then(before: impl Fn(usize) -> Picture, after: impl Fn(usize) -> Picture) -> Observation {
        let (mut analyzer, mut noise) = (analyzer(), Noise::default());
        let picture = |n: usize| if n < 100 { before(n) } else { after(n) };
        let said = (0..125).map(|n| noise.observe(analyzer.analyze(picture(n).frame(n))));
        said.last().expect("at least one picture")
    }

    fn pan(n: usize) -> Picture {
        Picture::hills(2.0 * n as f64)
    }

    #[test]
    fn noise_that_comes_is_seen_at_once() {
        for (sigma, severity) in [(10.0, Severity::Major), (60.0, Severity::Critical)] {
            let said = then(pan, |n| pan(n).noise(sigma, n as u64));
            assert_eq!((said.presence, said.severity), (Presence::Present, severity), "{sigma}");
            assert!(said.since <= Some(at(105)), "{sigma}: {:?}", said.since);
            assert!((said.value / sigma - 1.0).abs() < 0.4, "{sigma}: {}", said.value);
        }
    }

    #[test]
    fn streaks_are_seen() {
        let streaks = |n: usize| {
            move |x: usize, y: usize| {
                (x / 12 * 7 + y * 31 + n * 17).is_multiple_of(41).then_some(if n % 2 == 0 { 235.0 } else { 16.0 })
            }
        };
        assert_eq!(then(pan, |n| pan(n).over(streaks(n))).presence, Presence::Present);
    }

    #[test]
    fn grain_that_was_always_there_is_none() {
        for sigma in [5.0, 12.0] {
            let grainy = |n: usize| pan(n).noise(sigma, n as u64);
            assert_eq!(then(grainy, grainy).presence, Presence::Absent, "{sigma}");
        }
        assert_eq!(then(pan, |n| pan(n).noise(1.5, n as u64)).presence, Presence::Absent);
    }

    #[test]
    fn a_scene_with_more_texture_is_none() {
        assert_eq!(then(pan, |n| Picture::grass(3.0 * n as f64, 12.0)).presence, Presence::Absent);
    }

    #[test]
    fn it_ends() {
        let (mut analyzer, mut noise) = (analyzer(), Noise::default());
        let picture = |n: usize| if (100..125).contains(&n) { pan(n).noise(20.0, n as u64) } else { pan(n) };
        let said = (0..150).map(|n| noise.observe(analyzer.analyze(picture(n).frame(n)))).last();
        let said = said.expect("at least one picture");
        assert_eq!(said.presence, Presence::Absent);
        assert!(said.since <= Some(at(135)), "{:?}", said.since);
    }
}
