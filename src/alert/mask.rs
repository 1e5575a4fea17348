//! Which defect explains which other (contract, catalogue: "cause hides effect").

use crate::detect::Defect;

/// Whether `effect` needs no alert of its own while `cause` is there.
pub fn hides(cause: Defect, effect: Defect) -> bool {
    use Defect::{
        Black, Blur, ChannelLoss, ColourBars, Flashing, FrameDrop, Freeze, Interlace, Letterbox, Loudness, Monochrome,
        Noise, Phase, Silence, SolidColour, StreamLoss, Tearing, VideoLevels,
    };
    match cause {
        StreamLoss => effect != StreamLoss,
        Black => matches!(effect, Freeze | SolidColour | Blur | Monochrome | Letterbox | VideoLevels | FrameDrop),
        SolidColour => matches!(effect, Freeze | Blur | Monochrome | Letterbox | VideoLevels | FrameDrop),
        ColourBars => matches!(effect, Freeze | Blur | Monochrome | Letterbox | VideoLevels | FrameDrop),
        // A picture that stands repeats itself.
        Freeze => matches!(effect, FrameDrop),
        Noise => matches!(effect, Blur | Interlace | Tearing | Flashing),
        Silence => matches!(effect, ChannelLoss | Phase | Loudness),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cycle_and_causes_stand_first() {
        for (at, cause) in Defect::ALL.into_iter().enumerate() {
            for (other, effect) in Defect::ALL.into_iter().enumerate() {
                assert!(!hides(cause, effect) || at < other, "{cause:?} must stand before {effect:?} in Defect::ALL");
            }
        }
    }
}
