//! The service over a small world: who may, who may not, what comes out. The world and its callers are here, the tests by operation.

mod any_call;
mod assume_role;
mod session_token;
mod web_identity;

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
    session::{Bearer, SealingKey, SealingKeys, Session},
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
            draw: &|| 7,
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
