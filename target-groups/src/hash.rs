//! Hashing that gives the same numbers on every node, in every version and after every restart.
//!
//! No defense against crafted input is needed: whoever chooses what is hashed of a request may as well repeat it, and nothing is
//! stored under these numbers.

/// A number from a number, each bit of which depends on all bits: the finalizer of `SplitMix64`.
pub const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// The hash of some bytes: FNV-1a with 64 bits, whose weak upper bits are mixed at the end.
pub fn of(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(hash)
}

/// Maps a number spread evenly over all 64 bits to one below `bound`; zero when that is zero.
///
/// Source: Lemire, "Fast random integer generation in an interval" (2019). Without its rejections a number is off its share by at
/// most `bound / 2^64`.
pub(crate) fn below(random: u64, bound: u64) -> u64 {
    let wide = u128::from(random) * u128::from(bound);
    u64::try_from(wide >> 64).unwrap_or(0)
}

/// Random numbers from one that came from outside.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, spread evenly over all 64 bits.
    pub(crate) fn roll(&mut self) -> u64 {
        let number = mix(self.0);
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        number
    }
}
