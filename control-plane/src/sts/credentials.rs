//! New credentials.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use time::OffsetDateTime;
use trellis_model::config::Secret;
use trellis_policy::session::{
    ACCESS_KEY_PREFIX, Bearer, LONGEST_SESSION, NONCE_BYTES, SealError, Session,
};

use super::{
    SignedBy,
    error::{Code, Fault},
    request::Given,
};
use crate::{call::Call, realm::Realm, xml::Xml};

/// Letters of an access key id after its prefix; AWS's ids have twenty in all.
const ID_LETTERS: usize = 16;
/// Bytes of a secret: forty letters of base64, as AWS's secrets have.
const SECRET_BYTES: usize = 30;

/// Life of `GetSessionToken`'s credentials when nothing is said: twelve hours.
const DEFAULT_LIFE: Duration = Duration::from_secs(43_200);

/// What a session is, but for its credentials.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) bearer: Bearer,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) transitive: BTreeSet<String>,
    pub(super) source_identity: Option<Box<str>>,
    pub(super) federated_provider: Option<Box<str>>,
    pub(super) policies: Vec<Box<str>>,
    pub(super) life: Duration,
}

/// Gives a session credentials, and writes them.
pub(super) fn issue(
    draft: Draft,
    call: &Call,
    realm: &Realm<'_>,
    xml: &mut Xml,
) -> Result<(), Fault> {
    let (id, rest) = realm.random.split_at(ID_LETTERS);
    let (secret, nonce) = rest.split_at(SECRET_BYTES);
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| Fault::internal())?;
    // Whole seconds, because that is what the answer says.
    let since = call.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let issued = UNIX_EPOCH + Duration::from_secs(since.as_secs());
    let session = Session {
        access_key_id: access_key_id(id).into(),
        secret: Secret::new(&BASE64.encode(secret)),
        bearer: draft.bearer,
        tags: draft.tags,
        transitive: draft.transitive,
        source_identity: draft.source_identity,
        federated_provider: draft.federated_provider,
        policies: draft.policies,
        issued,
        expires: issued + draft.life,
    };
    let token = realm
        .keys
        .seal(&session, nonce)
        .map_err(|error| match error {
            SealError::TooLarge { .. } => Fault::new(
                Code::PackedPolicyTooLarge,
                "The session policy and the session tags are too large, please use smaller ones.",
            ),
            SealError::Cipher => Fault::internal().because("no key seals session tokens"),
        })?;
    xml.within("Credentials", |xml| {
        xml.text("AccessKeyId", &session.access_key_id);
        xml.text("SecretAccessKey", session.secret.expose());
        xml.text("SessionToken", &token);
        xml.text("Expiration", &iso_time(session.expires));
    });
    Ok(())
}

/// `GetSessionToken`.
pub(super) fn session_token(
    given: Given<'_>,
    caller: &SignedBy,
    call: &Call,
    realm: &Realm<'_>,
) -> Result<String, Fault> {
    given.no_device()?;
    let life = given.duration(&(900..=LONGEST_SESSION.as_secs()))?;
    if caller.session.is_some() || caller.principal.user_name().is_none() {
        return Err(Fault::new(
            Code::AccessDenied,
            "Cannot call GetSessionToken with session credentials",
        ));
    }
    let draft = Draft {
        bearer: Bearer::User {
            arn: caller.principal.arn.clone(),
        },
        tags: BTreeMap::new(),
        transitive: BTreeSet::new(),
        source_identity: None,
        federated_provider: None,
        policies: Vec::new(),
        life: life.unwrap_or(DEFAULT_LIFE),
    };
    let mut inner = Xml::default();
    issue(draft, call, realm, &mut inner)?;
    let mut xml = Xml::default();
    xml.within("GetSessionTokenResult", |xml| xml.raw(&inner.finish()));
    Ok(xml.finish())
}

/// Five bits a letter, in the alphabet of AWS's ids: no letter looks like another.
fn access_key_id(random: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let letters = random
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
    ACCESS_KEY_PREFIX
        .chars()
        .chain(letters.map(|letter| char::from(*letter)))
        .collect()
}

fn iso_time(time: SystemTime) -> String {
    let moment = OffsetDateTime::from(time);
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
