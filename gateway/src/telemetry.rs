//! Signals: metrics, the operator's log, and events that are both.
//!
//! * What happens to the gateway is an [`events`] struct; [`Telemetry::emit`] writes its log line and changes its metric, so that
//!   neither can be forgotten.
//! * What happens to a request is counted from its access record ([`ServiceMetrics::observe`]), so that record and metrics agree.
//! * What others count already is read when the metrics page is asked for ([`Telemetry::collect`]).
//!
//! There is no global recorder: a [`Telemetry`] is made at the start and handed to whoever needs it. Series of services are
//! kept from their first request to the end of the process; their number is bounded by the services ever configured.

pub mod events;
mod gateway;
pub mod log;
pub mod names;
mod page;
mod process;
mod registry;
mod requests;
#[cfg(test)]
mod tests;

pub use page::{Family, Samples};
pub use requests::{Counted, ServiceMetrics};

use std::{
    fmt,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use trellis_access_logs::{Counters, record::Record};
use trellis_model::id::ServiceId;
use trellis_policy::Lookups;

use events::Event;
use gateway::GatewayMetrics;
use registry::Registry;
use requests::RequestMetrics;

/// Adds samples to the page.
type Collector = Box<dyn Fn(&mut Samples) + Send + Sync>;

/// All metrics of one gateway.
pub struct Telemetry {
    registry: Registry,
    gateway: GatewayMetrics,
    /// Requests that reached no service.
    unmatched: RequestMetrics,
    collectors: Mutex<Vec<Collector>>,
    started: SystemTime,
}

impl Telemetry {
    /// All metrics at zero; `now` is shown as the start of the process.
    pub fn new(now: SystemTime) -> Arc<Self> {
        let registry = Registry::new();
        Arc::new(Self {
            gateway: GatewayMetrics::new(&registry),
            unmatched: RequestMetrics::new(&registry, "-", "-"),
            registry,
            collectors: Mutex::default(),
            started: now,
        })
    }

    /// Writes the event's log line and changes its metric.
    pub fn emit(&self, event: &impl Event) {
        event.emit(self);
    }

    /// Metrics of a service, for the snapshot to keep. Costs next to nothing until its first request.
    pub fn service(self: &Arc<Self>, name: &str, id: ServiceId) -> ServiceMetrics {
        ServiceMetrics::new(Arc::clone(self), name, id)
    }

    /// Counts a request that reached no service: unknown host, unreadable head, client outside every network.
    pub fn observe_unmatched(&self, record: &Record<'_>) {
        self.unmatched.observe(&self.registry, record);
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
        self.render_with(|_| {})
    }

    /// The page, with what `more` adds.
    pub fn render_with(&self, more: impl FnOnce(&mut Samples)) -> String {
        let mut samples = Samples::default();
        process::collect(self.started, &mut samples);
        for collector in &*self.collectors.lock() {
            collector(&mut samples);
        }
        more(&mut samples);
        let mut page = self.registry.render();
        page.push_str(samples.text());
        page
    }

    /// Sorts observations into their buckets every few seconds, so that they do not pile up when nobody asks for the page.
    /// Stops when the answer is dropped.
    pub fn start_upkeep(self: &Arc<Self>) -> std::io::Result<Upkeep> {
        /// A hundred thousand requests per second then take four megabytes.
        const INTERVAL: Duration = Duration::from_secs(5);
        let (stop, stopped) = mpsc::channel::<()>();
        let telemetry = Arc::clone(self);
        let thread = thread::Builder::new()
            .name("metrics-upkeep".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
                    telemetry.registry.upkeep();
                }
            })?;
        Ok(Upkeep {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

/// Adds how often the running snapshot found a policy decision in its cache.
pub fn collect_decisions(lookups: Lookups, samples: &mut Samples) {
    samples.family(&names::DECISION_CACHE_LOOKUPS, |family| {
        // Prometheus counts in floating point; beyond 2^53 a few are lost.
        #[expect(
            clippy::cast_precision_loss,
            reason = "the text format has no integers"
        )]
        for (outcome, number) in [("hit", lookups.hits), ("miss", lookups.misses)] {
            family.sample(&[outcome], number as f64);
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
        // Prometheus counts in floating point; beyond 2^53 a few are lost.
        #[expect(
            clippy::cast_precision_loss,
            reason = "the text format has no integers"
        )]
        samples.single(&metric, value as f64);
    }
}

/// The thread that keeps observations from piling up; dropping this ends it.
#[derive(Debug)]
pub struct Upkeep {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
