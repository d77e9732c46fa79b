//! The parameters of calls, checked.
//!
//! Source: STS API reference: lengths, patterns and ranges of the parameters of each operation.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

use trellis_policy::calls::check_session_policy;

use super::error::{Code, Fault};
use crate::query::Parameters;

/// Most session tags.
const MAX_TAGS: usize = 50;

/// Most bytes of a session policy and of all tags together. AWS packs them into a form of its own and keeps its size secret.
const PACKED_BYTES: usize = 4_096;

const ROLE_ARN: RangeInclusive<usize> = 20..=2048;
const NAME: RangeInclusive<usize> = 2..=64;
const EXTERNAL_ID: RangeInclusive<usize> = 2..=1224;
const POLICY: RangeInclusive<usize> = 1..=2048;
const TAG_KEY: RangeInclusive<usize> = 1..=128;
const TAG_VALUE: RangeInclusive<usize> = 0..=256;

/// The parameters of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    parameters: &'a Parameters,
}

/// Session tags, and which of them go on to sessions assumed from this one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tags {
    pub(super) tags: BTreeMap<String, String>,
    pub(super) transitive: BTreeSet<String>,
}

impl<'a> Given<'a> {
    pub(super) fn new(parameters: &'a Parameters) -> Self {
        Self { parameters }
    }

    pub(super) fn role_arn(self) -> Result<&'a str, Fault> {
        self.required("RoleArn", "roleArn", &ROLE_ARN, |_| true)
    }

    pub(super) fn session_name(self) -> Result<&'a str, Fault> {
        self.required("RoleSessionName", "roleSessionName", &NAME, is_name)
    }

    pub(super) fn source_identity(self) -> Result<Option<&'a str>, Fault> {
        let given = self.optional("SourceIdentity", "sourceIdentity", &NAME, is_name)?;
        match given {
            Some(text) if text.to_ascii_lowercase().starts_with("aws:") => Err(Fault::validation(
                "sourceIdentity",
                given,
                "Member must not begin with aws:",
            )),
            given => Ok(given),
        }
    }

    pub(super) fn external_id(self) -> Result<Option<&'a str>, Fault> {
        let allowed = |c: char| is_name(c) || matches!(c, ':' | '/');
        self.optional("ExternalId", "externalId", &EXTERNAL_ID, allowed)
    }

    pub(super) fn web_identity_token(self) -> Result<&'a str, Fault> {
        self.required(
            "WebIdentityToken",
            "webIdentityToken",
            &(4..=20_000),
            |_| true,
        )
    }

    /// How long credentials shall live.
    pub(super) fn duration(self, range: &RangeInclusive<u64>) -> Result<Option<Duration>, Fault> {
        let Some(text) = self.parameters.find("DurationSeconds") else {
            return Ok(None);
        };
        let wrong =
            |constraint: String| Fault::validation("durationSeconds", Some(text), &constraint);
        let seconds: u64 = text
            .parse()
            .map_err(|_| wrong("Member must be an integer".into()))?;
        if seconds < *range.start() {
            return Err(wrong(format!(
                "Member must have value greater than or equal to {}",
                range.start()
            )));
        }
        if seconds > *range.end() {
            return Err(wrong(format!(
                "Member must have value less than or equal to {}",
                range.end()
            )));
        }
        Ok(Some(Duration::from_secs(seconds)))
    }

    /// The session policy.
    pub(super) fn policy(self) -> Result<Option<Box<str>>, Fault> {
        if !self.parameters.list("PolicyArns").is_empty() {
            return Err(Fault::new(
                Code::ValidationError,
                "PolicyArns: managed policies do not exist here; give the policy itself in Policy.",
            ));
        }
        let Some(text) = self.optional("Policy", "policy", &POLICY, |_| true)? else {
            return Ok(None);
        };
        check_session_policy(text).map_err(|problem| {
            Fault::new(
                Code::MalformedPolicyDocument,
                format!("The policy is not in a valid form: {problem}"),
            )
        })?;
        Ok(Some(text.into()))
    }

    /// A device for a second factor, of which there are none.
    pub(super) fn no_device(self) -> Result<(), Fault> {
        let given = ["SerialNumber", "TokenCode"]
            .into_iter()
            .find(|name| self.parameters.find(name).is_some());
        match given {
            None => Ok(()),
            Some(_) => Err(Fault::new(
                Code::AccessDenied,
                "MultiFactorAuthentication failed, there is no such device.",
            )),
        }
    }

    pub(super) fn tags(self) -> Result<Tags, Fault> {
        let mut tags = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let items = self.parameters.list("Tags");
        if items.len() > MAX_TAGS {
            return Err(Fault::validation(
                "tags",
                None,
                &format!("Member must have length less than or equal to {MAX_TAGS}"),
            ));
        }
        for item in items {
            let (key, value) = (item.find("Key"), item.find("Value").unwrap_or_default());
            let key = check("tags.member.key", key, &TAG_KEY, is_tag)?;
            let value = check("tags.member.value", Some(value), &TAG_VALUE, is_tag)?;
            if key.to_ascii_lowercase().starts_with("aws:") {
                return Err(Fault::new(
                    Code::InvalidParameterValue,
                    "Tag keys beginning with aws: are reserved.",
                ));
            }
            if !taken.insert(key.to_lowercase()) {
                return Err(Fault::new(
                    Code::InvalidParameterValue,
                    "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
                ));
            }
            tags.insert(key.to_owned(), value.to_owned());
        }
        let transitive = self.transitive(&tags)?;
        Ok(Tags { tags, transitive })
    }

    fn transitive(self, tags: &BTreeMap<String, String>) -> Result<BTreeSet<String>, Fault> {
        let mut transitive = BTreeSet::new();
        for item in self.parameters.list("TransitiveTagKeys") {
            let key = check("transitiveTagKeys.member", item.find(""), &TAG_KEY, is_tag)?;
            let known = tags
                .keys()
                .find(|known| known.to_lowercase() == key.to_lowercase());
            let Some(known) = known else {
                return Err(Fault::new(
                    Code::InvalidParameterValue,
                    "The specified transitive tag key must be included in the requested tags.",
                ));
            };
            transitive.insert(known.clone());
        }
        Ok(transitive)
    }

    fn required(
        self,
        name: &str,
        member: &str,
        length: &RangeInclusive<usize>,
        allowed: impl Fn(char) -> bool,
    ) -> Result<&'a str, Fault> {
        check(member, self.parameters.find(name), length, allowed)
    }

    fn optional(
        self,
        name: &str,
        member: &str,
        length: &RangeInclusive<usize>,
        allowed: impl Fn(char) -> bool,
    ) -> Result<Option<&'a str>, Fault> {
        match self.parameters.find(name) {
            None => Ok(None),
            given => check(member, given, length, allowed).map(Some),
        }
    }
}

/// How much of the room for a policy and tags is used, in percent; nothing when there are none.
pub(super) fn packed_size(policy: Option<&str>, tags: &Tags) -> Result<Option<usize>, Fault> {
    if policy.is_none() && tags.tags.is_empty() {
        return Ok(None);
    }
    let tags: usize = tags
        .tags
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    let percent = (policy.map_or(0, str::len) + tags) * 100 / PACKED_BYTES;
    if percent > 100 {
        return Err(Fault::new(
            Code::PackedPolicyTooLarge,
            format!(
                "Packed policy consumes {percent}% of allotted space, please use smaller policy."
            ),
        ));
    }
    Ok(Some(percent.max(1)))
}

fn check<'t>(
    member: &str,
    given: Option<&'t str>,
    length: &RangeInclusive<usize>,
    allowed: impl Fn(char) -> bool,
) -> Result<&'t str, Fault> {
    let Some(text) = given else {
        return Err(Fault::validation(member, None, "Member must not be null"));
    };
    let count = text.chars().count();
    let wrong = |constraint: String| Err(Fault::validation(member, Some(text), &constraint));
    if count < *length.start() {
        return wrong(format!(
            "Member must have length greater than or equal to {}",
            length.start()
        ));
    }
    if count > *length.end() {
        return wrong(format!(
            "Member must have length less than or equal to {}",
            length.end()
        ));
    }
    if !text.chars().all(allowed) {
        return wrong("Member must satisfy regular expression pattern".to_owned());
    }
    Ok(text)
}

/// `[\w+=,.@-]`
fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`
fn is_tag(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)
}
