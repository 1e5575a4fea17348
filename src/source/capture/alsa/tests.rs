use super::*;
use crate::time::ManualClock;
use std::sync::Mutex;

const RATE: u32 = 48_000;

/// What a device that tests play does next.
#[derive(Debug)]
enum Step {
    /// So many samples came since.
    Frames(u64),
    Stop(Stop),
}

#[derive(Default)]
struct World {
    /// What each attempt to open gives: the rate, or why not. The last one for ever.
    openings: VecDeque<Result<u32, String>>,
    steps: VecDeque<Step>,
    /// Samples since the machine started, by which stamps are made; lost ones too.
    produced: u64,
    restarts: u32,
}

struct Played {
    shape: Shape,
    world: Arc<Mutex<World>>,
}

impl Device for Played {
    fn shape(&self) -> &Shape {
        &self.shape
    }
    fn poll_fds(&self) -> Vec<pollfd> {
        vec![pollfd { fd: 7, events: 1, revents: 0 }]
    }
    fn waiting(&mut self) -> Result<Waiting, Stop> {
        let mut world = self.world.lock().expect("whole");
        match world.steps.pop_front() {
            None => Ok(Waiting { frames: 0, first: Mono(0) }),
            Some(Step::Stop(stop)) => Err(stop),
            Some(Step::Frames(frames)) => {
                let first = Mono(world.produced * 1_000_000_000 / u64::from(self.shape.rate));
                world.produced += frames;
                Ok(Waiting { frames, first })
            }
        }
    }
    fn read(&mut self, frames: u64, out: &mut Vec<f32>) -> Result<u64, Stop> {
        out.extend((0..frames * u64::from(self.shape.channels)).map(|n| n as f32));
        Ok(frames)
    }
    fn restart(&mut self) -> Result<(), Stop> {
        let mut world = self.world.lock().expect("whole");
        world.restarts += 1;
        world.produced += 4_800;
        Ok(())
    }
    fn resume(&mut self) -> Result<bool, Stop> {
        Ok(false)
    }
}

struct Bench {
    alsa: Alsa,
    clock: Arc<ManualClock>,
    world: Arc<Mutex<World>>,
}

impl Bench {
    fn new(openings: &[Result<u32, &str>]) -> Self {
        let openings = openings.iter().map(|opening| opening.map_err(str::to_owned)).collect();
        let world = Arc::new(Mutex::new(World { openings, produced: 48_000, ..World::default() }));
        let clock = Arc::new(ManualClock::default());
        let played = world.clone();
        let opener: Opener = Box::new(move |_| {
            let mut world = played.lock().expect("whole");
            let opening =
                if world.openings.len() > 1 { world.openings.pop_front() } else { world.openings.front().cloned() };
            let rate = opening.expect("one is left")?;
            let shape =
                Shape { rate, channels: 2, format: format!("{rate} Hz 2 ch s16le"), period: Duration::from_millis(20) };
            Ok(Box::new(Played { shape, world: played.clone() }) as _)
        });
        Self { alsa: Alsa::with("hw:9,0".to_owned(), clock.clone(), 3, opener), clock, world }
    }

    /// What comes of `steps`, one for each 20 ms.
    fn plays(&mut self, steps: impl IntoIterator<Item = Step>) -> Vec<Sound> {
        let mut out = VecDeque::new();
        for step in steps {
            self.world.lock().expect("whole").steps.push_back(step);
            self.alsa.take(&mut out);
            self.clock.advance(Duration::from_millis(20));
        }
        out.into()
    }

    fn waits(&mut self, time: Duration) -> Vec<Sound> {
        self.clock.advance(time);
        let mut out = VecDeque::new();
        self.alsa.take(&mut out);
        out.into()
    }
}

fn lost(sound: &Sound) -> &str {
    match sound {
        Sound::Lost { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn blocks_follow_each_other_and_long_ones_are_cut() {
    let mut bench = Bench::new(&[Ok(RATE)]);
    assert!(bench.alsa.poll_fds().is_empty(), "closed until the first take");
    let heard = bench.plays([Step::Frames(960), Step::Frames(12_000)]);
    assert_eq!(heard[0], Sound::Opened { format: "48000 Hz 2 ch s16le".into() });
    let blocks: Vec<(u64, usize)> = heard[1..]
        .iter()
        .map(|sound| match sound {
            Sound::Block { first, rate: RATE, channels: 2, samples } => (first.0 / 1_000, samples.len() / 2),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(blocks, [(1_000_000, 960), (1_020_000, 4_800), (1_120_000, 4_800), (1_220_000, 2_400)]);
    assert_eq!(bench.alsa.poll_fds().len(), 1);
    assert_eq!(bench.alsa.counts(), AlsaCounts::default());
}

#[test]
fn an_overrun_is_counted_and_told_as_a_gap() {
    let mut bench = Bench::new(&[Ok(RATE)]);
    let heard = bench.plays([Step::Frames(960), Step::Stop(Stop::Overrun), Step::Frames(960)]);
    assert!(matches!(heard[2], Sound::Gap { at: Mono(1_020_000_000), frames: 4_800 }), "{heard:?}");
    assert!(matches!(heard[3], Sound::Block { first: Mono(1_120_000_000), .. }), "{heard:?}");
    let counts = bench.alsa.counts();
    assert_eq!((counts.xruns, counts.lost_frames, counts.reopens), (1, 4_800, 0));
    assert_eq!(bench.world.lock().expect("whole").restarts, 1);
}

#[test]
fn an_overrun_that_was_found_late_is_no_loss_of_the_device() {
    let mut bench = Bench::new(&[Ok(RATE)]);
    bench.plays([Step::Frames(960)]);
    bench.clock.advance(Duration::from_secs(3));
    let heard = bench.plays([Step::Stop(Stop::Overrun), Step::Frames(960)]);
    assert!(heard.iter().all(|sound| !matches!(sound, Sound::Lost { .. })), "{heard:?}");
    assert_eq!(bench.alsa.counts().xruns, 1);
}

#[test]
fn a_device_that_goes_is_lost_and_opened_again_with_back_off() {
    let mut bench = Bench::new(&[Ok(RATE), Err("no such capture device"), Err("no such capture device"), Ok(RATE)]);
    let heard = bench.plays([Step::Frames(960), Step::Stop(Stop::Gone("the device was unplugged".into()))]);
    assert_eq!(lost(heard.last().expect("one")), "alsa:hw:9,0: the device was unplugged");
    assert!(bench.alsa.poll_fds().is_empty());
    assert!(bench.waits(Duration::from_millis(10)).is_empty(), "not yet");
    let mut waits = Vec::new();
    loop {
        let before = bench.clock.mono();
        let wake = bench.alsa.wake_at().expect("it wants to try");
        waits.push(wake.since(before));
        let heard = bench.waits(wake.since(before));
        match &heard[..] {
            [Sound::Lost { reason }] => assert_eq!(reason, "alsa:hw:9,0: no such capture device"),
            [Sound::Opened { .. }] => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(waits.len(), 3);
    assert!(waits[2] > waits[0] && waits[2] <= Duration::from_secs(2), "{waits:?}");
    assert_eq!(bench.alsa.counts().reopens, 1);
    // The time without a device is told as a loss, not as samples that are missing.
    assert!(bench.plays([Step::Frames(960)]).iter().all(|sound| matches!(sound, Sound::Block { .. })));
}

#[test]
fn a_device_without_samples_is_lost() {
    let mut bench = Bench::new(&[Ok(RATE)]);
    bench.plays([Step::Frames(960)]);
    assert!(bench.waits(Duration::from_millis(1_900)).is_empty());
    let wake = bench.alsa.wake_at().expect("it wants to look").since(bench.clock.mono());
    let heard = bench.waits(wake + Duration::from_millis(1));
    assert!(lost(&heard[0]).contains("no samples"), "{heard:?}");
}

#[test]
fn a_machine_that_wakes_up_gets_time() {
    let mut bench = Bench::new(&[Ok(RATE)]);
    let mut heard = bench.plays([Step::Frames(960), Step::Stop(Stop::Suspended), Step::Stop(Stop::Suspended)]);
    assert_eq!(heard.len(), 2, "{heard:?}");
    bench.world.lock().expect("whole").produced += 480;
    heard = bench.plays([Step::Frames(960)]);
    assert!(matches!(heard[0], Sound::Gap { frames: 480, .. }), "{heard:?}");
}

#[test]
fn another_rate_opens_the_device_again_without_a_loss() {
    let mut bench = Bench::new(&[Ok(RATE), Ok(44_100)]);
    let heard = bench.plays([Step::Frames(960), Step::Stop(Stop::Changed), Step::Frames(960)]);
    assert_eq!(heard[2], Sound::Opened { format: "44100 Hz 2 ch s16le".into() });
    assert!(matches!(heard[3], Sound::Block { rate: 44_100, .. }), "{heard:?}");
    let counts = bench.alsa.counts();
    assert_eq!((counts.reopens, counts.rate_changes, counts.xruns), (1, 1, 0));
}

#[test]
fn one_that_changes_all_the_time_is_left_alone_for_a_while() {
    let mut bench = Bench::new(&[Ok(RATE)]);
    let heard = bench.plays([Step::Frames(960), Step::Stop(Stop::Changed), Step::Stop(Stop::Changed)]);
    assert!(lost(heard.last().expect("one")).contains("changes all the time"));
    assert!(bench.plays([Step::Frames(960)]).is_empty());
}

/// alsa-lib itself, with a plug-in in place of hardware: opens, shapes, reads, and ends.
#[test]
fn alsa_lib_without_hardware() {
    let mut alsa = Alsa::new("null".to_owned(), Arc::new(crate::time::SystemClock), 1);
    let mut out = VecDeque::new();
    alsa.take(&mut out);
    assert_eq!(out.pop_front(), Some(Sound::Opened { format: "48000 Hz 2 ch s16le".into() }));
    let mut absent = Alsa::new("hw:31,0".to_owned(), Arc::new(crate::time::SystemClock), 1);
    absent.take(&mut out);
    assert_eq!(lost(out.back().expect("told")), "alsa:hw:31,0: no such capture device");
    let mut wrong = Alsa::new("no\0name".to_owned(), Arc::new(crate::time::SystemClock), 1);
    wrong.take(&mut out);
    assert!(lost(out.back().expect("told")).ends_with("is no name of a device"));
}
