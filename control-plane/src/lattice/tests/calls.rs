//! Whole calls, as clients send them: signed, with their members in path, query and body.

use std::{path::Path, sync::Arc, time::Duration};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};
use time::{OffsetDateTime, macros::format_description};
use trellis_model::{
    config::{Config, Secret},
    load::{Inputs, Source, load},
};
use trellis_policy::{
    Policies, compile,
    session::{SealingKey, SealingKeys},
    sigv4::{KeyRing, Verifier},
};

use super::World;
use crate::{
    call::{Answer, Call},
    lattice::{
        self,
        schema::{API, Location, Operation, Segment},
    },
    realm::{Disbelief, RANDOM_BYTES, Realm},
};

const SECRET: &str = "0123456789012345678901234567890123456789";

/// `admin` may do everything, `nobody` nothing.
const PRINCIPALS: &str = r#"
account: "111122223333"
region: us-west-2
principals:
  users:
    - {name: admin, accessKeys: [{id: AKIAADMIN, secret: {env: SECRET}}], policies: [{Version: "2012-10-17", Statement: {Effect: Allow, Action: "vpc-lattice:*", Resource: "*"}}]}
    - {name: nobody, accessKeys: [{id: AKIANOBODY, secret: {env: SECRET}}]}
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

/// Those who call, and how they are known.
pub(super) struct Callers {
    config: Config,
    policies: Policies,
    verifier: Verifier,
    keys: SealingKeys,
}

impl Callers {
    pub(super) fn new() -> Self {
        let source = Source {
            path: "principals.yaml".into(),
            text: Ok(PRINCIPALS.to_owned()),
        };
        let loaded = load(&[source], &NoFiles).unwrap_or_else(|problems| panic!("{problems}"));
        let config = loaded.config;
        let policies = compile(&config).unwrap_or_else(|problems| panic!("{problems}"));
        let ring = KeyRing::for_config(&config, &policies).unwrap();
        Self {
            verifier: Verifier::new(Arc::new(ring), Duration::from_secs(300)),
            keys: SealingKeys::new(vec![SealingKey::new("a", &Secret::new(SECRET)).unwrap()]),
            policies,
            config,
        }
    }

    /// What a call of `AKIA…` is answered with.
    pub(super) fn ask(&self, world: &World, key: &str, mut call: Call) -> Answer {
        sign(&mut call, key);
        let drawn = std::cell::Cell::new(0);
        let realm = Realm {
            policies: &self.policies,
            verifier: &self.verifier,
            keys: &self.keys,
            region: &self.config.region,
            believe: &|_, _, _| Err(Disbelief::NoProvider),
            random: [7; RANDOM_BYTES],
            draw: &|| {
                drawn.set(drawn.get() + 1);
                drawn.get()
            },
        };
        lattice::answer(&call, &realm, world.premises())
    }
}

/// An input as a call.
pub(super) fn call(world: &World, operation: &Operation, input: &Map<String, Value>) -> Call {
    let text = |name: &str| match &input[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let path: String = operation
        .path
        .iter()
        .map(|segment| match segment {
            Segment::Text(fixed) => format!("/{fixed}"),
            Segment::Label(name) => format!("/{}", encoded(&text(name))),
        })
        .collect();
    let mut query = Vec::new();
    let mut body = Map::new();
    for member in API.members(operation.input) {
        let Some(value) = input.get(&member.name) else {
            continue;
        };
        match (member.location, value) {
            (Location::Query, Value::Array(items)) => query.extend(
                items
                    .iter()
                    .map(|item| format!("{}={}", member.name, encoded(item.as_str().unwrap()))),
            ),
            (Location::Query, _) => {
                query.push(format!("{}={}", member.name, encoded(&text(&member.name))));
            }
            (Location::Body, value) => {
                body.insert(member.name.clone(), value.clone());
            }
            _ => {}
        }
    }
    query.sort_unstable();
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("lattice.test"));
    Call {
        method: operation.method.clone(),
        path: path.into(),
        query: (!query.is_empty()).then(|| query.join("&").into()),
        headers,
        body: if body.is_empty() {
            Bytes::new()
        } else {
            Value::Object(body).to_string().into()
        },
        source: [10, 0, 0, 1].into(),
        at: world.now.get(),
        id: "the-id".into(),
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .map(|nibble| char::from_digit(nibble.into(), 16).unwrap())
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Signs a call as botocore does: the path encoded once more, the body's hash without a header that says so.
fn sign(call: &mut Call, key: &str) {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let date = OffsetDateTime::from(call.at).format(format).unwrap();
    let path: String = call
        .path
        .split('/')
        .map(encoded)
        .collect::<Vec<_>>()
        .join("/");
    let canonical = format!(
        "{}\n{path}\n{}\nhost:lattice.test\nx-amz-date:{date}\n\nhost;x-amz-date\n{}",
        call.method,
        call.query.as_deref().unwrap_or_default(),
        sha256(&call.body)
    );
    let scope = format!(
        "{}/us-west-2/vpc-lattice/aws4_request",
        date.split('T').next().unwrap()
    );
    let hash = sha256(canonical.as_bytes());
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let signing_key = generate_signing_key(SECRET, call.at, "us-west-2", "vpc-lattice");
    let signature = calculate_signature(signing_key, to_sign.as_bytes());
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}"
    );
    let mut put = |name: &'static str, value: &str| {
        call.headers
            .insert(name, HeaderValue::from_str(value).unwrap());
    };
    put("x-amz-date", &date);
    put("authorization", &authorization);
}
