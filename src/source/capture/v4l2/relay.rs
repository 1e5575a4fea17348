//! Hands buffers on to an output node (v4l2loopback), untouched, for an encoder that wants to read a node itself.
//!
//! Never waits: what the output does not take at once is lost there, counted, and told as its trouble. The tap goes on.

use super::device::{Api, Device};
use super::formats::name_of;
use crate::health::RelayStatus;
use crate::time::Mono;
use nix::errno::Errno;
use std::path::{Path, PathBuf};
use std::time::Duration;
use v4l::v4l_sys as sys;

/// An output that failed is tried again after this long: its reader may hold the old format until it ends.
const AGAIN: Duration = Duration::from_secs(1);

/// Formats of several memory planes, and what they are in one.
const JOINED: [(&[u8; 4], &[u8; 4]); 7] = [
    (b"NM12", b"NV12"),
    (b"NM21", b"NV21"),
    (b"NM16", b"NV16"),
    (b"NM61", b"NV61"),
    (b"YM12", b"YU12"),
    (b"YM21", b"YV12"),
    (b"YM16", b"422P"),
];

/// One output node.
pub(super) struct Relay {
    path: PathBuf,
    open: Option<Device>,
    again: Mono,
    /// Several memory planes are written as one.
    joined: Vec<u8>,
    status: RelayStatus,
}

impl Relay {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: None, again: Mono(0), joined: Vec::new(), status: RelayStatus::default() }
    }

    pub(super) fn status(&self) -> RelayStatus {
        self.status.clone()
    }

    /// The format of what comes from here on is another.
    pub(super) fn restart(&mut self) {
        self.open = None;
        self.again = Mono(0);
    }

    /// Hands on one buffer of `format`.
    pub(super) fn pass(&mut self, format: &sys::v4l2_format, planes: &[&[u8]], now: Mono) {
        if self.open.is_none() && now >= self.again {
            match open(&self.path, format) {
                Ok(device) => (self.open, self.status.trouble) = (Some(device), None),
                Err(reason) => self.fail(reason, now),
            }
        }
        let Some(device) = &self.open else {
            self.status.lost += 1;
            return;
        };
        let bytes = match planes {
            [one] => one,
            several => {
                self.joined.clear();
                several.iter().for_each(|plane| self.joined.extend_from_slice(plane));
                self.joined.as_slice()
            }
        };
        match nix::unistd::write(device, bytes) {
            Ok(_) => self.status.passed += 1,
            Err(Errno::EAGAIN | Errno::EINTR) => self.status.lost += 1,
            Err(error) => {
                self.status.lost += 1;
                self.fail(format!("cannot be written to: {}", error.desc()), now);
            }
        }
    }

    fn fail(&mut self, reason: String, now: Mono) {
        let reason = format!("{}: {reason}", self.path.display());
        if self.status.trouble.as_ref() != Some(&reason) {
            tracing::warn!(reason, "frames are not handed on");
        }
        self.status.trouble = Some(reason);
        (self.open, self.again) = (None, now.plus(AGAIN));
    }
}

/// Why nothing can be handed on to the node at `path`, as far as can be seen without a format.
pub(in super::super) fn fault(path: &Path) -> Option<String> {
    opened(path).err()
}

/// An output.
fn opened(path: &Path) -> Result<Device, String> {
    let device = Device::open(path).map_err(|error| super::device::plain(&error))?;
    let known = device.capability().map_err(|_| "is no video device".to_owned())?;
    let writes = sys::V4L2_CAP_READWRITE;
    if known.caps & sys::V4L2_CAP_VIDEO_OUTPUT == 0 || known.caps & writes == 0 {
        return Err(format!(
            "{} ({}) is no output that can be written to, as v4l2loopback is",
            known.card, known.driver
        ));
    }
    Ok(device)
}

/// An output that takes `format`.
fn open(path: &Path, format: &sys::v4l2_format) -> Result<Device, String> {
    let device = opened(path)?;
    let wanted = single(format).ok_or("this format has several memory planes and no form with one")?;
    let mut set = wanted;
    device.set_format(&mut set).map_err(|error| format!("does not take the format: {}", error.desc()))?;
    #[allow(unsafe_code)]
    // SAFETY: both are of the single-planar output type: this member is the one that is filled, with plain integers.
    let (wanted, set) = unsafe { (wanted.fmt.pix, set.fmt.pix) };
    let shape = |pix: &sys::v4l2_pix_format| (pix.width, pix.height, pix.pixelformat);
    if shape(&wanted) != shape(&set) || set.sizeimage < wanted.sizeimage {
        let (width, height, code) = shape(&set);
        return Err(format!("stays at {width}x{height} {}: does its reader hold it?", name_of(code)));
    }
    Ok(device)
}

/// What is handed on, in the words of the single-planar output API.
fn single(format: &sys::v4l2_format) -> Option<sys::v4l2_format> {
    let mut single = *format;
    single.type_ = sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_OUTPUT;
    if format.type_ == Api::Multi.kind() {
        #[allow(unsafe_code)]
        // SAFETY: the type tells that the driver filled this member; it is of plain integers.
        let from = unsafe { format.fmt.pix_mp };
        let planes = from.plane_fmt;
        let count = usize::from(from.num_planes).min(planes.len());
        let joined = JOINED.iter().find(|(apart, _)| u32::from_le_bytes(**apart) == from.pixelformat);
        let code = match (count, joined) {
            (1, _) => from.pixelformat,
            (_, Some((_, joined))) => u32::from_le_bytes(**joined),
            _ => return None,
        };
        let sizes = planes.iter().take(count).map(|plane| plane.sizeimage);
        #[allow(unsafe_code)]
        // SAFETY: all zero is a value of a struct of plain integers.
        let empty: sys::v4l2_pix_format = unsafe { std::mem::zeroed() };
        single.fmt = sys::v4l2_format__bindgen_ty_1 {
            pix: sys::v4l2_pix_format {
                width: from.width,
                height: from.height,
                pixelformat: code,
                field: from.field,
                bytesperline: planes[0].bytesperline,
                sizeimage: sizes.sum(),
                colorspace: from.colorspace,
                ..empty
            },
        };
    }
    Some(single)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_its_trouble_and_no_more() {
        #[allow(unsafe_code)]
        // SAFETY: plain integers.
        let format: sys::v4l2_format = unsafe { std::mem::zeroed() };
        let mut relay = Relay::new("/dev/null".into());
        relay.pass(&format, &[&[0; 16]], Mono(1));
        let status = relay.status();
        assert_eq!((status.passed, status.lost), (0, 1));
        assert_eq!(status.trouble.as_deref(), Some("/dev/null: is no video device"));
        let mut relay = Relay::new("/dev/none".into());
        relay.pass(&format, &[&[0; 16]], Mono(1));
        relay.pass(&format, &[&[0; 16]], Mono(2));
        assert_eq!(relay.status().lost, 2);
        assert!(relay.status().trouble.is_some_and(|trouble| trouble.contains("/dev/none")));
    }

    #[test]
    fn several_planes_become_one_format() {
        #[allow(unsafe_code)]
        // SAFETY: plain integers.
        let (mut format, empty): (sys::v4l2_format, sys::v4l2_pix_format_mplane) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        format.type_ = Api::Multi.kind();
        let mut planes = sys::v4l2_pix_format_mplane {
            width: 64,
            height: 32,
            pixelformat: u32::from_le_bytes(*b"NM12"),
            num_planes: 2,
            ..empty
        };
        (planes.plane_fmt[0].sizeimage, planes.plane_fmt[0].bytesperline, planes.plane_fmt[1].sizeimage) =
            (2048, 64, 1024);
        format.fmt.pix_mp = planes;
        let single = single(&format).expect("it has a form with one plane");
        #[allow(unsafe_code)]
        // SAFETY: plain integers.
        let pix = unsafe { single.fmt.pix };
        assert_eq!((name_of(pix.pixelformat), pix.sizeimage), ("NV12".to_owned(), 3072));
        let (width, stride) = (pix.width, pix.bytesperline);
        assert_eq!((width, stride), (64, 64));
    }
}
