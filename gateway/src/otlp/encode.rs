//! Metrics and spans as messages of a bounded size.

use std::time::{Duration, SystemTime};

use super::messages::{
    Any, AnyValue, Exemplar, Gauge, Histogram, HistogramPoint, KeyValue, Metric, MetricsRequest,
    Number, NumberPoint, Points, Resource, ResourceMetrics, ResourceSpans, Scope, ScopeMetrics,
    ScopeSpans, Span, Sum, TraceRequest,
};
use crate::telemetry::{self, Counts, Value, names};

/// Most points in one request: some 2 MiB.
pub(super) const POINTS: usize = 5000;

/// Cumulative since the start.
const CUMULATIVE: i32 = 2;

/// The schema whose names attributes follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.26.0";

/// A text with its key.
pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Any::Text(value.into()))
}

/// A number with its key.
pub(super) fn number(key: &str, value: impl Into<i64>) -> KeyValue {
    attribute(key, Any::Int(value.into()))
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

/// Who sends: the service, this process of it, and where it runs.
pub(super) fn resource(instance: &str, zone: Option<&str>) -> Resource {
    let mut attributes = vec![
        text("service.name", "trellis"),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("service.instance.id", instance),
    ];
    attributes.extend(zone.map(|zone| text("cloud.availability_zone", zone)));
    Resource { attributes }
}

fn scope() -> Scope {
    Scope {
        name: "trellis".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// One request with all these spans.
pub(super) fn traces(resource: &Resource, spans: Vec<Span>) -> TraceRequest {
    TraceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans,
            }],
            schema_url: SCHEMA.to_owned(),
        }],
    }
}

/// Requests with all these metrics, none of them with more than [`POINTS`] points.
pub(super) fn metrics(
    resource: &Resource,
    all: Vec<telemetry::Points>,
    (started, now): (SystemTime, SystemTime),
) -> Vec<MetricsRequest> {
    let times = (nanoseconds(started), nanoseconds(now));
    let (mut requests, mut metrics, mut room) = (Vec::new(), Vec::new(), POINTS);
    let request = |metrics| MetricsRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics,
            }],
        }],
    };
    for points in all {
        let mut series = points.series.into_iter().peekable();
        while series.peek().is_some() {
            if room == 0 {
                requests.push(request(std::mem::take(&mut metrics)));
                room = POINTS;
            }
            let part: Vec<_> = series.by_ref().take(room).collect();
            room -= part.len();
            metrics.push(metric(&points.metric, part, times));
        }
    }
    if !metrics.is_empty() {
        requests.push(request(metrics));
    }
    requests
}

fn metric(of: &names::Metric, series: Vec<(Vec<Box<str>>, Value)>, times: (u64, u64)) -> Metric {
    let unit = match of.name.trim_end_matches("_total") {
        name if name.ends_with("_seconds") => "s",
        name if name.ends_with("_bytes") => "By",
        _ => "1",
    };
    let (mut numbers, mut durations) = (Vec::new(), Vec::new());
    for (values, value) in series {
        let labels = of.labels.iter().zip(values);
        let attributes: Vec<KeyValue> = labels.map(|(key, value)| text(key, value)).collect();
        let number = match value {
            Value::Number(number) => Number::Double(number),
            Value::Count(number) => Number::Int(i64::try_from(number).unwrap_or(i64::MAX)),
            Value::Durations(counts) => {
                durations.push(histogram(&counts, attributes, times));
                continue;
            }
        };
        numbers.push(NumberPoint {
            start_time_unix_nano: times.0,
            time_unix_nano: times.1,
            value: Some(number),
            attributes,
        });
    }
    let points = match of.kind {
        names::Kind::Counter => Points::Sum(Sum {
            data_points: numbers,
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        }),
        names::Kind::Gauge => Points::Gauge(Gauge {
            data_points: numbers,
        }),
        names::Kind::Histogram => Points::Histogram(Histogram {
            data_points: durations,
            aggregation_temporality: CUMULATIVE,
        }),
    };
    Metric {
        name: of.name.to_owned(),
        description: of.help.to_owned(),
        unit: unit.to_owned(),
        points: Some(points),
    }
}

fn histogram(counts: &Counts, attributes: Vec<KeyValue>, times: (u64, u64)) -> HistogramPoint {
    let exemplars = counts.exemplars.iter().flatten();
    HistogramPoint {
        start_time_unix_nano: times.0,
        time_unix_nano: times.1,
        count: counts.count(),
        sum: Some(counts.sum),
        bucket_counts: counts.buckets.to_vec(),
        explicit_bounds: names::DURATION_BUCKETS.to_vec(),
        exemplars: exemplars
            .map(|exemplar| Exemplar {
                time_unix_nano: nanoseconds(exemplar.at),
                value: exemplar.took.as_secs_f64(),
                trace_id: exemplar.trace.bytes().to_vec(),
            })
            .collect(),
        attributes,
    }
}

/// Since 1970; what was before is at its beginning.
pub(super) fn nanoseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or(Duration::ZERO).as_nanos()).unwrap_or(u64::MAX)
}
