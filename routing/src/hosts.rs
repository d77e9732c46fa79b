//! From the name a client asked for to the service: one table per service network.
//!
//! All names are known when the table is built, so it is a plain hash table laid out flat: the names sorted by bucket, and an array
//! that says where each bucket begins. A lookup hashes the lower-cased name, reads two neighboring numbers, and compares the few
//! names of one bucket, so its cost does not grow with the number of services.
//!
//! **Hostile names.** Two kinds of people could want a slow lookup. Clients choose what is looked up; they can at most hit the
//! longest bucket. Owners of services choose what is stored, and could pick custom domains that all fall into one bucket. A random
//! seed would be the usual answer, at the price of tables that differ from node to node and run to run. Since the table never changes
//! once it is built, the builder can do better: it looks at the longest bucket, and takes the next seed of a fixed series when that
//! is longer than chance explains. The cost of a lookup is thus bounded by what was built, not by what nobody guessed.

#[cfg(test)]
mod tests;

use std::{fmt, hash::Hasher};

use foldhash::{SharedSeed, fast::FoldHasher};
use smallvec::SmallVec;
use trellis_model::name::DomainName;

/// Position of a service in the snapshot that a table was compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceIndex(pub u32);

/// The same name was given twice for one network. The configuration must change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is the name of two services")]
pub struct DuplicateHost {
    /// The name.
    pub name: DomainName,
    /// The service with the lower index.
    pub first: ServiceIndex,
    /// The other one; the same, where one service was given twice.
    pub second: ServiceIndex,
}

/// The names under which the services of one network are reached.
///
/// 28 to 32 bytes per name, besides the text, which is shared with the configuration.
pub struct HostTable {
    seed: SharedSeed,
    /// Sorted by bucket.
    hosts: Box<[Host]>,
    /// Bucket `n` is `hosts[starts[n]..starts[n + 1]]`.
    /// INVARIANT: a power of two of buckets, so one element more than that; ascending; the last is `hosts.len()`.
    starts: Box<[u32]>,
}

struct Host {
    name: DomainName,
    service: ServiceIndex,
    /// Hash of the name; its low bits are the bucket, the others spare most comparisons with other names.
    hash: u32,
}

/// Longest bucket that is put down to chance. With at most one name per bucket on average, 13 names meet in one of 262 144 buckets
/// once in 60 000 tables (Poisson).
const BUCKET_LIMIT: u32 = 12;

/// How many seeds are tried. Names that collide under one seed are strangers under the next; whoever could prepare for all of
/// them is left with one slow table of his own making.
const SEEDS: u64 = 32;

/// No stored name is longer.
const NAME_LIMIT: usize = 255;

impl HostTable {
    /// Builds the table from the names of the services, generated and custom ones alike, in any order.
    pub fn build(
        entries: impl IntoIterator<Item = (DomainName, ServiceIndex)>,
    ) -> Result<Self, DuplicateHost> {
        let mut hosts: Vec<Host> = entries
            .into_iter()
            .map(|(name, service)| Host {
                name,
                service,
                hash: 0,
            })
            .collect();
        let buckets = hosts.len().next_power_of_two();
        let mut number = 1;
        let (seed, starts) = loop {
            let seed = SharedSeed::from_u64(number);
            let starts = count_buckets(&mut hosts, &seed, buckets);
            if longest_bucket(&starts) <= BUCKET_LIMIT || number == SEEDS {
                break (seed, starts);
            }
            number += 1;
        };
        hosts.sort_unstable_by(|a, b| {
            (bucket_of(a.hash, buckets), &a.name, a.service).cmp(&(
                bucket_of(b.hash, buckets),
                &b.name,
                b.service,
            ))
        });
        if let Some((first, second)) = hosts
            .iter()
            .zip(hosts.iter().skip(1))
            .find(|(a, b)| a.name == b.name)
        {
            return Err(DuplicateHost {
                name: first.name.clone(),
                first: first.service,
                second: second.service,
            });
        }
        Ok(Self {
            seed,
            hosts: hosts.into(),
            starts,
        })
    }

    /// The service with that name, written in any case, with or without one trailing dot.
    ///
    /// Takes any bytes: what no domain name looks like is simply not found. Never allocates.
    pub fn find(&self, host: &[u8]) -> Option<ServiceIndex> {
        let host = host.strip_suffix(b".").unwrap_or(host);
        if host.len() > NAME_LIMIT {
            return None;
        }
        let mut lower: SmallVec<[u8; NAME_LIMIT]> = SmallVec::from_slice(host);
        lower.make_ascii_lowercase();
        let hash = hash_of(&lower, &self.seed);
        let bucket = bucket_of(hash, self.starts.len() - 1);
        let start = *self.starts.get(bucket)? as usize;
        let end = *self.starts.get(bucket + 1)? as usize;
        self.hosts
            .get(start..end)?
            .iter()
            .find(|host| host.hash == hash && *host.name.as_str().as_bytes() == *lower)
            .map(|host| host.service)
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Is no service reached through this table?
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }
}

impl fmt::Debug for HostTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.hosts.iter().map(|host| (&host.name, host.service)))
            .finish()
    }
}

/// Gives every host its hash, and says where each bucket will begin.
fn count_buckets(hosts: &mut [Host], seed: &SharedSeed, buckets: usize) -> Box<[u32]> {
    let mut counts = vec![0u32; buckets + 1];
    for host in hosts {
        host.hash = hash_of(host.name.as_str().as_bytes(), seed);
        if let Some(count) = counts.get_mut(bucket_of(host.hash, buckets) + 1) {
            *count += 1;
        }
    }
    let mut total = 0;
    for count in &mut counts {
        total += *count;
        *count = total;
    }
    counts.into()
}

fn longest_bucket(starts: &[u32]) -> u32 {
    let lengths = starts.iter().zip(starts.iter().skip(1)).map(|(a, b)| b - a);
    lengths.max().unwrap_or(0)
}

fn bucket_of(hash: u32, buckets: usize) -> usize {
    hash as usize & (buckets - 1)
}

fn hash_of(lower_case_name: &[u8], seed: &SharedSeed) -> u32 {
    // The number is arbitrary: what differs between tables is the other seed.
    let mut hasher = FoldHasher::with_seed(0x9e37_79b9_7f4a_7c15, seed);
    hasher.write(lower_case_name);
    (hasher.finish() >> 32) as u32
}
