//! Picture by picture, once the lag is known: what the encoder lost, what it showed twice, how like it is.

use super::block::{CELLS, PicturePrint};
use super::phase::{Follows, Lag};
use super::track::Track;
use crate::time::MediaTime;
use std::collections::VecDeque;

/// A step this much longer than the usual leaves a picture out.
const GAP: f64 = 1.6;
/// The input changed by at least this from one to the other, code values: coders let smaller changes stand, ...
pub(super) const MOVES: f64 = 0.25;
/// ... but where it is known that pictures are repeated, this is enough to tell whose ...
pub(super) const MOVES_KNOWN: f64 = 0.04;
/// ... and the output by no more than this share of it: it shows the same picture again.
const SAME: f64 = 0.12;
/// Constant of SSIM (Wang et al., 2004), of means.
const C1: f64 = 6.5;
/// What coding leaves of the detail, as steps between samples in tenths of a code value and this, to the power of that,
/// comes near what SSIM says: fitted to x264 and x265 from CRF 18 to 40 (DETECTION.md states the error).
const DETAIL: f64 = 12.0;
const DETAIL_POWER: f64 = 0.6;

/// Pictures that are not what they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pictures {
    /// Of the output.
    pub seen: u32,
    /// That the input has and the output left out.
    pub missing: u32,
    /// Of which is known which one of the input they show: a converter of rates repeats without fault.
    pub followed: u32,
    /// Of these, that the output shows again while the input goes on.
    pub repeated: u32,
}

impl std::ops::AddAssign for Pictures {
    fn add_assign(&mut self, other: Self) {
        self.seen += other.seen;
        self.missing += other.missing;
        self.followed += other.followed;
        self.repeated += other.repeated;
    }
}

/// The pictures of `output` after `from` up to `to` against those of `input`, `lag` before.
pub(super) fn compare(
    (input, output): (&Track, &Track),
    lag: Lag,
    (from, to): (MediaTime, MediaTime),
    moves: f64,
) -> Pictures {
    let usual = output.picture_step().max(1) as f64;
    let mut found = Pictures::default();
    let start = output.pictures.partition_point(|picture| picture.at <= from).max(1);
    for index in start..output.pictures.len() {
        let (before, now) = (output.pictures[index - 1], output.pictures[index]);
        if now.at > to {
            break;
        }
        found.seen += 1;
        let pictures = &input.pictures;
        if let Some((was, is)) = nearest(pictures, before.at.0 - lag.ns).zip(nearest(pictures, now.at.0 - lag.ns)) {
            let step = (now.at.0 - before.at.0) as f64;
            if step > GAP * usual && is > was + 1 {
                found.missing += (step / usual).round() as u32 - 1;
            }
        }
        let Some((was, is)) = shown(pictures, &before, lag).zip(shown(pictures, &now, lag)) else { continue };
        found.followed += 1;
        let moved = change(&pictures[was], &pictures[is]);
        found.repeated += u32::from(moved >= moves && change(&before, &now) <= SAME * moved);
    }
    found
}

/// The picture of the input that `picture` of the output should show, where that is known: at the edges of its time the
/// one before does as well.
fn shown(input: &VecDeque<PicturePrint>, picture: &PicturePrint, lag: Lag) -> Option<usize> {
    let began = |lag: i64| input.partition_point(|other| other.at.0 <= picture.at.0 - lag).checked_sub(1);
    match lag.follows {
        Follows::Nearest => nearest(input, picture.at.0 - lag.ns),
        Follows::Held(first, last) => began(last).filter(|shown| began(first) == Some(*shown)),
        Follows::Unknown => None,
    }
}

/// Pictures of one source alone that lie too far apart or change by next to nothing among others that do, after `from` up
/// to `to`.
pub(super) fn stumbles(track: &Track, from: MediaTime, to: MediaTime) -> usize {
    let usual = track.picture_step().max(1) as f64;
    let start = track.pictures.partition_point(|picture| picture.at <= from).max(1);
    let all = || (start..track.pictures.len()).map(|index| (&track.pictures[index - 1], &track.pictures[index]));
    let steps = || all().take_while(|(_, now)| now.at <= to);
    let mut changes: Vec<f64> = steps().map(|(before, now)| change(before, now)).collect();
    changes.sort_unstable_by(f64::total_cmp);
    let middle = changes.get(changes.len() / 2).copied().unwrap_or(0.0);
    let stands =
        |before: &PicturePrint, now: &PicturePrint| middle >= MOVES_KNOWN && change(before, now) <= SAME * middle;
    let apart = |before: &PicturePrint, now: &PicturePrint| (now.at.0 - before.at.0) as f64 > GAP * usual;
    steps().filter(|(before, now)| stands(before, now) || apart(before, now)).count()
}

/// The picture that is shown at about `at`.
fn nearest(pictures: &VecDeque<PicturePrint>, at: i64) -> Option<usize> {
    let after = pictures.partition_point(|picture| picture.at.0 < at);
    let apart = |index: usize| pictures.get(index).map_or(i64::MAX, |picture| (picture.at.0 - at).abs());
    let before = after.saturating_sub(1);
    let index = if apart(before) < apart(after) { before } else { after };
    (apart(index) < 500_000_000).then_some(index)
}

/// Mean change of the cells, code values.
pub(super) fn change(a: &PicturePrint, b: &PicturePrint) -> f64 {
    let sum: u32 = a.cells.iter().zip(&b.cells).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    f64::from(sum) / (64 * CELLS) as f64
}

/// Likeness of the pictures over the last seconds up to `to`, 0 to 1; only where both are of one size.
pub(super) fn quality(input: &Track, output: &Track, lag: i64, to: MediaTime) -> Option<f64> {
    if input.width != output.width {
        return None;
    }
    let (mut sum, mut count) = (0.0, 0_u32);
    for (at, texture) in output.textures.iter().rev().skip_while(|(at, _)| *at > to).take(5) {
        let there = MediaTime(at.0 - lag);
        let apart = |other: &&(MediaTime, [u8; CELLS])| (other.0.0 - there.0).abs();
        let Some((_, other)) = input.textures.iter().min_by_key(apart).filter(|other| apart(other) < 700_000_000)
        else {
            continue;
        };
        let means = nearest(&output.pictures, at.0).zip(nearest(&input.pictures, there.0));
        let Some((now, then)) = means.map(|(now, then)| (output.pictures[now], input.pictures[then])) else { continue };
        for cell in 0..CELLS {
            let luma = alike(f64::from(now.cells[cell]) / 64.0, f64::from(then.cells[cell]) / 64.0, C1);
            let (a, b) = (f64::from(texture[cell]) + DETAIL, f64::from(other[cell]) + DETAIL);
            sum += luma * (a.min(b) / a.max(b)).powf(DETAIL_POWER);
            count += 1;
        }
    }
    (count > 0).then(|| sum / f64::from(count))
}

fn alike(a: f64, b: f64, floor: f64) -> f64 {
    (2.0 * a * b + floor) / (a * a + b * b + floor)
}
