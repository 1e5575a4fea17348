//! Which layer wins, and how sources are joined.

use super::*;
use crate::alert::Hold;
use crate::detect::Defect;

fn site(root: &Root, env: &[(&str, &str)], flags: &[Flag]) -> Option<String> {
    root.load(env, flags).expect("no mistake").device.site
}

#[test]
fn later_layers_win_key_by_key() {
    let named = |site: &str| format!("[device]\nsite = \"{site}\"\n");
    let root = Root::new();
    assert_eq!(site(&root, &[], &[]), None);
    let root = root.with("usr/lib/picket/picket.toml", "[device]\nsite = \"vendor\"\nname = \"vendor\"\n");
    assert_eq!(site(&root, &[], &[]), Some("vendor".into()));
    let root = root.with("etc/picket/picket.toml", named("file"));
    assert_eq!(site(&root, &[], &[]), Some("file".into()));
    let root = root.with("etc/picket/conf.d/20.toml", named("20")).with("etc/picket/conf.d/10.toml", named("10"));
    let root = root.with("etc/picket/conf.d/90.toml.bak", "no TOML");
    assert_eq!(site(&root, &[], &[]), Some("20".into()));
    let root = root.with("var/lib/picket/remote.toml", named("remote"));
    assert_eq!(site(&root, &[], &[]), Some("remote".into()));
    let env = [("PICKET_DEVICE_SITE", "variable")];
    assert_eq!(site(&root, &env, &[]), Some("variable".into()));
    let flag = Flag { flag: "--site".into(), key: "device.site", value: "flag".into() };
    assert_eq!(site(&root, &env, &[flag]), Some("flag".into()));
    let config = root.load(&env, &[]).expect("no mistake");
    assert_eq!(config.device.name, Some("vendor".into()));
    let files: Vec<_> = config.files().iter().map(|path| path.strip_prefix(root.path()).expect("below root")).collect();
    let expected = [
        "usr/lib/picket/picket.toml",
        "etc/picket/picket.toml",
        "etc/picket/conf.d/10.toml",
        "etc/picket/conf.d/20.toml",
        "var/lib/picket/remote.toml",
    ];
    assert_eq!(files, expected.map(Path::new));
}

#[test]
fn a_value_that_a_later_layer_replaces_need_not_be_right() {
    let root = Root::new()
        .with("usr/lib/picket/picket.toml", "[health]\nperiod = \"1s\"\n")
        .with("etc/picket/picket.toml", "[health]\nperiod = \"60s\"\n");
    assert_eq!(root.load(&[], &[]).expect("no mistake").health_period, Duration::from_secs(60));
}

#[test]
fn a_named_file_brings_its_own_conf_d() {
    let root = Root::new()
        .with("usr/lib/picket/picket.toml", "[device]\nname = \"vendor\"\n")
        .with("etc/picket/picket.toml", "[health]\nperiod = \"60s\"\n")
        .with("etc/picket/conf.d/10.toml", "[device]\nsite = \"etc\"\n")
        .with("my/own.toml", "[broker]\nurl = \"mqtt://x\"\n")
        .with("my/conf.d/10.toml", "[broker]\nprefix = \"acme\"\n");
    let places = Places::below(root.path()).with_file(&root.path().join("my/own.toml"));
    let config = load(&places, &BTreeMap::new(), &[]).expect("no mistake");
    assert_eq!((config.prefix.as_str(), config.device.name.as_deref()), ("acme", Some("vendor")));
    assert_eq!((config.device.site, config.health_period), (None, Duration::from_secs(30)));
}

#[test]
fn sources_are_joined_by_id() {
    let root = Root::new()
        .with("etc/picket/picket.toml", format!("{SOURCE}[source.detect.freeze]\nraise_after = \"2s\"\n"))
        .with(
            "etc/picket/conf.d/10.toml",
            "[[source]]\nid = \"sdi-1\"\nreopen_after = \"5s\"\ndetect.freeze.clear_after = \"1s\"\n\
             [[source]]\nid = \"out\"\ninput = \"pattern:clean\"\ndetect.black.enabled = false\npair_with = \"sdi-1\"\n",
        );
    let config = root.load(&[], &[]).expect("no mistake");
    let [first, second] = config.sources.as_slice() else { panic!("{:?}", config.sources) };
    assert_eq!((first.id.as_str(), first.reopen_after), ("sdi-1", Duration::from_secs(5)));
    let hold = Hold { raise_after: Duration::from_secs(2), clear_after: Duration::from_secs(1) };
    assert_eq!(first.incidents.hold(Defect::Freeze), Some(hold));
    assert_eq!(first.incidents.hold(Defect::Black), Some(Hold::default_for(Defect::Black)));
    assert_eq!((second.id.as_str(), second.incidents.hold(Defect::Black)), ("out", None));
    assert_eq!(second.pair_with.as_ref(), Some(&first.id));
}

#[test]
fn a_mistake_is_told_in_the_file_it_came_from() {
    let root = Root::new()
        .with("etc/picket/picket.toml", "[broker]\nurl = \"mqtt://x\"\n")
        .with("etc/picket/conf.d/10.toml", "\n[broker]\nca = \"/ca.pem\"\n");
    assert!(root.mistakes(&[]).starts_with("/etc/picket/conf.d/10.toml:3:6: broker.ca: is for TLS"));
    let root = root.with("etc/picket/picket.toml", "x = 1").with("etc/picket/conf.d/05.toml", "y = 1");
    let shown = root.mistakes(&[]);
    let heads: Vec<&str> = shown.lines().filter(|line| line.starts_with("/etc")).collect();
    assert_eq!(heads[0], "/etc/picket/picket.toml:1:1: x: no such key");
    assert_eq!(heads[1], "/etc/picket/conf.d/05.toml:1:1: y: no such key");
}

#[test]
fn folders_come_from_systemd_where_nothing_is_given() {
    let env = [("STATE_DIRECTORY", "/srv/state:/srv/other"), ("RUNTIME_DIRECTORY", "/run/x")];
    let config = Root::new().load(&env, &[]).expect("no mistake");
    assert_eq!(config.device.state_dir, Path::new("/srv/state"));
    assert_eq!(config.outbox.folder, Path::new("/srv/state/outbox"));
    assert_eq!(config.device.runtime_dir, Path::new("/run/x"));
    let root = Root::new().with("etc/picket/picket.toml", "[device]\nstate_dir = \"/data\"\n");
    assert_eq!(root.load(&env, &[]).expect("no mistake").device.state_dir, Path::new("/data"));
    assert_eq!(root.load(&[], &[]).expect("no mistake").device.runtime_dir, Path::new("/run/picket"));
}

#[test]
fn credentials_of_systemd_are_files() {
    let text = "[broker]\nurl = \"mqtts://box@x\"\npassword_file = \"credential:broker\"\n";
    let root = Root::new().with("etc/picket/picket.toml", text);
    let file = |env: &[(&str, &str)]| root.load(env, &[]).ok().and_then(|c| c.broker).and_then(|b| b.password_file);
    assert_eq!(file(&[("CREDENTIALS_DIRECTORY", "/run/c")]), Some("/run/c/broker".into()));
    assert_eq!(file(&[]), Some("/run/credentials/picket.service/broker".into()));
}

#[test]
fn nothing_given_is_a_configuration_with_notes() {
    let config = only("").expect("no mistake");
    let expected = [
        "source: there is no [[source]], so nothing is watched",
        "broker: there is no url, so events wait in the outbox and nobody is told",
    ];
    assert_eq!(config.notes(), expected);
    assert_eq!((config.budget.limits.cpu_cores_max, config.budget.limits.memory_bytes_max), (0.25, 160 << 20));
    assert!(config.pictures && config.sources.is_empty() && config.broker.is_none());
}

#[test]
fn what_may_not_be_meant_is_noted() {
    let text = format!(
        "[broker]\nurl = \"mqtt://me@x\"\npassword_file = \"/p\"\n[budget]\ncpu = \"50%\"\n{SOURCE}\
         [[source]]\nid = \"out\"\ninput = \"-\"\npair_with = \"sdi-1\"\n"
    );
    let expected = ["broker.url: over mqtt:// the password can be read on the way; mqtts:// hides it"];
    assert_eq!(only(&text).expect("no mistake").notes(), expected);
}
