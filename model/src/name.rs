//! Names and other short texts with a grammar of their own: accounts, regions, resource names, domain names.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that does not fit the grammar of its type; `wanted` says what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct NameError {
    /// The text as written.
    pub text: String,
    /// What would be right, as a noun phrase: "an account id of 12 digits".
    pub wanted: &'static str,
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $check:expr, $wanted:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// Both hash and compare alike.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError { text: text.to_owned(), wanted: $wanted })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
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

texts! {
    /// An account: the tenant, owner of resources.
    AccountId: |text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()),
        "an account id of 12 digits";
    /// A region, `us-west-2`.
    Region: |text| (1..=40).contains(&text.len()) && is_name(text),
        "a region: lower-case letters, digits and hyphens, such as `us-west-2`";
    /// The name of a resource. Each type of resource has length limits of its own, checked where the resource is loaded.
    ///
    /// Source: VPC Lattice API model, pattern `(?![-])(?!.*[-]$)(?!.*[-]{2})[a-z0-9-]+`.
    Name: is_name,
        "a name: lower-case letters, digits and single hyphens, not at either end";
    /// A fully qualified domain name in lower case, without the trailing dot.
    DomainName: is_domain_name,
        "a domain name: labels of 1 to 63 letters, digits, hyphens or underscores, joined by dots, 255 characters at most";
}

/// The label between the zone of generated names and the names of services. AWS shards its zones; this is the label that most of its
/// regions show, and tools have been seen to expect it.
pub const GENERATED_SHARD: &str = "7d67968";

/// The zone of generated names: `vpc-lattice-svcs.<region>.on.aws`.
///
/// Source: VPC Lattice user guide, "Services"; also in the regions of other partitions, where AWS documents no other.
pub fn generated_zone(region: &Region) -> String {
    format!("vpc-lattice-svcs.{region}.on.aws")
}

/// The partition of a region, second part of every ARN: `aws`, `aws-cn` or `aws-us-gov`.
pub fn partition(region: &Region) -> &'static str {
    match region.as_str() {
        text if text.starts_with("cn-") => "aws-cn",
        text if text.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_domain_name(text: &str) -> bool {
    (3..=255).contains(&text.len())
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
        })
}
