//! Messages in, screens out: bodies are made by `wire`, screens are ratatui's test backend.

use super::Now;
use super::asks::{Asks, Wishes};
use super::fleet::Fleet;
use super::plain;
use super::screen::{Asked, Link, Page, Screen};
use super::verdict::Verdict;
use super::view;
use crate::health::{BoxHealth, Signal};
use crate::ids::{BootId, DeviceId, SourceId};
use crate::time::{Mono, Wall};
use crate::wire::{self, BrokerHealth, BudgetHealth, CertHealth, HealthParts, Made, SourceState, SpoolHealth, Topics};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;
use std::time::Duration;

const START_MS: i64 = 1_780_000_000_000;
const PERIOD: Duration = Duration::from_secs(30);

fn at(seconds: u64) -> Now {
    Now { mono: Mono((1000 + seconds) * 1_000_000_000), wall_ms: START_MS + seconds as i64 * 1000 }
}

fn made(now: Now) -> Made {
    Made {
        wall: Wall { unix_ms: now.wall_ms, synced: true },
        mono: now.mono,
        boot: BootId::from_kernel("12345678-aaaa"),
    }
}

fn id(number: u32) -> DeviceId {
    DeviceId::new(&format!("pk-{number:012x}")).expect("an id")
}

fn topics(number: u32) -> Topics {
    Topics::new("", &id(number))
}

fn source(name: &str) -> SourceId {
    SourceId::new(name).expect("an id")
}

fn up() -> SourceState {
    let mut state = SourceState::default();
    state.status.signal = Signal::Up;
    state
}

fn health(now: Now, states: &[(&str, SourceState)]) -> Vec<u8> {
    let budget =
        BudgetHealth { cpu_pct: 5.0, cpu_pct_max: 25.0, rss_bytes_max: 1 << 27, over_memory: false, coverage: 1.0 };
    let measured = BoxHealth { cpu_pct: Some(34.0), mem_pct: Some(40.0), ..BoxHealth::default() };
    let sources: BTreeMap<_, _> = states.iter().map(|(name, state)| (source(name), state.clone())).collect();
    let (spool, mqtt, cert) = (SpoolHealth::default(), BrokerHealth::default(), CertHealth::default());
    let parts = HealthParts { budget: &budget, spool: &spool, mqtt: &mqtt, cert: &cert, sources: &sources };
    wire::health(&made(now), &measured, parts)
}

fn event(name: &str, step: &str, seq: u64) -> Vec<u8> {
    let lasted = if step == "cleared" { r#","duration_s":7.0,"end_s":9.0,"cleared_by":"recovered""# } else { "" };
    format!(
        r#"{{"v":0,"type":"incident","state":"{step}","id":"{name}-1","device":"d","source":"{name}","defect":"freeze","severity":"major","at_s":3.0,"onset_s":2.0,"mono_ms":1,"boot":"12345678","seq":{seq},"value":0.1,"threshold":3.0,"unit":"%","text":"picture is frozen"{lasted}}}"#
    )
    .into_bytes()
}

struct Bench {
    fleet: Fleet,
    screen: Screen,
}

impl Bench {
    fn new() -> Self {
        let link = Link { broker: "broker:1883".to_owned(), up: true, since_ms: START_MS, ..Link::default() };
        Self { fleet: Fleet::new(""), screen: Screen::new(link, true, true) }
    }
    fn take(&mut self, topic: &str, body: &[u8], now: Now) {
        self.fleet.take(topic, body, None, now);
    }
    /// A device with two sources, both well.
    fn device(&mut self, number: u32, now: Now) {
        let topics = topics(number);
        self.take(&topics.status(), &wire::status(&made(now), "online", 1), now);
        let body = health(now, &[("sdi-1", up()), ("sdi-2", up())]);
        self.fleet.take(&topics.health(), &body, Some(PERIOD * 3), now);
        let name =
            wire::Device { id: id(number), name: Some(format!("Encoder {number}")), site: Some("Cardiff".to_owned()) };
        let info = |id: &str| wire::Info {
            id: id.to_owned(),
            input: "udp://239.1.1.1:5000".to_owned(),
            detectors: BTreeMap::new(),
        };
        let sources = [info("sdi-1"), info("sdi-2")];
        self.take(&topics.info(), &wire::info(&made(now), &name, 1, "avx2", &sources, None), now);
    }
    fn verdict(&self, number: u32) -> Verdict {
        self.fleet.device(&id(number)).expect("known").verdict
    }
    fn lines(&mut self) -> Vec<String> {
        self.fleet.take_changes().iter().map(plain::line).collect()
    }
    fn key(&mut self, code: KeyCode) -> Asked {
        self.screen.key(KeyEvent::new(code, KeyModifiers::NONE), &self.fleet)
    }
    fn keys(&mut self, text: &str) {
        text.chars().for_each(|c| {
            self.key(KeyCode::Char(c));
        });
    }
    /// What is on a screen of this size.
    fn drawn(&mut self, width: u16, height: u16, now: Now) -> String {
        self.fleet.take_changes();
        self.screen.order(&self.fleet, now);
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| view::draw(frame, &mut self.screen, &self.fleet, now)).expect("drawn");
        terminal.backend().to_string()
    }
}

#[test]
fn health_alone_completes_the_verdicts() {
    let mut bench = Bench::new();
    let mut lost = up();
    lost.status.signal = Signal::Lost;
    let body = health(at(0), &[("a", lost), ("b", up())]);
    bench.fleet.take(&topics(7).health(), &body, Some(PERIOD * 3), at(0));
    assert_eq!(bench.verdict(7), Verdict::Lost);
    let body = health(at(30), &[("a", up()), ("b", up())]);
    bench.fleet.take(&topics(7).health(), &body, Some(PERIOD * 3), at(30));
    assert_eq!(bench.verdict(7), Verdict::Ok);
}

#[test]
fn an_old_will_is_no_news_and_health_outweighs_it() {
    let mut bench = Bench::new();
    let status = |bench: &mut Bench, state, conn| {
        bench.take(&topics(1).status(), &wire::status(&made(at(1)), state, conn), at(1));
    };
    status(&mut bench, "online", 2);
    status(&mut bench, "lost", 1);
    assert_ne!(bench.verdict(1), Verdict::Lost, "the will of the connection before");
    status(&mut bench, "lost", 2);
    assert_eq!(bench.verdict(1), Verdict::Lost);
    let body = health(at(5), &[("a", up())]);
    bench.fleet.take(&topics(1).health(), &body, None, at(5));
    assert_eq!(bench.verdict(1), Verdict::Ok, "it lives");
    status(&mut bench, "stopping", 2);
    assert_eq!(bench.verdict(1), Verdict::Off);
}

#[test]
fn silence_is_told_after_the_devices_own_period_and_never_while_the_broker_is_away() {
    let mut bench = Bench::new();
    bench.device(1, at(0));
    bench.fleet.tick(at(94));
    assert_eq!(bench.verdict(1), Verdict::Ok);
    bench.fleet.tick(at(96));
    assert_eq!(bench.verdict(1), Verdict::Silent);
    let screen = bench.drawn(100, 30, at(97));
    assert!(screen.contains("device is away: silent, was ok"), "{screen}");
    bench.device(1, at(100));
    assert_eq!(bench.verdict(1), Verdict::Ok);
    bench.fleet.excuse_all(at(1000));
    bench.fleet.tick(at(1001));
    assert_eq!(bench.verdict(1), Verdict::Ok, "nobody could be heard");
}

#[test]
fn an_incident_is_told_once_for_each_step() {
    let mut bench = Bench::new();
    bench.device(1, at(0));
    bench.lines();
    let topic = topics(1).event(&source("sdi-1"));
    bench.take(&topic, &event("sdi-1", "raised", 4), at(2));
    bench.take(&topic, &event("sdi-1", "raised", 4), at(2));
    bench.take(&topic, &event("sdi-1", "cleared", 6), at(9));
    let lines = bench.lines();
    assert_eq!(
        lines,
        [
            "2026-05-28T20:26:42.000Z pk-000000000001/sdi-1 raised freeze major \"picture is frozen\"",
            "2026-05-28T20:26:49.000Z pk-000000000001/sdi-1 cleared freeze major 7.0s \"picture is frozen\"",
        ]
    );
    assert_eq!(bench.fleet.device(&id(1)).expect("known").missed, 1, "number 5 never came");
}

#[test]
fn an_incident_is_its_devices_own() {
    let mut bench = Bench::new();
    (1..=2).for_each(|number| bench.device(number, at(0)));
    bench.take(&topics(1).event(&source("sdi-1")), &event("sdi-1", "raised", 5), at(1));
    bench.take(&topics(2).event(&source("sdi-1")), &event("sdi-1", "cleared", 9), at(2));
    let open = |bench: &Bench, number| {
        let device = bench.fleet.device(&id(number)).expect("known");
        bench.fleet.open_on(device).iter().map(|(.., known)| known.is_some_and(|one| !one.over)).collect::<Vec<_>>()
    };
    assert_eq!((open(&bench, 1), open(&bench, 2)), (vec![true], vec![]));
}

#[test]
fn numbers_of_events_that_nobody_can_count_are_refused() {
    let mut bench = Bench::new();
    bench.device(1, at(0));
    bench.lines();
    for seq in [u64::MAX, (1 << 53) + 1] {
        bench.take(&topics(1).event(&source("sdi-1")), &event("sdi-1", "raised", seq), at(1));
    }
    assert_eq!((bench.fleet.counts.bad, bench.lines().len()), (2, 0));
    for seq in [1, 1 << 53, 7] {
        bench.take(&topics(1).event(&source("sdi-1")), &event(&format!("sdi-{seq}"), "raised", seq), at(2));
    }
    let device = bench.fleet.device(&id(1)).expect("known");
    assert_eq!(device.missed, (1 << 53) - 2);
    let mut device = device.clone();
    [u64::MAX, 1, u64::MAX].into_iter().for_each(|seq| device.number(seq));
    assert_eq!(device.missed, u64::MAX - 3);
}

#[test]
fn lines_tell_each_change_once() {
    let mut bench = Bench::new();
    bench.device(1, at(0));
    let first = bench.lines();
    assert!(first.iter().any(|line| line.ends_with("pk-000000000001/sdi-1 verdict ok was=-")), "{first:#?}");
    assert!(
        first.iter().any(|line| line.ends_with("named \"Encoder 1\" site=\"Cardiff\" version=\"0.1.0\"")),
        "{first:#?}"
    );
    bench.device(1, at(30));
    assert_eq!(bench.lines(), [""; 0], "nothing changed");
    bench.take(&topics(1).status(), &wire::status(&made(at(31)), "lost", 1), at(31));
    let lines = bench.lines();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[2].ends_with("pk-000000000001 verdict lost was=ok away"), "{lines:#?}");
    for line in first.iter().chain(&lines) {
        let fields: Vec<&str> = line.splitn(4, ' ').collect();
        assert!(wire::unix_ms(fields[0]).is_some() && fields[1].starts_with("pk-"), "{line}");
    }
}

#[test]
fn json_lines_are_json() {
    let mut bench = Bench::new();
    bench.device(1, at(0));
    bench.take(&topics(1).event(&source("sdi-1")), &event("sdi-1", "raised", 4), at(2));
    for change in bench.fleet.take_changes() {
        let value: serde_json::Value = serde_json::from_str(&plain::json(&change)).expect("JSON");
        assert_eq!((value["type"].as_str(), value["device"].as_str()), (Some("change"), Some("pk-000000000001")));
        assert!(value["kind"].is_string() && !plain::json(&change).contains("null"), "{value}");
    }
}

#[test]
fn trouble_comes_first_and_the_chosen_device_stays_chosen() {
    let mut bench = Bench::new();
    (1..=40).for_each(|number| bench.device(number, at(0)));
    let screen = bench.drawn(80, 24, at(1));
    assert!(screen.contains("40 devices  80 sources") && screen.contains("● 40"), "{screen}");
    bench.key(KeyCode::Down);
    let chosen = bench.screen.chosen.clone();
    bench.take(&topics(33).event(&source("sdi-2")), &event("sdi-2", "raised", 1), at(3));
    let mut bad = up();
    bad.open = vec![];
    bad.status.signal = Signal::Lost;
    bad.status.reason = Some("no signal".to_owned());
    bench.take(&topics(33).state(&source("sdi-2")), &wire::state(&made(at(3)), &bad), at(3));
    let screen = bench.drawn(80, 24, at(5));
    let first = screen.lines().nth(3).expect("a row");
    assert!(first.contains("✖ lost") && first.contains("Encoder 33") && first.contains("no signal"), "{screen}");
    assert!(screen.contains("▲ Encoder 33 / sdi-2") && screen.contains("freeze raised"), "{screen}");
    assert_eq!(bench.screen.chosen, chosen);
    assert!(bench.screen.seen().contains(&id(33)));
}

#[test]
fn the_filter_takes_every_word() {
    let mut bench = Bench::new();
    (1..=30).for_each(|number| bench.device(number, at(0)));
    bench.take(&topics(12).event(&source("sdi-2")), &event("sdi-2", "raised", 1), at(1));
    bench.drawn(100, 30, at(2));
    for (filter, found) in
        [("cardiff encoder 29", 1), ("FREEZE", 1), ("sdi-1", 30), ("leeds", 0), ("pk-00000000000a", 1)]
    {
        bench.keys("/");
        bench.keys(filter);
        bench.key(KeyCode::Enter);
        bench.drawn(100, 30, at(3));
        assert_eq!(bench.screen.listing.ids.len(), found, "{filter}");
        bench.key(KeyCode::Esc);
    }
    let all = bench.drawn(100, 30, at(4));
    assert!(all.contains("1 to 20 of 30") || all.contains("of 30, by trouble"), "{all}");
}

#[test]
fn a_device_page_shows_all_that_is_known() {
    let mut bench = Bench::new();
    bench.device(1, at(0));
    bench.take(&topics(1).event(&source("sdi-2")), &event("sdi-2", "raised", 1), at(5));
    bench.drawn(120, 40, at(6));
    bench.key(KeyCode::Enter);
    assert_eq!(bench.screen.page, Page::Device(id(1)));
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let screen = bench.drawn(width, height, at(20));
        for part in ["Encoder 1", "Cardiff", "sdi-1", "sdi-2", "Open incidents: 1", "picture is frozen", "cpu", "34%"] {
            assert!(screen.contains(part), "{part} at {width}x{height}:\n{screen}");
        }
    }
    bench.key(KeyCode::Esc);
    assert_eq!(bench.screen.page, Page::Fleet);
}

#[test]
fn every_size_can_be_drawn() {
    let mut bench = Bench::new();
    (1..=9).for_each(|number| bench.device(number, at(0)));
    bench.take(&topics(1).event(&source("sdi-2")), &event("sdi-2", "raised", 1), at(5));
    for page in [Page::Fleet, Page::Device(id(1)), Page::Device(id(99))] {
        for help in [false, true] {
            for width in (1..260).step_by(7) {
                for height in (1..70).step_by(3) {
                    (bench.screen.page, bench.screen.help) = (page.clone(), help);
                    bench.drawn(width, height, at(6));
                }
            }
        }
    }
}

#[test]
fn hostile_bodies_change_nothing_and_command_nothing() {
    let mut bench = Bench::new();
    bench.device(1, at(0));
    let topics = topics(1);
    let hostile = r#"{"name":"\u001b[2J\u001b]0;owned\u0007","site":"\u202eevil","sources":[{"id":"../x"},{"id":"ok"},7],"version":{}}"#;
    bench.take(&topics.info(), hostile.as_bytes(), at(1));
    for body in [&b"{"[..], b"[]", b"7", b"\"x\"", &[0xff; 64], &vec![b'{'; 100_000]] {
        for topic in
            [topics.info(), topics.health(), topics.status(), topics.event(&source("ok")), topics.image(&source("ok"))]
        {
            bench.take(&topic, body, at(2));
        }
    }
    let odd = r#"{"class":7,"cpu_pct":1e999,"src":{"ok":{"verdict":[],"fps":"x"},"Bad Name":{}},"spool":[],"open":{},"state":{},"conn":-1,"seq":1.5}"#;
    for topic in [topics.health(), topics.status(), topics.state(&source("ok")), topics.event(&source("ok"))] {
        bench.take(&topic, odd.as_bytes(), at(3));
    }
    for topic in [
        "",
        "picket",
        "picket/1",
        "picket/1/pk-1/status",
        "picket/2/pk-000000000001/status",
        "picket/1/pk-000000000001/src/../state",
        "x/picket/1/pk-000000000002/status",
    ] {
        bench.take(topic, b"{}", at(4));
    }
    bench.key(KeyCode::Enter);
    let lines = bench.lines();
    let screen = format!("{}{lines:?}", bench.drawn(120, 40, at(5)));
    assert!(screen.chars().all(|c| !c.is_control() || c == '\n'), "{screen:?}");
    assert!(!lines.iter().any(|line| line.contains('\x1b') || line.contains('\u{202e}')));
    assert_eq!(bench.fleet.devices().len(), 1);
    assert!(bench.fleet.counts.bad >= 20);
}

#[test]
fn what_the_broker_forgets_is_gone() {
    let mut bench = Bench::new();
    (1..=3).for_each(|number| bench.device(number, at(0)));
    bench.lines();
    bench.take(&topics(1).status(), b"", at(1));
    assert_eq!(bench.lines(), ["2026-05-28T20:26:41.000Z pk-000000000001 gone"]);
    assert!(bench.fleet.device(&id(1)).is_none());
    assert!(bench.fleet.device(&id(2)).is_some() && bench.fleet.device(&id(3)).is_some());
    bench.take(&topics(2).state(&source("sdi-2")), b"", at(1));
    assert_eq!(bench.fleet.device(&id(2)).expect("known").sources.len(), 1);
}

#[test]
fn names_and_pictures_are_asked_for_when_they_are_wanted() {
    let mut bench = Bench::new();
    for number in 1..=500 {
        let body = health(at(0), &[("a", up())]);
        bench.fleet.take(&topics(number).health(), &body, None, at(0));
    }
    let mut asks = Asks::default();
    asks.connected(at(0).mono);
    let seen = [id(400)];
    let wishes = asks.wishes(&bench.fleet, "", &seen, None, at(1).mono);
    assert_eq!((wishes.add.len(), wishes.add.first()), (200, Some(&topics(400).info())));
    assert_eq!(asks.wishes(&bench.fleet, "", &seen, None, at(2).mono), Wishes::default(), "patience");
    bench.device(400, at(2));
    let wishes = asks.wishes(&bench.fleet, "", &seen, Some(&id(400)), at(3).mono);
    assert_eq!(wishes.drop, [topics(400).info()]);
    assert_eq!(
        wishes.add,
        [topics(400).image(&source("a")), topics(400).image(&source("sdi-1")), topics(400).image(&source("sdi-2"))]
            [1..]
    );
    let wishes = asks.wishes(&bench.fleet, "", &seen, None, at(3).mono);
    assert_eq!(wishes.drop.len(), 2, "pictures of a device that is looked at no longer: {wishes:?}");
}

#[test]
fn only_pictures_of_the_open_device_are_kept_and_none_that_is_too_long() {
    let mut bench = Bench::new();
    (1..=2).for_each(|number| bench.device(number, at(0)));
    bench.fleet.picture_of(Some(&id(1)));
    let jpeg = [&[0xff, 0xd8][..], &[0; 100]].concat();
    bench.take(&topics(2).image(&source("sdi-1")), &jpeg, at(1));
    assert_eq!(bench.fleet.picture(&source("sdi-1")), None);
    bench.take(&topics(1).image(&source("sdi-1")), &jpeg, at(1));
    assert_eq!(bench.fleet.picture(&source("sdi-1")), Some((1, jpeg.as_slice())));
    bench.take(&topics(1).image(&source("sdi-1")), &[&[0xff, 0xd8][..], &vec![0; 40_000]].concat(), at(1));
    assert_eq!(bench.fleet.picture(&source("sdi-1")), None);
    bench.take(&topics(1).image(&source("nobody")), &jpeg, at(1));
    assert_eq!(bench.fleet.picture(&source("nobody")), None);
}

#[test]
fn a_lost_broker_is_told_with_its_age() {
    let mut bench = Bench::new();
    bench.screen.link = Link {
        broker: "broker:1883".to_owned(),
        up: false,
        since_ms: START_MS,
        trouble: "the line to the broker ended".to_owned(),
        rate: 0.0,
    };
    let screen = bench.drawn(80, 24, at(130));
    assert!(screen.contains("no broker for 2 min: the line to the broker ended"), "{screen}");
}
