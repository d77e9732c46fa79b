//! DNS for the names of services: the way from a name to the gateway.
//!
//! Whoever asks is placed in a VPC first, by the same attachment that places its connections, and then gets the view of that
//! VPC: names of services it may meet have addresses, all others do not exist. What belongs to another tenant and what was
//! never there look the same.
//!
//! Messages are read and written with hickory's protocol crate; the sockets are served here. hickory's own server starts a
//! task per datagram without a bound, does not tell which local address a question came to, and has no limit on connections.
//!
//! Zones: `vpc-lattice-svcs.<region>.on.aws` for generated names, and each visible custom domain is a zone by itself. Names
//! outside are forwarded, or refused when there is nobody to forward to. Nothing is cached here.

mod answer;
mod directory;
pub(crate) mod exchange;
mod forward;
mod listeners;
mod query;
mod server;
pub(crate) mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod zone;

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use trellis_model::name::DomainName;

pub use directory::RunningNames;
pub use listeners::{Listeners, Prepared, prepare};
pub use query::Transport;
pub use server::{BindError, Bound, Core, Forwarding, Server, Step};
pub use zone::{Position, locate};

use crate::telemetry::{
    Telemetry,
    events::{DnsFailed, DnsOutcome, DnsQuery},
};

/// Largest answer over UDP, and the size we announce. Source: DNS flag day 2020; fits every path without fragments.
pub(crate) const LARGEST_DATAGRAM: u16 = 1232;

/// Answers what a name is for a client. Implemented over the running snapshot; must not block.
pub trait Directory: Send + Sync {
    /// What `name` (lower case, no trailing dot, empty for the root) is for `client`, who asked at the address `local`.
    ///
    /// `local` is the address the server was told to listen on; it is unspecified when that was a wildcard and the question
    /// came in a datagram.
    fn lookup(&self, client: SocketAddr, local: IpAddr, name: &str) -> Lookup;
}

/// What a name is for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// A service that the client's VPC may meet.
    Service {
        /// The zone that the name is in: the zone of generated names, or the name itself.
        zone: DomainName,
        /// The gateway's addresses for that VPC; may be empty.
        v4: Vec<Ipv4Addr>,
        /// The gateway's addresses for that VPC; may be empty.
        v6: Vec<Ipv6Addr>,
    },
    /// A name without records of its own, but with names below it, or the top of a zone.
    Empty {
        /// The zone that the name is in.
        zone: DomainName,
    },
    /// The name would be in a zone of ours, but is not there for this VPC.
    Missing {
        /// The zone that the name would be in.
        zone: DomainName,
    },
    /// A name outside every zone of ours.
    Foreign,
    /// The client belongs to no VPC.
    Outsider,
}

/// What can be changed while the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Resolvers for foreign names, asked in this order; empty means REFUSED.
    pub forward: Vec<SocketAddr>,
    /// Time to live of answers, negative ones included. Whole seconds.
    pub ttl: Duration,
}

/// Hears what becomes of queries.
pub trait Observer: Send + Sync {
    /// A query was handled. `name` is absent when it could not be read.
    fn query(&self, client: IpAddr, name: Option<&str>, outcome: DnsOutcome);

    /// A socket of ours or a resolver at `address` fails.
    fn failed(&self, address: SocketAddr, error: &(dyn Error + 'static));
}

impl Observer for Telemetry {
    fn query(&self, client: IpAddr, name: Option<&str>, outcome: DnsOutcome) {
        self.emit(&DnsQuery {
            client,
            name,
            outcome,
        });
    }

    fn failed(&self, address: SocketAddr, error: &(dyn Error + 'static)) {
        self.emit(&DnsFailed { address, error });
    }
}
