//! Who is calling, without a signature: issuers of tokens, certificate authorities, and rules that give callers a principal.

use std::{sync::Arc, time::Duration};

use ipnet::IpNet;

use super::Secret;
use crate::{arn::Arn, id::VpcId, name::AccountId, problem::Place};

/// An issuer of JSON Web Tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentityProvider {
    /// Its name, unique among the account's.
    pub name: Box<str>,
    /// Whose requests it speaks for.
    pub account: AccountId,
    /// `iss` of its tokens.
    pub issuer: Box<str>,
    /// One of these is `aud` of its tokens; not empty.
    pub audiences: Vec<Box<str>>,
    /// What it signs with.
    pub keys: ProviderKeys,
    /// Where its keys are stated.
    pub place: Place,
}

/// The keys of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderKeys {
    /// A JSON Web Key Set, not read yet.
    Set(Arc<str>),
    /// A JSON Web Key Set that a server publishes.
    Published {
        /// Where.
        url: Arc<str>,
        /// How often it is read.
        refresh: Duration,
    },
    /// A secret that it shares with the gateway.
    Secret(Secret),
}

/// Certificate authorities that an account believes.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustStore {
    /// Its name, unique among the account's.
    pub name: Box<str>,
    /// Whose services ask for certificates of them, and whose principals these give.
    pub account: AccountId,
    /// Their certificates in PEM, not read yet.
    pub authorities: Arc<str>,
    /// Where they are stated.
    pub place: Place,
}

/// A rule that gives callers a principal.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// Its name, unique among the account's; also the name of the session.
    pub name: Box<str>,
    /// What it asks for.
    pub evidence: Evidence,
    /// Who the caller then is: a user, or a role.
    pub principal: Arn,
    /// The same as callers are known: the user, or the role's session with the mapping's name.
    pub caller: Arn,
}

/// What must be shown for a mapping to fit.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// A token.
    Jwt {
        /// Of this provider, by position in [`super::Config::identity_providers`].
        provider: usize,
        /// With all of these claims; not empty.
        claims: Vec<ClaimMatch>,
    },
    /// A client certificate.
    Certificate {
        /// Signed by an authority of this store, by position in [`super::Config::trust_stores`].
        trust_store: usize,
        /// With all of these names.
        names: CertificateMatch,
    },
    /// A connection.
    Attachment {
        /// From this VPC.
        vpc: VpcId,
        /// From one of these ranges; empty is any address.
        sources: Vec<IpNet>,
    },
}

/// A claim that must have a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimMatch {
    /// Its name.
    pub name: Box<str>,
    /// The value, or one of the values where it is a list.
    pub value: TextMatch,
}

/// Names that a certificate must have; at least one is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateMatch {
    /// The SPIFFE ID.
    pub spiffe_id: Option<TextMatch>,
    /// One of the DNS names.
    pub dns_name: Option<TextMatch>,
    /// Attributes of the subject.
    pub subject: Vec<AttributeMatch>,
}

/// An attribute of a subject that must have a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeMatch {
    /// Which.
    pub attribute: SubjectAttribute,
    /// The value, or one of the values where it is there several times.
    pub value: TextMatch,
}

/// An attribute of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectAttribute {
    /// `CN`.
    CommonName,
    /// `O`.
    Organization,
    /// `OU`.
    OrganizationalUnit,
    /// `DC`.
    DomainComponent,
    /// `UID`.
    UserId,
}

impl SubjectAttribute {
    /// Its short name. Source: RFC 4514 §3.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CommonName => "CN",
            Self::Organization => "O",
            Self::OrganizationalUnit => "OU",
            Self::DomainComponent => "DC",
            Self::UserId => "UID",
        }
    }
}

/// How a text must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextMatch {
    /// Just this.
    Exact(Box<str>),
    /// Beginning so.
    Prefix(Box<str>),
}

impl TextMatch {
    /// Is the text so?
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text == &**exact,
            Self::Prefix(prefix) => text.starts_with(&**prefix),
        }
    }
}
