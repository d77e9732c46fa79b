//! Who is calling, without a signature: tokens of identity providers, and the network.

use std::{
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use trellis_tests::{
    Gateway, Guard, Key, Reply, Request, Setup, Target, Via, allow, eventually, identity,
};

const CHECKOUT: &str = "arn:aws:iam::111122223333:user/checkout";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/reader/robots";
const ISSUER: &str = "https://issuer.test";
const INVALID: &str =
    "InvalidIdentityTokenException: The web identity token included in the request is invalid.";

/// An identity provider.
struct Issuer {
    key: EcdsaKeyPair,
    id: &'static str,
}

impl Issuer {
    fn new(id: &'static str) -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let text = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(kind, text.as_ref(), &random).unwrap();
        Self { key, id }
    }

    /// Its key set.
    fn keys(&self) -> String {
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": self.id, "alg": "ES256", "x": x, "y": y}]})
            .to_string()
    }

    /// A request with a token whose claims are changed.
    fn request(&self, changes: &Value) -> Request {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let mut claims = json!({"iss": ISSUER, "aud": ["orders"], "sub": "checkout", "iat": now, "exp": now + 600});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.id});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(&claims));
        let signature = self
            .key
            .sign(&SystemRandom::new(), text.as_bytes())
            .unwrap();
        let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature));
        Request::get("orders.test", "/a").header("authorization", &format!("Bearer {token}"))
    }
}

/// `orders` for callers with a token of `issuer`, whose keys are in a file.
fn world(target: &Target, issuer: &Issuer) -> Setup {
    let setup = Setup::with_orders([target])
        .user("checkout", &Key::new("AKCHECKOUT"), &[identity("Allow")])
        .user("console", &Key::new("AKCONSOLE"), &[identity("Allow")])
        .role(
            "reader",
            "web-1",
            &Key::new("AKREADER"),
            &[identity("Allow")],
        );
    let keys = setup.file("keys.json");
    std::fs::write(&keys, issuer.keys()).unwrap();
    setup
        .set(
            "principals.identityProviders",
            json!([{"name": "issuer", "type": "OIDC", "issuer": ISSUER, "audiences": ["orders"], "jwks": {"file": keys}}]),
        )
        .set("principals.mappings", json!([
            {"name": "people", "from": "JWT", "match": {"identityProvider": "issuer", "claims": [{"name": "sub", "value": {"exact": "checkout"}}]}, "principal": {"user": "checkout"}},
            {"name": "robots", "from": "JWT", "match": {"identityProvider": "issuer", "claims": [{"name": "sub", "value": {"prefix": "robot:"}}]}, "principal": {"role": "reader"}},
        ]))
}

/// Sends a request that must be refused; gives the answer's text.
async fn refused(gateway: &mut Gateway, request: Request) -> String {
    let answer = gateway.send(Via::Http1, request).await;
    let record = gateway.record_of(&answer).await;
    record.failed(403, "ClientAccessDenied");
    answer.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_who_is_calling() {
    let target = Target::named("v1").await;
    let issuer = Issuer::new("one");
    let both = allow(&json!({"AWS": [CHECKOUT, SESSION]}));
    let setup = world(&target, &issuer).guarded(&Guard::Off, &Guard::By(both));
    let mut gateway = setup.start().await;
    for (via, claims, who) in [
        (Via::Http1, json!({}), CHECKOUT),
        (
            Via::Http2,
            json!({"sub": "checkout", "more": [1, 2]}),
            CHECKOUT,
        ),
        (Via::Http1, json!({"sub": "robot:7"}), SESSION),
    ] {
        let before = target.count();
        let answer = gateway.send(via, issuer.request(&claims)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let record = gateway.record_of(&answer).await;
        record.has([
            ("resolvedUser", json!(who)),
            ("callerPrincipal", json!(who)),
        ]);
        record.adds([
            ("identifiedBy", json!("TOKEN")),
            ("authenticationFailure", json!(null)),
        ]);
        let seen = target.seen().remove(before);
        let told = seen.header("x-amzn-lattice-identity");
        assert!(told.contains(&format!("Principal={who}")), "{told}");
    }
}

/// The twins of [`a_token_says_who_is_calling`].
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_proven_is_refused_and_the_record_says_why() {
    let target = Target::named("v1").await;
    let (issuer, thief) = (Issuer::new("one"), Issuer::new("one"));
    let setup =
        world(&target, &issuer).guarded(&Guard::Off, &Guard::By(allow(&json!({"AWS": CHECKOUT}))));
    let mut gateway = setup.start().await;
    for (request, text, reason) in [
        (
            thief.request(&json!({})),
            INVALID,
            "the token's signature does not verify",
        ),
        (
            issuer.request(&json!({"aud": "pay"})),
            INVALID,
            "audience `pay`",
        ),
        (
            issuer.request(&json!({"iss": "https://issuer.test/"})),
            INVALID,
            "issuer `https://issuer.test/`",
        ),
        (
            issuer.request(&json!({"exp": 1_700_000_000})),
            "ExpiredTokenException: The web identity token included in the request is expired.",
            "expired at 1700000000",
        ),
        (
            issuer.request(&json!({"sub": "somebody"})),
            "AccessDeniedException: The web identity token included in the request gives no access.",
            "subject `somebody`",
        ),
        (
            issuer
                .request(&json!({}))
                .header("authorization", "Basic eDp5"),
            INVALID,
            "several `authorization` headers",
        ),
        (
            Request::get("orders.test", "/a").header("authorization", "Bearer opaque"),
            INVALID,
            "three parts",
        ),
    ] {
        let answer = gateway.send(Via::Http1, request).await;
        answer.is(403, text);
        let record = gateway.record_of(&answer).await;
        record.failed(403, "ClientAccessDenied").has([
            ("authDeniedReason", json!("-")),
            ("resolvedUser", json!("Unknown")),
            ("targetIpPort", json!("-")),
        ]);
        record.adds([("identifiedBy", json!(null)), ("decidedBy", json!(null))]);
        let told = record.field("trellis")["authenticationFailure"].as_str();
        assert!(
            told.is_some_and(|told| told.contains(reason)),
            "{told:?}, expected: {reason}"
        );
    }
    let anonymous = gateway
        .send(Via::Http1, Request::get("orders.test", "/a"))
        .await;
    let text = anonymous.text();
    assert!(text.contains("User: anonymous"), "{text}");
    gateway
        .record_of(&anonymous)
        .await
        .failed(403, "ClientAccessDenied")
        .adds([
            ("identifiedBy", json!(null)),
            ("authenticationFailure", json!(null)),
        ]);
    assert_eq!(target.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_its_issuer_took_back_signs_nothing_any_more() {
    let target = Target::named("v1").await;
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let all = Guard::By(allow(&json!({"AWS": CHECKOUT})));
    let mut gateway = world(&target, &old)
        .guarded(&all, &Guard::Off)
        .start()
        .await;
    let keys = gateway.setup().file("keys.json");
    let request = |issuer: &Issuer| issuer.request(&json!({}));
    gateway
        .send(Via::Http1, request(&old))
        .await
        .has_status(200);
    assert_eq!(refused(&mut gateway, request(&new)).await, INVALID);
    std::fs::write(&keys, new.keys()).unwrap();
    gateway.reload(|setup| setup);
    assert_eq!(refused(&mut gateway, request(&old)).await, INVALID);
    gateway
        .send(Via::Http1, request(&new))
        .await
        .has_status(200);
    // Keys that are none refuse the change, and those before go on.
    std::fs::write(&keys, "{}").unwrap();
    let problems = gateway.try_reload(|setup| setup).unwrap_err().to_string();
    let none = "the keys are not a JSON Web Key Set";
    assert!(problems.contains(none), "{problems}");
    gateway.expect_log(none).await;
    gateway.expect_log("configuration rejected").await;
    let rejected = "gateway_config_reloads_total{outcome=\"rejected\"}";
    gateway.expect_metric(rejected, 1).await;
    gateway
        .send(Via::Http1, request(&new))
        .await
        .has_status(200);
}

/// An issuer signs with another key from now on, and tells nobody. The first of its new tokens is refused, and has the keys read again.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_an_issuer_changed_to_is_known_after_one_refusal() {
    let loaded = "gateway_identity_key_loads_total{outcome=\"loaded\"}";
    let target = Target::named("v1").await;
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let published = Arc::new(Mutex::new(old.keys()));
    let shown = Arc::clone(&published);
    let server = Target::answering(move |_| Reply::new(200, shown.lock().unwrap().clone())).await;
    let url = format!("http://{}/keys", server.address());
    let jwks = json!({"url": url, "refreshIntervalSeconds": 86_400});
    let guard = Guard::By(allow(&json!({"AWS": CHECKOUT})));
    let mut gateway = world(&target, &old)
        .set("principals.identityProviders.issuer.jwks", jwks)
        .guarded(&guard, &Guard::Off)
        .start()
        .await;
    let request = |issuer: &Issuer| issuer.request(&json!({}));
    eventually("the keys are read", async || {
        (gateway.metric(loaded) == 1).then_some(())
    })
    .await;
    let answer = gateway.send(Via::Http1, request(&old)).await;
    answer.has_status(200);
    assert_eq!(target.count(), 1);

    *published.lock().unwrap() = new.keys();
    let answer = gateway.send(Via::Http1, request(&new)).await;
    answer.is(403, INVALID);
    let record = gateway.record_of(&answer).await;
    record.failed(403, "ClientAccessDenied");
    let told = &record.field("trellis")["authenticationFailure"];
    assert_eq!(told, "the issuer has no key `new` for ES256");
    eventually("the keys are read again", async || {
        (gateway.metric(loaded) == 2).then_some(())
    })
    .await;
    let answer = gateway.send(Via::Http1, request(&new)).await;
    answer.has_status(200);
    // The old key signs nothing any more, also not while it was remembered; and a key that does not exist brings nothing forward so
    // soon after.
    assert_eq!(refused(&mut gateway, request(&old)).await, INVALID);
    let made_up = Issuer::new("made-up");
    for _ in 0..20 {
        assert_eq!(refused(&mut gateway, request(&made_up)).await, INVALID);
    }
    let early = gateway.metric("gateway_identity_key_early_loads_total");
    assert_eq!((early, server.count()), (1, 2));
    assert_eq!(target.count(), 2);
}

/// A token is the gateway's business only where a policy asks who is calling.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_the_applications_where_nobody_asks_for_callers() {
    let target = Target::named("v1").await;
    let issuer = Issuer::new("one");
    let mut gateway = world(&target, &issuer)
        .guarded(&Guard::Off, &Guard::Off)
        .start()
        .await;
    let opaque = || Request::get("orders.test", "/a").header("authorization", "Bearer opaque");
    let answer = gateway.send(Via::Http1, opaque()).await;
    answer.has_status(200);
    assert_eq!(target.only().header("authorization"), "Bearer opaque");
    gateway.reload(|setup| setup.guarded(&Guard::By(allow(&json!("*"))), &Guard::Off));
    let answer = gateway.send(Via::Http1, opaque()).await;
    answer.is(403, INVALID);
    gateway
        .record_of(&answer)
        .await
        .failed(403, "ClientAccessDenied");
    // Without a provider it is the application's again.
    gateway.reload(|setup| {
        setup
            .set("principals.mappings", json!([]))
            .set("principals.identityProviders", json!([]))
    });
    gateway.send(Via::Http1, opaque()).await.has_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_says_who_is_calling_when_nothing_else_does() {
    let target = Target::named("v1").await;
    let issuer = Issuer::new("one");
    let named = |arn: &str| Guard::By(allow(&json!({"AWS": arn})));
    let console = "arn:aws:iam::111122223333:user/console";
    let of_network = |sources: Value| {
        json!([
            {"name": "people", "from": "JWT", "match": {"identityProvider": "issuer", "claims": [{"name": "sub", "value": {"exact": "checkout"}}]}, "principal": {"user": "checkout"}},
            {"name": "shop", "from": "ATTACHMENT", "match": {"vpcIdentifier": "shop", "sources": sources}, "principal": {"user": "console"}},
        ])
    };
    let setup = world(&target, &issuer)
        .set("principals.mappings", of_network(json!(["127.0.0.0/8"])))
        .guarded(&named(console), &Guard::Off);
    let mut gateway = setup.start().await;
    let bare = || Request::get("orders.test", "/a");
    let answer = gateway.send(Via::Http1, bare()).await;
    answer.has_status(200);
    gateway
        .record_of(&answer)
        .await
        .has([("resolvedUser", json!(console))])
        .adds([("identifiedBy", json!("NETWORK"))]);
    // A token and a signature come before it, and do not get what it gets.
    let checkout = Key::new("AKCHECKOUT");
    for request in [issuer.request(&json!({})), bare().signed(&checkout)] {
        let text = refused(&mut gateway, request).await;
        assert!(text.contains(&format!("User: {CHECKOUT}")), "{text}");
    }
    // Both, of one caller and of two.
    gateway.reload(|setup| setup.guarded(&named(CHECKOUT), &Guard::Off));
    let presigning = |id: &str| Key::new(id).presigning(std::time::Duration::from_secs(60));
    let own = issuer.request(&json!({})).signed(&presigning("AKCHECKOUT"));
    gateway.send(Via::Http1, own).await.has_status(200);
    let foreign = issuer.request(&json!({})).signed(&presigning("AKCONSOLE"));
    assert_eq!(
        refused(&mut gateway, foreign).await,
        "AccessDeniedException: The signature and the web identity token included in the request are of different principals."
    );
    // From another address it says nothing.
    gateway.reload(|setup| {
        setup
            .set("principals.mappings", of_network(json!(["10.0.0.0/8"])))
            .guarded(&named(console), &Guard::Off)
    });
    let text = refused(&mut gateway, bare()).await;
    assert!(text.contains("User: anonymous"), "{text}");
}
