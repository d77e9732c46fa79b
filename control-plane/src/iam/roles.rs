//! Roles.

use trellis_model::id::RoleId;

use super::{
    SESSION_SECONDS, find,
    given::{Given, invalid, percent_encoded},
    identity, may_be_created, page, tags,
};
use crate::{
    neighbor::{Refusal, Visit},
    plane::changed,
    resource::{IdentityPolicies, Role, Scope, iam_arn},
    xml::Xml,
};

/// Most roles of an account, and characters of a trust policy. Source: IAM user guide, "IAM and AWS STS quotas".
const MOST: usize = 1000;
const TRUST_CHARACTERS: usize = 2048;
/// Most characters of a name and of a description.
pub(super) const NAME: usize = 64;
const DESCRIPTION: usize = 1000;

/// Asks for permission to do something with a role.
fn may(action: &str, name: &str, visit: &Visit<'_>) -> Result<(), Refusal> {
    let arn = iam_arn::<Role>(visit.account, visit.region(), name);
    visit.may(action, arn.as_str())
}

fn show(xml: &mut Xml, role: &Role, visit: &Visit<'_>) {
    identity(xml, role, visit, ("Role", "AROA"));
    xml.text("CreateDate", &role.created_at.text());
    if let Some(trust) = &role.trust_policy {
        xml.text("AssumeRolePolicyDocument", &percent_encoded(trust));
    }
    if let Some(description) = &role.description {
        xml.text("Description", description);
    }
    xml.text("MaxSessionDuration", &role.max_session_seconds.to_string());
}

fn whole(role: &Role, visit: &Visit<'_>) -> Xml {
    let mut xml = Xml::default();
    xml.within("Role", |xml| {
        show(xml, role, visit);
        tags(xml, &role.tags);
    });
    xml
}

pub(super) fn create(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = given.name("RoleName", NAME)?;
    may("iam:CreateRole", name, visit)?;
    given.no_path()?;
    given.no_boundary()?;
    let role_tags = given.tags()?;
    let trust = given.trust_policy("AssumeRolePolicyDocument", TRUST_CHARACTERS)?;
    let description = given.optional("Description");
    if description.is_some_and(|text| text.chars().count() > DESCRIPTION) {
        return Err(invalid(format!(
            "Description has at most {DESCRIPTION} characters"
        )));
    }
    let seconds = match given.optional("MaxSessionDuration").map(str::parse::<u32>) {
        None => SESSION_SECONDS,
        Some(Ok(seconds)) if (3600..=43_200).contains(&seconds) => seconds,
        Some(_) => return Err(invalid("MaxSessionDuration must be from 3600 to 43200")),
    };
    visit.change(|draft| {
        may_be_created::<Role>(draft.catalog(), visit, name, MOST)?;
        let role = Role {
            id: RoleId::from_number(visit.fresh_number()),
            account: visit.account.clone(),
            name: name.to_owned(),
            created_at: visit.now,
            tags: role_tags.clone(),
            description: description.map(str::to_owned),
            max_session_seconds: seconds,
            trust_policy: Some(trust.to_owned()),
            policies: IdentityPolicies::default(),
        };
        draft.create(&role)?;
        Ok(whole(&role, visit))
    })
}

pub(super) fn get(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = given.name("RoleName", NAME)?;
    may("iam:GetRole", name, visit)?;
    let catalog = visit.plane().catalog();
    Ok(whole(&find::<Role>(&catalog, visit, name)?.value, visit))
}

pub(super) fn list(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    may("iam:ListRoles", "", visit)?;
    let catalog = visit.plane().catalog();
    let roles = catalog.within::<Role>(&Scope::Account(visit.account.clone()));
    let roles = roles.filter(|_| given.is_in_prefix());
    let roles = roles.map(|entry| (entry.value.name.clone(), &entry.value));
    page::list(given, visit, ("Roles", ""), roles.collect(), |xml, role| {
        show(xml, role, visit);
    })
}

pub(super) fn delete(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = given.name("RoleName", NAME)?;
    may("iam:DeleteRole", name, visit)?;
    visit.change(|draft| {
        let entry = find::<Role>(draft.catalog(), visit, name)?;
        draft.may_change(entry)?;
        super::attachments::none_left(&entry.value.policies)?;
        draft.remove(entry)?;
        Ok(Xml::default())
    })
}

/// `UpdateAssumeRolePolicy`.
pub(super) fn trust(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = given.name("RoleName", NAME)?;
    may("iam:UpdateAssumeRolePolicy", name, visit)?;
    let trust = given.trust_policy("PolicyDocument", TRUST_CHARACTERS)?;
    visit.change(|draft| {
        let entry = find::<Role>(draft.catalog(), visit, name)?;
        let role = changed(&entry.value, |role| {
            role.trust_policy = Some(trust.to_owned());
        });
        draft.update(entry, &role)?;
        Ok(Xml::default())
    })
}
