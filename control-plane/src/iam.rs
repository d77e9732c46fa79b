//! Identity and Access Management: users with their access keys, roles, and the policies of both.
//!
//! Who is created here signs requests and calls a moment later, and what policies say here counts there. Everything belongs to the
//! caller's account; other accounts cannot be named. A policy that the data plane would not compile is refused.
//!
//! Source: IAM API reference, version 2010-05-08.

mod attachments;
mod given;
mod keys;
mod managed;
mod page;
mod roles;
mod users;

use http::StatusCode;
use trellis_policy::unique_id;

use self::given::Given;
pub(crate) use self::keys::random_key;
use crate::{
    call::Call,
    catalog::{Catalog, Entry},
    neighbor::{self, Api, Dialect, Refusal, Visit},
    query::Parameters,
    resource::{Iam as Named, ManagedPolicy, Role, Scope, Tags, User},
    xml::Xml,
};

/// Identity and Access Management.
#[derive(Debug)]
pub(crate) struct Iam;

const VERSION: &str = "2010-05-08";
const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// Longest session of a role, unless something else is asked for, in seconds.
const SESSION_SECONDS: u32 = 3600;

impl Api for Iam {
    const SERVICE: &'static str = "iam";
    const DIALECT: Dialect = Dialect::Query(NAMESPACE);
    const OPERATIONS: &'static [&'static str] = &[
        "AttachRolePolicy",
        "AttachUserPolicy",
        "CreateAccessKey",
        "CreatePolicy",
        "CreateRole",
        "CreateUser",
        "DeleteAccessKey",
        "DeletePolicy",
        "DeleteRole",
        "DeleteRolePolicy",
        "DeleteUser",
        "DeleteUserPolicy",
        "DetachRolePolicy",
        "DetachUserPolicy",
        "GetPolicy",
        "GetPolicyVersion",
        "GetRole",
        "GetRolePolicy",
        "GetUser",
        "GetUserPolicy",
        "ListAccessKeys",
        "ListAttachedRolePolicies",
        "ListAttachedUserPolicies",
        "ListPolicies",
        "ListPolicyVersions",
        "ListRolePolicies",
        "ListRoles",
        "ListUserPolicies",
        "ListUsers",
        "PutRolePolicy",
        "PutUserPolicy",
        "UpdateAccessKey",
        "UpdateAssumeRolePolicy",
    ];
    type Input = Parameters;

    fn read(call: &Call) -> Result<(&'static str, Parameters), Refusal> {
        neighbor::read_query::<Self>(call, VERSION)
    }

    fn perform(
        operation: &'static str,
        input: &Parameters,
        visit: &Visit<'_>,
    ) -> Result<String, Refusal> {
        let given = Given::new(input);
        let result = match operation {
            "CreateUser" => users::create(given, visit)?,
            "GetUser" => users::get(given, visit)?,
            "ListUsers" => users::list(given, visit)?,
            "DeleteUser" => users::delete(given, visit)?,

            "CreateAccessKey" => keys::create(given, visit)?,
            "ListAccessKeys" => keys::list(given, visit)?,
            "UpdateAccessKey" => keys::update(given, visit)?,
            "DeleteAccessKey" => keys::delete(given, visit)?,

            "CreateRole" => roles::create(given, visit)?,
            "GetRole" => roles::get(given, visit)?,
            "ListRoles" => roles::list(given, visit)?,
            "DeleteRole" => roles::delete(given, visit)?,
            "UpdateAssumeRolePolicy" => roles::trust(given, visit)?,

            "PutUserPolicy" => attachments::put::<User>(given, visit)?,
            "GetUserPolicy" => attachments::get::<User>(given, visit)?,
            "ListUserPolicies" => attachments::list::<User>(given, visit)?,
            "DeleteUserPolicy" => attachments::delete::<User>(given, visit)?,
            "AttachUserPolicy" => attachments::attach::<User>(given, visit)?,
            "DetachUserPolicy" => attachments::detach::<User>(given, visit)?,
            "ListAttachedUserPolicies" => attachments::list_attached::<User>(given, visit)?,

            "PutRolePolicy" => attachments::put::<Role>(given, visit)?,
            "GetRolePolicy" => attachments::get::<Role>(given, visit)?,
            "ListRolePolicies" => attachments::list::<Role>(given, visit)?,
            "DeleteRolePolicy" => attachments::delete::<Role>(given, visit)?,
            "AttachRolePolicy" => attachments::attach::<Role>(given, visit)?,
            "DetachRolePolicy" => attachments::detach::<Role>(given, visit)?,
            "ListAttachedRolePolicies" => attachments::list_attached::<Role>(given, visit)?,

            "CreatePolicy" => managed::create(given, visit)?,
            "GetPolicy" => managed::get(given, visit)?,
            "GetPolicyVersion" => managed::version(given, visit)?,
            "ListPolicyVersions" => managed::versions(given, visit)?,
            "ListPolicies" => managed::list(given, visit)?,
            "DeletePolicy" => managed::delete(given, visit)?,
            other => return Err(Refusal::unknown(other)),
        };
        Ok(respond(operation, result, visit.id))
    }
}

/// The whole document around a result; operations that return nothing have none.
fn respond(operation: &str, result: Xml, id: &str) -> String {
    let result = result.finish();
    let mut xml = Xml::default();
    xml.within_namespace(&format!("{operation}Response"), NAMESPACE, |xml| {
        if !result.is_empty() {
            xml.within(&format!("{operation}Result"), |xml| xml.raw(&result));
        }
        xml.within("ResponseMetadata", |xml| xml.text("RequestId", id));
    });
    xml.finish()
}

fn no_such(noun: &str, name: &str) -> Refusal {
    Refusal::with_status(
        "NoSuchEntity",
        StatusCode::NOT_FOUND,
        format!("The {noun} with name {name} cannot be found."),
    )
}

fn exists(noun: &str, name: &str) -> Refusal {
    Refusal::with_status(
        "EntityAlreadyExists",
        StatusCode::CONFLICT,
        format!("{noun} with name {name} already exists."),
    )
}

fn delete_conflict(why: &str) -> Refusal {
    Refusal::with_status(
        "DeleteConflict",
        StatusCode::CONFLICT,
        format!("Cannot delete entity, must {why} first."),
    )
}

fn limit(text: String) -> Refusal {
    Refusal::with_status("LimitExceeded", StatusCode::CONFLICT, text)
}

/// What an account has under a name.
fn find<'c, T: Named>(
    catalog: &'c Catalog,
    visit: &Visit<'_>,
    name: &str,
) -> Result<&'c Entry<T>, Refusal> {
    catalog
        .named::<T>(&Scope::Account(visit.account.clone()), name)
        .ok_or_else(|| no_such(T::PATH, name))
}

/// Refuses a name that is taken, and more of a kind than an account may have.
fn may_be_created<T: Named>(
    catalog: &Catalog,
    visit: &Visit<'_>,
    name: &str,
    most: usize,
) -> Result<(), Refusal> {
    let scope = Scope::Account(visit.account.clone());
    // Source: IAM API reference, `CreateUser`: names are not distinguished by case.
    let mut known = catalog.within::<T>(&scope);
    if known.any(|entry| entry.value.plain_name().eq_ignore_ascii_case(name)) {
        return Err(exists(T::TYPE.noun(), name));
    }
    if catalog.count::<T>(&scope) >= most {
        let text = format!("Cannot exceed quota for {}s per account: {most}", T::PATH);
        return Err(limit(text));
    }
    Ok(())
}

/// Members that users, roles and policies have in common.
fn identity<T: Named>(xml: &mut Xml, value: &T, visit: &Visit<'_>, (word, prefix): (&str, &str)) {
    let arn = value.iam_arn(visit.region());
    xml.text("Path", "/");
    xml.text(&format!("{word}Name"), value.plain_name());
    xml.text(&format!("{word}Id"), &unique_id(prefix, arn.as_str()));
    xml.text("Arn", arn.as_str());
}

fn tags(xml: &mut Xml, tags: &Tags) {
    if tags.is_empty() {
        return;
    }
    xml.within("Tags", |xml| {
        for (key, value) in tags {
            xml.within("member", |xml| {
                xml.text("Key", key);
                xml.text("Value", value);
            });
        }
    });
}

/// The policy with an ARN.
fn find_policy<'c>(
    catalog: &'c Catalog,
    visit: &Visit<'_>,
    arn: &str,
) -> Result<&'c Entry<ManagedPolicy>, Refusal> {
    let missing = || {
        Refusal::with_status(
            "NoSuchEntity",
            StatusCode::NOT_FOUND,
            format!("Policy {arn} does not exist or is not attachable."),
        )
    };
    let name = arn.rsplit('/').next().unwrap_or_default();
    let scope = Scope::Account(visit.account.clone());
    catalog
        .named::<ManagedPolicy>(&scope, name)
        .filter(|entry| entry.value.iam_arn(visit.region()).as_str() == arn)
        .ok_or_else(missing)
}

#[cfg(test)]
mod tests;
