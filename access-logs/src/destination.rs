//! Which destinations want the records of which service network and service.
//!
//! A snapshot asks once for every network, service and pair of them ([`Subscriptions::destinations`]) and keeps the answer, so
//! that the request path has nothing to look up. [`Destinations`] holds on to what it names: a destination stays open until the
//! last snapshot and the last buffered record that refer to it are gone, so a change of subscriptions loses no record.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use trellis_model::{
    config::{AccessLogSubscription, LoggedResource},
    id::{ServiceId, ServiceNetworkId},
};

use crate::writer::sink::{Sink, Sinks};

/// Where the records of some requests go: nowhere, or to a few destinations, each once. Cheap to clone and to compare.
#[derive(Debug, Clone, Default)]
pub struct Destinations(Option<Arc<[Arc<Sink>]>>);

impl Destinations {
    /// Nobody subscribed: nothing is encoded.
    pub const NONE: Self = Self(None);

    /// Does nobody want these records?
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Are these the same destinations, out of the same [`Subscriptions`]?
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (None, None) => true,
            _ => false,
        }
    }

    pub(crate) fn sinks(&self) -> &[Arc<Sink>] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// The subscriptions of one configuration, for the compilation of its snapshot.
#[derive(Debug, Default)]
pub struct Subscriptions {
    networks: HashMap<ServiceNetworkId, Vec<Arc<Sink>>>,
    services: HashMap<ServiceId, Vec<Arc<Sink>>>,
    /// Sets made so far, so that equal ones are the same one.
    made: HashMap<Vec<u64>, Destinations>,
}

impl Subscriptions {
    pub(crate) fn new(subscriptions: &[Arc<AccessLogSubscription>], sinks: &Sinks) -> Self {
        let mut this = Self::default();
        for subscription in subscriptions {
            let sink = sinks.sink(&subscription.destination);
            match subscription.resource {
                LoggedResource::ServiceNetwork(id) => {
                    this.networks.entry(id).or_default().push(sink);
                }
                LoggedResource::Service(id) => this.services.entry(id).or_default().push(sink),
            }
        }
        this
    }

    /// Where a request goes that came through `network` for `service`: to whoever subscribed to either, once.
    ///
    /// Refused requests may have no service, or no network; those of a client outside every network have neither and go nowhere.
    pub fn destinations(
        &mut self,
        network: Option<ServiceNetworkId>,
        service: Option<ServiceId>,
    ) -> Destinations {
        let of_network = network.and_then(|id| self.networks.get(&id));
        let of_service = service.and_then(|id| self.services.get(&id));
        let mut sinks: Vec<&Arc<Sink>> =
            of_network.into_iter().chain(of_service).flatten().collect();
        sinks.sort_unstable_by_key(|sink| sink.number());
        sinks.dedup_by_key(|sink| sink.number());
        if sinks.is_empty() {
            return Destinations::NONE;
        }
        let numbers = sinks.iter().map(|sink| sink.number()).collect();
        let set = sinks.into_iter().map(Arc::clone);
        self.made
            .entry(numbers)
            .or_insert_with(|| Destinations(Some(set.collect())))
            .clone()
    }
}
