//! The buffer of one worker: encoded lines, and for each run of them where it goes.

use std::{mem, sync::Arc};

use crate::{
    destination::{Destinations, Group},
    record::Record,
    shape::Encoder,
};

/// Encoded lines and where they go.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The lines, one after the other.
    pub(super) bytes: Vec<u8>,
    /// Consecutive runs of lines for the same destinations.
    pub(super) runs: Vec<Run>,
}

/// A run of lines for the same destinations.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) to: Arc<Group>,
    /// End of the run in the buffer; it begins where the one before ends.
    pub(super) end: usize,
    pub(super) records: u64,
}

impl Lines {
    /// Above this, an empty buffer gives its memory back: it was a burst.
    const KEPT_BYTES: usize = 1 << 20;

    /// Bytes that count against the bound.
    fn size(&self) -> usize {
        self.bytes.len() + self.runs.len() * mem::size_of::<Run>()
    }

    /// Notes that the last line goes to `group`.
    fn note(&mut self, group: &Arc<Group>) {
        let end = self.bytes.len();
        match self.runs.last_mut() {
            Some(run) if Arc::ptr_eq(&run.to, group) => {
                run.end = end;
                run.records += 1;
            }
            _ => self.runs.push(Run {
                to: Arc::clone(group),
                end,
                records: 1,
            }),
        }
    }

    /// Forgets everything but a reasonable amount of memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(Self::KEPT_BYTES);
        self.runs.clear();
        self.runs
            .shrink_to(Self::KEPT_BYTES / mem::size_of::<Run>());
    }
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It is in the buffer.
    Taken,
    /// It is in the buffer, and with it the buffer became half full: time to empty it.
    HalfFull,
    /// It found no room.
    Full,
    /// The writer has ended.
    Closed,
}

/// The buffer of one worker.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    lines: Lines,
    encoder: Encoder,
    closed: bool,
}

impl Buffer {
    /// Encodes `record` at the end, once in each shape that is wanted, if with it the buffer stays within `limit` bytes.
    pub(super) fn push(&mut self, to: &Destinations, record: &Record<'_>, limit: usize) -> Pushed {
        if self.closed {
            return Pushed::Closed;
        }
        let before = self.lines.size();
        if before >= limit {
            return Pushed::Full;
        }
        for group in to.groups() {
            let start = self.lines.bytes.len();
            let bytes = &mut self.lines.bytes;
            if !self.encoder.encode(record, &group.shape, bytes) {
                continue;
            }
            if self.lines.size() > limit {
                self.lines.bytes.truncate(start);
                return Pushed::Full;
            }
            self.lines.note(group);
        }
        if before < limit / 2 && self.lines.size() >= limit / 2 {
            Pushed::HalfFull
        } else {
            Pushed::Taken
        }
    }

    /// Takes all lines and leaves `empty` in their place.
    pub(super) fn swap(&mut self, empty: &mut Lines) {
        mem::swap(&mut self.lines, empty);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.runs.is_empty()
    }

    /// Refuses every record from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }
}
