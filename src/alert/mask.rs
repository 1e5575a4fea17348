//! Which defect explains which other (contract, catalogue: "cause hides effect").

use crate::detect::Defect;

/// Whether `effect` needs no alert of its own while `cause` is there.
pub fn hides(cause: Defect, effect: Defect) -> bool {
    match cause {
        Defect::StreamLoss => effect != Defect::StreamLoss,
        Defect::Black => matches!(effect, Defect::Freeze),
        Defect::Silence => matches!(effect, Defect::ChannelLoss | Defect::Phase | Defect::Loudness),
        Defect::Freeze
        | Defect::BlockCorruption
        | Defect::ChannelLoss
        | Defect::Clipping
        | Defect::Phase
        | Defect::Loudness
        | Defect::AudioDropout => false,
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
