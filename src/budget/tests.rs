//! The governor against simulated boxes.

use super::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A source as it costs on some box, in cores.
#[derive(Clone, Copy)]
struct Costs {
    decode: f64,
    look: f64,
    decodes: bool,
}

impl Costs {
    fn stream(decode: f64, look: f64) -> Self {
        Self { decode, look, decodes: true }
    }
    fn capture(look: f64) -> Self {
        Self { decode: 0.0, look, decodes: false }
    }
    /// What it takes on `step`: as on a real box, not quite what the governor assumes.
    fn on(self, step: Step) -> (f64, f64) {
        let Some(effort) = step.effort() else { return (0.0, 0.0) };
        let (decoded, pictures) = match effort.decode {
            Decode::Full => (1.0, 1.0),
            Decode::Reference => (0.75, 0.5),
            Decode::Key => (0.08, 0.03),
        };
        let (every, full) = (f64::from(effort.every), f64::from(effort.full_every));
        let looking = pictures / every * (1.0 / full + (1.0 - 1.0 / full) * 0.35);
        (self.decode * decoded, self.look * looking)
    }
}

struct Box {
    settings: Settings,
    governor: Governor,
    sources: Vec<Costs>,
    other: f64,
    load: Load,
    /// xorshift, for noise of 10 %.
    noise: u64,
    used: Vec<f64>,
    steps: Vec<Vec<Step>>,
}

impl Box {
    fn new(cores: f64, sources: &[Costs]) -> Self {
        let settings = Settings { cpu_cores_max: cores, memory_bytes_max: 100 << 20, yield_when_busy: true };
        let load = Load { passed: SECOND, memory_bytes: 50 << 20, ..Load::default() };
        let governor = Governor::new(settings, sources.len());
        Self {
            settings,
            governor,
            sources: sources.to_vec(),
            other: 0.01,
            load,
            noise: 88_172_645,
            used: vec![],
            steps: vec![],
        }
    }

    fn noisy(&mut self, cost: f64) -> Duration {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        Duration::from_secs_f64(cost * (0.95 + 0.1 * (self.noise % 1000) as f64 / 1000.0))
    }

    /// Lets time pass; `change` may alter what the box measures.
    fn run(&mut self, seconds: usize, change: impl Fn(&mut Load)) -> &mut Self {
        for _ in 0..seconds {
            let steps: Vec<Step> = (0..self.sources.len()).map(|n| self.governor.grant(n).step).collect();
            let mut load = self.load.clone();
            for (n, source) in self.sources.clone().into_iter().enumerate() {
                let (decode, look) = source.on(steps[n]);
                let (decode, look) = (self.noisy(decode), self.noisy(look));
                load.own += decode + look;
                load.sources.push(SourceLoad { decode, look, delay: Duration::ZERO, decodes: source.decodes });
            }
            load.own += Duration::from_secs_f64(self.other);
            change(&mut load);
            self.used.push(load.own.as_secs_f64());
            self.steps.push(steps);
            self.governor.update(&load);
        }
        self
    }

    fn step(&self, index: usize) -> Step {
        self.governor.grant(index).step
    }
    /// Highest mean over ten seconds, from second `from` on.
    fn most(&self, from: usize) -> f64 {
        self.used[from..].windows(10).map(|ten| ten.iter().sum::<f64>() / 10.0).fold(0.0, f64::max)
    }
    fn changes(&self, from: usize) -> usize {
        self.steps[from..].windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

#[test]
fn a_source_that_fits_is_looked_at_in_full() {
    let mut calm = Box::new(0.25, &[Costs::stream(0.15, 0.02)]);
    calm.run(600, |_| {});
    assert_eq!((calm.governor.grant(0), calm.changes(0)), (Grant::default(), 0));
}

#[test]
fn the_budget_holds_on_all_kinds_of_boxes_without_swinging() {
    let boxes: [(f64, Vec<Costs>); 6] = [
        // A Cortex-A53 with 1080p60 captured: 40 % of a core in full (PERFORMANCE.md).
        (0.25, vec![Costs::capture(0.4)]),
        (0.25, vec![Costs::stream(0.22, 0.03)]),
        (0.25, vec![Costs::stream(0.9, 0.1)]),
        (0.25, vec![Costs::stream(0.12, 0.02); 4]),
        (0.1, vec![Costs::capture(0.05), Costs::stream(0.3, 0.04), Costs::stream(0.01, 0.001)]),
        (1.0, vec![Costs::stream(0.2, 0.03); 8]),
    ];
    for (cores, sources) in boxes {
        let mut guest = Box::new(cores, &sources);
        guest.run(600, |_| {});
        let most = guest.most(5);
        assert!(most <= cores, "{most} of {cores} cores, {} sources", sources.len());
        assert!(guest.changes(10) <= 12, "{} changes in ten minutes, {cores} cores", guest.changes(10));
        assert!(guest.governor.grant(0).shed_by.is_none_or(|reason| reason == Reason::Cpu));
    }
}

#[test]
fn a_light_look_between_comes_before_any_picture_is_left_out() {
    let mut guest = Box::new(0.25, &[Costs::capture(0.4)]);
    guest.run(60, |_| {});
    let effort = guest.step(0).effort().expect("it is watched");
    assert!(effort.every == 1 && effort.full_every > 1, "{effort:?}");
}

#[test]
fn pictures_are_not_left_out_where_only_decoding_less_helps() {
    let mut guest = Box::new(0.25, &[Costs::stream(0.25, 0.02)]);
    guest.run(60, |_| {});
    assert_eq!(guest.step(0).effort().map(|effort| effort.decode), Some(Decode::Reference));
}

#[test]
fn a_small_source_is_not_made_to_pay_for_a_large_one() {
    let mut guest = Box::new(0.3, &[Costs::stream(0.05, 0.01), Costs::stream(0.8, 0.1)]);
    guest.run(120, |_| {});
    assert_eq!(guest.step(0), Step::FULL);
    assert!(guest.step(1).effort().is_some_and(|effort| effort.decode > Decode::Full));
}

#[test]
fn what_is_shed_comes_back_when_the_load_goes() {
    let mut guest = Box::new(0.25, &[Costs::stream(0.1, 0.02)]);
    guest.run(30, |_| {});
    guest.sources[0] = Costs::stream(0.4, 0.02);
    guest.run(60, |_| {});
    assert!(guest.step(0) > Step::FULL);
    guest.sources[0] = Costs::stream(0.1, 0.02);
    guest.run(120, |_| {});
    assert_eq!(guest.governor.grant(0), Grant::default());
}

#[test]
fn a_starved_encoder_takes_all_but_key_pictures() {
    let mut guest = Box::new(0.5, &[Costs::stream(0.1, 0.02)]);
    guest.run(60, |load| load.encoder_waits_pct = Some(40.0));
    assert_eq!(guest.governor.grant(0), Grant { step: Step::LAST, shed_by: Some(Reason::Encoder) });
    guest.run(120, |load| load.encoder_waits_pct = Some(0.0));
    assert_eq!(guest.governor.grant(0), Grant::default());
}

#[test]
fn a_busy_machine_takes_pictures_until_it_has_time_to_spare() {
    let mut guest = Box::new(0.5, &[Costs::stream(0.1, 0.02)]);
    let busy = |waits: f64| {
        move |load: &mut Load| (load.machine_busy_pct, load.machine_waits_pct) = (Some(100.0), Some(waits))
    };
    guest.run(40, busy(30.0));
    assert_eq!(guest.governor.grant(0), Grant { step: Step::LAST_UNDECODED, shed_by: Some(Reason::Machine) });
    // Our own wait is gone, the load is not.
    guest.run(120, busy(3.0));
    assert_eq!(guest.step(0), Step::LAST_UNDECODED);
    guest.run(120, |load| load.machine_busy_pct = Some(30.0));
    assert_eq!(guest.governor.grant(0), Grant::default());
    // Busy, but nobody waits: a box that is used well.
    guest.run(60, busy(2.0));
    assert_eq!(guest.step(0), Step::FULL);
}

#[test]
fn a_busy_machine_is_no_reason_where_it_is_not_wanted() {
    let mut guest = Box::new(0.5, &[Costs::stream(0.1, 0.02)]);
    let settings = Settings { yield_when_busy: false, ..guest.settings };
    guest.governor = Governor::new(settings, 1);
    guest.run(40, |load| (load.machine_busy_pct, load.machine_waits_pct) = (Some(100.0), Some(60.0)));
    assert_eq!(guest.step(0), Step::FULL);
}

#[test]
fn heat_is_a_reason() {
    let mut guest = Box::new(0.5, &[Costs::capture(0.1)]);
    guest.run(20, |load| load.throttled = true);
    assert!(guest.governor.grant(0).step > Step::FULL && guest.governor.grant(0).shed_by == Some(Reason::Heat));
}

#[test]
fn late_packets_shed_at_once_and_only_their_own_source() {
    let mut guest = Box::new(1.0, &[Costs::stream(0.1, 0.02), Costs::stream(0.1, 0.02)]);
    guest.run(20, |_| {});
    guest.run(1, |load| load.sources[1].delay = Duration::from_millis(900));
    assert_eq!((guest.step(0), guest.governor.grant(1).shed_by), (Step::FULL, Some(Reason::Backlog)));
    guest.run(20, |load| load.sources[1].delay = Duration::from_millis(900));
    assert!(guest.step(1) > Step(2));
    guest.run(180, |_| {});
    assert_eq!(guest.governor.grant(1), Grant::default());
}

#[test]
fn a_relapse_makes_the_next_attempt_wait_longer() {
    // Late whenever all is done: nothing that the account of processor time could tell.
    let mut guest = Box::new(1.0, &[Costs::stream(0.1, 0.02)]);
    for _ in 0..1200 {
        let late = guest.step(0) == Step::FULL;
        guest.run(1, |load| load.sources[0].delay = if late { SECOND } else { Duration::ZERO });
    }
    let attempts = guest.steps.windows(2).filter(|pair| pair[0][0] > Step::FULL && pair[1][0] == Step::FULL).count();
    assert!((2..=9).contains(&attempts), "{attempts} attempts in 20 minutes");
}

#[test]
fn too_much_memory_costs_the_last_source_and_never_the_only_one() {
    let mut guest = Box::new(1.0, &[Costs::stream(0.1, 0.02), Costs::stream(0.1, 0.02)]);
    let memory = |mib: u64| move |load: &mut Load| load.memory_bytes = mib << 20;
    guest.run(15, memory(120));
    assert_eq!((guest.step(1), guest.governor.over_memory()), (Step::FULL, Some(15 * SECOND)));
    guest.run(20, memory(120));
    assert_eq!(
        (guest.step(0), guest.governor.grant(1)),
        (Step::FULL, Grant { step: Step::SUSPENDED, shed_by: Some(Reason::Memory) })
    );
    guest.run(60, memory(120));
    assert_eq!(guest.step(0), Step::FULL, "the last one left");
    guest.run(130, memory(60));
    assert_eq!(guest.step(1), Step::FULL);
}

#[test]
fn a_share_is_emptied_when_it_is_read() {
    let share = Share::default();
    share.add(Duration::from_millis(3), Duration::from_millis(1));
    share.add(Duration::from_millis(3), Duration::from_millis(1));
    share.waited(Duration::from_millis(7));
    share.waited(Duration::from_millis(5));
    let ms = Duration::from_millis;
    assert_eq!(share.take(), (ms(6), ms(2), ms(7)));
    assert_eq!(share.take(), (ms(0), ms(0), ms(0)));
    share.clone().set_step(Step::LAST);
    assert_eq!(share.step(), Step::LAST);
}

#[test]
fn the_ladder_leads_down() {
    for step in Step::all(Step::LAST_UNDECODED) {
        assert!(step.down(Step::LAST_UNDECODED).looking() <= step.looking());
        assert!(
            !step.name().is_empty() && step.effort().is_some_and(|effort| effort.every > 0 && effort.full_every > 0)
        );
    }
    assert_eq!((Step::SUSPENDED.effort(), Step::SUSPENDED.name()), (None, "suspended"));
}
