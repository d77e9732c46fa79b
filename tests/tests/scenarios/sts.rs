//! Temporary credentials, from the call that gives them out to the request that they sign.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use trellis_model::config::Secret;
use trellis_policy::session::{Bearer, NONCE_BYTES, SealingKey, SealingKeys, Session};
use trellis_tests::{Gateway, Guard, Key, Request, Setup, Target, Via, identity, policy};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const READER: &str = "arn:aws:iam::111122223333:role/reader";
const NIGHT: &str = "arn:aws:sts::111122223333:assumed-role/reader/night";
const SEALING_SECRET: &str = "a secret for sessions with more than 32 characters";
const UNRECOGNIZED: &str =
    "UnrecognizedClientException: The security token included in the request is invalid.";

/// `orders`, a user who may assume the role `reader` if she says 4711, and the secret that seals sessions.
fn world(target: &Target) -> Setup {
    let may_assume =
        policy(&[json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"})]);
    let trust = policy(&[json!({
        "Effect": "Allow",
        "Principal": {"AWS": ALICE},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "4711"}},
    })]);
    let mut setup = Setup::with_orders([target]).user(
        "alice",
        &Key::new("AKALICE"),
        &[identity("Allow"), may_assume],
    );
    let secret = setup.file("sealing-secret");
    std::fs::write(&secret, SEALING_SECRET).unwrap();
    let control = format!("{}:{}", setup.ip(), setup.free_port());
    setup
        .set("gateway.control", json!(control))
        .set(
            "gateway.sessionKeys",
            json!([{"id": "one", "secret": {"file": secret}}]),
        )
        .set(
            "principals.roles",
            json!([{"name": "reader", "trustPolicy": trust, "policies": [identity("Allow")]}]),
        )
}

/// Lets in whom the statement says.
fn only(principal: &str, condition: &Value) -> Guard {
    Guard::By(policy(&[json!({
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "vpc-lattice-svcs:Invoke",
        "Resource": "*",
        "Condition": condition,
    })]))
}

/// A call of STS, signed by this key.
fn call(key: Key, parameters: &str) -> Request {
    let query = format!("/?Version=2011-06-15&{parameters}");
    Request::get("sts.test", &query).signed(&key.for_service("sts").signing_payload())
}

fn assume(key: Key, external_id: &str) -> Request {
    let role = READER.replace(':', "%3A").replace('/', "%2F");
    let parameters =
        format!("Action=AssumeRole&RoleArn={role}&RoleSessionName=night&ExternalId={external_id}");
    call(key, &parameters)
}

/// The credentials that a call is answered with.
async fn credentials(gateway: &Gateway, request: Request) -> Key {
    let answer = gateway.control(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let member = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    let mut key = Key::new(&member("AccessKeyId"));
    key.secret = member("SecretAccessKey");
    key.with_token(&member("SessionToken"))
}

fn get() -> Request {
    Request::get("orders.test", "/a")
}

/// A request that must be refused so, for this reason.
async fn refused(gateway: &mut Gateway, request: Request, text: &str, reason: Option<&str>) {
    let answer = gateway.send(Via::Http1, request).await;
    assert!(
        answer.text().contains(text),
        "{} is not {text}",
        answer.text()
    );
    let record = gateway.record_of(&answer).await;
    record.failed(403, "ClientAccessDenied");
    let told = record.field("trellis")["authenticationFailure"].as_str();
    assert_eq!(told.is_some(), reason.is_some(), "{told:?}");
    assert!(
        told.unwrap_or_default()
            .contains(reason.unwrap_or_default()),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_a_role_sign_requests_and_their_twins_do_not() {
    let target = Target::named("v1").await;
    let setup = world(&target).guarded(&Guard::Off, &only(READER, &json!({})));
    let mallory = Setup::of_account("444455556666").user(
        "mallory",
        &Key::new("AKMALLORY"),
        &[policy(&[
            json!({"Effect": "Allow", "Action": "*", "Resource": "*"}),
        ])],
    );
    let mut gateway = setup.start_with([mallory]).await;
    let alice = || Key::new("AKALICE");

    let night = credentials(&gateway, assume(alice(), "4711")).await;
    let answer = gateway.send(Via::Http1, get().signed(&night)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    gateway
        .record_of(&answer)
        .await
        .has([("resolvedUser", json!(NIGHT))])
        .adds([("identifiedBy", json!("SIGNATURE"))]);
    let told = target.only().header("x-amzn-lattice-identity");
    assert!(told.contains(&format!("Principal={NIGHT}")), "{told}");

    // Who gets none.
    for (who, request, code) in [
        ("another word", assume(alice(), "4712"), "AccessDenied"),
        (
            "another account",
            assume(Key::new("AKMALLORY"), "4711"),
            "AccessDenied",
        ),
        (
            "another secret",
            assume(alice().forged(), "4711"),
            "SignatureDoesNotMatch",
        ),
        (
            "an unknown key",
            assume(Key::new("AKNOBODY"), "4711"),
            "InvalidClientTokenId",
        ),
    ] {
        let answer = gateway.control(request).await;
        assert_eq!(answer.status, 403, "{who}: {}", answer.text());
        let text = answer.text();
        assert!(
            text.contains(&format!("<Code>{code}</Code>")),
            "{who}: {text}"
        );
        assert!(!text.contains("SessionToken"), "{who}: {text}");
    }
    // What signs nothing.
    refused(&mut gateway, get().signed(&alice()), "not authorized", None).await;
    let forged = get().signed(&night.clone().forged());
    refused(
        &mut gateway,
        forged,
        "InvalidSignatureException",
        Some("does not match"),
    )
    .await;
    let changed = tampered(night.token());
    let tampered = get().signed(&night.clone().with_token(&changed));
    refused(&mut gateway, tampered, UNRECOGNIZED, Some("session token")).await;
    let mut bare = Key::new(&night.id);
    bare.secret.clone_from(&night.secret);
    refused(
        &mut gateway,
        get().signed(&bare),
        UNRECOGNIZED,
        Some("unknown access key"),
    )
    .await;
    assert_eq!(target.count(), 1);
}

/// The same with one letter changed in its middle.
fn tampered(token: &str) -> String {
    let mut letters: Vec<char> = token.chars().collect();
    let middle = letters.len() / 2;
    letters[middle] = if letters[middle] == 'A' { 'B' } else { 'A' };
    letters.into_iter().collect()
}

/// A session as the gateway seals them, with these times: no call gives out any that is over, or about to be.
fn sealed(issued: SystemTime, expires: SystemTime, secret: &str) -> Key {
    let session = Session {
        access_key_id: "ASIAEXAMPLE".into(),
        secret: Secret::new(&Key::secret_of("ASIAEXAMPLE")),
        bearer: Bearer::Role {
            arn: READER.into(),
            session_name: "night".into(),
        },
        tags: BTreeMap::new(),
        transitive: BTreeSet::new(),
        source_identity: None,
        federated_provider: None,
        policies: Vec::new(),
        issued,
        expires,
    };
    let key = SealingKey::new("one", &Secret::new(secret)).unwrap();
    let token = SealingKeys::new(vec![key]).seal(&session, [7; NONCE_BYTES]);
    Key::new("ASIAEXAMPLE").with_token(&token.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_time_its_role_and_its_sealing_key() {
    let target = Target::named("v1").await;
    let setup = world(&target).guarded(&Guard::Off, &only(READER, &json!({})));
    let mut gateway = setup.start().await;
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    let good = || sealed(now - hour, now + hour, SEALING_SECRET);
    let over = sealed(now - 2 * hour, now - hour, SEALING_SECRET);
    let strange = sealed(now - hour, now + hour, &SEALING_SECRET.replace("32", "33"));

    gateway
        .send(Via::Http1, get().signed(&good()))
        .await
        .has_status(200);
    refused(
        &mut gateway,
        get().signed(&over),
        "ExpiredTokenException",
        Some("expired"),
    )
    .await;
    refused(
        &mut gateway,
        get().signed(&strange),
        UNRECOGNIZED,
        Some("session token"),
    )
    .await;
    // Another key seals from now on, and the one before still opens.
    let newer = gateway.setup().file("newer-secret");
    std::fs::write(&newer, SEALING_SECRET.replace("32", "34")).unwrap();
    let older = gateway.setup().file("sealing-secret");
    let two = json!({"id": "two", "secret": {"file": newer}});
    let one = json!({"id": "one", "secret": {"file": older}});
    gateway.reload(|setup| setup.set("gateway.sessionKeys", json!([&two, &one])));
    gateway
        .send(Via::Http1, get().signed(&good()))
        .await
        .has_status(200);
    // Without it, nothing that it sealed counts.
    gateway.reload(|setup| setup.set("gateway.sessionKeys", json!([&two])));
    refused(
        &mut gateway,
        get().signed(&good()),
        UNRECOGNIZED,
        Some("session token"),
    )
    .await;
    gateway.reload(|setup| setup.set("gateway.sessionKeys", json!([&two, &one])));
    gateway
        .send(Via::Http1, get().signed(&good()))
        .await
        .has_status(200);
    // A role that is gone takes its sessions along.
    gateway.reload(|setup| {
        setup
            .set("principals.roles", json!([]))
            .guarded(&Guard::Off, &only(ALICE, &json!({})))
    });
    refused(&mut gateway, get().signed(&good()), UNRECOGNIZED, Some("")).await;
    assert_eq!(target.count(), 3);
}

/// `aws:TokenIssueTime` is there for temporary credentials only, so a policy can ask for them and can end old ones.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_a_user_are_the_users_and_tell_when_they_were_given() {
    let target = Target::named("v1").await;
    let recent = json!({"DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}});
    let setup = world(&target).guarded(&Guard::Off, &only(ALICE, &recent));
    let mut gateway = setup.start().await;
    let lasting = || Key::new("AKALICE");
    let brief = credentials(&gateway, call(lasting(), "Action=GetSessionToken")).await;
    let answer = gateway.send(Via::Http1, get().signed(&brief)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    gateway
        .record_of(&answer)
        .await
        .has([("resolvedUser", json!(ALICE))]);
    refused(
        &mut gateway,
        get().signed(&lasting()),
        "not authorized",
        None,
    )
    .await;
    // From a moment on, those that were given before are worth nothing.
    let later = json!({"DateGreaterThan": {"aws:TokenIssueTime": "2100-01-01T00:00:00Z"}});
    gateway.reload(|setup| setup.guarded(&Guard::Off, &only(ALICE, &later)));
    refused(&mut gateway, get().signed(&brief), "not authorized", None).await;
    // They give no further ones.
    let again = gateway.control(call(brief, "Action=GetSessionToken")).await;
    assert_eq!(again.status, 403, "{}", again.text());
    assert_eq!(target.count(), 1);
}
