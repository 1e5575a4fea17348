use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use std::time::Duration;

/// A life, Unix days.
type Days = std::ops::Range<u64>;

fn params(name: &str, dns: &str, life: Days) -> CertificateParams {
    let mut params = CertificateParams::new(vec![dns.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    let day = |day: u64| date_time_ymd(1970, 1, 1) + Duration::from_secs(day * 86_400);
    (params.not_before, params.not_after) = (day(life.start), day(life.end));
    params
}

fn authority(name: &str, life: Days) -> (String, Issuer<'static, KeyPair>) {
    let (mut params, key) = (params(name, name, life), KeyPair::generate().expect("a key"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.self_signed(&key).expect("signed").pem(), Issuer::new(params, key))
}

fn device() -> DeviceId {
    DeviceId::from_machine_identity("x")
}

#[test]
fn what_a_certificate_says_is_read() {
    let key = KeyPair::generate().expect("a key");
    let (ca, issuer) = authority("the\x1b[31m authority", 100..400);
    let leaf = params("box", device().as_str(), 200..290).signed_by(&key, &issuer).expect("signed").pem();
    let chain = Chain::read(format!("a word before\n{leaf}{ca}").as_bytes()).expect("a chain");
    assert_eq!((chain.leaf().subject(), chain.leaf().authority), ("box", false));
    assert_eq!((chain.leaf().from_s, chain.leaf().until_s), (200 * DAY_S, 290 * DAY_S));
    assert_eq!((chain.leaf().renew_s(), chain.shortest().until_s), (260 * DAY_S, 290 * DAY_S));
    assert_eq!(chain.is_for(&device()), Ok(()));
    let other = DeviceId::offline();
    let wants = other.as_str().to_owned();
    assert_eq!(chain.is_for(&other), Err(Wrong::Device { has: "box".to_owned(), wants }));
    assert_eq!(chain.fits(key.serialize_pem().as_bytes()), Ok(()));
    assert_eq!(chain.fits(KeyPair::generate().expect("a key").serialize_pem().as_bytes()), Err(Wrong::Key));
    assert!(matches!(chain.fits(b""), Err(Wrong::KeyForm(_))));
    let all = certificates(ca.as_bytes()).expect("one");
    assert_eq!((all[0].subject(), all[0].authority), ("the[31m authority", true));
    // The issuer's life ends first.
    let (ca, issuer) = authority("short", 100..210);
    let leaf = params("box", "box", 200..290).signed_by(&key, &issuer).expect("signed").pem();
    assert_eq!(Chain::read((leaf + &ca).as_bytes()).expect("a chain").shortest().until_s, 210 * DAY_S);
}

#[test]
fn what_is_no_chain_is_told() {
    let key = KeyPair::generate().expect("a key");
    let (ca, issuer) = authority("one", 100..400);
    let (stranger, _) = authority("two", 100..400);
    let leaf = params("box", "box", 200..290).signed_by(&key, &issuer).expect("signed").pem();
    let wrong = |text: &str| Chain::read(text.as_bytes()).expect_err("no chain");
    assert_eq!(wrong(""), Wrong::Empty);
    assert_eq!(wrong(&key.serialize_pem()), Wrong::Empty);
    assert_eq!(wrong(&format!("{leaf}{stranger}")), Wrong::Order(1));
    assert_eq!(wrong(&format!("{ca}{leaf}")), Wrong::Authority);
    assert_eq!(wrong(&leaf.repeat(9)), Wrong::Long(9));
    assert!(matches!(wrong(&leaf.replace("-----END", "-----ENT")), Wrong::Pem(_)));
    assert_eq!(wrong("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"), Wrong::Form(1));
    assert!(wrong(&format!("{leaf}{stranger}")).to_string().starts_with("its certificate 1 was not issued"));
    let mut server = params("box", "box", 200..290);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server = server.signed_by(&key, &issuer).expect("signed").pem();
    assert_eq!(Chain::read(server.as_bytes()).expect("a chain").is_for_clients(), Err(Wrong::Usage));
    assert_eq!(Chain::read(leaf.as_bytes()).expect("a chain").is_for_clients(), Ok(()));
}

#[test]
fn lives_are_judged_by_a_clock_that_may_not_be_trusted() {
    let key = KeyPair::generate().expect("a key");
    let leaf = params("box", "box", 200..290).self_signed(&key).expect("signed").pem();
    let chain = Chain::read(leaf.as_bytes()).expect("a chain");
    let at = |day: f64, trusted| chain.lives((day * DAY_S as f64) as i64, trusted);
    assert_eq!((at(200.0, true), at(290.0, true), at(245.0, false)), (Ok(()), Ok(()), Ok(())));
    assert_eq!(at(199.5, true), Err(Wrong::Early(0.5)));
    // Nobody knows that: the time is later than this.
    assert_eq!(at(1.0, false), Ok(()));
    assert_eq!(at(291.5, false), Err(Wrong::Over(1.5)));
}

#[test]
fn alarms_come_in_proportion_to_a_short_life() {
    let standing = |life: Days, at: f64| {
        let key = KeyPair::generate().expect("a key");
        let certificate = params("box", "box", life).self_signed(&key).expect("signed").pem();
        let all = certificates(certificate.as_bytes()).expect("one");
        standing(&all[0], (at * DAY_S as f64) as i64)
    };
    for (at, stands) in [
        (1000.0, Standing::Good),
        (1243.0, Standing::Good),
        (1244.0, Standing::Due),
        (1335.5, Standing::Month),
        (1358.5, Standing::Week),
        (1364.5, Standing::Day),
        (1365.0, Standing::Day),
        (1365.1, Standing::Over),
    ] {
        assert_eq!(standing(1000..1365, at), stands, "{at}");
    }
    // Nine days: 3, 0.7 and 0.1 of them.
    for (at, stands) in [
        (1005.9, Standing::Good),
        (1006.1, Standing::Month),
        (1008.4, Standing::Week),
        (1008.95, Standing::Day),
        (1009.1, Standing::Over),
    ] {
        assert_eq!(standing(1000..1009, at), stands, "{at}");
    }
}

/// By `openssl x509 -req` without -extfile.
const VERSION_1: &str = "-----BEGIN CERTIFICATE-----
MIIBIjCByAIUaMMjZn14a2LGl9YhNE2FIMOexXEwCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCY2EwHhcNMjYxMTI4MTcwNDIzWhcNMjYxMjI4MTcwNDIzWjAaMRgwFgYD
VQQDDA9way0wMTIzNDU2Nzg5YWIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQr
ie7hCHlYKnHLr8bXPjMCoY764E0wO+xdzz/rWfqmTTgrtqu8EHV5a1O/qb+2CJ5y
TAxUPjGsbAs07pqMY6duMAoGCCqGSM49BAMCA0kAMEYCIQCO4Un08mMl1UXQx66w
7cwV25N1Kd+74TLzs6P5ZcgObAIhAJ9R9m6Y5ubYPr3j9rZRcOeeuC4pNFQL75Tj
rZyZl5Re
-----END CERTIFICATE-----
";

#[test]
fn a_certificate_without_extensions_is_told_with_its_cure() {
    let wrong = Chain::read(VERSION_1.as_bytes()).expect_err("version 1");
    assert_eq!((&wrong, wrong.code()), (&Wrong::Version(1), "bad_certificate"));
    let told = wrong.to_string();
    assert!(told.contains("version 3") && told.contains("-extfile"), "{told}");
}
