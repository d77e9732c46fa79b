//! Choosing among the target groups of a forward action, in proportion to their weights.
//!
//! Hot: runs once per forwarded request. A binary search over at most ten sums that lie in the table itself; no allocation.

use smallvec::SmallVec;
use trellis_model::config::Weight;

/// Most target groups in a forward action. Source: VPC Lattice API model, `WeightedTargetGroupList`. More work, on the heap.
const USUAL: usize = 10;

/// Weights, ready to be chosen from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightedChoice {
    /// For each entry the sum of all weights up to and including its own. An entry of weight zero repeats the sum before it
    /// and is therefore never the first one above a point.
    sums: SmallVec<[u32; USUAL]>,
}

impl WeightedChoice {
    /// A choice among as many entries as there are weights.
    pub fn new(weights: impl IntoIterator<Item = Weight>) -> Self {
        let sums = weights
            .into_iter()
            .scan(0_u32, |sum, weight| {
                *sum = sum.saturating_add(u32::from(weight.get()));
                Some(*sum)
            })
            .collect();
        Self { sums }
    }

    /// The weights, in order: the share of an entry is its weight over the sum of all.
    pub fn weights(&self) -> impl Iterator<Item = u32> + '_ {
        let before = std::iter::once(0).chain(self.sums.iter().copied());
        self.sums
            .iter()
            .zip(before)
            .map(|(sum, before)| sum.saturating_sub(before))
    }

    /// The position of one entry, chosen by `random`, a number spread evenly over all 64 bits.
    ///
    /// Every entry gets `weight / sum` of the 2^64 numbers, rounded to a whole number of them. `None` when there is no entry
    /// or all weights are zero.
    pub fn choose(&self, random: u64) -> Option<usize> {
        let total = *self.sums.last()?;
        let scaled = (u128::from(random) * u128::from(total)) >> 64;
        let point = u32::try_from(scaled).ok()?;
        let position = self.sums.partition_point(|sum| *sum <= point);
        (position < self.sums.len()).then_some(position)
    }
}

#[cfg(test)]
mod tests;
