//! The targets that may be chosen, as requests see them.
//!
//! A roster is what a membership comes to while the status of all targets stays as it is: who may be chosen, in one *tier* or, where a
//! zone is preferred, in a near and a far one, and which part of the requests goes to the near one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    membership::Membership,
    tier::{Place, Tier},
};
use crate::{bits::Bits, shares::Shares};

/// Who may be chosen. Immutable; replaced as a whole.
#[derive(Debug, Default)]
pub(super) struct Roster {
    pub(super) membership: Arc<Membership>,
    pub(super) eligible: Eligible,
    pub(super) tiers: Tiers,
    pub(super) warming: Option<Box<Warming>>,
}

/// Who of the registered targets may be chosen.
#[derive(Debug, Clone, Default)]
pub(super) enum Eligible {
    /// All, because all are ready for requests, or the group is unused.
    #[default]
    All,
    /// All, because too few are ready.
    FailOpen,
    /// Those that are ready, by position, ascending, and as a set.
    Ready(Box<[u32]>, Bits),
}

/// Where requests go.
#[derive(Debug)]
pub(super) enum Tiers {
    /// To one tier.
    One(Tier),
    /// To one of two.
    Two(Box<Two>),
}

/// Two tiers: requests whose random number is not beyond `bound` go to the near one, others to the far one.
#[derive(Debug)]
pub(super) struct Two {
    pub(super) near: Tier,
    pub(super) far: Tier,
    pub(super) bound: u64,
}

/// Targets whose share grows.
#[derive(Debug)]
pub(super) struct Warming {
    window: Duration,
    /// By position: since when; `None` for a target that has its whole share.
    since: Box<[Option<Instant>]>,
    /// Since when the oldest one that may be chosen; `None` when one has its whole share.
    oldest: Option<Instant>,
}

impl Default for Tiers {
    fn default() -> Self {
        Self::One(Tier::default())
    }
}

impl Eligible {
    /// May the registered target at this position be chosen?
    pub(super) fn includes(&self, position: u32) -> bool {
        match self {
            Self::All | Self::FailOpen => true,
            Self::Ready(_, set) => set.contains(position),
        }
    }
}

impl Roster {
    /// The roster of these targets; `since` tells since when the one at a position has been ready for requests.
    pub(super) fn new(
        membership: Arc<Membership>,
        eligible: Eligible,
        now: Instant,
        since: impl Fn(u32) -> Option<Instant>,
    ) -> Self {
        let tiers = tiers(&membership, &eligible);
        let warming = membership
            .balancing
            .slow_start
            .and_then(|window| Warming::new(window, &membership, &eligible, now, since))
            .map(Box::new);
        Self {
            membership,
            eligible,
            tiers,
            warming,
        }
    }

    /// The same targets, of a group that nobody needs to worry about any more.
    pub(super) fn retired(&self) -> Self {
        let eligible = match &self.eligible {
            Eligible::FailOpen => Eligible::All,
            other => other.clone(),
        };
        Self {
            tiers: tiers(&self.membership, &eligible),
            membership: Arc::clone(&self.membership),
            eligible,
            warming: None,
        }
    }

    pub(super) fn is_failing_open(&self) -> bool {
        matches!(self.eligible, Eligible::FailOpen) && !self.membership.lives.is_empty()
    }
}

/// Divides those that may be chosen.
///
/// A group that ignores health ignores zones as well: the near targets are the dead ones, for all that is known.
fn tiers(membership: &Membership, eligible: &Eligible) -> Tiers {
    let count = u32::try_from(membership.lives.len()).unwrap_or(u32::MAX);
    let preference = membership.balancing.zone_preference.as_ref();
    let (Some(set), Some(preference)) = (&membership.near, preference) else {
        return Tiers::One(whole(membership, eligible, count));
    };
    if let Eligible::FailOpen = eligible {
        return Tiers::One(whole(membership, eligible, count));
    }
    let ready = (0..count).filter(|position| eligible.includes(*position));
    let (near, far): (Vec<u32>, Vec<u32>) = ready.partition(|position| set.contains(*position));
    let registered = (0..count)
        .filter(|position| set.contains(*position))
        .count();
    let bound = bound(near.len(), registered, preference.spill_over);
    let tier = |place, positions: Vec<u32>| {
        let shares = shares(membership, positions.iter().copied());
        Tier::some(place, positions.into(), shares)
    };
    match (near.is_empty(), far.is_empty()) {
        (true, _) => Tiers::One(tier(Place::Far, far)),
        (_, true) => Tiers::One(tier(Place::Near, near)),
        (false, false) => Tiers::Two(Box::new(Two {
            near: tier(Place::Near, near),
            far: tier(Place::Far, far),
            bound,
        })),
    }
}

fn whole(membership: &Membership, eligible: &Eligible, count: u32) -> Tier {
    match eligible {
        Eligible::All | Eligible::FailOpen => Tier::all(count, shares(membership, 0..count)),
        Eligible::Ready(positions, _) => {
            let shares = shares(membership, positions.iter().copied());
            Tier::some(Place::Whole, positions.clone(), shares)
        }
    }
}

fn shares(
    membership: &Membership,
    positions: impl Iterator<Item = u32> + Clone,
) -> Option<Box<Shares>> {
    membership
        .has_weights()
        .then(|| Shares::new(positions.map(|position| membership.weight(position))))
        .flatten()
        .map(Box::new)
}

/// Up to which random number a request stays near, when so many of the registered near targets are ready: the largest when all do.
fn bound(ready: usize, registered: usize, spill_over: u8) -> u64 {
    // ready / registered over spill_over / 100
    let part = u128::try_from(ready.saturating_mul(100)).unwrap_or(0);
    let whole = u128::try_from(registered.saturating_mul(spill_over.into())).unwrap_or(0);
    let bound = (part << 64).checked_div(whole);
    bound.map_or(u64::MAX, |bound| u64::try_from(bound).unwrap_or(u64::MAX))
}

impl Warming {
    /// `None` when every target has its whole share.
    fn new(
        window: Duration,
        membership: &Membership,
        eligible: &Eligible,
        now: Instant,
        since: impl Fn(u32) -> Option<Instant>,
    ) -> Option<Self> {
        let count = u32::try_from(membership.lives.len()).ok()?;
        let growing = |position| {
            let since = since(position)?;
            (now.saturating_duration_since(since) < window).then_some(since)
        };
        let since: Box<[Option<Instant>]> = (0..count).map(growing).collect();
        since.iter().any(Option::is_some).then(|| {
            let chosen = (0..count).zip(&since);
            let chosen = chosen.filter(|(position, _)| eligible.includes(*position));
            // `None` is less than any time: one with its whole share is older than all that grow.
            let oldest = chosen.map(|(_, since)| *since).min().flatten();
            Self {
                window,
                since,
                oldest,
            }
        })
    }

    /// When the last one has its whole share.
    pub(super) fn end(&self) -> Option<Instant> {
        let latest = self.since.iter().flatten().max()?;
        Some(*latest + self.window)
    }

    /// Lets a target pass with the part of its share that it has at `now`, relative to that of the oldest one: where all are new, none
    /// is spared.
    pub(super) fn admits(&self, position: u32, random: u64, now: Instant) -> bool {
        let since = usize::try_from(position).ok();
        let since = since.and_then(|position| self.since.get(position)).copied();
        let Some(Some(since)) = since else {
            return true;
        };
        let (part, most) = (self.part(Some(since), now), self.part(self.oldest, now));
        crate::hash::below(random, most) < part
    }

    /// Microseconds of the window that are over, a tenth of them at least.
    fn part(&self, since: Option<Instant>, now: Instant) -> u64 {
        let whole = self.window;
        let part = since.map_or(whole, |since| {
            now.saturating_duration_since(since)
                .clamp(whole / 10, whole)
        });
        u64::try_from(part.as_micros()).unwrap_or(u64::MAX)
    }
}
