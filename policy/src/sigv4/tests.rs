//! Requests signed here from canonical requests that are written out, and what must become of them when anything is changed.

mod asymmetric;
mod changes;
mod presigned;
mod rules;
mod spellings;

use aws_sigv4::sign::{
    v4::{calculate_signature, generate_signing_key},
    v4a,
};
use http::{HeaderName, HeaderValue};
use ring::digest;
use trellis_model::{config::Secret, name::Region};

use super::*;
use crate::principal::PrincipalIndex;

const KEY: &str = "AKIATEST";
const SECRET: &str = "the secret of the test";
const NOON: &str = "20261124T120000Z";
const SCOPE: &str = "20261124/us-west-2/vpc-lattice-svcs/aws4_request";
/// The scope of Signature Version 4A, which has no region.
const ECDSA_SCOPE: &str = "20261124/vpc-lattice-svcs/aws4_request";
const SIGNED: &str = "host;x-amz-content-sha256;x-amz-date";
const OWNER: Caller = Caller::Principal(PrincipalIndex(7));

fn at(text: &str) -> SystemTime {
    let seconds = Timestamp::parse(text.as_bytes()).unwrap().unix();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap())
}

fn verifier() -> Verifier {
    let region: Region = "us-west-2".parse().unwrap();
    let key =
        |id: &str, secret: &str, owner| (id.into(), Secret::new(secret), PrincipalIndex(owner));
    let keys = [key(KEY, SECRET, 7), key("AKIAOTHER", "another secret", 8)];
    Verifier::new(Arc::new(KeyRing::new(&region, keys).unwrap()), DEFAULT_SKEW)
}

/// A request on its way.
#[derive(Debug, Clone)]
struct Sent {
    method: String,
    path: Vec<u8>,
    query: Option<Vec<u8>>,
    authority: Vec<u8>,
    headers: HeaderMap,
    presigned: Presigned,
}

impl Sent {
    /// `GET /a?b=c` to `orders.test`, unsigned.
    fn new(line: &str) -> Self {
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes().to_vec())),
            None => (target, None),
        };
        Self {
            method: method.to_owned(),
            path: path.as_bytes().to_vec(),
            query,
            authority: b"orders.test".to_vec(),
            headers: HeaderMap::new(),
            presigned: Presigned::Counts,
        }
        .header("x-amz-date", NOON)
        .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    }

    /// With one more line of a header.
    fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let value = HeaderValue::from_bytes(value.as_ref()).unwrap();
        self.headers.append(name, value);
        self
    }

    /// With a header in place of its other lines.
    fn set(mut self, name: &str, value: &str) -> Self {
        self.headers.remove(name);
        self.header(name, value)
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.remove(name).unwrap();
        self
    }

    fn query(mut self, query: &str) -> Self {
        self.query = Some(query.as_bytes().to_vec());
        self
    }

    fn authority(mut self, authority: &str) -> Self {
        self.authority = authority.as_bytes().to_vec();
        self
    }

    /// Signed: the canonical request is `canonical`, in its lines.
    fn sign(self, canonical: &str) -> Self {
        let signed = canonical.lines().rev().nth(1).unwrap();
        let value = authorization(KEY, SECRET, SCOPE, NOON, signed, canonical);
        self.set("authorization", &value)
    }

    /// With one thing of its `Authorization` replaced.
    fn replace(self, from: &str, to: &str) -> Self {
        let value = self.headers["authorization"].to_str().unwrap();
        assert!(value.contains(from), "{value}");
        let value = value.replacen(from, to, 1);
        self.set("authorization", &value)
    }

    fn verify(&self, verifier: &Verifier, now: SystemTime) -> Result<Caller, SignatureError> {
        let parts = SignedParts {
            method: &self.method,
            path: &self.path,
            query: self.query.as_deref(),
            authority: &self.authority,
            headers: &self.headers,
            presigned: self.presigned,
        };
        verifier.verify(&parts, now)
    }

    /// What becomes of it at noon: whose it is, or the caller's text.
    fn outcome(&self) -> String {
        match self.verify(&verifier(), at(NOON)) {
            Ok(Caller::Anonymous) => "anonymous".to_owned(),
            Ok(caller @ Caller::Principal(_)) if caller == OWNER => "owner".to_owned(),
            Ok(other) => format!("{other:?}"),
            Err(error) => {
                assert_eq!(error.status(), 403);
                error.public_text()
            }
        }
    }
}

fn authorization(
    key: &str,
    secret: &str,
    scope: &str,
    date: &str,
    signed: &str,
    canonical: &str,
) -> String {
    let signature = hmac(secret, scope, date, canonical);
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={signed}, Signature={signature}"
    )
}

/// The signature of Signature Version 4.
fn hmac(secret: &str, scope: &str, date: &str, canonical: &str) -> String {
    let [_, region, service, _] = scope.split('/').collect::<Vec<_>>()[..] else {
        panic!("{scope}");
    };
    let text = to_sign("AWS4-HMAC-SHA256", date, scope, canonical);
    let key = generate_signing_key(secret, at(date), region, service);
    calculate_signature(key, text.as_bytes())
}

/// The signature of Signature Version 4A.
fn ecdsa(key: &str, secret: &str, date: &str, canonical: &str) -> String {
    let text = to_sign("AWS4-ECDSA-P256-SHA256", date, ECDSA_SCOPE, canonical);
    v4a::calculate_signature(v4a::generate_signing_key(key, secret), text.as_bytes())
}

fn to_sign(algorithm: &str, date: &str, scope: &str, canonical: &str) -> String {
    let hash = digest::digest(&digest::SHA256, canonical.as_bytes());
    let digits = hash.as_ref().iter().flat_map(|byte| {
        [byte >> 4, byte & 15].map(|nibble| char::from_digit(nibble.into(), 16).unwrap())
    });
    let hash: String = digits.collect();
    format!("{algorithm}\n{date}\n{scope}\n{hash}")
}

/// The canonical request of a request without headers of its own.
fn plain(method: &str, path: &str, query: &str) -> String {
    canonical(method, path, query, "orders.test")
}

fn canonical(method: &str, path: &str, query: &str, host: &str) -> String {
    format!(
        "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{NOON}\n\n{SIGNED}\nUNSIGNED-PAYLOAD"
    )
}

/// `GET /pay/1?a=1&b=2` with the header `x-team`, rightly signed.
fn good() -> Sent {
    let canonical = format!(
        "GET\n/pay/1\na=1&b=2\nhost:orders.test\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{NOON}\nx-team:web\n\n{SIGNED};x-team\nUNSIGNED-PAYLOAD"
    );
    Sent::new("GET /pay/1?a=1&b=2")
        .header("x-team", "web")
        .sign(&canonical)
}

const MISMATCH: &str = "InvalidSignatureException: The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
