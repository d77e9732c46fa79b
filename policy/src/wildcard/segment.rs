//! What stands between two `*`s, and where a text has it.

use memchr::memmem;

use super::Part;

/// Steps without `*`. It fits exactly as many characters as it has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    /// Without `?`.
    Plain(Box<[u8]>),
    /// With `?`.
    Singles(Box<[Step]>),
}

/// A byte, or any one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Byte(u8),
    One,
}

/// Steps that one word of the search holds.
const WORD: usize = 64;

impl Default for Segment {
    fn default() -> Self {
        Self::Plain(Box::default())
    }
}

impl Segment {
    /// A segment of these parts, none of which is [`Part::Many`].
    pub(super) fn new(parts: &[Part]) -> Self {
        let steps: Vec<Step> = parts
            .iter()
            .filter_map(|part| match part {
                Part::Byte(byte) => Some(Step::Byte(*byte)),
                Part::One => Some(Step::One),
                Part::Many => None,
            })
            .collect();
        let plain: Option<Vec<u8>> = steps
            .iter()
            .map(|step| match step {
                Step::Byte(byte) => Some(*byte),
                Step::One => None,
            })
            .collect();
        match plain {
            Some(bytes) => Self::Plain(bytes.into()),
            None => Self::Singles(steps.into()),
        }
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        let (bytes, steps): (&[u8], &[Step]) = match self {
            Self::Plain(bytes) => (bytes, &[]),
            Self::Singles(steps) => (&[], steps),
        };
        let steps = steps.iter().map(|step| match step {
            Step::Byte(byte) => Part::Byte(*byte),
            Step::One => Part::One,
        });
        bytes.iter().map(|byte| Part::Byte(*byte)).chain(steps)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Singles(steps) => steps.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Plain(bytes) if bytes.is_empty())
    }

    pub(super) fn has_single(&self) -> bool {
        matches!(self, Self::Singles(_))
    }

    /// Where it ends in a text that begins with it.
    pub(super) fn at_start(&self, text: &[u8]) -> Option<usize> {
        match self {
            // Nothing is worth a case of its own: to compare no bytes takes longer than to compare some, because the masked loads of
            // AVX-512 go slowly where an empty slice points.
            Self::Plain(bytes) if bytes.is_empty() => Some(0),
            Self::Plain(bytes) => text.starts_with(bytes).then_some(bytes.len()),
            Self::Singles(steps) => {
                let mut at = 0;
                for step in steps {
                    at += match step {
                        Step::Byte(byte) => text.get(at).filter(|found| *found == byte).map(|_| 1),
                        Step::One => first_length(text.get(at..)?),
                    }?;
                }
                Some(at)
            }
        }
    }

    /// Where it begins in a text that ends with it.
    pub(super) fn at_end(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Plain(bytes) if bytes.is_empty() => Some(text.len()),
            Self::Plain(bytes) => text.ends_with(bytes).then(|| text.len() - bytes.len()),
            Self::Singles(steps) => {
                let mut rest = text;
                for step in steps.iter().rev() {
                    let (last, before) = rest.split_last()?;
                    rest = match step {
                        Step::Byte(byte) if byte == last => before,
                        Step::Byte(_) => return None,
                        Step::One => {
                            let continued = rest.iter().rev().take_while(|byte| continues(**byte));
                            rest.get(..rest.len().checked_sub(continued.count() + 1)?)?
                        }
                    };
                }
                Some(rest.len())
            }
        }
    }

    /// Can a text that begins with the whole of `beginning`, which is ASCII, begin with it?
    pub(super) fn could_start(&self, beginning: &[u8]) -> bool {
        match self {
            Self::Plain(bytes) => bytes.starts_with(beginning),
            Self::Singles(steps) => {
                beginning.len() <= steps.len()
                    && beginning.iter().zip(steps).all(|(found, step)| match step {
                        Step::Byte(byte) => byte == found,
                        Step::One => true,
                    })
            }
        }
    }
}

/// A segment that is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Needle {
    segment: Segment,
    /// Where the byte stands that texts have least often, of a segment without `?`.
    rare: u8,
}

/// How often the rare byte of a segment may lead to nothing before the search takes a way whose time is bounded.
const WRONG_LEADS: usize = 16;

impl Needle {
    pub(super) fn new(segment: Segment) -> Self {
        let rare = match &segment {
            Segment::Plain(bytes) => {
                let places = (0..=u8::MAX).zip(bytes).rev();
                places.min_by_key(|(_, byte)| frequency(**byte))
            }
            Segment::Singles(_) => None,
        };
        let rare = rare.map_or(0, |(place, _)| place);
        Self { segment, rare }
    }

    pub(super) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Where its first occurrence ends.
    pub(super) fn find(&self, text: &[u8]) -> Option<usize> {
        match &self.segment {
            Segment::Plain(bytes) => find_plain(bytes, usize::from(self.rare), text),
            Segment::Singles(steps) if text.len() < steps.len() => None,
            Segment::Singles(steps) if steps.len() <= WORD => find_short(steps, text),
            Segment::Singles(steps) => find_long(steps, text),
        }
    }
}

/// How often ARNs and paths have a byte, roughly.
fn frequency(byte: u8) -> u8 {
    match byte {
        b'/' | b':' => 4,
        b'0'..=b'9' | b'a'..=b'f' => 3,
        b'-' | b'.' | b'i' | b'o' | b'u' | b'l' | b'n' | b'r' | b's' | b't' => 2,
        b'g'..=b'z' => 1,
        _ => 0,
    }
}

/// Where the first occurrence of some bytes ends, found by the one of them that is rare.
fn find_plain(bytes: &[u8], rare: usize, text: &[u8]) -> Option<usize> {
    let wanted = *bytes.get(rare)?;
    let mut from = rare;
    for _ in 0..WRONG_LEADS {
        let at = from + memchr::memchr(wanted, text.get(from..)?)?;
        let start = at - rare;
        if text.get(start..)?.starts_with(bytes) {
            return Some(start + bytes.len());
        }
        from = at + 1;
    }
    let start = from - rare;
    let at = memmem::find(text.get(start..)?, bytes)?;
    Some(start + at + bytes.len())
}

/// Is the byte part of a character, but not its first?
pub(super) fn continues(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Bytes of the first character.
fn first_length(text: &[u8]) -> Option<usize> {
    let (_, rest) = text.split_first()?;
    Some(1 + rest.iter().take_while(|byte| continues(**byte)).count())
}

/// Bits of the steps that take a byte: as a character's first byte, or as one of the others.
///
/// A `?` takes the first byte of a character; while further ones follow it stays where it is.
#[derive(Clone, Copy, Default)]
struct Takes {
    bytes: u64,
    singles: u64,
}

impl Takes {
    fn new(steps: &[Step], byte: u8) -> Self {
        let mut takes = Self::default();
        for (bit, step) in steps.iter().enumerate() {
            match step {
                Step::Byte(wanted) if *wanted == byte => takes.bytes |= 1 << bit,
                Step::Byte(_) => {}
                Step::One => takes.singles |= 1 << bit,
            }
        }
        takes
    }

    /// The steps that are reached with this byte, when `entered` are those it may take next and `state` those reached before.
    fn advance(self, state: u64, entered: u64, continued: bool) -> u64 {
        if continued {
            (entered & self.bytes) | (state & self.singles)
        } else {
            entered & (self.bytes | self.singles)
        }
    }
}

/// Does a match that was reached at `at` end there? A `?` at the end takes the whole of its character.
fn ends(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|next| !continues(*next))
}

/// "Shift-and": one bit for each beginning of the segment that the text, up to here, ends with. One step per byte.
fn find_short(steps: &[Step], text: &[u8]) -> Option<usize> {
    let mut table = [0_u64; 256];
    let mut singles = 0;
    for (bit, step) in steps.iter().enumerate() {
        match step {
            Step::Byte(byte) => {
                if let Some(row) = table.get_mut(usize::from(*byte)) {
                    *row |= 1 << bit;
                }
            }
            Step::One => singles |= 1 << bit,
        }
    }
    let last = 1_u64 << (steps.len() - 1);
    let mut state = 0;
    for (at, byte) in (1..).zip(text) {
        let bytes = table.get(usize::from(*byte)).copied().unwrap_or_default();
        let takes = Takes { bytes, singles };
        state = takes.advance(state, state << 1 | 1, continues(*byte));
        if state & last != 0 && ends(text, at) {
            return Some(at);
        }
    }
    None
}

/// The same with as many words as the segment needs.
fn find_long(steps: &[Step], text: &[u8]) -> Option<usize> {
    let words = steps.len().div_ceil(WORD);
    // One row for each byte that the text has.
    let mut rows: Vec<Option<Box<[Takes]>>> = vec![None; 256];
    let mut state = vec![0_u64; words];
    let last = 1_u64 << ((steps.len() - 1) % WORD);
    for (at, byte) in (1..).zip(text) {
        let row = rows.get_mut(usize::from(*byte))?.get_or_insert_with(|| {
            let words = steps.chunks(WORD);
            words.map(|steps| Takes::new(steps, *byte)).collect()
        });
        let continued = continues(*byte);
        let mut carry = 1;
        for (word, takes) in state.iter_mut().zip(row) {
            let entered = *word << 1 | carry;
            carry = *word >> (WORD - 1);
            *word = takes.advance(*word, entered, continued);
        }
        if state.last().is_some_and(|word| word & last != 0) && ends(text, at) {
            return Some(at);
        }
    }
    None
}
