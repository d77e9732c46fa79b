//! Outlier detection over the targets of a group: who is ejected, and when sweeps come.

use std::time::Instant;

use trellis_model::config::OutlierDetection;

use super::state::Member;
use crate::outliers::{most, next_sweep};

/// Outlier detection over the targets of a group.
#[derive(Debug)]
pub(super) struct Ejections {
    config: OutlierDetection,
    /// When sweeps began.
    start: Instant,
    /// The next sweep that finds something to do.
    next: Option<Instant>,
    /// Ejections so far.
    total: u64,
}

impl Ejections {
    /// Detection by this configuration, after one by an earlier.
    pub(super) fn new(config: &OutlierDetection, earlier: Option<Self>, now: Instant) -> Self {
        let mut ejections = earlier.unwrap_or_else(|| Self {
            config: config.clone(),
            start: now,
            next: None,
            total: 0,
        });
        if ejections.config != *config {
            ejections.config = config.clone();
            ejections.start = now;
        }
        ejections
    }

    pub(super) fn config(&self) -> &OutlierDetection {
        &self.config
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn ejected(&mut self) {
        self.total = self.total.saturating_add(1);
    }

    /// Positions of the suspects that are to be ejected, as many as may be. All of them start counting anew: Envoy's
    /// `consecutive_5xx` does so as well.
    pub(super) fn to_eject(&self, members: &[Member]) -> Vec<u32> {
        let ejected = |member: &&Member| member.ejection.is_ejected();
        let mut room = most(&self.config, members.len());
        room = room.saturating_sub(members.iter().filter(ejected).count());
        let suspects = (0..)
            .zip(members)
            .filter(|(_, member)| member.live.is_suspect());
        let suspects = suspects.inspect(|(_, member)| member.live.forgive());
        let mut chosen: Vec<u32> = suspects
            .filter(|(_, member)| !member.ejection.is_ejected())
            .map(|(position, _)| position)
            .collect();
        chosen.truncate(room);
        chosen
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// Sweeps; gives the positions of those that are to be let back in.
    pub(super) fn sweep(&self, members: &mut [Member], now: Instant) -> Vec<u32> {
        (0..)
            .zip(members)
            .filter_map(|(position, member)| {
                if !member.ejection.is_ejected() {
                    member.ejection.behaved();
                }
                let over = member.ejection.is_over(&self.config, now);
                over.then_some(position)
            })
            .collect()
    }

    /// Settles when to sweep next: not at all while there is nothing to let in and nothing to forget.
    pub(super) fn plan(&mut self, members: &[Member], now: Instant) {
        let blank = members.iter().all(|member| member.ejection.is_blank());
        self.next = (!blank).then(|| next_sweep(&self.config, self.start, now));
    }
}
