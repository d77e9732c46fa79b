//! Weights of targets: who owns a point, and turns that visit every point once.
//!
//! Every target owns as many neighboring points as its weight says. A random point therefore finds a target with the probability
//! that it should have. Turns are points as well: each turn moves on by a fixed *stride* that has no divisor in common with the
//! number of points, so that any `total` turns in a row visit every point once and give each target exactly its weight. With a
//! stride near the golden section of the points, the visits of one target lie nearly evenly in time.
//!
//! Hot. Finding the owner of a point costs a look into a guide, which has as many entries as there are targets (up to a factor of
//! two), and a search among the targets of that entry. Entries cover equally many points, so a point meets two targets on average
//! and at most as many as there are points per entry: 2 × 1000.

/// Weights, ready to be chosen from. They are not all the same; that needs no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shares {
    /// For each target the first point beyond its own.
    ends: Box<[u64]>,
    /// For each run of `1 << shift` points the target that owns the first of them.
    guide: Box<[u32]>,
    shift: u32,
    stride: u64,
}

impl Shares {
    /// The shares of targets with these weights, none of which is zero; `None` when all are the same.
    pub(crate) fn new(weights: impl Iterator<Item = u16> + Clone) -> Option<Self> {
        let divisor = weights
            .clone()
            .fold(0, |gcd, weight| divisor(gcd, weight.into()));
        let mut total = 0;
        let ends: Box<[u64]> = weights
            .map(|weight| {
                total += u64::from(weight).checked_div(divisor).unwrap_or(0);
                total
            })
            .collect();
        let count = u64::try_from(ends.len()).ok()?;
        if total == count {
            return None;
        }
        let shift = total.checked_div(count)?.checked_ilog2().unwrap_or(0);
        let mut owner = 0;
        let guide = (0..=total >> shift).map(|entry| {
            let point = entry << shift;
            while ends.get(owner).is_some_and(|end| *end <= point) {
                owner += 1;
            }
            u32::try_from(owner).unwrap_or(u32::MAX)
        });
        let guide = guide.collect();
        Some(Self {
            ends,
            guide,
            shift,
            stride: stride(total),
        })
    }

    /// Number of points: turns until every target had as many as its weight, divided by what all weights have in common.
    pub(crate) fn total(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Position of the target that owns a point; `None` beyond the last.
    pub(crate) fn owner(&self, point: u64) -> Option<usize> {
        let entry = usize::try_from(point >> self.shift).ok()?;
        let first = usize::try_from(*self.guide.get(entry)?).ok()?;
        let next = self.guide.get(entry + 1).map_or(self.ends.len(), |next| {
            usize::try_from(*next).map_or(self.ends.len(), |next| next + 1)
        });
        let candidates = self.ends.get(first..next.min(self.ends.len()))?;
        let position = first + candidates.partition_point(|end| *end <= point);
        (position < self.ends.len()).then_some(position)
    }

    /// The point of a turn.
    pub(crate) fn point(&self, turn: u64) -> u64 {
        let total = self.total();
        let Some(turn) = turn.checked_rem(total) else {
            return 0;
        };
        match turn.checked_mul(self.stride) {
            Some(product) => product % total,
            // Four million targets with the largest weights.
            None => u64::try_from(u128::from(turn) * u128::from(self.stride) % u128::from(total))
                .unwrap_or(0),
        }
    }
}

/// A number near the golden section of `total` that has no divisor in common with it and spreads turns most evenly.
///
/// How far a target can be off its share is bounded by the sum of the partial quotients of `stride / total` (Niederreiter, "Random
/// Number Generation and Quasi-Monte Carlo Methods", §3.1). The golden section has the least, but nearby fractions may not.
fn stride(total: u64) -> u64 {
    const TRIED: u64 = 32;
    let section = u64::try_from(u128::from(total) * 618_033_989 / 1_000_000_000).unwrap_or(1);
    let nearby = section.saturating_sub(TRIED).max(1)..(section + TRIED).min(total);
    let even = nearby.filter_map(|stride| Some((quotients(stride, total)?, stride)));
    even.min().map_or(1, |(_, stride)| stride)
}

/// The sum of the partial quotients of a fraction; `None` when its parts have a divisor in common.
fn quotients(mut a: u64, mut b: u64) -> Option<u64> {
    let mut sum = 0;
    while b != 0 {
        sum += a / b;
        (a, b) = (b, a % b);
    }
    (a == 1).then_some(sum)
}

/// The greatest common divisor.
fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests;
