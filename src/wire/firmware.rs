//! The retained document about the system that runs here: versions, slots, and what became of the last update.

use super::{Made, encoded, head::Head};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Longest text of the updater that is passed on.
const TEXT_CHARS_MAX: usize = 300;

/// What the updater of an appliance image says (`/run/picket-update/state`); empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firmware {
    /// What installs images: `rauc`, or `none`.
    pub updater: String,
    /// Name of the slot that runs.
    pub slot: Option<String>,
    /// It came with an update and has not yet proved itself.
    pub trial: bool,
    /// By name.
    pub slots: BTreeMap<String, Slot>,
    /// The last update.
    pub last: Option<LastUpdate>,
}

/// A root file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "firmware_slot")]
pub struct Slot {
    /// Version of the image in it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the boot loader would start it, where that is known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good: Option<bool>,
}

/// What became of an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "firmware_update")]
pub struct LastUpdate {
    /// Of the command; absent when a person did it on the box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Version of the bundle, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `installing`, `installed`, `confirmed`, `refused`, `failed` or `rolled_back`.
    #[schemars(regex(pattern = "^(installing|installed|confirmed|refused|failed|rolled_back)$"))]
    pub result: String,
    /// For people: why.
    pub text: String,
}

const RESULTS: [&str; 6] = ["installing", "installed", "confirmed", "refused", "failed", "rolled_back"];

impl Firmware {
    /// From `key=value` lines. Lines that are not understood are left out.
    pub fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            let found: String = found.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect();
            Some(found.trim().to_owned()).filter(|found| !found.is_empty())
        };
        let flag = |key: &str| value(key).map(|found| found == "1");
        let Some(updater) = value("updater") else { return Self::default() };
        let slots = ["A", "B"].map(|name| {
            let slot = Slot { version: value(&format!("version_{name}")), good: flag(&format!("good_{name}")) };
            (name.to_owned(), slot)
        });
        let result = value("last_result").filter(|result| RESULTS.contains(&result.as_str()));
        let last = result.map(|result| LastUpdate {
            id: value("last_id").filter(|id| id != "-"),
            version: value("last_version"),
            result,
            text: value("last_text").unwrap_or_default(),
        });
        Self { updater, slot: value("slot"), trial: flag("trial") == Some(true), slots: slots.into(), last }
    }
}

/// What is said where [`is_bundle`] is false.
pub(super) const NO_BUNDLE: &str =
    "`bundle` must be the name of a file that ends in .raucb, without a folder, or an http(s) URL";

/// Whether the updater may be asked for this. It goes into a line of a file, so no control character.
pub(super) fn is_bundle(bundle: &str) -> bool {
    let (url, plain) = (b"-._~:/?=&%+".as_slice(), b"-._".as_slice());
    let web = bundle.starts_with("https://") || bundle.starts_with("http://");
    let more = if web { url } else { plain };
    (1..=512).contains(&bundle.len())
        && bundle.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        && (web || (bundle.ends_with(".raucb") && !bundle.starts_with('.')))
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "firmware")]
pub(super) struct FirmwareBody<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// Version of Picket that runs.
    installed_version: &'a str,
    /// Name and version of the system (os-release).
    #[serde(skip_serializing_if = "Option::is_none")]
    os: Option<&'a str>,
    /// Version of the image, where the system is one (os-release, IMAGE_VERSION).
    #[serde(skip_serializing_if = "Option::is_none")]
    image_version: Option<&'a str>,
    /// Which boxes this image is for (os-release, IMAGE_ID): a bundle for others is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    compatible: Option<&'a str>,
    /// What installs new images: `none` where nothing does.
    updater: &'a str,
    /// The slot that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<&'a str>,
    /// The slot that runs came with an update and has yet to prove itself; else the box goes back to the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    trial: Option<bool>,
    /// All slots.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    slots: &'a BTreeMap<String, Slot>,
    /// What became of the last update.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update: Option<&'a LastUpdate>,
}

/// The body of `firmware`. `os_release`: the text of /etc/os-release.
pub fn firmware(made: &Made, os_release: &str, firmware: &Firmware) -> Vec<u8> {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim().trim_matches('"')).filter(|text| !text.is_empty() && text.len() <= 128)
    };
    let there = !firmware.updater.is_empty();
    encoded(&FirmwareBody {
        head: Head::new(made),
        installed_version: env!("CARGO_PKG_VERSION"),
        os: value("PRETTY_NAME"),
        image_version: value("IMAGE_VERSION"),
        compatible: value("IMAGE_ID"),
        updater: if there { &firmware.updater } else { "none" },
        slot: firmware.slot.as_deref(),
        trial: there.then_some(firmware.trial),
        slots: &firmware.slots,
        last_update: firmware.last.as_ref(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BootId;

    fn body(os_release: &str, told: &Firmware) -> String {
        let made = Made { wall: Default::default(), mono: Default::default(), boot: BootId::from_kernel("0") };
        String::from_utf8_lossy(&firmware(&made, os_release, told)).into_owned()
    }

    #[test]
    fn a_system_without_an_updater_says_so() {
        let text = body("NAME=x\nPRETTY_NAME=\"Debian 12\"\nIMAGE_VERSION=\n", &Firmware::parse(""));
        assert!(text.contains("\"os\":\"Debian 12\"") && text.contains("\"updater\":\"none\""), "{text}");
        assert!(!text.contains("image_version") && !text.contains("slot") && !text.contains("trial"), "{text}");
    }

    #[test]
    fn what_the_updater_says_is_passed_on() {
        let said = "updater=rauc\nslot=B\ntrial=1\nversion_A=1.0\ngood_A=1\nversion_B=1.1\ngood_B=\n\
                    last_id=u-1\nlast_version=1.1\nlast_result=installed\nlast_text=it \u{7}is \"started\"\nx\n";
        let told = Firmware::parse(said);
        assert_eq!(told.slots["B"], Slot { version: Some("1.1".to_owned()), good: None });
        let text = body("IMAGE_ID=picket-x\n", &told);
        assert!(text.contains("\"trial\":true") && text.contains("\"compatible\":\"picket-x\""), "{text}");
        assert!(text.contains("\"text\":\"it is \\\"started\\\"\""), "{text}");
        // A person's update has no id; a word that nobody knows is no result.
        assert_eq!(Firmware::parse("updater=rauc\nlast_id=-\nlast_result=refused").last.and_then(|last| last.id), None);
        assert_eq!(Firmware::parse("updater=rauc\nlast_result=exploded").last, None);
    }

    #[test]
    fn bundles_are_files_of_the_box_or_urls() {
        for good in ["picket-1.1.raucb", "https://example.org/a/b.raucb?x=1", "http://10.0.2.2:8080/x"] {
            assert!(is_bundle(good), "{good}");
        }
        for bad in ["", "../x.raucb", ".raucb", "a b.raucb", "ftp://x/y.raucb", "a.img", "http://x/\ny"] {
            assert!(!is_bundle(bad), "{bad}");
        }
    }
}
