//! Which destinations want the records of which service network and service, and in which shape.
//!
//! A snapshot asks once for every network, service and pair of them ([`Subscriptions::destinations`]) and keeps the answer, so
//! that the request path has nothing to look up. [`Destinations`] holds on to what it names: a destination stays open until the
//! last snapshot and the last buffered record that refer to it are gone, so a change of subscriptions loses no record.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use trellis_model::{
    config::{AccessLogSubscription, LogShape, LoggedResource},
    id::{ServiceId, ServiceNetworkId},
};

use crate::{
    shape::Shape,
    writer::sink::{Sink, Sinks},
};

/// Where the records of some requests go: nowhere, or to a few destinations, each once in a shape. Cheap to clone and to compare.
#[derive(Debug, Clone, Default)]
pub struct Destinations(Option<Arc<[Arc<Group>]>>);

/// Destinations that want records in one shape: for them a record is encoded once.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) shape: Arc<Shape>,
    pub(crate) sinks: Box<[Arc<Sink>]>,
    /// What the shape was made from.
    wanted: Arc<LogShape>,
}

impl Group {
    fn is(&self, other: &Self) -> bool {
        let mut sinks = self.sinks.iter().zip(&other.sinks);
        self.sinks.len() == other.sinks.len()
            && self.wanted == other.wanted
            && sinks.all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

impl Destinations {
    /// Nobody subscribed: nothing is encoded.
    pub const NONE: Self = Self(None);

    /// Does nobody want these records?
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Are these the same destinations in the same shapes, whatever [`Subscriptions`] they are out of?
    pub fn are(&self, other: &Self) -> bool {
        let (one, other) = (self.groups(), other.groups());
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.is(other))
    }

    pub(crate) fn groups(&self) -> &[Arc<Group>] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// One subscription: a shape, by its number, and a destination.
type Wanted = (usize, Arc<Sink>);

/// The subscriptions of one configuration, for the compilation of its snapshot.
#[derive(Debug, Default)]
pub struct Subscriptions {
    networks: HashMap<ServiceNetworkId, Vec<Wanted>>,
    services: HashMap<ServiceId, Vec<Wanted>>,
    /// Every shape that is wanted, once, with what it was made from.
    shapes: Vec<(Arc<Shape>, Arc<LogShape>)>,
    /// Sets made so far, so that equal ones are the same one.
    made: HashMap<Vec<(usize, u64)>, Destinations>,
}

impl Subscriptions {
    pub(crate) fn new(subscriptions: &[Arc<AccessLogSubscription>], sinks: &Sinks) -> Self {
        let mut this = Self::default();
        let mut numbers: HashMap<&LogShape, usize> = HashMap::new();
        for subscription in subscriptions {
            let sink = sinks.sink(&subscription.destination);
            let shapes = &mut this.shapes;
            let shape = *numbers.entry(&subscription.shape).or_insert_with(|| {
                let shape = Arc::new(Shape::new(&subscription.shape));
                shapes.push((shape, Arc::new(subscription.shape.clone())));
                shapes.len() - 1
            });
            let wanted = match subscription.resource {
                LoggedResource::ServiceNetwork(id) => this.networks.entry(id).or_default(),
                LoggedResource::Service(id) => this.services.entry(id).or_default(),
            };
            wanted.push((shape, sink));
        }
        this
    }

    /// Where a request goes that came through `network` for `service`: to whoever subscribed to either, once in each shape.
    ///
    /// Refused requests may have no service, or no network; those of a client outside every network have neither and go nowhere.
    pub fn destinations(
        &mut self,
        network: Option<ServiceNetworkId>,
        service: Option<ServiceId>,
    ) -> Destinations {
        let of_network = network.and_then(|id| self.networks.get(&id));
        let of_service = service.and_then(|id| self.services.get(&id));
        let mut wanted: Vec<&Wanted> = of_network.into_iter().chain(of_service).flatten().collect();
        let key = |(shape, sink): &&Wanted| (*shape, sink.number());
        wanted.sort_unstable_by_key(key);
        wanted.dedup_by_key(|wanted| key(wanted));
        if wanted.is_empty() {
            return Destinations::NONE;
        }
        let keys = wanted.iter().map(key).collect();
        let groups = wanted.chunk_by(|(one, _), (other, _)| one == other);
        let groups = groups.filter_map(|group| {
            let (shape, _) = group.first()?;
            let (shape, wanted) = self.shapes.get(*shape)?;
            Some(Arc::new(Group {
                shape: Arc::clone(shape),
                wanted: Arc::clone(wanted),
                sinks: group.iter().map(|(_, sink)| Arc::clone(sink)).collect(),
            }))
        });
        self.made
            .entry(keys)
            .or_insert_with(|| Destinations(Some(groups.collect())))
            .clone()
    }
}
