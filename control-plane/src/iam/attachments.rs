//! Policies of users and roles: their own, and those that they share.

use http::StatusCode;

use super::{
    delete_conflict, find, find_policy,
    given::{Given, counted, percent_encoded},
    limit, page,
};
use crate::{
    neighbor::{Refusal, Visit},
    plane::changed,
    resource::{Iam, Identity, IdentityPolicies, ManagedPolicy, iam_arn},
    xml::Xml,
};

/// Most shared policies of a user or role. Source: IAM user guide, "IAM and AWS STS quotas".
const MOST_ATTACHED: usize = 10;
/// Most characters of a policy's name.
pub(super) const POLICY_NAME: usize = 128;
/// Most characters of the name of a user or role.
const NAME: usize = 64;

/// The name of the user or role that a call is about, once the caller may do this with it. `%` in the action stands for `User` or `Role`.
fn named<'a, T: Identity + Iam>(
    given: Given<'a>,
    visit: &Visit<'_>,
    action: &str,
) -> Result<&'a str, Refusal> {
    let name = given.name(&format!("{}Name", T::WORD), NAME)?;
    let arn = iam_arn::<T>(visit.account, visit.region(), name);
    let action = format!("iam:{}", action.replace('%', T::WORD));
    let policy = given.optional("PolicyArn");
    let keys: Vec<_> = policy
        .map(|arn| ("iam:PolicyARN".to_owned(), vec![arn.to_owned()]))
        .into_iter()
        .collect();
    visit.may_given(&action, arn.as_str(), &keys)?;
    Ok(name)
}

/// Nothing is deleted that still has policies.
pub(super) fn none_left(policies: &IdentityPolicies) -> Result<(), Refusal> {
    if !policies.inline.is_empty() {
        return Err(delete_conflict("delete policies"));
    }
    if !policies.attached.is_empty() {
        return Err(delete_conflict("detach all policies"));
    }
    Ok(())
}

fn change<T: Identity + Iam>(
    name: &str,
    visit: &Visit<'_>,
    make: impl Fn(&mut IdentityPolicies) -> Result<(), Refusal>,
) -> Result<Xml, Refusal> {
    visit.change(|draft| {
        let entry = find::<T>(draft.catalog(), visit, name)?;
        let mut result = Ok(());
        let value = changed(&entry.value, |value| result = make(value.policies_mut()));
        result?;
        draft.update(entry, &value)?;
        Ok(Xml::default())
    })
}

pub(super) fn put<T: Identity + Iam>(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = named::<T>(given, visit, "Put%Policy")?;
    let policy = given.name("PolicyName", POLICY_NAME)?;
    let most = T::INLINE_CHARACTERS;
    let document = given.identity_policy("PolicyDocument", most)?;
    change::<T>(name, visit, |policies| {
        policies
            .inline
            .insert(policy.to_owned(), document.to_owned());
        let all: usize = policies.inline.values().map(|text| counted(text)).sum();
        if all > most {
            let noun = T::NOUN;
            return Err(limit(format!(
                "Maximum policy size of {most} bytes exceeded for {noun} {name}"
            )));
        }
        Ok(())
    })
}

fn no_policy<T: Identity>(policy: &str) -> Refusal {
    Refusal::with_status(
        "NoSuchEntity",
        StatusCode::NOT_FOUND,
        format!("The {} policy with name {policy} cannot be found.", T::NOUN),
    )
}

pub(super) fn get<T: Identity + Iam>(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = named::<T>(given, visit, "Get%Policy")?;
    let policy = given.name("PolicyName", POLICY_NAME)?;
    let catalog = visit.plane().catalog();
    let entry = find::<T>(&catalog, visit, name)?;
    let document = entry.value.policies().inline.get(policy);
    let document = document.ok_or_else(|| no_policy::<T>(policy))?;
    let mut xml = Xml::default();
    xml.text(&format!("{}Name", T::WORD), name);
    xml.text("PolicyName", policy);
    xml.text("PolicyDocument", &percent_encoded(document));
    Ok(xml)
}

pub(super) fn list<T: Identity + Iam>(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = named::<T>(given, visit, "List%Policies")?;
    let catalog = visit.plane().catalog();
    let entry = find::<T>(&catalog, visit, name)?;
    let names = entry.value.policies().inline.keys();
    let names: Vec<_> = names.map(|name| (name.clone(), name.clone())).collect();
    page::list(given, visit, ("PolicyNames", name), names, |xml, name| {
        xml.plain(name);
    })
}

pub(super) fn delete<T: Identity + Iam>(
    given: Given<'_>,
    visit: &Visit<'_>,
) -> Result<Xml, Refusal> {
    let name = named::<T>(given, visit, "Delete%Policy")?;
    let policy = given.name("PolicyName", POLICY_NAME)?;
    change::<T>(name, visit, |policies| {
        let before = policies.inline.remove(policy);
        before.map(drop).ok_or_else(|| no_policy::<T>(policy))
    })
}

pub(super) fn attach<T: Identity + Iam>(
    given: Given<'_>,
    visit: &Visit<'_>,
) -> Result<Xml, Refusal> {
    let name = named::<T>(given, visit, "Attach%Policy")?;
    let arn = given.required("PolicyArn")?;
    visit.change(|draft| {
        let entry = find::<T>(draft.catalog(), visit, name)?;
        let policy = find_policy(draft.catalog(), visit, arn)?;
        draft.rely_on(policy);
        let value = changed(&entry.value, |value| {
            value.policies_mut().attached.insert(policy.value.id);
        });
        if value.policies().attached.len() > MOST_ATTACHED {
            return Err(limit(format!(
                "Cannot exceed quota for PoliciesPer{}: {MOST_ATTACHED}",
                T::WORD
            )));
        }
        draft.update(entry, &value)?;
        Ok(Xml::default())
    })
}

pub(super) fn detach<T: Identity + Iam>(
    given: Given<'_>,
    visit: &Visit<'_>,
) -> Result<Xml, Refusal> {
    let name = named::<T>(given, visit, "Detach%Policy")?;
    let arn = given.required("PolicyArn")?;
    let id = find_policy(&visit.plane().catalog(), visit, arn)?.value.id;
    change::<T>(name, visit, |policies| {
        if policies.attached.remove(&id) {
            return Ok(());
        }
        Err(Refusal::with_status(
            "NoSuchEntity",
            StatusCode::NOT_FOUND,
            format!("Policy {arn} was not found."),
        ))
    })
}

pub(super) fn list_attached<T: Identity + Iam>(
    given: Given<'_>,
    visit: &Visit<'_>,
) -> Result<Xml, Refusal> {
    let name = named::<T>(given, visit, "ListAttached%Policies")?;
    let catalog = visit.plane().catalog();
    let entry = find::<T>(&catalog, visit, name)?;
    let attached = entry.value.policies().attached.iter();
    let attached = attached
        .filter_map(|id| catalog.find::<ManagedPolicy>(*id))
        .filter(|_| given.is_in_prefix())
        .map(|policy| (policy.value.name.clone(), &policy.value));
    let attached = attached.collect();
    page::list(
        given,
        visit,
        ("AttachedPolicies", name),
        attached,
        |xml, policy| {
            xml.text("PolicyName", &policy.name);
            xml.text("PolicyArn", policy.iam_arn(visit.region()).as_str());
        },
    )
}
