//! Which destinations want the records of which service network and service, and in which shape.
//!
//! A snapshot asks once for every network, service and pair of them ([`Subscriptions::destinations`]) and keeps the answer, so
//! that the request path has nothing to look up. [`Destinations`] holds on to what it names: a destination stays open until the
//! last snapshot and the last buffered record that refer to it are gone, so a change of subscriptions loses no record.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, pin::pin, sync::Arc, time::Duration};

use trellis_model::{
    config::{AccessLogSubscription, LogShape, LoggedResource, WhenFull},
    id::{ServiceId, ServiceNetworkId},
};

use crate::{
    shape::Shape,
    spool::Spool,
    writer::sink::{Sink, Sinks},
};

/// Where the records of some requests go: nowhere, or to a few destinations, each once in a shape. Cheap to clone and to compare.
#[derive(Debug, Clone, Default)]
pub struct Destinations(Option<Arc<Set>>);

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

#[derive(Debug)]
struct Set {
    groups: Box<[Arc<Group>]>,
    /// Those that requests ask before they are decided.
    gates: Box<[Gate]>,
    /// Those that requests are not refused for, when there are others.
    forgiving: Destinations,
}

/// A spool that has a say in whether requests are served.
#[derive(Debug, Clone)]
struct Gate {
    spool: Arc<Spool>,
    when_full: WhenFull,
}

/// May a request be served, for all that its records have to do with it?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Admit,
    /// Its records could not be accepted, and somebody wants no request served without.
    Refuse,
}

impl Destinations {
    /// Nobody subscribed: nothing is encoded.
    pub const NONE: Self = Self(None);

    /// Does nobody want these records?
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Are these the same destinations in the same shapes, and as patient, whatever [`Subscriptions`] they are out of?
    pub fn are(&self, other: &Self) -> bool {
        let (one, other_groups) = (self.groups(), other.groups());
        let mut groups = one.iter().zip(other_groups);
        one.len() == other_groups.len()
            && groups.all(|(one, other)| one.is(other))
            && self.gates().eq(other.gates())
    }

    /// What becomes of requests, spool by spool in the order of the sinks, which [`Self::are`] compares.
    fn gates(&self) -> impl Iterator<Item = WhenFull> {
        let gates = self.0.as_ref().map_or(&[][..], |set| &set.gates);
        gates.iter().map(|gate| gate.when_full)
    }

    /// Does [`Self::admit`] have to be asked?
    pub fn is_gated(&self) -> bool {
        self.0.as_ref().is_some_and(|set| !set.gates.is_empty())
    }

    /// Asks every subscription that refuses or blocks when its records cannot be accepted. Waits for those that block, each for as long
    /// as it says at most, and holds up nothing but its caller.
    pub async fn admit(&self) -> Admission {
        let Some(set) = &self.0 else {
            return Admission::Admit;
        };
        for gate in &set.gates {
            if gate.spool.accepts() {
                continue;
            }
            match gate.when_full {
                WhenFull::Refuse => return Admission::Refuse,
                WhenFull::Block(longest) => gate.wait(longest).await,
                WhenFull::DropOldest | WhenFull::DropNew => {}
            }
        }
        Admission::Admit
    }

    /// Where the record of a request goes that was refused because of its records: not to those who could not have accepted them,
    /// whose last room is for requests that were served.
    #[must_use]
    pub fn of_refused(&self) -> &Self {
        match &self.0 {
            Some(set)
                if set
                    .gates
                    .iter()
                    .any(|gate| gate.when_full == WhenFull::Refuse) =>
            {
                &set.forgiving
            }
            _ => self,
        }
    }

    /// Where the record of a request goes that nobody served, and that nobody asked [`Self::admit`] about, such as one that cannot be
    /// read: everywhere, but not into the last room for records of requests that were served.
    #[must_use]
    pub fn of_unserved(&self) -> &Self {
        match &self.0 {
            Some(set)
                if set
                    .gates
                    .iter()
                    .any(|gate| gate.when_full == WhenFull::Refuse && !gate.spool.accepts()) =>
            {
                &set.forgiving
            }
            _ => self,
        }
    }

    pub(crate) fn groups(&self) -> &[Arc<Group>] {
        self.0.as_ref().map_or(&[], |set| &set.groups)
    }
}

impl Gate {
    /// Waits until records are accepted again.
    async fn wait(&self, longest: Duration) {
        let accepted = async {
            loop {
                // Before the look, so that what happens between the look and the wait is heard of.
                let mut told = pin!(self.spool.room().notified());
                told.as_mut().enable();
                if self.spool.accepts() {
                    return;
                }
                told.await;
            }
        };
        // After that time the request is served, and its record takes its chances.
        let _ = tokio::time::timeout(longest, accepted).await;
    }
}

/// The subscriptions of one configuration, for the compilation of its snapshot.
#[derive(Debug, Default)]
pub struct Subscriptions {
    networks: HashMap<ServiceNetworkId, Vec<Member>>,
    services: HashMap<ServiceId, Vec<Member>>,
    /// Every shape that is wanted, once, with what it was made from.
    shapes: Vec<(Arc<Shape>, Arc<LogShape>)>,
    /// Sets made so far, so that equal ones are the same one.
    made: HashMap<Vec<(usize, u64)>, Destinations>,
}

/// One subscription: a shape, by its number, a sink, and what becomes of requests when it can take no more.
#[derive(Debug, Clone)]
struct Member {
    shape: usize,
    sink: Arc<Sink>,
    when_full: WhenFull,
}

impl Member {
    fn key(&self) -> (usize, u64) {
        (self.shape, self.sink.number())
    }

    fn gate(&self) -> Option<Gate> {
        let spool = self.sink.spool()?;
        let asks = matches!(self.when_full, WhenFull::Block(_) | WhenFull::Refuse);
        asks.then(|| Gate {
            spool: Arc::clone(spool),
            when_full: self.when_full,
        })
    }
}

impl Subscriptions {
    pub(crate) fn new(subscriptions: &[Arc<AccessLogSubscription>], sinks: &Sinks) -> Self {
        let mut this = Self::default();
        let mut numbers: HashMap<&LogShape, usize> = HashMap::new();
        for subscription in subscriptions {
            let shapes = &mut this.shapes;
            let shape = *numbers.entry(&subscription.shape).or_insert_with(|| {
                let shape = Arc::new(Shape::new(&subscription.shape));
                shapes.push((shape, Arc::new(subscription.shape.clone())));
                shapes.len() - 1
            });
            let members = match subscription.resource {
                LoggedResource::ServiceNetwork(id) => this.networks.entry(id).or_default(),
                LoggedResource::Service(id) => this.services.entry(id).or_default(),
            };
            members.push(Member {
                shape,
                sink: sinks.sink(subscription),
                when_full: subscription.delivery.when_full,
            });
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
        let members = of_network.into_iter().chain(of_service).flatten();
        let mut members: Vec<Member> = members.cloned().collect();
        members.sort_unstable_by_key(Member::key);
        members.dedup_by_key(|member| member.key());
        let forgives = |member: &Member| !matches!(member.gate(), Some(gate) if gate.when_full == WhenFull::Refuse);
        let forgiving: Vec<Member> = members.iter().filter(|it| forgives(it)).cloned().collect();
        let forgiving = if forgiving.len() == members.len() {
            Destinations::NONE
        } else {
            self.set(&forgiving, Destinations::NONE)
        };
        self.set(&members, forgiving)
    }

    fn set(&mut self, members: &[Member], forgiving: Destinations) -> Destinations {
        if members.is_empty() {
            return Destinations::NONE;
        }
        let groups = members.chunk_by(|one, other| one.shape == other.shape);
        let groups = groups.filter_map(|group| {
            let (shape, wanted) = self.shapes.get(group.first()?.shape)?;
            Some(Arc::new(Group {
                shape: Arc::clone(shape),
                wanted: Arc::clone(wanted),
                sinks: group.iter().map(|it| Arc::clone(&it.sink)).collect(),
            }))
        });
        let set = || Set {
            groups: groups.collect(),
            gates: members.iter().filter_map(Member::gate).collect(),
            forgiving,
        };
        self.made
            .entry(members.iter().map(Member::key).collect())
            .or_insert_with(|| Destinations(Some(Arc::new(set()))))
            .clone()
    }
}
