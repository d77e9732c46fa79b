//! Which files of authorities can be used, and what tells one trust from another.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

use super::*;

fn certificate(change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem()
}

fn authority() -> String {
    certificate(|_| {})
}

#[test]
fn files_hold_authorities_and_nothing_else_that_is_a_certificate() {
    use AuthoritiesError::{Empty, NotAuthority, NotX509, TooMany};

    let good = authority();
    let leaf = certificate(|params| params.is_ca = IsCa::NoCa);
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let key = KeyPair::generate().unwrap().serialize_pem();
    let commented = format!("{good}# the other\n{}", authority());
    let behind = format!("{good}{leaf}");
    for (what, pem, expected) in [
        ("one", good.clone(), Ok(())),
        ("two with words between", commented, Ok(())),
        ("one twice", good.repeat(2), Ok(())),
        ("many", good.repeat(MOST_AUTHORITIES), Ok(())),
        (
            "too many",
            good.repeat(MOST_AUTHORITIES + 1),
            Err(TooMany(MOST_AUTHORITIES)),
        ),
        ("nothing", String::new(), Err(Empty)),
        ("words", "authorities".to_owned(), Err(Empty)),
        ("a key", key, Err(Empty)),
        ("the certificate of a client", leaf, Err(NotAuthority(1))),
        ("one of a client behind", behind, Err(NotAuthority(2))),
        (
            "something else",
            format!("{good}{damaged}"),
            Err(NotX509(2)),
        ),
    ] {
        let got = Authorities::read(&pem, SystemTime::now()).map(|_| ());
        assert_eq!(got, expected, "{what}");
    }
    let cut = good.replace("-----END", "----END");
    let error = Authorities::read(&cut, SystemTime::now()).unwrap_err();
    assert!(error.to_string().starts_with("is not PEM: "), "{error}");
}

#[test]
fn authorities_that_have_ended_are_told() {
    let old = certificate(|params| params.not_after = date_time_ymd(2020, 1, 1));
    let pem = format!("{}{old}", authority());
    let read = Authorities::read(&pem, SystemTime::now()).unwrap();
    assert_eq!(read.ended(), [2]);
}

#[test]
fn a_trust_is_the_same_as_long_as_authorities_and_mode_are() {
    let (one, other) = (authority(), authority());
    let id = |pem: &str, mode| {
        let authorities = Authorities::read(pem, SystemTime::now()).unwrap();
        Trust::new(&authorities, mode).unwrap().id()
    };
    let (request, require) = (
        ClientCertificateMode::Request,
        ClientCertificateMode::Require,
    );
    let first = id(&one, require);
    assert_eq!(id(&format!("# words\n{one}"), require), first);
    assert_ne!(id(&one, request), first);
    assert_ne!(id(&other, require), first);
    assert_ne!(id(&format!("{one}{other}"), require), first);
}
