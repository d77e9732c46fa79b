//! Targets that are found by a name: asked for in the background, never while a request waits.
//!
//! Each group with a name has one task, which asks at once, again when the answer's time is over, and, while that fails, sooner, at
//! growing distances. What was answered last stays in use until something better comes. What answers change goes to the
//! [`Registry`], which treats it as it does a change of the documents: new targets are initial, those that left drain.
//!
//! A change of the configuration with names that nobody asked for yet waits for their first answers, once and within the deadline of one
//! answer, before it is taken up ([`prepare`]): rules that send requests to a new group would otherwise find it empty.

mod answer;
mod bounds;
mod progress;
mod resolver;
mod system;

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Arc, mpsc},
    time::Duration,
};

use hickory_proto::op::ResponseCode;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
    time::{self, Instant},
};
use trellis_model::{
    config::{Config, Discovery, DiscoverySettings, TargetGroup},
    id::TargetGroupId,
};

pub(crate) use self::bounds::admits;
use self::{
    progress::{Change, Progress},
    resolver::{Resolve, Resolver},
    system::System,
};
use crate::{
    proxy::Dice,
    registry::{News, Outcome, Registry},
    telemetry::{
        Telemetry,
        events::{AddressesRefused, DiscoveryFailed, TargetsDiscovered, TargetsGone},
    },
};

/// Most names that are asked for at a time.
const AT_A_TIME: usize = 64;

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// Its addresses, in the order of the answer, and how long they count.
    Addresses {
        addresses: Vec<IpAddr>,
        ttl: Duration,
    },
    /// It has none: there is no such name, or it has no address of the kind. How long that counts, if the answer says so.
    Nothing {
        no_name: bool,
        ttl: Option<Duration>,
    },
}

/// Why nothing is known of a name.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The servers answer that they cannot answer.
    #[error("the DNS server answers {0}")]
    ServerFailure(ResponseCode),
    /// Nobody answered in time.
    #[error("no DNS server answered in time")]
    Timeout,
    /// No server can be reached.
    #[error("the DNS server cannot be reached")]
    Unreachable(#[source] io::Error),
    /// An answer that nobody should rely on.
    #[error("the DNS server gave {0}")]
    Malformed(&'static str),
    /// The system names no server.
    #[error("no DNS server is known")]
    NoServer,
    /// All addresses of the answer are where no target may be.
    #[error("no address of the answer is in the VPC; `{address}` is one of them")]
    Outside {
        /// One of the addresses.
        address: IpAddr,
    },
}

impl DiscoveryError {
    /// The outcome in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::ServerFailure(_) => "server_failure",
            Self::Timeout => "timeout",
            Self::Unreachable(_) | Self::NoServer => "unreachable",
            Self::Malformed(_) => "malformed",
            Self::Outside { .. } => "outside",
        }
    }
}

/// First answers for names that a configuration has and nobody asked for yet.
#[derive(Debug, Default)]
pub(crate) struct Prepared(HashMap<TargetGroupId, (Discovery, Result<Found, DiscoveryError>)>);

impl Prepared {
    /// The addresses that were found.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (TargetGroupId, Vec<IpAddr>)> {
        let found = |(id, (of, outcome)): (&TargetGroupId, &(Discovery, _))| {
            (*id, progress::first(of, outcome))
        };
        self.0.iter().map(found)
    }
}

/// Asks for the names of a configuration that are not among the `known` ones. Blocks for the deadline of one answer at most.
pub(crate) fn prepare(config: &Config, known: &HashMap<TargetGroupId, Discovery>) -> Prepared {
    let wanted: Vec<(TargetGroupId, Discovery)> = wanted(config)
        .filter(|(group, of)| known.get(&group.id) != Some(of))
        .map(|(group, of)| (group.id, of.clone()))
        .collect();
    if wanted.is_empty() {
        return Prepared::default();
    }
    let timeout = config.gateway.discovery.timeout;
    let (sender, receiver) = mpsc::sync_channel(1);
    // A thread of its own: the caller's may be part of a runtime, which another one must not run in.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let found = runtime.map(|runtime| runtime.block_on(first_answers(wanted, timeout)));
        let _ = sender.send(found.unwrap_or_default());
    });
    // An error says that the thread is gone; the names are then asked for in the background, like those without an answer.
    receiver.recv().unwrap_or_default()
}

async fn first_answers(wanted: Vec<(TargetGroupId, Discovery)>, timeout: Duration) -> Prepared {
    let resolver = Resolver::new(timeout, System::default());
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut asking = JoinSet::new();
    for (id, of) in wanted {
        let (resolver, places) = (Arc::clone(&resolver), Arc::clone(&places));
        asking.spawn(async move {
            let _place = places.acquire().await;
            let outcome = resolver.resolve(&of).await;
            (id, (of, outcome))
        });
    }
    let mut found = HashMap::new();
    let all = async {
        while let Some(answer) = asking.join_next().await {
            found.extend(answer.ok());
        }
    };
    // Whoever had no place in time is asked for in the background.
    let _ = time::timeout(timeout, all).await;
    Prepared(found)
}

/// The groups that find their targets by a name.
fn wanted(config: &Config) -> impl Iterator<Item = (&TargetGroup, &Discovery)> {
    let groups = config.target_groups.iter();
    groups.filter_map(|group| Some((&**group, group.discovery.as_ref()?)))
}

/// Asks for the names of the running configuration, as long as it runs.
#[derive(Debug, Default)]
pub(crate) struct Discoverer {
    followed: Mutex<HashMap<TargetGroupId, Followed>>,
    settings: Mutex<Option<DiscoverySettings>>,
}

#[derive(Debug)]
struct Followed {
    of: Discovery,
    task: AbortHandle,
}

impl Drop for Followed {
    fn drop(&mut self) {
        // At any wait: nothing is half done then.
        self.task.abort();
    }
}

/// Where names are asked for and what hears of it.
#[derive(Debug)]
pub(crate) struct Around<'a> {
    pub(crate) runtime: &'a Handle,
    pub(crate) registry: &'a Arc<Registry>,
    pub(crate) telemetry: &'a Arc<Telemetry>,
    pub(crate) seed: u64,
}

impl Discoverer {
    /// The names that are asked for.
    pub(crate) fn known(&self) -> HashMap<TargetGroupId, Discovery> {
        let followed = self.followed.lock();
        let pairs = followed.iter().map(|(id, one)| (*id, one.of.clone()));
        pairs.collect()
    }

    /// Asks for the names of a configuration from now on, and for no others. `prepared` has the first answers of those that are new.
    pub(crate) fn follow(&self, config: &Config, mut prepared: Prepared, around: &Around<'_>) {
        let settings = &config.gateway.discovery;
        let same = self.settings.lock().replace(settings.clone()).as_ref() == Some(settings);
        let mut followed = self.followed.lock();
        let mut before = std::mem::take(&mut *followed);
        let resolver = Resolver::new(settings.timeout, System::default());
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        for (number, (group, of)) in wanted(config).enumerate() {
            let known = before.remove(&group.id);
            if let Some(known) = known.filter(|known| same && known.of == *of) {
                followed.insert(group.id, known);
                continue;
            }
            let task = Follower {
                id: group.id,
                name: group.name.as_str().into(),
                of: of.clone(),
                resolver: Arc::clone(&resolver) as Arc<dyn Resolve>,
                places: Arc::clone(&places),
                registry: Arc::clone(around.registry),
                telemetry: Arc::clone(around.telemetry),
                progress: Progress::new(settings),
                refused: (false, false),
                dice: Dice::new(around.seed, number),
            };
            let first = prepared.0.remove(&group.id).map(|(_, outcome)| outcome);
            let task = around.runtime.spawn(task.run(first)).abort_handle();
            let of = of.clone();
            followed.insert(group.id, Followed { of, task });
        }
    }

    /// Asks for nothing any more.
    pub(crate) fn stop(&self) {
        self.followed.lock().clear();
    }
}

/// Asks for one name until it is aborted.
struct Follower {
    id: TargetGroupId,
    name: Box<str>,
    of: Discovery,
    resolver: Arc<dyn Resolve>,
    places: Arc<Semaphore>,
    registry: Arc<Registry>,
    telemetry: Arc<Telemetry>,
    progress: Progress,
    /// Were addresses of the last answer refused, for where they are and for their number?
    refused: (bool, bool),
    dice: Dice,
}

impl Follower {
    async fn run(mut self, first: Option<Result<Found, DiscoveryError>>) {
        let mut known = first;
        loop {
            let outcome = if let Some(outcome) = known.take() {
                outcome
            } else {
                let _place = self.places.acquire().await;
                self.resolver.resolve(&self.of).await
            };
            let wait = self.enter(outcome);
            time::sleep(wait).await;
        }
    }

    /// Enters an outcome; tells how long it counts.
    fn enter(&mut self, outcome: Result<Found, DiscoveryError>) -> Duration {
        let label = label(&outcome);
        let failed_before = self.progress.failures() > 0;
        let (step, error) = self.progress.after(&self.of, outcome, self.dice.roll());
        let now = Instant::now().into_std();
        let addresses = match &step.change {
            Change::Take(taken) => Some(taken.addresses.as_slice()),
            Change::Empty => Some(&[][..]),
            Change::Keep => None,
        };
        let news = News {
            addresses,
            error: error.as_ref().map(ToString::to_string),
            next: now + step.wait,
        };
        let Some(targets) = self.registry.discovered(self.id, &self.of, &news, now) else {
            // Another name by now; the task is about to be aborted.
            return step.wait;
        };
        if let Change::Take(taken) = &step.change {
            self.tell_refused(taken);
        }
        self.tell(
            label,
            &step.change,
            error.as_ref(),
            (targets, failed_before),
        );
        step.wait
    }

    fn tell(
        &self,
        outcome: &'static str,
        change: &Change,
        error: Option<&DiscoveryError>,
        (targets, failed_before): (Outcome, bool),
    ) {
        let (group, hostname) = (&*self.name, self.of.hostname.as_str());
        match (error, change) {
            (Some(error), _) => self.telemetry.emit(&DiscoveryFailed {
                group,
                hostname,
                error,
                is_first: !failed_before,
                targets: targets.count,
            }),
            (None, Change::Take(_)) => self.telemetry.emit(&TargetsDiscovered {
                group,
                hostname,
                targets: targets.count,
                is_news: targets.changed || failed_before,
            }),
            (None, Change::Empty | Change::Keep) => self.telemetry.emit(&TargetsGone {
                group,
                hostname,
                outcome,
                kept: targets.count,
                is_news: targets.changed || *change == Change::Keep,
            }),
        }
    }

    fn tell_refused(&mut self, taken: &bounds::Taken) {
        let outside = taken.outside.map_or(0, |(count, _)| count);
        let refused = (outside > 0, taken.beyond > 0);
        if refused != (false, false) {
            self.telemetry.emit(&AddressesRefused {
                group: &self.name,
                hostname: self.of.hostname.as_str(),
                outside,
                example: taken.outside.map(|(_, address)| address),
                beyond: taken.beyond,
                is_first: self.refused != refused,
            });
        }
        self.refused = refused;
    }
}

fn label(outcome: &Result<Found, DiscoveryError>) -> &'static str {
    match outcome {
        Ok(Found::Addresses { .. }) => "answered",
        Ok(Found::Nothing { no_name: true, .. }) => "no_name",
        Ok(Found::Nothing { no_name: false, .. }) => "no_address",
        Err(error) => error.label(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
