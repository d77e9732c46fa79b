//! Ids of resources: a prefix and seventeen characters, `svc-0123456789abcdef0`.
//!
//! Trellis makes every id as `0` and sixteen lower-case hex digits, which satisfies every pattern of the VPC Lattice API, the
//! strictly hexadecimal ones included. The sixteen digits are a 64-bit number, so an id is `Copy` and compares in one instruction.
//! Ids of what files declare are derived, not drawn: the same account, region, type and name give the same id on every node and
//! after every restart. What is created through the API gets a number of the control plane's, in the order of creation.

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::name::{AccountId, Region};

/// A text that is not an id of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form `{prefix}0` followed by 16 lower-case hex digits")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

/// Derives the number behind an id from what identifies the resource.
///
/// `parts` are the names from the outermost parent to the resource itself; their lengths enter the hash, so that
/// `["a", "bc"]` and `["ab", "c"]` differ.
fn derive(account: &AccountId, region: &Region, prefix: &str, parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for part in [account.as_str(), region.as_str(), prefix]
        .iter()
        .chain(parts)
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Parses sixteen lower-case hex digits.
fn parse_hex(digits: &str) -> Option<u64> {
    let plain = digits.len() == 16
        && digits
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    plain
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// What every id of this type begins with.
            pub const PREFIX: &str = $prefix;

            /// The id of the resource that `parts` name, from the outermost parent to the resource itself.
            pub fn derive(account: &AccountId, region: &Region, parts: &[&str]) -> Self {
                Self(derive(account, region, $prefix, parts))
            }

            /// The id with this number.
            pub fn from_number(number: u64) -> Self {
                Self(number)
            }

            /// The number behind the id, which tells resources of a type apart as the id does.
            pub fn number(self) -> u64 {
                self.0
            }

            /// The id without its prefix, as generated domain names carry it.
            pub fn suffix(self) -> String {
                format!("0{:016x}", self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "0{:016x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "0"))
                    .and_then(parse_hex)
                    .map(Self)
                    .ok_or_else(|| IdError { text: text.to_owned(), prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// Id of a service network.
    ServiceNetworkId = "sn-";
    /// Id of a service.
    ServiceId = "svc-";
    /// Id of a listener.
    ListenerId = "listener-";
    /// Id of a rule, the default rule of a listener included.
    RuleId = "rule-";
    /// Id of a target group.
    TargetGroupId = "tg-";
    /// Id of the association of a VPC with a service network.
    VpcAssociationId = "snva-";
    /// Id of the association of a service with a service network.
    ServiceAssociationId = "snsa-";
    /// Id of an access log subscription.
    AccessLogSubscriptionId = "als-";
    /// Id of a resource gateway.
    ResourceGatewayId = "rgw-";
    /// Id of a resource configuration.
    ResourceConfigurationId = "rcfg-";
    /// Id of the association of a resource configuration with a service network.
    ResourceAssociationId = "snra-";
    /// Id of the association of a resource configuration with a VPC endpoint.
    ResourceEndpointAssociationId = "rea-";
    /// Id of the verification of a domain.
    DomainVerificationId = "dv-";
    /// Id of an IAM user; clients see another one, which is derived from its ARN.
    UserId = "user-";
    /// Id of an IAM role, likewise.
    RoleId = "role-";
    /// Id of a managed IAM policy, likewise.
    PolicyId = "policy-";
}

/// Id of a VPC: `vpc-` and 8 or 17 hex digits. The user may give it (to keep the id a VPC has on AWS), hence a text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VpcId(std::sync::Arc<str>);

impl VpcId {
    /// The id of the VPC called `name`, when the user gave none.
    pub fn derive(account: &AccountId, region: &Region, name: &str) -> Self {
        Self(format!("vpc-0{:016x}", derive(account, region, "vpc-", &[name])).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VpcId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix("vpc-").unwrap_or_default();
        let known_length = matches!(digits.len(), 8 | 17);
        if known_length
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        {
            Ok(Self(text.into()))
        } else {
            Err(IdError {
                text: text.to_owned(),
                prefix: "vpc-",
            })
        }
    }
}

impl Serialize for VpcId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for VpcId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for VpcId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for VpcId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
