//! The registry behind the metrics page: `metrics` with the Prometheus exporter's recorder, owned rather than global.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::names::{self, Kind, Metric};

const METADATA: Metadata<'static> = Metadata::new("trellis", Level::INFO, None);

/// Makes the handles through which metrics are changed, and writes the page.
#[derive(Debug)]
pub(super) struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Registry {
    pub(super) fn new() -> Self {
        let matcher = Matcher::Full(names::REQUEST_DURATION.name.to_owned());
        let builder = PrometheusBuilder::new();
        // Refuses only an empty list of buckets; then histograms would be summaries, and a test would say so.
        let recorder = builder
            .set_buckets_for_metric(matcher, &names::DURATION_BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new())
            .build_recorder();
        for metric in names::ALL {
            let (name, help) = (metric.name.into(), metric.help.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram => recorder.describe_histogram(name, None, help),
            }
        }
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    /// A counter; `values` are those of the metric's labels, in their order.
    pub(super) fn counter(&self, metric: &Metric, values: &[&str]) -> Counter {
        self.recorder
            .register_counter(&key(metric, values), &METADATA)
    }

    /// A gauge; `values` are those of the metric's labels, in their order.
    pub(super) fn gauge(&self, metric: &Metric, values: &[&str]) -> Gauge {
        self.recorder
            .register_gauge(&key(metric, values), &METADATA)
    }

    /// A histogram; `values` are those of the metric's labels, in their order.
    pub(super) fn histogram(&self, metric: &Metric, values: &[&str]) -> Histogram {
        self.recorder
            .register_histogram(&key(metric, values), &METADATA)
    }

    /// The page so far.
    pub(super) fn render(&self) -> String {
        self.handle.render()
    }

    /// Sorts observations that came since the last time into their buckets; until then each takes eight bytes.
    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn key(metric: &Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let labels: Vec<Label> = metric
        .labels
        .iter()
        .zip(values)
        .map(|(name, value)| Label::new(*name, (*value).to_owned()))
        .collect();
    Key::from_parts(metric.name, labels)
}
