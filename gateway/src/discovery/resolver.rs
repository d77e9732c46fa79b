//! Asking for the addresses of a name: the servers that a VPC or the gateway names, or the system's after its file of hosts.
//!
//! Names are whole names: search lists are not used, so that a name means the same on every machine and no typing error leaks into
//! somebody's domain. There is no cache: the caller asks when an answer's time is over.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RecordType},
};
use tokio::time::{Instant, timeout_at};
use trellis_model::config::{Discovery, IpPreference};

use super::{
    DiscoveryError, Found,
    answer::{ALIASES, Reading, read},
    system::System,
};
use crate::dns::{
    LARGEST_DATAGRAM,
    exchange::{self, Request, Truncated},
};

/// Longest wait for one server, before the next one is asked.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How often each server is asked within one deadline: a datagram may be lost.
const ROUNDS: usize = 2;

/// Finds the addresses of names.
#[async_trait]
pub(super) trait Resolve: Send + Sync {
    /// The addresses of a name now.
    async fn resolve(&self, of: &Discovery) -> Result<Found, DiscoveryError>;
}

/// Asks servers.
#[derive(Debug)]
pub(super) struct Resolver {
    timeout: Duration,
    system: System,
}

impl Resolver {
    pub(super) fn new(timeout: Duration, system: System) -> Arc<Self> {
        Arc::new(Self { timeout, system })
    }

    async fn both(&self, of: &Discovery, deadline: Instant) -> Result<Found, DiscoveryError> {
        let (first, second) = kinds(of.preference);
        let found = self.one(of, first, deadline).await?;
        match (found, second) {
            (Found::Nothing { no_name, ttl }, Some(second)) => {
                let other = self.one(of, second, deadline).await?;
                Ok(match other {
                    Found::Addresses { .. } => other,
                    Found::Nothing {
                        no_name: also,
                        ttl: its,
                    } => Found::Nothing {
                        no_name: no_name && also,
                        ttl: ttl.into_iter().chain(its).min(),
                    },
                })
            }
            (found, _) => Ok(found),
        }
    }

    /// Addresses of one kind.
    async fn one(
        &self,
        of: &Discovery,
        kind: RecordType,
        deadline: Instant,
    ) -> Result<Found, DiscoveryError> {
        let servers = if of.resolvers.is_empty() {
            if let Some(found) = self.system.host(&of.hostname, kind).await {
                return Ok(found);
            }
            self.system.servers().await?
        } else {
            Arc::clone(&of.resolvers)
        };
        let name = Name::from_ascii(format!("{}.", of.hostname));
        let mut name =
            name.map_err(|_| DiscoveryError::Malformed("a name that DNS cannot hold"))?;
        let mut shortest = u32::MAX;
        for _ in 0..ALIASES {
            match ask_all(&name, kind, &servers, deadline).await? {
                Reading::Addresses { addresses, ttl } => {
                    return Ok(Found::Addresses {
                        addresses,
                        ttl: seconds(ttl.min(shortest)),
                    });
                }
                Reading::Alias { name: next, ttl } => {
                    shortest = shortest.min(ttl);
                    name = next;
                }
                Reading::NoName { ttl } => return Ok(nothing(true, ttl)),
                Reading::NoAddress { ttl } => return Ok(nothing(false, ttl)),
            }
        }
        Err(DiscoveryError::Malformed(
            "an alias that leads back to itself, or too many in a row",
        ))
    }
}

#[async_trait]
impl Resolve for Resolver {
    async fn resolve(&self, of: &Discovery) -> Result<Found, DiscoveryError> {
        let deadline = Instant::now() + self.timeout;
        // Files of the system are within the deadline as well: they may be on a file system that hangs.
        timeout_at(deadline, self.both(of, deadline))
            .await
            .unwrap_or(Err(DiscoveryError::Timeout))
    }
}

fn kinds(preference: IpPreference) -> (RecordType, Option<RecordType>) {
    match preference {
        IpPreference::Ipv4Only => (RecordType::A, None),
        IpPreference::Ipv6Only => (RecordType::AAAA, None),
        IpPreference::Ipv4Preferred => (RecordType::A, Some(RecordType::AAAA)),
        IpPreference::Ipv6Preferred => (RecordType::AAAA, Some(RecordType::A)),
    }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}

fn nothing(no_name: bool, ttl: Option<u32>) -> Found {
    Found::Nothing {
        no_name,
        ttl: ttl.map(seconds),
    }
}

/// Asks the servers in turn, each for a while and more than once, until one says something. A server that fails, refuses or answers
/// nonsense is passed over; when all do, the last one's reason stands.
async fn ask_all(
    name: &Name,
    kind: RecordType,
    servers: &[SocketAddr],
    deadline: Instant,
) -> Result<Reading, DiscoveryError> {
    let mut last = DiscoveryError::NoServer;
    for server in std::iter::repeat_n(servers, ROUNDS).flatten() {
        let attempt = deadline.min(Instant::now() + ATTEMPT);
        match ask(name, kind, *server, attempt).await {
            Ok(reading) => return Ok(reading),
            Err(error) => last = error,
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    Err(last)
}

async fn ask(
    name: &Name,
    kind: RecordType,
    server: SocketAddr,
    deadline: Instant,
) -> Result<Reading, DiscoveryError> {
    let request = request(name, kind).map_err(DiscoveryError::Unreachable)?;
    let answer = exchange::ask(&request, server, Truncated::AskAgain, deadline).await;
    let answer = answer.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => DiscoveryError::Timeout,
        io::ErrorKind::InvalidData => DiscoveryError::Malformed("an answer to something else"),
        _ => DiscoveryError::Unreachable(error),
    })?;
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => read(&answer.bytes, name, kind),
        code => Err(DiscoveryError::ServerFailure(code)),
    }
}

fn request(name: &Name, kind: RecordType) -> io::Result<Request> {
    let id = exchange::random_id()?;
    let query = Query::query(name.clone(), kind);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(query.clone());
    let mut edns = Edns::new();
    edns.set_version(0).set_max_payload(LARGEST_DATAGRAM);
    message.set_edns(edns);
    let bytes = message.to_vec().map_err(io::Error::other)?;
    Ok(Request { bytes, id, query })
}

#[cfg(test)]
mod tests;
