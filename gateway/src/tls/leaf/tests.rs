use rcgen::{CertificateParams, DnType, KeyPair, SanType};

use super::{Chain, Cover, Leaf, LeafError, matches};

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

/// A certificate with these alternative names and this common name.
fn certificate(alternative: &[&str], common: Option<&str>, key: &KeyPair) -> String {
    let names: Vec<String> = alternative.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(common) = common {
        params.distinguished_name.push(DnType::CommonName, common);
    }
    params.self_signed(key).unwrap().pem()
}

fn check_cover(alternative: &[&str], common: Option<&str>, name: &str, expected: Cover) {
    let key = key();
    let pem = certificate(alternative, common, &key);
    let leaf = Leaf::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    assert_eq!(
        leaf.covers(name),
        expected,
        "{alternative:?} {common:?} {name}"
    );
}

#[test]
fn alternative_names_count_alone_and_the_common_name_only_without_them() {
    check_cover(&["a.test"], None, "a.test", Cover::AlternativeName);
    check_cover(&["A.Test"], None, "a.test", Cover::AlternativeName);
    check_cover(
        &["b.test", "a.test"],
        None,
        "a.test",
        Cover::AlternativeName,
    );
    check_cover(&["*.test"], None, "a.test", Cover::AlternativeName);
    check_cover(&["b.test"], Some("a.test"), "a.test", Cover::None);
    check_cover(&["10.0.0.1"], Some("a.test"), "a.test", Cover::None);
    check_cover(&[], Some("a.test"), "a.test", Cover::CommonName);
    check_cover(&[], Some("*.shop.test"), "a.shop.test", Cover::CommonName);
    check_cover(&[], Some("a.test"), "b.test", Cover::None);
    check_cover(&[], None, "a.test", Cover::None);
}

#[test]
fn a_wildcard_stands_for_one_label() {
    for (pattern, name, expected) in [
        ("a.example.com", "a.example.com", true),
        ("a.example.com", "b.example.com", false),
        ("*.example.com", "a.example.com", true),
        ("*.example.com", "a.b.example.com", false),
        ("*.example.com", "example.com", false),
        ("*.example.com", ".example.com", true),
        ("*.*.com", "a.b.com", false),
        ("a.*.com", "a.b.com", false),
        ("a*.example.com", "ab.example.com", false),
        ("*", "com", false),
        ("*.", "a.", true),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}

fn check_refused(certificate: &str, key: &str, expected: &LeafError) {
    let error = Leaf::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
    assert_eq!(error, *expected);
}

#[test]
fn what_cannot_be_used_is_named() {
    let (own, other) = (key(), key());
    let leaf = certificate(&["a.test"], None, &own);
    let stranger = certificate(&["a.test"], None, &other);
    let pem = own.serialize_pem();
    check_refused("", &pem, &LeafError::NoCertificate);
    check_refused("hello", &pem, &LeafError::NoCertificate);
    check_refused(&pem, &pem, &LeafError::NoCertificate);
    check_refused(&leaf, "", &LeafError::NoKey);
    check_refused(&leaf, &leaf, &LeafError::NoKey);
    check_refused(&stranger, &pem, &LeafError::OtherKey);
    check_refused(&format!("{stranger}{leaf}"), &pem, &LeafError::LeafNotFirst);
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check_refused(nonsense, &pem, &LeafError::NotX509);
    check_refused(&format!("{leaf}{nonsense}"), &pem, &LeafError::NotX509);
    let cut = leaf.get(..leaf.len() / 2).unwrap();
    assert!(Leaf::from_pem(cut.as_bytes(), pem.as_bytes()).is_err());
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    check_refused(&leaf, encrypted, &LeafError::NoKey);
    let damaged = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let error = Leaf::from_pem(leaf.as_bytes(), damaged.as_bytes()).unwrap_err();
    assert!(matches!(error, LeafError::UnsupportedKey(_)), "{error}");
    assert!(error.is_about_key());
}

#[test]
fn a_chain_out_of_order_is_noticed() {
    let key = key();
    let one = certificate(&["a.test"], Some("one"), &key);
    let two = certificate(&["a.test"], Some("two"), &key);
    let pem = key.serialize_pem();
    for (chain, expected) in [
        (one.clone(), Chain::Ordered),
        (format!("{one}{one}"), Chain::Ordered),
        (format!("{one}{two}"), Chain::Broken),
    ] {
        let leaf = Leaf::from_pem(chain.as_bytes(), pem.as_bytes()).unwrap();
        assert_eq!(leaf.chain, expected);
    }
}

#[test]
fn every_common_kind_of_key_is_taken() {
    let rsa = include_str!("tests/rsa2048.pem");
    let leaf = Leaf::from_pem(rsa.as_bytes(), rsa.as_bytes()).unwrap();
    assert_eq!(leaf.covers("rsa.test"), Cover::AlternativeName);
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::DnsName("a.test".try_into().unwrap())];
        let pem = params.self_signed(&key).unwrap().pem();
        Leaf::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    }
}
