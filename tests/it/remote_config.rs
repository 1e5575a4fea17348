//! Configuration over a real Mosquitto: tried, confirmed, and given up by itself.

use crate::commands::{Bench, MOST};
use crate::schemas::validate;
use crate::support::{free_tcp_port, ran, text};
use serde_json::{Value, json};

const SOURCE: &str = "[[source]]\nid = \"one\"\ninput = \"pattern:clean\"\n";
const SECOND: &str = "[[source]]\nid = \"second\"\ninput = \"pattern:clean\"\n";

impl Bench {
    fn set(&self, id: &str, layer: &str, within_s: u64) -> Value {
        let args = json!({"toml": layer, "confirm_within_s": within_s});
        self.command("config-set", id, &args.to_string())
    }

    /// Waits for `config` of this kind, made after `after`.
    fn config(&self, status: &str, after: &Value) -> Value {
        let after = after["mono_ms"].as_u64().unwrap_or(0);
        let config = self.subscriber.wait_for("/config", MOST, |config| {
            config["status"] == status && config["mono_ms"].as_u64().is_some_and(|at| at > after)
        });
        validate("config_state", &config);
        config
    }

    fn start_with(&self, start: u64) -> Value {
        self.subscriber.wait_for("/info", MOST, |info| info["start"] == start)
    }
}

fn ids(info: &Value) -> Vec<&str> {
    info["sources"].as_array().expect("a list").iter().filter_map(|source| source["id"].as_str()).collect()
}

#[test]
fn a_layer_is_tried_over_a_kill_and_stays_when_it_is_confirmed() {
    let mut bench = Bench::start(SOURCE);
    let first = bench.config("applied", &Value::Null);
    let reply = bench.set("s1", SECOND, 600);
    assert_eq!((reply["status"].as_str(), reply["result"]["revision"].as_u64()), (Some("done"), Some(1)), "{reply}");
    let pending = bench.config("pending", &first);
    assert!(pending["confirm_left_s"].as_u64().is_some_and(|left| left > 500) && pending["hash"] != first["hash"]);
    assert!(pending["values"].as_str().is_some_and(|values| values.contains("second")), "{pending}");
    assert!(bench.running.runs(), "the same process goes on");
    assert_eq!(ids(&bench.start_with(2)), ["one", "second"]);
    assert_eq!(bench.set("s2", "", 600)["code"], "busy");
    bench.running.kill();
    bench.running = bench.daemon.start();
    let again = bench.config("pending", &pending);
    assert_eq!(ids(&bench.start_with(3)), ["one", "second"]);
    assert_eq!(bench.command("config-confirm", "c1", "{\"revision\":7}")["code"], "not_pending");
    assert_eq!(bench.command("config-confirm", "c2", "{\"revision\":1}")["status"], "done");
    let confirmed = bench.config("confirmed", &again);
    assert!(confirmed["confirm_left_s"].is_null() && confirmed["hash"] == pending["hash"]);
    bench.running.kill();
    bench.running = bench.daemon.start();
    bench.config("confirmed", &confirmed);
    assert_eq!(ids(&bench.start_with(4)), ["one", "second"]);
    let got = bench.command("config-get", "g1", "{}");
    assert_eq!((&got["result"]["hash"], &got["result"]["status"]), (&pending["hash"], &json!("confirmed")));
    let checked = ran(&["check", "--config", bench.daemon.config.to_str().expect("UTF-8")]);
    assert!(text(&checked.stdout).contains("2 sources"), "{}{}", text(&checked.stdout), text(&checked.stderr));
    // Taken back in the same way.
    bench.set("s3", "", 600);
    assert_eq!(bench.command("config-confirm", "c3", "{}")["status"], "done");
    assert_eq!(ids(&bench.start_with(5)), ["one"]);
    assert!(bench.running.stop().success(), "{}", bench.daemon.log());
}

#[test]
fn a_layer_that_nobody_confirms_falls_back_by_itself() {
    let mut bench = Bench::start(SOURCE);
    let first = bench.config("applied", &Value::Null);
    bench.set("s1", SECOND, 10);
    let pending = bench.config("pending", &first);
    let back = bench.config("rolled_back", &pending);
    assert_eq!((&back["reason"], &back["hash"]), (&json!("it was not confirmed in time"), &first["hash"]));
    assert_eq!(ids(&bench.start_with(3)), ["one"]);
    assert_eq!(bench.command("config-confirm", "c1", "{}")["code"], "not_pending");
    bench.set("s2", SECOND, 600);
    bench.config("pending", &back);
    assert_eq!(bench.command("config-rollback", "b1", "{}")["text"], "it is gone");
    assert_eq!(ids(&bench.start_with(5)), ["one"]);
    assert!(bench.running.runs(), "the same process goes on");
}

#[test]
fn a_layer_that_loses_the_broker_falls_back_by_itself() {
    let bench = Bench::start(SOURCE);
    let first = bench.config("applied", &Value::Null);
    let layer = format!("[broker]\nurl = \"mqtt://127.0.0.1:{}\"\n", free_tcp_port());
    let reply = bench.set("s1", &layer, 20);
    assert_eq!((reply["code"].as_str(), reply["status"].as_str()), (Some("rolled_back"), Some("failed")), "{reply}");
    let back = bench.config("rolled_back", &first);
    assert_eq!(back["reason"], "the broker could not be reached with it");
}

#[test]
fn a_layer_that_is_wrong_changes_nothing() {
    let bench = Bench::start(SOURCE);
    let wrong = [
        ("[health]\nperiod = \"1s\"\n", "invalid", "layer from afar:2:10: health.period"),
        ("[health", "invalid", "is no TOML"),
        ("[device]\nstate_dir = \"/tmp\"\n", "invalid", "are set on the box alone"),
        ("[[source]]\nid = \"b\"\ninput = \"/nowhere.ts\"\n", "environment", "/nowhere.ts"),
        // Whoever may send commands is not to read files by them, nor to lift the owner's locks.
        ("[broker]\npassword_file = \"/etc/hostname\"\nuser = \"x\"\n", "invalid", "are set on the box alone"),
        ("[device]\nallow_reboot = true\n", "invalid", "is allowed on the box alone"),
    ];
    for (number, (layer, code, says)) in wrong.into_iter().enumerate() {
        let reply = bench.set(&format!("w{number}"), layer, 600);
        assert_eq!(reply["code"], code, "{reply}");
        assert!(reply["text"].as_str().is_some_and(|text| text.contains(says)), "{reply}");
    }
    let got = bench.command("config-get", "g1", "{}");
    assert_eq!((&got["result"]["revision"], &got["result"]["status"]), (&json!(0), &json!("applied")));
    assert!(!got.to_string().contains("machine_id"), "{got}");
}
