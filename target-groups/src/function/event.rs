//! The event that a function is given.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use trellis_model::config::EventVersion;

/// Bytes of an event besides its headers, values of the context and body; a guess that saves growing.
const FRAME: usize = 1024;

/// A request as functions are told of it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its method.
    pub method: &'a str,
    /// Path and query, as the client sent them.
    pub target: &'a [u8],
    /// Its header fields, those of the gateway included, hop-by-hop fields excluded.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
    /// The network that it came through.
    pub service_network_arn: &'a str,
    /// The service that it is for.
    pub service_arn: &'a str,
    /// The group of the function.
    pub target_group_arn: &'a str,
    /// The VPC that it came from.
    pub source_vpc_arn: &'a str,
    /// The region of all these.
    pub region: &'a str,
    /// Who sent it, where that was asked and shown.
    pub caller: Option<Caller<'a>>,
    /// When it came.
    pub at: SystemTime,
    /// Its id.
    pub request_id: &'a [u8],
}

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The ARN of the user or session.
    pub principal: &'a str,
    /// The organization of its account.
    pub organization: Option<&'a str>,
    /// The name of the session.
    pub session: Option<&'a str>,
    /// What its certificate says, where it showed one.
    pub certificate: Certificate<'a>,
}

/// What a caller's certificate says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate<'a> {
    /// The organizational unit of its issuer.
    #[serde(rename = "x509IssuerOu", skip_serializing_if = "Option::is_none")]
    pub issuer_ou: Option<&'a str>,
    /// The first of its domain names.
    #[serde(rename = "x509SanDns", skip_serializing_if = "Option::is_none")]
    pub dns: Option<&'a str>,
    /// The common name of its directory name.
    #[serde(rename = "x509SanNameCn", skip_serializing_if = "Option::is_none")]
    pub name_cn: Option<&'a str>,
    /// The first of its URIs.
    #[serde(rename = "x509SanUri", skip_serializing_if = "Option::is_none")]
    pub uri: Option<&'a str>,
    /// The common name of its subject.
    #[serde(rename = "x509SubjectCn", skip_serializing_if = "Option::is_none")]
    pub subject_cn: Option<&'a str>,
}

/// The event is larger than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request does not fit into an event")
    }
}

impl std::error::Error for TooLarge {}

/// Writes the event of a request, of at most `most` bytes.
pub fn event(version: EventVersion, event: &Event<'_>, most: usize) -> Result<Vec<u8>, TooLarge> {
    let body = super::least_length(event.headers, event.body.len());
    let fields: usize = event
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 8)
        .sum();
    let guess = FRAME + 2 * event.target.len() + fields + body;
    let mut text = Bounded {
        text: Vec::with_capacity(guess.min(most)),
        most,
    };
    let written = match version {
        EventVersion::V1 => serde_json::to_writer(&mut text, &V1::of(event)),
        EventVersion::V2 => serde_json::to_writer(&mut text, &V2::of(event)),
    };
    // Nothing else can go wrong: every key is text, and every value is one that JSON has.
    written.map_err(|_| TooLarge)?;
    Ok(text.text)
}

/// Is a body with these headers given to functions as text?
///
/// Source: VPC Lattice user guide, "Receive events from VPC Lattice": the content encoding decides nothing after all, so compressed
/// JSON counts as text; what is not UTF-8 is given in base64 nevertheless, because JSON cannot hold it.
pub fn is_text(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return false;
    };
    let kind = value.as_bytes().split(|b| *b == b';').next();
    let kind = kind.unwrap_or_default().trim_ascii();
    let known: [&[u8]; 3] = [
        b"application/json",
        b"application/xml",
        b"application/javascript",
    ];
    kind.get(..5)
        .is_some_and(|family| family.eq_ignore_ascii_case(b"text/"))
        || known.iter().any(|known| kind.eq_ignore_ascii_case(known))
}

/// The flat form. Its members are always there: consumers that were written against it expect that.
#[derive(Serialize)]
struct V1<'a> {
    raw_path: Cow<'a, str>,
    method: &'a str,
    headers: Joined<'a>,
    query_string_parameters: LastOf<'a>,
    body: Body<'a>,
    is_base64_encoded: bool,
}

impl<'a> V1<'a> {
    fn of(event: &'a Event<'_>) -> Self {
        let body = Body::of(event);
        Self {
            raw_path: text(event.target),
            method: event.method,
            headers: Joined(event.headers),
            query_string_parameters: LastOf(parameters(event.target)),
            is_base64_encoded: matches!(body, Body::Binary(_)) && !event.body.is_empty(),
            body,
        }
    }
}

/// The form with the caller. What does not apply is absent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct V2<'a> {
    version: &'static str,
    path: Cow<'a, str>,
    method: &'a str,
    headers: Listed<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Body<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_base64_encoded: Option<bool>,
    request_context: Context<'a>,
    request_id: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    service_network_arn: &'a str,
    service_arn: &'a str,
    target_group_arn: &'a str,
    identity: Identity<'a>,
    region: &'a str,
    /// Microseconds, as text.
    time_epoch: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    source_vpc_arn: &'a str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    #[serde(rename = "principalOrgID", skip_serializing_if = "Option::is_none")]
    principal_org_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_name: Option<&'a str>,
    #[serde(flatten)]
    certificate: Certificate<'a>,
}

impl<'a> V2<'a> {
    fn of(event: &'a Event<'_>) -> Self {
        let body = (!event.body.is_empty()).then(|| Body::of(event));
        let since = event.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            version: "2.0",
            path: text(event.target),
            method: event.method,
            headers: Listed(event.headers),
            query_string_parameters: parameters(event.target),
            is_base64_encoded: matches!(body, Some(Body::Binary(_))).then_some(true),
            body,
            request_context: Context {
                service_network_arn: event.service_network_arn,
                service_arn: event.service_arn,
                target_group_arn: event.target_group_arn,
                identity: Identity {
                    source_vpc_arn: event.source_vpc_arn,
                    kind: event.caller.map(|_| "AWS_IAM"),
                    principal: event.caller.map(|caller| caller.principal),
                    principal_org_id: event.caller.and_then(|caller| caller.organization),
                    session_name: event.caller.and_then(|caller| caller.session),
                    certificate: event
                        .caller
                        .map(|caller| caller.certificate)
                        .unwrap_or_default(),
                },
                region: event.region,
                time_epoch: since.as_micros().to_string(),
            },
            request_id: text(event.request_id),
        }
    }
}

/// A body as text or in base64, written straight into the event.
enum Body<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}

impl<'a> Body<'a> {
    fn of(event: &Event<'a>) -> Self {
        match std::str::from_utf8(event.body) {
            Ok(text) if is_text(event.headers) => Self::Text(text),
            _ => Self::Binary(event.body),
        }
    }
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Binary(bytes) => serializer.collect_str(&Base64Display::new(bytes, &STANDARD)),
        }
    }
}

/// Header fields, those of one name joined.
struct Joined<'a>(&'a HeaderMap);

impl Serialize for Joined<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.keys_len()))?;
        for name in self.0.keys() {
            map.serialize_entry(name.as_str(), &joined(self.0, name))?;
        }
        map.end()
    }
}

fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Cow<'a, str> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let mut whole = values.next().map(text).unwrap_or_default();
    for value in values {
        let whole = whole.to_mut();
        whole.push_str(", ");
        whole.push_str(&text(value));
    }
    whole
}

/// Header fields, each name with a list of values.
struct Listed<'a>(&'a HeaderMap);

struct Values<'a>(&'a HeaderMap, &'a HeaderName);

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.keys_len()))?;
        for name in self.0.keys() {
            map.serialize_entry(name.as_str(), &Values(self.0, name))?;
        }
        map.end()
    }
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for value in self.0.get_all(self.1) {
            list.serialize_element(&text(value.as_bytes()))?;
        }
        list.end()
    }
}

/// Parameters of a query, each with the last of its values.
struct LastOf<'a>(BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>);

impl Serialize for LastOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let last = self.0.iter().map(|(key, values)| (key, values.last()));
        serializer.collect_map(last)
    }
}

/// The parameters of a target's query, as the client spelled them: nothing is decoded, as application load balancers do, and as AWS's
/// own runtime for Rust takes for granted of VPC Lattice.
fn parameters(target: &[u8]) -> BTreeMap<Cow<'_, str>, Vec<Cow<'_, str>>> {
    let mut parameters: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let query = target.splitn(2, |byte| *byte == b'?').nth(1);
    let pairs = query.unwrap_or_default().split(|byte| *byte == b'&');
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=').map(text);
        let key = halves.next().unwrap_or_default();
        let value = halves.next().unwrap_or_default();
        parameters.entry(key).or_default().push(value);
    }
    parameters
}

/// Bytes of a head as text: UTF-8, or else ISO-8859-1, which HTTP once meant them to be (RFC 9110 §5.5). Nothing is lost by that.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// A text that does not grow beyond its limit.
struct Bounded {
    text: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.most - self.text.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
