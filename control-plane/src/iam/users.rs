//! Users.

use trellis_model::id::UserId;

use super::{
    delete_conflict, find,
    given::{Given, invalid},
    identity, may_be_created, page, tags,
};
use crate::{
    neighbor::{Refusal, Visit},
    resource::{IdentityPolicies, Scope, User, iam_arn},
    xml::Xml,
};

/// Most users of an account. Source: IAM user guide, "IAM and AWS STS quotas".
const MOST: usize = 5000;
/// Most characters of a name.
pub(super) const NAME: usize = 64;

/// The name of the user that a call is about; without one, the caller's.
pub(super) fn named_or_caller<'a>(given: Given<'a>, visit: &Visit<'a>) -> Result<&'a str, Refusal> {
    match given.optional("UserName") {
        Some(_) => given.name("UserName", NAME),
        None => visit
            .user
            .ok_or_else(|| invalid("Must specify userName when calling with non-User credentials")),
    }
}

/// Asks for permission to do something with a user.
pub(super) fn may(action: &str, name: &str, visit: &Visit<'_>) -> Result<(), Refusal> {
    let arn = iam_arn::<User>(visit.account, visit.region(), name);
    visit.may(action, arn.as_str())
}

fn show(xml: &mut Xml, user: &User, visit: &Visit<'_>) {
    identity(xml, user, visit, ("User", "AIDA"));
    xml.text("CreateDate", &user.created_at.text());
}

pub(super) fn create(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = given.name("UserName", NAME)?;
    may("iam:CreateUser", name, visit)?;
    given.no_path()?;
    given.no_boundary()?;
    let user_tags = given.tags()?;
    visit.change(|draft| {
        may_be_created::<User>(draft.catalog(), visit, name, MOST)?;
        let user = User {
            id: UserId::from_number(visit.fresh_number()),
            account: visit.account.clone(),
            name: name.to_owned(),
            created_at: visit.now,
            tags: user_tags.clone(),
            policies: IdentityPolicies::default(),
            access_keys: Vec::new(),
        };
        draft.create(&user)?;
        let mut xml = Xml::default();
        xml.within("User", |xml| {
            show(xml, &user, visit);
            tags(xml, &user.tags);
        });
        Ok(xml)
    })
}

pub(super) fn get(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = named_or_caller(given, visit)?;
    may("iam:GetUser", name, visit)?;
    let catalog = visit.plane().catalog();
    let user = &find::<User>(&catalog, visit, name)?.value;
    let mut xml = Xml::default();
    xml.within("User", |xml| {
        show(xml, user, visit);
        tags(xml, &user.tags);
    });
    Ok(xml)
}

pub(super) fn list(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    may("iam:ListUsers", "", visit)?;
    let catalog = visit.plane().catalog();
    let users = catalog.within::<User>(&Scope::Account(visit.account.clone()));
    let users = users.filter(|_| given.is_in_prefix());
    let users = users.map(|entry| (entry.value.name.clone(), &entry.value));
    page::list(given, visit, ("Users", ""), users.collect(), |xml, user| {
        show(xml, user, visit);
    })
}

pub(super) fn delete(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = given.name("UserName", NAME)?;
    may("iam:DeleteUser", name, visit)?;
    visit.change(|draft| {
        let entry = find::<User>(draft.catalog(), visit, name)?;
        draft.may_change(entry)?;
        if !entry.value.access_keys.is_empty() {
            return Err(delete_conflict("delete access keys"));
        }
        super::attachments::none_left(&entry.value.policies)?;
        draft.remove(entry)?;
        Ok(Xml::default())
    })
}
