//! What the system says about names: its DNS servers and its file of hosts. Both are read when a name is asked for, so that their changes
//! need no restart.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use hickory_proto::rr::RecordType;
use tokio::io::AsyncReadExt as _;
use trellis_model::{name::DomainName, ranges};

use super::{DiscoveryError, Found};

/// Largest file that is read.
const LARGEST: u64 = 1 << 20;

/// Where the system's files are.
#[derive(Debug)]
pub(super) struct System {
    servers: PathBuf,
    hosts: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self::at("/etc/resolv.conf", "/etc/hosts")
    }
}

impl System {
    pub(super) fn at(servers: impl Into<PathBuf>, hosts: impl Into<PathBuf>) -> Self {
        Self {
            servers: servers.into(),
            hosts: hosts.into(),
        }
    }

    /// The DNS servers. Spec: resolv.conf(5), `nameserver`.
    pub(super) async fn servers(&self) -> Result<Arc<[SocketAddr]>, DiscoveryError> {
        let text = text(&self.servers).await.unwrap_or_default();
        let servers: Arc<[SocketAddr]> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.split_ascii_whitespace();
                let address = words.next().filter(|word| *word == "nameserver");
                let address: IpAddr = address.and(words.next())?.parse().ok()?;
                Some(SocketAddr::new(address, 53))
            })
            .take(ranges::RESOLVERS)
            .collect();
        if servers.is_empty() {
            return Err(DiscoveryError::NoServer);
        }
        Ok(servers)
    }

    /// The addresses of a name in the file of hosts; `None` when it has none of the kind, and DNS is to be asked. Spec: hosts(5).
    pub(super) async fn host(&self, name: &DomainName, kind: RecordType) -> Option<Found> {
        let text = text(&self.hosts).await?;
        let fits = |address: &IpAddr| address.is_ipv4() == (kind == RecordType::A);
        let addresses: Vec<IpAddr> = text
            .lines()
            .filter_map(|line| {
                let line = line.split('#').next()?;
                let mut words = line.split_ascii_whitespace();
                let address = words.next()?.parse().ok()?;
                let named = words.any(|word| word.eq_ignore_ascii_case(name.as_str()));
                named.then_some(address)
            })
            .filter(fits)
            .collect();
        // The file says nothing about time: it is looked at as often as the settings allow.
        (!addresses.is_empty()).then_some(Found::Addresses {
            addresses,
            ttl: std::time::Duration::ZERO,
        })
    }
}

async fn text(path: &PathBuf) -> Option<String> {
    let file = tokio::fs::File::open(path).await.ok()?;
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).await.ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
