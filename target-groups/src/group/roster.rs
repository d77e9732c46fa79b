//! The targets that may be chosen, as requests see them.

use std::sync::Arc;

use super::Wanted;
use crate::target::Live;

/// Who may be chosen. Immutable; replaced as a whole.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// All registered targets. Shared by the rosters between two changes of membership.
    pub(super) members: Arc<[Arc<Live>]>,
    /// Who of them is in turn.
    pub(super) eligible: Eligible,
}

/// Who of the registered targets may be chosen.
#[derive(Debug, Clone, Default)]
pub(super) enum Eligible {
    /// All, because health is not known or not checked.
    #[default]
    All,
    /// All, because none is healthy.
    FailOpen,
    /// The healthy ones, by position, ascending. Four bytes each, so that ten thousand stay in a core's own cache.
    Healthy(Box<[u32]>),
}

impl Eligible {
    /// May the registered target at this position be chosen?
    pub(super) fn includes(&self, position: u32) -> bool {
        match self {
            Self::All | Self::FailOpen => true,
            Self::Healthy(positions) => positions.binary_search(&position).is_ok(),
        }
    }
}

impl Roster {
    /// The first target in turn that was not tried yet; one that was, if there is no other.
    ///
    /// The neighbors are as many as were tried, so one of them was not, unless the group has no other.
    pub(super) fn choose(&self, turn: u64, wanted: &Wanted<'_>) -> Option<&Arc<Live>> {
        let first = self.at(turn)?;
        if !wanted.has_tried(first.key()) {
            return Some(first);
        }
        let neighbors = (1..).map_while(|step| self.at(turn.wrapping_add(step)));
        let other = neighbors
            .take(wanted.tried.len())
            .find(|live| !wanted.has_tried(live.key()));
        other.or(Some(first))
    }

    /// The target whose turn it is.
    fn at(&self, turn: u64) -> Option<&Arc<Live>> {
        match &self.eligible {
            Eligible::All | Eligible::FailOpen => in_turn(&self.members, turn),
            Eligible::Healthy(positions) => {
                let position = *in_turn(positions, turn)?;
                self.members.get(usize::try_from(position).ok()?)
            }
        }
    }

    /// The same targets, of a group that nobody needs to worry about any more.
    pub(super) fn retired(&self) -> Self {
        let eligible = match &self.eligible {
            Eligible::FailOpen => Eligible::All,
            other => other.clone(),
        };
        Self {
            members: Arc::clone(&self.members),
            eligible,
        }
    }

    pub(super) fn is_failing_open(&self) -> bool {
        matches!(self.eligible, Eligible::FailOpen) && !self.members.is_empty()
    }
}

fn in_turn<T>(items: &[T], turn: u64) -> Option<&T> {
    let position = turn.checked_rem(u64::try_from(items.len()).ok()?)?;
    items.get(usize::try_from(position).ok()?)
}
