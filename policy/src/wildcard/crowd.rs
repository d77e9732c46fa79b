//! Many patterns on one long text: all at once, in one pass over the text.
//!
//! One by one, a thousand short patterns look at each byte a thousand times. Here each pattern is as many bits as it has steps, and
//! one more for having taken none; a bit says that the steps up to it fit the text up to here. A byte moves all bits at once, 64 of
//! them in a handful of instructions, so the whole takes `text × steps of all patterns / 64`, whatever patterns and text are.

use super::{Part, Pattern, segment::continues};

/// Which of the patterns fit the whole text, in their order.
pub(super) fn fitting(patterns: &[&Pattern], text: &[u8]) -> Vec<bool> {
    let crowd = Crowd::new(patterns, text);
    let state = crowd.run(text);
    let has = |bit: &usize| {
        let word = state.get(bit / 64).copied().unwrap_or_default();
        word >> (bit % 64) & 1 == 1
    };
    crowd
        .ends
        .iter()
        .map(|end| end.as_ref().is_some_and(has))
        .collect()
}

/// Which bits a byte leaves as they are, and which it sets when the bit before is set.
struct Moves {
    stays: Box<[u64]>,
    takes: Box<[u64]>,
}

struct Crowd {
    /// The bit of each pattern's last step; none for a pattern that has a byte which the text has not.
    ends: Vec<Option<usize>>,
    /// Nothing taken yet.
    start: Vec<u64>,
    /// By byte; for those of the text only.
    moves: Vec<Option<Moves>>,
}

impl Crowd {
    fn new(patterns: &[&Pattern], text: &[u8]) -> Self {
        let mut present = [false; 256];
        for byte in text {
            set(&mut present, *byte);
        }
        let mut bits = 0;
        let mut layout: Vec<(usize, Vec<Part>)> = Vec::new();
        let mut ends = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let parts = pattern.parts();
            let possible = parts.iter().all(|part| match part {
                Part::Byte(byte) => present.get(usize::from(*byte)) == Some(&true),
                Part::One | Part::Many => true,
            });
            let steps = parts.iter().filter(|part| **part != Part::Many).count();
            ends.push(possible.then_some(bits + steps));
            if possible {
                layout.push((bits, parts));
                bits += steps + 1;
            }
        }
        let words = bits.div_ceil(64);
        let mut start = vec![0; words];
        let (mut singles, mut loops) = (vec![0; words], vec![0; words]);
        let mut rows: Vec<Option<Vec<u64>>> = vec![None; 256];
        for (first, parts) in &layout {
            let mut bit = *first;
            raise(&mut start, bit);
            for part in parts {
                match part {
                    Part::Many => raise(&mut loops, bit),
                    Part::One => {
                        bit += 1;
                        raise(&mut singles, bit);
                    }
                    Part::Byte(byte) => {
                        bit += 1;
                        if let Some(row) = rows.get_mut(usize::from(*byte)) {
                            raise(row.get_or_insert_with(|| vec![0; words]), bit);
                        }
                    }
                }
            }
        }
        let moves = (0_u8..=255).zip(rows).zip(present);
        let moves = moves.map(|((byte, row), present)| {
            present.then(|| {
                let row = row.unwrap_or_else(|| vec![0; words]);
                Moves::new(byte, row, &singles, &loops)
            })
        });
        Self {
            ends,
            start,
            moves: moves.collect(),
        }
    }

    /// The bits at the end of the text.
    fn run(&self, text: &[u8]) -> Vec<u64> {
        // A word of zeros stands before the others, so that each has one before it.
        let mut state: Vec<u64> = [0].into_iter().chain(self.start.iter().copied()).collect();
        let mut next = vec![0; state.len()];
        for byte in text {
            let Some(Some(moves)) = self.moves.get(usize::from(*byte)) else {
                continue;
            };
            let words = state.iter().zip(state.iter().skip(1));
            let masks = moves.stays.iter().zip(&moves.takes);
            let targets = next.iter_mut().skip(1);
            for (target, ((before, word), (stays, takes))) in targets.zip(words.zip(masks)) {
                let entered = word << 1 | before >> 63;
                *target = word & stays | entered & takes;
            }
            std::mem::swap(&mut state, &mut next);
        }
        state.split_off(1)
    }
}

impl Moves {
    /// `?` takes the first byte of a character, and stays where it is while further ones follow.
    fn new(byte: u8, row: Vec<u64>, singles: &[u64], loops: &[u64]) -> Self {
        let with = |words: &[u64], more: &[u64]| -> Box<[u64]> {
            words
                .iter()
                .zip(more)
                .map(|(word, more)| word | more)
                .collect()
        };
        if continues(byte) {
            Self {
                stays: with(loops, singles),
                takes: row.into(),
            }
        } else {
            Self {
                stays: loops.into(),
                takes: with(&row, singles),
            }
        }
    }
}

fn set(present: &mut [bool; 256], byte: u8) {
    if let Some(entry) = present.get_mut(usize::from(byte)) {
        *entry = true;
    }
}

fn raise(words: &mut [u64], bit: usize) {
    if let Some(word) = words.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}
