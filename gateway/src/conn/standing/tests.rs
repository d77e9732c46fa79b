//! What a connection is worth to a service whose configuration changed since the handshake.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls_pki_types::CertificateDer;
use trellis_model::load::{Inputs, Source, load};

use super::*;
use crate::tls::{Authorities, Http, Negotiated, Shown, Trust};

const WORKLOAD: &str = "spiffe://shop.test/checkout";

/// An authority, and a certificate that it has signed.
struct World {
    authorities: String,
    chain: Vec<CertificateDer<'static>>,
}

impl World {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authorities = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![SanType::URI(WORKLOAD.try_into().unwrap())];
        let leaf = params.signed_by(&KeyPair::generate().unwrap(), &issuer);
        Self {
            authorities,
            chain: vec![leaf.unwrap().der().clone()],
        }
    }

    fn trust(&self, mode: ClientCertificateMode) -> Trust {
        let authorities = Authorities::read(&self.authorities, SystemTime::now()).unwrap();
        Trust::new(&authorities, mode).unwrap()
    }

    /// A connection whose handshake asked in this mode, if it asked, and got the certificate, if it did.
    fn connection(&self, asked: Option<ClientCertificateMode>, showing: bool) -> Facts {
        let client = asked.map(|mode| {
            let trust = self.trust(mode);
            let verified = || trust.verify(&self.chain, SystemTime::now()).unwrap();
            Arc::new(Client {
                trust: trust.id(),
                shown: showing.then(|| Shown {
                    certificate: verified(),
                    chain: self.chain.clone(),
                }),
            })
        });
        let tls = Negotiated {
            server_name: "orders.test".into(),
            version: "TLSv1.3",
            cipher: "-",
            http: Http::Two,
            resumed: false,
            group: None,
            alpn: None,
            client,
        };
        connection(Some(tls))
    }

    /// A configuration whose service asks in this mode, if it asks, and whose mapping knows the certificate by this SPIFFE ID.
    fn snapshot(&self, mode: Option<&str>, mapped: &str) -> Snapshot {
        let asking = mode.map_or_else(String::new, |mode| {
            format!("clientCertificates: {{trustStore: workloads, mode: {mode}}}, ")
        });
        let text = format!(
            r#"
region: us-west-2
account: "111122223333"
principals:
  users: [{{name: checkout}}]
  trustStores: [{{name: workloads, caFile: ca.pem}}]
  mappings:
    - {{name: one, from: CERTIFICATE, match: {{trustStore: workloads, spiffeId: {{exact: "{mapped}"}}}}, principal: {{user: checkout}}}}
services:
  - {{name: orders, {asking}listeners: [{{name: https, protocol: HTTPS, defaultAction: {{fixedResponse: {{statusCode: 404}}}}}}]}}
"#
        );
        let source = Source {
            path: "trellis.yaml".into(),
            text: Ok(text),
        };
        let config = load(&[source], self).unwrap().config;
        crate::snapshot::preview(&config, SystemTime::now()).unwrap()
    }
}

impl Inputs for World {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.authorities.clone())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

fn connection(tls: Option<Negotiated>) -> Facts {
    let address = "127.0.0.1:443".parse().unwrap();
    let vpc = "vpc-0123456789abcdef0".parse().unwrap();
    Facts::new(vpc, (address, address), tls, Instant::now(), Duration::ZERO)
}

/// The principal that a connection gives, if it does for the service at all.
fn outcome(facts: &Facts, snapshot: &Snapshot, now: SystemTime) -> Result<Option<bool>, Unfounded> {
    let standing = facts.standing(snapshot, &snapshot.services[0], now)?;
    Ok(standing.map(|standing| standing.given().is_some()))
}

#[test]
fn a_connection_is_worth_what_its_handshake_found_under_the_trust_of_today() {
    use ClientCertificateMode::{Request, Require};

    let (world, other) = (World::new(), World::new());
    let (mapped, unmapped) = (Ok(Some(true)), Ok(Some(false)));
    for (asked, showing, mode, known, expected) in [
        (Some(Require), true, Some("REQUIRE"), WORKLOAD, mapped),
        (
            Some(Require),
            true,
            Some("REQUIRE"),
            "spiffe://shop.test/b",
            unmapped,
        ),
        (Some(Require), true, Some("REQUEST"), WORKLOAD, mapped),
        (Some(Request), true, Some("REQUIRE"), WORKLOAD, mapped),
        (Some(Request), false, Some("REQUEST"), WORKLOAD, Ok(None)),
        (
            Some(Request),
            false,
            Some("REQUIRE"),
            WORKLOAD,
            Err(Unfounded::None),
        ),
        (
            None,
            false,
            Some("REQUIRE"),
            WORKLOAD,
            Err(Unfounded::NotAsked),
        ),
        (
            None,
            false,
            Some("REQUEST"),
            WORKLOAD,
            Err(Unfounded::NotAsked),
        ),
        (None, false, None, WORKLOAD, Ok(None)),
        // What was proven is nothing to a service that does not ask any more.
        (Some(Require), true, None, WORKLOAD, Ok(None)),
    ] {
        let facts = world.connection(asked, showing);
        let got = outcome(&facts, &world.snapshot(mode, known), SystemTime::now());
        assert_eq!(got, expected, "{asked:?} {showing} {mode:?} {known}");
    }
    // Other authorities: the chain is looked at again, and nobody stands for it.
    for mode in ["REQUEST", "REQUIRE"] {
        let facts = world.connection(Some(Require), true);
        let got = outcome(
            &facts,
            &other.snapshot(Some(mode), WORKLOAD),
            SystemTime::now(),
        );
        assert_eq!(got, Err(Unfounded::Rejected), "{mode}");
    }
}

#[test]
fn a_certificate_that_has_ended_is_worth_nothing_on_a_connection_from_before() {
    let world = World::new();
    let snapshot = world.snapshot(Some("REQUEST"), WORKLOAD);
    let facts = world.connection(Some(ClientCertificateMode::Request), true);
    let end = facts.certificate().unwrap().valid_until;
    assert_eq!(outcome(&facts, &snapshot, end), Ok(Some(true)));
    let after = end + Duration::from_secs(1);
    assert_eq!(outcome(&facts, &snapshot, after), Err(Unfounded::Expired));
}

#[test]
fn a_connection_in_the_clear_has_no_certificate() {
    let world = World::new();
    let snapshot = world.snapshot(Some("REQUEST"), WORKLOAD);
    assert_eq!(
        outcome(&connection(None), &snapshot, SystemTime::now()),
        Ok(None)
    );
}

#[test]
fn a_generation_looks_once() {
    let world = World::new();
    let snapshot = world.snapshot(Some("REQUIRE"), WORKLOAD);
    let facts = world.connection(Some(ClientCertificateMode::Require), true);
    let look = |snapshot: &Snapshot| {
        let standing = facts.standing(snapshot, &snapshot.services[0], SystemTime::now());
        standing.unwrap().unwrap()
    };
    let first = look(&snapshot);
    assert!(Arc::ptr_eq(&first, &look(&snapshot)));
    let mut next = world.snapshot(Some("REQUIRE"), "spiffe://shop.test/b");
    next.generation = snapshot.generation + 1;
    let second = look(&next);
    assert!(!Arc::ptr_eq(&first, &second));
    assert_eq!(second.given(), None);
}
