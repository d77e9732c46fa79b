//! Signatures: what is signed as AWS documents it is accepted, and nothing else is.

use std::{
    fmt::Write as _,
    sync::{Arc, LazyLock},
};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::digest;
use trellis_policy::{
    Caller, compile,
    sigv4::{DEFAULT_SKEW, KeyRing, Presigned, SERVICE, SignedParts, Verifier},
};

use crate::world::{self, DATE, KEY_ID, REGION, SECRET, now, parts, utf8};

pub(crate) const HOST: &str = "orders.test:8080";

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let config = world::config();
    let policies = compile(&config).unwrap();
    let keys = KeyRing::for_config(&config, &policies).unwrap();
    Verifier::new(Arc::new(keys), DEFAULT_SKEW)
});

/// A request as it is sent.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    pub(crate) path: Vec<u8>,
    pub(crate) query: Option<Vec<u8>>,
    /// Signed fields, in order of their names, without `host`.
    pub(crate) fields: Vec<(&'static str, Vec<u8>)>,
}

impl Sent {
    fn get(path: &[u8], query: Option<&[u8]>) -> Self {
        Self {
            method: "GET",
            host: HOST,
            path: path.to_vec(),
            query: query.map(<[u8]>::to_vec),
            fields: vec![
                ("x-amz-content-sha256", b"UNSIGNED-PAYLOAD".to_vec()),
                ("x-amz-date", DATE.as_bytes().to_vec()),
            ],
        }
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| *name).collect();
        format!("host;{}", names.join(";"))
            .trim_end_matches(';')
            .to_owned()
    }

    /// The signature, of a canonical request written as the IAM user guide says: "Create a signed AWS API request".
    pub(crate) fn signature(&self, payload: &str, service: &str) -> String {
        let mut lines = format!("host:{}\n", self.host);
        for (name, value) in &self.fields {
            let value = String::from_utf8_lossy(value);
            let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
            writeln!(lines, "{name}:{}", words.join(" ")).unwrap();
        }
        let query = canonical_query(self.query.as_deref().unwrap_or_default());
        let (path, names) = (canonical_path(&self.path), self.names());
        let canonical = format!(
            "{}\n{path}\n{query}\n{lines}\n{names}\n{payload}",
            self.method
        );
        let text = format!(
            "AWS4-HMAC-SHA256\n{DATE}\n{}\n{}",
            scope(service),
            sha256(canonical.as_bytes())
        );
        let key = generate_signing_key(SECRET, now(), REGION, service);
        calculate_signature(key, text.as_bytes())
    }

    pub(crate) fn authorization(&self, payload: &str, service: &str) -> String {
        let (scope, names, signature) = (
            scope(service),
            self.names(),
            self.signature(payload, service),
        );
        format!(
            "AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
    }

    pub(crate) fn headers(&self, authorization: Option<&[u8]>) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static(self.host));
        for (name, value) in &self.fields {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value).ok()?,
            );
        }
        if let Some(authorization) = authorization {
            headers.insert(
                "authorization",
                HeaderValue::from_bytes(authorization).ok()?,
            );
        }
        Some(headers)
    }

    /// Is it proven to come from the holder of the access key? Nothing when it cannot be sent.
    fn is_proven(&self, authorization: Option<&[u8]>) -> Option<bool> {
        let headers = self.headers(authorization)?;
        let parts = SignedParts {
            method: self.method,
            path: &self.path,
            query: self.query.as_deref(),
            authority: self.host.as_bytes(),
            headers: &headers,
            presigned: Presigned::Counts,
        };
        Some(match VERIFIER.verify(&parts, now()) {
            Ok(Caller::Anonymous) | Err(_) => false,
            Ok(_) => true,
        })
    }
}

fn scope(service: &str) -> String {
    format!("{}/{REGION}/{service}/aws4_request", &DATE[..8])
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn encoded(bytes: &[u8], keep: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || keep.contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").unwrap();
        }
        text
    })
}

/// Without dot segments and empty ones, encoded once more.
fn canonical_path(path: &[u8]) -> String {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let mut whole = String::new();
    for segment in &kept {
        write!(whole, "/{}", encoded(segment, b"")).unwrap();
    }
    if kept.is_empty() || path.ends_with(b"/") {
        whole.push('/');
    }
    whole
}

/// Names and values decoded, encoded anew, in order.
fn canonical_query(query: &[u8]) -> String {
    let pairs = query
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || encoded(&decoded(halves.next().unwrap_or_default()), b"");
            (half(), half())
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(utf8);
        let value = escaped
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(value.unwrap_or(*first));
        rest = if value.is_some() { &after[2..] } else { after };
    }
    bytes
}

/// An `Authorization` header for one fixed request: only one that has the request's signature proves anything.
pub(crate) fn authorization(data: &[u8]) {
    static SENT: LazyLock<Sent> = LazyLock::new(|| Sent::get(b"/rates/1", Some(b"b=2&a=1")));
    static RIGHT: LazyLock<String> = LazyLock::new(|| SENT.signature("UNSIGNED-PAYLOAD", SERVICE));
    if SENT.is_proven(Some(data)) == Some(true) {
        let text = String::from_utf8_lossy(data);
        assert!(
            text.contains(RIGHT.as_str()),
            "proven without the signature: {text}"
        );
    }
}

/// The query of a presigned URL: only one that has the signature of a URL that was signed proves anything, and what is signed with
/// further parameters is accepted.
pub(crate) fn presigned(data: &[u8]) {
    static RIGHT: LazyLock<String> = LazyLock::new(|| presign(b"").1);
    let whole = Sent {
        fields: Vec::new(),
        ..Sent::get(b"/rates/1", Some(data))
    };
    if whole.is_proven(None) == Some(true) {
        let text = String::from_utf8_lossy(data);
        assert!(
            text.contains(RIGHT.as_str()),
            "proven without the signature: {text}"
        );
    }
    if data.len() < 2_000 && is_plain(data) && !has_signed_names(data) {
        let (query, _) = presign(data);
        let sent = Sent {
            query: Some(query),
            ..whole
        };
        assert_eq!(
            sent.is_proven(None),
            Some(true),
            "{:?}",
            String::from_utf8_lossy(data)
        );
    }
}

/// A presigned query with more parameters, and its signature.
fn presign(more: &[u8]) -> (Vec<u8>, String) {
    let credential = encoded(format!("{KEY_ID}/{}", scope(SERVICE)).as_bytes(), b"");
    let mut query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={DATE}&X-Amz-Expires=300&X-Amz-SignedHeaders=host&"
    )
    .into_bytes();
    query.extend_from_slice(more);
    let sent = Sent {
        fields: Vec::new(),
        ..Sent::get(b"/rates/1", Some(&query))
    };
    let signature = sent.signature("UNSIGNED-PAYLOAD", SERVICE);
    query.extend_from_slice(format!("&X-Amz-Signature={signature}").as_bytes());
    (query, signature)
}

/// Can it stand in a request target, with nothing but whole escapes?
fn is_plain(text: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(byte);
    let mut escapes = text.split(|byte| *byte == b'%').skip(1);
    text.iter().all(allowed)
        && escapes.all(|after| after.len() >= 2 && after[..2].iter().all(u8::is_ascii_hexdigit))
}

/// Does a query have parameters of signatures, which would be another request?
fn has_signed_names(query: &[u8]) -> bool {
    query.split(|byte| *byte == b'&').any(|pair| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        decoded(name).to_ascii_lowercase().starts_with(b"x-amz")
    })
}

/// A path, a query and the value of a header: the request signed with the naive spelling is proven, and any other is not.
pub(crate) fn canonical(data: &[u8]) {
    let [path, query, value] = parts(data);
    let path = [b"/", path].concat();
    let query = (!query.is_empty()).then_some(query);
    if !is_plain(&path) || !query.is_none_or(|query| is_plain(query) && !has_signed_names(query)) {
        return;
    }
    if !value
        .iter()
        .all(|byte| *byte == b' ' || byte.is_ascii_graphic())
        || data.len() > 4_000
    {
        return;
    }
    let mut sent = Sent::get(&path, query);
    sent.fields.push(("x-data", value.to_vec()));
    let authorization = sent.authorization("UNSIGNED-PAYLOAD", SERVICE);
    let proven = |sent: &Sent| sent.is_proven(Some(authorization.as_bytes())).unwrap();
    assert!(proven(&sent), "not proven: {authorization}");
    let changed = |change: &dyn Fn(&mut Sent)| {
        let mut other = sent.clone();
        change(&mut other);
        assert!(!proven(&other), "proven although changed");
    };
    changed(&|sent| sent.method = "PUT");
    changed(&|sent| sent.host = "catalog.test:8080");
    changed(&|sent| sent.path.extend_from_slice(b"/x"));
    changed(&|sent| {
        sent.query
            .get_or_insert_default()
            .extend_from_slice(b"&x=1");
    });
    changed(&|sent| sent.fields[2].1.extend_from_slice(b"x"));
}
