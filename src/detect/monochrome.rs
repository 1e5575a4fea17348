//! Colour lost in mid-scene: a broken decoder of composite signals, a cable, a wrong format. Black and white by intent
//! (an old film, a grey room) comes with a cut or slowly, and is no defect.

use super::past::{Measure, Past};
use super::{Defect, Observation, Presence, Severity};
use crate::features::{Depth, VideoFeatures};
use crate::time::MediaTime;

/// Share of the scene's colour, %, that may be left: noise and what is too faint to be called colour.
const LEFT: f64 = 25.0;
/// Share from which the colour is back.
const BACK: f64 = 50.0;
/// Least mean chroma, |Cb - 128| + |Cr - 128| in code values, that can be lost: less is a grey scene.
const COLOURED: f64 = 3.0;
/// Colour that strayed by more than this share shortly before was fading already.
const STEADY: f64 = 0.3;
/// Tiles that deviate less in luma show nothing that could have a colour: a fade, a caption.
const FLAT: f64 = 4.0;

/// Follows the colour of one source.
#[derive(Clone, Debug, Default)]
pub struct Monochrome {
    lost: Option<Lost>,
    good_since: Option<MediaTime>,
}

#[derive(Clone, Copy, Debug)]
struct Lost {
    since: MediaTime,
    /// What the scene had.
    usual: f64,
    /// What is enough to be back.
    back: f64,
}

impl Monochrome {
    /// Looks at one picture; `past` are those before it.
    pub(super) fn observe(&mut self, features: &VideoFeatures, past: &Past) -> Observation {
        let now = features.saturation;
        let full = features.depth == Depth::Full && !features.cb.is_empty();
        if let (Some(lost), true) = (&mut self.lost, full) {
            if features.cut {
                // Another scene may have less colour by nature.
                lost.back = lost.back.min(COLOURED);
            }
            if now >= lost.back {
                self.lost = None;
                self.good_since = Some(features.stamp.at);
            }
        } else if full && features.coarse.deviation() >= FLAT {
            let usual = past
                .recent(features)
                .filter(|before| before.saturation >= COLOURED && now <= before.saturation * LEFT / 100.0)
                .filter(|before| past.was_steady(before, Measure::Saturation, STEADY * before.saturation))
                .find(|before| before.is_scene_of(&features.coarse))
                .map(|before| before.saturation);
            self.lost = usual.map(|usual| Lost { since: features.stamp.at, usual, back: usual * BACK / 100.0 });
        }
        let lost = self.lost;
        Observation {
            presence: match (lost, full) {
                (Some(_), true) => Presence::Present,
                (None, true) => Presence::Absent,
                (_, false) => Presence::Unclear,
            },
            since: lost.map(|lost| lost.since).or(self.good_since),
            severity: Severity::Major,
            value: lost.map_or(100.0, |lost| 100.0 * now / lost.usual),
            threshold: LEFT,
            unit: "%",
            phrase: "colour is lost",
            ..Observation::of(Defect::Monochrome)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{Picture, analyzer, at};

    struct Bench {
        analyzer: crate::features::VideoAnalyzer,
        past: Past,
        detector: Monochrome,
        n: usize,
    }

    impl Bench {
        fn new() -> Self {
            Self { analyzer: analyzer(), past: Past::default(), detector: Monochrome::default(), n: 0 }
        }
        fn show(&mut self, picture: &Picture) -> Observation {
            let features = self.analyzer.analyze(picture.frame(self.n));
            self.n += 1;
            let said = self.detector.observe(features, &self.past);
            self.past.note(features);
            said
        }
    }

    fn coloured(shift: usize, share: f64) -> Picture {
        let chroma = move |base: f64| (128.0 + base * share).round() as u8;
        Picture::hills(shift as f64)
            .colours(move |x, _| if x < 150 { (chroma(-20.0), chroma(9.0)) } else { (chroma(12.0), 128) })
    }

    #[test]
    fn colour_that_goes_in_mid_scene_is_lost_until_it_is_back() {
        let mut bench = Bench::new();
        (0..10).for_each(|n| assert_eq!(bench.show(&coloured(n, 1.0)).presence, Presence::Absent));
        let said = bench.show(&coloured(10, 0.04));
        assert_eq!((said.presence, said.since), (Presence::Present, Some(at(10))));
        (11..40).for_each(|n| assert_eq!(bench.show(&coloured(n, 0.04)).presence, Presence::Present));
        assert_eq!(bench.show(&coloured(40, 1.0)).presence, Presence::Absent);
    }

    #[test]
    fn a_cut_and_a_slow_fade_are_meant() {
        let mut bench = Bench::new();
        (0..10).for_each(|n| _ = bench.show(&coloured(n, 1.0)));
        assert_eq!(bench.show(&Picture::slate()).presence, Presence::Absent);
        (0..10).for_each(|_| assert_eq!(bench.show(&Picture::slate()).presence, Presence::Absent));
        let mut bench = Bench::new();
        for n in 0..50 {
            let said = bench.show(&coloured(n, 1.0 - n as f64 / 40.0).over(|_, _| None));
            assert_eq!(said.presence, Presence::Absent, "{n}");
        }
    }

    #[test]
    fn a_grey_scene_has_nothing_to_lose() {
        let mut bench = Bench::new();
        (0..10).for_each(|n| _ = bench.show(&coloured(n, 0.1)));
        (10..20).for_each(|n| assert_eq!(bench.show(&coloured(n, 0.0)).presence, Presence::Absent));
    }
}
