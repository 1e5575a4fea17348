//! Levels, windows, severities, profiles and hours.

use super::*;
use crate::alert::{Expected, Often, Profile};
use crate::detect::{Defect, Severity};

fn source(keys: &str) -> String {
    format!("[[source]]\nid = \"a\"\ninput = \"pattern:clean\"\n{keys}")
}

fn incidents(keys: &str) -> crate::alert::Settings {
    only(&source(keys)).unwrap_or_else(|mistakes| panic!("{mistakes}")).sources[0].incidents.clone()
}

fn mistakes(keys: &str) -> Vec<(String, String)> {
    let mistakes = only(&source(keys)).expect_err("mistakes");
    mistakes.iter().map(|mistake| (mistake.wrong.clone(), mistake.right.clone())).collect()
}

#[test]
fn rules_are_read_and_shown_as_they_stand() {
    let text = source(
        "profile = \"film\"\n[source.detect.silence]\nraise_level = \"-55dBFS\"\nclear_level = \"-50 dBFS\"\n\
         [source.detect.noise]\nenabled = true\npresent_share = \"60%\"\nwindow = \"4s\"\nseverity = \"minor\"\n\
         [[source.expect]]\nfrom = \"22:30\"\nto = \"05:00\"\ndays = \"fri-sun\"\nzone = \"+02:00\"\nstates = [\"black\", \"silence\"]\n",
    );
    let config = only(&text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let settings = &config.sources[0].incidents;
    let silence = settings.rule(Defect::Silence);
    assert_eq!((silence.levels.raise, silence.levels.clear), (Some(-55.0), Some(-50.0)));
    assert_eq!(silence.hold.map(|hold| hold.raise_after.as_secs()), Some(8), "of the profile");
    let noise = settings.rule(Defect::Noise);
    assert!(noise.hold.is_some(), "the source's own key is over the profile");
    assert_eq!(noise.often, Some(Often { share: 0.6, window: std::time::Duration::from_secs(4) }));
    assert_eq!(noise.severity, Some(Severity::Minor));
    assert_eq!(settings.hold(Defect::Monochrome), None);
    let expected = Expected {
        from: 22 * 3600 + 1800,
        to: 5 * 3600,
        days: [false, false, false, false, true, true, true],
        zone: 7200,
        states: vec![Defect::Black, Defect::Silence],
    };
    assert_eq!(settings.expected, [expected]);
    let effective = config.effective();
    let again = only(&effective).unwrap_or_else(|mistakes| panic!("{mistakes}\n{effective}"));
    assert_eq!(again.sources[0].incidents, *settings);
    assert_eq!(again.effective(), effective);
}

#[test]
fn each_profile_is_one_of_a_source() {
    for profile in Profile::ALL {
        assert_eq!(incidents(&format!("profile = {:?}", profile.name())), profile.settings());
    }
    assert_eq!(incidents(""), crate::alert::Settings::default());
    let (wrong, right) = mistakes("profile = \"sports\"").remove(0);
    assert_eq!(wrong, "\"sports\" is no profile; did you mean \"sport\"?");
    assert!(right.starts_with("default, news, sport"));
}

#[test]
fn wrong_rules_are_told_with_a_cure() {
    let told = |keys: &str| {
        let all: Vec<String> = mistakes(keys).iter().map(|(wrong, right)| format!("{wrong} | {right}")).collect();
        all.join("; ")
    };
    assert_eq!(
        told("[source.detect.silence]\nraise_level = \"5%\""),
        "\"5%\" does not end in dBFS | a level in dBFS, such as \"-60dBFS\""
    );
    let refused = told("[source.detect.stream_loss]\nraise_level = \"2s\"");
    assert!(
        refused.starts_with("stream_loss has no level that could be set | no such key here: levels can be set for")
    );
    assert_eq!(
        told("[source.detect.silence]\nclear_level = \"-70dBFS\""),
        "-70dBFS clears where -60dBFS raises | a clear_level above the raise_level"
    );
    assert_eq!(told("[source.detect.black]\nwindow = \"3s\""), "needs present_share beside it | both, or neither");
    assert!(told("[source.detect.black]\nseverity = \"bad\"").starts_with("\"bad\" is no severity"));
    let hours = |keys: &str| told(&format!("[[source.expect]]\nfrom = \"01:00\"\nto = \"02:00\"\n{keys}"));
    assert!(hours("").starts_with("is missing"));
    assert!(hours("states = \"black\"").contains("is not a list of texts"));
    assert!(hours("states = [\"blak\"]").contains("did you mean black?"));
    assert!(hours("states = [\"black\"]\ndays = \"mon-xyz\"").contains("has a day that is none"));
    assert!(hours("states = [\"black\"]\nzone = \"CET\"").contains("is no distance from UTC"));
    assert!(hours("states = [\"black\"]\nfrm = \"1\"").contains("did you mean from?"));
    assert!(told("[source.expect]\nfrom = \"01:00\"").contains("is not a list of hours"));
}

#[test]
fn tapes_are_off_until_asked_for() {
    assert_eq!(only("").expect("right").tape, None);
    assert_eq!(only("[tape]\nenabled = true").expect("right").tape, Some(64 << 20));
    assert_eq!(only("[tape]\nenabled = true\nbytes_max = \"8MiB\"").expect("right").tape, Some(8 << 20));
}
