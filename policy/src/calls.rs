//! May somebody make a call of the control API? Identity policies, their limits, and the trust policies of roles.
//!
//! The same reading of IAM JSON and the same condition operators as for requests ([`crate::iam`]), with other actions, resources
//! and keys. Calls are rare, so the policies of callers are read when one comes; trust policies are read with the configuration,
//! where their problems are reported.
//!
//! Native Cedar policies speak of requests to services only, and say nothing about calls.

mod context;
mod roles;

use trellis_model::{
    config::{PolicyLanguage, PolicyText},
    problem::Place,
};

pub use self::{
    context::CallContext,
    roles::{AssumableRole, CallPolicies},
};
use crate::{
    iam::{
        Effect, PrincipalList, Principals,
        read::{
            Attached,
            calls::{CallStatement, read_calls},
        },
    },
    principal::{Principal, PrincipalType},
};

/// Who makes a call.
#[derive(Debug, Clone, Copy)]
pub enum CallBy<'a> {
    /// Somebody whose signature was verified, with the policies of the session.
    Principal {
        /// Who it is.
        principal: &'a Principal,
        /// Session policies, IAM JSON.
        session_policies: &'a [Box<str>],
    },
    /// Somebody whom an identity provider vouches for: the provider's ARN.
    Federated(&'a str),
}

/// Which policy refused a call, for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallRefusal {
    /// Of which kind the policy is.
    pub by: CallLayer,
    /// Did a statement deny, or did none allow?
    pub explicit: bool,
}

/// The policies that a call has to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallLayer {
    /// The trust policy of the role.
    Trust,
    /// The policies of the caller.
    Identity,
    /// The permissions boundary of the caller.
    Boundary,
    /// The policies of the caller's session.
    Session,
}

impl CallLayer {
    /// What AWS calls such a policy: `identity-based policy`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Trust => "trust policy",
            Self::Identity => "identity-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
        }
    }
}

impl std::fmt::Display for CallRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let noun = self.by.noun();
        if self.explicit {
            write!(f, "denied by the {noun}")
        } else {
            write!(f, "no {noun} allows it")
        }
    }
}

/// Checks a session policy: is it IAM JSON that says something about its owner?
pub fn check_session_policy(text: &str) -> Result<(), String> {
    let policy = session_policy(text);
    match crate::iam::read::read(&policy, Attached::ToIdentity, None) {
        Ok(_) => Ok(()),
        Err(problems) => Err(problems
            .first()
            .map_or_else(String::new, ToString::to_string)),
    }
}

/// Checks the trust policy of a role: would it be compiled?
///
/// # Errors
///
/// Every problem of the policy, as a text without a place.
pub fn check_trust_policy(text: &str) -> Result<(), Vec<String>> {
    match read_calls(&session_policy(text), Attached::Trust) {
        Ok(_) => Ok(()),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

fn session_policy(text: &str) -> PolicyText {
    PolicyText {
        language: PolicyLanguage::Iam,
        text: text.into(),
        place: Place::default(),
    }
}

/// A call as policies see it.
#[derive(Clone, Copy)]
struct Call<'a> {
    /// In lower case.
    action: &'a str,
    resource: &'a str,
    context: &'a CallContext,
}

/// How directly a trust policy names a caller, which decides what else must allow the call.
///
/// Source: IAM user guide, "Policy evaluation logic", "Evaluating identity-based policies with resource-based policies".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grant {
    /// Through its account, or as one of all: its own policies decide.
    Broad,
    /// As a session of its role: what limits the session still does.
    Role,
    /// Itself: nothing else is asked within the account.
    Direct,
}

/// What a set of statements says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Denied,
    Nothing,
    Allowed(Grant),
}

/// What statements say about a call by somebody whom `names` tells.
fn say(
    statements: &[CallStatement],
    call: Call<'_>,
    names: impl Fn(&CallStatement) -> Option<Grant>,
) -> Said {
    let mut said = Said::Nothing;
    for statement in statements {
        let Some(grant) = names(statement).filter(|_| applies(statement, call)) else {
            continue;
        };
        match (statement.effect, said) {
            (Effect::Deny, _) => return Said::Denied,
            (Effect::Allow, Said::Allowed(before)) => said = Said::Allowed(before.max(grant)),
            (Effect::Allow, _) => said = Said::Allowed(grant),
        }
    }
    said
}

fn applies(statement: &CallStatement, call: Call<'_>) -> bool {
    let named = statement
        .actions
        .iter()
        .any(|pattern| pattern.matches(call.action));
    let about = statement.resources.as_ref().is_none_or(|resources| {
        resources.any_fits(call.resource, call.context) != resources.negated
    });
    let mut conditions = statement.conditions.iter();
    named != statement.not_action && about && conditions.all(|one| one.holds(call.context))
}

/// How a statement of a trust policy names the caller, if it does.
fn grant(statement: &CallStatement, by: CallBy<'_>) -> Option<Grant> {
    match (&statement.principals, by) {
        (Principals::Listed(list), by) => listed(list, by),
        // A trust policy excepts nobody: it would be refused. Should one come here, it forbids and allows nothing.
        (Principals::Others(_), _) => (statement.effect == Effect::Deny).then_some(Grant::Broad),
        (Principals::Everybody, CallBy::Principal { .. }) => Some(Grant::Broad),
        // Whoever trusts everybody has not said which identity providers to believe.
        (Principals::Everybody, CallBy::Federated(_)) => {
            (statement.effect == Effect::Deny).then_some(Grant::Broad)
        }
    }
}

fn listed(list: &PrincipalList, by: CallBy<'_>) -> Option<Grant> {
    let among = |list: &[Box<str>], text: &str| list.iter().any(|listed| **listed == *text);
    let principal = match by {
        CallBy::Federated(provider) => {
            return among(&list.federated, provider).then_some(Grant::Direct);
        }
        CallBy::Principal { principal, .. } => principal,
    };
    let (itself, as_role) = match principal.kind {
        PrincipalType::User => (among(&list.users, &principal.arn), false),
        PrincipalType::AssumedRole => (
            among(&list.sessions, &principal.arn),
            among(&list.roles, &principal.principal_arn),
        ),
    };
    if itself {
        Some(Grant::Direct)
    } else if as_role {
        Some(Grant::Role)
    } else {
        among(&list.accounts, principal.account.as_str()).then_some(Grant::Broad)
    }
}

/// What policies of a caller say about a call. One that cannot be read denies: nobody knows what it would have forbidden.
fn say_all<'p>(policies: impl IntoIterator<Item = &'p PolicyText>, call: Call<'_>) -> Said {
    let mut said = Said::Nothing;
    for policy in policies {
        if policy.language != PolicyLanguage::Iam {
            continue;
        }
        let Ok((statements, _)) = read_calls(policy, Attached::ToCaller) else {
            return Said::Denied;
        };
        match say(&statements, call, |_| Some(Grant::Broad)) {
            Said::Denied => return Said::Denied,
            Said::Nothing => {}
            allowed @ Said::Allowed(_) => said = allowed,
        }
    }
    said
}

#[cfg(test)]
mod tests;
