//! How a request gets its target.
//!
//! Hot. Each algorithm draws a target in constant time, or so nearly that ten thousand targets cost what ten do. A draw is taken back
//! when the request tried that target before or when the target warms up and its share is used; after a few draws, whoever is
//! next to the last one has to do. So every choice ends after a bounded number of steps.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    Wanted,
    membership::Tables,
    roster::{Eligible, Roster, Tiers},
    tier::{Place, Tier},
};
use crate::{
    hash::{self, Dice},
    target::{Chosen, Live},
};

/// Most draws for one choice. Where nine of ten draws are taken back, all of them are once in five choices.
const DRAWS: u32 = 16;

/// Counts turns. On a cache line of its own: all workers write it, and nothing else should pay for that.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Rotation(AtomicU64);

/// Whose turn it is, in the whole group or in the near tier, and in the far one, which few groups have.
#[derive(Debug, Default)]
pub(super) struct Rotations {
    first: Rotation,
    far: OnceLock<Box<Rotation>>,
}

impl Rotations {
    fn next(&self, place: Place) -> u64 {
        let rotation = match place {
            Place::Whole | Place::Near => &self.first,
            Place::Far => self.far.get_or_init(Box::default),
        };
        rotation.0.fetch_add(1, Relaxed)
    }
}

impl Roster {
    /// The target for a request; `None` when there is none at all.
    pub(super) fn choose(
        &self,
        rotations: &Rotations,
        wanted: &Wanted<'_>,
    ) -> Option<(&Arc<Live>, Chosen)> {
        if let Some(live) = self.kept(wanted) {
            return Some((live, Chosen::Cookie));
        }
        let (live, chosen) = self.found(rotations, wanted)?;
        let chosen = match self.eligible {
            Eligible::FailOpen => Chosen::FailOpen,
            Eligible::All | Eligible::Ready(..) => chosen,
        };
        Some((live, chosen))
    }

    /// The target by hash or by the algorithm.
    fn found(&self, rotations: &Rotations, wanted: &Wanted<'_>) -> Option<(&Arc<Live>, Chosen)> {
        let mut dice = Dice::new(wanted.random);
        let tables = self.membership.tables.as_deref();
        if let (Some(tables), Some(hash)) = (tables, wanted.hash) {
            return Some((self.hashed(tables, hash, wanted)?, Chosen::Hash));
        }
        let (tier, other) = self.tiers.by(|| dice.roll());
        let first = self.drawn(tier, rotations, &mut dice, wanted)?;
        let (live, tier) = unless_tried((first, tier), wanted, other, |tier| {
            self.drawn(tier, rotations, &mut dice, wanted)
        });
        let chosen = match tier.place() {
            Place::Whole => Chosen::Draw,
            Place::Near => Chosen::Near,
            Place::Far => Chosen::Far,
        };
        Some((live, chosen))
    }

    /// The target that the client had before, while it may be chosen.
    fn kept(&self, wanted: &Wanted<'_>) -> Option<&Arc<Live>> {
        let position = self.membership.position(wanted.sticky?)?;
        let live = self.membership.live(position)?;
        (self.eligible.includes(position) && !wanted.has_tried(live.key())).then_some(live)
    }

    fn drawn(
        &self,
        tier: &Tier,
        rotations: &Rotations,
        dice: &mut Dice,
        wanted: &Wanted<'_>,
    ) -> Option<&Arc<Live>> {
        let mut index = 0;
        for _ in 0..DRAWS {
            let turn = || rotations.next(tier.place());
            index = tier.draw(&self.membership, turn, dice)?;
            let position = tier.position(index)?;
            let live = self.membership.live(position)?;
            let admitted = self
                .warming
                .as_ref()
                .is_none_or(|warming| warming.admits(position, dice.roll(), wanted.now));
            if admitted && !wanted.has_tried(live.key()) {
                return Some(live);
            }
        }
        self.near_by(tier, index, wanted)
    }

    /// The target of a hash. It is passed over while it may not be chosen, and the hash goes on to another entry of the table, which is
    /// the same for all requests with this hash.
    fn hashed(&self, tables: &Tables, hash: u64, wanted: &Wanted<'_>) -> Option<&Arc<Live>> {
        // The same for each hash, or its requests would have two targets.
        let (tier, other) = self.tiers.by(|| hash::mix(!hash));
        let first = self.hashed_in(tier, tables, hash, wanted)?;
        let (live, _) = unless_tried((first, tier), wanted, other, |tier| {
            self.hashed_in(tier, tables, hash, wanted)
        });
        Some(live)
    }

    fn hashed_in(
        &self,
        tier: &Tier,
        tables: &Tables,
        hash: u64,
        wanted: &Wanted<'_>,
    ) -> Option<&Arc<Live>> {
        let table = tier.table(tables);
        let mut entry = hash;
        for _ in 0..DRAWS {
            let position = table.find(entry)?;
            let live = self.membership.live(position)?;
            if self.eligible.includes(position) && !wanted.has_tried(live.key()) {
                return Some(live);
            }
            entry = hash::mix(entry);
        }
        let index = u32::try_from(hash::below(entry, tier.count().into())).ok()?;
        self.near_by(tier, index, wanted)
    }

    /// The target at this index, or the first one after it that was not tried. They are as many as were tried and one more, so one of
    /// them was not, unless the tier has no other.
    fn near_by(&self, tier: &Tier, index: u32, wanted: &Wanted<'_>) -> Option<&Arc<Live>> {
        let at = |index| self.membership.live(tier.position(index)?);
        let steps = u32::try_from(wanted.tried.len()).unwrap_or(u32::MAX);
        let mut neighbors =
            (0..=steps.min(tier.count())).filter_map(|step| at(tier.neighbor(index, step)));
        let other = neighbors.find(|live| !wanted.has_tried(live.key()));
        other.or_else(|| at(index))
    }
}

/// A target and the tier that it was chosen in.
type Found<'r> = (&'r Arc<Live>, &'r Tier);

/// This target, or one of the other tier when it was tried: then all of its own tier were.
fn unless_tried<'r>(
    first: Found<'r>,
    wanted: &Wanted<'_>,
    other: Option<&'r Tier>,
    choose: impl FnOnce(&'r Tier) -> Option<&'r Arc<Live>>,
) -> Found<'r> {
    if !wanted.has_tried(first.0.key()) {
        return first;
    }
    let second = other.and_then(|tier| Some((choose(tier)?, tier)));
    second
        .filter(|(live, _)| !wanted.has_tried(live.key()))
        .unwrap_or(first)
}

impl Tiers {
    /// The tier of a request with this random number, which is asked for only where it matters, and the other tier.
    fn by(&self, random: impl FnOnce() -> u64) -> (&Tier, Option<&Tier>) {
        match self {
            Self::One(tier) => (tier, None),
            Self::Two(two) if random() <= two.bound => (&two.near, Some(&two.far)),
            Self::Two(two) => (&two.far, Some(&two.near)),
        }
    }
}
