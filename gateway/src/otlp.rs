//! Metrics and traces on their way to a collector: OTLP over HTTP, in protobuf.
//!
//! Nothing here can hold up a request: workers hand spans over to a bounded queue, and what finds it full is dropped and counted.
//! The collector is asked again after failures that may pass, with growing waits, for a bounded time; then what was to be sent is
//! dropped and counted.

mod client;
mod encode;
mod exporter;
mod messages;
mod spans;
#[cfg(test)]
mod tests;

pub use exporter::{Exporter, Signal};
pub use spans::{Request, spans};

use messages::Span;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::telemetry::Telemetry;

/// Most traces that wait to be sent. With four spans each of some 2 KiB, 32 MiB.
const QUEUE: usize = 4096;

/// Why spans do not reach the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// More came than it takes.
    QueueFull,
    /// It was tried in vain.
    NotTaken,
    /// It said so of a part of a message.
    Rejected,
}

/// The spans of one request.
#[derive(Debug)]
pub struct Spans(Vec<Span>);

/// Where workers leave the spans of requests.
#[derive(Debug, Clone)]
pub struct Intake {
    queue: mpsc::Sender<Spans>,
    telemetry: Arc<Telemetry>,
}

/// Where the exporter finds them.
#[derive(Debug)]
pub struct Outlet(mpsc::Receiver<Spans>);

/// A bounded queue of traces.
pub fn queue(telemetry: &Arc<Telemetry>) -> (Intake, Outlet) {
    let (queue, outlet) = mpsc::channel(QUEUE);
    let intake = Intake {
        queue,
        telemetry: Arc::clone(telemetry),
    };
    (intake, Outlet(outlet))
}

impl Intake {
    /// Leaves the spans of one request, without waiting.
    pub fn leave(&self, spans: Spans) {
        if let Err(error) = self.queue.try_send(spans) {
            let spans = match error {
                mpsc::error::TrySendError::Full(spans)
                | mpsc::error::TrySendError::Closed(spans) => spans,
            };
            self.telemetry
                .spans_dropped(Dropped::QueueFull, spans.0.len());
        }
    }
}
