//! What certificates say, and which of them say nothing because they could be read in two ways.

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use trellis_model::config::{AttributeMatch, TextMatch};

use super::*;

const ID: &str = "uri:spiffe://shop.test/checkout";

/// A moment within the life of everything made here.
fn now() -> SystemTime {
    date_time_ymd(2026, 1, 1).into()
}

/// A certificate with these alternative names (`dns:…`, `uri:…`, `cn:…` for a directory name), signed by itself.
fn leaf(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    if !names.is_empty() {
        params.custom_extensions = vec![alternative(names)];
    }
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

/// A list of alternative names, byte for byte.
fn alternative(names: &[&str]) -> CustomExtension {
    let mut all = Vec::new();
    for name in names {
        let (kind, text) = name.split_once(':').unwrap();
        match kind {
            "dns" => all.extend(value(0x82, text.as_bytes())),
            "uri" => all.extend(value(0x86, text.as_bytes())),
            "raw" => all.extend(value(0x82, b"\xff\xfe")),
            _ => {
                let attribute = [value(6, &[85, 4, 3]), value(0x0c, text.as_bytes())].concat();
                let name = value(0x30, &value(0x31, &value(0x30, &attribute)));
                all.extend(value(0xa4, &name));
            }
        }
    }
    CustomExtension::from_oid_content(&[2, 5, 29, 17], value(0x30, &all))
}

fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut all = match content.len() {
        0..=127 => vec![tag, length[1]],
        128..=255 => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    all.extend(content);
    all
}

fn read(der: &[u8]) -> Result<ClientCertificate, CertificateError> {
    ClientCertificate::read(&[der], now())
}

#[test]
fn names_are_read_in_the_order_in_which_they_stand() {
    let der = leaf(
        &[
            "cn:Gate 7",
            "dns:Checkout.Shop.test",
            "uri:https://shop.test/7",
            "dns:*.shop.test",
        ],
        |params| {
            let name = &mut params.distinguished_name;
            name.push(DnType::CommonName, "checkout");
            name.push(DnType::OrganizationName, "Shop");
            name.push(DnType::OrganizationalUnitName, "payments");
        },
    );
    let read = read(&der).unwrap();
    assert_eq!(read.spiffe_id, None);
    assert_eq!(read.uri.as_deref(), Some("https://shop.test/7"));
    assert_eq!(read.directory_cn.as_deref(), Some("Gate 7"));
    let names: Vec<&str> = read.dns_names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["checkout.shop.test", "*.shop.test"]);
    assert_eq!(read.subject_cn(), Some("checkout"));
    // Signed by itself, so that the issuer is the subject.
    assert_eq!(read.issuer_ou.as_deref(), Some("payments"));
    assert_eq!(
        read.valid_until,
        SystemTime::from(date_time_ymd(2027, 1, 1))
    );
}

#[test]
fn a_certificate_without_any_name_says_nothing() {
    let read = read(&leaf(&[], |_| {})).unwrap();
    assert_eq!((read.spiffe_id.as_deref(), read.subject_cn()), (None, None));
    assert!(read.dns_names.is_empty());
}

#[test]
fn certificates_that_could_be_read_in_two_ways_are_refused() {
    use CertificateError::{
        AlternativeNames, Attribute, DnsName, Many, SeveralUris, SpiffeId, Uri,
    };

    let long = format!("dns:{}", "a".repeat(254));
    let many = vec!["dns:a.test"; MOST_NAMES + 1];
    for (names, expected) in [
        (&[ID][..], Ok(())),
        (&[ID, "dns:checkout.shop.test"], Ok(())),
        (&["uri:https://a.test/", "uri:https://b.test/"], Ok(())),
        (&many[..MOST_NAMES], Ok(())),
        (&many, Err(Many)),
        (&[ID, "uri:https://a.test/"], Err(SeveralUris)),
        (&["uri:https://a.test/", ID], Err(SeveralUris)),
        (&[ID, ID], Err(SeveralUris)),
        (
            &["uri:SPIFFE://shop.test/a"],
            Err(SpiffeId(SpiffeIdError::Scheme)),
        ),
        (
            &["uri:spiffe:shop.test/a"],
            Err(SpiffeId(SpiffeIdError::Scheme)),
        ),
        (
            &["uri:spiffe://Shop.test/a"],
            Err(SpiffeId(SpiffeIdError::TrustDomain)),
        ),
        (
            &["uri:spiffe://shop.test/a/"],
            Err(SpiffeId(SpiffeIdError::Path)),
        ),
        (
            &["uri:spiffe://shop.test/a/../b"],
            Err(SpiffeId(SpiffeIdError::Path)),
        ),
        (&["uri:spiffe://shop.test/a\0/b"], Err(Uri)),
        (&["uri:https://shop.test/a b"], Err(Uri)),
        (&["dns:checkout.shop.test\0.evil.test"], Err(DnsName)),
        (&["dns:checkout.shop.test\n"], Err(DnsName)),
        (&["dns:check out.test"], Err(DnsName)),
        (&["dns:caf\u{e9}.test"], Err(DnsName)),
        (&["dns:"], Err(DnsName)),
        (&[&long], Err(DnsName)),
        (&["raw:"], Err(AlternativeNames)),
        (&["cn:Gate\u{0}7"], Err(Attribute)),
    ] {
        let got = read(&leaf(names, |_| {})).map(|_| ());
        assert_eq!(got, expected, "{names:?}");
    }
}

#[test]
fn certificates_with_two_lists_of_names_or_two_purposes_are_refused() {
    use CertificateError::{AlternativeNames, Attribute, SpiffeSigner};
    type Change = fn(&mut CertificateParams);

    let changes: [(&str, Change, CertificateError); 5] = [
        (
            "names twice",
            |params| {
                let name = SanType::DnsName("b.test".try_into().unwrap());
                params.subject_alt_names.push(name);
            },
            AlternativeNames,
        ),
        (
            "names that are no list",
            |params| {
                let content = value(0x04, b"a.test");
                let names = CustomExtension::from_oid_content(&[2, 5, 29, 17], content);
                params.custom_extensions = vec![names];
            },
            AlternativeNames,
        ),
        (
            "a line in the subject",
            |params| {
                let name = &mut params.distinguished_name;
                name.push(DnType::CommonName, "a\r\nb");
            },
            Attribute,
        ),
        (
            "a signer",
            |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            SpiffeSigner,
        ),
        (
            "a signer by usage",
            |params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign],
            SpiffeSigner,
        ),
    ];
    for (what, change, expected) in changes {
        assert_eq!(read(&leaf(&[ID], change)), Err(expected), "{what}");
    }
}

#[test]
fn a_chain_is_bounded() {
    let der = leaf(&["dns:a.test"], |_| {});
    let of = |count: usize| ClientCertificate::read(&vec![&der; count], now()).map(|_| ());
    assert_eq!(of(0), Err(CertificateError::Chain));
    assert_eq!(of(MOST_CERTIFICATES), Ok(()));
    assert_eq!(of(MOST_CERTIFICATES + 1), Err(CertificateError::Chain));
    let large = leaf(&["dns:a.test"], |params| {
        let content = value(0x04, &vec![0; MOST_BYTES]);
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&[1, 3, 9], content));
    });
    assert_eq!(read(&large), Err(CertificateError::Chain));
    // Something behind it is part of nothing.
    let trailing = [&der[..], &[0]].concat();
    assert_eq!(read(&trailing), Err(CertificateError::Encoding));
    assert_eq!(read(&der[..der.len() - 1]), Err(CertificateError::Encoding));
}

#[test]
fn it_ends_with_the_first_of_the_chain_that_had_not_ended_before() {
    let ending = |year: i32| {
        leaf(&["dns:a.test"], |params| {
            params.not_after = date_time_ymd(year, 1, 1);
        })
    };
    let until = |chain: &[i32]| {
        let chain: Vec<_> = chain.iter().map(|year| ending(*year)).collect();
        ClientCertificate::read(&chain, now()).unwrap().valid_until
    };
    let of = |year: i32| SystemTime::from(date_time_ymd(year, 1, 1));
    assert_eq!(until(&[2030]), of(2030));
    assert_eq!(until(&[2030, 2028, 2031]), of(2028));
    assert_eq!(until(&[2030, 2025]), of(2030));
}

#[test]
fn all_names_of_a_rule_are_asked_for() {
    let der = leaf(
        &[
            "uri:spiffe://shop.test/checkout",
            "dns:a.test",
            "dns:b.test",
        ],
        |params| {
            let name = &mut params.distinguished_name;
            name.push(DnType::OrganizationalUnitName, "payments");
            name.push(
                DnType::CommonName,
                DnValue::PrintableString("checkout 7".try_into().unwrap()),
            );
            // What is no text of today is not compared.
            name.push(
                DnType::OrganizationName,
                DnValue::TeletexString("Shop".try_into().unwrap()),
            );
        },
    );
    let certificate = read(&der).unwrap();
    let exact = |text: &str| Some(TextMatch::Exact(text.into()));
    let prefix = |text: &str| Some(TextMatch::Prefix(text.into()));
    let attribute = |attribute, value: Option<TextMatch>| AttributeMatch {
        attribute,
        value: value.unwrap(),
    };
    let unit = SubjectAttribute::OrganizationalUnit;
    for (spiffe_id, dns_name, subject, expected) in [
        (exact("spiffe://shop.test/checkout"), None, vec![], true),
        (exact("spiffe://shop.test/Checkout"), None, vec![], false),
        (prefix("spiffe://shop.test/"), None, vec![], true),
        (prefix("spiffe://shop.test/console"), None, vec![], false),
        (None, exact("b.test"), vec![], true),
        (None, prefix("b."), vec![], true),
        (None, exact("c.test"), vec![], false),
        (
            exact("spiffe://shop.test/checkout"),
            exact("c.test"),
            vec![],
            false,
        ),
        (None, None, vec![attribute(unit, exact("payments"))], true),
        (None, None, vec![attribute(unit, prefix("pay"))], true),
        (None, None, vec![attribute(unit, exact("Payments"))], false),
        (
            None,
            None,
            vec![attribute(SubjectAttribute::CommonName, exact("checkout 7"))],
            true,
        ),
        (
            None,
            None,
            vec![attribute(SubjectAttribute::Organization, exact("Shop"))],
            false,
        ),
        (
            None,
            None,
            vec![
                attribute(unit, exact("payments")),
                attribute(SubjectAttribute::CommonName, exact("x")),
            ],
            false,
        ),
    ] {
        let names = CertificateMatch {
            spiffe_id,
            dns_name,
            subject,
        };
        assert_eq!(certificate.fits(&names), expected, "{names:?}");
    }
    let nameless = read(&leaf(&[], |_| {})).unwrap();
    let any = CertificateMatch {
        spiffe_id: None,
        dns_name: prefix(""),
        subject: vec![],
    };
    assert!(!nameless.fits(&any));
}

proptest! {
    /// Whatever becomes of a certificate, it is read or refused.
    #[test]
    fn damaged_certificates_are_read_or_refused(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        static DER: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
            leaf(&["uri:spiffe://shop.test/checkout", "dns:a.test", "cn:Gate 7"], |params| {
                params.distinguished_name.push(DnType::CommonName, "checkout");
            })
        });
        let mut der = DER.clone();
        for (place, byte) in changes {
            let place = place.index(der.len());
            der[place] = byte;
        }
        if let Ok(read) = read(&der) {
            let texts = read.dns_names.iter().chain(&read.spiffe_id).chain(&read.uri).chain(&read.directory_cn);
            for text in texts {
                prop_assert!(!text.chars().any(char::is_control), "{text:?}");
            }
        }
    }
}
