//! Which of signature, token and network says who is calling, and what each rule takes.

use std::{net::IpAddr, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use ring::hmac;
use serde_json::{Value, json};
use trellis_model::{
    config::Config,
    load::{Inputs, Source, load},
};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_764_000_000;

/// Two accounts, a provider each; mappings of the first to a role and a user.
const WORLD: &str = r#"
region: us-west-2
account: "111122223333"
vpcs:
  - {name: shop, cidrs: [10.0.0.0/16], attachments: [{listen: [127.0.0.1]}]}
  - {name: back, cidrs: [10.1.0.0/16], attachments: [{listen: [127.0.0.2]}]}
principals:
  users: [{name: checkout}, {name: console}]
  roles: [{name: reader}]
  identityProviders:
    - {name: issuer, type: OIDC, issuer: "https://issuer.test", audiences: [orders], secret: {env: SECRET}}
    - {name: second, type: OIDC, issuer: "https://second.test", audiences: [orders], secret: {env: SECRET}}
  trustStores: [{name: workloads, caFile: ca.pem}, {name: partners, caFile: ca.pem}]
  mappings:
    - {name: spiffe, from: CERTIFICATE, match: {trustStore: workloads, spiffeId: {exact: "spiffe://shop.test/checkout"}}, principal: {user: checkout}}
    - {name: web, from: CERTIFICATE, match: {trustStore: workloads, spiffeId: {prefix: "spiffe://shop.test/ns/"}}, principal: {role: reader}}
    - {name: partner, from: CERTIFICATE, match: {trustStore: partners, spiffeId: {prefix: "spiffe://shop.test/ns/"}}, principal: {user: console}}
    - {name: first, from: JWT, match: {identityProvider: issuer, claims: [{name: sub, value: {exact: checkout}}]}, principal: {user: checkout}}
    - name: readers
      from: JWT
      match:
        identityProvider: issuer
        claims: [{name: groups, value: {exact: readers}}, {name: sub, value: {prefix: "repo:shop/"}}]
      principal: {role: reader}
    - {name: inside, from: ATTACHMENT, match: {vpcIdentifier: shop, sources: [10.0.1.0/24, "fd00::/64"]}, principal: {user: console}}
    - {name: everywhere, from: ATTACHMENT, match: {vpcIdentifier: back}, principal: {role: reader}}
"#;

const OTHER: &str = r#"
account: "444455556666"
principals:
  users: [{name: foreign}]
  trustStores: [{name: foreign, caFile: ca.pem}]
  identityProviders:
    - {name: issuer, type: OIDC, issuer: "https://issuer.other", audiences: [orders], secret: {env: SECRET}}
"#;

/// The secrets, and a file that nobody reads.
struct Secrets;

impl Inputs for Secrets {
    fn read(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("ca.pem") => Ok("read by the gateway".to_owned()),
            _ => Err("there is no other file".to_owned()),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "SECRET" => Some(SECRET.to_owned()),
            "SHORT" => Some("brief".to_owned()),
            _ => None,
        }
    }
}

fn config(documents: &[&str]) -> Config {
    let source = |(position, text): (usize, &&str)| Source {
        path: format!("{position}.yaml").into(),
        text: Ok((*text).to_owned()),
    };
    let sources: Vec<Source> = documents.iter().enumerate().map(source).collect();
    match load(&sources, &Secrets) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}"),
    }
}

struct World {
    config: Config,
    policies: Policies,
    identities: Identities,
}

fn world() -> World {
    let config = config(&[WORLD, OTHER]);
    let policies = crate::compile(&config).unwrap();
    let identities = Identities::compile(&config, &policies, |_| KeySource::default()).unwrap();
    World {
        config,
        policies,
        identities,
    }
}

fn token(claims: &Value) -> String {
    token_by(SECRET, claims)
}

fn token_by(secret: &str, claims: &Value) -> String {
    let mut all = json!({"iss": "https://issuer.test", "aud": "orders", "exp": NOW + 60});
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let text = format!(
        "{}.{}",
        encode(br#"{"alg":"HS256"}"#),
        encode(all.to_string().as_bytes())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!(
        "{text}.{}",
        encode(hmac::sign(&key, text.as_bytes()).as_ref())
    )
}

impl World {
    /// Who sends a request with these `Authorization` lines from this VPC and address: an ARN and how it is known, or why not.
    fn outcome(&self, signed: Option<&str>, lines: &[String], vpc: &str, address: &str) -> String {
        let signed = signed.map_or(Caller::Anonymous, |arn| {
            Caller::Principal(self.policies.principal_by_arn(arn).unwrap())
        });
        self.outcome_of(signed, lines, None, (vpc, address))
    }

    /// The same with a certificate of this SPIFFE ID.
    fn outcome_of(
        &self,
        signed: Caller,
        lines: &[String],
        spiffe_id: Option<&str>,
        (vpc, address): (&str, &str),
    ) -> String {
        let certified =
            spiffe_id.and_then(|id| self.identities.by_certificate(0, &certificate(id)));
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        let vpc = self
            .config
            .vpcs
            .iter()
            .find(|one| one.name.as_str() == vpc)
            .unwrap();
        let origin = Origin {
            vpc: &vpc.id,
            account: &vpc.account,
            address: address.parse::<IpAddr>().unwrap(),
            certified: certified.map(|given| &**given),
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        match self.identities.resolve(signed, &headers, &origin, now) {
            Ok(Identified { caller, by, .. }) => match self.policies.caller(&caller) {
                Some(principal) => {
                    let (_, name) = principal.arn.split_once("111122223333:").unwrap();
                    format!("{name} {by:?}")
                }
                None => format!("anonymous {by:?}"),
            },
            Err(error) => {
                assert_eq!(error.status(), 403);
                assert!(error.public_text().contains("Exception: "));
                error.to_string()
            }
        }
    }

    fn bearer(&self, claims: &Value) -> String {
        self.outcome(
            None,
            &[format!("Bearer {}", token(claims))],
            "shop",
            "10.0.9.9",
        )
    }
}

#[test]
fn a_token_gives_the_principal_of_the_first_rule_that_fits() {
    let world = world();
    let none =
        |subject: &str| format!("no mapping gives the token of subject `{subject}` a principal");
    for (claims, expected) in [
        (json!({"sub": "checkout"}), "user/checkout Token".to_owned()),
        (
            json!({"sub": "checkout", "groups": ["readers"]}),
            "user/checkout Token".to_owned(),
        ),
        (
            json!({"sub": "repo:shop/web", "groups": ["writers", "readers"]}),
            "assumed-role/reader/readers Token".to_owned(),
        ),
        (
            json!({"sub": "repo:shop/web", "groups": "readers"}),
            "assumed-role/reader/readers Token".to_owned(),
        ),
        (
            json!({"sub": "repo:shop/web", "groups": ["Readers"]}),
            none("repo:shop/web"),
        ),
        (
            json!({"sub": "repo:shop/web", "groups": {"readers": true}}),
            none("repo:shop/web"),
        ),
        (json!({"sub": "repo:shop/web"}), none("repo:shop/web")),
        (
            json!({"sub": "repo:shop", "groups": "readers"}),
            none("repo:shop"),
        ),
        (json!({"sub": "Checkout"}), none("Checkout")),
        (json!({"sub": "checkout "}), none("checkout ")),
        (json!({}), none("-")),
        // The same words from another provider of the account.
        (
            json!({"iss": "https://second.test", "sub": "checkout"}),
            none("checkout"),
        ),
    ] {
        assert_eq!(world.bearer(&claims), expected, "{claims}");
    }
}

#[test]
fn a_token_that_is_not_proven_refuses_where_the_account_has_providers() {
    let world = world();
    let shop = |line: String| world.outcome(None, &[line], "shop", "10.0.1.1");
    for (line, expected) in [
        (
            format!(
                "Bearer {}",
                token(&json!({"sub": "checkout", "exp": NOW - 301}))
            ),
            "the token expired at 1763999699",
        ),
        (
            format!(
                "Bearer {}",
                token(&json!({"sub": "checkout", "aud": "pay"}))
            ),
            "the token's audience `pay`",
        ),
        (
            format!(
                "Bearer {}",
                token_by(&"x".repeat(32), &json!({"sub": "checkout"}))
            ),
            "the token's signature does not verify",
        ),
        (
            format!(
                "Bearer {}",
                token(&json!({"sub": "x", "iss": "https://issuer.other"}))
            ),
            "the token's issuer `https://issuer.other` is",
        ),
        (
            "Bearer opaque".to_owned(),
            "the token does not have three parts",
        ),
        ("Bearer".to_owned(), "the token does not have three parts"),
        ("bearer  ".to_owned(), "the token does not have three parts"),
    ] {
        let got = shop(line.clone());
        assert!(got.starts_with(expected), "{line}: {got}");
    }
    // Twice, or beside another scheme: which of them counts is not for us to guess.
    let good = format!("Bearer {}", token(&json!({"sub": "checkout"})));
    for second in [good.clone(), "Basic eDp5".to_owned()] {
        for lines in [
            [good.clone(), second.clone()],
            [second.clone(), good.clone()],
        ] {
            let got = world.outcome(None, &lines, "shop", "10.0.9.9");
            assert_eq!(
                got,
                "several `authorization` headers, one of them with a token"
            );
        }
    }
    // Schemes are compared without case; other schemes are the application's.
    assert_eq!(
        shop(good.replace("Bearer ", "bEARER \t ")),
        "user/checkout Token"
    );
    for other in ["Basic eDp5", "BearerX y", "Bearer=x", "Token abc", ""] {
        assert_eq!(
            world.outcome(None, &[other.to_owned()], "shop", "10.0.9.9"),
            "anonymous None",
            "{other}"
        );
    }
}

#[test]
fn a_token_is_the_applications_where_the_account_has_no_provider() {
    let text = WORLD.split("  identityProviders:").next().unwrap();
    let config = config(&[text]);
    let policies = crate::compile(&config).unwrap();
    let identities = Identities::compile(&config, &policies, |_| KeySource::default()).unwrap();
    let world = World {
        config,
        policies,
        identities,
    };
    assert_eq!(world.bearer(&json!({"sub": "checkout"})), "anonymous None");
}

#[test]
fn a_network_gives_a_principal_to_those_who_bring_nothing() {
    let world = world();
    for (vpc, address, expected) in [
        ("shop", "10.0.1.0", "user/console Network"),
        ("shop", "10.0.1.255", "user/console Network"),
        ("shop", "::ffff:10.0.1.7", "user/console Network"),
        ("shop", "fd00::7", "user/console Network"),
        ("shop", "10.0.2.0", "anonymous None"),
        ("shop", "fd00:0:0:1::7", "anonymous None"),
        ("back", "10.0.2.0", "assumed-role/reader/everywhere Network"),
    ] {
        assert_eq!(
            world.outcome(None, &[], vpc, address),
            expected,
            "{vpc} {address}"
        );
    }
}

#[test]
fn a_signature_comes_before_a_token_and_a_token_before_a_network() {
    let world = world();
    let arn = |name: &str| format!("arn:aws:iam::111122223333:{name}");
    let (checkout, console) = (arn("user/checkout"), arn("user/console"));
    let own = [format!("Bearer {}", token(&json!({"sub": "checkout"})))];
    let inside = "10.0.1.1";
    for (signed, lines, expected) in [
        (Some(&checkout), &own[..0], "user/checkout Signature"),
        (Some(&checkout), &own[..], "user/checkout Signature"),
        (
            Some(&console),
            &own[..],
            "the request has the signature of one principal and the token of another",
        ),
        (None, &own[..], "user/checkout Token"),
        (None, &own[..0], "user/console Network"),
    ] {
        let got = world.outcome(signed.map(String::as_str), lines, "shop", inside);
        assert_eq!(got, expected);
    }
    // A signature does not make up for a token that is wrong.
    let wrong = [format!("Bearer {}", token(&json!({"sub": "nobody"})))];
    let got = world.outcome(Some(&checkout), &wrong, "shop", inside);
    assert_eq!(
        got,
        "no mapping gives the token of subject `nobody` a principal"
    );
}

/// Whoever has temporary credentials of the session that the token gives is one caller; another session of the role is another.
#[test]
fn a_token_goes_with_credentials_of_the_same_session() {
    let world = world();
    let role = "arn:aws:iam::111122223333:role/reader";
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let claims = json!({"groups": ["readers"], "sub": "repo:shop/orders"});
    let token = [format!("Bearer {}", token(&claims))];
    for (session_name, expected) in [
        ("readers", "assumed-role/reader/readers Signature"),
        (
            "others",
            "the request has the signature of one principal and the token of another",
        ),
    ] {
        let tags = std::collections::BTreeMap::new();
        let signed = world
            .policies
            .suppose_session(role, session_name, &tags, now);
        let got = world.outcome_of(signed.unwrap(), &token, None, ("shop", "10.0.9.9"));
        assert_eq!(got, expected);
    }
}

/// A certificate with this SPIFFE ID.
fn certificate(spiffe_id: &str) -> ClientCertificate {
    ClientCertificate {
        spiffe_id: Some(spiffe_id.into()),
        dns_names: Box::default(),
        uri: Some(spiffe_id.into()),
        directory_cn: None,
        issuer_ou: None,
        subject: crate::certificate::Attributes::default(),
        valid_until: SystemTime::UNIX_EPOCH,
    }
}

#[test]
fn a_certificate_gives_the_principal_of_the_first_rule_of_its_trust_store_that_fits() {
    let world = world();
    for (store, spiffe_id, expected) in [
        (
            "workloads",
            "spiffe://shop.test/checkout",
            Some("user/checkout"),
        ),
        (
            "workloads",
            "spiffe://shop.test/ns/web",
            Some("assumed-role/reader/web"),
        ),
        ("workloads", "spiffe://shop.test/nobody", None),
        ("workloads", "spiffe://other.test/checkout", None),
        // The same words from other authorities of the account, or of another account.
        ("partners", "spiffe://shop.test/checkout", None),
        (
            "partners",
            "spiffe://shop.test/ns/web",
            Some("user/console"),
        ),
        ("foreign", "spiffe://shop.test/checkout", None),
    ] {
        let mut stores = world.config.trust_stores.iter();
        let position = stores.position(|one| &*one.name == store).unwrap();
        let found = world
            .identities
            .by_certificate(position, &certificate(spiffe_id));
        let arn = found.map(|given| &*world.policies.principal(given.principal).unwrap().arn);
        let name = arn.map(|arn| arn.split_once("111122223333:").unwrap().1);
        assert_eq!(name, expected, "{store} {spiffe_id}");
    }
}

#[test]
fn a_certificate_comes_after_signature_and_token_and_must_not_contradict_them() {
    let world = world();
    let arn = "arn:aws:iam::111122223333:user/checkout";
    let index = world.policies.principal_by_arn(arn).unwrap();
    let (nobody, signed) = (Caller::Anonymous, Caller::Principal(index));
    let checkout = Some("spiffe://shop.test/checkout");
    let web = Some("spiffe://shop.test/ns/web");
    let own = [format!("Bearer {}", token(&json!({"sub": "checkout"})))];
    let inside = ("shop", "10.0.1.1");
    for (signed, lines, certified, expected) in [
        (&nobody, &own[..0], checkout, "user/checkout Certificate"),
        (&nobody, &own[..0], None, "user/console Network"),
        (&signed, &own[..0], checkout, "user/checkout Signature"),
        (&nobody, &own[..], checkout, "user/checkout Token"),
        (&signed, &own[..], checkout, "user/checkout Signature"),
        (
            &signed,
            &own[..0],
            web,
            "the request has the signature of one principal and the certificate of another",
        ),
        (
            &nobody,
            &own[..],
            web,
            "the request has the token of one principal and the certificate of another",
        ),
        (
            &signed,
            &own[..],
            web,
            "the request has the signature of one principal and the certificate of another",
        ),
    ] {
        let got = world.outcome_of(signed.clone(), lines, certified, inside);
        assert_eq!(got, expected);
    }
    // Temporary credentials of the session that the certificate gives, and of another one.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let role = "arn:aws:iam::111122223333:role/reader";
    for (name, expected) in [
        ("web", "assumed-role/reader/web Signature"),
        (
            "others",
            "the request has the signature of one principal and the certificate of another",
        ),
    ] {
        let tags = std::collections::BTreeMap::new();
        let session = world.policies.suppose_session(role, name, &tags, now);
        let got = world.outcome_of(session.unwrap(), &[], web, inside);
        assert_eq!(got, expected);
    }
    // A certificate does not make up for a token that is wrong.
    let wrong = [format!("Bearer {}", token(&json!({"sub": "nobody"})))];
    let got = world.outcome_of(nobody, &wrong, checkout, inside);
    assert_eq!(
        got,
        "no mapping gives the token of subject `nobody` a principal"
    );
}

#[test]
fn the_proofs_that_contradict_each_other_are_named() {
    let text = |one, other| IdentityError::Contradiction { one, other }.public_text();
    assert_eq!(
        text(Proof::Signature, Proof::Token),
        "AccessDeniedException: The signature and the web identity token included in the request are of different principals."
    );
    assert_eq!(
        text(Proof::Token, Proof::Certificate),
        "AccessDeniedException: The web identity token and the client certificate included in the request are of different principals."
    );
}

#[test]
fn keys_that_cannot_be_used_are_a_problem_of_the_configuration() {
    let text = WORLD.replacen("secret: {env: SECRET}", "secret: {env: SHORT}", 1);
    let config = config(&[&text]);
    let policies = crate::compile(&config).unwrap();
    let problems = Identities::compile(&config, &policies, |_| KeySource::default()).unwrap_err();
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 1);
    assert!(
        texts[0].contains("the keys are a secret of fewer than 32 bytes"),
        "{texts:?}"
    );
    assert!(!texts[0].contains("brief"), "{texts:?}");
}
