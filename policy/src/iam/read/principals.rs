//! The `Principal` and `NotPrincipal` elements.

use std::collections::HashSet;

use trellis_model::{arn::Arn, config::Config, problem::Code};

use super::{Attached, Reader, Spot};
use crate::{
    iam::{PrincipalList, Principals},
    json::{Node, Value},
};

/// Everybody who can sign a request here.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Signers {
    /// Ids of accounts that have any.
    accounts: HashSet<Box<str>>,
    /// ARNs of users and roles.
    arns: HashSet<Box<str>>,
    /// What the ARNs of the roles' sessions begin with.
    sessions: HashSet<Box<str>>,
}

impl Signers {
    /// The users and roles of a configuration.
    pub(crate) fn of(config: &Config) -> Self {
        let mut signers = Self::default();
        for user in &config.users {
            signers.accounts.insert(user.account.as_str().into());
            signers.arns.insert(user.arn.as_str().into());
        }
        for role in &config.roles {
            let session = Arn::assumed_role(&role.account, &config.region, &role.name, "");
            signers.accounts.insert(role.account.as_str().into());
            signers.arns.insert(role.arn.as_str().into());
            signers.sessions.insert(session.as_str().into());
        }
        signers
    }

    fn has(&self, named: &Named, text: &str) -> bool {
        match named {
            Named::Account(id) => self.accounts.contains(id),
            Named::User | Named::Role => self.arns.contains(text),
            Named::Session => text
                .rsplit_once('/')
                .is_some_and(|(role, _)| self.sessions.contains(&*format!("{role}/"))),
            // Everybody exists, and what is foreign has its own warning.
            Named::Everybody | Named::Foreign => true,
        }
    }
}

/// What one text names.
enum Named {
    Everybody,
    Account(Box<str>),
    User,
    Role,
    Session,
    /// Something that exists in AWS and never calls a service here.
    Foreign,
}

/// What an element names, as far as it has been read.
#[derive(Default)]
struct Found {
    list: PrincipalList,
    everybody: bool,
    /// How many texts there were, whatever they name.
    texts: usize,
}

impl Reader<'_> {
    pub(super) fn principal_element(
        &mut self,
        node: &Node,
        spot: &Spot,
        negated: bool,
    ) -> Option<Principals> {
        let mut found = Found::default();
        match &node.value {
            // `*`; an account id alone appears in the Gateway API controller's documentation.
            Value::Text(text) => self.principal(text, spot, &mut found)?,
            Value::List(_) => {
                for (text, spot) in self.texts(node, spot)? {
                    self.principal(&text, &spot, &mut found)?;
                }
            }
            _ => self.principals_by_kind(node, spot, &mut found)?,
        }
        if found.texts == 0 {
            self.nobody(spot, negated)?;
        }
        match (negated, found.everybody) {
            (false, true) => Some(Principals::Everybody),
            (false, false) => Some(Principals::Listed(found.list)),
            (true, false) => Some(Principals::Others(found.list)),
            (true, true) => {
                self.error(
                    spot,
                    "`NotPrincipal` excepts everybody",
                    "the statement would never apply; remove it",
                );
                None
            }
        }
    }

    fn principals_by_kind(&mut self, node: &Node, spot: &Spot, found: &mut Found) -> Option<()> {
        let wanted = "`*` or an object such as `{\"AWS\": \"111122223333\"}`";
        for member in self.members(node, spot, wanted)? {
            let own = spot.member(member);
            match member.name.as_str() {
                "AWS" => {
                    for (text, spot) in self.texts(&member.node, &own)? {
                        self.principal(&text, &spot, found)?;
                    }
                }
                "Federated" if self.attached == Attached::Trust => {
                    let texts = self.texts(&member.node, &own)?;
                    found.texts += texts.len();
                    let names = texts.into_iter().map(|(text, _)| text.into());
                    found.list.federated.extend(names);
                }
                kind @ ("Service" | "Federated" | "CanonicalUser") => {
                    found.texts += self.texts(&member.node, &own)?.len();
                    let message = format!("a principal of type `{kind}` never calls a service");
                    let hint = "name accounts, users, roles or role sessions under `AWS`";
                    self.warn(Code::NeverCalls, &own, message, hint);
                }
                _ => {
                    const KINDS: [&str; 4] = ["AWS", "Service", "Federated", "CanonicalUser"];
                    self.unknown(member, spot, &KINDS);
                    return None;
                }
            }
        }
        Some(())
    }

    /// Reports an element without any text: a statement about nobody, or, negated, about everybody, which nobody can have meant.
    fn nobody(&mut self, spot: &Spot, negated: bool) -> Option<()> {
        if negated {
            let hint = "the statement would be about everybody; name whom it is not about";
            self.error(spot, "`NotPrincipal` excepts nobody", hint);
            return None;
        }
        let hint = "the statement never applies as it stands";
        self.warn(Code::Empty, spot, "`Principal` names nobody", hint);
        Some(())
    }

    /// Adds what a text names.
    fn principal(&mut self, text: &str, spot: &Spot, found: &mut Found) -> Option<()> {
        found.texts += 1;
        let list = &mut found.list;
        let named = self.named(text, spot)?;
        if self
            .signers
            .is_some_and(|signers| !signers.has(&named, text))
        {
            self.warn(
                Code::UnknownPrincipal,
                spot,
                format!("`{text}` is nobody in this configuration"),
                "no request comes from there",
            );
        }
        match named {
            Named::Everybody => found.everybody = true,
            Named::Account(id) => list.accounts.push(id),
            Named::User => list.users.push(text.into()),
            Named::Role => list.roles.push(text.into()),
            Named::Session => list.sessions.push(text.into()),
            Named::Foreign => self.warn(
                Code::NeverCalls,
                spot,
                format!("`{text}` never calls a service"),
                "name accounts, users, roles or role sessions",
            ),
        }
        Some(())
    }

    fn named(&mut self, text: &str, spot: &Spot) -> Option<Named> {
        if text == "*" {
            return Some(Named::Everybody);
        }
        if is_account(text) {
            return Some(Named::Account(text.into()));
        }
        let named = arn_principal(text);
        if named.is_none() {
            let hint = if text.contains(['*', '?']) {
                "wildcards within a principal are not allowed; use `\"*\"` and a condition such as `ArnLike` on `aws:PrincipalArn`"
            } else {
                "write `*`, an account id, or the ARN of an account (`arn:aws:iam::111122223333:root`), user, role or role session"
            };
            self.error(spot, format!("`{text}` is not a principal"), hint);
        }
        named
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// What an ARN of IAM or STS names.
fn arn_principal(text: &str) -> Option<Named> {
    if text.contains(['*', '?', '$']) {
        return None;
    }
    let mut parts = text.splitn(6, ':');
    let (arn, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    if arn != "arn"
        || !matches!(partition, "aws" | "aws-cn" | "aws-us-gov")
        || !region.is_empty()
        || !is_account(account)
    {
        return None;
    }
    if service == "iam" && resource == "root" {
        return Some(Named::Account(account.into()));
    }
    let (kind, name) = resource.split_once('/')?;
    if name.is_empty() || name.starts_with('/') || name.ends_with('/') {
        return None;
    }
    match (service, kind) {
        ("iam", "user") => Some(Named::User),
        ("iam", "role") => Some(Named::Role),
        ("sts", "assumed-role") if name.split('/').count() == 2 => Some(Named::Session),
        ("sts", "federated-user") | ("iam", "saml-provider" | "oidc-provider") => {
            Some(Named::Foreign)
        }
        _ => None,
    }
}
