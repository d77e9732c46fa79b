//! The parameters of calls, checked.
//!
//! Source: IAM API reference: lengths and patterns of the parameters of each operation.

use trellis_policy::{calls::check_trust_policy, check_identity_policy};

use crate::{lattice::tags, neighbor::Refusal, query::Parameters, resource::Tags};

/// Most tags of a user, role or policy.
const MAX_TAGS: usize = 50;
/// Most characters of a policy that are read at all.
const POLICY: usize = 131_072;

/// The parameters of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    parameters: &'a Parameters,
}

pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::told("ValidationError", message)
}

impl<'a> Given<'a> {
    pub(super) fn new(parameters: &'a Parameters) -> Self {
        Self { parameters }
    }

    pub(super) fn optional(self, name: &str) -> Option<&'a str> {
        self.parameters.find(name)
    }

    pub(super) fn required(self, name: &str) -> Result<&'a str, Refusal> {
        self.optional(name).ok_or_else(|| {
            invalid(format!(
                "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
            ))
        })
    }

    /// The name of something, with at most so many characters.
    pub(super) fn name(self, parameter: &str, most: usize) -> Result<&'a str, Refusal> {
        let name = self.required(parameter)?;
        let fits = (1..=most).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
        if fits {
            return Ok(name);
        }
        let text = format!(
            "The specified value for {parameter} is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_- and be at most {most} characters long"
        );
        Err(invalid(text))
    }

    /// Nothing has another path than `/`.
    pub(super) fn no_path(self) -> Result<(), Refusal> {
        match self.optional("Path") {
            None | Some("/") => Ok(()),
            Some(_) => Err(invalid("The only Path that is served here is /")),
        }
    }

    /// Nothing has a boundary, and a call that asks for one must not succeed without.
    pub(super) fn no_boundary(self) -> Result<(), Refusal> {
        match self.optional("PermissionsBoundary") {
            None => Ok(()),
            Some(_) => Err(invalid(
                "PermissionsBoundary is not served here; principals of files can have one",
            )),
        }
    }

    /// Does everything that is listed begin with the prefix that is asked for?
    pub(super) fn is_in_prefix(self) -> bool {
        self.optional("PathPrefix")
            .is_none_or(|prefix| prefix == "/")
    }

    pub(super) fn tags(self) -> Result<Tags, Refusal> {
        let mut given = Tags::new();
        for item in self.parameters.list("Tags") {
            let key = item.find("Key").unwrap_or_default();
            let value = item.find("Value").unwrap_or_default();
            if !(1..=128).contains(&key.chars().count()) || value.chars().count() > 256 {
                return Err(invalid(
                    "A tag has a Key of 1 to 128 characters and a Value of at most 256",
                ));
            }
            if given.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(Refusal::told(
                    "InvalidInput",
                    "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
                ));
            }
        }
        tags::check_all(&given, MAX_TAGS)
            .map_err(|error| Refusal::told("InvalidInput", error.reason()))?;
        Ok(given)
    }

    pub(super) fn identity_policy(self, parameter: &str, most: usize) -> Result<&'a str, Refusal> {
        self.policy(parameter, most, check_identity_policy)
    }

    pub(super) fn trust_policy(self, parameter: &str, most: usize) -> Result<&'a str, Refusal> {
        self.policy(parameter, most, check_trust_policy)
    }

    fn policy(
        self,
        parameter: &str,
        most: usize,
        check: impl Fn(&str) -> Result<(), Vec<String>>,
    ) -> Result<&'a str, Refusal> {
        let text = self.required(parameter)?;
        if text.is_empty() || text.len() > POLICY {
            return Err(invalid(format!(
                "{parameter} must have 1 to {POLICY} characters"
            )));
        }
        if counted(text) > most {
            return Err(super::limit(format!(
                "Cannot exceed quota for PolicySize: {most}"
            )));
        }
        let malformed =
            |problems: Vec<String>| Refusal::told("MalformedPolicyDocument", problems.join("; "));
        check(text).map_err(malformed)?;
        Ok(text)
    }
}

/// Characters that count for quotas.
///
/// Source: IAM user guide, "IAM and AWS STS quotas": white space does not count.
pub(super) fn counted(policy: &str) -> usize {
    policy.chars().filter(|c| !c.is_whitespace()).count()
}

/// A document as answers have it. Spec: RFC 3986 §2.1.
pub(super) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            use std::fmt::Write as _;
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
