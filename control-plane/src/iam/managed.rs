//! Policies that users and roles share. Each has one version, `v1`.

use http::StatusCode;
use trellis_model::id::PolicyId;

use super::{
    attachments::POLICY_NAME,
    delete_conflict, find_policy,
    given::{Given, invalid, percent_encoded},
    identity, may_be_created, page, tags,
};
use crate::{
    catalog::Catalog,
    neighbor::{Refusal, Visit},
    resource::{ManagedPolicy, Role, Scope, User, iam_arn},
    xml::Xml,
};

/// Most policies of an account, and characters of one. Source: IAM user guide, "IAM and AWS STS quotas".
const MOST: usize = 1500;
const CHARACTERS: usize = 6144;
/// Most characters of a description.
const DESCRIPTION: usize = 1000;
/// The only version.
const VERSION: &str = "v1";

fn attached(catalog: &Catalog, id: PolicyId) -> usize {
    let scope = Scope::Policy(id);
    catalog.count::<User>(&scope) + catalog.count::<Role>(&scope)
}

fn show(xml: &mut Xml, catalog: &Catalog, policy: &ManagedPolicy, visit: &Visit<'_>) {
    identity(xml, policy, visit, ("Policy", "ANPA"));
    xml.text("DefaultVersionId", VERSION);
    xml.text("AttachmentCount", &attached(catalog, policy.id).to_string());
    xml.text("PermissionsBoundaryUsageCount", "0");
    xml.text("IsAttachable", "true");
    xml.text("CreateDate", &policy.created_at.text());
    xml.text("UpdateDate", &policy.created_at.text());
}

pub(super) fn create(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let name = given.name("PolicyName", POLICY_NAME)?;
    let arn = iam_arn::<ManagedPolicy>(visit.account, visit.region(), name);
    visit.may("iam:CreatePolicy", arn.as_str())?;
    given.no_path()?;
    let policy_tags = given.tags()?;
    let document = given.identity_policy("PolicyDocument", CHARACTERS)?;
    let description = given.optional("Description");
    if description.is_some_and(|text| text.chars().count() > DESCRIPTION) {
        return Err(invalid(format!(
            "Description has at most {DESCRIPTION} characters"
        )));
    }
    visit.change(|draft| {
        may_be_created::<ManagedPolicy>(draft.catalog(), visit, name, MOST)?;
        let policy = ManagedPolicy {
            id: PolicyId::from_number(visit.fresh_number()),
            account: visit.account.clone(),
            name: name.to_owned(),
            created_at: visit.now,
            tags: policy_tags.clone(),
            description: description.map(str::to_owned),
            document: document.to_owned(),
        };
        draft.create(&policy)?;
        let mut xml = Xml::default();
        xml.within("Policy", |xml| {
            show(xml, draft.catalog(), &policy, visit);
            tags(xml, &policy.tags);
        });
        Ok(xml)
    })
}

pub(super) fn get(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let arn = given.required("PolicyArn")?;
    visit.may("iam:GetPolicy", arn)?;
    let catalog = visit.plane().catalog();
    let policy = &find_policy(&catalog, visit, arn)?.value;
    let mut xml = Xml::default();
    xml.within("Policy", |xml| {
        show(xml, &catalog, policy, visit);
        if let Some(description) = &policy.description {
            xml.text("Description", description);
        }
        tags(xml, &policy.tags);
    });
    Ok(xml)
}

fn show_version(xml: &mut Xml, policy: &ManagedPolicy) {
    xml.text("VersionId", VERSION);
    xml.text("IsDefaultVersion", "true");
    xml.text("CreateDate", &policy.created_at.text());
}

/// `GetPolicyVersion`.
pub(super) fn version(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let arn = given.required("PolicyArn")?;
    visit.may("iam:GetPolicyVersion", arn)?;
    let version = given.required("VersionId")?;
    let catalog = visit.plane().catalog();
    let policy = &find_policy(&catalog, visit, arn)?.value;
    if version != VERSION {
        return Err(Refusal::with_status(
            "NoSuchEntity",
            StatusCode::NOT_FOUND,
            format!("Policy {arn} version {version} does not exist or is not attachable."),
        ));
    }
    let mut xml = Xml::default();
    xml.within("PolicyVersion", |xml| {
        xml.text("Document", &percent_encoded(&policy.document));
        show_version(xml, policy);
    });
    Ok(xml)
}

/// `ListPolicyVersions`.
pub(super) fn versions(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let arn = given.required("PolicyArn")?;
    visit.may("iam:ListPolicyVersions", arn)?;
    let catalog = visit.plane().catalog();
    let policy = &find_policy(&catalog, visit, arn)?.value;
    let versions = vec![(VERSION.to_owned(), policy)];
    page::list(given, visit, ("Versions", arn), versions, |xml, policy| {
        show_version(xml, policy);
    })
}

pub(super) fn list(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let arn = iam_arn::<ManagedPolicy>(visit.account, visit.region(), "");
    visit.may("iam:ListPolicies", arn.as_str())?;
    let of_aws = match given.optional("Scope") {
        None | Some("All" | "Local") => false,
        Some("AWS") => true,
        Some(_) => return Err(invalid("Scope must be All, AWS or Local")),
    };
    let only_attached = given.optional("OnlyAttached") == Some("true");
    let as_boundary = given.optional("PolicyUsageFilter") == Some("PermissionsBoundary");
    let catalog = visit.plane().catalog();
    let policies = catalog.within::<ManagedPolicy>(&Scope::Account(visit.account.clone()));
    let policies = policies
        .filter(|_| given.is_in_prefix() && !of_aws && !as_boundary)
        .filter(|entry| !only_attached || attached(&catalog, entry.value.id) > 0)
        .map(|entry| (entry.value.name.clone(), &entry.value));
    page::list(
        given,
        visit,
        ("Policies", ""),
        policies.collect(),
        |xml, policy| {
            show(xml, &catalog, policy, visit);
        },
    )
}

pub(super) fn delete(given: Given<'_>, visit: &Visit<'_>) -> Result<Xml, Refusal> {
    let arn = given.required("PolicyArn")?;
    visit.may("iam:DeletePolicy", arn)?;
    visit.change(|draft| {
        let entry = find_policy(draft.catalog(), visit, arn)?;
        if attached(draft.catalog(), entry.value.id) > 0 {
            return Err(delete_conflict("detach policy from all entities"));
        }
        draft.nothing_new_on(&Scope::Policy(entry.value.id));
        draft.remove(entry)?;
        Ok(Xml::default())
    })
}
