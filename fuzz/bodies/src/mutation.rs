//! Mutations of inputs: the same ones for the same seed, so that what a test finds today it finds tomorrow.

/// A source of numbers that are spread well and foreseen by nobody who does not know the seed: xorshift64*.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`, which is not zero.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or_default() % bound
    }

    fn byte(&mut self) -> u8 {
        const INTERESTING: &[u8] = b"\0\x01\x7f\x80\xff \r\n\t\"\\%&+,-./:;<=>?@[]{}*$'()0Aa";
        match self.below(2) {
            0 => INTERESTING[self.below(INTERESTING.len())],
            _ => self.below(256).to_le_bytes()[0],
        }
    }

    /// One of the inputs, changed in a few places, or joined with a part of another.
    pub fn mutate(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = inputs[self.below(inputs.len())].clone();
        for _ in 0..=self.below(4) {
            let start = self.below(bytes.len() + 1);
            let end = start + self.below((bytes.len() - start).min(32) + 1);
            let place = self.below(bytes.len() + 1);
            match self.below(6) {
                0 if place < bytes.len() => bytes[place] ^= 1 << self.below(8),
                1 if place < bytes.len() => bytes[place] = self.byte(),
                2 => bytes.insert(place, self.byte()),
                3 => drop(bytes.drain(start..end)),
                4 => {
                    let part = bytes[start..end].to_vec();
                    bytes.splice(place..place, part);
                }
                _ => {
                    let other = &inputs[self.below(inputs.len())];
                    let from = self.below(other.len() + 1);
                    bytes.truncate(place);
                    bytes.extend_from_slice(&other[from..]);
                }
            }
        }
        bytes
    }
}
