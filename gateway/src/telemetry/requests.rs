//! Metrics of requests: by service, by the network and the VPC that they came through, and by the account that owns the service.
//!
//! Hot: a request adds to counters that its snapshot holds, nothing is looked up. Resources that nobody calls cost a pointer.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use metrics::Gauge;
use trellis_access_logs::record::{AuthDeniedReason, FailureReason, Record};

use super::{
    histogram::Histogram,
    names::{self, Metric},
    page::{Labels, Samples},
};
use crate::trace::TraceId;

/// The trace of a request, if it is recorded, and when the request ended.
pub type Traced = Option<(TraceId, SystemTime)>;

/// Classes of status codes; the last stands for requests without one.
pub(super) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// What denies a request.
const LAYERS: [&str; 4] = ["network", "service", "identity", "signature"];

/// How what candidates decide differs from what was decided.
const DIFFERENCES: [&str; 3] = ["same", "would_deny", "would_allow"];

/// The position of a status in [`CLASSES`].
pub(super) fn class(code: Option<u16>) -> usize {
    match code {
        Some(code @ 100..=599) => usize::from(code / 100 - 1),
        _ => CLASSES.len() - 1,
    }
}

pub(super) fn add<const N: usize>(counters: &[AtomicU64; N], position: usize) {
    if let Some(counter) = counters.get(position) {
        counter.fetch_add(1, Relaxed);
    }
}

/// Rate, errors and duration of requests, and their bytes.
#[derive(Default)]
struct Rates {
    by_class: [AtomicU64; CLASSES.len()],
    duration: Histogram,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Rates {
    fn observe(&self, record: &Record<'_>, traced: Traced) {
        add(&self.by_class, class(record.response_code));
        self.duration.observe(record.duration, traced);
        self.received.fetch_add(record.bytes_received, Relaxed);
        self.sent.fetch_add(record.bytes_sent, Relaxed);
    }
}

/// Why requests of a service failed.
#[derive(Default)]
struct Failures {
    reasons: [AtomicU64; FailureReason::ALL.len()],
    denied: [AtomicU64; LAYERS.len()],
    candidates: [AtomicU64; DIFFERENCES.len()],
}

impl Failures {
    fn observe(&self, record: &Record<'_>) {
        if let Some(candidate) = record.trellis.candidate {
            let difference = match (record.auth_denied, candidate.denied) {
                (None, Some(_)) => 1,
                (Some(_), None) => 2,
                (None, None) | (Some(_), Some(_)) => 0,
            };
            add(&self.candidates, difference);
        }
        let Some(reason) = record.failure else { return };
        add(&self.reasons, reason as usize);
        match record.auth_denied {
            Some(AuthDeniedReason::Network) => add(&self.denied, 0),
            Some(AuthDeniedReason::Service) => add(&self.denied, 1),
            Some(AuthDeniedReason::Identity) => add(&self.denied, 2),
            None if reason == FailureReason::ClientAccessDenied => add(&self.denied, 3),
            None => {}
        }
    }
}

/// Metrics of one service. Held by the snapshot; a later snapshot's go on where these were.
pub struct ServiceMetrics {
    labels: Labels,
    /// Made at its first request.
    counted: OnceLock<Box<(Rates, Failures)>>,
}

impl ServiceMetrics {
    pub(super) fn new(name: &str, id: &str) -> Self {
        Self {
            labels: Labels::new(names::REQUESTS.labels, &[name, id]),
            counted: OnceLock::new(),
        }
    }

    /// Counts one request as its record has it.
    pub fn observe(&self, record: &Record<'_>, traced: Traced) {
        let (rates, failures) = &**self.counted.get_or_init(Box::default);
        rates.observe(record, traced);
        failures.observe(record);
    }
}

/// Metrics of requests that came through a service network or from a VPC.
pub struct PlaceMetrics {
    labels: Labels,
    rates: OnceLock<Box<Rates>>,
    connections: Arc<AtomicU64>,
}

impl PlaceMetrics {
    pub(super) fn new(metric: &Metric, name: &str, id: &str) -> Self {
        Self {
            labels: Labels::new(metric.labels, &[name, id]),
            rates: OnceLock::new(),
            connections: Arc::default(),
        }
    }

    /// Counts one request as its record has it.
    pub fn observe(&self, record: &Record<'_>, traced: Traced) {
        let rates = self.rates.get_or_init(Box::default);
        rates.observe(record, traced);
    }

    /// Counts a connection as open until the answer is dropped.
    pub fn connection_opened(&self) -> Open {
        Open::new(&self.connections)
    }
}

/// What the services of an account are used for.
pub struct AccountMetrics {
    labels: Labels,
    requests: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

impl AccountMetrics {
    pub(super) fn new(account: &str) -> Self {
        Self {
            labels: Labels::new(names::ACCOUNT_REQUESTS.labels, &[account]),
            requests: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    /// Counts one request as its record has it.
    pub fn observe(&self, record: &Record<'_>) {
        self.requests.fetch_add(1, Relaxed);
        self.received.fetch_add(record.bytes_received, Relaxed);
        self.sent.fetch_add(record.bytes_sent, Relaxed);
    }
}

/// Names of rate, duration and bytes.
type RateNames = [Metric; 4];

fn collect_rates<'a>(
    [requests, duration, received, sent]: &RateNames,
    all: impl Iterator<Item = (&'a Labels, &'a Rates)> + Clone,
    samples: &mut Samples,
) {
    samples.family(requests, |family| {
        for (labels, rates) in all.clone() {
            for (class, counter) in CLASSES.iter().zip(&rates.by_class) {
                family.count_of(labels, Some(class), counter.load(Relaxed));
            }
        }
    });
    samples.family(duration, |family| {
        for (labels, rates) in all.clone() {
            family.durations_of(labels, rates.duration.counts());
        }
    });
    samples.family(received, |family| {
        for (labels, rates) in all.clone() {
            family.count_of(labels, None, rates.received.load(Relaxed));
        }
    });
    samples.family(sent, |family| {
        for (labels, rates) in all {
            family.count_of(labels, None, rates.sent.load(Relaxed));
        }
    });
}

/// Adds the metrics of services, and of requests that reached none.
pub(super) fn collect_services(all: &[Arc<ServiceMetrics>], samples: &mut Samples) {
    const RATES: RateNames = [
        names::REQUESTS,
        names::REQUEST_DURATION,
        names::RECEIVED_BYTES,
        names::SENT_BYTES,
    ];
    let used = all
        .iter()
        .filter_map(|service| Some((&service.labels, &**service.counted.get()?)));
    let rates = used.clone().map(|(labels, counted)| (labels, &counted.0));
    collect_rates(&RATES, rates, samples);
    let mut some = |metric, words: &[&str], counters: fn(&Failures) -> &[AtomicU64]| {
        samples.family(metric, |family| {
            for (labels, (_, failures)) in used.clone() {
                // Most services never see most failures.
                for (word, counter) in words.iter().zip(counters(failures)) {
                    match counter.load(Relaxed) {
                        0 => {}
                        value => family.count_of(labels, Some(word), value),
                    }
                }
            }
        });
    };
    let reasons = FailureReason::ALL.map(FailureReason::as_str);
    some(&names::REQUEST_FAILURES, &reasons, |all| &all.reasons);
    some(&names::REQUESTS_DENIED, &LAYERS, |all| &all.denied);
    some(&names::CANDIDATE_DECISIONS, &DIFFERENCES, |all| {
        &all.candidates
    });
}

/// Adds the metrics of service networks.
pub(super) fn collect_networks(all: &[Arc<PlaceMetrics>], samples: &mut Samples) {
    const RATES: RateNames = [
        names::NETWORK_REQUESTS,
        names::NETWORK_REQUEST_DURATION,
        names::NETWORK_RECEIVED_BYTES,
        names::NETWORK_SENT_BYTES,
    ];
    collect_rates(&RATES, used(all), samples);
}

/// Adds the metrics of VPCs.
pub(super) fn collect_vpcs(all: &[Arc<PlaceMetrics>], samples: &mut Samples) {
    const RATES: RateNames = [
        names::VPC_REQUESTS,
        names::VPC_REQUEST_DURATION,
        names::VPC_RECEIVED_BYTES,
        names::VPC_SENT_BYTES,
    ];
    collect_rates(&RATES, used(all), samples);
    samples.family(&names::VPC_CONNECTIONS, |family| {
        for place in all {
            family.count_of(&place.labels, None, place.connections.load(Relaxed));
        }
    });
}

fn used(all: &[Arc<PlaceMetrics>]) -> impl Iterator<Item = (&Labels, &Rates)> + Clone {
    all.iter()
        .filter_map(|place| Some((&place.labels, &**place.rates.get()?)))
}

/// Adds the use of accounts.
pub(super) fn collect_accounts(all: &[Arc<AccountMetrics>], samples: &mut Samples) {
    let mut each = |metric, counter: fn(&AccountMetrics) -> &AtomicU64| {
        samples.family(metric, |family| {
            for account in all {
                family.count_of(&account.labels, None, counter(account).load(Relaxed));
            }
        });
    };
    each(&names::ACCOUNT_REQUESTS, |account| &account.requests);
    each(&names::ACCOUNT_RECEIVED_BYTES, |account| &account.received);
    each(&names::ACCOUNT_SENT_BYTES, |account| &account.sent);
}

/// A request or a connection that is counted as long as this lives.
#[must_use = "the gauge falls again when this is dropped"]
pub struct Counted(Gauge);

impl Counted {
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}

/// A connection that is counted among those of a resource as long as this lives.
#[derive(Debug)]
#[must_use = "the number falls again when this is dropped"]
pub struct Open(Arc<AtomicU64>);

impl Open {
    pub(super) fn new(number: &Arc<AtomicU64>) -> Self {
        number.fetch_add(1, Relaxed);
        Self(Arc::clone(number))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

macro_rules! debug_by_labels {
    ($($of:ident),+) => {$(
        impl fmt::Debug for $of {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($of)).field("labels", &self.labels).finish_non_exhaustive()
            }
        }
    )+};
}

debug_by_labels!(ServiceMetrics, PlaceMetrics, AccountMetrics);
