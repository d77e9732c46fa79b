//! What does it cost to find out who signed a request, and is a request that proves nothing cheaper or dearer?
//!
//! `cargo bench -p trellis-benches --bench signature`. The signing key is warm, as it is from the second request of a day on. Whoever
//! sends wrong signatures must not make the gateway work more than whoever sends right ones, so their cost stands beside.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement stops where it cannot go on"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use aws_sigv4::sign::{
    v4::{calculate_signature, generate_signing_key},
    v4a,
};
use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use trellis_model::{
    config::Secret,
    load::{Inputs, Source, load},
};
use trellis_policy::{
    PrincipalIndex, compile,
    session::{Bearer, NONCE_BYTES, SealingKey, SealingKeys, Session},
    sigv4::{DEFAULT_SKEW, KeyRing, Presigned, SERVICE, SignedParts, Verifier},
};

const REGION: &str = "us-west-2";
const KEY_ID: &str = "AKIACHECKOUT00000000";
const SECRET: &str = "0123456789012345678901234567890123456789";
const HOST: &str = "orders.shop.test:8080";
const DATE: &str = "20251124T101112Z";
/// The same moment, in seconds since 1970.
const SIGNED_AT: u64 = 1_763_979_072;

/// A request as a client signs it.
struct Signed {
    path: &'static str,
    query: Option<&'static str>,
    headers: HeaderMap,
}

impl Signed {
    /// Signs with `secret` a request that has `more` signed headers besides those that every client signs.
    fn new(path: &'static str, query: Option<&'static str>, more: usize, secret: &str) -> Self {
        Self::with_token(path, query, more, secret, None)
    }

    /// The same with the token of temporary credentials.
    fn with_token(
        path: &'static str,
        query: Option<&'static str>,
        more: usize,
        secret: &str,
        token: Option<&str>,
    ) -> Self {
        let mut fields = vec![
            ("host".to_owned(), HOST.to_owned()),
            (
                "x-amz-content-sha256".to_owned(),
                "UNSIGNED-PAYLOAD".to_owned(),
            ),
            ("x-amz-date".to_owned(), DATE.to_owned()),
        ];
        fields.extend(token.map(|token| ("x-amz-security-token".to_owned(), token.to_owned())));
        fields.extend(
            (0..more).map(|number| (format!("x-trace-{number:02}"), format!("value {number}"))),
        );
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let mut canonical = format!("GET\n{path}\n{}\n", query.unwrap_or_default());
        for (name, value) in &fields {
            writeln!(canonical, "{name}:{value}").unwrap();
        }
        write!(canonical, "\n{names}\nUNSIGNED-PAYLOAD").unwrap();
        let day = DATE.get(..8).unwrap();
        let scope = format!("{day}/{REGION}/{SERVICE}/aws4_request");
        let mut to_sign = format!("AWS4-HMAC-SHA256\n{DATE}\n{scope}\n");
        for byte in Sha256::digest(canonical) {
            write!(to_sign, "{byte:02x}").unwrap();
        }
        let key = generate_signing_key(secret, now(), REGION, SERVICE);
        let signature = calculate_signature(key, to_sign.as_bytes());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        fields.push(("authorization".to_owned(), authorization));
        // What the client sends and does not sign.
        fields.push((
            "user-agent".to_owned(),
            "Boto3/1.44 md/Botocore#1.44 lang/python#3.11".to_owned(),
        ));
        fields.push(("accept-encoding".to_owned(), "gzip, deflate".to_owned()));
        let headers = fields.into_iter().map(|(name, value)| {
            (
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::try_from(value).unwrap(),
            )
        });
        Self {
            path,
            query,
            headers: headers.collect(),
        }
    }

    /// The same request signed for all regions, by ECDSA.
    fn everywhere(self) -> Self {
        let day = DATE.get(..8).unwrap();
        let scope = format!("{day}/{SERVICE}/aws4_request");
        let names = "host;x-amz-content-sha256;x-amz-date;x-amz-region-set";
        let canonical = format!(
            "GET\n{}\n\nhost:{HOST}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{DATE}\nx-amz-region-set:*\n\n{names}\nUNSIGNED-PAYLOAD",
            self.path
        );
        let mut to_sign = format!("AWS4-ECDSA-P256-SHA256\n{DATE}\n{scope}\n");
        for byte in Sha256::digest(canonical) {
            write!(to_sign, "{byte:02x}").unwrap();
        }
        let key = v4a::generate_signing_key(KEY_ID, SECRET);
        let signature = v4a::calculate_signature(key, to_sign.as_bytes());
        let authorization = format!(
            "AWS4-ECDSA-P256-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        let mut headers = self.headers;
        headers.insert("authorization", authorization.parse().unwrap());
        headers.insert("x-amz-region-set", HeaderValue::from_static("*"));
        Self { headers, ..self }
    }

    fn parts(&self) -> SignedParts<'_> {
        SignedParts {
            method: "GET",
            path: self.path.as_bytes(),
            query: self.query.map(str::as_bytes),
            authority: HOST.as_bytes(),
            headers: &self.headers,
            presigned: Presigned::Counts,
        }
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(SIGNED_AT)
}

fn verifier(key_id: &str) -> Verifier {
    let keys = [(key_id.into(), Secret::new(SECRET), PrincipalIndex(0))];
    let ring = KeyRing::new(&REGION.parse().unwrap(), keys).unwrap();
    Verifier::new(Arc::new(ring), DEFAULT_SKEW)
}

/// Nothing to read, nothing in the environment.
struct Nothing;

impl Inputs for Nothing {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

/// A session of a role with a token of about 900 bytes, and a verifier that opens it.
fn session() -> (Verifier, String) {
    let document =
        r#"{account: "111122223333", region: us-west-2, principals: {roles: [{name: reader}]}}"#;
    let source = Source {
        path: "bench.yaml".into(),
        text: Ok(document.to_owned()),
    };
    let config = match load(&[source], &Nothing) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}"),
    };
    let policies = compile(&config).unwrap();
    let keys = SealingKeys::new(vec![
        SealingKey::new("bench", &Secret::new(SECRET)).unwrap(),
    ]);
    let session = Session {
        access_key_id: KEY_ID.into(),
        secret: Secret::new(SECRET),
        bearer: Bearer::Role {
            arn: "arn:aws:iam::111122223333:role/reader".into(),
            session_name: "night".into(),
        },
        tags: BTreeMap::from([
            ("team".to_owned(), "web".repeat(76)),
            ("squad".to_owned(), "ops".repeat(76)),
        ]),
        transitive: BTreeSet::new(),
        source_identity: None,
        federated_provider: None,
        policies: Vec::new(),
        issued: now(),
        expires: now() + Duration::from_secs(3600),
    };
    let token = keys.seal(&session, [7; NONCE_BYTES]).unwrap();
    assert!((850..950).contains(&token.len()), "{}", token.len());
    let sessions = policies.sessions(Arc::new(ArcSwap::from_pointee(keys)));
    (verifier("AKIASOMEBODYELSE").with_sessions(sessions), token)
}

fn signatures(criterion: &mut Criterion) {
    let plain = Signed::new("/rates/17", None, 0, SECRET);
    let long = Signed::new(
        "/rates/17",
        Some("from=eur&limit=100&page=3&to=usd"),
        20,
        SECRET,
    );
    let wrong = Signed::new("/rates/17", None, 0, "another secret");
    let everywhere = Signed::new("/rates/17", None, 0, SECRET).everywhere();
    let mut unsigned = Signed::new("/rates/17", None, 0, SECRET);
    unsigned.headers.remove("authorization");
    unsigned.headers.remove("x-amz-date");
    let (opener, token) = session();
    let temporary = Signed::with_token("/rates/17", None, 0, SECRET, Some(&token));
    let (known, unknown) = (verifier(KEY_ID), verifier("AKIASOMEBODYELSE"));

    let mut group = criterion.benchmark_group("signature");
    for (name, request, verifier, passes) in [
        ("verified", &plain, &known, true),
        ("verified, 20 more headers and a query", &long, &known, true),
        ("verified, SigV4A", &everywhere, &known, true),
        ("verified, with a session token", &temporary, &opener, true),
        ("wrong", &wrong, &known, false),
        ("unknown key", &plain, &unknown, false),
        ("absent", &unsigned, &known, true),
    ] {
        let parts = request.parts();
        let outcome = verifier.verify(&parts, now());
        assert_eq!(outcome.is_ok(), passes, "{name}: {outcome:?}");
        group.bench_function(name, |bench| {
            bench.iter(|| verifier.verify(black_box(&parts), now()).is_ok());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = signatures
}
criterion_main!(benches);
