//! Who is next among the targets whose probes are due and find no room.
//!
//! Each zone of each VPC has a lane of its own, and lanes take turns. Where a whole zone has fallen silent, and its probes hold their
//! places until they time out, those of other zones and of other tenants wait for one free place, not behind that zone's queue.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use trellis_model::id::VpcId;

/// A zone of a VPC, or what of a VPC is in no zone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    pub(super) vpc: VpcId,
    pub(super) zone: Option<Arc<str>>,
}

/// What waits, by lane.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    // INVARIANT: no queue is empty, and each lane that has one is in `turns` once.
    waiting: HashMap<Arc<Lane>, VecDeque<T>>,
    turns: VecDeque<Arc<Lane>>,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            turns: VecDeque::new(),
        }
    }
}

impl<T> Lanes<T> {
    /// Puts something at the end of a lane.
    pub(super) fn push(&mut self, lane: &Arc<Lane>, item: T) {
        if let Some(queue) = self.waiting.get_mut(lane) {
            queue.push_back(item);
        } else {
            self.waiting
                .insert(Arc::clone(lane), VecDeque::from([item]));
            self.turns.push_back(Arc::clone(lane));
        }
    }

    /// Takes the first of the lane whose turn it is.
    pub(super) fn next(&mut self) -> Option<T> {
        let lane = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&lane)?;
        let item = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&lane);
        } else {
            self.turns.push_back(lane);
        }
        item
    }
}

#[cfg(test)]
mod tests;
