//! Signals: metrics, the operator's log, and events that are both.
//!
//! * What happens to the gateway is an [`events`] struct; [`Telemetry::emit`] writes its log line and changes its metric, so that
//!   neither can be forgotten.
//! * What happens to a request is counted from its access record ([`ServiceMetrics::observe`]), so that record and metrics agree.
//! * What others count already is read when the metrics page is asked for ([`Telemetry::collect`]).
//!
//! There is no global recorder: a [`Telemetry`] is made at the start and handed to whoever needs it. Series of resources come with
//! the snapshot that has the resource and go with the first that has not ([`Telemetry::settle`]), so the configuration bounds
//! their number.

mod certificates;
mod entities;
pub mod events;
mod gateway;
mod groups;
mod histogram;
pub mod log;
pub mod names;
mod page;
mod process;
mod registry;
mod requests;
#[cfg(test)]
mod tests;

pub use certificates::{CertificateKind, Expiry};
pub use groups::{ConnectFailure, GroupMetrics, ZoneMetrics};
pub use histogram::{Counts, Exemplar};
pub use page::{Exposition, Family, Points, Samples, Value};
pub use requests::{AccountMetrics, Counted, Open, PlaceMetrics, ServiceMetrics, Traced};

use std::{
    fmt,
    sync::Arc,
    time::{Instant, SystemTime},
};

use parking_lot::Mutex;
use trellis_access_logs::{Counters, SpoolStatus, record::Record};
use trellis_model::{
    config::{FunctionGroup, TargetGroup},
    id::{ServiceId, ServiceNetworkId, TargetGroupId, VpcId},
    name::{AccountId, Name},
};
use trellis_policy::Lookups;

use crate::{
    otlp::{Dropped, Signal},
    trace::Kept,
};
use entities::Entities;
use events::Event;
use gateway::GatewayMetrics;
use registry::Registry;

/// Adds samples to the page.
type Collector = Box<dyn Fn(&mut Samples) + Send + Sync>;

/// All metrics of one gateway.
pub struct Telemetry {
    registry: Registry,
    gateway: GatewayMetrics,
    /// Requests that reached no service.
    unmatched: Arc<ServiceMetrics>,
    services: Entities<ServiceId, ServiceMetrics>,
    networks: Entities<ServiceNetworkId, PlaceMetrics>,
    vpcs: Entities<VpcId, PlaceMetrics>,
    accounts: Entities<AccountId, AccountMetrics>,
    zones: Entities<(TargetGroupId, Box<str>), ZoneMetrics>,
    expiries: Mutex<Vec<Expiry>>,
    collectors: Mutex<Vec<Collector>>,
    started: SystemTime,
}

impl Telemetry {
    /// All metrics at zero; `now` is shown as the start of the process.
    pub fn new(now: SystemTime) -> Arc<Self> {
        let registry = Registry::default();
        Arc::new(Self {
            gateway: GatewayMetrics::new(&registry),
            unmatched: Arc::new(ServiceMetrics::new("-", "-")),
            registry,
            services: Entities::default(),
            networks: Entities::default(),
            vpcs: Entities::default(),
            accounts: Entities::default(),
            zones: Entities::default(),
            expiries: Mutex::default(),
            collectors: Mutex::default(),
            started: now,
        })
    }

    /// Writes the event's log line and changes its metric.
    pub fn emit(&self, event: &impl Event) {
        event.emit(self);
    }

    /// Metrics of a service, for the snapshot to keep.
    pub fn service(&self, name: &str, id: ServiceId) -> Arc<ServiceMetrics> {
        self.services
            .want(id, || ServiceMetrics::new(name, &id.to_string()))
    }

    /// Metrics of a service network, for the snapshot to keep.
    pub fn network(&self, name: &Name, id: ServiceNetworkId) -> Arc<PlaceMetrics> {
        let metric = &names::NETWORK_REQUESTS;
        self.networks.want(id, || {
            PlaceMetrics::new(metric, name.as_str(), &id.to_string())
        })
    }

    /// Metrics of a VPC, for the snapshot to keep.
    pub fn vpc(&self, name: &Name, id: &VpcId) -> Arc<PlaceMetrics> {
        let metric = &names::VPC_REQUESTS;
        self.vpcs.want(id.clone(), || {
            PlaceMetrics::new(metric, name.as_str(), &id.to_string())
        })
    }

    /// Metrics of an account, for the snapshot to keep.
    pub fn account(&self, id: &AccountId) -> Arc<AccountMetrics> {
        self.accounts
            .want(id.clone(), || AccountMetrics::new(id.as_str()))
    }

    /// Metrics of a target group, for the snapshot to keep.
    pub fn target_group(&self, group: &TargetGroup) -> GroupMetrics {
        let targets = group.targets.iter();
        let targets = targets.map(|target| (target.address, target.zone.as_deref()));
        GroupMetrics::new(targets, |zone| self.zone(&group.name, group.id, zone))
    }

    /// Metrics of a function's target group, for the snapshot to keep.
    pub fn function_group(&self, group: &FunctionGroup) -> GroupMetrics {
        GroupMetrics::new(std::iter::empty(), |zone| {
            self.zone(&group.name, group.id, zone)
        })
    }

    fn zone(&self, name: &Name, id: TargetGroupId, zone: &str) -> Arc<ZoneMetrics> {
        self.zones.want((id, zone.into()), || {
            ZoneMetrics::new(name.as_str(), &id.to_string(), zone)
        })
    }

    /// Forgets the series of resources that no snapshot has any more. For whoever replaces snapshots, now and then: requests keep an
    /// old one to their end.
    pub fn settle(&self) {
        self.services.settle();
        self.networks.settle();
        self.vpcs.settle();
        self.accounts.settle();
        self.zones.settle();
    }

    /// Takes over when the certificates in use end.
    pub fn certificates(&self, expiries: Vec<Expiry>) {
        *self.expiries.lock() = expiries;
    }

    /// Counts a request that reached no service: unknown host, unreadable head, client outside every network.
    pub fn observe_unmatched(&self, record: &Record<'_>, traced: Traced) {
        self.unmatched.observe(record, traced);
    }

    /// Counts a message to the collector.
    pub fn exported(&self, signal: Signal, taken: bool) {
        let [ok, failed] = match signal {
            Signal::Traces => &self.gateway.exports[0],
            Signal::Metrics => &self.gateway.exports[1],
        };
        let counter = if taken { ok } else { failed };
        counter.increment(1);
    }

    /// Counts spans that did not reach the collector.
    pub fn spans_dropped(&self, why: Dropped, spans: usize) {
        let counter = match why {
            Dropped::QueueFull => &self.gateway.spans_queue_full,
            Dropped::NotTaken => &self.gateway.spans_not_taken,
            Dropped::Rejected => &self.gateway.spans_rejected,
        };
        counter.increment(spans as u64);
    }

    /// Counts a request whose spans are kept.
    pub fn trace_kept(&self, why: Kept) {
        if let Some(counter) = self.gateway.traces.get(why as usize) {
            counter.increment(1);
        }
    }

    /// When the counters began.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// Counts a request as running until the answer is dropped.
    pub fn request_began(&self) -> Counted {
        Counted::new(&self.gateway.requests_in_flight)
    }

    /// Counts a connection as open until the answer is dropped.
    pub fn connection_opened(&self) -> Counted {
        self.gateway.connections_accepted.increment(1);
        Counted::new(&self.gateway.connections)
    }

    /// Lets `collector` add samples whenever the page is asked for.
    pub fn collect(&self, collector: impl Fn(&mut Samples) + Send + Sync + 'static) {
        self.collectors.lock().push(Box::new(collector));
    }

    /// The metrics page in Prometheus' text format, version 0.0.4.
    pub fn render(&self) -> String {
        self.render_with(Exposition::Prometheus, |_| {})
    }

    /// The page, with what `more` adds. May take a tenth of a second with ten thousand services; no request waits for it.
    pub fn render_with(&self, exposition: Exposition, more: impl FnOnce(&mut Samples)) -> String {
        let mut samples = Samples::page(exposition);
        self.fill(&mut samples);
        more(&mut samples);
        samples.into_page()
    }

    /// The same metrics for an export.
    pub fn points_with(&self, more: impl FnOnce(&mut Samples)) -> Vec<Points> {
        let mut samples = Samples::points();
        self.fill(&mut samples);
        more(&mut samples);
        samples.into_points()
    }

    fn fill(&self, samples: &mut Samples) {
        let mut services = vec![Arc::clone(&self.unmatched)];
        services.extend(self.services.all());
        requests::collect_services(&services, samples);
        requests::collect_networks(&self.networks.all(), samples);
        requests::collect_vpcs(&self.vpcs.all(), samples);
        requests::collect_accounts(&self.accounts.all(), samples);
        groups::collect(&self.zones.all(), samples);
        self.registry.collect(samples);
        certificates::collect(&self.expiries.lock(), samples);
        process::collect(self.started, samples);
        for collector in &*self.collectors.lock() {
            collector(samples);
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

/// Adds how old the running snapshot is.
pub fn collect_age(built: Instant, samples: &mut Samples) {
    samples.single(&names::SNAPSHOT_AGE, built.elapsed().as_secs_f64());
}

/// Adds how often the running snapshot found a policy decision in its cache.
pub fn collect_decisions(lookups: Lookups, samples: &mut Samples) {
    samples.family(&names::DECISION_CACHE_LOOKUPS, |family| {
        for (outcome, number) in [("hit", lookups.hits), ("miss", lookups.misses)] {
            family.count(&[outcome], number);
        }
    });
}

/// Adds what the writer of access records counts.
pub fn collect_records(counters: &Counters, samples: &mut Samples) {
    for (metric, value) in [
        (names::RECORDS_WRITTEN, counters.written_records()),
        (names::RECORD_BYTES_WRITTEN, counters.written_bytes()),
        (names::RECORDS_DROPPED, counters.dropped_records()),
        (names::RECORD_WRITE_ERRORS, counters.write_errors()),
    ] {
        samples.family(&metric, |family| family.count(&[], value));
    }
}

/// Adds how spools and shippers are doing.
pub fn collect_spools(spools: &[SpoolStatus], samples: &mut Samples) {
    if spools.is_empty() {
        return;
    }
    let mut numbers = |metric, of: fn(&SpoolStatus) -> u64| {
        samples.family(&metric, |family| {
            for spool in spools {
                family.count(&[&spool.subscription], of(spool));
            }
        });
    };
    numbers(names::SPOOL_RECORDS, |spool| spool.records);
    numbers(names::SPOOL_BYTES, |spool| spool.bytes);
    numbers(names::RECORDS_SHIPPED, |spool| spool.shipped);
    numbers(names::SHIP_RETRIES, |spool| spool.retries);
    numbers(names::DEAD_LETTERS, |spool| spool.dead);
    samples.family(&names::SHIP_LAG, |family| {
        for spool in spools {
            let lag = spool.oldest.unwrap_or_default();
            family.sample(&[&spool.subscription], lag.as_secs_f64());
        }
    });
    samples.family(&names::RECORDS_LOST, |family| {
        for spool in spools {
            for (reason, records) in [
                ("oldest", spool.dropped_oldest),
                ("newest", spool.dropped_newest),
                ("damaged", spool.damaged),
                ("dead", spool.dead_dropped),
            ] {
                family.count(&[&spool.subscription, reason], records);
            }
        }
    });
}
