//! A box makes its key, gets its certificate, and renews it, with a real Mosquitto that wants client certificates.

use crate::commands::{Bench, MOST};
use crate::schemas::validate;
use crate::support::{Daemon, Mosquitto, Subscriber, free_tcp_port, picket, text, waited};
use picket::ids::DeviceId;
use rcgen::{CertificateParams, CertificateSigningRequestParams, Issuer, KeyPair, SerialNumber};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SOURCES: &str = "[health]\nperiod = \"10s\"\n[[source]]\nid = \"one\"\ninput = \"pattern:clean\"\n";
/// What `cmd/rotate-cert` is called.
const ROTATE: &str = "rotate-cert";

/// An authority of the test's own.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self { pem: params.self_signed(&key).expect("signed").pem(), issuer: Issuer::new(params, key) }
    }

    /// The certificate for a request. `days` from now; the serial number is what it is revoked by.
    fn sign(&self, request: &str, days: u64, serial: u64) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(request).expect("a request");
        let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        request.params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        request.params.not_after =
            rcgen::date_time_ymd(1970, 1, 1) + now + std::time::Duration::from_secs(days * 86_400);
        request.params.serial_number = Some(SerialNumber::from(serial));
        request.signed_by(&self.issuer).expect("signed").pem()
    }

    /// Revokes these, PEM.
    fn revoke(&self, serials: &[u64]) -> String {
        let (year, next) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2200, 1, 1));
        let revoked = |serial: &u64| rcgen::RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: year,
            reason_code: None,
            invalidity_date: None,
        };
        let list = rcgen::CertificateRevocationListParams {
            this_update: year,
            next_update: next,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("signed").pem().expect("PEM")
    }
}

/// A broker with a plain door for the test and one for devices with certificates of `authority`.
struct Site {
    folder: tempfile::TempDir,
    authority: Authority,
    broker: Mosquitto,
    daemon: Daemon,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new("the site's authority");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        let key = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
        let server = server.signed_by(&key, &authority.issuer).expect("signed");
        write("ca.pem", &authority.pem);
        write("server.pem", &server.pem());
        write("server.key", &key.serialize_pem());
        write("crl.pem", &authority.revoke(&[]));
        let (port, at) = (free_tcp_port(), folder.path().display());
        let door = format!(
            "listener {port} 127.0.0.1\ncafile {at}/ca.pem\ncertfile {at}/server.pem\nkeyfile {at}/server.key\ncrlfile {at}/crl.pem\nrequire_certificate true\nuse_identity_as_username true\n"
        );
        let broker = Mosquitto::with(folder.path(), &door);
        let url = format!("[broker]\nurl = \"mqtts://127.0.0.1:{port}\"\n");
        let daemon = Daemon::new(None, &format!("{url}{SOURCES}"));
        Self { folder, authority, broker, daemon }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.daemon.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

fn provision(daemon: &Daemon, arguments: &[&str]) -> Output {
    let mut command = picket();
    command.arg("provision").args(arguments).arg("--config").arg(&daemon.config);
    command.output().expect("picket starts")
}

fn status(daemon: &Daemon) -> (Option<i32>, serde_json::Value) {
    let output = provision(daemon, &["status", "--format", "json"]);
    let told = serde_json::from_slice(&output.stdout).expect("JSON");
    validate("provision", &told);
    (output.status.code(), told)
}

/// The first certificate, over the command line: the key stays, a wrong certificate is refused.
fn first_certificate(site: &Site) {
    let output = provision(&site.daemon, &["request"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let request = text(&output.stdout);
    assert!(request.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"), "{request}");
    assert!(!text(&output.stderr).contains("PRIVATE"), "{}", text(&output.stderr));
    assert_eq!(text(&provision(&site.daemon, &["request"]).stdout), request, "the same one again");
    let (code, told) = status(&site.daemon);
    assert_eq!((code, &told["request"]), (Some(1), &serde_json::json!(true)), "{told}");

    let device = told["device"].as_str().expect("text");
    let stranger = KeyPair::generate().expect("a key");
    let other = CertificateParams::new(vec![device.to_owned()]).expect("a name");
    let other = other.signed_by(&stranger, &site.authority.issuer).expect("signed").pem();
    let other = site.file("other.pem", &other);
    let output = provision(&site.daemon, &["install", other.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(said.contains("other.pem: the certificate belongs to another key than this box's"), "{said}");

    let cert = site.file("first.pem", &site.authority.sign(&request, 20, 1));
    let ca = site.file("authorities.pem", &site.authority.pem);
    let (cert, ca) = (cert.to_str().expect("UTF-8"), ca.to_str().expect("UTF-8"));
    let output = provision(&site.daemon, &["install", cert, "--ca", ca]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // 20 days of its life are left, which is too little.
    let (code, told) = status(&site.daemon);
    assert_eq!((code, told["certificate"]["subject"].as_str()), (Some(1), Some(device)), "{told}");
    assert!(told["certificate"]["days"].as_f64().is_some_and(|days| (19.9..20.1).contains(&days)), "{told}");
}

/// Whether the broker takes this pair.
fn taken(site: &Site, pair: &Path) -> bool {
    let config = std::fs::read_to_string(&site.daemon.config).expect("read");
    let port = config.split("mqtts://127.0.0.1:").nth(1).and_then(|rest| rest.split('"').next()).expect("a port");
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", port, "-t", "x", "-n", "--cafile"]).arg(pair.join("ca.pem"));
    command.arg("--cert").arg(pair.join("cert.pem")).arg("--key").arg(pair.join("key.pem"));
    command.output().expect("mosquitto_pub is installed ('make setup')").status.success()
}

#[test]
fn a_box_is_provisioned_and_renews_its_certificate_over_mqtt() {
    let mut site = Site::new();
    first_certificate(&site);
    let (folder, authority) = (site.folder, site.authority);
    let mut bench = Bench::of(folder, site.broker, site.daemon);
    let health = bench.subscriber.wait_for("/health", MOST, |health| health["cert_days"].is_f64());
    validate("health", &health);
    assert_eq!((health["class"].as_str(), health["cert_renew"].as_bool()), (Some("warning"), Some(true)), "{health}");
    assert_eq!(health["certificate"], "ends in 20.0 days: renew it");
    let device = bench.root.rsplit('/').next().expect("a level").to_owned();
    assert!(DeviceId::new(&device).is_ok());

    let asked = bench.command(ROTATE, "r1", "{}");
    let request = asked["result"]["csr"].as_str().expect("a request").to_owned();
    assert_eq!((asked["status"].as_str(), asked["result"]["device"].as_str()), (Some("done"), Some(&*device)));
    let bring = |cert: &str, within: u32| serde_json::json!({"cert": cert, "within_s": within}).to_string();

    // Of an authority that the broker does not know: the connection comes back with the one before.
    let stranger = Authority::new("a stranger").sign(&request, 400, 9);
    let refused = bench.command(ROTATE, "r2", &bring(&stranger, 60));
    assert_eq!((refused["status"].as_str(), refused["code"].as_str()), (Some("failed"), Some("refused_by_broker")));
    assert!(refused["text"].as_str().is_some_and(|text| text.contains("the broker did not accept it")), "{refused}");
    assert_eq!(bench.command("health", "h1", "{}")["status"], "done");
    assert_eq!(bench.command(ROTATE, "r3", &bring("rubbish", 60))["code"], "bad_certificate");

    let state = bench.daemon.folder.path().join("state/tls");
    let kept = bench.daemon.folder.path().join("kept");
    std::fs::create_dir(&kept).expect("made");
    for name in ["key.pem", "cert.pem", "ca.pem"] {
        std::fs::copy(state.join("current").join(name), kept.join(name)).expect("copied");
    }
    let good = authority.sign(&request, 400, 2);
    let done = bench.command(ROTATE, "r4", &bring(&good, 60));
    assert_eq!((done["status"].as_str(), done["result"]["cert_days"].is_f64()), (Some("done"), true), "{done}");
    assert_eq!(std::fs::read_to_string(state.join("current/cert.pem")).expect("read"), good);
    assert!(!state.join("next").exists() && !state.join("former").exists());
    let health = bench.subscriber.wait_for("/health", MOST, |health| health["cert_days"].as_f64() > Some(399.0));
    assert!(health["certificate"].is_null() && health["class"] == "ok", "{health}");
    // The same command again: answered, not done.
    let before = bench.replies("r4").len();
    bench.send(ROTATE, &format!("{{\"id\":\"r4\",\"args\":{}}}", bring(&good, 60)));
    let again = waited(MOST, || bench.replies("r4").get(before).cloned()).expect("answered again");
    assert_eq!(again["text"], done["text"]);

    // Killed in the middle: the next run ends what was begun.
    let request = bench.command(ROTATE, "r5", "{\"new_key\":true}")["result"]["csr"].as_str().expect("text").to_owned();
    bench.send(ROTATE, &format!("{{\"id\":\"r6\",\"args\":{}}}", bring(&authority.sign(&request, 350, 4), 60)));
    bench.subscriber.wait_for("/reply/r6", MOST, |reply| reply["status"] == "running");
    bench.running.kill();
    bench.running = bench.daemon.start();
    let done = bench.last_reply("r6");
    assert_eq!((done["status"].as_str(), done["result"]["cert_days"].as_f64() < Some(351.0)), (Some("done"), true));
    assert!(state.join("current/cert.pem").exists() && !state.join("next").exists());

    // The first one is revoked; the box does not notice.
    let broker_folder = bench.broker.folder().to_owned();
    std::fs::write(broker_folder.join("crl.pem"), authority.revoke(&[1])).expect("written");
    bench.broker.kill();
    bench.broker.again();
    bench.subscriber = Subscriber::start(bench.broker.port);
    bench.subscriber.wait_for("/status", MOST, |status| status["state"] == "online");
    site =
        Site { folder: tempfile::tempdir().expect("a folder"), authority, broker: bench.broker, daemon: bench.daemon };
    assert!(taken(&site, &state.join("current")) && !taken(&site, &kept));

    // And once more by hand, while the daemon runs.
    let output = provision(&site.daemon, &["renew"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let cert = site.file("third.pem", &site.authority.sign(&text(&output.stdout), 300, 3));
    let output = provision(&site.daemon, &["install", cert.to_str().expect("UTF-8")]);
    assert!(text(&output.stdout).starts_with("on trial"), "{}", text(&output.stderr));
    let told = waited(MOST, || Some(status(&site.daemon).1).filter(|told| told["on_trial"] == false)).expect("taken");
    assert!(told["certificate"]["days"].as_f64() < Some(301.0) && told["refused"].is_null(), "{told}");
    assert!(bench.running.stop().success(), "{}", site.daemon.log());
}

#[test]
fn a_broker_that_lets_in_the_provisioned_alone_lets_in_no_stranger() {
    let site = Site::new();
    first_certificate(&site);
    let mut command = picket();
    command.args(["broker-check", "--kept", "20", "--format", "json", "--config"]).arg(&site.daemon.config);
    let output = command.output().expect("it runs");
    let report = text(&output.stdout);
    let report: serde_json::Value =
        serde_json::from_str(report.trim()).unwrap_or_else(|_| panic!("{report}{}", text(&output.stderr)));
    let points = report["points"].as_array().expect("points");
    let strangers = points.iter().find(|point| point["name"] == "strangers").expect("looked at");
    assert_eq!(
        (&strangers["level"], &strangers["text"]),
        (&"ok".into(), &"who shows no credentials is turned away".into()),
        "{report}"
    );
}

#[test]
fn check_tells_what_is_wrong_with_certificates() {
    let site = Site::new();
    let request = text(&provision(&site.daemon, &["request"]).stdout);
    let cert = site.file("cert.pem", &site.authority.sign(&request, 20, 1));
    let cert = cert.to_str().expect("UTF-8");
    assert_eq!(provision(&site.daemon, &["install", cert]).status.code(), Some(0));
    let check = || picket().arg("check").arg("--config").arg(&site.daemon.config).output().expect("picket starts");
    let soon = check();
    assert_eq!(soon.status.code(), Some(0), "{}", text(&soon.stderr));
    assert!(text(&soon.stderr).contains("ends in 20.0 days: renew it now"), "{}", text(&soon.stderr));
    // It ended.
    let current = site.daemon.folder.path().join("state/tls/current");
    std::fs::write(current.join("cert.pem"), site.authority.sign(&request, 0, 2)).expect("written");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let over = check();
    assert_eq!(over.status.code(), Some(3));
    assert!(text(&over.stderr).contains("days ago"), "{}", text(&over.stderr));
    // Somebody exchanged the key.
    let key = current.join("key.pem");
    std::fs::copy(cert, current.join("cert.pem")).expect("copied");
    std::fs::write(&key, KeyPair::generate().expect("a key").serialize_pem()).expect("written");
    let wrong = check();
    assert_eq!(wrong.status.code(), Some(3));
    assert!(text(&wrong.stderr).contains("belongs to another key"), "{}", text(&wrong.stderr));
    // Files of the configuration are renewed by whoever put them there.
    let config = std::fs::read_to_string(&site.daemon.config).expect("read");
    let named = config.replace("[broker]\n", &format!("[broker]\ncert = \"{cert}\"\nkey = \"{}\"\n", key.display()));
    std::fs::write(&site.daemon.config, named).expect("written");
    let output = provision(&site.daemon, &["renew"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("broker.cert"), "{}", text(&output.stderr));
}
