//! Condition keys: which facts a policy can ask for, and what their values are.
//!
//! Source: VPC Lattice user guide, "Condition keys that can be used with auth policies"; IAM user guide, "AWS global condition
//! context keys".

use crate::facts::Fact;

/// A condition key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    Port,
    RequestMethod,
    RequestPath,
    /// With the header's name in lower case.
    RequestHeader(Box<str>),
    /// With the parameter's name as it is once decoded.
    RequestQueryString(Box<str>),
    ServiceNetworkArn,
    ServiceArn,
    SourceVpc,
    SourceVpcOwnerAccount,
    PrincipalArn,
    PrincipalAccount,
    PrincipalType,
    PrincipalOrgId,
    PrincipalOrgPaths,
    /// With the tag's key in lower case: IAM compares tag keys without case.
    PrincipalTag(Box<str>),
    /// With the tag's key in lower case.
    ResourceTag(Box<str>),
    UserId,
    UserName,
    SourceIp,
    SecureTransport,
    CurrentTime,
    EpochTime,
}

/// Keys without a variable part, by the name that the documentation uses.
const PLAIN: [(&str, Key); 19] = [
    ("vpc-lattice-svcs:Port", Key::Port),
    ("vpc-lattice-svcs:RequestMethod", Key::RequestMethod),
    ("vpc-lattice-svcs:RequestPath", Key::RequestPath),
    ("vpc-lattice-svcs:ServiceNetworkArn", Key::ServiceNetworkArn),
    ("vpc-lattice-svcs:ServiceArn", Key::ServiceArn),
    ("vpc-lattice-svcs:SourceVpc", Key::SourceVpc),
    (
        "vpc-lattice-svcs:SourceVpcOwnerAccount",
        Key::SourceVpcOwnerAccount,
    ),
    ("aws:PrincipalArn", Key::PrincipalArn),
    ("aws:PrincipalAccount", Key::PrincipalAccount),
    ("aws:PrincipalType", Key::PrincipalType),
    ("aws:PrincipalOrgID", Key::PrincipalOrgId),
    ("aws:PrincipalOrgPaths", Key::PrincipalOrgPaths),
    ("aws:userid", Key::UserId),
    ("aws:username", Key::UserName),
    ("aws:SourceIp", Key::SourceIp),
    ("aws:SourceVpc", Key::SourceVpc),
    ("aws:SecureTransport", Key::SecureTransport),
    ("aws:CurrentTime", Key::CurrentTime),
    ("aws:EpochTime", Key::EpochTime),
];

/// What comes before the variable part of a key.
const PREFIXES: [&str; 4] = [
    "vpc-lattice-svcs:RequestHeader/",
    "vpc-lattice-svcs:RequestQueryString/",
    "aws:PrincipalTag/",
    "aws:ResourceTag/",
];

/// Why a text is not a condition key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownKey {
    /// The key that was probably meant.
    pub(crate) nearest: Option<&'static str>,
}

/// Do the names of this service's own keys and of the global ones fit? The service's are case-sensitive, the global ones are not.
///
/// Source: VPC Lattice user guide, "Condition keys that can be used with auth policies" (case-sensitive); IAM user guide, "AWS
/// global condition context keys" (not case-sensitive).
fn same_name(known: &str, text: &str) -> bool {
    known == text || (known.starts_with("aws:") && known.eq_ignore_ascii_case(text))
}

impl Key {
    /// Reads a key.
    pub(crate) fn parse(text: &str) -> Result<Self, UnknownKey> {
        if same_name("aws:UserAgent", text) {
            return Ok(Self::RequestHeader("user-agent".into()));
        }
        if let Some((_, key)) = PLAIN.iter().find(|(name, _)| same_name(name, text)) {
            return Ok(key.clone());
        }
        for prefix in PREFIXES {
            let Some((head, name)) = text.split_at_checked(prefix.len()) else {
                continue;
            };
            if !same_name(prefix, head) || name.is_empty() {
                continue;
            }
            return Ok(match prefix {
                "vpc-lattice-svcs:RequestHeader/" => {
                    Self::RequestHeader(name.to_ascii_lowercase().into())
                }
                "vpc-lattice-svcs:RequestQueryString/" => Self::RequestQueryString(name.into()),
                "aws:PrincipalTag/" => Self::PrincipalTag(name.to_lowercase().into()),
                _ => Self::ResourceTag(name.to_lowercase().into()),
            });
        }
        Err(UnknownKey {
            nearest: nearest(text),
        })
    }
}

impl Key {
    /// The fact of a request that the key reads; `None` for what caller and service alone decide.
    pub(crate) fn fact(&self) -> Option<Fact> {
        Some(match self {
            Self::Port => Fact::Port,
            Self::RequestMethod => Fact::Method,
            Self::RequestPath => Fact::Path,
            Self::RequestHeader(name) => Fact::Header(name.clone()),
            Self::RequestQueryString(name) => Fact::Query(name.clone()),
            Self::SourceVpc => Fact::SourceVpc,
            Self::SourceVpcOwnerAccount => Fact::SourceVpcOwner,
            Self::SourceIp => Fact::SourceIp,
            Self::SecureTransport => Fact::SecureTransport,
            Self::CurrentTime => Fact::CurrentTime,
            Self::EpochTime => Fact::EpochTime,
            Self::ServiceNetworkArn
            | Self::ServiceArn
            | Self::PrincipalArn
            | Self::PrincipalAccount
            | Self::PrincipalType
            | Self::PrincipalOrgId
            | Self::PrincipalOrgPaths
            | Self::PrincipalTag(_)
            | Self::ResourceTag(_)
            | Self::UserId
            | Self::UserName => return None,
        })
    }
}

/// The key that was probably meant: the one with the fewest letters to change, if they are few.
fn nearest(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    PLAIN
        .iter()
        .map(|(name, _)| *name)
        .chain(PREFIXES)
        .chain(["aws:UserAgent"])
        .map(|name| {
            (
                strsim::osa_distance(&lower, &name.to_ascii_lowercase()),
                name,
            )
        })
        .min()
        .filter(|(distance, name)| *distance * 3 <= name.len())
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests;
