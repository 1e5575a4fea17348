//! Every kind of mistake, word by word.

use super::*;

/// "line:column key: wrong | right" of each mistake in `text`.
fn told(text: &str) -> Vec<String> {
    let Err(mistakes) = only(text) else { return vec!["no mistake".to_owned()] };
    mistakes
        .iter()
        .map(|mistake| {
            let place = match &mistake.place {
                Place::File { line, column, .. } => format!("{line}:{column}"),
                other => other.to_string(),
            };
            format!("{place} {}: {} | {}", mistake.key, mistake.wrong, mistake.right)
        })
        .collect()
}

#[test]
fn a_mistake_shows_its_line_and_a_cure() {
    let text = format!("[health]\nperiod = \"5 parsecs\"  # often\n{SOURCE}\n[source.detect.freez]\nenabled = true\n");
    let shown = Root::new().with("etc/picket/picket.toml", text).mistakes(&[]);
    let expected = "\
/etc/picket/picket.toml:2:10: health.period: \"5 parsecs\" has no unit
    2 | period = \"5 parsecs\"  # often
      |          ^^^^^^^^^^^
      right: a duration from 10s to 10m, such as \"20s\" (units ms, s, m, h, d)
/etc/picket/picket.toml:7:16: source[sdi-1].detect.freez: no such key
    7 | [source.detect.freez]
      |                ^^^^^
      right: did you mean freeze?
2 mistakes in the configuration";
    assert_eq!(shown, expected);
}

#[test]
fn columns_count_characters_and_tabs_keep_the_mark_in_place() {
    let shown = Root::new().with("etc/picket/picket.toml", "device = { name = \"Öl\",\tsite = 5 }\n").mistakes(&[]);
    let expected = "\
/etc/picket/picket.toml:1:32: device.site: the number 5 is not a text in quotes
    1 | device = { name = \"Öl\", site = 5 }
      |                                ^
      right: 1 to 64 characters, such as \"studio-4\"
1 mistake in the configuration";
    assert_eq!(shown, expected);
}

#[test]
fn unknown_names_get_the_nearest_known_one() {
    let cases = [
        ("[broker]\nkeepalive = \"20s\"", "2:1 broker.keepalive: no such key | did you mean keep_alive?"),
        ("[device]\nurl = \"x\"", "2:1 device.url: no such key | [broker] is where url belongs"),
        ("[health]\ncolour = 1", "2:1 health.colour: no such key | known here: period"),
        ("[brokr]\n", "1:2 brokr: no such key | did you mean broker?"),
        ("[[sources]]\n", "1:3 sources: no such key | did you mean source?"),
        ("site = \"x\"", "1:1 site: no such key | [device] is where site belongs"),
        (
            "[zebra]\n",
            "1:2 zebra: no such key | known here: device, broker, budget, health, outbox, evidence, tape, homeassistant, source",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(told(text), [expected], "{text}");
    }
}

#[test]
fn wrong_types_are_told_apart() {
    let cases = [
        ("broker = 5", "1:10 broker: the number 5 is not a table | [broker] and its keys below"),
        (
            "[broker]\nurl = [1]",
            "2:7 broker.url: a list is not a text in quotes | mqtts://HOST or mqtt://HOST, such as \"mqtts://broker.example:8883\"",
        ),
        (
            "[evidence]\npictures = \"yes\"",
            "2:12 evidence.pictures: the text \"yes\" is not true or false | true or false, without quotes",
        ),
        (
            "[device]\nname = 2026-01-01",
            "2:8 device.name: a date is not a text in quotes | 1 to 64 characters, such as \"studio-4\"",
        ),
        (
            "[outbox]\nage_max = 7",
            "2:11 outbox.age_max: the number 7 is not a text in quotes | a duration from 1h to 366d, such as \"2h\" (units ms, s, m, h, d)",
        ),
        (
            "[source]\nid = \"a\"",
            "1:1 source: a table is not a list of sources | [[source]] in double brackets, one for each",
        ),
        ("source = [3]", "1:11 source[#1]: the number 3 is not a table | [[source]] and its keys below"),
    ];
    for (text, expected) in cases {
        assert_eq!(told(text), [expected], "{text}");
    }
}

#[test]
fn values_out_of_form_or_range_are_told() {
    let duration = |range| format!("a duration from {range} (units ms, s, m, h, d)");
    let cases = [
        (
            "[broker]\nkeep_alive = \"4s\"",
            "broker.keep_alive: \"4s\" is less than 5s",
            duration("5s to 20m, such as \"10s\""),
        ),
        (
            "[health]\nperiod = \"11m\"",
            "health.period: \"11m\" is more than 10m",
            duration("10s to 10m, such as \"20s\""),
        ),
        (
            "[outbox]\nbytes_max = \"16\"",
            "outbox.bytes_max: \"16\" has no unit",
            "a size from 1MiB to 4GiB, such as \"4MiB\"".into(),
        ),
        (
            "[budget]\nmemory = \"1KiB\"",
            "budget.memory: \"1KiB\" is less than 32MiB",
            "a size from 32MiB to 16GiB, such as \"128MiB\"".into(),
        ),
        (
            "[budget]\ncpu = \"25\"",
            "budget.cpu: \"25\" has no % sign",
            "a share of one core from 1% to 1600%, such as \"25%\"".into(),
        ),
        (
            "[budget]\ncpu = \"0.5%\"",
            "budget.cpu: \"0.5%\" is less than 1%",
            "a share of one core from 1% to 1600%, such as \"25%\"".into(),
        ),
        ("[device]\nname = \"\"", "device.name: \"\" is empty", "1 to 64 characters, such as \"studio-4\"".into()),
        (
            "[device]\nname = \"a\\u0007\"",
            "device.name: \"a\\u{7}\" has a control character in it",
            "1 to 64 characters, such as \"studio-4\"".into(),
        ),
        (
            "[device]\nmachine_id = \"12\"",
            "device.machine_id: \"12\" is no machine id",
            "32 hexadecimal digits, as in /etc/machine-id".into(),
        ),
        (
            "[device]\nstate_dir = \"state\"",
            "device.state_dir: \"state\" is no absolute path",
            "an absolute path, such as \"/var/lib/picket\"".into(),
        ),
        (
            "[broker]\nprefix = \"a/b/c\"",
            "broker.prefix: \"a/b/c\" has 3 levels",
            "at most two levels of a-z, 0-9 and '-', such as \"acme/tv\"".into(),
        ),
        (
            "[broker]\nprefix = \"Acme\"",
            "broker.prefix: \"Acme\" is no topic prefix",
            "at most two levels of a-z, 0-9 and '-', such as \"acme/tv\"".into(),
        ),
    ];
    for (text, wrong, right) in cases {
        let expected = format!("{wrong} | {right}");
        assert_eq!(
            told(text).iter().map(|t| t.split_once(' ').map_or("", |(_, t)| t)).collect::<Vec<_>>(),
            [expected],
            "{text}"
        );
    }
}

#[test]
fn the_broker_must_make_sense_as_a_whole() {
    let file = "an absolute path, such as \"/etc/picket/tls/ca.pem\", or \"credential:NAME\" of systemd";
    let url = "mqtts://HOST or mqtt://HOST, such as \"mqtts://broker.example:8883\"";
    let cases = [
        ("url = \"amqp://x\"", format!("2:7 broker.url: \"amqp://x\" begins neither with mqtt:// nor with mqtts:// | {url}")),
        ("url = \"mqtt://x:99999\"", format!("2:7 broker.url: \"mqtt://x:99999\" has a port, \"99999\", that is no number from 1 to 65535 | {url}")),
        ("url = \"mqtts://x\"\nca = \"ca.pem\"", format!("3:6 broker.ca: \"ca.pem\" is no absolute path | {file}")),
        ("url = \"mqtts://x\"\nca = \"credential:a/b\"", format!("3:6 broker.ca: \"credential:a/b\" names no credential | {file}")),
        ("url = \"mqtts://x\"\ncert = \"/c\"", "3:8 broker.cert: needs broker.key beside it | a certificate and its key together".into()),
        ("url = \"mqtts://x\"\nkey = \"/k\"", "3:7 broker.key: needs broker.cert beside it | a certificate and its key together".into()),
        ("url = \"mqtt://x\"\nca = \"/c\"", "3:6 broker.ca: is for TLS, but broker.url begins with mqtt:// | mqtts:// in broker.url, or no certificates".into()),
        ("url = \"mqtts://x\"\npassword_file = \"/p\"", "3:17 broker.password_file: is a password without a user | broker.user with it, or no password".into()),
        ("url = \"mqtts://me@x\"\nuser = \"you\"", "3:8 broker.user: is a second user, next to the one in broker.url | one of the two".into()),
        ("ca = \"/c\"", format!("2:6 broker.url: is missing | {url}")),
    ];
    for (text, expected) in cases {
        assert_eq!(told(&format!("[broker]\n{text}\n")), [expected], "{text}");
    }
}

#[test]
fn a_password_in_a_url_is_refused_and_never_shown() {
    let root = Root::new().with("etc/picket/picket.toml", "[broker]\nurl = \"mqtts://me:hush@x:1\"\n");
    let expected = "\
/etc/picket/picket.toml:2:7: broker.url: the URL carries a password, which is shown to everybody
      right: the user alone in the URL or in broker.user, the password in the file that broker.password_file names
1 mistake in the configuration";
    assert_eq!(root.mistakes(&[]), expected);
    let torn = [
        "[broker]\nurl = mqtts://me:hush@x\n",
        "url = \"mqtts://me:hush@x\"\n",
        "[[source]]\nid = \"a\"\ninput = \"x://me:hush@x\"\n",
        "[broker]\npassword = \"hush\"\n",
        "[broker]\npassword = \"\"\"\nuser=hush\" = 1\n",
        "[broker]\nPassPhrases = [\n  \"hush\",\n  hush\n",
        "[broker]\npassword hush\n",
        "[secrets]\nfor_cam = hush\n",
        "[broker]\nurl = \"mqtt://x\"\nuser = \"u\"\npassword_file = \"hush\"\n",
        "[device]\nsite = [\"rtsp://me:hush@cam\"]\n",
        "[health]\nperiod = \"me:hush@cam\"\n",
        "[broker]\nurl = \"mqtt://me:a/hush@x\"\n",
        "[[source]]\nid = \"a\"\ninput = \"srt://h?passphrase=hush\"\n",
        "[[source]]\nid = \"a\"\ninput = \"srt://h?streamid=a@hush&passphrase=hush\"\n",
        "[[source]]\nid = \"a\"\ninput = \"srt:h?passphrase=hush\"\n",
        "[[source]]\nid = \"a\"\ninput = \"rtsp://admin:pa/hush@cam:0\"\n",
        "[[source]]\nid = \"a\"\ninputt = \"rtsp://h/x?sig=hush\"\n",
    ];
    for text in torn {
        let shown = Root::new().with("etc/picket/picket.toml", text).mistakes(&[]);
        assert!(!shown.contains("hush"), "{shown}");
    }
}

#[test]
fn sources_must_be_complete_and_told_apart() {
    let id = "1 to 32 characters of a-z, 0-9 and '-', such as \"sdi-1\"";
    let input = "a file, '-', a URL such as \"udp://239.1.1.1:5000\", or a device such as \"v4l2:/dev/video0\"";
    assert_eq!(
        told("[[source]]\nreopen_after = \"5s\"\n"),
        [format!("1:1 source[#1].id: is missing | {id}"), format!("1:1 source[#1].input: is missing | {input}")]
    );
    assert_eq!(
        told("[[source]]\nid = \"SDI 1\"\ninput = \"-\"\n"),
        [format!("2:6 source[#1].id: \"SDI 1\" is no source id | {id}")]
    );
    assert_eq!(
        told("[[source]]\nid = \"a\"\ninput = \"-\"\n[[source]]\nid = \"a\"\ninput = \"-\"\n"),
        ["5:6 source[a].id: \"a\" is already the id of a source | another id: each source of a file has its own"]
    );
    let inputs = [
        ("", "the input is empty: give a file, '-', or a URL such as udp://239.1.1.1:5000"),
        ("pattern:nope", "pattern:nope: no such pattern; known: clean, defects, loop, crash, busy"),
        ("udp://", "udp://: a host is missing"),
        (
            "v4l2:video0",
            "v4l2:video0: names no node: give v4l2:/dev/video0, v4l2:/dev/v4l/by-path/NAME or v4l2:card=NAME",
        ),
        ("alsa:", "alsa:: names no sound device: give an ALSA name, such as alsa:hw:1,0"),
    ];
    for (text, wrong) in inputs {
        let text = format!("[[source]]\nid = \"a\"\ninput = \"{text}\"\n");
        assert_eq!(told(&text), [format!("3:9 source[a].input: {wrong} | {input}")]);
    }
}

#[test]
fn keys_of_sources_are_checked() {
    let cases = [
        (
            "audio = \"alsa:hw:1,0\"",
            "4:9 source[sdi-1].audio: stands beside v4l2: alone, and the input is udp://239.1.1.1:5000 | no `audio` key, or an input such as \"v4l2:/dev/video0\"",
        ),
        (
            "audio = \"hw:1,0\"",
            "4:9 source[sdi-1].audio: \"hw:1,0\" is no sound device | an ALSA name, such as \"alsa:hw:1,0\"",
        ),
        (
            "relay = \"video10\"",
            "4:9 source[sdi-1].relay: \"video10\" is no absolute path | another device node, such as \"/dev/video10\" of v4l2loopback",
        ),
        (
            "pair_with = \"sdi-2\"",
            "4:13 source[sdi-1].pair_with: \"sdi-2\" is no source | the id of another [[source]]; there is none",
        ),
        (
            "pair_with = \"sdi-1\"",
            "4:13 source[sdi-1].pair_with: \"sdi-1\" is this source itself | the id of another [[source]]; there is none",
        ),
        (
            "reopen_after = \"0s\"",
            "4:16 source[sdi-1].reopen_after: \"0s\" is less than 1s | a duration from 1s to 10m, such as \"2s\" (units ms, s, m, h, d)",
        ),
        (
            "freeze = { raise_after = \"2s\" }",
            "4:1 source[sdi-1].freeze: no such key | [source.detect.freeze] is where freeze belongs",
        ),
        ("inputt = 1", "4:1 source[sdi-1].inputt: no such key | did you mean input?"),
        ("detect = 1", "4:10 source[sdi-1].detect: the number 1 is not a table | [source.detect] and its keys below"),
        (
            "detect.black = 1",
            "4:16 source[sdi-1].detect.black: the number 1 is not a table | [source.detect.black] and its keys below",
        ),
        (
            "detect.black.raise_after = \"11m\"",
            "4:28 source[sdi-1].detect.black.raise_after: \"11m\" is more than 10m | a duration from 0s to 10m, such as \"2s\" (units ms, s, m, h, d)",
        ),
        (
            "detect.black.raise = \"2s\"",
            "4:14 source[sdi-1].detect.black.raise: no such key | known here: enabled, raise_after, clear_after, \
             raise_level, clear_level, present_share, window, severity",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(told(&format!("{SOURCE}{text}\n")), [expected], "{text}");
    }
}

#[test]
fn text_that_is_no_toml_is_told_with_the_rest() {
    let text = "[device]\nsite = studio-4\n[health]\nperiod = \"1s\"\n";
    assert_eq!(
        told(text),
        [
            "2:8 : is no TOML: string values must be quoted | the value in quotes, such as site = \"studio-4\"",
            "4:10 health.period: \"1s\" is less than 10s | a duration from 10s to 10m, such as \"20s\" (units ms, s, m, h, d)",
        ]
    );
    assert_eq!(
        told("[device]\nsite = \"a\"\nsite = \"b\"\n"),
        ["3:1 : is no TOML: duplicate key | each key and each [table] once"]
    );
    // What seems to be missing may stand in the torn line.
    assert_eq!(told("[[source]]\nid = \"a\"\ninput = \"udp://x:1\n").len(), 1);
}

#[test]
fn nothing_in_a_file_commands_a_terminal() {
    let text =
        "[device]\n\"\\u001b[2J\" = 1\nname = \"\\u001b[2J\"\n[[source]]\nid = \"\\u001b\"\ninput = \"\\u001b://x\"\n";
    let shown = Root::new().with("etc/picket/picket.toml", text).mistakes(&[]);
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn files_that_cannot_be_read_are_trouble_of_the_environment() {
    let root = Root::new();
    std::fs::create_dir_all(root.path().join("etc/picket/picket.toml")).expect("made");
    let mistakes = root.load(&[], &[]).expect_err("a folder is no file");
    assert_eq!(mistakes.exit_code(), 3);
    assert!(root.mistakes(&[]).starts_with("/etc/picket/picket.toml: cannot be read: is a directory\n"));
    let latin = Root::new().with("etc/picket/picket.toml", b"[device]\nsite = \"K\xf6ln\"\n");
    let expected = "\
/etc/picket/picket.toml:2:10: is no UTF-8 text
    2 | site = \"K\u{fffd}ln\"
      |          ^
      right: a file saved as UTF-8
1 mistake in the configuration";
    assert_eq!(latin.mistakes(&[]), expected);
    assert_eq!(latin.load(&[], &[]).map_err(|mistakes| mistakes.exit_code()), Err(2));
}

#[test]
fn a_file_named_on_the_command_line_must_be_there() {
    let root = Root::new();
    let places = Places::below(root.path()).with_file(&root.path().join("my.toml"));
    let mistakes = load(&places, &BTreeMap::new(), &[]).expect_err("no such file");
    let shown = mistakes.to_string().replace(&*root.path().to_string_lossy(), "");
    assert_eq!(
        shown,
        "/my.toml: cannot be read: no such file or directory\n      right: a file that this user may read\n1 mistake in the configuration"
    );
}

#[test]
fn a_file_without_end_is_refused() {
    let places = Places::below(Root::new().path()).with_file(Path::new("/dev/zero"));
    let mistakes = load(&places, &BTreeMap::new(), &[]).expect_err("no end");
    assert!(mistakes.to_string().starts_with("/dev/zero: is larger than 1MiB, so it is no configuration\n"));
}

#[test]
fn variables_are_checked_like_files() {
    let root = Root::new();
    let env = [
        ("PICKET_BROKER_ULR", "x"),
        ("PICKET_DEVICE_SITE", ""),
        ("PICKET_EVIDENCE_PICTURES", "off"),
        ("PICKET_KERNELS", "scalar"),
        ("PICKET_NONSENSE", "1"),
        ("PATH", "/bin"),
    ];
    let expected = "\
PICKET_BROKER_ULR: no such variable
      right: PICKET_BROKER_URL
PICKET_DEVICE_SITE: device.site: \"\" is empty
      right: 1 to 64 characters, such as \"studio-4\"
PICKET_EVIDENCE_PICTURES: evidence.pictures: \"off\" is neither true nor false
      right: true or false
PICKET_NONSENSE: no such variable
      right: PICKET_<TABLE>_<KEY>, such as PICKET_BROKER_URL
4 mistakes in the configuration";
    assert_eq!(root.mistakes(&env), expected);
}

#[test]
fn flags_are_checked_like_files() {
    let flag = |key, value: &str| Flag { flag: format!("--{key}"), key, value: value.to_owned() };
    let flags = [flag("broker.url", "x"), flag("broker.nonsense", "x"), flag("evidence.pictures", "true")];
    let expected = "\
--broker.nonsense: broker.nonsense: no such key
      right: a key outside [[source]]
--broker.url: broker.url: \"x\" begins neither with mqtt:// nor with mqtts://
      right: mqtts://HOST or mqtt://HOST, such as \"mqtts://broker.example:8883\"
2 mistakes in the configuration";
    assert_eq!(Root::new().load(&[], &flags).map_err(|mistakes| mistakes.to_string()), Err(expected.to_owned()));
}

#[test]
fn a_decoder_that_ffmpeg_does_not_have_is_told() {
    let text = "[[source]]\nid = \"a\"\ninput = \"-\"\ndecoder = \"h264_v4l2m2n\"\n";
    let expected = "4:11 source[a].decoder: \"h264_v4l2m2n\" is no video decoder of the FFmpeg on this box; did you mean \
                    \"h264_v4l2m2m\"? | a name that 'ffmpeg -decoders' lists, such as \"h264_v4l2m2m\", or no `decoder` key for \
                    software";
    assert_eq!(told(text), [expected]);
}
