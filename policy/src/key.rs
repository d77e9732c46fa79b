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
    SourceIdentity,
    FederatedProvider,
    TokenIssueTime,
    SourceIp,
    SecureTransport,
    CurrentTime,
    EpochTime,
    /// A key that no request here has: a global one about things that do not exist here, or one of another service.
    Absent,
    /// A key of a call of the control API, by its name in lower case. Policies on requests have none.
    OfCall(Box<str>),
}

/// What the values of a key are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something that is no number, date, Boolean, address or ARN.
    Text,
    /// Digits.
    Number,
    /// A date; IAM compares seconds since 1970 as dates too.
    Date,
    Boolean,
    Address,
    Arn,
    /// Whatever somebody wrote.
    Any,
}

/// Keys without a variable part, by the name that the documentation uses.
const PLAIN: [(&str, Key); 22] = [
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
    ("aws:SourceIdentity", Key::SourceIdentity),
    ("aws:FederatedProvider", Key::FederatedProvider),
    ("aws:TokenIssueTime", Key::TokenIssueTime),
    ("aws:SourceIp", Key::SourceIp),
    ("aws:SourceVpc", Key::SourceVpc),
    ("aws:SecureTransport", Key::SecureTransport),
    ("aws:CurrentTime", Key::CurrentTime),
    ("aws:EpochTime", Key::EpochTime),
];

/// Global keys about things that no request here has: calls through other services, multi-factor devices, endpoints.
const ABSENT: [&str; 29] = [
    "aws:AssumedRoot",
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:ChatbotSourceArn",
    "aws:Ec2InstanceSourcePrivateIPv4",
    "aws:Ec2InstanceSourceVpc",
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceOwner",
    "aws:SourceVpcArn",
    "aws:SourceVpce",
    "aws:TagKeys",
    "aws:ViaAWSService",
    "aws:VpcSourceIp",
    "aws:VpceAccount",
    "aws:VpceOrgID",
    "aws:VpceOrgPaths",
];

/// What comes before the variable part of a key.
const PREFIXES: [&str; 4] = [
    "vpc-lattice-svcs:RequestHeader/",
    "vpc-lattice-svcs:RequestQueryString/",
    "aws:PrincipalTag/",
    "aws:ResourceTag/",
];

/// Global keys that are the values of headers.
const HEADERS: [(&str, &str); 2] = [("aws:UserAgent", "user-agent"), ("aws:Referer", "referer")];

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
        for (name, header) in HEADERS {
            if same_name(name, text) {
                return Ok(Self::RequestHeader(header.into()));
            }
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
        if is_absent(text) {
            return Ok(Self::Absent);
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
            | Self::UserName
            | Self::SourceIdentity
            | Self::FederatedProvider
            | Self::TokenIssueTime
            | Self::Absent
            | Self::OfCall(_) => return None,
        })
    }

    /// What its values are.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Port | Self::EpochTime => Kind::Number,
            Self::ServiceNetworkArn | Self::ServiceArn | Self::PrincipalArn => Kind::Arn,
            Self::SourceIp => Kind::Address,
            Self::SecureTransport => Kind::Boolean,
            Self::CurrentTime | Self::TokenIssueTime => Kind::Date,
            Self::RequestPath
            | Self::SourceVpc
            | Self::PrincipalType
            | Self::PrincipalOrgId
            | Self::PrincipalOrgPaths
            | Self::UserId => Kind::Text,
            // A method and a user's name are free, and the id of an account is a number.
            Self::RequestMethod
            | Self::RequestHeader(_)
            | Self::RequestQueryString(_)
            | Self::SourceVpcOwnerAccount
            | Self::PrincipalAccount
            | Self::PrincipalTag(_)
            | Self::ResourceTag(_)
            | Self::UserName
            | Self::SourceIdentity
            | Self::FederatedProvider
            | Self::Absent
            | Self::OfCall(_) => Kind::Any,
        }
    }

    /// Does a connection that is passed through have it?
    ///
    /// Source: VPC Lattice user guide, "Auth policies for TLS listeners".
    pub(crate) fn is_of_connections(&self) -> bool {
        match self {
            Self::RequestMethod
            | Self::RequestPath
            | Self::RequestHeader(_)
            | Self::RequestQueryString(_)
            | Self::SourceIp
            | Self::SecureTransport
            | Self::CurrentTime
            | Self::EpochTime
            | Self::Absent
            | Self::OfCall(_) => false,
            Self::Port
            | Self::ServiceNetworkArn
            | Self::ServiceArn
            | Self::SourceVpc
            | Self::SourceVpcOwnerAccount
            | Self::PrincipalArn
            | Self::PrincipalAccount
            | Self::PrincipalType
            | Self::PrincipalOrgId
            | Self::PrincipalOrgPaths
            | Self::PrincipalTag(_)
            | Self::ResourceTag(_)
            | Self::UserId
            | Self::UserName
            | Self::SourceIdentity
            | Self::FederatedProvider
            | Self::TokenIssueTime => true,
        }
    }

    /// Can a request have several values of it?
    pub(crate) fn is_multivalued(&self) -> bool {
        matches!(self, Self::RequestQueryString(_) | Self::PrincipalOrgPaths)
    }
}

/// Is it the key of something that does not exist here? Keys of other services are, unless they look like a slip of the pen for one
/// of ours; of the services whose keys are known here only the listed ones.
fn is_absent(text: &str) -> bool {
    let Some((service, name)) = text.split_once(':') else {
        return false;
    };
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    match service.to_ascii_lowercase().as_str() {
        "aws" => {
            ABSENT.iter().any(|known| known.eq_ignore_ascii_case(text))
                || name
                    .split_at_checked("RequestTag/".len())
                    .is_some_and(|(head, tag)| {
                        head.eq_ignore_ascii_case("RequestTag/") && !tag.is_empty()
                    })
        }
        // Of its control plane.
        "vpc-lattice" => !name.is_empty(),
        other => is_name(other) && !name.is_empty() && nearest(text).is_none(),
    }
}

/// The key that was probably meant: the one with the fewest letters to change, if they are few.
fn nearest(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    PLAIN
        .iter()
        .map(|(name, _)| *name)
        .chain(PREFIXES)
        .chain(HEADERS.map(|(name, _)| name))
        .chain(ABSENT)
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
