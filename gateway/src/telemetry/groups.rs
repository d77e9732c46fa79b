//! Metrics of target groups: what their targets answered, and connections to them, by the zone of the target.

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use trellis_access_logs::record::Record;

use super::{
    histogram::Histogram,
    names,
    page::{Labels, Samples},
    requests::{CLASSES, Open, Traced, add, class},
};

/// What is spoken over a connection.
const PROTOCOLS: [&str; 2] = ["http1", "http2"];

/// Why there is no connection to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The target, or the network before it, refused.
    Refused,
    /// It took too long.
    Timeout,
    /// TLS could not be agreed upon, or the target could not be verified.
    Tls,
}

const FAILURES: [&str; 3] = ["refused", "timeout", "tls"];

/// How handshakes with targets ended.
const HANDSHAKES: [&str; 2] = ["ok", "failed"];

#[derive(Default)]
struct Counters {
    by_class: [AtomicU64; CLASSES.len()],
    duration: Histogram,
    retries: AtomicU64,
    opened: [AtomicU64; PROTOCOLS.len()],
    failures: [AtomicU64; FAILURES.len()],
    handshakes: [AtomicU64; HANDSHAKES.len()],
    received: AtomicU64,
    sent: AtomicU64,
}

/// Metrics of the targets of a group in one zone.
pub struct ZoneMetrics {
    labels: Labels,
    /// Made at its first request.
    counted: OnceLock<Box<Counters>>,
    open: Arc<AtomicU64>,
}

impl ZoneMetrics {
    /// `zone` is `-` for targets in none.
    pub(super) fn new(name: &str, id: &str, zone: &str) -> Self {
        Self {
            labels: Labels::new(names::TARGET_REQUESTS.labels, &[name, id, zone]),
            counted: OnceLock::new(),
            open: Arc::default(),
        }
    }

    fn counters(&self) -> &Counters {
        self.counted.get_or_init(Box::default)
    }

    /// Counts a request that was sent to a target, as its record has it. `answered` tells whether the status is the target's.
    pub fn observe(&self, record: &Record<'_>, answered: bool, traced: Traced) {
        let counters = self.counters();
        let code = record.response_code.filter(|_| answered);
        add(&counters.by_class, class(code));
        let took = record.request_to_target + record.response_from_target;
        counters.duration.observe(took, traced);
        let again = record.trellis.attempts.saturating_sub(1);
        if again > 0 {
            counters.retries.fetch_add(again.into(), Relaxed);
        }
    }

    /// Counts a new connection, which is open as long as the answer lives.
    pub fn connection_opened(&self) -> Open {
        // So that the series is there.
        self.counters();
        Open::new(&self.open)
    }

    /// Counts what a new connection speaks.
    pub fn connection_speaks(&self, http2: bool) {
        add(&self.counters().opened, usize::from(http2));
    }

    /// Counts a connection that could not be made.
    pub fn connection_failed(&self, why: ConnectFailure) {
        add(&self.counters().failures, why as usize);
    }

    /// Counts a TLS handshake.
    pub fn handshake(&self, succeeded: bool) {
        add(&self.counters().handshakes, usize::from(!succeeded));
    }

    /// Counts bytes from a target, as they came over the network.
    pub fn received(&self, bytes: usize) {
        self.counters().received.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts bytes to a target, as they left for the network.
    pub fn sent(&self, bytes: usize) {
        self.counters().sent.fetch_add(bytes as u64, Relaxed);
    }
}

impl fmt::Debug for ZoneMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneMetrics")
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

/// Metrics of a target group. Held by the snapshot; a later snapshot's go on where these were.
#[derive(Debug)]
pub struct GroupMetrics {
    first: Arc<ZoneMetrics>,
    /// Of targets that are in another zone than the first one.
    others: HashMap<SocketAddr, Arc<ZoneMetrics>, foldhash::fast::RandomState>,
}

impl GroupMetrics {
    /// `zone` gives the metrics of a zone; `targets` are the group's, each with its zone.
    pub(super) fn new<'t>(
        targets: impl Iterator<Item = (SocketAddr, Option<&'t str>)>,
        zone: impl Fn(&str) -> Arc<ZoneMetrics>,
    ) -> Self {
        let mut first: Option<(&str, Arc<ZoneMetrics>)> = None;
        let mut others = HashMap::default();
        for (address, of) in targets {
            let of = of.unwrap_or("-");
            match &first {
                None => first = Some((of, zone(of))),
                Some((zone, _)) if *zone == of => {}
                Some(_) => drop(others.insert(address, zone(of))),
            }
        }
        Self {
            first: first.map_or_else(|| zone("-"), |(_, metrics)| metrics),
            others,
        }
    }

    /// The metrics of a target's zone.
    pub fn of(&self, target: Option<SocketAddr>) -> &Arc<ZoneMetrics> {
        if self.others.is_empty() {
            return &self.first;
        }
        target
            .and_then(|target| self.others.get(&target))
            .unwrap_or(&self.first)
    }
}

/// Adds the metrics of target groups.
pub(super) fn collect(all: &[Arc<ZoneMetrics>], samples: &mut Samples) {
    let used = all
        .iter()
        .filter_map(|zone| Some((&zone.labels, &**zone.counted.get()?)));
    let mut words = |metric, words: &[&str], counters: fn(&Counters) -> &[AtomicU64]| {
        samples.family(metric, |family| {
            for (labels, counted) in used.clone() {
                for (word, counter) in words.iter().zip(counters(counted)) {
                    family.count_of(labels, Some(word), counter.load(Relaxed));
                }
            }
        });
    };
    words(&names::TARGET_REQUESTS, &CLASSES, |all| &all.by_class);
    words(&names::TARGET_CONNECTIONS_OPENED, &PROTOCOLS, |all| {
        &all.opened
    });
    words(&names::TARGET_CONNECTION_FAILURES, &FAILURES, |all| {
        &all.failures
    });
    words(&names::TARGET_TLS_HANDSHAKES, &HANDSHAKES, |all| {
        &all.handshakes
    });
    let mut plain = |metric, counter: fn(&Counters) -> &AtomicU64| {
        samples.family(metric, |family| {
            for (labels, counted) in used.clone() {
                family.count_of(labels, None, counter(counted).load(Relaxed));
            }
        });
    };
    plain(&names::TARGET_RETRIES, |all| &all.retries);
    plain(&names::TARGET_RECEIVED_BYTES, |all| &all.received);
    plain(&names::TARGET_SENT_BYTES, |all| &all.sent);
    samples.family(&names::TARGET_REQUEST_DURATION, |family| {
        for (labels, counted) in used.clone() {
            family.durations_of(labels, counted.duration.counts());
        }
    });
    samples.family(&names::TARGET_CONNECTIONS, |family| {
        for zone in all.iter().filter(|zone| zone.counted.get().is_some()) {
            family.count_of(&zone.labels, None, zone.open.load(Relaxed));
        }
    });
}
