//! The `Principal` and `NotPrincipal` elements.

use super::{Reader, Spot};
use crate::{
    iam::{PrincipalList, Principals},
    json::{Node, Value},
};

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

impl Reader<'_> {
    pub(super) fn principal_element(
        &mut self,
        node: &Node,
        spot: &Spot,
        negated: bool,
    ) -> Option<Principals> {
        let mut list = PrincipalList::default();
        let mut everybody = false;
        match &node.value {
            Value::Text(text) if text == "*" => everybody = true,
            // An account id alone appears in the Gateway API controller's documentation.
            Value::Text(text) => everybody = self.principal(text, spot, &mut list)?,
            Value::List(_) => {
                for (text, spot) in self.texts(node, spot)? {
                    everybody |= self.principal(&text, &spot, &mut list)?;
                }
            }
            _ => {
                for member in self.members(
                    node,
                    spot,
                    "`*` or an object such as `{\"AWS\": \"111122223333\"}`",
                )? {
                    let spot = spot.member(member);
                    match member.name.as_str() {
                        "AWS" => {
                            for (text, spot) in self.texts(&member.node, &spot)? {
                                everybody |= self.principal(&text, &spot, &mut list)?;
                            }
                        }
                        "Service" | "Federated" | "CanonicalUser" => {
                            self.texts(&member.node, &spot)?;
                            let message = format!(
                                "a principal of type `{}` never calls a service",
                                member.name
                            );
                            self.warn(
                                &spot,
                                message,
                                "name accounts, users, roles or role sessions under `AWS`",
                            );
                        }
                        _ => self.unknown(
                            member,
                            &Spot {
                                path: spot.path.clone(),
                                line: spot.line,
                            },
                            &["AWS", "Service", "Federated", "CanonicalUser"],
                        ),
                    }
                }
            }
        }
        match (negated, everybody) {
            (false, true) => Some(Principals::Everybody),
            (false, false) => Some(Principals::Listed(list)),
            (true, false) => Some(Principals::Others(list)),
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

    /// Adds a principal to the list; `true` when the text names everybody.
    fn principal(&mut self, text: &str, spot: &Spot, list: &mut PrincipalList) -> Option<bool> {
        match self.named(text, spot)? {
            Named::Everybody => return Some(true),
            Named::Account(id) => list.accounts.push(id),
            Named::User => list.users.push(text.into()),
            Named::Role => list.roles.push(text.into()),
            Named::Session => list.sessions.push(text.into()),
            Named::Foreign => self.warn(
                spot,
                format!("`{text}` never calls a service"),
                "name accounts, users, roles or role sessions",
            ),
        }
        Some(false)
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
