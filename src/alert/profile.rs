//! Named sets of settings for kinds of programme: what each of them means to show is no defect there.

use super::settings::{Hold, Settings};
use crate::detect::{Defect, Scope, Severity};
use std::time::Duration;

/// A kind of programme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// A channel of mixed programme.
    #[default]
    Default,
    /// Studio and reports: people who stand still and talk.
    News,
    /// Live events.
    Sport,
    /// Drama: long fades, black, silence and letterboxes by intent.
    Film,
    /// Drawn pictures: flat colours and cels that are held.
    Animation,
    /// The feed of a camera, before any programme is made of it.
    Camera,
    /// Sound alone, or with a still picture.
    Radio,
    /// A source that shows a slate or bars until it is used.
    Slate,
}

impl Profile {
    /// All of them.
    pub const ALL: [Profile; 8] = [
        Profile::Default,
        Profile::News,
        Profile::Sport,
        Profile::Film,
        Profile::Animation,
        Profile::Camera,
        Profile::Radio,
        Profile::Slate,
    ];

    /// As it stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Default => "default",
            Profile::News => "news",
            Profile::Sport => "sport",
            Profile::Film => "film",
            Profile::Animation => "animation",
            Profile::Camera => "camera",
            Profile::Radio => "radio",
            Profile::Slate => "slate",
        }
    }

    /// What a source of this kind gets where its own keys say nothing.
    pub fn settings(self) -> Settings {
        let mut settings = Settings::default();
        match self {
            Profile::Default => {}
            Profile::News => {
                // Pictures of documents and maps are shown for some seconds; flashes of cameras are part of it.
                hold(&mut settings, Defect::Freeze, 3);
                severity(&mut settings, Defect::Flashing, Severity::Minor);
                // Footage of archives.
                off(&mut settings, &[Defect::Monochrome, Defect::Letterbox]);
            }
            Profile::Sport => {
                // A crowd roars at once and stays loud; strobes and fireworks are part of the show.
                hold(&mut settings, Defect::Loudness, 10);
                severity(&mut settings, Defect::Flashing, Severity::Minor);
            }
            Profile::Film => {
                // Titles and ends of acts stand in black, and quiet is a means.
                hold(&mut settings, Defect::Black, 5);
                hold(&mut settings, Defect::Freeze, 4);
                hold(&mut settings, Defect::Silence, 8);
                hold(&mut settings, Defect::VideoLevels, 10);
                // Grain, shapes and dynamics change by intent from scene to scene.
                off(&mut settings, &[Defect::Monochrome, Defect::Letterbox, Defect::Noise]);
                severity(&mut settings, Defect::Loudness, Severity::Minor);
            }
            Profile::Animation => {
                // A cel is held for seconds before a still background.
                hold(&mut settings, Defect::Freeze, 6);
                hold(&mut settings, Defect::SolidColour, 4);
                hold(&mut settings, Defect::Silence, 4);
                off(&mut settings, &[Defect::Monochrome, Defect::VideoLevels]);
            }
            Profile::Camera => {
                // Nobody has to move or to speak before it, lamps are switched, and nothing was levelled yet.
                hold(&mut settings, Defect::Freeze, 10);
                off(&mut settings, &[Defect::Silence, Defect::Loudness, Defect::ChannelLoss, Defect::VideoLevels]);
            }
            Profile::Radio => {
                for defect in Defect::ALL.into_iter().filter(|defect| defect.scope() == Scope::Picture) {
                    settings.set(defect, None);
                }
            }
            Profile::Slate => {
                off(&mut settings, &[Defect::Black, Defect::SolidColour, Defect::ColourBars, Defect::Freeze]);
                off(&mut settings, &[Defect::Silence, Defect::ChannelLoss, Defect::Phase, Defect::Loudness]);
                off(&mut settings, &[Defect::Monochrome, Defect::Letterbox, Defect::VideoLevels, Defect::Blur]);
            }
        }
        settings
    }
}

fn hold(settings: &mut Settings, defect: Defect, seconds: u64) {
    let hold = Hold { raise_after: Duration::from_secs(seconds), ..Hold::default_for(defect) };
    settings.set(defect, Some(hold));
}

fn severity(settings: &mut Settings, defect: Defect, severity: Severity) {
    settings.rule_mut(defect).severity = Some(severity);
}

fn off(settings: &mut Settings, defects: &[Defect]) {
    defects.iter().for_each(|&defect| settings.set(defect, None));
}
