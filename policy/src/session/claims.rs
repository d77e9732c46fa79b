//! What stands in a token, before it is encrypted: JSON with short names, because tokens travel with every request.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use trellis_model::config::Secret;

use super::{Bearer, Session};

/// A session as it is written. A member that is not known is refused: it could be a restriction.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims<'a> {
    #[serde(rename = "k")]
    access_key_id: Cow<'a, str>,
    #[serde(rename = "s")]
    secret: Cow<'a, str>,
    /// ARN of the role or user.
    #[serde(rename = "a")]
    arn: Cow<'a, str>,
    /// Name of the session; none for a user.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    session_name: Option<Cow<'a, str>>,
    #[serde(rename = "t", default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: Cow<'a, BTreeMap<String, String>>,
    #[serde(rename = "tt", default, skip_serializing_if = "BTreeSet::is_empty")]
    transitive: Cow<'a, BTreeSet<String>>,
    #[serde(rename = "si", default, skip_serializing_if = "Option::is_none")]
    source_identity: Option<Cow<'a, str>>,
    #[serde(rename = "fp", default, skip_serializing_if = "Option::is_none")]
    federated_provider: Option<Cow<'a, str>>,
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    policies: Vec<Cow<'a, str>>,
    /// Seconds since 1970.
    #[serde(rename = "i")]
    issued: u64,
    #[serde(rename = "e")]
    expires: u64,
}

/// Writes a session; `None` when it cannot be written, which no session here can bring about.
pub(super) fn write(session: &Session) -> Option<Vec<u8>> {
    let (arn, session_name) = match &session.bearer {
        Bearer::Role { arn, session_name } => (arn, Some(session_name)),
        Bearer::User { arn } => (arn, None),
    };
    let text = |text: &'_ Option<Box<str>>| text.as_deref().map(|text| Cow::Owned(text.to_owned()));
    let claims = Claims {
        access_key_id: Cow::Borrowed(&session.access_key_id),
        secret: Cow::Borrowed(session.secret.expose()),
        arn: Cow::Borrowed(arn),
        session_name: session_name.map(|name| Cow::Borrowed(&**name)),
        tags: Cow::Borrowed(&session.tags),
        transitive: Cow::Borrowed(&session.transitive),
        source_identity: text(&session.source_identity),
        federated_provider: text(&session.federated_provider),
        policies: session
            .policies
            .iter()
            .map(|text| Cow::Borrowed(&**text))
            .collect(),
        issued: seconds(session.issued)?,
        expires: seconds(session.expires)?,
    };
    serde_json::to_vec(&claims).ok()
}

/// Reads a session.
pub(super) fn read(bytes: &[u8]) -> Option<Session> {
    let claims: Claims<'_> = serde_json::from_slice(bytes).ok()?;
    let arn = claims.arn.into();
    let bearer = match claims.session_name {
        Some(name) => Bearer::Role {
            arn,
            session_name: name.into(),
        },
        None => Bearer::User { arn },
    };
    Some(Session {
        access_key_id: claims.access_key_id.into(),
        secret: Secret::new(&claims.secret),
        bearer,
        tags: claims.tags.into_owned(),
        transitive: claims.transitive.into_owned(),
        source_identity: claims.source_identity.map(Into::into),
        federated_provider: claims.federated_provider.map(Into::into),
        policies: claims.policies.into_iter().map(Into::into).collect(),
        issued: moment(claims.issued)?,
        expires: moment(claims.expires)?,
    })
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs())
}

fn moment(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
