//! Consistent hashing by table: most keys keep their target when others come or go.
//!
//! Source: Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), §3.4. Every target lists
//! all entries of the table in an order of its own; in turns, each takes the first free entry of its list. With weights, a target
//! takes part in as many turns out of the heaviest one's as its weight says (as Envoy does).
//!
//! A table is made when targets come, go or change their weight, never for the health of one: whoever asks passes over targets that
//! should get nothing. So the keys of a target that fails are spread over the others, all others keep theirs, and it has its own back when it recovers.

use crate::{hash, target::TargetKey};

/// Sizes of tables, all prime.
const SIZES: [usize; 6] = [1009, 10_007, 65_537, 262_147, 1_048_583, 5_000_011];

/// Fewest entries for each target, where there is a table that large: shares are within a percent of each other, as in the paper.
const ENTRIES: usize = 100;

/// The targets by hash.
#[derive(Debug)]
pub(crate) struct Table {
    entries: Box<[u32]>,
}

/// What a target is called in tables, and how much of one it gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entrant<'k> {
    /// Which target it is.
    pub(crate) key: &'k TargetKey,
    /// What the table shall say.
    pub(crate) position: u32,
    /// Its share, relative to the others'.
    pub(crate) weight: u16,
}

/// Where a target is in its list of entries.
struct Preference {
    next: usize,
    skip: usize,
    position: u32,
    weight: u64,
    /// Weight that it has used.
    used: u64,
}

impl Table {
    /// The table of these targets; empty when there are none.
    pub(crate) fn new(entrants: &[Entrant<'_>]) -> Self {
        const FREE: u32 = u32::MAX;
        if entrants.is_empty() {
            return Self {
                entries: Box::default(),
            };
        }
        let size = size(entrants.len());
        let heaviest = entrants.iter().map(|entrant| entrant.weight).max();
        let heaviest = u64::from(heaviest.unwrap_or(1));
        let mut preferences: Vec<Preference> = entrants
            .iter()
            .map(|entrant| Preference::new(entrant, size))
            .collect();
        let mut entries = vec![FREE; size].into_boxed_slice();
        let mut free = size;
        let mut turn = 0;
        while free > 0 {
            turn += 1;
            for preference in &mut preferences {
                // The first turn is everybody's, so that nobody is left out.
                if turn * preference.weight < preference.used {
                    continue;
                }
                preference.used += heaviest;
                let Some(entry) = preference.take(&mut entries, FREE) else {
                    continue;
                };
                *entry = preference.position;
                free -= 1;
                if free == 0 {
                    break;
                }
            }
        }
        Self { entries }
    }

    /// What the table says for a hash; `None` in an empty one.
    pub(crate) fn find(&self, hash: u64) -> Option<u32> {
        let size = u64::try_from(self.entries.len()).ok()?;
        let entry = usize::try_from(hash.checked_rem(size)?).ok()?;
        self.entries.get(entry).copied()
    }
}

impl Preference {
    fn new(entrant: &Entrant<'_>, size: usize) -> Self {
        let name = format!("{}@{}", entrant.key.id(), entrant.key.address());
        let hash = hash::of(name.as_bytes());
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        let number = |number| usize::try_from(number).unwrap_or(0);
        Self {
            next: number(hash % size),
            skip: number(hash::mix(hash) % (size - 1) + 1),
            position: entrant.position,
            weight: u64::from(entrant.weight),
            used: 0,
        }
    }

    /// The next free entry of the list. The size is prime, so the list has every entry once.
    fn take<'e>(&mut self, entries: &'e mut [u32], free: u32) -> Option<&'e mut u32> {
        let size = entries.len();
        let mut steps = 0..size;
        let found = loop {
            steps.next()?;
            let entry = self.next;
            self.next = (self.next + self.skip) % size;
            if entries.get(entry) == Some(&free) {
                break entry;
            }
        };
        entries.get_mut(found)
    }
}

/// The smallest size that gives each target its entries, or the largest there is, for more than 50 000 targets.
fn size(targets: usize) -> usize {
    let wanted = targets.saturating_mul(ENTRIES);
    let [.., largest] = SIZES;
    SIZES
        .into_iter()
        .find(|size| *size >= wanted)
        .unwrap_or(largest)
}

#[cfg(test)]
mod tests;
