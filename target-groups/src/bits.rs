//! A set of positions.

/// A set of positions, one bit each: 1250 bytes for ten thousand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bits(Box<[u64]>);

impl Bits {
    /// Those of `0..length` for which `is_in` holds.
    pub(crate) fn new(length: usize, is_in: impl Fn(usize) -> bool) -> Self {
        let word = |word: usize| {
            let bits = (0..64).filter(|bit| word * 64 + bit < length && is_in(word * 64 + bit));
            bits.fold(0, |word, bit| word | 1 << bit)
        };
        Self((0..length.div_ceil(64)).map(word).collect())
    }

    pub(crate) fn contains(&self, position: u32) -> bool {
        let word = usize::try_from(position / 64).ok();
        let word = word.and_then(|word| self.0.get(word));
        word.is_some_and(|word| word >> (position % 64) & 1 == 1)
    }

    /// Puts a position in or takes it out.
    pub(crate) fn set(&mut self, position: u32, is_in: bool) {
        let word = usize::try_from(position / 64).ok();
        if let Some(word) = word.and_then(|word| self.0.get_mut(word)) {
            let bit = 1 << (position % 64);
            if is_in {
                *word |= bit;
            } else {
                *word &= !bit;
            }
        }
    }
}
