//! Buffers that driver and process share: requested, mapped, queued, dequeued, given back.
//!
//! Ours and not the `v4l` crate's: its stream puts back a buffer that the kernel still has after each time-out, which is
//! our ordinary case, knows no memory planes, and panics when a device goes away under it.

use super::device::{Api, Device, Filled, PLANES};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::rc::Rc;

/// Buffers that are asked for: some pictures can wait while one is looked at and another is filled.
const BUFFERS: u32 = 6;
/// With fewer a driver has none to fill while one is read.
const BUFFERS_MIN: usize = 2;

/// Memory of a driver.
struct Map {
    start: NonNull<std::ffi::c_void>,
    length: NonZeroUsize,
}

impl Map {
    #[allow(unsafe_code)]
    fn new(device: &Device, length: usize, offset: i64) -> Result<Self, Errno> {
        let length = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
        // SAFETY: a new mapping at an address of the kernel's choice takes nothing from anybody.
        let start = unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, device, offset)? };
        Ok(Self { start, length })
    }

    #[allow(unsafe_code)]
    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable, as long as this and lives as long as `self`. Its bytes are only asked for between
        // dequeue and queue, while the driver leaves them alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.length.get()) }
    }
}

impl Drop for Map {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: the mapping is whole, and no slice of it outlives it. A refusal leaves nothing to be done.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}

/// A running stream. Dropping it stops the driver and gives all back, also when the device is gone.
pub(super) struct Stream {
    device: Rc<Device>,
    api: Api,
    /// Memory planes of each buffer.
    buffers: Vec<Vec<Map>>,
}

/// The samples of one filled buffer, one slice for each memory plane.
#[derive(Clone, Copy)]
pub(super) struct Planes<'a> {
    all: [&'a [u8]; PLANES],
    count: usize,
}

impl<'a> Planes<'a> {
    pub(super) fn all(&self) -> &[&'a [u8]] {
        &self.all[..self.count]
    }
}

impl Stream {
    /// Requests, maps and queues buffers, and starts the driver.
    pub(super) fn start(device: &Rc<Device>, api: Api) -> Result<Self, (&'static str, Errno)> {
        let count = device.request(api, BUFFERS).map_err(|error| ("REQBUFS", error))?;
        // From here on what fails is given back by the drop.
        let mut stream = Self { device: device.clone(), api, buffers: Vec::with_capacity(count) };
        if count < BUFFERS_MIN {
            return Err(("REQBUFS", Errno::ENOMEM));
        }
        for index in 0..count {
            let planes = device.planes(api, index).map_err(|error| ("QUERYBUF", error))?;
            let maps = planes.into_iter().take(PLANES).map(|(length, offset)| Map::new(device, length, offset));
            stream.buffers.push(maps.collect::<Result<_, _>>().map_err(|error| ("mmap", error))?);
        }
        for index in 0..count {
            device.queue(api, index).map_err(|error| ("QBUF", error))?;
        }
        device.stream(api, true).map_err(|error| ("STREAMON", error))?;
        Ok(stream)
    }

    /// Buffers there are.
    pub(super) fn buffers(&self) -> usize {
        self.buffers.len()
    }

    /// The next filled buffer; `None`: there is none yet.
    pub(super) fn next(&self) -> Result<Option<Filled>, Errno> {
        match self.device.dequeue(self.api) {
            Ok(filled) if filled.index < self.buffers.len() => Ok(Some(filled)),
            Ok(_) => Err(Errno::EIO),
            Err(Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the driver wrote. Drivers that tell no length fill the whole buffer.
    pub(super) fn samples(&self, filled: &Filled) -> Planes<'_> {
        let mut all: [&[u8]; PLANES] = [&[]; PLANES];
        let maps = &self.buffers[filled.index];
        for ((samples, map), (first, end)) in all.iter_mut().zip(maps).zip(filled.bytes) {
            let bytes = map.bytes();
            let end = if end == 0 { bytes.len() } else { end.min(bytes.len()) };
            *samples = bytes.get(first..end).unwrap_or_default();
        }
        Planes { all, count: maps.len() }
    }

    /// The driver may fill it again.
    pub(super) fn give_back(&self, filled: &Filled) -> Result<(), Errno> {
        self.device.queue(self.api, filled.index)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A device that is gone refuses all of this, and has given its buffers up by itself.
        let _ = self.device.stream(self.api, false);
        self.buffers.clear();
        let _ = self.device.request(self.api, 0);
    }
}
