//! Metrics that exist as long as the process: handles of `metrics` over counters that the page is made from.
//!
//! Series of resources that come and go are in [`super::entities`].

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use metrics::{Counter, Gauge};
use parking_lot::Mutex;

use super::{
    names::{Kind, Metric},
    page::Samples,
};

/// Makes the handles through which metrics are changed, and puts their values on the page.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<BTreeMap<&'static str, Registered>>);

/// A metric and its series.
#[derive(Debug, Clone)]
struct Registered {
    metric: Metric,
    series: Vec<Series>,
}

#[derive(Debug, Clone)]
struct Series {
    labels: Box<[Box<str>]>,
    /// A whole number of a counter, the bits of a floating-point one of a gauge: what `metrics` makes of it.
    value: Arc<AtomicU64>,
}

impl Registry {
    /// A counter; `values` are those of the metric's labels, in their order.
    pub(super) fn counter(&self, metric: &Metric, values: &[&str]) -> Counter {
        debug_assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
        Counter::from_arc(self.series(metric, values))
    }

    /// A gauge; `values` are those of the metric's labels, in their order.
    pub(super) fn gauge(&self, metric: &Metric, values: &[&str]) -> Gauge {
        debug_assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
        Gauge::from_arc(self.series(metric, values))
    }

    fn series(&self, metric: &Metric, values: &[&str]) -> Arc<AtomicU64> {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let mut registered = self.0.lock();
        let registered = registered.entry(metric.name).or_insert(Registered {
            metric: *metric,
            series: Vec::new(),
        });
        let known = registered.series.iter().find(|series| {
            let labels = series.labels.iter().map(|label| &**label);
            labels.eq(values.iter().copied())
        });
        if let Some(known) = known {
            return Arc::clone(&known.value);
        }
        let value = Arc::<AtomicU64>::default();
        registered.series.push(Series {
            labels: values.iter().map(|value| (*value).into()).collect(),
            value: Arc::clone(&value),
        });
        value
    }

    /// Adds all of them to the page.
    pub(super) fn collect(&self, samples: &mut Samples) {
        // Not under the lock: whoever registers a series shall not wait for the page.
        let registered: Vec<Registered> = self.0.lock().values().cloned().collect();
        for Registered { metric, series } in registered {
            samples.family(&metric, |family| {
                for Series { labels, value } in series {
                    let labels: Vec<&str> = labels.iter().map(|label| &**label).collect();
                    let value = value.load(Relaxed);
                    match metric.kind {
                        Kind::Gauge => family.sample(&labels, f64::from_bits(value)),
                        Kind::Counter | Kind::Histogram => family.count(&labels, value),
                    }
                }
            });
        }
    }
}
