//! Loudness and true peak after ITU-R BS.1770-4, EBU R 128, Tech 3341 and Tech 3342.
//!
//! The `ebur128` crate filters, weighs channels and finds true peaks; the windows of 400 ms and 3 s are kept here as
//! sums of 100 ms, since the crate adds up all samples of a window anew for each answer (3 ms of CPU a second).

use ebur128::{EbuR128, Mode};

/// Blocks of 100 ms in the momentary and in the short-term window.
const MOMENTARY: usize = 4;
const SHORT_TERM: usize = 30;
/// Offset of BS.1770 between the K-weighted mean square and LUFS.
const OFFSET_DB: f64 = -0.691;
/// Absolute gate, LUFS; nothing below is told either.
pub const GATE_LUFS: f64 = -70.0;
/// Relative gates of the integrated loudness and of the loudness range, LU.
const GATE_INTEGRATED: f64 = 10.0;
const GATE_RANGE: f64 = 20.0;
/// Percentiles between which the loudness range lies.
const RANGE: (f64, f64) = (0.10, 0.95);
/// Histogram cells: 0.1 LU from the gate to +5 LUFS, a full-scale square wave on five channels being below.
const CELLS: usize = 750;
const CELLS_PER_LU: f64 = 10.0;
/// After so many blocks (30 min) what was counted weighs half: a source that runs for ever has a present, too.
const HALVE_AFTER: u32 = 18_000;

/// The loudness at the end of a block. -70 LUFS where there is less.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loudness {
    /// K-weighted mean square of the block, summed over weighted channels.
    pub power: f64,
    /// Last 400 ms, LUFS.
    pub momentary: f64,
    /// Last 3 s, LUFS.
    pub short_term: f64,
    /// Gated, since the start (what is older than half an hour weighs half, and so on), LUFS.
    pub integrated: f64,
    /// Loudness range of the same time, LU.
    pub range: f64,
    /// Blocks that passed the gates of `integrated`, one for 100 ms.
    pub gated_blocks: f64,
    /// True peak of the block over all channels, dBTP; -144 for none.
    pub true_peak_dbtp: f64,
}

impl Default for Loudness {
    fn default() -> Self {
        Self {
            power: 0.0,
            momentary: GATE_LUFS,
            short_term: GATE_LUFS,
            integrated: GATE_LUFS,
            range: 0.0,
            gated_blocks: 0.0,
            true_peak_dbtp: super::audio::FLOOR_DBFS,
        }
    }
}

/// LUFS of a K-weighted mean square.
pub fn lufs(power: f64) -> f64 {
    if power > 0.0 { (10.0 * power.log10() + OFFSET_DB).max(GATE_LUFS) } else { GATE_LUFS }
}

/// How often each loudness came, with the power that it had.
#[derive(Clone, Debug)]
struct Histogram {
    cells: Vec<(f64, f64)>,
}

impl Histogram {
    fn new() -> Self {
        Self { cells: vec![(0.0, 0.0); CELLS] }
    }

    fn add(&mut self, power: f64) {
        let loudness = lufs(power);
        if loudness > GATE_LUFS {
            let cell = &mut self.cells[cell_of(loudness)];
            cell.0 += 1.0;
            cell.1 += power;
        }
    }

    fn halve(&mut self) {
        for cell in &mut self.cells {
            cell.0 *= 0.5;
            cell.1 *= 0.5;
        }
    }

    /// Count and summed power from `first` on.
    fn sum(&self, first: usize) -> (f64, f64) {
        self.cells[first..].iter().fold((0.0, 0.0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1))
    }

    /// First cell above the gate that lies `below` LU under the mean of all.
    fn gate(&self, below: f64) -> Option<usize> {
        let (count, power) = self.sum(0);
        (count > 0.0).then(|| cell_of(lufs(power / count) - below))
    }

    /// Gated loudness and how many blocks it rests on.
    fn integrated(&self) -> (f64, f64) {
        let Some(first) = self.gate(GATE_INTEGRATED) else { return (GATE_LUFS, 0.0) };
        let (count, power) = self.sum(first);
        if count > 0.0 { (lufs(power / count), count) } else { (GATE_LUFS, 0.0) }
    }

    fn range(&self) -> f64 {
        let Some(first) = self.gate(GATE_RANGE) else { return 0.0 };
        let count = self.sum(first).0;
        let at = |share: f64| {
            let mut left = share * count;
            let passed = self.cells[first..].iter().position(|cell| {
                left -= cell.0;
                left <= 0.0
            });
            passed.map_or(0.0, |cells| cells as f64 / CELLS_PER_LU)
        };
        (at(RANGE.1) - at(RANGE.0)).max(0.0)
    }
}

fn cell_of(loudness: f64) -> usize {
    (((loudness - GATE_LUFS) * CELLS_PER_LU).max(0.0) as usize).min(CELLS - 1)
}

/// Measures one source.
pub struct LoudnessMeter {
    filter: Option<EbuR128>,
    channels: usize,
    /// The last 3 s, one entry for 100 ms.
    powers: [f64; SHORT_TERM],
    seen: usize,
    momentary: Histogram,
    short_term: Histogram,
}

impl std::fmt::Debug for LoudnessMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoudnessMeter").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl LoudnessMeter {
    /// For `channels` at `rate` Hz. Measures nothing where BS.1770 has no weights for them.
    pub fn new(channels: usize, rate: u32) -> Self {
        let filter = EbuR128::new(channels as u32, rate, Mode::M | Mode::TRUE_PEAK).ok();
        Self {
            filter,
            channels,
            powers: [0.0; SHORT_TERM],
            seen: 0,
            momentary: Histogram::new(),
            short_term: Histogram::new(),
        }
    }

    /// Takes the next 100 ms, interleaved.
    pub fn take(&mut self, samples: &[f32]) -> Loudness {
        let Some((power, peak)) = self.filtered(samples) else { return Loudness::default() };
        self.powers[self.seen % SHORT_TERM] = power;
        self.seen += 1;
        if self.seen.is_multiple_of(HALVE_AFTER as usize) {
            self.momentary.halve();
            self.short_term.halve();
        }
        let (momentary, short_term) = (self.mean(MOMENTARY), self.mean(SHORT_TERM));
        if self.seen >= MOMENTARY {
            self.momentary.add(momentary);
        }
        if self.seen >= SHORT_TERM {
            self.short_term.add(short_term);
        }
        let (integrated, gated_blocks) = self.momentary.integrated();
        Loudness {
            power,
            momentary: lufs(momentary),
            short_term: lufs(short_term),
            integrated,
            range: self.short_term.range(),
            gated_blocks,
            true_peak_dbtp: super::audio::dbfs(peak * peak),
        }
    }

    /// K-weighted power of the block and its highest true peak.
    fn filtered(&mut self, samples: &[f32]) -> Option<(f64, f64)> {
        let frames = samples.len() / self.channels.max(1);
        let filter = self.filter.as_mut()?;
        filter.add_frames_f32(samples).ok()?;
        let window_ms = (frames as u64 * 1000).div_ceil(u64::from(filter.rate())) as u32;
        let loudness = filter.loudness_window(window_ms).ok()?;
        let peaks = (0..self.channels as u32).filter_map(|channel| filter.prev_true_peak(channel).ok());
        Some((10.0_f64.powf((loudness - OFFSET_DB) / 10.0), peaks.fold(0.0, f64::max)))
    }

    /// Mean power of the last `blocks`, or of as many as there were.
    fn mean(&self, blocks: usize) -> f64 {
        let blocks = blocks.min(self.seen);
        let last = (1..=blocks).map(|back| self.powers[(self.seen - back) % SHORT_TERM]);
        last.sum::<f64>() / blocks.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    //! The cases of EBU Tech 3341 (table 1) and Tech 3342 (table 1), made anew from their description.
    use super::*;

    const RATE: usize = 48_000;

    /// Tones of `hz`, one after the other: seconds and peak level of each of the channels, dBFS.
    struct Tones<'a> {
        hz: f64,
        parts: &'a [(f64, &'a [f64])],
    }

    fn amplitude(dbfs: f64) -> f64 {
        10.0_f64.powf(dbfs / 20.0)
    }

    fn measure(tones: &Tones<'_>) -> Vec<Loudness> {
        let channels = tones.parts[0].1.len();
        let mut meter = LoudnessMeter::new(channels, RATE as u32);
        let mut samples = Vec::new();
        for (seconds, levels) in tones.parts {
            for n in 0..(seconds * RATE as f64) as usize {
                let phase = (n as f64 * tones.hz / RATE as f64).fract() * std::f64::consts::TAU;
                samples.extend(levels.iter().map(|&level| (phase.sin() * amplitude(level)) as f32));
            }
        }
        samples.chunks_exact(RATE / 10 * channels).map(|block| meter.take(block)).collect()
    }

    fn stereo(parts: &[(f64, f64)]) -> Vec<Loudness> {
        let levels: Vec<[f64; 2]> = parts.iter().map(|&(_, level)| [level, level]).collect();
        let parts: Vec<(f64, &[f64])> = parts.iter().zip(&levels).map(|(part, level)| (part.0, &level[..])).collect();
        measure(&Tones { hz: 1000.0, parts: &parts })
    }

    fn last(told: &[Loudness]) -> Loudness {
        *told.last().expect("some blocks")
    }

    fn near(value: f64, wanted: f64, tolerance: f64) {
        assert!((value - wanted).abs() <= tolerance, "{value} instead of {wanted}");
    }

    #[test]
    fn cases_1_and_2_all_three_scales_agree_on_a_steady_tone() {
        for level in [-23.0, -33.0] {
            let told = last(&stereo(&[(20.0, level)]));
            near(told.momentary, level, 0.1);
            near(told.short_term, level, 0.1);
            near(told.integrated, level, 0.1);
        }
    }

    #[test]
    fn cases_3_to_5_gates_leave_quiet_parts_out() {
        for parts in [
            &[(10.0, -36.0), (60.0, -23.0), (10.0, -36.0)][..],
            &[(10.0, -72.0), (10.0, -36.0), (60.0, -23.0), (10.0, -36.0), (10.0, -72.0)],
            &[(20.0, -26.0), (20.1, -20.0), (20.0, -26.0)],
        ] {
            near(last(&stereo(parts)).integrated, -23.0, 0.1);
        }
    }

    #[test]
    fn case_6_weighs_the_channels_of_five_point_one() {
        // Left, right, centre, LFE (not measured), left and right surround.
        let levels = [-28.0, -28.0, -24.0, -20.0, -30.0, -30.0];
        let told = measure(&Tones { hz: 1000.0, parts: &[(20.0, &levels)] });
        near(last(&told).integrated, -23.0, 0.1);
    }

    #[test]
    fn cases_9_and_12_short_term_and_momentary_stay_level_over_a_repeating_pattern() {
        let nine: Vec<(f64, f64)> = [(1.34, -20.0), (1.66, -30.0)].repeat(5);
        for told in &stereo(&nine)[30..] {
            near(told.short_term, -23.0, 0.1);
        }
        let twelve: Vec<(f64, f64)> = [(0.18, -20.0), (0.22, -30.0)].repeat(25);
        for told in &stereo(&twelve)[10..] {
            near(told.momentary, -23.0, 0.1);
        }
    }

    #[test]
    fn cases_10_and_13_find_the_highest_short_term_and_momentary_value_of_a_burst() {
        for n in 0..20 {
            let lead = f64::from(n) * 0.15;
            let told = stereo(&[(lead, -120.0), (3.0, -23.0), (1.0, -120.0)]);
            // Told each 100 ms, so that a window covers all but at most 50 ms of the burst.
            near(told.iter().map(|told| told.short_term).fold(GATE_LUFS, f64::max), -23.0, 0.1);
            let lead = f64::from(n) * 0.02;
            let told = stereo(&[(lead, -120.0), (0.4, -23.0), (1.0, -120.0)]);
            near(told.iter().map(|told| told.momentary).fold(GATE_LUFS, f64::max), -23.3, 0.4);
        }
    }

    /// Highest true peak of a tone of rate / `over` at `phase` degrees and a peak of `level`.
    fn true_peak(over: f64, phase: f64, level: f64) -> f64 {
        let mut meter = LoudnessMeter::new(1, RATE as u32);
        let turn = std::f64::consts::TAU;
        let sample = |n: usize| (turn * (n as f64 / over + phase / 360.0)).sin() * amplitude(level);
        // Faded in, so that it is the tone that is measured and not its beginning.
        let faded = |n: usize| (sample(n) * (n as f64 / 4800.0).min(1.0)) as f32;
        let samples: Vec<f32> = (0..RATE).map(faded).collect();
        samples.chunks_exact(RATE / 10).map(|block| meter.take(block).true_peak_dbtp).fold(-144.0, f64::max)
    }

    #[test]
    fn cases_15_to_19_true_peaks_between_samples() {
        for (over, phase, level, wanted) in [
            (4.0, 0.0, -6.0, -6.0),
            (4.0, 45.0, -6.0, -6.0),
            (6.0, 60.0, -6.0, -6.0),
            (8.0, 67.5, -6.0, -6.0),
            (4.0, 45.0, 3.0, 3.0),
        ] {
            let peak = true_peak(over, phase, level);
            assert!((wanted - 0.4..=wanted + 0.2).contains(&peak), "{peak} instead of {wanted}");
        }
    }

    #[test]
    fn tech_3342_cases_1_to_4() {
        for (parts, range) in [
            (&[(20.0, -20.0), (20.0, -30.0)][..], 10.0),
            (&[(20.0, -20.0), (20.0, -15.0)], 5.0),
            (&[(20.0, -40.0), (20.0, -20.0)], 20.0),
            (&[(20.0, -50.0), (20.0, -35.0), (20.0, -20.0), (20.0, -35.0), (20.0, -50.0)], 15.0),
        ] {
            near(last(&stereo(parts)).range, range, 1.0);
        }
    }

    #[test]
    fn nothing_is_told_of_layouts_and_rates_that_have_no_weights() {
        let told = LoudnessMeter::new(0, 48_000).take(&[]);
        assert_eq!(told, Loudness::default());
    }
}
