//! Which of FFmpeg's video decoders work here: each is given a clip of half a second, and must show its pictures.

use crate::budget::Share;
use crate::kernels::Kernels;
use crate::source::{Context, HARDWARE_DECODERS, Input, Offline, Unit, has_video_decoder};
use crate::time::SystemClock;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Longer than any decoder needs for twelve small pictures; hardware without its firmware may hang.
const PATIENCE: Duration = Duration::from_secs(4);

/// Codecs and a clip of each: 320x240, 12 pictures, made with FFmpeg's own picture source:
/// `ffmpeg -f lavfi -i gradients=s=320x240:r=25:speed=0.02:d=0.48:seed=7 -bf 0 ...`.
const CLIPS: [(&str, &[u8]); 4] = [
    ("h264", include_bytes!("clips/h264.mkv")),
    ("hevc", include_bytes!("clips/hevc.mkv")),
    ("mpeg2", include_bytes!("clips/mpeg2.mkv")),
    ("vp9", include_bytes!("clips/vp9.mkv")),
];
const PICTURES: usize = 12;

/// What came of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It showed every picture.
    Works,
    /// It cannot be opened: no such hardware.
    DoesNotOpen,
    /// It takes packets and shows fewer pictures than they hold.
    ShowsTooLittle,
    /// It does not come back.
    Hangs,
}

impl Outcome {
    /// "works", "does not open"...
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Works => "works",
            Outcome::DoesNotOpen => "does not open",
            Outcome::ShowsTooLittle => "shows no picture",
            Outcome::Hangs => "hangs",
        }
    }
}

/// A decoder and whether it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoder {
    /// "h264_v4l2m2m"; the codec's own name for software.
    pub name: &'static str,
    /// "h264".
    pub codec: &'static str,
    /// Whether it is for hardware.
    pub hardware: bool,
    /// What came of trying it.
    pub outcome: Outcome,
}

/// Tries the software decoder of each codec, and every hardware decoder that the loaded FFmpeg was built with.
pub fn decoders() -> Vec<Decoder> {
    let software = CLIPS.iter().map(|(codec, clip)| Decoder {
        name: codec,
        codec,
        hardware: false,
        outcome: within(PATIENCE, move |stop| tried(clip, None, stop)),
    });
    let hardware = HARDWARE_DECODERS.iter().filter(|name| has_video_decoder(name)).filter_map(|name| {
        let (codec, clip) = CLIPS.iter().find(|(codec, _)| name.split('_').next() == Some(codec))?;
        let outcome = within(PATIENCE, move |stop| tried(clip, Some(name), stop));
        Some(Decoder { name, codec, hardware: true, outcome })
    });
    software.chain(hardware).collect()
}

/// In a thread of its own, which is left alone when it does not come back.
fn within(patience: Duration, trial: impl FnOnce(Arc<AtomicBool>) -> Outcome + Send + 'static) -> Outcome {
    let (tell, told) = mpsc::channel();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let started = std::thread::Builder::new().name("trial".to_owned()).spawn(move || {
        // Nobody listens any more when it took too long.
        let _ = tell.send(trial(stopped));
    });
    let outcome = started.ok().and_then(|_| told.recv_timeout(patience).ok()).unwrap_or(Outcome::Hangs);
    stop.store(true, Ordering::Relaxed);
    outcome
}

fn tried(clip: &[u8], name: Option<&str>, stop: Arc<AtomicBool>) -> Outcome {
    let Ok(memory) = memfd_create("picket-clip", MFdFlags::MFD_CLOEXEC) else { return Outcome::DoesNotOpen };
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let mut file = std::fs::File::from(memory);
    let context = Context {
        clock: Arc::new(SystemClock),
        stop,
        seed: 0,
        reopen_after: PATIENCE,
        share: Share::default(),
        decoder: name.map(str::to_owned),
        kernels: Kernels::detect(),
    };
    let source = file.write_all(clip).ok().and_then(|()| Offline::open(&Input::File(path.into()), &context).ok());
    let Some(mut source) = source else { return Outcome::DoesNotOpen };
    let mut pictures = 0;
    loop {
        match source.next_unit() {
            // Where the named one does not open, another takes its place and is not called by that name.
            Unit::Opened { format, .. } | Unit::Format(format)
                if name.is_some_and(|name| !format.contains(&format!(" by {name}"))) =>
            {
                return if pictures == 0 { Outcome::DoesNotOpen } else { Outcome::ShowsTooLittle };
            }
            Unit::Video(_) => pictures += 1,
            Unit::End => break,
            _ => {}
        }
    }
    if pictures >= PICTURES { Outcome::Works } else { Outcome::ShowsTooLittle }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_shows_every_picture_of_every_clip() {
        for (codec, clip) in CLIPS {
            assert_eq!(tried(clip, None, Arc::default()), Outcome::Works, "{codec}");
        }
    }

    /// Known to FFmpeg and named wrong for the clip: as one without its hardware.
    #[test]
    fn one_that_cannot_open_is_not_taken_for_another_that_can() {
        assert_eq!(tried(CLIPS[0].1, Some("hevc"), Arc::default()), Outcome::DoesNotOpen);
        assert_eq!(tried(CLIPS[0].1, Some("h264"), Arc::default()), Outcome::Works);
    }

    #[test]
    fn one_that_hangs_is_left_alone() {
        let hangs = |stop: Arc<AtomicBool>| {
            while !stop.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            Outcome::Works
        };
        assert_eq!(within(Duration::from_millis(20), hangs), Outcome::Hangs);
    }
}
