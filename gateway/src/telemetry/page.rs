//! Samples and how they are written: as Prometheus' text format, as `OpenMetrics`, or as points for an export.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use super::{
    histogram::{Counts, Exemplar},
    names::{DURATION_BUCKETS, Kind, Metric},
};

/// How a page of metrics is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus' text format, version 0.0.4.
    Prometheus,
    /// `OpenMetrics` 1.0, which has room for traces beside the buckets of histograms.
    OpenMetrics,
}

/// All metrics of one moment.
#[derive(Debug)]
pub struct Samples(Sink);

#[derive(Debug)]
enum Sink {
    Page(Exposition, String),
    Points(Vec<Points>),
}

/// The series of one metric, for an export.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    /// The metric.
    pub metric: Metric,
    /// Its series: values of its labels, and what was measured.
    pub series: Vec<(Vec<Box<str>>, Value)>,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A whole number that only grows.
    Count(u64),
    /// Durations by size.
    Durations(Box<Counts>),
}

/// Labels of a resource as the page has them, written once.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    text: Box<str>,
    values: Box<[Box<str>]>,
}

impl Labels {
    /// The first labels of metrics and their values.
    pub(super) fn new(names: &[&str], values: &[&str]) -> Self {
        let mut text = String::new();
        for (name, value) in names.iter().zip(values) {
            write_label(&mut text, name, value);
        }
        Self {
            text: text.into(),
            values: values.iter().map(|value| (*value).into()).collect(),
        }
    }
}

impl Samples {
    pub(super) fn page(exposition: Exposition) -> Self {
        Self(Sink::Page(exposition, String::new()))
    }

    pub(super) fn points() -> Self {
        Self(Sink::Points(Vec::new()))
    }

    /// The page, complete.
    pub(super) fn into_page(self) -> String {
        match self.0 {
            Sink::Page(Exposition::OpenMetrics, mut text) => {
                text.push_str("# EOF\n");
                text
            }
            Sink::Page(Exposition::Prometheus, text) => text,
            Sink::Points(_) => String::new(),
        }
    }

    /// The points.
    pub(super) fn into_points(self) -> Vec<Points> {
        match self.0 {
            Sink::Points(points) => points,
            Sink::Page(..) => Vec::new(),
        }
    }

    /// One sample of a metric without labels.
    pub fn single(&mut self, metric: &Metric, value: f64) {
        self.family(metric, |family| family.sample(&[], value));
    }

    /// All samples of one metric.
    pub fn family(&mut self, metric: &Metric, fill: impl FnOnce(&mut Family<'_>)) {
        match &mut self.0 {
            Sink::Page(exposition, text) => {
                let (help, kind) = (metric.help, metric.kind.as_str());
                let name = match exposition {
                    // Spec: OpenMetrics 1.0, "Counter": the family's name is that of its samples without `_total`.
                    Exposition::OpenMetrics => {
                        metric.name.strip_suffix("_total").unwrap_or(metric.name)
                    }
                    Exposition::Prometheus => metric.name,
                };
                // Writing into memory does not fail.
                let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
                fill(&mut Family(metric, FamilySink::Page(*exposition, text)));
            }
            Sink::Points(points) => {
                let mut series = Vec::new();
                fill(&mut Family(metric, FamilySink::Points(&mut series)));
                points.push(Points {
                    metric: *metric,
                    series,
                });
            }
        }
    }
}

/// The samples of one metric.
#[derive(Debug)]
pub struct Family<'p>(&'p Metric, FamilySink<'p>);

#[derive(Debug)]
enum FamilySink<'p> {
    Page(Exposition, &'p mut String),
    Points(&'p mut Vec<(Vec<Box<str>>, Value)>),
}

impl Family<'_> {
    /// One sample; `values` are those of the metric's labels, in their order.
    pub fn sample(&mut self, values: &[&str], value: f64) {
        match &mut self.1 {
            FamilySink::Page(_, text) => {
                begin(text, self.0, values);
                let _ = writeln!(text, " {value}");
            }
            FamilySink::Points(series) => {
                let labels = values.iter().map(|value| (*value).into()).collect();
                series.push((labels, Value::Number(value)));
            }
        }
    }

    /// One sample of a counter; `values` are those of the metric's labels, in their order.
    pub fn count(&mut self, values: &[&str], value: u64) {
        match &mut self.1 {
            FamilySink::Page(_, text) => {
                begin(text, self.0, values);
                end(text, value);
            }
            FamilySink::Points(series) => {
                let labels = values.iter().map(|value| (*value).into()).collect();
                series.push((labels, Value::Count(value)));
            }
        }
    }

    /// One count of a resource: its labels, and the value of one more where the metric has one.
    pub(super) fn count_of(&mut self, of: &Labels, more: Option<&str>, value: u64) {
        match &mut self.1 {
            FamilySink::Page(_, text) => {
                text.push_str(self.0.name);
                text.push('{');
                text.push_str(&of.text);
                if let (Some(more), Some(label)) = (more, self.0.labels.get(of.values.len())) {
                    write_label(text, label, more);
                }
                text.push('}');
                end(text, value);
            }
            FamilySink::Points(series) => {
                let more = more.map(Box::from);
                let labels = of.values.iter().cloned().chain(more).collect();
                series.push((labels, Value::Count(value)));
            }
        }
    }

    /// The durations of a resource.
    pub(super) fn durations_of(&mut self, of: &Labels, counts: Counts) {
        match &mut self.1 {
            FamilySink::Page(exposition, text) => {
                write_durations(text, *exposition, self.0.name, &of.text, &counts);
            }
            FamilySink::Points(series) => {
                let labels = of.values.to_vec();
                series.push((labels, Value::Durations(Box::new(counts))));
            }
        }
    }
}

fn begin(text: &mut String, metric: &Metric, values: &[&str]) {
    debug_assert!(metric.kind != Kind::Histogram, "{}", metric.name);
    text.push_str(metric.name);
    if !values.is_empty() {
        text.push('{');
        for (label, value) in metric.labels.iter().zip(values) {
            write_label(text, label, value);
        }
        text.push('}');
    }
}

fn end(text: &mut String, value: u64) {
    text.push(' ');
    text.push_str(itoa::Buffer::new().format(value));
    text.push('\n');
}

/// A label after those that are there. Spec: Prometheus' text format, "Comments, help text, and type information".
fn write_label(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() && !text.ends_with('{') {
        text.push(',');
    }
    text.push_str(name);
    text.push_str("=\"");
    let mut rest = value;
    while let Some(position) = memchr::memchr3(b'\\', b'"', b'\n', rest.as_bytes()) {
        let (plain, special) = rest.split_at(position);
        text.push_str(plain);
        let mut characters = special.chars();
        text.push_str(match characters.next() {
            Some('\n') => "\\n",
            Some('"') => "\\\"",
            _ => "\\\\",
        });
        rest = characters.as_str();
    }
    text.push_str(rest);
    text.push('"');
}

/// The bounds of buckets as the page has them.
const BOUNDS: [&str; DURATION_BUCKETS.len() + 1] = [
    "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5",
    "1.0", "2.5", "5.0", "15.0", "60.0", "+Inf",
];

fn write_durations(
    text: &mut String,
    exposition: Exposition,
    name: &str,
    labels: &str,
    counts: &Counts,
) {
    let mut below = 0;
    let buckets = BOUNDS.iter().zip(counts.buckets).zip(&counts.exemplars);
    for ((bound, inside), exemplar) in buckets {
        below += inside;
        for part in [name, "_bucket{", labels, ",le=\"", bound, "\"} "] {
            text.push_str(part);
        }
        text.push_str(itoa::Buffer::new().format(below));
        if let (Exposition::OpenMetrics, Some(exemplar)) = (exposition, exemplar) {
            write_exemplar(text, exemplar);
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{name}_sum{{{labels}}} {}", counts.sum);
    for part in [name, "_count{", labels, "} "] {
        text.push_str(part);
    }
    text.push_str(itoa::Buffer::new().format(below));
    text.push('\n');
}

/// Spec: `OpenMetrics` 1.0, "Exemplars".
fn write_exemplar(text: &mut String, exemplar: &Exemplar) {
    let at = exemplar.at.duration_since(SystemTime::UNIX_EPOCH);
    let (took, at) = (exemplar.took, at.unwrap_or(Duration::ZERO));
    let _ = write!(
        text,
        " # {{trace_id=\"{}\"}} {} {:.3}",
        exemplar.trace,
        took.as_secs_f64(),
        at.as_secs_f64()
    );
}
