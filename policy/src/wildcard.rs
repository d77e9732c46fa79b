//! IAM's wildcards: `*` stands for any characters, none included, and spans `/`; `?` for exactly one character.
//!
//! Patterns and texts are both hostile: a tenant writes one, a client the other. A pattern is kept as the *segments* between its
//! `*`s. The first is tied to the beginning of the text and the last to its end; those between are looked for from left to right,
//! each where the one before ended, which is enough because a `*` never needs to swallow more than that. So no byte of the text
//! is looked at twice, except within one segment: there the search takes time linear in the text for a segment without `?`, and
//! one step per byte and 64 characters of the segment for one with it ([`segment`]). The whole is bounded by
//! `text × (1 + pattern / 64)` steps, whatever the two are.
//!
//! Source: IAM user guide, "Using wildcards in resource ARNs", "String condition operators".

mod segment;

use segment::{Needle, Segment};

/// A text with wildcards.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    /// Up to the first `*`, or all there is without one.
    first: Segment,
    /// What follows each `*`: `None` without one.
    rest: Option<Rest>,
}

/// What follows the first `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Rest {
    /// Between two `*`s, none of them empty.
    middle: Box<[Needle]>,
    /// After the last `*`.
    last: Segment,
}

/// One step of a pattern. Characters are bytes of UTF-8: a literal never begins in the middle of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// This byte.
    Byte(u8),
    /// One character.
    One,
    /// Any characters, none included.
    Many,
}

/// What is known of a pattern once the beginning of the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// No text that begins so fits.
    Never,
    /// Every text that begins so fits.
    Always,
    /// It depends on the rest.
    Depends,
}

impl Pattern {
    /// A pattern from its steps; several `*` in a row are one.
    pub(crate) fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        let parts: Vec<Part> = parts.into_iter().collect();
        let mut segments = parts.split(|part| *part == Part::Many).map(Segment::new);
        // A split gives at least one piece.
        let first = segments.next().unwrap_or_default();
        let mut middle: Vec<Segment> = segments.collect();
        let rest = middle.pop().map(|last| {
            middle.retain(|segment| !segment.is_empty());
            Rest {
                middle: middle.into_iter().map(Needle::new).collect(),
                last,
            }
        });
        Self { first, rest }
    }

    /// Reads `*` and `?` as wildcards and everything else as itself.
    pub(crate) fn parse(text: &str) -> Self {
        Self::new(text.bytes().map(|byte| match byte {
            b'*' => Part::Many,
            b'?' => Part::One,
            byte => Part::Byte(byte),
        }))
    }

    /// The same, made ready for many searches: it takes more memory and less time.
    pub(crate) fn prepared(mut self) -> Self {
        let middle = self.rest.iter_mut().flat_map(|rest| &mut rest.middle);
        middle.for_each(Needle::prepare);
        self
    }

    /// The steps.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = self.first.parts().collect();
        if let Some(rest) = &self.rest {
            let middle = rest.middle.iter().map(Needle::segment);
            for segment in middle.chain([&rest.last]) {
                parts.push(Part::Many);
                parts.extend(segment.parts());
            }
        }
        parts
    }

    /// Does it contain `?`?
    pub(crate) fn has_single(&self) -> bool {
        let rest = self.rest.iter();
        let rest = rest.flat_map(|rest| {
            let middle = rest.middle.iter().map(Needle::segment);
            middle.chain([&rest.last])
        });
        rest.chain([&self.first]).any(Segment::has_single)
    }

    /// Does the whole text fit?
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let Some(begin) = self.first.at_start(text) else {
            return false;
        };
        let Some(rest) = &self.rest else {
            return begin == text.len();
        };
        let Some(end) = rest.last.at_end(text).filter(|end| begin <= *end) else {
            return false;
        };
        let between = text.get(begin..end).unwrap_or_default();
        find_all(&rest.middle, between).is_some()
    }

    /// What is known about texts that begin with `beginning`, which must be ASCII.
    pub(crate) fn reach(&self, beginning: &str) -> Reach {
        let beginning = beginning.as_bytes();
        let Some(begin) = self.first.at_start(beginning) else {
            return if self.first.could_start(beginning) {
                Reach::Depends
            } else {
                Reach::Never
            };
        };
        match &self.rest {
            None if begin == beginning.len() => Reach::Depends,
            None => Reach::Never,
            Some(rest) => {
                let after = beginning.get(begin..).unwrap_or_default();
                if rest.last.is_empty() && find_all(&rest.middle, after).is_some() {
                    Reach::Always
                } else {
                    Reach::Depends
                }
            }
        }
    }
}

/// Finds the segments one after the other, each as early as possible.
fn find_all(needles: &[Needle], text: &[u8]) -> Option<()> {
    let mut rest = text;
    for needle in needles {
        let end = needle.find(rest)?;
        rest = rest.get(end..)?;
    }
    Some(())
}

#[cfg(test)]
mod tests;
