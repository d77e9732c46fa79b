//! Calls of the API of VPC Lattice.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri};
use serde_json::Value;
use trellis_control_plane::{
    Answer, Call, Content, ControlPlane, Disbelief, Listener, RANDOM_BYTES, Realm,
    lattice::{LiveTargets, Premises, Quotas, Rate, TargetHealth, Throttle, answer, operations},
    store::{
        Change, CommitError, Entry, Range, Revision, Store, StoreError, Transaction, WatchError,
        embedded::Embedded,
    },
};
use trellis_model::{
    config::{Config, Secret},
    id::TargetGroupId,
};
use trellis_policy::{
    Policies, compile,
    session::{SealingKey, SealingKeys},
    sigv4::{DEFAULT_SKEW, KeyRing, Verifier},
};

use crate::{
    signatures::{HOST, Sent, sha256},
    world::{self, DATE, SECRET, now, parts, utf8},
};

/// A store that takes nothing any more: each input finds the world as the one before has found it.
#[derive(Debug)]
struct Closing {
    store: Embedded,
    closed: AtomicBool,
}

/// What it says then.
const CLOSED: &str = "closed for the night";

impl Store for Closing {
    fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Range, StoreError> {
        self.store.range(prefix, after, limit)
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.store.get(key)
    }

    fn commit(&self, transaction: Transaction) -> Result<Revision, CommitError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(CommitError::Store(StoreError::Damaged(CLOSED.to_owned())));
        }
        self.store.commit(transaction)
    }

    fn changes(&self, after: Revision, patience: Duration) -> Result<Vec<Change>, WatchError> {
        self.store.changes(after, patience)
    }

    fn compact(&self, upto: Revision) -> Result<(), StoreError> {
        self.store.compact(upto)
    }
}

struct Quiet;

impl Listener for Quiet {
    fn changed(&self) {}
    fn unreadable(&self, what: &str) {
        panic!("{what}");
    }
    fn failed(&self, error: &StoreError) {
        panic!("{error}");
    }
}

#[derive(Debug)]
struct NoTargets;

impl LiveTargets for NoTargets {
    fn targets(&self, _: TargetGroupId) -> Vec<(String, Option<u16>, TargetHealth)> {
        Vec::new()
    }
}

struct Service {
    config: Config,
    policies: Policies,
    verifier: Verifier,
    keys: SealingKeys,
    plane: ControlPlane,
    throttle: Throttle,
}

/// What there is: one service network, one service with a listener.
const THERE: [(&str, &str, &str); 3] = [
    ("POST", "/servicenetworks", r#"{"name":"commerce"}"#),
    (
        "POST",
        "/services",
        r#"{"name":"orders","tags":{"team":"web"}}"#,
    ),
    (
        "POST",
        "/services/svc-019ab558920000007/listeners",
        r#"{"name":"http","protocol":"HTTP","defaultAction":{"fixedResponse":{"statusCode":404}}}"#,
    ),
];

static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let config = world::config();
    let policies = compile(&config).unwrap();
    let ring = KeyRing::for_config(&config, &policies).unwrap();
    let store = Arc::new(Closing {
        store: Embedded::in_memory().unwrap(),
        closed: AtomicBool::new(false),
    });
    let plane = ControlPlane::start(
        Arc::clone(&store) as _,
        config.region.clone(),
        Arc::new(Quiet),
    );
    let service = Service {
        policies,
        verifier: Verifier::new(Arc::new(ring), DEFAULT_SKEW),
        keys: SealingKeys::new(vec![SealingKey::new("now", &Secret::new(SECRET)).unwrap()]),
        plane: plane.unwrap(),
        // All calls come at one moment.
        throttle: Throttle::new(Rate {
            per_second: u32::MAX,
            burst: u32::MAX,
        }),
        config,
    };
    for (method, target, body) in THERE {
        let answer = service.ask(method, &target.parse().unwrap(), body.as_bytes());
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    }
    store.closed.store(true, Ordering::SeqCst);
    service
});

impl Service {
    /// A call that is signed as it should be.
    fn ask(&self, method: &'static str, target: &Uri, body: &[u8]) -> Answer {
        let sent = Sent {
            method,
            host: HOST,
            path: target.path().as_bytes().to_vec(),
            query: target.query().map(|query| query.as_bytes().to_vec()),
            fields: vec![("x-amz-date", DATE.as_bytes().to_vec())],
        };
        let authorization = sent.authorization(&sha256(body), "vpc-lattice");
        let mut headers = sent.headers(Some(authorization.as_bytes())).unwrap();
        headers.insert("host", HeaderValue::from_static(HOST));
        let call = Call {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            path: target.path().into(),
            query: target.query().map(Into::into),
            headers,
            body: Bytes::copy_from_slice(body),
            source: [10, 0, 0, 1].into(),
            at: now(),
            id: "the-id".into(),
        };
        let realm = Realm {
            policies: &self.policies,
            verifier: &self.verifier,
            keys: &self.keys,
            region: &self.config.region,
            believe: &|_, _, _| Err(Disbelief::NoProvider),
            random: [7; RANDOM_BYTES],
            draw: &|| 7,
        };
        let premises = Premises {
            plane: &self.plane,
            live: &NoTargets,
            quotas: &Quotas::default(),
            throttle: &self.throttle,
            auth_policy_bytes: 10_240,
        };
        answer(&call, &realm, premises)
    }
}

/// Method, path with query, and body, between bytes of zero: the answer is what the protocol says an answer is, it is never a failure of
/// ours but for the store, and no secret is in it.
pub(crate) fn call(data: &[u8]) {
    let [method, target, body] = parts::<3>(data);
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let Some(method) = known.into_iter().find(|known| known.as_bytes() == method) else {
        return;
    };
    let target = utf8(target).and_then(|text| text.parse::<Uri>().ok());
    let Some(target) = target.filter(|target| target.authority().is_none()) else {
        return;
    };
    let answer = SERVICE.ask(method, &target, body);
    let outcome = &answer.outcome;
    assert_eq!(answer.content, Content::Json);
    assert_eq!(answer.error_type, outcome.error);
    let succeeded = answer.status.is_success();
    assert_eq!(succeeded, outcome.error.is_none(), "{outcome:?}");
    assert!(
        outcome
            .operation
            .is_none_or(|name| operations().any(|known| known == name))
    );
    if answer.status.is_server_error() {
        let reason = outcome.reason.as_deref().unwrap_or_default();
        assert!(reason.contains(CLOSED), "{outcome:?}");
    }
    if answer.status == StatusCode::NO_CONTENT {
        assert_eq!(answer.body, "");
    } else {
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let members = body.as_object().unwrap();
        assert!(succeeded || members["message"].is_string(), "{body}");
    }
    assert!(!answer.body.contains(SECRET), "a secret of ours");
}
