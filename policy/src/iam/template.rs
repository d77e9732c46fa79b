//! Texts with policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'nobody'}`.
//!
//! A variable stands for the value that its key has in the request, letter by letter: a `*` in a value is no wildcard, because
//! whoever sets a value must not widen a policy. A key without a value, or with several, stands for its default; without a
//! default the whole text is equal to nothing and like nothing.
//!
//! Source: IAM user guide, "IAM policy elements: Variables and tags", "Specifying default values", "Policy variables with no value".

use crate::{
    facts::{Fact, KeyValues},
    key::Key,
    wildcard::{Part, Pattern},
};

/// A text in which variables are filled in for each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Box<[Piece]>,
}

/// One step of a text once `${…}` is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// This byte, whatever it is.
    Literal(u8),
    /// A byte that may be a wildcard.
    Written(u8),
    /// The value of a key, else this text.
    Variable(Key, Option<Box<str>>),
}

impl Piece {
    /// The step of a pattern; nothing for a variable.
    fn part(&self) -> Option<Part> {
        match self {
            Self::Written(b'*') => Some(Part::Many),
            Self::Written(b'?') => Some(Part::One),
            Self::Written(byte) | Self::Literal(byte) => Some(Part::Byte(*byte)),
            Self::Variable(..) => None,
        }
    }

    /// The byte; nothing for a variable.
    fn byte(&self) -> Option<u8> {
        match self {
            Self::Written(byte) | Self::Literal(byte) => Some(*byte),
            Self::Variable(..) => None,
        }
    }
}

impl Template {
    pub(crate) fn new(pieces: Vec<Piece>) -> Self {
        Self {
            pieces: pieces.into(),
        }
    }

    /// The steps of the text, if it has no variables.
    pub(crate) fn steps(&self) -> Option<Vec<Part>> {
        self.pieces.iter().map(Piece::part).collect()
    }

    /// The text as a pattern, if it has no variables.
    pub(crate) fn pattern(&self) -> Option<Pattern> {
        self.steps().map(Pattern::new)
    }

    /// The text without wildcards, if it has no variables.
    pub(crate) fn plain(&self) -> Option<Box<str>> {
        let bytes: Option<Vec<u8>> = self.pieces.iter().map(Piece::byte).collect();
        // The bytes are those of a text from which whole ASCII characters were taken.
        String::from_utf8(bytes?).ok().map(Into::into)
    }

    /// What every text that it can become fits: everything before the first variable, then anything.
    pub(crate) fn outline(&self) -> Pattern {
        let known = self.pieces.iter().map_while(Piece::part);
        Pattern::new(known.chain([Part::Many]))
    }

    /// The facts of a request that its variables read.
    pub(crate) fn facts(&self) -> impl Iterator<Item = Fact> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(key, _) => key.fact(),
            Piece::Literal(_) | Piece::Written(_) => None,
        })
    }

    /// The pattern that it is for a request; `None` when a variable has no value.
    pub(crate) fn fill_pattern(&self, facts: &impl KeyValues) -> Option<Pattern> {
        Some(Pattern::new(self.fill(facts)?))
    }

    /// The steps that it has for a request; `None` when a variable has no value.
    pub(crate) fn fill(&self, facts: &impl KeyValues) -> Option<Vec<Part>> {
        let mut parts = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            match piece {
                Piece::Variable(key, default) => {
                    let value = value(key, default.as_deref(), facts)?;
                    parts.extend(value.bytes().map(Part::Byte));
                }
                piece => parts.extend(piece.part()),
            }
        }
        Some(parts)
    }

    /// The text that it is for a request, without wildcards; `None` when a variable has no value.
    pub(crate) fn fill_plain(&self, facts: &impl KeyValues) -> Option<String> {
        let mut bytes = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            match piece {
                Piece::Variable(key, default) => {
                    bytes.extend_from_slice(value(key, default.as_deref(), facts)?.as_bytes());
                }
                piece => bytes.extend(piece.byte()),
            }
        }
        String::from_utf8(bytes).ok()
    }
}

/// The one value of a key, else the default.
fn value(key: &Key, default: Option<&str>, facts: &impl KeyValues) -> Option<String> {
    let mut values = facts.values_of(key).unwrap_or_default().into_iter();
    match (values.next(), values.next()) {
        (Some(only), None) => Some(only.into_owned()),
        _ => default.map(str::to_owned),
    }
}
