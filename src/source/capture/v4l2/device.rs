//! The calls of V4L2 (videodev2.h) that are used here, one safe method each. None of them panics on what a driver says.

use nix::errno::Errno;
use std::fs::OpenOptions;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use v4l::v4l_sys as sys;

/// Memory planes of a buffer at the most (VIDEO_MAX_PLANES).
pub(super) const PLANES: usize = 8;

mod raw {
    use super::sys::*;
    use nix::{ioctl_read, ioctl_readwrite, ioctl_write_ptr};

    ioctl_read!(querycap, b'V', 0, v4l2_capability);
    ioctl_readwrite!(enum_fmt, b'V', 2, v4l2_fmtdesc);
    ioctl_readwrite!(g_fmt, b'V', 4, v4l2_format);
    ioctl_readwrite!(s_fmt, b'V', 5, v4l2_format);
    ioctl_readwrite!(reqbufs, b'V', 8, v4l2_requestbuffers);
    ioctl_readwrite!(querybuf, b'V', 9, v4l2_buffer);
    ioctl_readwrite!(qbuf, b'V', 15, v4l2_buffer);
    ioctl_readwrite!(dqbuf, b'V', 17, v4l2_buffer);
    ioctl_write_ptr!(streamon, b'V', 18, i32);
    ioctl_write_ptr!(streamoff, b'V', 19, i32);
    ioctl_readwrite!(g_parm, b'V', 21, v4l2_streamparm);
    ioctl_readwrite!(enuminput, b'V', 26, v4l2_input);
    ioctl_readwrite!(g_ctrl, b'V', 27, v4l2_control);
    ioctl_read!(g_input, b'V', 38, i32);
    ioctl_readwrite!(s_dv_timings, b'V', 87, v4l2_dv_timings);
    ioctl_readwrite!(g_dv_timings, b'V', 88, v4l2_dv_timings);
    ioctl_read!(dqevent, b'V', 89, v4l2_event);
    ioctl_write_ptr!(subscribe_event, b'V', 90, v4l2_event_subscription);
    ioctl_read!(query_dv_timings, b'V', 99, v4l2_dv_timings);
}

/// An open node.
#[derive(Debug)]
pub(super) struct Device {
    fd: OwnedFd,
}

/// One or several memory planes for each buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// `V4L2_BUF_TYPE_VIDEO_CAPTURE`.
    Single,
    /// `V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE`.
    Multi,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Capability {
    /// "uvcvideo".
    pub driver: String,
    /// "HD Capture: HD Capture".
    pub card: String,
    /// Of this node, not of the whole device.
    pub caps: u32,
}

/// A buffer that the driver filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filled {
    /// Which.
    pub index: usize,
    /// First byte of the samples and the byte behind the last, of each memory plane.
    pub bytes: [(usize, usize); PLANES],
    /// `V4L2_BUF_FLAG_*`.
    pub flags: u32,
    /// `V4L2_FIELD_*`.
    pub field: u32,
    /// As the driver wrote it, nanoseconds.
    pub stamp_ns: i64,
    /// As the driver counted it.
    pub sequence: u32,
}

/// A value of all zero bytes.
#[allow(unsafe_code)]
fn zeroed<T: Copy>() -> T {
    // SAFETY: only used with the structs of videodev2.h: integers, arrays and unions of these, and pointers, for all of
    // which zero is a value.
    unsafe { std::mem::zeroed() }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

impl Api {
    pub(super) fn kind(self) -> u32 {
        match self {
            Api::Single => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE,
            Api::Multi => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE,
        }
    }
}

impl Device {
    /// Never waits, also not later on.
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
        Ok(Self { fd: file.into() })
    }

    pub(super) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// One call. `made` is what nix made of the number and the type of the call's argument.
    #[allow(unsafe_code)]
    fn call<T>(&self, made: unsafe fn(RawFd, *mut T) -> nix::Result<i32>, argument: &mut T) -> Result<(), Errno> {
        loop {
            // SAFETY: the descriptor is open, and the argument is a live, exclusively borrowed value of the call's own
            // type. What it points to, callers keep alive.
            match unsafe { made(self.fd(), argument) } {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    #[allow(unsafe_code)]
    fn tell<T>(&self, made: unsafe fn(RawFd, *const T) -> nix::Result<i32>, argument: &T) -> Result<(), Errno> {
        loop {
            // SAFETY: as in `call`; the kernel only reads it.
            match unsafe { made(self.fd(), argument) } {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn capability(&self) -> Result<Capability, Errno> {
        let mut raw: sys::v4l2_capability = zeroed();
        self.call(raw::querycap, &mut raw)?;
        let own = raw.capabilities & sys::V4L2_CAP_DEVICE_CAPS != 0;
        Ok(Capability {
            driver: text(&raw.driver),
            card: text(&raw.card),
            caps: if own { raw.device_caps } else { raw.capabilities },
        })
    }

    /// Formats that it offers, as fourcc.
    pub(super) fn formats(&self, api: Api) -> Vec<u32> {
        let offered = (0..256).map_while(|index| {
            let mut raw = sys::v4l2_fmtdesc { index, type_: api.kind(), ..zeroed() };
            self.call(raw::enum_fmt, &mut raw).ok().map(|()| raw.pixelformat)
        });
        offered.collect()
    }

    /// The format that is set.
    pub(super) fn format(&self, kind: u32) -> Result<sys::v4l2_format, Errno> {
        let mut raw = sys::v4l2_format { type_: kind, ..zeroed() };
        self.call(raw::g_fmt, &mut raw).map(|()| raw)
    }

    /// Sets it; the driver changes what it cannot do.
    pub(super) fn set_format(&self, raw: &mut sys::v4l2_format) -> Result<(), Errno> {
        self.call(raw::s_fmt, raw)
    }

    /// Nanoseconds from picture to picture, where the driver knows.
    pub(super) fn interval_ns(&self, api: Api) -> Option<u64> {
        let mut raw = sys::v4l2_streamparm { type_: api.kind(), ..zeroed() };
        self.call(raw::g_parm, &mut raw).ok()?;
        #[allow(unsafe_code)]
        // SAFETY: the type that was asked for is a capture type, for which the driver fills this member.
        let every = unsafe { raw.parm.capture }.timeperframe;
        let ns = u64::from(every.numerator) * 1_000_000_000;
        ns.checked_div(u64::from(every.denominator)).filter(|&ns| ns > 0)
    }

    /// Asks for buffers, 0 gives all back; how many there are now.
    pub(super) fn request(&self, api: Api, count: u32) -> Result<usize, Errno> {
        let memory = sys::v4l2_memory_V4L2_MEMORY_MMAP;
        let mut raw = sys::v4l2_requestbuffers { count, type_: api.kind(), memory, ..zeroed() };
        self.call(raw::reqbufs, &mut raw).map(|()| raw.count as usize)
    }

    /// Length and offset of each memory plane of a buffer.
    pub(super) fn planes(&self, api: Api, index: usize) -> Result<Vec<(usize, i64)>, Errno> {
        let mut planes = [zeroed::<sys::v4l2_plane>(); PLANES];
        let mut raw = buffer(api, index, &mut planes);
        self.call(raw::querybuf, &mut raw)?;
        #[allow(unsafe_code)]
        // SAFETY: for buffers of this memory type the driver fills the offset.
        let offset = |plane: &sys::v4l2_plane| i64::from(unsafe { plane.m.mem_offset });
        Ok(match api {
            #[allow(unsafe_code)]
            // SAFETY: as above.
            Api::Single => vec![(raw.length as usize, i64::from(unsafe { raw.m.offset }))],
            Api::Multi => {
                let used = planes.iter().take(raw.length as usize);
                used.map(|plane| (plane.length as usize, offset(plane))).collect()
            }
        })
    }

    pub(super) fn queue(&self, api: Api, index: usize) -> Result<(), Errno> {
        let mut planes = [zeroed::<sys::v4l2_plane>(); PLANES];
        let mut raw = buffer(api, index, &mut planes);
        self.call(raw::qbuf, &mut raw)
    }

    /// EAGAIN: none is filled.
    pub(super) fn dequeue(&self, api: Api) -> Result<Filled, Errno> {
        let mut planes = [zeroed::<sys::v4l2_plane>(); PLANES];
        let mut raw = buffer(api, 0, &mut planes);
        self.call(raw::dqbuf, &mut raw)?;
        let mut bytes = [(0, 0); PLANES];
        match api {
            Api::Single => bytes[0] = (0, raw.bytesused as usize),
            Api::Multi => {
                for (bytes, plane) in bytes.iter_mut().zip(&planes).take(raw.length as usize) {
                    *bytes = (plane.data_offset as usize, plane.bytesused as usize);
                }
            }
        }
        let (seconds, micros) = (raw.timestamp.tv_sec, raw.timestamp.tv_usec);
        Ok(Filled {
            index: raw.index as usize,
            bytes,
            flags: raw.flags,
            field: raw.field,
            stamp_ns: seconds.wrapping_mul(1_000_000_000).wrapping_add(micros.wrapping_mul(1000)),
            sequence: raw.sequence,
        })
    }

    pub(super) fn stream(&self, api: Api, on: bool) -> Result<(), Errno> {
        let kind = api.kind() as i32;
        if on { self.tell(raw::streamon, &kind) } else { self.tell(raw::streamoff, &kind) }
    }

    /// Which input is chosen; 0 where there is no choice.
    pub(super) fn input(&self) -> u32 {
        let mut index = 0;
        match self.call(raw::g_input, &mut index) {
            Ok(()) => u32::try_from(index).unwrap_or(0),
            Err(_) => 0,
        }
    }

    /// `V4L2_IN_ST_*`; 0 where the driver does not tell.
    pub(super) fn input_status(&self, index: u32) -> Result<u32, Errno> {
        let mut raw = sys::v4l2_input { index, ..zeroed() };
        match self.call(raw::enuminput, &mut raw) {
            Ok(()) => Ok(raw.status),
            Err(Errno::ENODEV) => Err(Errno::ENODEV),
            Err(_) => Ok(0),
        }
    }

    pub(super) fn control(&self, id: u32) -> Option<i32> {
        let mut raw = sys::v4l2_control { id, value: 0 };
        self.call(raw::g_ctrl, &mut raw).ok().map(|()| raw.value)
    }

    /// What arrives at the connector right now.
    pub(super) fn query_timings(&self) -> Result<sys::v4l2_dv_timings, Errno> {
        let mut raw = zeroed();
        self.call(raw::query_dv_timings, &mut raw).map(|()| raw)
    }

    /// What the device is set to.
    pub(super) fn timings(&self) -> Result<sys::v4l2_dv_timings, Errno> {
        let mut raw = zeroed();
        self.call(raw::g_dv_timings, &mut raw).map(|()| raw)
    }

    pub(super) fn set_timings(&self, timings: &sys::v4l2_dv_timings) -> Result<(), Errno> {
        self.call(raw::s_dv_timings, &mut timings.clone())
    }

    /// Many drivers know none of these events.
    pub(super) fn subscribe(&self, kind: u32, id: u32) {
        let raw = sys::v4l2_event_subscription { type_: kind, id, ..zeroed() };
        let _ = self.tell(raw::subscribe_event, &raw);
    }

    /// Takes the next event; ENOENT: there is none.
    pub(super) fn event(&self) -> Result<u32, Errno> {
        let mut raw: sys::v4l2_event = zeroed();
        self.call(raw::dqevent, &mut raw).map(|()| raw.type_)
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What names a buffer. `planes` must live as long as it is used.
fn buffer(api: Api, index: usize, planes: &mut [sys::v4l2_plane; PLANES]) -> sys::v4l2_buffer {
    let memory = sys::v4l2_memory_V4L2_MEMORY_MMAP;
    let mut raw = sys::v4l2_buffer { index: index as u32, type_: api.kind(), memory, ..zeroed() };
    if api == Api::Multi {
        raw.m.planes = planes.as_mut_ptr();
        raw.length = PLANES as u32;
    }
    raw
}

/// In words, without the number.
pub(super) fn plain(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| Errno::from_raw(number).desc().to_owned())
}
