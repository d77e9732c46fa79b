//! Metrics and traces on their way to a collector.

use super::Event;
use crate::telemetry::Telemetry;

/// A collector does not take what it is sent. Said once until it does again; each attempt is counted by [`Telemetry::exported`].
#[derive(Debug)]
pub struct ExportFailed<'a> {
    /// What was sent.
    pub signal: &'static str,
    /// Why it was not taken.
    pub why: &'a str,
}

impl Event for ExportFailed<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::warn!(
            signal = self.signal,
            why = self.why,
            "the collector does not take what it is sent"
        );
    }
}

/// A collector takes what it is sent again.
#[derive(Debug)]
pub struct ExportRecovered {
    /// What was sent.
    pub signal: &'static str,
}

impl Event for ExportRecovered {
    fn emit(&self, _: &Telemetry) {
        tracing::info!(
            signal = self.signal,
            "the collector takes what it is sent again"
        );
    }
}
