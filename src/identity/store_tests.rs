use super::super::Wrong;
use super::*;
use rcgen::{CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use std::os::unix::fs::PermissionsExt;

const NOW_S: i64 = 1_800_000_000;

struct Bench {
    _folder: tempfile::TempDir,
    store: Store,
    device: DeviceId,
    issuer: Issuer<'static, KeyPair>,
    ca: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let ca = params.self_signed(&key).expect("signed").pem();
        let (store, issuer) = (Store::of(&folder.path().join("state")), Issuer::new(params, key));
        Self { _folder: folder, store, device: DeviceId::from_machine_identity("x"), issuer, ca }
    }

    fn request(&self) -> String {
        self.store.request(&self.device, false).expect("a request")
    }

    /// What an authority makes of a request.
    fn signed(&self, request: &str) -> String {
        let request = CertificateSigningRequestParams::from_pem(request).expect("a request");
        request.signed_by(&self.issuer).expect("signed").pem()
    }

    fn install(&self, chain: &str, command: &str) -> Result<Installed, Error> {
        self.store.install(&Install {
            chain: chain.as_bytes(),
            authority: Authority::Kept,
            device: Some(&self.device),
            now_s: NOW_S,
            trusted: true,
            command,
        })
    }

    fn subject_key(&self, pair: &Pair) -> Vec<u8> {
        read(&pair.key()).expect("a key")
    }
}

#[test]
fn the_first_pair_counts_at_once_and_its_key_is_nobody_elses() {
    let bench = Bench::new();
    let request = bench.request();
    assert_eq!(bench.request(), request, "the same one while it waits");
    let asked = CertificateSigningRequestParams::from_pem(&request).expect("a request");
    assert!(format!("{:?}", asked.params.distinguished_name).contains(bench.device.as_str()));
    assert!(matches!(&asked.params.subject_alt_names[..],
        [rcgen::SanType::DnsName(name)] if name.as_str() == bench.device.as_str()));
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
    let next = bench.store.next();
    assert_eq!((mode(&next.key()), mode(next.folder()), mode(bench.store.folder())), (0o600, 0o700, 0o700));
    assert_eq!(bench.install(&bench.signed(&request), "").expect("good"), Installed::Current);
    let current = bench.store.current();
    assert!(current.is_whole() && !bench.store.next().folder().exists());
    assert_eq!(current.chain().map(|chain| chain.is_for(&bench.device)), Some(Ok(())));
    // Without a request there is nothing to install for.
    assert!(matches!(bench.install(&bench.signed(&request), ""), Err(Error::NoRequest)));
}

#[test]
fn the_next_pair_is_on_trial_and_the_one_before_stays_until_it_is_accepted() {
    let bench = Bench::new();
    let first = bench.request();
    let chain = bench.signed(&first);
    let what = Install {
        chain: chain.as_bytes(),
        authority: Authority::New(bench.ca.as_bytes()),
        device: Some(&bench.device),
        now_s: NOW_S,
        trusted: true,
        command: "",
    };
    bench.store.install(&what).expect("good");
    let second = bench.request();
    assert_ne!(first, second);
    let old = bench.subject_key(&bench.store.current());
    assert_eq!(bench.install(&bench.signed(&second), "r1").expect("good"), Installed::OnTrial);
    assert!(matches!(bench.store.request(&bench.device, true), Err(Error::Busy)));
    assert!(matches!(bench.install(&bench.signed(&second), "r2"), Err(Error::Busy)));
    // Not taken: its key waits for another certificate.
    bench.store.refuse("unknown CA").expect("stored");
    assert_eq!(bench.store.next().refused().as_deref(), Some("unknown CA"));
    assert_eq!((bench.request(), bench.subject_key(&bench.store.current())), (second.clone(), old.clone()));
    assert_eq!(bench.install(&bench.signed(&second), "r3").expect("good"), Installed::OnTrial);
    assert_eq!(bench.store.next().refused(), None);
    bench.store.promote().expect("renamed");
    let current = bench.store.current();
    assert_ne!(bench.subject_key(&current), old);
    assert_eq!((current.command().as_deref(), bench.store.next().folder().exists()), (Some("r3"), false));
    assert_eq!(read(&current.ca()).expect("kept"), bench.ca.as_bytes(), "authorities are handed on");
    assert!(!bench.store.former().exists());
}

#[test]
fn the_first_pair_that_a_command_brings_is_on_trial_too() {
    let bench = Bench::new();
    let request = bench.request();
    assert_eq!(bench.install(&bench.signed(&request), "r1").expect("good"), Installed::OnTrial);
    assert!(!bench.store.current().is_whole());
    bench.store.promote().expect("renamed");
    assert!(bench.store.current().is_whole());
}

#[test]
fn what_is_no_good_changes_nothing() {
    let bench = Bench::new();
    let request = bench.request();
    let good = bench.signed(&request);
    let other_key = KeyPair::generate().expect("a key");
    let other = CertificateParams::new(vec![bench.device.as_str().to_owned()]).expect("a name");
    let other = other.signed_by(&other_key, &bench.issuer).expect("signed").pem();
    let code = |result: Result<Installed, Error>| result.expect_err("no good").code();
    assert_eq!(code(bench.install(&other, "")), "wrong_key");
    assert_eq!(code(bench.install("rubbish", "")), "bad_certificate");
    let mut what = Install {
        chain: good.as_bytes(),
        authority: Authority::New(b"rubbish"),
        device: Some(&bench.device),
        now_s: NOW_S,
        trusted: true,
        command: "",
    };
    assert_eq!(code(bench.store.install(&what)), "bad_authorities");
    what.authority = Authority::Kept;
    // rcgen's certificates end in 4096.
    what.now_s = 70_000_000_000;
    assert_eq!(code(bench.store.install(&what)), "expired_certificate");
    what.now_s = -1_000_000_000;
    assert_eq!(code(bench.store.install(&what)), "early_certificate");
    let stranger = DeviceId::offline();
    (what.now_s, what.device) = (NOW_S, Some(&stranger));
    let refused = bench.store.install(&what).expect_err("no good");
    let expected = format!("the certificate is for {}, and this box is {}", bench.device, stranger);
    assert_eq!((refused.code(), refused.to_string()), ("wrong_device", expected));
    assert!(!bench.store.current().folder().exists() && !bench.store.next().is_whole());
    what.device = None;
    assert_eq!(bench.store.install(&what).expect("anybody"), Installed::Current);
    assert!(matches!(refused, Error::Certificate(Wrong::Device { .. })));
}

#[test]
fn a_power_cut_leaves_one_pair_or_the_other() {
    let bench = Bench::new();
    bench.install(&bench.signed(&bench.request()), "").expect("good");
    let second = bench.request();
    bench.install(&bench.signed(&second), "").expect("good");
    let (current, next) = (bench.store.current(), bench.store.next());
    let (old, new) = (bench.subject_key(&current), bench.subject_key(&next));
    // Between the two renames: it was accepted.
    std::fs::rename(current.folder(), bench.store.former()).expect("renamed");
    drop(bench.store.lock().expect("mended"));
    assert!(!bench.store.former().exists() && bench.subject_key(&current) == new && new != old);
    // Before the former pair was removed.
    std::fs::create_dir(bench.store.former()).expect("made");
    drop(bench.store.lock().expect("mended"));
    assert!(!bench.store.former().exists() && bench.subject_key(&current) == new);
    // Only the former is left.
    std::fs::rename(current.folder(), bench.store.former()).expect("renamed");
    drop(bench.store.lock().expect("mended"));
    assert_eq!(bench.subject_key(&current), new);
    // Cut while the key was written: there is no request, so it is made again.
    std::fs::create_dir(next.folder()).expect("made");
    std::fs::write(next.key(), "torn").expect("written");
    let third = bench.request();
    assert_eq!(bench.install(&bench.signed(&third), "").expect("good"), Installed::OnTrial);
}
