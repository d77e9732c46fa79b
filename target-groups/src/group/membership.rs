//! The registered targets and what the configuration says about them: what changes with the configuration only.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use foldhash::fast::FixedState;
use trellis_model::config::{Algorithm, Balancing, Target, TargetGroup};

use crate::{
    bits::Bits,
    maglev::{Entrant, Table},
    outliers::Limits,
    target::{Live, TargetKey},
};

/// The registered targets. Shared by the rosters between two changes of the configuration.
#[derive(Debug, Default)]
pub(super) struct Membership {
    pub(super) lives: Box<[Arc<Live>]>,
    /// Positions in `lives`, where looking for one takes longer than a table of them.
    positions: Option<Box<Positions>>,
    /// By position; `None` when all are the same.
    weights: Option<Box<[u16]>>,
    /// By position; `None` when no target has one.
    zones: Option<Box<[Option<Arc<str>>]>>,
    /// Those in the preferred zone; `None` when none is preferred, or all are in it or none is.
    pub(super) near: Option<Bits>,
    /// Of consistent hashing; `None` for other algorithms.
    pub(super) tables: Option<Box<Tables>>,
    pub(super) balancing: Arc<Balancing>,
    pub(super) limits: Limits,
}

/// Most targets that are looked through for one of them: a table of fewer would take more memory than they do themselves.
const LOOKED_THROUGH: usize = 8;

/// Positions by key. Keys come from configurations, whose authors may collide them as they please, so the hash needs no secret.
type Positions = HashMap<TargetKey, u32, FixedState>;

/// Tables of consistent hashing.
#[derive(Debug)]
pub(super) struct Tables {
    /// Of all targets.
    pub(super) all: Table,
    /// Of those in the preferred zone and of the others, where that matters.
    pub(super) apart: Option<(Table, Table)>,
}

impl Membership {
    /// The membership of these targets, which are those of the configuration, in its order.
    pub(super) fn new(lives: Box<[Arc<Live>]>, config: &TargetGroup) -> Self {
        let mut membership = Self {
            positions: (lives.len() > LOOKED_THROUGH).then(|| Box::new(positions(&lives))),
            lives,
            weights: weights(&config.targets),
            zones: zones(&config.targets),
            near: near(&config.targets, &config.balancing),
            tables: None,
            balancing: Arc::clone(&config.balancing),
            limits: Limits::of(config.outlier_detection.as_deref()),
        };
        membership.tables = membership.make_tables().map(Box::new);
        membership
    }

    /// Would [`Self::new`] give the same? Comparing costs less than making tables.
    pub(super) fn is_of(&self, lives: &[Arc<Live>], config: &TargetGroup) -> bool {
        let same = |(one, other): (&Arc<Live>, &Arc<Live>)| Arc::ptr_eq(one, other);
        self.lives.len() == lives.len()
            && self.lives.iter().zip(lives).all(same)
            && self.balancing == config.balancing
            && self.limits == Limits::of(config.outlier_detection.as_deref())
            && self.weights == weights(&config.targets)
            && self.near == near(&config.targets, &config.balancing)
            && self.zones == zones(&config.targets)
    }

    /// The position of a target; the first one, should there be two with its key.
    pub(super) fn position(&self, key: &TargetKey) -> Option<u32> {
        if let Some(positions) = &self.positions {
            return positions.get(key).copied();
        }
        let position = self.lives.iter().position(|live| live.key() == key)?;
        u32::try_from(position).ok()
    }

    /// The zone of a target.
    pub(super) fn zone(&self, position: usize) -> Option<&Arc<str>> {
        self.zones.as_ref()?.get(position)?.as_ref()
    }

    /// The weight of a target relative to the others.
    pub(super) fn weight(&self, position: u32) -> u16 {
        let Some(weights) = &self.weights else {
            return 1;
        };
        let position = usize::try_from(position).ok();
        let weight = position.and_then(|position| weights.get(position));
        weight.copied().unwrap_or(1)
    }

    pub(super) fn has_weights(&self) -> bool {
        self.weights.is_some()
    }

    pub(super) fn live(&self, position: u32) -> Option<&Arc<Live>> {
        self.lives.get(usize::try_from(position).ok()?)
    }

    fn make_tables(&self) -> Option<Tables> {
        let Algorithm::Maglev(_) = self.balancing.algorithm else {
            return None;
        };
        let entrants = (0..).zip(&self.lives).map(|(position, live)| Entrant {
            key: live.key(),
            position,
            weight: self.weight(position),
        });
        let entrants: Vec<Entrant<'_>> = entrants.collect();
        let apart = self.near.as_ref().map(|bits| {
            let is_near = |entrant: &&Entrant<'_>| bits.contains(entrant.position);
            let (near, far): (Vec<_>, Vec<_>) = entrants.iter().partition(is_near);
            (Table::new(&near), Table::new(&far))
        });
        Some(Tables {
            all: Table::new(&entrants),
            apart,
        })
    }
}

fn positions(lives: &[Arc<Live>]) -> Positions {
    let mut positions = Positions::with_capacity_and_hasher(lives.len(), FixedState::default());
    for (position, live) in (0..).zip(lives) {
        if let Entry::Vacant(entry) = positions.entry(live.key().clone()) {
            entry.insert(position);
        }
    }
    positions
}

/// Weights by position; `None` when all are the same.
fn weights(targets: &[Target]) -> Option<Box<[u16]>> {
    let first = targets.first()?.weight;
    let uneven = targets.iter().any(|target| target.weight != first);
    uneven.then(|| targets.iter().map(|target| target.weight).collect())
}

/// Zones by position, each text once; `None` when no target has one.
fn zones(targets: &[Target]) -> Option<Box<[Option<Arc<str>>]>> {
    targets.iter().find(|target| target.zone.is_some())?;
    let mut known: HashSet<Arc<str>> = HashSet::new();
    let mut shared = |zone: &str| {
        if let Some(zone) = known.get(zone) {
            return Arc::clone(zone);
        }
        let zone: Arc<str> = zone.into();
        known.insert(Arc::clone(&zone));
        zone
    };
    let zone = |target: &Target| target.zone.as_deref().map(&mut shared);
    Some(targets.iter().map(zone).collect())
}

/// Those in the preferred zone; `None` when none is preferred, or all are in it or none is.
fn near(targets: &[Target], balancing: &Balancing) -> Option<Bits> {
    let zone = balancing.zone_preference.as_ref()?.zone.as_ref()?;
    let is_near = |target: &Target| target.zone.as_ref() == Some(zone);
    let count = targets.iter().filter(|target| is_near(target)).count();
    (count > 0 && count < targets.len()).then(|| {
        Bits::new(targets.len(), |position| {
            targets.get(position).is_some_and(is_near)
        })
    })
}
