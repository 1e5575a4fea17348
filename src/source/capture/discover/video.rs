//! V4L2 nodes: what they are, what they can deliver, and what arrives at their input.

use super::node::{Node, text};
use crate::source::capture::holder::{self, Holder};
use nix::errno::Errno;
use std::path::{Path, PathBuf};
use v4l::v4l_sys as sys;

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Pictures come out of it: `input = "v4l2:..."`.
    Capture,
    /// Pictures go into it.
    Output,
    /// A codec or scaler: pictures go in and others come out.
    Converter,
    /// Data beside pictures, radio and the like.
    Other,
}

/// What arrives at the input of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// "1920x1080p60.00".
    Locked(String),
    /// The device does not tell, as cameras.
    Untold,
    /// Nothing usable: "no signal", "no lock", "out of range", "no power".
    Absent(&'static str),
}

/// Picture sizes of a format.
#[derive(Clone, Debug, PartialEq)]
pub enum Size {
    /// One size, and the rates it comes at, pictures per second, highest first.
    Fixed {
        /// Samples in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// May be empty: not told.
        rates: Vec<f64>,
    },
    /// Any size between two.
    Range {
        /// Smallest width and height.
        least: (u32, u32),
        /// Largest width and height.
        most: (u32, u32),
    },
}

/// A pixel format that a node delivers.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelFormat {
    /// "YUYV".
    pub fourcc: String,
    /// "YUYV 4:2:2".
    pub description: String,
    /// Sizes; none where the input decides, as with HDMI.
    pub sizes: Vec<Size>,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoNode {
    /// "/dev/video0".
    pub path: PathBuf,
    /// Names that stay when numbers change: below /dev/v4l/by-path and by-id.
    pub stable: Vec<PathBuf>,
    /// "uvcvideo".
    pub driver: String,
    /// "HD Capture: HD Capture".
    pub card: String,
    /// "usb-0000:01:00.0-1.3".
    pub bus: String,
    /// What it is for.
    pub role: Role,
    /// Whether a buffer may have several memory planes.
    pub multiplanar: bool,
    /// Whether the media controller sets it up: sizes and formats are chosen along the whole way.
    pub media_controlled: bool,
    /// Name of the chosen input.
    pub input: Option<String>,
    /// What arrives.
    pub signal: Signal,
    /// What the receiver is set to: differs from what arrives until somebody follows.
    pub timings: Option<String>,
    /// What it delivers, as a capture node.
    pub formats: Vec<PixelFormat>,
    /// Who has it open.
    pub holders: Vec<Holder>,
    /// Why it could not be looked at.
    pub problem: Option<String>,
}

/// All nodes below `root`/dev.
pub(super) fn nodes(root: &Path) -> Vec<VideoNode> {
    let entries = std::fs::read_dir(root.join("dev")).into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix("video")?.parse::<u32>().ok();
    let mut found: Vec<(u32, PathBuf)> =
        entries.filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path()))).collect();
    found.sort();
    found.into_iter().map(|(_, path)| look(root, &path)).collect()
}

fn look(root: &Path, path: &Path) -> VideoNode {
    let mut node = VideoNode {
        path: path.to_owned(),
        stable: stable_names(root, path),
        driver: String::new(),
        card: String::new(),
        bus: String::new(),
        role: Role::Other,
        multiplanar: false,
        media_controlled: false,
        input: None,
        signal: Signal::Untold,
        timings: None,
        formats: Vec::new(),
        holders: holder::of_node(root, path),
        problem: None,
    };
    match Node::open(path) {
        Ok(open) => {
            if let Err(error) = examine(&open, &mut node) {
                node.problem = Some(match error {
                    Errno::ENOTTY | Errno::ENOSYS => "is no V4L2 device".to_owned(),
                    error => format!("does not answer: {}", error.desc().to_lowercase()),
                });
            }
        }
        Err(error) => node.problem = Some(refusal(&error)),
    }
    node
}

fn refusal(error: &std::io::Error) -> String {
    match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
        Errno::EACCES | Errno::EPERM => "permission denied: the user must be in the group 'video'".to_owned(),
        Errno::EBUSY => "busy".to_owned(),
        Errno::ENODEV | Errno::ENXIO => "no device behind it".to_owned(),
        errno => errno.desc().to_lowercase(),
    }
}

/// Links below /dev/v4l that lead to `path`.
fn stable_names(root: &Path, path: &Path) -> Vec<PathBuf> {
    let Ok(node) = std::fs::canonicalize(path) else { return Vec::new() };
    let folders = ["by-path", "by-id"].map(|folder| root.join("dev/v4l").join(folder));
    let links = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    let mut names: Vec<PathBuf> = links
        .map(|link| link.path())
        .filter(|link| std::fs::canonicalize(link).is_ok_and(|target| target == node))
        .collect();
    names.sort();
    names
}

fn examine(open: &Node, node: &mut VideoNode) -> Result<(), Errno> {
    let told = open.capability()?;
    (node.driver, node.card, node.bus) = (text(&told.driver), text(&told.card), text(&told.bus_info));
    // Of this node, where the driver tells nodes apart.
    let caps = if told.capabilities & sys::V4L2_CAP_DEVICE_CAPS != 0 { told.device_caps } else { told.capabilities };
    node.role = role(caps);
    node.multiplanar = caps & (sys::V4L2_CAP_VIDEO_CAPTURE_MPLANE | sys::V4L2_CAP_VIDEO_M2M_MPLANE) != 0;
    node.media_controlled = caps & sys::V4L2_CAP_IO_MC != 0;
    if node.role == Role::Capture {
        let kind = match node.multiplanar {
            true => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE,
            false => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE,
        };
        node.formats = open.formats(kind).iter().map(|format| pixel_format(open, format)).collect();
        let input = open.input().ok();
        node.input = input.as_ref().map(|input| text(&input.name)).filter(|name| !name.is_empty());
        node.signal = signal(open.measured_timings().map(|timings| spoken(&timings)), input.map_or(0, |i| i.status));
        node.timings = open.set_timings().ok().and_then(|timings| spoken(&timings));
    }
    Ok(())
}

fn role(caps: u32) -> Role {
    let has = |bits: u32| caps & bits != 0;
    let captures = has(sys::V4L2_CAP_VIDEO_CAPTURE | sys::V4L2_CAP_VIDEO_CAPTURE_MPLANE);
    let outputs = has(sys::V4L2_CAP_VIDEO_OUTPUT | sys::V4L2_CAP_VIDEO_OUTPUT_MPLANE);
    if has(sys::V4L2_CAP_VIDEO_M2M | sys::V4L2_CAP_VIDEO_M2M_MPLANE) {
        Role::Converter
    } else if captures {
        // A loopback tells both as long as nobody writes to it.
        Role::Capture
    } else if outputs {
        Role::Output
    } else {
        Role::Other
    }
}

fn pixel_format(open: &Node, format: &sys::v4l2_fmtdesc) -> PixelFormat {
    let code = format.pixelformat;
    PixelFormat {
        fourcc: fourcc(code),
        description: text(&format.description),
        sizes: open.sizes(code).iter().filter_map(|size| sized(open, code, size)).collect(),
    }
}

/// Four letters; the highest bit tells big-endian variants.
fn fourcc(code: u32) -> String {
    let letters = (code & 0x7fff_ffff).to_le_bytes();
    let mut name: String =
        letters.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' }).collect();
    name.truncate(name.trim_end().len());
    if code >> 31 == 1 { format!("{name}-BE") } else { name }
}

#[allow(unsafe_code)]
fn sized(open: &Node, code: u32, size: &sys::v4l2_frmsizeenum) -> Option<Size> {
    if size.type_ == sys::v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_DISCRETE {
        // SAFETY: the type tells which member the driver filled; all are plain integers.
        let of = unsafe { size.__bindgen_anon_1.discrete };
        let mut rates: Vec<f64> = open.intervals(code, (of.width, of.height)).iter().flat_map(rates_of).collect();
        rates.sort_by(|a, b| b.total_cmp(a));
        rates.dedup();
        return Some(Size::Fixed { width: of.width, height: of.height, rates });
    }
    let known =
        [sys::v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_STEPWISE, sys::v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_CONTINUOUS];
    known.contains(&size.type_).then(|| {
        // SAFETY: as above.
        let of = unsafe { size.__bindgen_anon_1.stepwise };
        Size::Range { least: (of.min_width, of.min_height), most: (of.max_width, of.max_height) }
    })
}

/// Pictures per second of an interval, or of both ends of a range.
#[allow(unsafe_code)]
fn rates_of(interval: &sys::v4l2_frmivalenum) -> Vec<f64> {
    let rate = |of: sys::v4l2_fract| (of.numerator > 0).then(|| f64::from(of.denominator) / f64::from(of.numerator));
    if interval.type_ == sys::v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_DISCRETE {
        // SAFETY: the type tells which member the driver filled; all are plain integers.
        return rate(unsafe { interval.__bindgen_anon_1.discrete }).into_iter().collect();
    }
    // SAFETY: as above; the other types fill this member.
    let range = unsafe { interval.__bindgen_anon_1.stepwise };
    [range.min, range.max].into_iter().filter_map(rate).collect()
}

/// What the measured timings and the status of the input (V4L2_IN_ST_*) mean together.
fn signal(measured: Result<Option<String>, Errno>, status: u32) -> Signal {
    let told = [
        (sys::V4L2_IN_ST_NO_POWER, "no power"),
        (sys::V4L2_IN_ST_NO_SIGNAL | sys::V4L2_IN_ST_NO_CARRIER, "no signal"),
        (
            sys::V4L2_IN_ST_NO_H_LOCK
                | sys::V4L2_IN_ST_NO_V_LOCK
                | sys::V4L2_IN_ST_NO_STD_LOCK
                | sys::V4L2_IN_ST_NO_SYNC,
            "no lock",
        ),
    ];
    match measured {
        Ok(Some(timings)) => Signal::Locked(timings),
        Err(Errno::ENOLINK) => Signal::Absent("no signal"),
        Err(Errno::ENOLCK) => Signal::Absent("no lock"),
        Err(Errno::ERANGE) => Signal::Absent("out of range"),
        // Devices without such timings, or that are busy with them.
        Ok(None) | Err(_) => {
            told.iter().find(|(bits, _)| status & bits != 0).map_or(Signal::Untold, |(_, word)| Signal::Absent(word))
        }
    }
}

/// "1920x1080p60.00"; the rate of an interlaced signal is that of its pictures.
#[allow(unsafe_code)]
fn spoken(timings: &sys::v4l2_dv_timings) -> Option<String> {
    if timings.type_ != sys::V4L2_DV_BT_656_1120 {
        return None;
    }
    // SAFETY: the type tells that this member was filled; the copy, out of a packed struct, is of plain integers.
    let bt = unsafe { timings.__bindgen_anon_1.bt };
    let (width, height, interlaced) = (bt.width, bt.height, bt.interlaced & sys::V4L2_DV_INTERLACED != 0);
    if (width, height) == (0, 0) {
        return None;
    }
    let sum = |parts: [u32; 4]| parts.into_iter().map(u64::from).sum::<u64>();
    let second = if interlaced { sum([bt.il_vfrontporch, bt.il_vsync, bt.il_vbackporch, 0]) } else { 0 };
    let total = sum([width, bt.hfrontporch, bt.hsync, bt.hbackporch])
        * (sum([height, bt.vfrontporch, bt.vsync, bt.vbackporch]) + second);
    let scan = if interlaced { 'i' } else { 'p' };
    let clock = bt.pixelclock;
    let rate = if clock > 0 && total > 0 { format!("{:.2}", clock as f64 / total as f64) } else { String::new() };
    Some(format!("{width}x{height}{scan}{rate}"))
}

#[cfg(test)]
mod tests {
    use super::super::node::blank;
    use super::*;

    /// CEA-861: 1920x1080p60 and 1920x1080i50.
    fn timings(interlaced: bool) -> sys::v4l2_dv_timings {
        let mut bt: sys::v4l2_bt_timings = blank();
        (bt.width, bt.height, bt.pixelclock) = (1920, 1080, 148_500_000);
        (bt.hfrontporch, bt.hsync, bt.hbackporch) = (88, 44, 148);
        (bt.vfrontporch, bt.vsync, bt.vbackporch) = (4, 5, 36);
        if interlaced {
            (bt.interlaced, bt.pixelclock) = (sys::V4L2_DV_INTERLACED, 74_250_000);
            (bt.hfrontporch, bt.hsync, bt.hbackporch) = (528, 44, 148);
            (bt.vfrontporch, bt.vsync, bt.vbackporch) = (2, 5, 15);
            (bt.il_vfrontporch, bt.il_vsync, bt.il_vbackporch) = (2, 5, 16);
        }
        let mut timings: sys::v4l2_dv_timings = blank();
        timings.__bindgen_anon_1.bt = bt;
        timings
    }

    #[test]
    fn timings_are_spoken_as_people_do() {
        assert_eq!(spoken(&timings(false)).as_deref(), Some("1920x1080p60.00"));
        assert_eq!(spoken(&timings(true)).as_deref(), Some("1920x1080i25.00"));
        assert_eq!(spoken(&blank()), None);
        assert_eq!(spoken(&sys::v4l2_dv_timings { type_: 7, ..timings(false) }), None);
    }

    #[test]
    fn what_is_measured_counts_before_what_the_input_tells() {
        let locked = Signal::Locked("x".to_owned());
        assert_eq!(signal(Ok(Some("x".to_owned())), sys::V4L2_IN_ST_NO_SIGNAL), locked);
        assert_eq!(signal(Err(Errno::ENOLINK), 0), Signal::Absent("no signal"));
        assert_eq!(signal(Err(Errno::ENOLCK), 0), Signal::Absent("no lock"));
        assert_eq!(signal(Err(Errno::ERANGE), 0), Signal::Absent("out of range"));
        assert_eq!(signal(Err(Errno::ENOTTY), 0), Signal::Untold);
        assert_eq!(signal(Err(Errno::ENOTTY), sys::V4L2_IN_ST_NO_POWER), Signal::Absent("no power"));
        assert_eq!(signal(Err(Errno::ENOTTY), sys::V4L2_IN_ST_NO_H_LOCK), Signal::Absent("no lock"));
    }

    #[test]
    fn formats_and_roles_have_names() {
        assert_eq!(fourcc(u32::from_le_bytes(*b"YUYV")), "YUYV");
        assert_eq!(fourcc(u32::from_le_bytes(*b"Y16 ") | 1 << 31), "Y16-BE");
        assert_eq!(role(sys::V4L2_CAP_VIDEO_CAPTURE_MPLANE | sys::V4L2_CAP_STREAMING), Role::Capture);
        assert_eq!(role(sys::V4L2_CAP_VIDEO_M2M_MPLANE), Role::Converter);
        assert_eq!(role(sys::V4L2_CAP_VIDEO_OUTPUT), Role::Output);
        assert_eq!(role(sys::V4L2_CAP_META_CAPTURE), Role::Other);
    }

    #[test]
    fn a_node_that_is_none_is_named_with_its_reason() {
        let root = tempfile::tempdir().expect("a folder");
        let dev = root.path().join("dev");
        std::fs::create_dir_all(dev.join("v4l/by-path")).expect("made");
        for name in ["video10", "video2", "videox", "audio"] {
            std::fs::write(dev.join(name), "").expect("written");
        }
        std::os::unix::fs::symlink("../../video2", dev.join("v4l/by-path/usb-1")).expect("linked");
        let found = nodes(root.path());
        let paths: Vec<&Path> = found.iter().map(|node| node.path.as_path()).collect();
        assert_eq!(paths, [dev.join("video2"), dev.join("video10")]);
        assert_eq!(found[0].stable, [dev.join("v4l/by-path/usb-1")]);
        assert!(found[0].problem.as_ref().is_some_and(|problem| problem == "is no V4L2 device"));
    }
}
