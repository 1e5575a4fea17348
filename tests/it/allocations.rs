//! Steady state allocates nothing: features and detectors, counted by the allocator itself.

use picket::detect::{Detectors, Observations};
use picket::features::{AudioAnalyzer, TransportTracker, VideoAnalyzer};
use picket::frame::{AudioBlock, Frame, OwnedSamples, PictureInfo};
use picket::kernels::Kernels;
use picket::time::{MediaTime, Stamp};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator, which upholds the contract; the counter is a
// thread-local integer without a destructor, so touching it allocates nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promised us.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised us.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promised us.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WIDTH: usize = 1920;
const HEIGHT: usize = 1080;

fn picture(number: usize) -> Frame {
    let info = PictureInfo { intra: number.is_multiple_of(12), ..PictureInfo::yuv420(WIDTH, HEIGHT) };
    let luma = (0..WIDTH * HEIGHT).map(|n| 40 + ((n / 3 + number * 5) % 160) as u8).collect();
    let chroma = |shift: usize| (0..WIDTH / 2 * HEIGHT / 2).map(|n| 100 + ((n + shift) % 50) as u8).collect();
    let samples = OwnedSamples::yuv420(WIDTH, HEIGHT, luma, chroma(number), chroma(number * 2));
    let stamp = Stamp { at: MediaTime(number as i64 * 40_000_000), ..Stamp::default() };
    Frame::new(stamp, info, Box::new(samples)).expect("planes fit")
}

fn sound(number: usize) -> AudioBlock {
    let stamp = Stamp { at: MediaTime(number as i64 * 40_000_000), ..Stamp::default() };
    let samples = (0..1920 * 2).map(|n| ((n * 31 + number) % 100) as f32 / 200.0).collect();
    AudioBlock { stamp, rate: 48_000, channels: 2, samples }
}

#[test]
fn a_1080p25_source_allocates_nothing_per_frame() {
    let mut units: Vec<(Frame, AudioBlock)> = (0..60).map(|n| (picture(n), sound(n))).collect();
    units.reverse();
    let (mut video, mut audio) = (VideoAnalyzer::new(Kernels::detect()), AudioAnalyzer::default());
    let (mut transport, mut detectors) = (TransportTracker::default(), Detectors::default());
    let mut steady = 0;
    for number in 0..60 {
        let (frame, block) = units.pop().expect("made above");
        let before = COUNT.with(Cell::get);
        let mut said = Observations::new();
        detectors.transport(&transport.picture(&frame), &mut said);
        detectors.video(video.analyze(frame), &mut said);
        let mut said = Observations::new();
        detectors.transport(&transport.sound(&block), &mut said);
        audio.analyze(&block, |features| {
            let mut said = Observations::new();
            detectors.audio(features, &mut said);
        });
        if number >= 10 {
            steady += COUNT.with(Cell::get) - before;
        }
    }
    assert_eq!(steady, 0, "allocations in 50 pictures after the first 10");
}
