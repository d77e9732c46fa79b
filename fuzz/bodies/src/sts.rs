//! Calls of the security token service.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderValue, Method};
use trellis_control_plane::{
    Call, Disbelief, RANDOM_BYTES, Realm, Vouched,
    sts::{OPERATIONS, answer},
};
use trellis_model::{
    config::{PolicyLanguage, Secret},
    name::Region,
};
use trellis_policy::{
    Policies, compile,
    session::{SealingKey, SealingKeys},
    sigv4::{DEFAULT_SKEW, KeyRing, Verifier},
};

use crate::{
    signatures::{HOST, Sent, sha256},
    world::{self, DATE, REGION, SECRET, now},
};

struct Service {
    policies: Policies,
    verifier: Verifier,
    keys: SealingKeys,
    region: Region,
}

/// The role `reader` trusts everybody who may, and one identity provider.
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Principal":"*","Action":"sts:*"},
    {"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/issuer.test"},"Action":"sts:AssumeRoleWithWebIdentity"}]}"#;

static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let mut config = world::config();
    Arc::make_mut(&mut config.roles[0]).trust_policy =
        Some(world::text(PolicyLanguage::Iam, TRUST));
    let policies = compile(&config).unwrap();
    let ring = KeyRing::for_config(&config, &policies).unwrap();
    Service {
        policies,
        verifier: Verifier::new(Arc::new(ring), DEFAULT_SKEW),
        keys: SealingKeys::new(vec![SealingKey::new("now", &Secret::new(SECRET)).unwrap()]),
        region: config.region,
    }
});

fn believe(token: &str, account: &str, _: std::time::SystemTime) -> Result<Vouched, Disbelief> {
    if token.is_empty() || account != "111122223333" {
        return Err(Disbelief::NoProvider);
    }
    Ok(Vouched {
        provider: "arn:aws:iam::111122223333:oidc-provider/issuer.test".to_owned(),
        issuer: "issuer.test".to_owned(),
        subject: token.to_owned(),
        audience: "sts.amazonaws.com".to_owned(),
        claims: vec![("sub".to_owned(), vec![token.to_owned()])],
    })
}

/// The body of a signed call: the answer is well-formed XML, its status is that of its outcome, no secret of ours is in it.
pub(crate) fn call(data: &[u8]) {
    let service = &*SERVICE;
    let sent = Sent {
        method: "POST",
        host: HOST,
        path: b"/".to_vec(),
        query: None,
        fields: vec![("x-amz-date", DATE.as_bytes().to_vec())],
    };
    let authorization = sent.authorization(&sha256(data), "sts");
    let mut headers = sent.headers(Some(authorization.as_bytes())).unwrap();
    headers.insert("host", HeaderValue::from_static(HOST));
    let call = Call {
        method: Method::POST,
        path: "/".into(),
        query: None,
        headers,
        body: Bytes::copy_from_slice(data),
        source: [10, 0, 0, 1].into(),
        at: now(),
        id: "the-id".into(),
    };
    let realm = Realm {
        policies: &service.policies,
        verifier: &service.verifier,
        keys: &service.keys,
        region: &service.region,
        believe: &believe,
        random: [7; RANDOM_BYTES],
        draw: &|| 7,
    };
    let answer = answer(&call, &realm);
    let outcome = &answer.outcome;
    assert_eq!(
        answer.status.is_success(),
        outcome.error.is_none(),
        "{outcome:?}"
    );
    assert!(
        outcome
            .operation
            .is_none_or(|name| OPERATIONS.contains(&name))
    );
    assert!(!answer.body.contains(SECRET), "a secret of ours");
    check_xml(&answer.body);
    assert_eq!(service.region.as_str(), REGION);
}

/// Every element that begins ends, in order, and there is nothing that an element cannot hold.
fn check_xml(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut pieces = text.split('<');
    assert_eq!(
        pieces.next().map(str::trim),
        Some(""),
        "text before the first element: {text}"
    );
    for piece in pieces {
        let (tag, content) = piece.split_once('>').unwrap();
        check_text(content);
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{text}");
        } else if !tag.ends_with('/') && !tag.starts_with('?') {
            open.push(tag.split(' ').next().unwrap_or_default());
        }
    }
    assert!(open.is_empty(), "{open:?} never ends: {text}");
}

/// Spec: XML 1.0 §2.2, §2.4, §4.1.
fn check_text(text: &str) {
    for reference in text.split('&').skip(1) {
        let (name, _) = reference.split_once(';').unwrap();
        let named = ["amp", "lt", "gt", "quot", "apos"].contains(&name);
        assert!(named || name.starts_with('#'), "`&{name};` is nothing");
    }
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    assert!(
        text.chars().all(allowed),
        "a character that XML does not have: {text:?}"
    );
}
