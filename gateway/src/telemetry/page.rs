//! Samples that are read from their owner when the page is asked for, in Prometheus' text format.
//!
//! For what somebody counts already (the writer of access records) or what must vanish with its owner (targets by status).

use std::fmt::Write;

use super::names::Metric;

/// The part of the page that is collected when asked for.
#[derive(Debug, Default)]
pub struct Samples {
    text: String,
}

impl Samples {
    /// One sample of a metric without labels.
    pub fn single(&mut self, metric: &Metric, value: f64) {
        self.family(metric, |family| family.sample(&[], value));
    }

    /// All samples of one metric.
    pub fn family(&mut self, metric: &Metric, fill: impl FnOnce(&mut Family<'_>)) {
        let (name, help, kind) = (metric.name, metric.help, metric.kind.as_str());
        // Writing into memory does not fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        fill(&mut Family {
            metric,
            text: &mut self.text,
        });
        self.text.push('\n');
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// The samples of one metric.
#[derive(Debug)]
pub struct Family<'p> {
    metric: &'p Metric,
    text: &'p mut String,
}

impl Family<'_> {
    /// One sample; `values` are those of the metric's labels, in their order.
    pub fn sample(&mut self, values: &[&str], value: f64) {
        self.text.push_str(self.metric.name);
        let mut before = '{';
        for (label, value) in self.metric.labels.iter().zip(values) {
            self.text.push(before);
            self.text.push_str(label);
            self.text.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    _ => self.text.push(character),
                }
            }
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}
