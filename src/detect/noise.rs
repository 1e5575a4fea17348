//! Snow, heavy noise, and streaks of impulses that were not there before.
//!
//! White noise has steps between neighbours, across and down, and from picture to picture, in every part of the picture,
//! the flattest too, while means of cells stay. Texture has flat parts, and was there before. Coders wash noise out
//! between key pictures, so that one picture with noise all over is evidence, and one without it none.

use super::past::Past;
use super::{Defect, Observation, Presence, Severity};
use crate::features::{Depth, VideoFeatures, at_rank};
use crate::kernels::{CELL, LumaCell};
use crate::time::MediaTime;
use std::time::Duration;

/// Steps, across and down, that nine tenths of the cells exceed, code values per pair of samples: noise of sigma 5.
/// Film grain of that sigma is coded down to less than half of it; grass and water all over the picture reach 3.
const STEP: f64 = 5.5;
/// As many times what was usual in the scene: grain does not come in mid-scene.
const OVER_USUAL: f64 = 3.0;
/// Change between pictures, per sample, that nine tenths of the cells exceed in noise all over.
const CHANGE: f64 = 5.0;
/// Snow without a scene: tiles deviate less than this from one grey, ...
const FLAT: f64 = 8.0;
/// ... cells change this much, ...
const SNOW_CHANGE: f64 = 10.0;
/// ... their means by less than this share of it, ...
const SNOW_MEANS: f64 = 0.25;
/// ... it has no colour of its own: chroma of cells, which average coloured noise too, stays so near to neutral, ...
const SNOW_COLOUR: f64 = 12.0;
/// ... and some have sharp steps, across and down, code values per pair: coders leave snow in patches.
const SNOW_STEP: f64 = 12.0;
const SNOW_PATCHES: f64 = 0.04;
/// A streak is brighter or darker than all that its cell had before, by this much, code values; ...
const STREAK: i32 = 40;
/// ... it is thin: it adds more steps downwards than across, this many times, ...
const STREAK_THIN: i32 = 5;
/// ... at least this many code values per pair, ...
const STREAK_STEP: i32 = 240;
/// ... and does not change the mean by more than this, code values.
const STREAK_MEAN: f32 = 3.0;
/// Share of the cells with streaks, %, when they are a defect, and the most that a scene may have had before: sparks and
/// confetti are round, and go on for the whole scene.
const STREAKED: (f64, f64) = (3.0, 1.0);
/// The sparsest quarter of the picture has at least this share of what the whole has.
const EVERYWHERE: f64 = 0.35;
/// Streaks are counted over this time, and what is usual over the other.
const FAST: Duration = Duration::from_millis(300);
const SLOW: Duration = Duration::from_secs(5);
/// Noise not seen for this long is gone: longer than key pictures are apart in most streams.
const GONE: Duration = Duration::from_millis(2_500);
/// What is usual is known after this.
const KNOWN: Duration = Duration::from_millis(500);
/// Most rows of cells that are looked at: more tell the same.
const ROWS_MAX: usize = 36;

/// Follows the noise of one source.
#[derive(Clone, Debug, Default)]
pub struct Noise {
    /// Usual steps of the scene, code values.
    usual: f64,
    /// Usual share of streaks, and the share now, %.
    streaks: (f64, f64),
    scene_since: Option<MediaTime>,
    cut_at: Option<MediaTime>,
    last: Option<MediaTime>,
    present: Option<(MediaTime, Kind)>,
    seen_at: MediaTime,
    /// Steps of the last pictures: of 0.3 s at 60 a second.
    steps: heapless::Deque<(MediaTime, f64), 20>,
    good_since: Option<MediaTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Snow,
    Streaks,
}

/// Numbers of one picture.
struct Seen {
    /// Steps that nine tenths of the cells exceed, code values.
    step: f64,
    /// Change that nine tenths of the cells exceed, and its median, code values.
    change: (f64, f64),
    /// Share of cells with sharp steps both ways.
    patches: f64,
    /// Share of cells with streaks, %, of the whole and of the sparsest quarter.
    streaks: (f64, f64),
}

impl Noise {
    /// Looks at one picture; `past` are those before it.
    pub(super) fn observe(&mut self, features: &VideoFeatures, past: &Past) -> Observation {
        let at = features.stamp.at;
        if features.depth == Depth::Light || features.first || features.left_out {
            return self.say(Presence::Unclear, self.usual);
        }
        if features.cut || self.scene_since.is_none() {
            // What a source begins with may be anything.
            self.cut_at = self.scene_since.map(|_| at);
            self.scene_since = Some(at);
            self.usual = 0.0;
            if self.present.is_none() {
                self.streaks = (0.0, 0.0);
            }
        }
        let seen = Seen::of(features);
        let step = self.last.map_or(Duration::ZERO, |last| at.since(last));
        self.last = Some(at);
        let gain = |over: Duration| (step.as_secs_f64() / over.as_secs_f64()).min(1.0);
        self.streaks.1 += gain(FAST) * (seen.streaks.0 - self.streaks.1);
        let found = self.judge(features, past, &seen);
        if self.steps.is_full() {
            self.steps.pop_front();
        }
        // Room was just made.
        let _ = self.steps.push_back((at, seen.step));
        if let Some((since, kind)) = found {
            self.seen_at = at;
            self.present.get_or_insert((since, kind));
            return self.say(Presence::Present, seen.step);
        }
        let gone = at.since(self.seen_at) > GONE;
        if self.present.is_some() && (features.intra || gone) {
            self.present = None;
            self.good_since = Some(if gone { self.seen_at } else { at });
        }
        if self.present.is_none() {
            self.streaks.0 += gain(SLOW) * (seen.streaks.0 - self.streaks.0);
            self.usual = self.usual.max(0.5 * seen.step) + gain(SLOW) * (seen.step - self.usual);
            return self.say(Presence::Absent, seen.step);
        }
        self.say(Presence::Unclear, seen.step)
    }

    /// Since when there is noise, by this picture.
    fn judge(&self, features: &VideoFeatures, past: &Past, seen: &Seen) -> Option<(MediaTime, Kind)> {
        let at = features.stamp.at;
        let known = self.scene_since.is_some_and(|since| at.since(since) >= KNOWN);
        let all_over = seen.step >= STEP && seen.change.0 >= CHANGE;
        // What a dissolve brings comes slowly, and with another scene.
        let came = past.recent(features).any(|before| {
            let was = self.steps.iter().rev().find(|(at, _)| *at <= before.at).map_or(f64::INFINITY, |(_, step)| *step);
            seen.step >= OVER_USUAL * was && before.is_scene_of(&features.coarse)
        });
        let over_usual = came && seen.step >= OVER_USUAL * self.usual;
        // Noise that is there already goes on through a cut.
        if all_over && (self.present.is_some() || (known && over_usual)) {
            return Some((at, Kind::Snow));
        }
        let flat = features.coarse.deviation() < FLAT;
        let still = features.change < SNOW_MEANS * seen.change.1;
        let neutral = features.saturation < SNOW_COLOUR;
        let snow = flat && still && neutral && seen.change.0 >= SNOW_CHANGE && seen.patches >= SNOW_PATCHES;
        // Snow comes with the loss of the scene.
        if let (true, Some(cut_at)) = (snow, self.cut_at)
            && (self.present.is_some() || at.since(cut_at) <= GONE)
        {
            return Some((cut_at, Kind::Snow));
        }
        let (usual, now) = self.streaks;
        let everywhere = seen.streaks.1 >= EVERYWHERE * seen.streaks.0;
        let streaked = now >= STREAKED.0 && usual <= STREAKED.1 && everywhere && known;
        streaked.then(|| (MediaTime(at.0 - FAST.as_nanos() as i64 / 2), Kind::Streaks))
    }

    fn say(&self, presence: Presence, step: f64) -> Observation {
        let streaks = matches!(self.present, Some((_, Kind::Streaks)));
        Observation {
            presence,
            since: self.present.map(|(since, _)| since).or(self.good_since),
            severity: if streaks { Severity::Minor } else { Severity::Major },
            value: if streaks { self.streaks.1 } else { step },
            threshold: if streaks { STREAKED.0 } else { STEP },
            unit: if streaks { "%" } else { "code values" },
            phrase: if streaks { "picture has streaks of noise" } else { "picture is noisy" },
            ..Observation::of(Defect::Noise)
        }
    }
}

impl Seen {
    fn of(features: &VideoFeatures) -> Self {
        let grid = features.grid;
        let every = grid.rows.div_ceil(ROWS_MAX).max(1);
        // In quarters of a code value.
        let (mut steps, mut changes) = ([0_u32; 256], [0_u32; 256]);
        let (mut cells, mut patches, mut streaks) = (0_u32, 0_u32, [[0_u32; 2]; 4]);
        let sharp = (SNOW_STEP * LumaCell::PAIRS) as u16;
        // Cells at the right and lower edge may be smaller.
        let (columns, rows) = (grid.width / CELL, grid.height / CELL);
        for row in (0..rows).step_by(every) {
            let places = row * grid.columns..row * grid.columns + columns;
            let means = features.means[places.clone()].iter().zip(&features.means_before[places.clone()]);
            let pairs = features.cells[places.clone()].iter().zip(&features.before[places]);
            for (column, ((now, before), (mean, mean_before))) in pairs.zip(means).enumerate() {
                let step = now.across.min(now.down);
                steps[usize::from(step / 60).min(255)] += 1;
                changes[usize::from(now.sad / 64).min(255)] += 1;
                patches += u32::from(step >= sharp);
                let quarter = usize::from(row * 2 >= rows) * 2 + usize::from(column * 2 >= columns);
                streaks[quarter][0] += 1;
                streaks[quarter][1] += u32::from((mean - mean_before).abs() <= STREAK_MEAN && is_streaked(now, before));
                cells += 1;
            }
        }
        // A light look before this one knows no steps.
        if features.before.iter().all(|before| before.across == 0) {
            streaks = [[1, 0]; 4];
        }
        let share = |[all, with]: [u32; 2]| 100.0 * f64::from(with) / f64::from(all.max(1));
        let whole = streaks.iter().fold([0, 0], |[a, b], [c, d]| [a + c, b + d]);
        Self {
            step: quantile(&steps, cells, 10),
            change: (quantile(&changes, cells, 10), quantile(&changes, cells, 50)),
            patches: f64::from(patches) / f64::from(cells.max(1)),
            streaks: (share(whole), streaks.into_iter().map(share).fold(f64::INFINITY, f64::min)),
        }
    }
}

/// Something thin and far brighter or darker than all else is new in the cell.
fn is_streaked(now: &LumaCell, before: &LumaCell) -> bool {
    let brighter = i32::from(now.max) - i32::from(before.max);
    let darker = i32::from(before.min) - i32::from(now.min);
    let down = i32::from(now.down) - i32::from(before.down);
    let across = i32::from(now.across) - i32::from(before.across);
    brighter.max(darker) >= STREAK && down >= STREAK_STEP && 2 * down >= STREAK_THIN * across
}

/// The `percent` quantile of values counted in quarters.
fn quantile(counts: &[u32; 256], all: u32, percent: u32) -> f64 {
    at_rank(counts, all * percent / 100).unwrap_or(0) as f64 / 4.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{self, Picture, at, present};

    fn told(pictures: usize, picture: impl Fn(usize) -> Picture) -> Vec<Observation> {
        let mut detector = Noise::default();
        testing::told((0..pictures).map(picture), |features, past| detector.observe(features, past))
    }

    #[test]
    fn noise_that_comes_over_a_scene_is_told_and_grain_is_not() {
        let scene = |n: usize, sigma: f64| Picture::hills(n as f64).noise(sigma, n as u64 + 1);
        let said = told(80, |n| scene(n, if (30..60).contains(&n) { 15.0 } else { 1.0 }));
        assert_eq!(present(&said), (30..60).collect::<Vec<_>>());
        assert_eq!(said[40].since, Some(at(30)));
        assert!(present(&told(60, |n| scene(n, 3.0))).is_empty());
        assert!(present(&told(60, |n| scene(n, if n < 30 { 1.0 } else { 4.0 }))).is_empty());
    }

    #[test]
    fn noise_goes_on_through_a_cut_and_ended_when_it_was_seen_last() {
        let said = told(160, |n| {
            let scene = if n < 50 { Picture::hills(n as f64) } else { Picture::slate() };
            scene.noise(if (30..80).contains(&n) { 15.0 } else { 1.0 }, n as u64 + 1)
        });
        assert_eq!(present(&said), (30..80).collect::<Vec<_>>());
        assert_eq!((said[159].presence, said[159].since), (Presence::Absent, Some(at(79))));
    }

    #[test]
    fn snow_in_place_of_a_scene_is_told_since_the_cut() {
        let said =
            told(
                60,
                |n| if n < 30 { Picture::hills(n as f64) } else { Picture::new(|_, _| 126.0).noise(60.0, n as u64) },
            );
        assert_eq!(present(&said), (31..60).collect::<Vec<_>>(), "the cut itself tells nothing");
        assert_eq!(said[40].since, Some(at(30)));
    }

    #[test]
    fn a_lattice_with_a_colour_is_no_snow() {
        let lattice = |n: usize| Picture::new(|_, _| 126.0).noise(60.0, n as u64).chroma(118, 146);
        assert!(present(&told(60, |n| if n < 30 { Picture::hills(n as f64) } else { lattice(n) })).is_empty());
    }

    #[test]
    fn streaks_of_impulses_are_told_and_sparks_are_not() {
        let thin = |n: usize, w: usize, h: usize| {
            move |x: usize, y: usize| {
                let hash = (x / w * 7_919 + y / h * 104_729 + n * 1_299_709) % 1_009;
                (hash < 20).then_some(if hash.is_multiple_of(2) { 235.0 } else { 16.0 })
            }
        };
        let said = told(60, |n| {
            let scene = Picture::hills(n as f64 / 4.0);
            if n < 30 { scene } else { scene.over(thin(n, 8, 1)) }
        });
        let when = present(&said);
        assert!(when.first().is_some_and(|first| (31..38).contains(first)) && when.contains(&59), "{when:?}");
        assert_eq!(said[59].phrase, "picture has streaks of noise");
        let sparks = told(60, |n| {
            let scene = Picture::hills(n as f64 / 4.0);
            if n < 30 { scene } else { scene.over(thin(n, 3, 3)) }
        });
        assert!(present(&sparks).iter().all(|&n| sparks[n].phrase != "picture has streaks of noise"));
    }
}
