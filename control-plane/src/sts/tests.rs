//! The service over a small world: who may, who may not, what comes out.

use std::{
    fmt::Write as _,
    path::Path,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use ring::digest;
use trellis_model::{
    config::{Config, Secret},
    load::{Inputs, Source, load},
};
use trellis_policy::{
    Policies, compile,
    session::{Bearer, SealingKey, SealingKeys},
    sigv4::{KeyRing, Verifier},
};

use super::*;
use crate::realm::{Disbelief, RANDOM_BYTES, Vouched};

const NOW: u64 = 1_800_000_000;
const DATE: &str = "20270115T080000Z";
const SECRET: &str = "0123456789012345678901234567890123456789";

const HOME: &str = r#"
account: "111122223333"
region: us-west-2
organization: {id: o-home}
principals:
  users:
    - {name: alice, accessKeys: [{id: AKIAALICE, secret: {env: SECRET}}], tags: {team: web}}
    - {name: bob, accessKeys: [{id: AKIABOB, secret: {env: SECRET}}], policies: [{Version: "2012-10-17", Statement: {Effect: Allow, Action: "sts:*", Resource: "*"}}]}
    - {name: denied, accessKeys: [{id: AKIADENIED, secret: {env: SECRET}}], policies: [{Version: "2012-10-17", Statement: {Effect: Deny, Action: "sts:AssumeRole", Resource: "*"}}]}
    - name: bounded
      accessKeys: [{id: AKIABOUNDED, secret: {env: SECRET}}]
      policies: [{Version: "2012-10-17", Statement: {Effect: Allow, Action: "sts:*", Resource: "*"}}]
      permissionsBoundary: {Version: "2012-10-17", Statement: {Effect: Allow, Action: "vpc-lattice-svcs:*", Resource: "*"}}
  roles:
    - name: of-alice
      maxSessionDurationSeconds: 7200
      tags: {stage: prod}
      trustPolicy: {Version: "2012-10-17", Statement: {Effect: Allow, Principal: {AWS: "arn:aws:iam::111122223333:user/alice"}, Action: "sts:AssumeRole"}}
    - name: of-account
      trustPolicy: {Version: "2012-10-17", Statement: {Effect: Allow, Principal: {AWS: "111122223333"}, Action: "sts:AssumeRole"}}
    - name: of-all
      trustPolicy: {Version: "2012-10-17", Statement: {Effect: Allow, Principal: "*", Action: "sts:*"}}
    - name: of-denied
      trustPolicy: {Version: "2012-10-17", Statement: {Effect: Allow, Principal: {AWS: "arn:aws:iam::111122223333:user/denied"}, Action: "sts:AssumeRole"}}
    - name: conditioned
      trustPolicy:
        Version: "2012-10-17"
        Statement:
          - {Effect: Allow, Principal: {AWS: "arn:aws:iam::111122223333:user/alice"}, Action: "sts:AssumeRole", Condition: {StringEquals: {"sts:ExternalId": "4711"}, StringLike: {"sts:RoleSessionName": "${aws:username}-*"}}}
    - name: tagged
      trustPolicy:
        Version: "2012-10-17"
        Statement:
          - {Effect: Allow, Principal: {AWS: "arn:aws:iam::111122223333:user/alice"}, Action: "sts:AssumeRole"}
          - {Effect: Allow, Principal: {AWS: "arn:aws:iam::111122223333:user/alice"}, Action: "sts:TagSession", Condition: {StringEquals: {"aws:RequestTag/team": "${aws:PrincipalTag/team}"}}}
          - {Effect: Allow, Principal: {AWS: "arn:aws:iam::111122223333:user/alice"}, Action: "sts:SetSourceIdentity", Condition: {StringLike: {"sts:SourceIdentity": "al*"}}}
    - name: second
      trustPolicy: {Version: "2012-10-17", Statement: {Effect: Allow, Principal: {AWS: "arn:aws:iam::111122223333:role/tagged"}, Action: ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]}}
      maxSessionDurationSeconds: 43200
    - name: web
      trustPolicy: {Version: "2012-10-17", Statement: {Effect: Allow, Principal: {Federated: "arn:aws:iam::111122223333:oidc-provider/issuer.test/a"}, Action: "sts:AssumeRoleWithWebIdentity", Condition: {StringEquals: {"issuer.test/a:sub": "system:serviceaccount:shop:orders", "issuer.test/a:aud": "sts.amazonaws.com"}}}}
    - name: untrusting
"#;

const ABROAD: &str = r#"
account: "444455556666"
principals:
  users:
    - {name: eve, accessKeys: [{id: AKIAEVE, secret: {env: SECRET}}]}
    - {name: ed, accessKeys: [{id: AKIAED, secret: {env: SECRET}}], policies: [{Version: "2012-10-17", Statement: {Effect: Allow, Action: "sts:AssumeRole", Resource: "arn:aws:iam::444455556666:role/*"}}]}
    - {name: eric, accessKeys: [{id: AKIAERIC, secret: {env: SECRET}}], policies: [{Version: "2012-10-17", Statement: {Effect: Allow, Action: "sts:AssumeRole", Resource: "*"}}]}
  roles:
    - name: abroad
      trustPolicy: {Version: "2012-10-17", Statement: {Effect: Allow, Principal: {AWS: ["arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:user/bob"]}, Action: "sts:AssumeRole"}}
"#;

struct NoFiles;

impl Inputs for NoFiles {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "SECRET").then(|| SECRET.to_owned())
    }
}

struct World {
    config: Config,
    policies: Policies,
    verifier: Verifier,
    keys: SealingKeys,
}

fn sealing_keys() -> SealingKeys {
    SealingKeys::new(vec![SealingKey::new("a", &Secret::new(SECRET)).unwrap()])
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let source = |path: &str, text: &str| Source {
        path: path.into(),
        text: Ok(text.to_owned()),
    };
    let sources = [source("home.yaml", HOME), source("abroad.yaml", ABROAD)];
    let config = load(&sources, &NoFiles)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config;
    let policies = compile(&config).unwrap_or_else(|problems| panic!("{problems}"));
    let ring = KeyRing::for_config(&config, &policies).unwrap();
    let sessions = policies.sessions(Arc::new(arc_swap::ArcSwap::from_pointee(sealing_keys())));
    let verifier = Verifier::new(Arc::new(ring), Duration::from_secs(300)).with_sessions(sessions);
    World {
        config,
        policies,
        verifier,
        keys: sealing_keys(),
    }
});

/// Who signs: an access key, its secret, perhaps a token.
#[derive(Debug, Clone)]
struct Signer {
    key: String,
    secret: String,
    token: Option<String>,
}

fn lasting(key: &str) -> Signer {
    Signer {
        key: key.to_owned(),
        secret: SECRET.to_owned(),
        token: None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from_digit(nibble.into(), 16).unwrap())
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn call(body: &str) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("sts.test"));
    Call {
        method: Method::POST,
        path: "/".into(),
        query: None,
        headers,
        body: Bytes::from(body.to_owned()),
        source: [10, 0, 0, 1].into(),
        at: at(NOW),
        id: "the-id".into(),
    }
}

/// Signs a call as botocore does: the body's hash, without a header that says so.
fn sign(mut call: Call, signer: &Signer, region: &str, service: &str) -> Call {
    let mut names = vec!["host", "x-amz-date"];
    call.headers
        .insert("x-amz-date", HeaderValue::from_static(DATE));
    if let Some(token) = &signer.token {
        names.push("x-amz-security-token");
        call.headers.insert(
            "x-amz-security-token",
            HeaderValue::from_str(token).unwrap(),
        );
    }
    let mut lines = String::new();
    for name in &names {
        let value = call.headers[*name].to_str().unwrap();
        writeln!(lines, "{name}:{value}").unwrap();
    }
    let names = names.join(";");
    let canonical = format!(
        "{}\n/\n{}\n{lines}\n{names}\n{}",
        call.method,
        call.query.as_deref().unwrap_or_default(),
        sha256(&call.body)
    );
    let scope = format!("{}/{region}/{service}/aws4_request", DATE.get(..8).unwrap());
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{DATE}\n{scope}\n{}",
        sha256(canonical.as_bytes())
    );
    let key = generate_signing_key(&signer.secret, call.at, region, service);
    let signature = calculate_signature(key, to_sign.as_bytes());
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        signer.key
    );
    call.headers
        .insert("authorization", HeaderValue::from_str(&value).unwrap());
    call
}

fn believe(token: &str, account: &str, _: SystemTime) -> Result<Vouched, Disbelief> {
    if account != "111122223333" {
        return Err(Disbelief::NoProvider);
    }
    match token {
        "orders" | "catalog" => Ok(Vouched {
            provider: "arn:aws:iam::111122223333:oidc-provider/issuer.test/a".to_owned(),
            issuer: "issuer.test/a".to_owned(),
            subject: format!("system:serviceaccount:shop:{token}"),
            audience: "sts.amazonaws.com".to_owned(),
            claims: vec![("sub".to_owned(), vec!["what the token says".to_owned()])],
        }),
        "other-provider" => Ok(Vouched {
            provider: "arn:aws:iam::111122223333:oidc-provider/other.test".to_owned(),
            issuer: "issuer.test/a".to_owned(),
            subject: "system:serviceaccount:shop:orders".to_owned(),
            audience: "sts.amazonaws.com".to_owned(),
            claims: Vec::new(),
        }),
        "late" => Err(Disbelief::Expired),
        "foreign" => Err(Disbelief::NoProvider),
        _ => Err(Disbelief::Invalid("the signature is wrong".to_owned())),
    }
}

fn ask_with(call: &Call, keys: &SealingKeys) -> Answer {
    let mut random = [0; RANDOM_BYTES];
    for (place, byte) in random.iter_mut().zip(0..) {
        *place = byte;
    }
    answer(
        call,
        &Realm {
            policies: &WORLD.policies,
            verifier: &WORLD.verifier,
            keys,
            region: &WORLD.config.region,
            believe: &believe,
            random,
        },
    )
}

fn ask(call: &Call) -> Answer {
    ask_with(call, &WORLD.keys)
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn assuming(role: &str, more: &str) -> String {
    let arn = match role.split_once('@') {
        Some((name, account)) => format!("arn:aws:iam::{account}:role/{name}"),
        None => format!("arn:aws:iam::111122223333:role/{role}"),
    };
    let name = if more.contains("RoleSessionName=") {
        ""
    } else {
        "&RoleSessionName=work"
    };
    format!(
        "Action=AssumeRole&Version=2011-06-15&RoleArn={}{name}{more}",
        encoded(&arn)
    )
}

fn assume(signer: &Signer, role: &str, more: &str) -> Answer {
    ask(&sign(
        call(&assuming(role, more)),
        signer,
        "us-west-2",
        "sts",
    ))
}

fn element<'a>(body: &'a str, name: &str) -> &'a str {
    let (_, after) = body
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("{name}: {body}"));
    after.split_once("</").unwrap().0
}

fn credentials(answer: &Answer) -> Signer {
    assert_eq!(answer.outcome.error, None, "{answer:?}");
    Signer {
        key: element(&answer.body, "AccessKeyId").to_owned(),
        secret: element(&answer.body, "SecretAccessKey").to_owned(),
        token: Some(element(&answer.body, "SessionToken").to_owned()),
    }
}

/// The session in the token of an answer.
fn session(answer: &Answer) -> Session {
    let token = credentials(answer).token.unwrap();
    WORLD.keys.open(token.as_bytes()).unwrap()
}

/// `None` for an answer, or the code of the error.
fn check(answer: &Answer, wanted: Option<&str>, told: &str) {
    assert_eq!(answer.outcome.error, wanted, "{told}: {answer:?}");
    assert_eq!(answer.status == StatusCode::OK, wanted.is_none(), "{told}");
    assert!(
        answer.body.contains(NAMESPACE) && answer.body.contains("<RequestId>the-id</RequestId>")
    );
    let told = format!("{:?}", answer.outcome);
    assert!(!told.contains(SECRET), "{told}");
}

const DENIED: Option<&str> = Some("AccessDenied");
const INVALID: Option<&str> = Some("ValidationError");

/// Each trust with those whom it lets and their refusing twins.
#[test]
fn who_may_assume_which_role() {
    for (key, role, wanted) in [
        ("AKIAALICE", "of-alice", None),
        ("AKIABOB", "of-alice", DENIED),
        // Trusted through the account: a permission of one's own is needed.
        ("AKIABOB", "of-account", None),
        ("AKIAALICE", "of-account", DENIED),
        ("AKIABOUNDED", "of-account", DENIED),
        ("AKIAEVE", "of-account", DENIED),
        // A denial of one's own counts whoever trusts.
        ("AKIADENIED", "of-denied", DENIED),
        ("AKIABOB", "of-denied", DENIED),
        // Whoever trusts everybody still asks for a permission.
        ("AKIABOB", "of-all", None),
        ("AKIAALICE", "of-all", DENIED),
        ("AKIAERIC", "of-all", None),
        ("AKIAED", "of-all", DENIED),
        // From another account both sides must allow, also when the trust names the caller.
        ("AKIABOB", "abroad@444455556666", None),
        ("AKIAALICE", "abroad@444455556666", DENIED),
        ("AKIAERIC", "abroad@444455556666", DENIED),
        // What trusts nobody, and what does not exist.
        ("AKIABOB", "untrusting", DENIED),
        ("AKIABOB", "web", DENIED),
        ("AKIABOB", "gone", DENIED),
    ] {
        let answer = assume(&lasting(key), role, "");
        check(&answer, wanted, &format!("{key} {role}"));
        if wanted.is_some() {
            let message = element(&answer.body, "Message");
            assert!(message.contains(
                "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::"
            ));
        }
    }
}

#[test]
fn a_role_that_does_not_exist_looks_like_one_that_does_not_trust() {
    let text = |role: &str| {
        let answer = assume(&lasting("AKIABOB"), role, "");
        (answer.status, answer.body.replace(role, "ROLE"))
    };
    assert_eq!(text("gone"), text("untrusting"));
}

#[test]
fn conditions_of_trust_hold_or_refuse() {
    let right = "&ExternalId=4711&RoleSessionName=alice-1";
    for (more, wanted) in [
        (right, None),
        ("&RoleSessionName=alice-1", DENIED),
        ("&ExternalId=4712&RoleSessionName=alice-1", DENIED),
        ("&ExternalId=4711&RoleSessionName=bob-1", DENIED),
    ] {
        check(
            &assume(&lasting("AKIAALICE"), "conditioned", more),
            wanted,
            more,
        );
    }
}

#[test]
fn tags_and_source_identities_need_permissions_of_their_own() {
    let tag =
        |key: &str, value: &str| format!("&Tags.member.1.Key={key}&Tags.member.1.Value={value}");
    for (role, more, wanted) in [
        ("tagged", tag("team", "web"), None),
        ("tagged", tag("team", "ops"), DENIED),
        ("tagged", "&SourceIdentity=alice".to_owned(), None),
        ("tagged", "&SourceIdentity=bob".to_owned(), DENIED),
        ("of-alice", tag("team", "web"), DENIED),
        ("of-alice", "&SourceIdentity=alice".to_owned(), DENIED),
    ] {
        check(&assume(&lasting("AKIAALICE"), role, &more), wanted, &more);
    }
}

#[test]
fn parameters_out_of_their_ranges_are_refused() {
    let long = "x".repeat(2049);
    let tags = |count: usize, length: usize| -> String {
        let mut text = String::new();
        for n in 1..=count {
            let value = "v".repeat(length);
            write!(
                text,
                "&Tags.member.{n}.Key=k{n}&Tags.member.{n}.Value={value}"
            )
            .unwrap();
        }
        text
    };
    let policy = |text: &str| format!("&Policy={}", encoded(text));
    for (more, wanted) in [
        ("&DurationSeconds=900".to_owned(), None),
        ("&DurationSeconds=7200".to_owned(), None),
        ("&DurationSeconds=7201".to_owned(), INVALID),
        ("&DurationSeconds=899".to_owned(), INVALID),
        ("&DurationSeconds=43201".to_owned(), INVALID),
        ("&DurationSeconds=long".to_owned(), INVALID),
        ("&DurationSeconds=-900".to_owned(), INVALID),
        ("&RoleSessionName=x".to_owned(), INVALID),
        ("&RoleSessionName=a%20b".to_owned(), INVALID),
        ("&RoleSessionName=a/b".to_owned(), INVALID),
        ("&ExternalId=x".to_owned(), INVALID),
        ("&SourceIdentity=aws:x".to_owned(), INVALID),
        ("&SerialNumber=x".to_owned(), DENIED),
        (
            "&PolicyArns.member.1.arn=arn:aws:iam::aws:policy/X".to_owned(),
            INVALID,
        ),
        (policy(r#"{"Version":"2012-10-17","Statement":[]}"#), None),
        (policy("{"), Some("MalformedPolicyDocument")),
        (
            policy(
                r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#,
            ),
            Some("MalformedPolicyDocument"),
        ),
        (policy(&long), INVALID),
        (tags(51, 1), INVALID),
        (tags(50, 200), Some("PackedPolicyTooLarge")),
        ("&Tags.member.1.Key=".to_owned(), INVALID),
        (
            "&Tags.member.1.Key=aws:x".to_owned(),
            Some("InvalidParameterValue"),
        ),
        (
            "&Tags.member.1.Key=a&Tags.member.2.Key=A".to_owned(),
            Some("InvalidParameterValue"),
        ),
        (
            "&TransitiveTagKeys.member.1=a".to_owned(),
            Some("InvalidParameterValue"),
        ),
        (
            "&ExternalId=1234&ExternalId=1234".to_owned(),
            Some("MalformedQueryString"),
        ),
    ] {
        check(
            &assume(&lasting("AKIAALICE"), "of-alice", &more),
            wanted,
            &more,
        );
    }
}

#[test]
fn an_assumed_session_says_who_it_is_and_how_long() {
    let answer = assume(&lasting("AKIAALICE"), "of-alice", "&DurationSeconds=900");
    let body = &answer.body;
    assert_eq!(
        element(body, "Arn"),
        "arn:aws:sts::111122223333:assumed-role/of-alice/work"
    );
    assert!(element(body, "AssumedRoleId").starts_with("AROA"));
    assert_eq!(element(body, "Expiration"), "2027-01-15T08:15:00Z");
    assert!(!body.contains("PackedPolicySize"));
    let signer = credentials(&answer);
    assert_eq!(signer.key.len(), 20);
    assert!(signer.key.starts_with("ASIA"));
    assert_eq!(signer.secret.len(), 40);
    let session = session(&answer);
    assert_eq!(session.issued, at(NOW));
    assert_eq!(session.expires, at(NOW + 900));
    // It signs, and is somebody else than who asked for it.
    let who = ask(&sign(
        call("Action=GetCallerIdentity"),
        &signer,
        "us-west-2",
        "sts",
    ));
    assert_eq!(
        element(&who.body, "Arn"),
        "arn:aws:sts::111122223333:assumed-role/of-alice/work"
    );
    assert_eq!(element(&who.body, "UserId"), element(body, "AssumedRoleId"));
    assert_eq!(element(&who.body, "Account"), "111122223333");
    // Until it is over.
    let mut late = sign(
        call("Action=GetCallerIdentity"),
        &signer,
        "us-west-2",
        "sts",
    );
    late.at = at(NOW + 240);
    check(&ask(&late), None, "in time");
}

#[test]
fn an_expired_session_is_told_so() {
    let answer = assume(&lasting("AKIAALICE"), "of-alice", "&DurationSeconds=900");
    let mut expired = session(&answer);
    expired.expires = at(NOW);
    let signer = Signer {
        token: Some(WORLD.keys.seal(&expired, [3; 12]).unwrap()),
        ..credentials(&answer)
    };
    let who = ask(&sign(
        call("Action=GetCallerIdentity"),
        &signer,
        "us-west-2",
        "sts",
    ));
    check(&who, Some("ExpiredToken"), "expired");
}

#[test]
fn a_session_hands_on_its_identity_and_its_transitive_tags() {
    let more = "&Tags.member.1.Key=team&Tags.member.1.Value=web&TransitiveTagKeys.member.1=team&SourceIdentity=alice";
    let first = credentials(&assume(&lasting("AKIAALICE"), "tagged", more));
    let second = assume(
        &first,
        "second",
        "&Tags.member.1.Key=cost&Tags.member.1.Value=1",
    );
    let session = session(&second);
    assert_eq!(session.source_identity.as_deref(), Some("alice"));
    assert_eq!(session.tags.get("team").map(String::as_str), Some("web"));
    assert_eq!(session.tags.get("cost").map(String::as_str), Some("1"));
    assert!(session.transitive.contains("team") && !session.transitive.contains("cost"));
    assert!(matches!(&session.bearer, Bearer::Role { arn, .. } if arn.ends_with("role/second")));
    for (more, wanted) in [
        ("&SourceIdentity=alice", None),
        ("&SourceIdentity=other", DENIED),
        (
            "&Tags.member.1.Key=TEAM&Tags.member.1.Value=ops",
            Some("InvalidParameterValue"),
        ),
        // A session assumed from another one lasts an hour at most.
        ("&DurationSeconds=3600", None),
        ("&DurationSeconds=3601", INVALID),
    ] {
        check(&assume(&first, "second", more), wanted, more);
    }
}

#[test]
fn a_session_policy_limits_what_its_session_may_assume() {
    let policy = |action: &str| {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"{action}","Resource":"*"}}}}"#
        );
        format!("&Policy={}", encoded(&text))
    };
    for (action, wanted) in [("sts:*", None), ("vpc-lattice-svcs:*", DENIED)] {
        let answer = assume(&lasting("AKIAALICE"), "tagged", &policy(action));
        assert_eq!(element(&answer.body, "PackedPolicySize"), "2");
        check(&assume(&credentials(&answer), "second", ""), wanted, action);
    }
}

#[test]
fn users_get_temporary_credentials_and_sessions_do_not() {
    let token = |signer: &Signer, more: &str| {
        let body = format!("Action=GetSessionToken&Version=2011-06-15{more}");
        ask(&sign(call(&body), signer, "us-west-2", "sts"))
    };
    let answer = token(&lasting("AKIAALICE"), "");
    let signer = credentials(&answer);
    assert_eq!(session(&answer).expires, at(NOW + 43_200));
    let who = ask(&sign(
        call("Action=GetCallerIdentity"),
        &signer,
        "us-west-2",
        "sts",
    ));
    assert_eq!(
        element(&who.body, "Arn"),
        "arn:aws:iam::111122223333:user/alice"
    );
    check(&token(&signer, ""), DENIED, "with a session of a user");
    let role = credentials(&assume(&signer, "of-alice", ""));
    check(&token(&role, ""), DENIED, "with a session of a role");
    for (seconds, wanted) in [
        ("900", None),
        ("129600", None),
        ("129601", INVALID),
        ("899", INVALID),
    ] {
        let more = format!("&DurationSeconds={seconds}");
        check(&token(&lasting("AKIAALICE"), &more), wanted, seconds);
    }
}

#[test]
fn signatures_are_verified_like_those_of_requests() {
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let alice = lasting("AKIAALICE");
    let signed = |region, service| sign(call(body), &alice, region, service);
    let wrong = |change: fn(&mut Call)| {
        let mut call = signed("us-west-2", "sts");
        change(&mut call);
        call
    };
    let mismatch = Some("SignatureDoesNotMatch");
    let bad_secret = Signer {
        secret: "another".to_owned(),
        ..alice.clone()
    };
    let bad_token = Signer {
        token: Some("token".to_owned()),
        ..alice.clone()
    };
    for (call, wanted, told) in [
        (signed("us-west-2", "sts"), None, "right"),
        (signed("us-east-1", "sts"), None, "the region of the world"),
        (signed("eu-west-1", "sts"), mismatch, "another region"),
        (
            signed("us-west-2", "vpc-lattice-svcs"),
            mismatch,
            "another service",
        ),
        (call(body), Some("MissingAuthenticationToken"), "unsigned"),
        (
            wrong(|call| call.body = Bytes::from_static(b"Action=GetSessionToken")),
            mismatch,
            "another body",
        ),
        (wrong(|call| call.at = at(NOW + 301)), mismatch, "late"),
        (
            sign(call(body), &bad_secret, "us-west-2", "sts"),
            mismatch,
            "another secret",
        ),
        (
            sign(call(body), &lasting("AKIANOBODY"), "us-west-2", "sts"),
            Some("InvalidClientTokenId"),
            "nobody's",
        ),
        (
            sign(call(body), &bad_token, "us-west-2", "sts"),
            Some("InvalidClientTokenId"),
            "a token",
        ),
        (
            wrong(|call| {
                call.headers.insert(
                    "authorization",
                    HeaderValue::from_static("AWS4-HMAC-SHA256 x"),
                );
            }),
            Some("IncompleteSignature"),
            "malformed",
        ),
    ] {
        check(&ask(&call), wanted, told);
    }
    let mut get = call("");
    get.method = Method::GET;
    get.query = Some(body.into());
    check(&ask(&sign(get, &alice, "us-west-2", "sts")), None, "GET");
}

#[test]
fn what_is_not_served_is_told_so() {
    let with = |change: fn(&mut Call)| {
        let mut call = call("Action=GetCallerIdentity&Version=2011-06-15");
        change(&mut call);
        call
    };
    for (call, wanted) in [
        (call("Action=GetFederationToken"), "InvalidAction"),
        (
            call("Action=GetCallerIdentity&Version=2010-01-01"),
            "InvalidAction",
        ),
        (call("Version=2011-06-15"), "MissingAction"),
        (call(""), "MissingAction"),
        (call("Action=%"), "MalformedQueryString"),
        (with(|call| call.path = "/services".into()), "InvalidAction"),
        (with(|call| call.method = Method::PUT), "InvalidAction"),
    ] {
        check(&ask(&call), Some(wanted), wanted);
    }
}

#[test]
fn web_identities_are_believed_and_trusted_or_not() {
    let assume = |token: &str, role: &str, more: &str| {
        let body =
            assuming(role, more).replace("Action=AssumeRole&", "Action=AssumeRoleWithWebIdentity&");
        ask(&call(&format!("{body}&WebIdentityToken={token}")))
    };
    let invalid = Some("InvalidIdentityToken");
    for (token, role, more, wanted) in [
        ("orders", "web", "", None),
        ("catalog", "web", "", DENIED),
        ("other-provider", "web", "", DENIED),
        ("late", "web", "", Some("ExpiredTokenException")),
        ("foreign", "web", "", invalid),
        ("forged", "web", "", invalid),
        ("orders", "gone", "", DENIED),
        ("orders", "abroad@444455556666", "", invalid),
        ("orders", "untrusting", "", DENIED),
        // Whoever trusts everybody does not trust an identity provider that it has not named.
        ("orders", "of-all", "", DENIED),
        ("orders", "of-alice", "", DENIED),
        ("orders", "web", "&DurationSeconds=3601", INVALID),
        ("orders", "web", "&SourceIdentity=me", DENIED),
    ] {
        check(
            &assume(token, role, more),
            wanted,
            &format!("{token} {role} {more}"),
        );
    }
    let answer = assume("orders", "web", "");
    let body = &answer.body;
    assert_eq!(
        element(body, "SubjectFromWebIdentityToken"),
        "system:serviceaccount:shop:orders"
    );
    assert_eq!(element(body, "Audience"), "sts.amazonaws.com");
    assert_eq!(
        element(body, "Arn"),
        "arn:aws:sts::111122223333:assumed-role/web/work"
    );
    let session = session(&answer);
    assert_eq!(
        session.federated_provider.as_deref(),
        Some("arn:aws:iam::111122223333:oidc-provider/issuer.test/a")
    );
}

#[test]
fn without_keys_nothing_is_given_out() {
    let call = sign(
        call(&assuming("of-alice", "")),
        &lasting("AKIAALICE"),
        "us-west-2",
        "sts",
    );
    let answer = ask_with(&call, &SealingKeys::default());
    check(&answer, Some("InternalFailure"), "no keys");
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
}
