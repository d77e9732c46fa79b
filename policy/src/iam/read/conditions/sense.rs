//! Conditions that are well formed and cannot be meant: they hold always or never.

use trellis_model::problem::Code;

use super::super::{Reader, Spot};
use crate::{
    iam::condition::{Condition, Test},
    key::{Key, Kind},
    request::Action,
};

/// The values of `aws:PrincipalType`. Source: IAM user guide, "AWS global condition context keys".
const PRINCIPAL_TYPES: [&str; 5] = [
    "Account",
    "User",
    "AssumedRole",
    "FederatedUser",
    "Anonymous",
];

impl Reader<'_> {
    /// Warns of a condition whose outcome is known before any request.
    pub(super) fn make_sense(
        &mut self,
        condition: &Condition,
        written: &str,
        actions: &[Action],
        spot: &Spot,
    ) {
        let Some((message, holds)) = foregone(condition, written, actions) else {
            return;
        };
        let (code, hint) = if holds {
            (Code::AlwaysTrue, "the condition always holds")
        } else {
            (Code::AlwaysFalse, "the condition never holds")
        };
        self.warn(code, spot, message, hint);
    }
}

/// Why the outcome of a condition is known, and the outcome.
fn foregone(condition: &Condition, written: &str, actions: &[Action]) -> Option<(String, bool)> {
    let key = &condition.key;
    // A statement about other services alone may ask for what those have.
    if actions.is_empty() {
        return None;
    }
    let connections = actions == [Action::Connect];
    let missing = if *key == Key::Absent {
        Some(format!("`{written}` is in no request here"))
    } else if connections && !key.is_of_connections() {
        Some(format!("a connection has no `{written}`"))
    } else {
        None
    };
    if let Some(message) = missing {
        let holds = match &condition.test {
            Test::Null(wanted) => wanted.contains(&true),
            _ => condition.when_missing(),
        };
        return Some((message, holds));
    }
    let what = misfit(condition)?;
    // No value compares equal; a missing key may still make a difference.
    let holds = condition.negated;
    let decided = holds == condition.when_missing();
    decided.then(|| (format!("no value of `{written}` is {what}"), holds))
}

/// What the test wants to see that no value of the key is.
fn misfit(condition: &Condition) -> Option<String> {
    let kind = condition.key.kind();
    let unless = |fits: &[Kind], what: &str| {
        let possible = kind == Kind::Any || fits.contains(&kind);
        (!possible).then(|| what.to_owned())
    };
    match &condition.test {
        Test::Numeric(..) => unless(&[Kind::Number], "a number"),
        Test::Date(..) => unless(&[Kind::Date, Kind::Number], "a date"),
        Test::Bool(_) => unless(&[Kind::Boolean], "`true` or `false`"),
        Test::Ip(_) => unless(&[Kind::Address], "an address"),
        Test::Arn(_) => unless(&[Kind::Arn], "an ARN"),
        Test::Equals(texts)
            if condition.key == Key::PrincipalType && condition.templates.is_empty() =>
        {
            let known = |text: &str| PRINCIPAL_TYPES.contains(&text);
            let none = !texts.iter().any(|text| known(text));
            texts
                .first()
                .filter(|_| none)
                .map(|text| format!("`{text}`"))
        }
        Test::Equals(_)
        | Test::EqualsIgnoreCase(_)
        | Test::Like(_)
        | Test::Null(_)
        | Test::Binary(_) => None,
    }
}
