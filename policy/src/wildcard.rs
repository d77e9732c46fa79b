//! IAM's wildcards: `*` stands for any characters, none included, and spans `/`; `?` for exactly one character.
//!
//! Source: IAM user guide, "Using wildcards in resource ARNs", "String condition operators".

/// A text with wildcards.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    parts: Box<[Part]>,
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
    /// A pattern from parts; several `*` in a row are one.
    pub(crate) fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut parts: Vec<Part> = parts.into_iter().collect();
        parts.dedup_by(|a, b| *a == Part::Many && *b == Part::Many);
        Self {
            parts: parts.into(),
        }
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
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Does it contain `?`?
    pub(crate) fn has_single(&self) -> bool {
        self.parts.contains(&Part::One)
    }

    /// Does the whole text fit?
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let (mut at, mut part) = (0, 0);
        // Where to go on when the way after the last `*` fails: its position, and the first byte it has not yet swallowed.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let step = match (self.parts.get(part), text.get(at)) {
                (None, None) => return true,
                (Some(Part::Many), _) => {
                    retry = Some((part, at));
                    part += 1;
                    continue;
                }
                (Some(Part::Byte(byte)), Some(other)) if byte == other => Some(1),
                (Some(Part::One), Some(_)) => Some(character_length(text, at)),
                _ => None,
            };
            match (step, retry) {
                (Some(length), _) => {
                    at += length;
                    part += 1;
                }
                (None, Some((many, swallowed))) if swallowed < text.len() => {
                    retry = Some((many, swallowed + 1));
                    part = many + 1;
                    at = swallowed + 1;
                }
                (None, _) => return false,
            }
        }
    }

    /// What is known about texts that begin with `beginning`, which must be ASCII.
    pub(crate) fn reach(&self, beginning: &str) -> Reach {
        let mut alive = vec![false; self.parts.len() + 1];
        self.enter(&mut alive, 0);
        for byte in beginning.bytes() {
            let mut next = vec![false; self.parts.len() + 1];
            for (position, part) in self.parts.iter().enumerate() {
                if !alive.get(position).copied().unwrap_or(false) {
                    continue;
                }
                match part {
                    Part::Many => self.enter(&mut next, position),
                    Part::One => self.enter(&mut next, position + 1),
                    Part::Byte(wanted) if *wanted == byte => self.enter(&mut next, position + 1),
                    Part::Byte(_) => {}
                }
            }
            alive = next;
        }
        let ends_open = self.parts.last() == Some(&Part::Many);
        let last = self.parts.len().saturating_sub(1);
        if ends_open && alive.get(last).copied().unwrap_or(false) {
            Reach::Always
        } else if alive.contains(&true) {
            Reach::Depends
        } else {
            Reach::Never
        }
    }

    /// Marks a position, and those reached from it by a `*` that stands for nothing.
    fn enter(&self, alive: &mut [bool], position: usize) {
        let mut position = position;
        loop {
            if let Some(slot) = alive.get_mut(position) {
                *slot = true;
            }
            if self.parts.get(position) != Some(&Part::Many) {
                return;
            }
            position += 1;
        }
    }
}

/// Bytes of the character that begins at `at`.
fn character_length(text: &[u8], at: usize) -> usize {
    let rest = text.get(at + 1..).unwrap_or_default();
    1 + rest
        .iter()
        .take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000)
        .count()
}

#[cfg(test)]
mod tests;
