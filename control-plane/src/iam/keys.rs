//! Access keys of users.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::StatusCode;

use super::{
    find,
    given::{Given, invalid},
    limit, page,
    users::{may, named_or_caller},
};
use crate::{
    neighbor::{Refusal, Visit},
    plane::changed,
    realm::RANDOM_BYTES,
    resource::{AccessKey, Hidden, KeyStatus, User},
    xml::Xml,
};

/// Most keys of a user. Source: IAM user guide, "IAM and AWS STS quotas".
const MOST: usize = 2;
/// What the id of a lasting key begins with.
const PREFIX: &str = "AKIA";
/// Letters of an id after that, five bits each.
const ID_LETTERS: usize = 16;
/// Bytes of a secret: forty letters of base64, as AWS's secrets have.
const SECRET_BYTES: usize = 30;

/// A key id and its secret, out of random bytes that nothing else is made of.
pub(crate) fn random_key(random: &[u8; RANDOM_BYTES]) -> (String, Hidden) {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (letters, rest) = random.split_at(ID_LETTERS);
    let letters = letters
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
    let id = PREFIX
        .chars()
        .chain(letters.map(|letter| char::from(*letter)))
        .collect();
    let secret = rest.split_at(SECRET_BYTES).0;
    (id, Hidden::new(BASE64.encode(secret)))
}

pub(super) fn create(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = named_or_caller(given, visit)?;
    may("iam:CreateAccessKey", name, visit)?;
    let random = visit
        .random
        .ok_or_else(|| Refusal::Internal("the system gives no random numbers".to_owned()))?;
    let (id, secret) = random_key(random);
    visit.change(|draft| {
        let entry = find::<User>(draft.catalog(), visit, name)?;
        if entry.value.access_keys.len() >= MOST {
            return Err(limit(format!(
                "Cannot exceed quota for AccessKeysPerUser: {MOST}"
            )));
        }
        let key = AccessKey {
            id: id.clone(),
            secret: Some(secret.clone()),
            status: KeyStatus::Active,
            created_at: visit.now,
        };
        let mut xml = Xml::default();
        xml.within("AccessKey", |xml| {
            show(xml, name, &key);
            xml.text("SecretAccessKey", secret.expose());
        });
        let user = changed(&entry.value, |user| user.access_keys.push(key));
        draft.update(entry, &user)?;
        Ok(xml)
    })
}

fn show(xml: &mut Xml, user: &str, key: &AccessKey) {
    xml.text("UserName", user);
    xml.text("AccessKeyId", &key.id);
    xml.text("Status", key.status.name());
    xml.text("CreateDate", &key.created_at.text());
}

pub(super) fn list(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = named_or_caller(given, visit)?;
    may("iam:ListAccessKeys", name, visit)?;
    let catalog = visit.plane().catalog();
    let user = &find::<User>(&catalog, visit, name)?.value;
    let keys = user.access_keys.iter().map(|key| (key.id.clone(), key));
    let keys = keys.collect();
    page::list(
        given,
        visit,
        ("AccessKeyMetadata", name),
        keys,
        |xml, key| {
            show(xml, name, key);
        },
    )
}

pub(super) fn update(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = named_or_caller(given, visit)?;
    may("iam:UpdateAccessKey", name, visit)?;
    let status = match given.required("Status")? {
        "Active" => KeyStatus::Active,
        "Inactive" => KeyStatus::Inactive,
        _ => return Err(invalid("Status must be Active or Inactive")),
    };
    let id = given.required("AccessKeyId")?;
    change(name, id, visit, |keys| {
        for key in keys.iter_mut().filter(|key| key.id == id) {
            key.status = status;
        }
    })
}

pub(super) fn delete(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = named_or_caller(given, visit)?;
    may("iam:DeleteAccessKey", name, visit)?;
    let id = given.required("AccessKeyId")?;
    change(name, id, visit, |keys| keys.retain(|key| key.id != id))
}

fn change(
    name: &str,
    id: &str,
    visit: &Visit<'_>,
    make: impl Fn(&mut Vec<AccessKey>),
) -> Result<Xml, Refusal> {
    visit.change(|draft| {
        let entry = find::<User>(draft.catalog(), visit, name)?;
        if !entry.value.access_keys.iter().any(|key| key.id == id) {
            return Err(Refusal::with_status(
                "NoSuchEntity",
                StatusCode::NOT_FOUND,
                format!("The Access Key with id {id} cannot be found."),
            ));
        }
        let user = changed(&entry.value, |user| make(&mut user.access_keys));
        draft.update(entry, &user)?;
        Ok(Xml::default())
    })
}
