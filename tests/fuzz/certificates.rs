//! Certificates that somebody brings, and the PEM around them.

use crate::fuzz;
use crate::mutate::{Chance, mutate};
use picket::identity::{Chain, certificates, standing};
use picket::ids::DeviceId;
use rcgen::{CertificateParams, Issuer, KeyPair};

/// Tags and lengths of DER at which readers go wrong.
const DER: [&[u8]; 10] = [
    b"\x30\x80",
    b"\x30\x84\xff\xff\xff\xff",
    b"\x30\x00",
    b"\x17\x0d991231235959Z",
    b"\x18\x0f00000101000000Z",
    b"\x18\x0f99991231235959Z",
    b"\x06\x03\x55\x1d\x11",
    b"\x0c\x02\xc3\x28",
    b"\xa3\x82\x01\x00",
    b"\x03\x01\x00",
];
const PEM: [&[u8]; 5] = [
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----END CERTIFICATE-----\n",
    b"-----BEGIN PRIVATE KEY-----\n",
    b"====",
    b"\r\n",
];

fn pem(der: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = PEM[0].to_vec();
    for bytes in der.chunks(3) {
        let three = [bytes[0], *bytes.get(1).unwrap_or(&0), *bytes.get(2).unwrap_or(&0)];
        let number = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for digit in 0..4 {
            let shift = 18 - 6 * digit;
            text.push(if digit > bytes.len() { b'=' } else { DIGITS[(number >> shift) as usize & 63] });
        }
    }
    text.push(b'\n');
    [&text, PEM[1]].concat()
}

#[test]
fn certificates_that_somebody_brings() {
    let device = DeviceId::offline();
    let (key, authority) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let mut above = CertificateParams::new(vec!["above".to_owned()]).expect("a name");
    above.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(3));
    let issuer = above.self_signed(&authority).expect("signed").der().to_vec();
    let mut leaf = CertificateParams::new(vec![device.as_str().to_owned()]).expect("a name");
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&key, &Issuer::new(above, authority)).expect("signed").der().to_vec();
    let good = [pem(&leaf), pem(&issuer)].concat();
    assert_eq!(Chain::read(&good).map(|chain| chain.is_for(&device)), Ok(Ok(())), "its own base64");
    let secret = key.serialize_pem();
    let make = |chance: &mut Chance| match chance.below(3) {
        0 => mutate(&good, &PEM, chance),
        1 => pem(&mutate(&leaf, &DER, chance)),
        _ => [pem(&mutate(&leaf, &DER, chance)), pem(&mutate(&issuer, &DER, chance))].concat(),
    };
    fuzz("certificates", 5_000, make, |input| {
        let now_s = 1_800_000_000;
        for certificate in certificates(input).unwrap_or_default() {
            let _ = (standing(&certificate, now_s), certificate.renew_s(), certificate.is_for(&device));
            assert!(!certificate.subject().contains('\x1b'));
        }
        match Chain::read(input) {
            Ok(chain) => {
                let _ = (chain.lives(now_s, true), chain.is_for_clients(), chain.shortest());
                let _ = chain.fits(secret.as_bytes());
            }
            Err(wrong) => assert!(!wrong.to_string().is_empty() && !wrong.code().is_empty()),
        }
        // A key is as easily mistaken for a certificate as the other way round.
        assert!(Chain::read(&good).expect("good").fits(input).is_err() || input == secret.as_bytes());
    });
}
