//! IAM's wildcards: `*` stands for any characters, none included, and spans `/`; `?` for exactly one character.
//!
//! Patterns and texts are both hostile: a tenant writes one, a client the other. A pattern is kept as the *segments* between its
//! `*`s. The first is tied to the beginning of the text and the last to its end; those between are looked for from left to right,
//! each where the one before ended, which is enough because a `*` never needs to swallow more than that. So no byte of the text
//! is looked at twice, except within one segment: there the search takes time linear in the text for a segment without `?`, and
//! one step per byte and 64 characters of the segment for one with it ([`segment`]). The whole is bounded by
//! `text × (1 + pattern / 64)` steps, whatever the two are. Many short patterns on a long text are tried together ([`crowd`]).
//!
//! Source: IAM user guide, "Using wildcards in resource ARNs", "String condition operators".

mod crowd;
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

    /// Steps other than `*`.
    fn steps(&self) -> usize {
        self.segments().map(Segment::len).sum()
    }

    /// Does it contain `?`?
    pub(crate) fn has_single(&self) -> bool {
        self.segments().any(Segment::has_single)
    }

    fn segments(&self) -> impl Iterator<Item = &Segment> {
        let rest = self.rest.iter();
        let rest = rest.flat_map(|rest| {
            let middle = rest.middle.iter().map(Needle::segment);
            middle.chain([&rest.last])
        });
        rest.chain([&self.first])
    }

    /// Does the whole text fit?
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let Some((begin, end)) = self.bounds(text) else {
            return false;
        };
        let between = text.get(begin..end).unwrap_or_default();
        let middle = self.rest.iter().flat_map(|rest| &rest.middle);
        find_all(middle, between).is_some()
    }

    /// What of a text is left for the middle when its beginning and its end fit.
    fn bounds(&self, text: &[u8]) -> Option<(usize, usize)> {
        let begin = self.first.at_start(text)?;
        let end = match &self.rest {
            Some(rest) => rest.last.at_end(text)?,
            None => text.len(),
        };
        let fits = match &self.rest {
            Some(_) => begin <= end,
            None => begin == end,
        };
        fits.then_some((begin, end))
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

/// Most bytes that patterns look at one by one, counted as if each looked at the whole text. Beyond, they are tried together, which
/// takes longer to prepare.
const ONE_BY_ONE: usize = 64 * 1024;

/// Most steps of a pattern that is tried together with others. A longer one looks at each byte of the text once for each 64 of its
/// steps in either way, and without `?` much less often alone.
const SHORT: usize = 64;

/// Does the whole text fit one of the patterns?
pub(crate) fn any_fits(patterns: &[Pattern], text: &str) -> bool {
    if are_few(patterns.len(), text) {
        return patterns.iter().any(|pattern| pattern.matches(text));
    }
    fitting(patterns.iter(), text).contains(&true)
}

/// May so many patterns be tried one by one?
pub(crate) fn are_few(patterns: usize, text: &str) -> bool {
    patterns.saturating_mul(text.len()) <= ONE_BY_ONE
}

/// Which of the patterns the whole text fits, in their order.
pub(crate) fn fitting<'p>(patterns: impl Iterator<Item = &'p Pattern>, text: &str) -> Vec<bool> {
    let patterns: Vec<&Pattern> = patterns.collect();
    if are_few(patterns.len(), text) {
        return patterns
            .iter()
            .map(|pattern| pattern.matches(text))
            .collect();
    }
    let bytes = text.as_bytes();
    let mut fits: Vec<bool> = Vec::with_capacity(patterns.len());
    let mut together: Vec<(usize, &Pattern)> = Vec::new();
    for (position, pattern) in patterns.iter().enumerate() {
        // Most end at their first or last segment, which costs nothing.
        let possible = pattern.bounds(bytes).is_some();
        let short = pattern.steps() <= SHORT;
        if possible && short {
            together.push((position, *pattern));
        }
        fits.push(possible && !short && pattern.matches(text));
    }
    let (positions, tried): (Vec<usize>, Vec<&Pattern>) = together.into_iter().unzip();
    for (position, found) in positions.into_iter().zip(crowd::fitting(&tried, bytes)) {
        if let Some(fits) = fits.get_mut(position) {
            *fits = found;
        }
    }
    fits
}

/// Finds the segments one after the other, each as early as possible.
fn find_all<'n>(needles: impl IntoIterator<Item = &'n Needle>, text: &[u8]) -> Option<()> {
    let mut rest = text;
    for needle in needles {
        let end = needle.find(rest)?;
        rest = rest.get(end..)?;
    }
    Some(())
}

#[cfg(test)]
mod tests;
