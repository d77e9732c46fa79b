//! Names as the running snapshot knows them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use trellis_model::name::{DomainName, GENERATED_SHARD};

use super::{Directory, Lookup, Position, locate};
use crate::{
    shared::Shared,
    snapshot::{Names, Snapshot, View},
};

/// Looks names up in whatever snapshot is running.
#[derive(Debug)]
pub struct RunningNames(Arc<Shared>);

impl RunningNames {
    /// Names of the snapshot that `shared` holds.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl Directory for RunningNames {
    fn lookup(&self, client: SocketAddr, local: IpAddr, name: &str) -> Lookup {
        lookup(&self.0.snapshot.load(), client.ip(), local, name)
    }
}

/// The asking VPC is found as that of a connection would be: by where the question arrived and where it came from.
fn lookup(snapshot: &Snapshot, client: IpAddr, local: IpAddr, name: &str) -> Lookup {
    let Some(view) = snapshot.attach(local.to_canonical(), client.to_canonical()) else {
        return Lookup::Outsider;
    };
    let generated = &snapshot.names.generated;
    let visible = |name: &str| view.hosts.find(name.as_bytes()).is_some();
    // Zones come from the name asked for; one that is no domain name is in none of ours.
    let zone = |zone: &str| zone.parse::<DomainName>().ok();
    match locate(name, generated.as_str(), GENERATED_SHARD, visible) {
        Position::Foreign => Some(Lookup::Foreign),
        Position::Missing(at) => zone(at).map(|zone| Lookup::Missing { zone }),
        Position::Empty(at) => zone(at).map(|zone| Lookup::Empty { zone }),
        Position::Service(at) => zone(at).map(|zone| service(zone, &snapshot.names, view)),
    }
    .unwrap_or(Lookup::Foreign)
}

fn service(zone: DomainName, names: &Names, view: &View) -> Lookup {
    let addresses = if names.answers.is_empty() {
        &view.addresses
    } else {
        &names.answers
    };
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for address in addresses {
        match address {
            // An attachment that listens everywhere has no address to give.
            address if address.is_unspecified() => {}
            IpAddr::V4(address) => v4.push(*address),
            IpAddr::V6(address) => v6.push(*address),
        }
    }
    Lookup::Service { zone, v4, v6 }
}
