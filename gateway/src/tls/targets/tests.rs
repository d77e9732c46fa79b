//! What is said of authorities and certificates that cannot be used, and what tells connections apart.
//! Handshakes are tried by `tests/tests/scenarios/target_tls.rs`.

use std::time::SystemTime;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use trellis_model::{
    config::{self, PeerName, Secret, ShownCertificate, TlsVersion},
    problem::Place,
};

use super::TargetTls;
use crate::registry::tests::group;

fn authority() -> String {
    ended(false)
}

fn ended(ended: bool) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    if ended {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    }
    params
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap()
        .pem()
}

fn own() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn terms(authorities: &str) -> config::TargetTls {
    config::TargetTls {
        authorities: authorities.into(),
        server_name: None,
        alternative_names: Vec::new(),
        certificate: None,
        minimum_version: TlsVersion::Tls12,
        place: Place {
            path: "targetGroups[0].tls".to_owned(),
            ..Place::default()
        },
    }
}

fn showing(chain: &str, key: &str) -> config::TargetTls {
    config::TargetTls {
        certificate: Some(ShownCertificate {
            chain: chain.into(),
            key: Secret::new(key),
            place: Place {
                path: "targetGroups[0].tls.certificate".to_owned(),
                ..Place::default()
            },
        }),
        ..terms(&authority())
    }
}

/// What is told: an error, or warnings.
fn told(terms: &config::TargetTls) -> String {
    let group = group("orders", []);
    let made = TargetTls::verified(&group, terms, Some("orders.test"), SystemTime::now());
    let problems = made.map_or_else(|problem| vec![problem], |(_, warnings)| warnings);
    let lines: Vec<_> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.place.path, problem.message))
        .collect();
    lines.join("\n")
}

#[test]
fn what_cannot_be_used_is_told_with_its_place() {
    let (chain, key) = own();
    let (other, _) = own();
    let ca = "targetGroups[0].tls.caFile: ";
    let shown = "targetGroups[0].tls.certificate";
    for (terms, expected) in [
        (terms(&authority()), String::new()),
        (terms(""), format!("{ca}the file holds no certificate")),
        (
            terms(&chain),
            format!("{ca}the file holds the certificate of no authority, as number 1"),
        ),
        (
            terms(&[authority(), ended(true)].concat()),
            format!("{ca}the certificate of authority 2 has expired"),
        ),
        (terms(&authority().repeat(150)), String::new()),
        (
            terms(&authority().repeat(1001)),
            format!("{ca}the file holds more than 1000 certificates"),
        ),
        (showing(&chain, &key), String::new()),
        (
            showing(&other, &key),
            format!("{shown}.certificateFile: the certificate file does not belong to the key"),
        ),
        (
            showing("", &key),
            format!("{shown}.certificateFile: the certificate file holds no certificate"),
        ),
        (
            showing(&chain, ""),
            format!(
                "{shown}.privateKeyFile: the private key file holds no private key, or an encrypted one"
            ),
        ),
    ] {
        assert_eq!(told(&terms), expected);
    }
}

#[test]
fn whatever_makes_another_connection_makes_another_key() {
    let (authorities, (chain, key)) = (authority(), own());
    let least = || terms(&authorities);
    let shown = showing(&chain, &key).certificate;
    let named = Some(PeerName::Domain("orders.test".into()));
    let variants = [
        least(),
        terms(&authority()),
        config::TargetTls {
            alternative_names: vec![PeerName::Uri("spiffe://shop.test/a".into())],
            ..least()
        },
        config::TargetTls {
            alternative_names: vec![PeerName::Domain("a.test".into())],
            ..least()
        },
        config::TargetTls {
            certificate: shown,
            ..least()
        },
        config::TargetTls {
            minimum_version: TlsVersion::Tls13,
            ..least()
        },
    ];
    let key = |name: &str, terms: &config::TargetTls, domain: &str| {
        let made = TargetTls::verified(&group(name, []), terms, Some(domain), SystemTime::now());
        made.unwrap().0.key()
    };
    let mut keys: Vec<_> = variants
        .iter()
        .map(|terms| key("orders", terms, "orders.test"))
        .collect();
    keys.push(key("carts", &least(), "orders.test"));
    keys.push(key("orders", &least(), "carts.test"));
    keys.push(TargetTls::unverified().unwrap().key());
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);

    let same = config::TargetTls {
        server_name: named,
        ..least()
    };
    assert_eq!(
        key("orders", &same, "carts.test"),
        key("orders", &least(), "orders.test")
    );
}
