//! What a request says about itself: the values of condition keys, and the facts that make one decision differ from another.
//!
//! Texts of policies are Unicode, bytes of requests need not be. A header or query value that is not UTF-8 is read as
//! ISO 8859-1, which loses nothing and is what RFC 9110 §5.5 says such bytes once were. In a path, bytes that are not UTF-8 are
//! read as their percent encoding, which is the only way RFC 3986 has to write them. Cached decisions are kept by the bytes, so
//! two requests that differ are never taken for one another.

use std::{
    borrow::Cow,
    fmt::Write as _,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use smallvec::SmallVec;
use time::OffsetDateTime;

use crate::{
    key::Key,
    principal::Principal,
    request::{Action, Request},
};

/// Something that differs between requests of the same caller to the same service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fact {
    /// The ARN of the service with the path.
    Resource,
    Port,
    Method,
    Path,
    /// A header, by its name in lower case.
    Header(Box<str>),
    /// All headers: a native policy chooses the name at run time.
    AllHeaders,
    /// A query parameter, by its decoded name.
    Query(Box<str>),
    /// All query parameters.
    AllQueries,
    SourceVpc,
    SourceVpcOwner,
    SourceIp,
    SecureTransport,
    /// The time in whole seconds, as a date.
    CurrentTime,
    /// The time in whole seconds, as a number.
    EpochTime,
    // What follows never differs between requests of the same caller to the same service.
    ServiceArn,
    NetworkArn,
    /// The service as an entity, with its tags.
    Service,
    /// That there are headers, whatever they are.
    Headers,
    /// That there is a query, whatever it is.
    Queries,
}

impl Fact {
    /// Can it differ between requests of the same caller to the same service?
    pub(crate) fn varies(&self) -> bool {
        !matches!(
            self,
            Self::ServiceArn | Self::NetworkArn | Self::Service | Self::Headers | Self::Queries
        )
    }
}

/// Values of a key: nearly always one.
pub(crate) type Values<'a> = SmallVec<[Cow<'a, str>; 1]>;

/// The bytes that the facts of a request are written to, as the key of a cached decision.
pub(crate) type Fingerprint = SmallVec<[u8; 256]>;

/// Something that has values of condition keys: a request to a service, or a call of the control API.
pub(crate) trait KeyValues {
    /// The values of a key, at least one; `None` when there are none.
    fn values_of(&self, key: &Key) -> Option<Values<'_>>;
}

impl KeyValues for Facts<'_> {
    fn values_of(&self, key: &Key) -> Option<Values<'_>> {
        self.values(key)
    }
}

/// Everything that policies can ask about one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) principal: Option<&'a Principal>,
    /// Tags of the principal by key, in order, as written and in lower case.
    pub(crate) principal_tags: &'a [(Box<str>, Box<str>)],
    pub(crate) network_arn: &'a str,
    pub(crate) service_arn: &'a str,
    /// Tags of the service, by key in lower case.
    pub(crate) service_tags: &'a [(Box<str>, Box<str>)],
}

impl<'a> Facts<'a> {
    /// The values of a key, at least one; `None` when the request does not have it.
    pub(crate) fn values(&self, key: &Key) -> Option<Values<'a>> {
        let request = self.request;
        let of_request = match key {
            Key::Port => one(request.port.to_string()),
            Key::ServiceNetworkArn => one(self.network_arn),
            Key::ServiceArn => one(self.service_arn),
            Key::SourceVpc => one(request.source_vpc.as_str()),
            Key::SourceVpcOwnerAccount => one(request.source_vpc_owner.as_str()),
            Key::ResourceTag(tag) => self.service_tag(tag).and_then(one),
            Key::Absent | Key::OfCall(_) => None,
            Key::PrincipalArn
            | Key::PrincipalAccount
            | Key::PrincipalType
            | Key::PrincipalOrgId
            | Key::PrincipalOrgPaths
            | Key::PrincipalTag(_)
            | Key::UserId
            | Key::UserName
            | Key::SourceIdentity
            | Key::FederatedProvider
            | Key::TokenIssueTime => self.of_principal(key),
            // Spec: VPC Lattice user guide, "Auth policies for TLS listeners": nothing inside the connection can be seen.
            _ if request.action == Action::Connect => None,
            Key::RequestMethod => one(request.method),
            Key::RequestPath => one(path_text(request.path)),
            Key::RequestHeader(name) => self.header(name).and_then(one),
            Key::RequestQueryString(name) => Some(self.query(name)),
            Key::SourceIp => one(request.source_ip.to_canonical().to_string()),
            Key::SecureTransport => one(if request.secure_transport {
                "true"
            } else {
                "false"
            }),
            Key::CurrentTime => one(iso_time(request.now)),
            Key::EpochTime => one(epoch_seconds(request.now).to_string()),
        };
        of_request.filter(|values| !values.is_empty())
    }

    fn of_principal(&self, key: &Key) -> Option<Values<'a>> {
        let Some(principal) = self.principal else {
            // Source: IAM user guide, "Principal key values"; "AWS global condition context keys", `aws:PrincipalAccount`: for
            // anonymous requests the request context returns `anonymous`.
            return match key {
                Key::PrincipalType => one("Anonymous"),
                Key::UserId | Key::PrincipalAccount => one("anonymous"),
                _ => None,
            };
        };
        match key {
            Key::PrincipalArn => one(&*principal.principal_arn),
            Key::PrincipalAccount => one(principal.account.as_str()),
            Key::PrincipalType => one(principal.kind.as_str()),
            Key::PrincipalOrgId => one(&*principal.organization.as_ref()?.id),
            Key::PrincipalOrgPaths => {
                let paths = principal.organization.as_ref()?.paths.iter();
                Some(paths.map(|path| Cow::Borrowed(&**path)).collect())
            }
            Key::PrincipalTag(tag) => self.principal_tag(tag).and_then(one),
            Key::UserId => one(&*principal.user_id),
            Key::UserName => one(principal.user_name()?),
            Key::SourceIdentity => one(principal.source_identity.as_deref()?),
            Key::FederatedProvider => one(principal.federated_provider.as_deref()?),
            Key::TokenIssueTime => one(iso_time(principal.issued?)),
            _ => None,
        }
    }

    /// A tag of the principal, by its key as written or in lower case.
    pub(crate) fn principal_tag(&self, tag: &str) -> Option<&'a str> {
        let tags = self.principal_tags;
        let found = tags.binary_search_by(|(key, _)| (**key).cmp(tag)).ok()?;
        tags.get(found).map(|(_, value)| &**value)
    }

    /// A tag of the service, by its key in lower case.
    pub(crate) fn service_tag(&self, tag: &str) -> Option<&'a str> {
        self.service_tags
            .iter()
            .find(|(key, _)| **key == *tag)
            .map(|(_, value)| &**value)
    }

    /// The resource: the ARN of the service and, for a request, its path; the root is a final `/`.
    ///
    /// Source: VPC Lattice user guide, "Resource types defined by Amazon VPC Lattice Services".
    pub(crate) fn resource(&self) -> String {
        match self.request.action {
            Action::Connect => self.service_arn.to_owned(),
            Action::Invoke => {
                let path = path_text(self.request.path);
                let mut whole = String::with_capacity(self.service_arn.len() + 1 + path.len());
                whole.push_str(self.service_arn);
                if !path.starts_with('/') {
                    whole.push('/');
                }
                whole.push_str(&path);
                whole
            }
        }
    }

    /// Appends a fact so that no two different values, and no two sequences of values, give the same bytes. `false` for facts
    /// that are too many to be part of a key.
    pub(crate) fn write(&self, fact: &Fact, out: &mut Fingerprint) -> bool {
        let request = self.request;
        match fact {
            Fact::AllHeaders | Fact::AllQueries => return false,
            Fact::Port => put(out, &request.port.to_be_bytes()),
            Fact::Method => put(out, request.method.as_bytes()),
            Fact::Path | Fact::Resource => put(out, request.path),
            Fact::Header(name) => put_all(out, self.header_lines(name)),
            Fact::Query(name) => {
                let values = pairs(request.query).filter_map(|pair| pair.value_of(name));
                put_all(out, values);
            }
            Fact::SourceVpc => put(out, request.source_vpc.as_str().as_bytes()),
            Fact::SourceVpcOwner => put(out, request.source_vpc_owner.as_str().as_bytes()),
            Fact::SourceIp => match request.source_ip {
                IpAddr::V4(address) => put(out, &address.octets()),
                IpAddr::V6(address) => put(out, &address.octets()),
            },
            Fact::SecureTransport => put(out, &[u8::from(request.secure_transport)]),
            Fact::CurrentTime | Fact::EpochTime => {
                put(out, &epoch_seconds(request.now).to_be_bytes());
            }
            Fact::ServiceArn | Fact::NetworkArn | Fact::Service | Fact::Headers | Fact::Queries => {
            }
        }
        true
    }

    /// The lines of a header; `host` is the authority, which HTTP/2 and HTTP/3 send apart from the headers.
    fn header_lines(&self, name: &str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Request {
            headers, authority, ..
        } = *self.request;
        let host = (name == HOST && !authority.is_empty()).then_some(authority);
        let others = host.is_none().then(|| headers.get_all(name).iter());
        let others = others.into_iter().flatten();
        host.into_iter()
            .chain(others.map(http::HeaderValue::as_bytes))
    }

    /// A header's value; several lines of one name are one list.
    pub(crate) fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        let separator = header_separator(name.as_bytes());
        let mut lines = self.header_lines(name);
        let mut joined = text(lines.next()?);
        for line in lines {
            let whole = joined.to_mut();
            whole.push_str(separator);
            whole.push_str(&text(line));
        }
        Some(joined)
    }

    /// The values of a query parameter, perhaps none.
    pub(crate) fn query(&self, name: &str) -> Values<'a> {
        pairs(self.request.query)
            .filter_map(|pair| pair.value_of(name))
            .map(decoded)
            .collect()
    }

    /// All headers as texts, by name.
    pub(crate) fn all_headers(&self) -> Vec<(String, Cow<'a, str>)> {
        let names = self.request.headers.keys().map(http::HeaderName::as_str);
        std::iter::once(HOST)
            .chain(names.filter(|name| *name != HOST))
            .filter_map(|name| Some((name.to_owned(), self.header(name)?)))
            .collect()
    }

    /// All query parameters with their values.
    pub(crate) fn all_queries(&self) -> Vec<(String, Values<'a>)> {
        let mut found: std::collections::BTreeMap<String, Values<'a>> =
            std::collections::BTreeMap::new();
        for pair in pairs(self.request.query) {
            found
                .entry(decoded(pair.name).into_owned())
                .or_default()
                .push(decoded(pair.value));
        }
        found.into_iter().collect()
    }
}

fn put(out: &mut Fingerprint, bytes: &[u8]) {
    // INVARIANT: the length fits, because nothing a request carries comes near four gigabytes.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends several values: how many, then each.
fn put_all<'a>(out: &mut Fingerprint, values: impl Iterator<Item = &'a [u8]>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut count: u32 = 0;
    for value in values {
        put(out, value);
        count = count.saturating_add(1);
    }
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&count.to_be_bytes());
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the arms of `values` are options")]
fn one<'a>(text: impl Into<Cow<'a, str>>) -> Option<Values<'a>> {
    Some(std::iter::once(text.into()).collect())
}

const HOST: &str = "host";

/// What stands between the lines of one header when they are read as one.
///
/// Spec: RFC 9110 §5.2, a comma, without the optional space; RFC 9113 §8.2.3, `; ` for `cookie`, which HTTP/2 clients cut into
/// crumbs after they signed it.
pub(crate) fn header_separator(name: &[u8]) -> &'static str {
    if name == b"cookie" { "; " } else { "," }
}

/// Bytes as text: UTF-8, or else ISO 8859-1.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// A path as text: as sent, except that bytes which are not UTF-8 are percent-encoded.
pub(crate) fn path_text(path: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(path) {
        return Cow::Borrowed(text);
    }
    let mut whole = String::with_capacity(path.len() + 16);
    for chunk in path.utf8_chunks() {
        whole.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(whole, "%{byte:02X}");
        }
    }
    Cow::Owned(whole)
}

/// One `name=value` of a query, undecoded.
struct Pair<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Pair<'a> {
    fn value_of(&self, name: &str) -> Option<&'a [u8]> {
        let same = self.name == name.as_bytes()
            || (needs_decoding(self.name) && decoded(self.name) == name);
        same.then_some(self.value)
    }
}

/// The pairs of a query; a name without `=` has an empty value.
fn pairs(query: Option<&[u8]>) -> impl Iterator<Item = Pair<'_>> {
    query
        .unwrap_or_default()
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            Pair {
                name: halves.next().unwrap_or_default(),
                value: halves.next().unwrap_or_default(),
            }
        })
}

fn needs_decoding(bytes: &[u8]) -> bool {
    memchr::memchr2(b'%', b'+', bytes).is_some()
}

/// Part of a query as text: percent-decoded, `+` as a space, as nearly every server reads it. A `%` without two hex digits
/// stands for itself.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    if !needs_decoding(bytes) {
        return text(bytes);
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', tail),
            },
            (b'+', _) => (b' ', tail),
            (byte, _) => (*byte, tail),
        };
        plain.push(byte);
        rest = tail;
    }
    Cow::Owned(text(&plain).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Whole seconds since 1970.
pub(crate) fn epoch_seconds(now: SystemTime) -> i64 {
    let whole = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => whole(after),
        Err(before) => -whole(before.duration()),
    }
}

/// A time as `aws:CurrentTime` shows it: `2026-11-24T00:00:00Z`.
pub(crate) fn iso_time(now: SystemTime) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(epoch_seconds(now))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        moment.year(),
        u8::from(moment.month()),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second()
    )
}

#[cfg(test)]
mod tests;
