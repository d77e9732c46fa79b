//! Statements that allow nothing because another one denies all of it.
//!
//! Only what is plain to see is found: a denial without conditions whose principals, actions and resources contain those of the
//! statement. A warning that is wrong would be worse than one that is missing.

use trellis_model::problem::Code;

use super::{Reader, Spot};
use crate::{
    iam::{Effect, Principals, Resources, Statement},
    wildcard::{Part, Pattern, Reach},
};

impl Reader<'_> {
    pub(super) fn shadows(&mut self, statements: &[(Statement, Spot)]) {
        for (allowing, spot) in statements {
            if allowing.effect == Effect::Deny {
                continue;
            }
            let shadow = statements.iter().find(|(other, _)| covers(other, allowing));
            if let Some((denying, place)) = shadow {
                let name = match &denying.sid {
                    Some(sid) => format!("statement `{sid}`"),
                    None => format!("`{}`", place.path),
                };
                self.warn(
                    Code::Shadowed,
                    spot,
                    format!("all that the statement allows is denied by {name}"),
                    "it never allows anything",
                );
            }
        }
    }
}

/// Does one statement deny everything that the other one allows?
fn covers(denying: &Statement, allowing: &Statement) -> bool {
    denying.effect == Effect::Deny
        && denying.conditions.is_empty()
        && !allowing.actions.is_empty()
        && allowing
            .actions
            .iter()
            .all(|action| denying.actions.contains(action))
        && covers_principals(&denying.principals, &allowing.principals)
        && covers_resources(&denying.resources, &allowing.resources)
}

fn covers_principals(denying: &Principals, allowing: &Principals) -> bool {
    let within = |some: &[Box<str>], all: &[Box<str>]| some.iter().all(|one| all.contains(one));
    match (denying, allowing) {
        (Principals::Everybody, _) => true,
        (Principals::Listed(denied), Principals::Listed(allowed)) => {
            within(&allowed.accounts, &denied.accounts)
                && within(&allowed.users, &denied.users)
                && within(&allowed.roles, &denied.roles)
                && within(&allowed.sessions, &denied.sessions)
        }
        _ => false,
    }
}

fn covers_resources(denying: &Resources, allowing: &Resources) -> bool {
    if denying.negated {
        return false;
    }
    let everything = |pattern: &Pattern| pattern.reach("") == Reach::Always;
    if denying.patterns.iter().any(everything) {
        return true;
    }
    !allowing.negated
        && allowing.templates.is_empty()
        && !allowing.patterns.is_empty()
        && allowing.patterns.iter().all(|allowed| {
            denying
                .patterns
                .iter()
                .any(|denied| contains(denied, allowed))
        })
}

/// Does every text that fits one pattern surely fit the other?
fn contains(all: &Pattern, some: &Pattern) -> bool {
    let parts = some.parts();
    let bytes = parts.iter().map_while(|part| match part {
        Part::Byte(byte) if byte.is_ascii() => Some(*byte),
        _ => None,
    });
    let beginning: String = bytes.map(char::from).collect();
    // One that begins as the other does, and ends in a `*` there.
    let begins = match all.parts().split_last() {
        Some((Part::Many, steps)) => parts.starts_with(steps),
        _ => all == some,
    };
    begins || all.reach(&beginning) == Reach::Always
}
