//! Texts in a policy: single or in lists, with wildcards, with policy variables.

use super::{Reader, Spot, Version};
use crate::{
    json::{Node, Value},
    wildcard::{Part, Pattern},
};

/// One step of a text once `${…}` is read.
enum Piece {
    /// This byte, whatever it is.
    Literal(u8),
    /// A byte that may be a wildcard.
    Written(u8),
}

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

    /// A text in which `*` and `?` are wildcards.
    pub(super) fn pattern(&mut self, text: &str, spot: &Spot) -> Option<Pattern> {
        let pieces = self.pieces(text, spot)?;
        Some(Pattern::new(pieces.into_iter().map(|piece| match piece {
            Piece::Written(b'*') => Part::Many,
            Piece::Written(b'?') => Part::One,
            Piece::Written(byte) | Piece::Literal(byte) => Part::Byte(byte),
        })))
    }

    /// A text in which they are not.
    pub(super) fn plain(&mut self, text: &str, spot: &Spot) -> Option<Box<str>> {
        let pieces = self.pieces(text, spot)?;
        let bytes = pieces.into_iter().map(|piece| match piece {
            Piece::Written(byte) | Piece::Literal(byte) => byte,
        });
        // The bytes are those of a text from which whole ASCII characters were taken.
        String::from_utf8(bytes.collect()).ok().map(Into::into)
    }

    /// Reads `${*}`, `${?}` and `${$}` as the character that they escape; policy variables are refused.
    ///
    /// Source: IAM user guide, "IAM policy elements: Variables and tags", "Special characters".
    fn pieces(&mut self, text: &str, spot: &Spot) -> Option<Vec<Piece>> {
        let mut pieces = Vec::with_capacity(text.len());
        let mut rest = text;
        if self.version == Version::V2012 {
            while let Some((before, after)) = rest.split_once("${") {
                pieces.extend(before.bytes().map(Piece::Written));
                let (name, tail) = after.split_once('}').unwrap_or((after, ""));
                let (b"*" | b"?" | b"$") = name.as_bytes() else {
                    let hint = "policy variables are not supported yet; for the text itself use version `2008-10-17`";
                    self.error(spot, format!("`${{{name}}}` is a policy variable"), hint);
                    return None;
                };
                pieces.extend(name.bytes().map(Piece::Literal));
                rest = tail;
            }
        }
        pieces.extend(rest.bytes().map(Piece::Written));
        Some(pieces)
    }
}
