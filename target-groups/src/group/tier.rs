//! Targets among which an algorithm chooses.

use trellis_model::config::Algorithm;

use super::membership::{Membership, Tables};
use crate::{
    hash::{Dice, below},
    maglev::Table,
    shares::Shares,
};

/// How many targets compete for a request under `LEAST_REQUEST`. Groups of up to so many targets choose the least of all.
pub(super) const COMPETITORS: u32 = 8;

/// Targets among which an algorithm chooses, each named by its *index* in the tier.
#[derive(Debug, Default)]
pub(super) struct Tier {
    place: Place,
    members: Members,
    /// `None` when all have the same.
    shares: Option<Box<Shares>>,
}

/// Which part of the group a tier is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// All of it.
    #[default]
    Whole,
    /// The preferred zone.
    Near,
    /// All others.
    Far,
}

#[derive(Debug)]
enum Members {
    /// The first ones of the membership.
    All(u32),
    /// Those at these positions, ascending. Four bytes each, so that ten thousand stay in a core's own cache.
    Some(Box<[u32]>),
}

impl Default for Members {
    fn default() -> Self {
        Self::All(0)
    }
}

impl Tier {
    pub(super) fn all(count: u32, shares: Option<Box<Shares>>) -> Self {
        Self {
            place: Place::Whole,
            members: Members::All(count),
            shares,
        }
    }

    pub(super) fn some(place: Place, positions: Box<[u32]>, shares: Option<Box<Shares>>) -> Self {
        Self {
            place,
            members: Members::Some(positions),
            shares,
        }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    pub(super) fn count(&self) -> u32 {
        match &self.members {
            Members::All(count) => *count,
            Members::Some(positions) => u32::try_from(positions.len()).unwrap_or(u32::MAX),
        }
    }

    /// The position in the membership.
    pub(super) fn position(&self, index: u32) -> Option<u32> {
        match &self.members {
            Members::All(count) => (index < *count).then_some(index),
            Members::Some(positions) => positions.get(usize::try_from(index).ok()?).copied(),
        }
    }

    /// The table of consistent hashing for this part of the group.
    pub(super) fn table<'t>(&self, tables: &'t Tables) -> &'t Table {
        match (self.place, &tables.apart) {
            (Place::Near, Some((near, _))) => near,
            (Place::Far, Some((_, far))) => far,
            (Place::Whole, _) | (_, None) => &tables.all,
        }
    }

    /// A draw of the algorithm. `turn` is taken where turns matter. Hashing is not a draw and has its own way.
    pub(super) fn draw(
        &self,
        membership: &Membership,
        turn: impl FnOnce() -> u64,
        dice: &mut Dice,
    ) -> Option<u32> {
        match membership.balancing.algorithm {
            Algorithm::RoundRobin => self.in_turn(turn()),
            Algorithm::LeastRequest => self.least(COMPETITORS, membership, dice),
            Algorithm::RandomTwoChoices => self.least(2, membership, dice),
            Algorithm::Maglev(_) => self.random(dice),
        }
    }

    fn in_turn(&self, turn: u64) -> Option<u32> {
        match &self.shares {
            None => {
                let index = turn.checked_rem(self.count().into())?;
                u32::try_from(index).ok()
            }
            Some(shares) => index(shares.owner(shares.point(turn))?),
        }
    }

    /// One by its share.
    fn random(&self, dice: &mut Dice) -> Option<u32> {
        match &self.shares {
            None if self.count() == 0 => None,
            None => u32::try_from(below(dice.roll(), self.count().into())).ok(),
            Some(shares) => index(shares.owner(below(dice.roll(), shares.total()))?),
        }
    }

    /// The one with the fewest running requests for its weight, of so many by their shares. The first one wins a tie, so that an idle
    /// group is used by the shares.
    fn least(&self, competitors: u32, membership: &Membership, dice: &mut Dice) -> Option<u32> {
        let first = self.random(dice)?;
        let count = self.count();
        let mut best = first;
        let mut load = self.load(membership, first)?;
        for step in 1..competitors.min(count) {
            let other = if count <= competitors {
                wrapped(first, step, count)
            } else if self.shares.is_some() {
                self.random(dice)?
            } else {
                // Another one than the first: of two, both count.
                let distance = u32::try_from(below(dice.roll(), u64::from(count) - 1)).ok()?;
                wrapped(first, distance + 1, count)
            };
            let others = self.load(membership, other)?;
            if others.is_below(load) {
                (best, load) = (other, others);
            }
        }
        Some(best)
    }

    fn load(&self, membership: &Membership, index: u32) -> Option<Load> {
        let position = self.position(index)?;
        let running = membership.live(position)?.in_flight();
        Some(Load {
            running: running.into(),
            weight: membership.weight(position).into(),
        })
    }

    /// The index after so many others, around the end.
    pub(super) fn neighbor(&self, index: u32, step: u32) -> u32 {
        wrapped(index, step, self.count())
    }
}

/// Running requests of a target of this weight.
#[derive(Debug, Clone, Copy)]
struct Load {
    running: u64,
    weight: u64,
}

impl Load {
    /// Fewer requests for the weight?
    fn is_below(self, other: Self) -> bool {
        self.running.saturating_mul(other.weight) < other.running.saturating_mul(self.weight)
    }
}

fn index(position: usize) -> Option<u32> {
    u32::try_from(position).ok()
}

/// `index + step` in a circle of `count`; both are below it.
fn wrapped(index: u32, step: u32, count: u32) -> u32 {
    let sum = u64::from(index) + u64::from(step);
    let rest = sum.checked_rem(count.into()).unwrap_or(0);
    u32::try_from(rest).unwrap_or(0)
}
