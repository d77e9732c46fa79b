//! Sends what there is to send, spans and metrics each at their own pace, until it is stopped.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use prost::Message as _;
use tokio::{runtime::Handle, sync::watch, task::JoinHandle, time};
use trellis_model::config::{Config, OtlpSettings};

use super::{
    Dropped, Outlet, Spans,
    client::{Client, Refusal},
    encode,
    messages::{Resource, Span},
};
use crate::{
    admin::{Introspect, Site},
    proxy::Dice,
    telemetry::{
        Telemetry,
        events::{ExportFailed, ExportRecovered},
    },
};

/// Spans that are sent at once when so many are there.
const BATCH: usize = 512;

/// Longest time that a span waits for others.
const GATHER: Duration = Duration::from_secs(5);

/// The first wait before a message is sent again; it doubles up to the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How long a message is tried.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the last messages may take when the gateway stops.
const STOP: Duration = Duration::from_secs(3);

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
}

impl Signal {
    /// As labels and lines have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }
}

/// The tasks that send.
#[derive(Debug)]
pub struct Exporter {
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl Exporter {
    /// Starts them on this runtime. They follow the running configuration, and do nothing while it names no collector.
    pub fn start(
        runtime: &Handle,
        state: &Arc<dyn Introspect>,
        telemetry: &Arc<Telemetry>,
        outlet: Outlet,
        seed: u64,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        let instance: Arc<str> = uuid::Uuid::new_v4().to_string().into();
        let sender = |signal, index| Sender {
            signal,
            state: Arc::clone(state),
            telemetry: Arc::clone(telemetry),
            client: None,
            instance: Arc::clone(&instance),
            dice: Dice::new(seed, usize::MAX - 1 - index),
            stopping: stopping.clone(),
            failing: false,
        };
        let site = Site::new(Arc::clone(state), Arc::clone(telemetry));
        Self {
            tasks: [
                runtime.spawn(send_spans(sender(Signal::Traces, 0), outlet)),
                runtime.spawn(send_metrics(sender(Signal::Metrics, 1), site)),
            ],
            stop,
        }
    }

    /// Sends what is left, within a few seconds.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        for mut task in self.tasks {
            if time::timeout(STOP, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

/// Sends one signal.
struct Sender {
    signal: Signal,
    state: Arc<dyn Introspect>,
    telemetry: Arc<Telemetry>,
    client: Option<Client>,
    instance: Arc<str>,
    dice: Dice,
    stopping: watch::Receiver<bool>,
    failing: bool,
}

impl Sender {
    fn config(&self) -> Option<Arc<Config>> {
        self.state.config()
    }

    fn settings(&self) -> Option<OtlpSettings> {
        self.config()?.gateway.telemetry.otlp.clone()
    }

    fn resource(&self) -> Resource {
        let config = self.config();
        let zone = config
            .as_ref()
            .and_then(|config| config.gateway.zone.as_deref());
        encode::resource(&self.instance, zone)
    }

    /// Sends a message until it is taken or given up; gives how much of it was rejected, `None` for all.
    async fn deliver(&mut self, message: Bytes) -> Option<u64> {
        let began = Instant::now();
        let mut wait = BACK_OFF.0;
        loop {
            let refusal = match self.post(message.clone()).await {
                Ok(rejected) => {
                    self.told_success();
                    return Some(rejected);
                }
                Err(refusal) => refusal,
            };
            let (why, asked) = match refusal {
                Refusal::Never(why) => {
                    self.told_failure(&why);
                    return None;
                }
                Refusal::Later(why, asked) => (why, asked),
            };
            self.told_failure(&why);
            // At random between half of the wait and all of it, so that gateways do not come together.
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            let jittered = Duration::from_millis(millis / 2 + self.dice.roll() % (millis / 2 + 1));
            let pause = asked.unwrap_or(jittered);
            if *self.stopping.borrow() || began.elapsed() + pause > PATIENCE {
                return None;
            }
            tokio::select! {
                () = time::sleep(pause) => {}
                // Once more at once, and that is the last time.
                _ = self.stopping.changed() => {}
            }
            wait = (wait * 2).min(BACK_OFF.1);
        }
    }

    async fn post(&mut self, message: Bytes) -> Result<u64, Refusal> {
        let Some(settings) = self.settings() else {
            return Err(Refusal::Never(
                "the configuration names no collector".to_owned(),
            ));
        };
        if self
            .client
            .as_ref()
            .is_none_or(|client| !client.is_for(&settings))
        {
            let made = tokio::task::spawn_blocking(move || Client::new(Arc::new(settings))).await;
            let made = made.unwrap_or_else(|error| Err(error.to_string()));
            self.client = Some(made.map_err(|why| Refusal::Later(why, None))?);
        }
        match &self.client {
            Some(client) => client.post(self.signal.path(), message).await,
            None => Err(Refusal::Never("no client".to_owned())),
        }
    }

    fn told_success(&mut self) {
        self.telemetry.exported(self.signal, true);
        if std::mem::take(&mut self.failing) {
            let signal = self.signal.as_str();
            self.telemetry.emit(&ExportRecovered { signal });
        }
    }

    fn told_failure(&mut self, why: &str) {
        self.telemetry.exported(self.signal, false);
        // A line for the first failure of a row: the collector may be gone for hours.
        if !std::mem::replace(&mut self.failing, true) {
            let signal = self.signal.as_str();
            self.telemetry.emit(&ExportFailed { signal, why });
        }
    }
}

async fn send_spans(mut sender: Sender, mut outlet: Outlet) {
    let mut batch: Vec<Span> = Vec::new();
    let mut stopping = sender.stopping.clone();
    let mut due = time::Instant::now() + GATHER;
    loop {
        let ended = tokio::select! {
            // First what is there, so that a stop leaves nothing behind.
            biased;
            spans = outlet.0.recv(), if batch.len() < BATCH => match spans {
                Some(Spans(spans)) => {
                    if batch.is_empty() {
                        due = time::Instant::now() + GATHER;
                    }
                    batch.extend(spans);
                    if batch.len() < BATCH {
                        continue;
                    }
                    false
                }
                None => true,
            },
            _ = stopping.wait_for(|stopping| *stopping) => true,
            () = time::sleep_until(due), if !batch.is_empty() => false,
        };
        if !batch.is_empty() {
            let count = batch.len();
            let message = encode::traces(&sender.resource(), std::mem::take(&mut batch));
            match sender.deliver(message.encode_to_vec().into()).await {
                Some(0) => {}
                Some(rejected) => {
                    let rejected = usize::try_from(rejected).unwrap_or(count).min(count);
                    sender.telemetry.spans_dropped(Dropped::Rejected, rejected);
                }
                None => sender.telemetry.spans_dropped(Dropped::NotTaken, count),
            }
        }
        if ended {
            return;
        }
    }
}

/// How often a configuration without a collector is looked at again.
const LOOK: Duration = Duration::from_secs(1);

async fn send_metrics(mut sender: Sender, site: Site) {
    let started = sender.telemetry.started();
    let mut stopping = sender.stopping.clone();
    let mut last = time::Instant::now();
    loop {
        let interval = sender
            .settings()
            .and_then(|settings| settings.metrics_interval);
        let due = interval.map_or(last, |interval| last + interval);
        let wait = match interval {
            Some(_) => due.min(time::Instant::now() + LOOK),
            None => time::Instant::now() + LOOK,
        };
        let ended = tokio::select! {
            () = time::sleep_until(wait) => false,
            _ = stopping.wait_for(|stopping| *stopping) => true,
        };
        if interval.is_some() && (ended || time::Instant::now() >= due) {
            last = time::Instant::now();
            let site = site.clone();
            // Away from the reactor: the metrics of ten thousand services take a while.
            let points = tokio::task::spawn_blocking(move || site.points()).await;
            let times = (started, SystemTime::now());
            for request in encode::metrics(&sender.resource(), points.unwrap_or_default(), times) {
                // What was not taken is in the next export: counters only grow.
                sender.deliver(request.encode_to_vec().into()).await;
            }
        }
        if ended {
            return;
        }
    }
}
