//! Keys that single detectors have beside those of all.

use super::{Form, Key, Leaf, Table};
use std::time::Duration;

table! {
    /// Further settings of the loudness detector.
    LoudnessKeys {
        /// Integrated loudness that is asked for: \"-23LUFS\" by EBU R 128, \"-24LUFS\" by ATSC A/85. Without it only jumps and extremes are told.
        target: Form::Level(-40.0, -5.0, "LUFS");
        /// How far the integrated loudness may lie from the target.
        tolerance: Form::Level(0.5, 10.0, "LU") => "2LU";
    }
}

/// Limits of sound against picture: less is below what can be measured.
const OFFSET: Form = Form::Duration(Duration::from_millis(10), Duration::from_secs(2));

table! {
    /// Limits of sound against picture.
    SyncKeys {
        /// Sound this early is told. EBU R 37.
        early: OFFSET => "40ms";
        /// Sound this early is major. ITU-R BT.1359.
        early_major: OFFSET => "90ms";
        /// Sound this late is told.
        late: OFFSET => "60ms";
        /// Sound this late is major.
        late_major: OFFSET => "185ms";
    }
}
