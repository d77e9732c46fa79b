//! Who holds how many of the gateway's connections, and who may have one more.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use trellis_model::{config::Limits, id::VpcId};

use crate::telemetry::events::Refused;

/// The open connections of all workers.
#[derive(Debug, Default)]
pub struct Slots {
    open: AtomicUsize,
    vpcs: Held<VpcId>,
    clients: Held<(VpcId, IpAddr)>,
}

impl Slots {
    /// One slot of the gateway's, if there is one left. Whose it is, is not known yet.
    pub(super) fn take(self: &Arc<Self>, limits: &Limits) -> Result<Slot, Refused> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let slot = Slot {
            slots: Arc::clone(self),
            vpc: None,
            client: None,
        };
        if before < limits.connections {
            Ok(slot)
        } else {
            Err(Refused::TooMany)
        }
    }
}

/// A connection's slot, given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    /// Whose it counts as; none where no limit asks.
    vpc: Option<VpcId>,
    client: Option<(VpcId, IpAddr)>,
}

impl Slot {
    /// Counts the slot as one of this VPC's, and of this client's in it, if they may have one more.
    pub(super) fn assign(
        &mut self,
        limits: &Limits,
        vpc: &VpcId,
        client: IpAddr,
    ) -> Result<(), Refused> {
        if let Some(limit) = limits.connections_per_vpc {
            if !self.slots.vpcs.take(vpc, limit) {
                return Err(Refused::TooManyOfVpc);
            }
            self.vpc = Some(vpc.clone());
        }
        if let Some(limit) = limits.connections_per_client {
            let client = (vpc.clone(), network_of(client));
            if !self.slots.clients.take(&client, limit) {
                return Err(Refused::TooManyOfClient);
            }
            self.client = Some(client);
        }
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(vpc) = &self.vpc {
            self.slots.vpcs.give_back(vpc);
        }
        if let Some(client) = &self.client {
            self.slots.clients.give_back(client);
        }
    }
}

/// How many each holds; who holds none is not in it.
#[derive(Debug)]
struct Held<K>(Mutex<HashMap<K, usize>>);

impl<K> Default for Held<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Held<K> {
    fn take(&self, key: &K, limit: usize) -> bool {
        let mut held = self.0.lock();
        let count = held.get(key).copied().unwrap_or_default();
        if count >= limit {
            return false;
        }
        held.insert(key.clone(), count + 1);
        true
    }

    fn give_back(&self, key: &K) {
        let mut held = self.0.lock();
        match held.get_mut(key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                held.remove(key);
            }
        }
    }
}

/// The addresses that one client can use: with IPv6, all of a subnet.
///
/// Spec: RFC 4291 §2.5.1: the last 64 bits are the host's to choose.
fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}
