//! What is noted of a request for its trace, and what becomes of it.

use std::{net::SocketAddr, time::Instant};

use http::HeaderMap;
use trellis_access_logs::record::Record;

use super::{Dice, exchange::Exchange};
use crate::{
    otlp,
    shared::Shared,
    trace::{End, Recording, TraceId},
};

impl Exchange {
    /// Begins to note what happens, if the request is traced or may be kept for what becomes of it.
    pub(super) fn begin_trace(&mut self, headers: &HeaderMap, dice: &Dice) {
        let traces = self.snapshot.as_ref();
        let Some(settings) = traces.and_then(|snapshot| snapshot.traces.as_ref()) else {
            return;
        };
        self.recording = Recording::begin(settings, self.incoming, headers, || dice.roll());
    }

    /// Notes an attempt that begins; gives its position. `roll` becomes the id of its span.
    pub(super) fn begin_attempt(&mut self, target: Option<SocketAddr>, roll: u64) -> usize {
        match &mut self.recording {
            Some(recording) => recording.attempt(target, roll),
            None => 0,
        }
    }

    /// Notes an attempt that is now the one that counts.
    pub(super) fn rely_on_attempt(&mut self, position: usize) {
        if let Some(recording) = &mut self.recording {
            recording.current = position;
        }
    }

    /// Notes that the current attempt failed.
    pub(super) fn attempt_failed(&mut self, why: &'static str) {
        if let Some(recording) = &mut self.recording {
            let current = recording.current;
            recording.end(current, End::Failed(Instant::now(), why));
        }
    }

    /// Notes that the target of the current attempt gave an answer that is not passed on.
    pub(super) fn attempt_answered(&mut self, status: u16) {
        if let Some(recording) = &mut self.recording {
            let current = recording.current;
            recording.end(current, End::Answered(Instant::now(), status));
        }
    }

    /// Tells a target where the trace goes on.
    pub(super) fn tell_trace(&self, headers: &mut HeaderMap) {
        let traces = self.snapshot.as_ref();
        let settings = traces.and_then(|snapshot| snapshot.traces.as_ref());
        if let (Some(recording), Some(settings)) = (&self.recording, settings) {
            recording.tell(headers, settings);
        }
    }

    /// Decides whether the spans are kept, by what became of the request.
    pub(super) fn end_trace(&mut self, record: &Record<'_>) {
        let Some(recording) = &self.recording else {
            return;
        };
        let traces = self.snapshot.as_ref();
        let slow = traces.and_then(|snapshot| snapshot.traces.as_ref()?.slower_than);
        let slow = slow.is_some_and(|limit| record.duration >= limit);
        let failed = record.response_code.is_none_or(|code| code >= 500);
        self.kept = recording.kept(failed, slow);
    }

    /// Hands the spans over, if they are kept.
    pub(super) fn leave_spans(&self, record: &Record<'_>, shared: &Shared) {
        let (Some(recording), Some(why), Some(facts)) = (&self.recording, self.kept, &self.facts)
        else {
            return;
        };
        shared.telemetry.trace_kept(why);
        let request = otlp::Request {
            record,
            names: (
                self.service().map(|service| service.name.as_str()),
                self.group.as_ref().map(|group| group.name.as_str()),
            ),
            began: self.began,
            port: facts.local.port(),
        };
        shared.spans.leave(otlp::spans(request, recording));
    }

    /// The trace that the request belongs to, for records: the client's, or that of the gateway's own spans.
    pub fn trace_id(&self) -> Option<TraceId> {
        match (&self.recording, self.kept) {
            (Some(recording), Some(_)) => Some(recording.trace),
            _ => self.incoming?.trace,
        }
    }

    /// The same, if the trace is recorded somewhere.
    pub fn recorded_trace(&self) -> Option<TraceId> {
        if self.kept.is_some() {
            return self.trace_id();
        }
        let incoming = self.incoming?;
        incoming.trace.filter(|_| incoming.sampled == Some(true))
    }
}
