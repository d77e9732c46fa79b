//! From a socket to a running connection: which VPC it belongs to, TLS, HTTP version, lifetimes.
//!
//! The set of listening sockets follows the snapshot: [`prepare`] binds what is new before a snapshot is
//! swapped in (so that a port in use refuses the change), [`Listeners::commit`] hands the sockets to the workers and closes what
//! is no longer wanted. Sockets that stay are not touched, and closing one leaves its connections alone.

mod connection;
mod http2;
mod slots;
mod socket;
mod worker;

pub use connection::Phase;
pub use slots::Slots;
pub use socket::BindError;
pub use worker::Worker;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, TcpListener},
    time::Duration,
};

/// The listening sockets of all workers.
#[derive(Debug)]
pub struct Listeners {
    workers: Vec<Worker>,
    open: BTreeSet<SocketAddr>,
}

/// Sockets bound for a snapshot that is about to run: for each new address, one per worker.
#[derive(Debug)]
pub struct Prepared {
    wanted: BTreeSet<SocketAddr>,
    sockets: BTreeMap<SocketAddr, Vec<TcpListener>>,
}

/// Binds what `wanted` has beyond what is `open`, for so many workers. Either all of it, or nothing and every address that could not
/// be bound.
pub fn prepare(
    open: &BTreeSet<SocketAddr>,
    wanted: BTreeSet<SocketAddr>,
    workers: usize,
) -> Result<Prepared, Vec<BindError>> {
    let new: Vec<SocketAddr> = wanted.difference(open).copied().collect();
    // All are tried before any is bound: an address and the one that means every address do not get into each other's way then.
    let mut errors: Vec<BindError> = new
        .iter()
        .filter(|address| !open.iter().any(|other| overlap(**address, *other)))
        .filter_map(|address| socket::free(*address).err())
        .collect();
    let mut sockets = BTreeMap::new();
    if errors.is_empty() {
        for address in new {
            match socket::bind(address, workers) {
                Ok(bound) => {
                    sockets.insert(address, bound);
                }
                Err(error) => errors.push(error),
            }
        }
    }
    if errors.is_empty() {
        Ok(Prepared { wanted, sockets })
    } else {
        Err(errors)
    }
}

/// Would a socket of ours on one of these keep another process, and a question whether the other is free, off the other?
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip().is_unspecified() || other.ip().is_unspecified())
}

#[cfg(test)]
mod tests;

impl Listeners {
    /// No sockets yet, for these workers.
    pub fn new(workers: Vec<Worker>) -> Self {
        Self {
            workers,
            open: BTreeSet::new(),
        }
    }

    /// The addresses that are listened on.
    pub fn open(&self) -> &BTreeSet<SocketAddr> {
        &self.open
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Starts listening on what was prepared and stops on what is no longer wanted. Gives the addresses opened and closed.
    pub fn commit(&mut self, prepared: Prepared) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let closed: Vec<_> = self.open.difference(&prepared.wanted).copied().collect();
        for address in &closed {
            for worker in &self.workers {
                worker.close(*address);
            }
        }
        let opened: Vec<_> = prepared.sockets.keys().copied().collect();
        for (address, sockets) in prepared.sockets {
            for (worker, socket) in self.workers.iter().zip(sockets) {
                worker.listen(address, socket);
            }
        }
        self.open = prepared.wanted;
        (opened, closed)
    }

    /// Stops accepting, and waits until every worker has ended, which takes little longer than `grace`. Gives the number of
    /// connections that were cut when it was over.
    pub fn stop(self, grace: Duration) -> usize {
        for worker in &self.workers {
            worker.stop(grace);
        }
        self.workers.into_iter().map(Worker::join).sum()
    }
}
