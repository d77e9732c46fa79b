//! IAM JSON policies: what they say, once read.
//!
//! [`read`] turns text into a [`Document`] or reports every problem; [`condition`] says what each operator means.
//!
//! Source: IAM user guide, "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language".

pub(crate) mod condition;
pub(crate) mod date;
pub(crate) mod number;
pub(crate) mod read;
pub(crate) mod template;

use crate::{
    facts::KeyValues,
    iam::{condition::Condition, template::Template},
    request::Action,
    wildcard::{self, Pattern},
};

/// A policy.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) statements: Vec<Statement>,
}

/// What a statement does when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

impl Effect {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

/// One statement.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// Its `Sid`.
    pub(crate) sid: Option<Box<str>>,
    pub(crate) effect: Effect,
    pub(crate) principals: Principals,
    /// The actions it is about; those of other services are gone.
    pub(crate) actions: Vec<Action>,
    pub(crate) resources: Resources,
    /// All of them must hold.
    pub(crate) conditions: Vec<Condition>,
}

impl Statement {
    /// Gives back the memory that reading took and the statement does not need: it is kept as long as the configuration runs.
    pub(crate) fn shrink(&mut self) {
        self.actions.shrink_to_fit();
        self.resources.patterns.shrink_to_fit();
        self.conditions.shrink_to_fit();
        if let Principals::Listed(list) | Principals::Others(list) = &mut self.principals {
            let lists = [
                &mut list.accounts,
                &mut list.users,
                &mut list.roles,
                &mut list.sessions,
                &mut list.federated,
            ];
            lists.into_iter().for_each(Vec::shrink_to_fit);
        }
    }
}

/// Whom a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principals {
    /// Everybody, anonymous callers included; in an identity policy, its owner.
    Everybody,
    /// These.
    Listed(PrincipalList),
    /// All others. A caller is excepted only when it and all that it belongs to (account, role) are listed.
    ///
    /// Source: IAM user guide, "NotPrincipal": without the account's ARN, the account that contains the user is denied.
    Others(PrincipalList),
}

/// Principals by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PrincipalList {
    /// Account ids.
    pub(crate) accounts: Vec<Box<str>>,
    /// ARNs of users.
    pub(crate) users: Vec<Box<str>>,
    /// ARNs of roles: their sessions.
    pub(crate) roles: Vec<Box<str>>,
    /// ARNs of role sessions.
    pub(crate) sessions: Vec<Box<str>>,
    /// Names of identity providers; empty but for trust policies.
    pub(crate) federated: Vec<Box<str>>,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resources {
    /// `NotResource`: everything but these.
    pub(crate) negated: bool,
    /// Patterns over the ARN of the service and the path.
    pub(crate) patterns: Vec<Pattern>,
    /// Those with variables.
    pub(crate) templates: Box<[Template]>,
}

impl Resources {
    /// Does one of them fit, whether or not they are negated?
    pub(crate) fn any_fits(&self, resource: &str, facts: &impl KeyValues) -> bool {
        // As many at a time as leave their texts, which clients can make long, little memory.
        let mut some = self.templates.chunks(64);
        wildcard::any_fits(&self.patterns, resource)
            || some.any(|templates| {
                let filled = templates.iter();
                let filled = filled.filter_map(|template| template.fill_pattern(facts));
                wildcard::any_fits(&filled.collect::<Vec<_>>(), resource)
            })
    }
}
