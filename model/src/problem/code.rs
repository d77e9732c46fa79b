//! The kinds of findings that reviewers of policies know by name.

use std::fmt;

/// The kind of a finding. The names are published: they are never changed, and never used for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A condition holds for every request.
    AlwaysTrue,
    /// A condition holds for no request.
    AlwaysFalse,
    /// An action that no request has.
    UnknownAction,
    /// A principal that nobody of the configuration is.
    UnknownPrincipal,
    /// A principal of a kind that never calls a service.
    NeverCalls,
    /// A policy, a principal or a list without anything in it.
    Empty,
    /// Another statement denies all that this one allows.
    Shadowed,
    /// A `${…}` that is plain text, or has no value.
    Variable,
    /// What the validator of Cedar policies warns of.
    Cedar,
    /// Anybody who reaches the network may pass, signed or not.
    PublicAccess,
    /// `Allow` with `NotAction` or `NotResource`.
    AllowNot,
    /// The resources of a statement fit no service that the policy is about.
    ResourceNeverMatches,
    /// A condition compares a key with something that it never is here: a VPC, a port, a method.
    UnknownValue,
    /// A policy that is configured and does not count.
    NotCounted,
    /// A policy in audit, which refuses nothing.
    NotEnforced,
    /// `AWS_IAM` without a policy.
    DeniesAll,
    /// A service that nobody has to sign for.
    NoAuthentication,
    /// A policy of something that no request reaches.
    NeverConsulted,
    /// A user or role that nobody can sign as.
    NoCredentials,
    /// A user or role without a policy: signed requests are refused wherever a policy counts.
    NoIdentityPolicy,
    /// Targets are reached over TLS and their certificates not verified.
    UnverifiedTls,
}

impl Code {
    /// Every kind.
    pub const ALL: [Self; 21] = [
        Self::AlwaysTrue,
        Self::AlwaysFalse,
        Self::UnknownAction,
        Self::UnknownPrincipal,
        Self::NeverCalls,
        Self::Empty,
        Self::Shadowed,
        Self::Variable,
        Self::Cedar,
        Self::PublicAccess,
        Self::AllowNot,
        Self::ResourceNeverMatches,
        Self::UnknownValue,
        Self::NotCounted,
        Self::NotEnforced,
        Self::DeniesAll,
        Self::NoAuthentication,
        Self::NeverConsulted,
        Self::NoCredentials,
        Self::NoIdentityPolicy,
        Self::UnverifiedTls,
    ];

    /// Its published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AlwaysTrue => "always-true",
            Self::AlwaysFalse => "always-false",
            Self::UnknownAction => "unknown-action",
            Self::UnknownPrincipal => "unknown-principal",
            Self::NeverCalls => "never-calls",
            Self::Empty => "empty",
            Self::Shadowed => "shadowed",
            Self::Variable => "variable",
            Self::Cedar => "cedar",
            Self::PublicAccess => "public-access",
            Self::AllowNot => "allow-not",
            Self::ResourceNeverMatches => "resource-never-matches",
            Self::UnknownValue => "unknown-value",
            Self::NotCounted => "not-counted",
            Self::NotEnforced => "not-enforced",
            Self::DeniesAll => "denies-all",
            Self::NoAuthentication => "no-authentication",
            Self::NeverConsulted => "never-consulted",
            Self::NoCredentials => "no-credentials",
            Self::NoIdentityPolicy => "no-identity-policy",
            Self::UnverifiedTls => "unverified-tls",
        }
    }

    /// The kind with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
