//! What does it cost to find out whose token a request has, the first time and again, and what does a forged one cost?
//!
//! `cargo bench -p trellis-benches --bench token`. The keys of the issuer are read already. The token has the size that issuers of
//! workloads make. Whoever sends forged tokens must not make the gateway work more than whoever sends genuine ones.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement stops where it cannot go on"
)]

use std::{
    hint::black_box,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::json;
use trellis_policy::jwt::{Issuer, JwtVerifier, KeySet, KeySource};

const NOW: u64 = 1_764_000_000;

fn key() -> EcdsaKeyPair {
    let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let text = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(kind, text.as_ref(), &random).unwrap()
}

fn token(key: &EcdsaKeyPair) -> String {
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "2026-11"}).to_string();
    let claims = json!({
        "iss": "https://issuer.test", "aud": ["orders"], "sub": "system:serviceaccount:shop:checkout",
        "iat": NOW, "nbf": NOW, "exp": NOW + 3600, "jti": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "namespace": "shop", "groups": ["web", "checkout"],
    });
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn verifier(key: &EcdsaKeyPair) -> JwtVerifier {
    let point = key.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "2026-11", "x": x, "y": y}]});
    let keys = KeySet::parse(set.to_string().as_bytes()).unwrap();
    let issuer = Issuer {
        issuer: "https://issuer.test".into(),
        audiences: vec!["orders".into()],
        keys: KeySource::fixed(keys),
    };
    JwtVerifier::new(vec![issuer], Duration::from_secs(300))
}

fn tokens(criterion: &mut Criterion) {
    let (own, thief) = (key(), key());
    let (genuine, forged) = (token(&own), token(&thief));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let verify = |verifier: &JwtVerifier, token: &str| {
        verifier
            .verify(black_box(token.as_bytes()), |_| true, now)
            .is_ok()
    };
    let warm = verifier(&own);
    assert!(verify(&warm, &genuine));
    assert!(!verify(&warm, &forged));

    let mut group = criterion.benchmark_group(format!("token of {} bytes", genuine.len()));
    group.bench_function("ES256, first time", |bench| {
        bench.iter_batched_ref(
            || verifier(&own),
            |fresh| verify(fresh, &genuine),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("remembered", |bench| {
        bench.iter(|| verify(&warm, &genuine));
    });
    group.bench_function("forged", |bench| {
        bench.iter(|| verify(&warm, &forged));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = tokens
}
criterion_main!(benches);
