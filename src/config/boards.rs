//! What is known of boards: `board/NAME/board.toml`, data that is read by the image's builder too and compiled in here.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;

/// Names of the folders, and the files.
const FILES: [(&str, &str); 7] = [
    ("generic-uefi", include_str!("../../board/generic-uefi/board.toml")),
    ("imx8mp", include_str!("../../board/imx8mp/board.toml")),
    ("jetson", include_str!("../../board/jetson/board.toml")),
    ("qemu-arm64", include_str!("../../board/qemu-arm64/board.toml")),
    ("raspberrypi4", include_str!("../../board/raspberrypi4/board.toml")),
    ("raspberrypi5", include_str!("../../board/raspberrypi5/board.toml")),
    ("rk3588", include_str!("../../board/rk3588/board.toml")),
];

/// A board that Picket knows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "board")]
pub struct BoardProfile {
    /// For people.
    pub title: String,
    /// Whether an image was run on the hardware.
    pub status: Status,
    /// How it is recognised.
    #[serde(rename = "match")]
    pub recognised: Recognised,
    /// Drivers of its video inputs, the likeliest first.
    pub capture: Vec<BoardCapture>,
    /// Its hardware decoders.
    pub decoders: Decoders,
    /// Its temperatures.
    pub thermal: Thermal,
    /// Its hardware watchdog.
    pub watchdog: BoardWatchdog,
    /// Its lights.
    pub leds: Leds,
    /// How its image is made and started.
    pub image: Image,
}

/// Whether an image was run on the hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was.
    Tested,
    /// It was not: the facts are from sources and data sheets.
    Untested,
}

/// Beginnings of what the firmware says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recognised {
    /// Of the device tree's `compatible`.
    pub device_tree: Vec<String>,
    /// Of DMI's vendor and product, with a blank between.
    pub dmi: Vec<String>,
}

/// A driver of a video input.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoardCapture {
    /// As VIDIOC_QUERYCAP names it.
    pub driver: String,
    /// Frames come from here.
    pub node: String,
    /// DV timings and events come from here, where that is another node.
    pub timings_node: Option<String>,
    /// What is to be known, for people.
    pub quirks: Vec<String>,
}

/// Hardware decoders.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decoders {
    /// FFmpeg's names, for `decoder =` of a source.
    pub prefer: Vec<String>,
}

/// Temperatures.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thermal {
    /// Types of the zones.
    pub zones: Vec<String>,
    /// Degrees Celsius from which on it is too warm.
    pub warn_c: Option<u8>,
}

/// The hardware watchdog.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoardWatchdog {
    /// What its driver calls it.
    pub identity: String,
    /// Seconds, the longest that it waits.
    pub timeout_max_s: u32,
}

/// Lights.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Leds {
    /// Folder below /sys of the one that shows the state.
    pub status: Option<String>,
}

/// How the image is made and started.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// `make image` makes it; else the Yocto layer does.
    pub make: bool,
    /// Debian's name.
    pub architecture: String,
    /// What chooses the slot.
    pub boot: Boot,
    /// Where the first partition begins: what lies before is the firmware's.
    pub first_partition_mib: u32,
    /// Size of the boot loader's partition.
    pub esp_mib: Option<u32>,
    /// Debian's package.
    pub kernel: Option<String>,
    /// Words for the kernel.
    pub command_line: Option<String>,
    /// Kernel modules that are needed to find the root.
    #[serde(default)]
    pub modules_initrd: Vec<String>,
    /// Further ones.
    #[serde(default)]
    pub modules: Vec<String>,
    /// Those that nothing asks for by itself.
    #[serde(default)]
    pub modules_load: Vec<String>,
    /// Lines of modprobe.d, without `options`.
    #[serde(default)]
    pub module_options: Vec<String>,
    /// For people.
    pub notes: Option<String>,
}

/// What chooses the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// GRUB under UEFI, with its environment on the boot partition.
    GrubEfi,
    /// U-Boot, with its environment where the board has it.
    #[expect(clippy::enum_variant_names, reason = "the loader's own name")]
    UBoot,
    /// The vendor's own.
    Vendor,
}

/// The board with these device tree `compatible` strings or this DMI vendor and product, and its name.
pub fn board_profile(device_tree: &[String], dmi: Option<&str>) -> Option<(&'static str, BoardProfile)> {
    let all = FILES.iter().filter_map(|(name, text)| Some((*name, toml::from_str::<BoardProfile>(text).ok()?)));
    let begins = |known: &[String], said: &str| known.iter().any(|start| said.starts_with(start.as_str()));
    let mut all = all.filter(|(_, profile)| {
        let recognised = &profile.recognised;
        device_tree.iter().any(|said| begins(&recognised.device_tree, said))
            || dmi.is_some_and(|said| begins(&recognised.dmi, said))
    });
    all.next()
}

/// JSON Schema of `board.toml`: `picket schema board`.
pub fn board_schema() -> serde_json::Value {
    SchemaGenerator::default().into_root_schema_for::<BoardProfile>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_compiled_in_and_right() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("board");
        let entries = std::fs::read_dir(folder).expect("read").flatten();
        let mut there: Vec<String> = entries
            .filter(|entry| entry.path().join("board.toml").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        there.sort();
        assert_eq!(there, FILES.map(|(name, _)| name.to_owned()));
        for (name, text) in FILES {
            let profile: BoardProfile = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let image = &profile.image;
            assert!(!profile.capture.is_empty() && profile.watchdog.timeout_max_s > 0, "{name}");
            assert!(
                !image.make || (image.kernel.is_some() && image.esp_mib.is_some()),
                "{name}: too little for an image"
            );
        }
    }

    #[test]
    fn boards_are_recognised() {
        let name = |tree: &[&str], dmi: Option<&str>| {
            let tree: Vec<String> = tree.iter().map(|name| (*name).to_owned()).collect();
            board_profile(&tree, dmi).map(|(name, _)| name)
        };
        assert_eq!(name(&["raspberrypi,4-model-b", "brcm,bcm2711"], None), Some("raspberrypi4"));
        assert_eq!(name(&["radxa,rock-5b", "rockchip,rk3588"], None), Some("rk3588"));
        assert_eq!(name(&[], Some("QEMU QEMU Virtual Machine")), Some("qemu-arm64"));
        assert_eq!(name(&["acme,box"], Some("ACME Box 7")), None);
    }
}
