//! The log itself.

use super::Event;
use crate::telemetry::Telemetry;

/// What the log says was changed at run time, or is as at the start again.
#[derive(Debug)]
pub struct LogChanged<'a> {
    /// The filter.
    pub filter: &'a str,
    /// For how many seconds; none when it is the one of the start.
    pub seconds: Option<u64>,
}

impl Event for LogChanged<'_> {
    fn emit(&self, _: &Telemetry) {
        let filter = self.filter;
        if let Some(seconds) = self.seconds {
            tracing::info!(filter, seconds, "log filter changed for a while");
        } else {
            tracing::info!(filter, "log filter as at the start again");
        }
    }
}
