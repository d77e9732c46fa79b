//! Texts in a policy: single or in lists, with wildcards, with policy variables.

use trellis_model::problem::Code;

use super::{Reader, Spot, Version};
use crate::{
    iam::template::{Piece, Template},
    json::{Node, Value},
    key::{Key, UnknownKey},
};

impl Reader<'_> {
    /// A text.
    pub(super) fn text(&mut self, node: &Node, spot: &Spot) -> Option<String> {
        if let Value::Text(text) = &node.value {
            return Some(text.clone());
        }
        let kind = node.value.kind();
        self.error(spot, format!("{kind} where a text should be"), "");
        None
    }

    /// A text or a list of texts, each with its spot.
    pub(super) fn texts(&mut self, node: &Node, spot: &Spot) -> Option<Vec<(String, Spot)>> {
        let Value::List(items) = &node.value else {
            return Some(vec![(self.text(node, spot)?, spot.clone())]);
        };
        let texts: Vec<Option<(String, Spot)>> = items
            .iter()
            .enumerate()
            .map(|(position, item)| {
                let spot = spot.item(position, item);
                Some((self.text(item, &spot)?, spot))
            })
            .collect();
        texts.into_iter().collect()
    }

    /// The texts of `Action`, `Resource` and their negations. An empty list makes a statement that never applies, or, negated,
    /// one that always does, which nobody can have meant.
    ///
    /// Source: IAM Access Analyzer, "Empty array action": the statement does not affect the policy.
    pub(super) fn members_of_list(
        &mut self,
        node: &Node,
        spot: &Spot,
        negated: bool,
    ) -> Option<Vec<(String, Spot)>> {
        let texts = self.texts(node, spot)?;
        match (texts.is_empty(), negated) {
            (true, false) => {
                self.warn(
                    Code::Empty,
                    spot,
                    "the list is empty",
                    "the statement never applies as it stands",
                );
            }
            (true, true) => {
                self.error(
                    spot,
                    "the list is empty",
                    "the statement would be about everything; name what it is not about",
                );
                return None;
            }
            (false, _) => {}
        }
        Some(texts)
    }

    /// The values of a condition: texts, numbers or Booleans, single or in a list that is not empty.
    pub(super) fn scalars(&mut self, node: &Node, spot: &Spot) -> Option<Vec<(String, Spot)>> {
        let nodes: Vec<(&Node, Spot)> = match &node.value {
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(position, item)| (item, spot.item(position, item)))
                .collect(),
            _ => vec![(node, spot.clone())],
        };
        if nodes.is_empty() {
            self.error(
                spot,
                "a condition without values",
                "give at least one value, or remove the condition",
            );
            return None;
        }
        let texts: Vec<Option<(String, Spot)>> = nodes
            .into_iter()
            .map(|(node, spot)| Some((self.scalar(node, &spot)?, spot)))
            .collect();
        texts.into_iter().collect()
    }

    fn scalar(&mut self, node: &Node, spot: &Spot) -> Option<String> {
        match &node.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            other => {
                let kind = other.kind();
                self.error(
                    spot,
                    format!("{kind} where a value should be"),
                    "values are texts, numbers or Booleans",
                );
                None
            }
        }
    }

    /// Reads a text with its escapes and variables: `${*}`, `${?}` and `${$}` are the character that they escape.
    ///
    /// Source: IAM user guide, "IAM policy elements: Variables and tags", "Special characters", "Specifying default values".
    pub(super) fn template(&mut self, text: &str, spot: &Spot) -> Option<Template> {
        let mut pieces = Vec::with_capacity(text.len());
        let mut rest = text;
        if self.version == Version::V2008 && text.contains("${") {
            let hint = "write `\"Version\": \"2012-10-17\"` to have variables";
            self.warn(
                Code::Variable,
                spot,
                format!("`{text}` is plain text in version 2008-10-17"),
                hint,
            );
        }
        if self.version == Version::V2012 {
            while let Some((before, after)) = rest.split_once("${") {
                pieces.extend(before.bytes().map(Piece::Written));
                let (piece, tail) = self.dollar(after, spot)?;
                pieces.push(piece);
                rest = tail;
            }
        }
        pieces.extend(rest.bytes().map(Piece::Written));
        Some(Template::new(pieces))
    }

    /// A condition key. Those of calls are as many as AWS has services and issuers have names, so every name is one; one that no
    /// call has is missing from all.
    pub(super) fn parse_key(&self, name: &str) -> Result<Key, UnknownKey> {
        if self.attached.is_about_calls() {
            return Ok(Key::OfCall(name.to_ascii_lowercase().into()));
        }
        Key::parse(name)
    }

    /// What follows `${`, and what follows that.
    fn dollar<'t>(&mut self, after: &'t str, spot: &Spot) -> Option<(Piece, &'t str)> {
        let Some((name, default, tail)) = split_variable(after) else {
            let hint = "write `${aws:username}`, `${aws:username, 'default'}`, or `${$}` for a dollar sign";
            self.error(spot, format!("`${{{after}` is not a policy variable"), hint);
            return None;
        };
        if let (b"*" | b"?" | b"$", None) = (name.as_bytes(), &default) {
            let escaped = name.bytes().next()?;
            return Some((Piece::Literal(escaped), tail));
        }
        let key = match self.parse_key(name) {
            Ok(key) => key,
            Err(unknown) => {
                let hint = unknown.nearest.map_or_else(
                    || "a policy variable is a condition key".to_owned(),
                    |known| format!("the nearest is `{known}`"),
                );
                self.error(
                    spot,
                    format!("`${{{name}}}` is not a policy variable"),
                    hint,
                );
                return None;
            }
        };
        let otherwise = if default.is_some() {
            "the default takes its place"
        } else {
            "without it the text is equal to nothing and like nothing"
        };
        if key == Key::Absent {
            self.warn(
                Code::Variable,
                spot,
                format!("`{name}` is in no request here"),
                otherwise,
            );
        } else if key.is_multivalued() {
            let message = format!("`{name}` has no value here where a request has several");
            self.warn(Code::Variable, spot, message, otherwise);
        }
        Some((Piece::Variable(key, default.map(Into::into)), tail))
    }
}

/// `name}` or `name, 'default'}`, and what follows. A quote within the default is written twice.
fn split_variable(text: &str) -> Option<(&str, Option<String>, &str)> {
    let end = text.find(['}', ','])?;
    let (name, rest) = text.split_at_checked(end)?;
    let name = name.trim();
    if name.is_empty() {
        return None;
    }
    if let Some(tail) = rest.strip_prefix('}') {
        return Some((name, None, tail));
    }
    let mut rest = rest.strip_prefix(',')?.trim_start().strip_prefix('\'')?;
    let mut default = String::new();
    loop {
        let (before, after) = rest.split_once('\'')?;
        default.push_str(before);
        let Some(more) = after.strip_prefix('\'') else {
            let tail = after.trim_start().strip_prefix('}')?;
            return Some((name, Some(default), tail));
        };
        default.push('\'');
        rest = more;
    }
}
