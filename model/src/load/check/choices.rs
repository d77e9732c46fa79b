//! One of several words or members: those that are known, those that only VPC Lattice knows, and those that were meant.

use serde_json::{Map, Value};

use super::Checker;
use crate::load::{
    nearest::nearest,
    path::Step,
    scalar,
    tree::{Entry, NodeId, Shape},
};

/// Members that VPC Lattice has and this version does not support, and what to do instead.
const UNSUPPORTED_MEMBERS: [(&str, &str); 10] = [
    (
        "certificateArn",
        "`certificate` with the paths of two files",
    ),
    ("dnsOptions", ""),
    ("privateDnsEnabled", ""),
    ("resourceConfigurations", ""),
    ("resourceGateways", ""),
    (
        "securityGroupIds",
        "`sources` of the VPC's attachments limit who may connect",
    ),
    (
        "securityGroups",
        "`sources` of the VPC's attachments limit who may connect",
    ),
    ("serviceNetworkLogType", ""),
    ("sharingConfig", ""),
    ("subnets", "`cidrs` of the VPC"),
];

/// Values that VPC Lattice has and this version does not support.
const UNSUPPORTED_VALUES: [&str; 2] = ["TCP", "TLS_PASSTHROUGH"];

impl<'c> Checker<'c> {
    pub(super) fn one_of(&mut self, id: NodeId, text: String, schema: &'c Value) -> Option<Value> {
        let values: Vec<&str> = schema
            .get("enum")?
            .as_array()?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        if values.contains(&text.as_str()) {
            return Some(Value::String(text));
        }
        let listed = quoted(&values);
        if UNSUPPORTED_VALUES.contains(&text.as_str()) {
            let message =
                format!("`{text}` is part of VPC Lattice, but this version does not support it");
            self.problem(id, message, Some(format!("one of {listed}")));
        } else {
            let upper = text.to_ascii_uppercase();
            let part = values
                .iter()
                .copied()
                .find(|value| upper.len() > 1 && value.contains(&upper));
            let hint = nearest(&upper, values)
                .or(part)
                .map(|value| format!("did you mean `{value}`?"));
            self.problem(
                id,
                format!("`{}` is not one of {listed}", scalar::short(&text)),
                hint,
            );
        }
        None
    }

    pub(super) fn unknown(&mut self, entry: &Entry, schema: &Value) {
        let key = entry.key.as_str();
        if let Some((_, instead)) = UNSUPPORTED_MEMBERS.iter().find(|(name, _)| *name == key) {
            let hint = (!instead.is_empty()).then(|| (*instead).to_owned());
            let message =
                format!("`{key}` is part of VPC Lattice, but this version does not support it");
            return self.report(entry.line, message, hint);
        }
        let known: Vec<&str> = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        let hint = match nearest(key, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known here are {}", quoted(&known)),
        };
        self.report(
            entry.line,
            format!("unknown key `{}`", scalar::short(key)),
            Some(hint),
        );
    }

    /// Exactly one of several members, or one of several words. What stands where a secret's source should be may be the secret.
    pub(super) fn union(
        &mut self,
        id: NodeId,
        alternatives: &'c [Value],
        secret: bool,
    ) -> Option<Value> {
        let words: Vec<_> = alternatives
            .iter()
            .filter_map(|alternative| alternative.get("const")?.as_str())
            .collect();
        let members: Vec<_> = alternatives
            .iter()
            .filter_map(|alternative| alternative.get("properties")?.as_object())
            .flatten()
            .map(|(name, schema)| (name.as_str(), schema))
            .collect();
        let names: Vec<_> = members.iter().map(|(name, _)| *name).collect();
        match self.shape(id) {
            Shape::Plain(text) | Shape::Text(text) if words.contains(&text.as_str()) => {
                Some(Value::String(text.clone()))
            }
            Shape::Object(entries) => self.only_member(id, entries, &members, &names),
            shape => {
                let shown = if secret {
                    "this".to_owned()
                } else {
                    scalar::shown(shape)
                };
                let words = if words.is_empty() {
                    String::new()
                } else {
                    format!("{}, or ", quoted(&words))
                };
                self.problem(
                    id,
                    format!("{shown} does not fit here"),
                    Some(format!("{words}an object with {}", either(&names))),
                );
                None
            }
        }
    }

    fn only_member(
        &mut self,
        id: NodeId,
        entries: &'c [Entry],
        members: &[(&'c str, &'c Value)],
        names: &[&str],
    ) -> Option<Value> {
        let mut found: Option<(&str, Option<Value>)> = None;
        let mut wrong = false;
        for entry in entries {
            let step = Step::Member(&entry.key);
            let (here, inside) = self.enter(step, step);
            match (members.iter().find(|(name, _)| *name == entry.key), &found) {
                (Some((name, schema)), None) => {
                    let value = self.value(entry.value, schema);
                    found = Some((name, value));
                }
                (Some(_), Some((other, _))) => {
                    let message = if *other == entry.key {
                        "this key appears twice".to_owned()
                    } else {
                        format!("`{}` and `{other}` exclude each other", entry.key)
                    };
                    self.report(entry.line, message, None);
                    wrong = true;
                }
                (None, _) => {
                    let hint = nearest(&entry.key, names.iter().copied())
                        .map_or_else(|| either(names), |name| format!("did you mean `{name}`?"));
                    self.report(
                        entry.line,
                        format!("unknown key `{}`", scalar::short(&entry.key)),
                        Some(hint),
                    );
                    wrong = true;
                }
            }
            self.leave(here, inside);
        }
        match found {
            Some((name, Some(value))) => {
                Some(Value::Object(Map::from_iter([(name.to_owned(), value)])))
            }
            Some((_, None)) => None,
            None => {
                if !wrong {
                    self.problem(id, format!("{} is missing", either(names)), None);
                }
                None
            }
        }
    }
}

/// `a`, `b`, `c`
fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// one of `a`, `b`
fn either(names: &[&str]) -> String {
    format!("one of {}", quoted(names))
}
