//! The calls of V4L2 that discovery needs. The `v4l` crate gives the structs of videodev2.h; its own calls panic on names
//! that are no UTF-8 and know single-planar devices only.

use nix::errno::Errno;
use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use v4l::v4l_sys as sys;

/// A driver whose lists do not end is not followed further.
const LIST_MAX: u32 = 256;

mod raw {
    use super::sys::*;
    use nix::{ioctl_read, ioctl_readwrite};

    ioctl_read!(querycap, b'V', 0, v4l2_capability);
    ioctl_readwrite!(enum_fmt, b'V', 2, v4l2_fmtdesc);
    ioctl_readwrite!(enuminput, b'V', 26, v4l2_input);
    ioctl_read!(g_input, b'V', 38, i32);
    ioctl_readwrite!(enum_framesizes, b'V', 74, v4l2_frmsizeenum);
    ioctl_readwrite!(enum_frameintervals, b'V', 75, v4l2_frmivalenum);
    ioctl_readwrite!(g_dv_timings, b'V', 88, v4l2_dv_timings);
    ioctl_read!(query_dv_timings, b'V', 99, v4l2_dv_timings);
}

/// An open node.
pub(super) struct Node {
    fd: OwnedFd,
}

/// A struct of videodev2.h, of zeros but for what the caller fills in.
#[allow(unsafe_code)]
pub(super) fn blank<T: Copy>() -> T {
    // SAFETY: called for structs of videodev2.h only: integers, arrays and unions of these, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// Text in a field of fixed length.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}

impl Node {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
        Ok(Self { fd: file.into() })
    }

    /// One call. `made`: what nix made of its number and the type of its argument.
    #[allow(unsafe_code)]
    fn call<T>(&self, made: unsafe fn(RawFd, *mut T) -> nix::Result<i32>, mut argument: T) -> Result<T, Errno> {
        loop {
            // SAFETY: the descriptor is open and the argument a live value of the call's own type, without pointers.
            match unsafe { made(self.fd.as_raw_fd(), &raw mut argument) } {
                Ok(_) => return Ok(argument),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What `ask` gives for 0, 1, 2 ... until the driver says that there is no more.
    fn list<T>(&self, ask: impl Fn(u32) -> Result<T, Errno>) -> Vec<T> {
        (0..LIST_MAX).map_while(|index| ask(index).ok()).collect()
    }

    pub(super) fn capability(&self) -> Result<sys::v4l2_capability, Errno> {
        self.call(raw::querycap, blank())
    }

    /// Pixel formats of one type of buffer.
    pub(super) fn formats(&self, kind: u32) -> Vec<sys::v4l2_fmtdesc> {
        self.list(|index| self.call(raw::enum_fmt, sys::v4l2_fmtdesc { index, type_: kind, ..blank() }))
    }

    /// Sizes of one pixel format.
    pub(super) fn sizes(&self, format: u32) -> Vec<sys::v4l2_frmsizeenum> {
        let ask = |index| sys::v4l2_frmsizeenum { index, pixel_format: format, ..blank() };
        self.list(|index| self.call(raw::enum_framesizes, ask(index)))
    }

    /// Intervals between pictures of one pixel format and size.
    pub(super) fn intervals(&self, format: u32, (width, height): (u32, u32)) -> Vec<sys::v4l2_frmivalenum> {
        let ask = |index| sys::v4l2_frmivalenum { index, pixel_format: format, width, height, ..blank() };
        self.list(|index| self.call(raw::enum_frameintervals, ask(index)))
    }

    /// The input that is chosen.
    pub(super) fn input(&self) -> Result<sys::v4l2_input, Errno> {
        let chosen = self.call(raw::g_input, 0)?;
        self.call(raw::enuminput, sys::v4l2_input { index: u32::try_from(chosen).unwrap_or(0), ..blank() })
    }

    /// What arrives, measured now.
    pub(super) fn measured_timings(&self) -> Result<sys::v4l2_dv_timings, Errno> {
        self.call(raw::query_dv_timings, blank())
    }

    /// What the receiver is set to.
    pub(super) fn set_timings(&self) -> Result<sys::v4l2_dv_timings, Errno> {
        self.call(raw::g_dv_timings, blank())
    }
}
