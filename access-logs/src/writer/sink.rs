//! One destination: a file or standard output, and the lines that wait for it.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use trellis_model::config::LogDestination;

/// A destination that somebody subscribes with.
#[derive(Debug)]
pub(crate) struct Sink {
    number: u64,
    destination: LogDestination,
    /// Locked by the writer thread only.
    outlet: Mutex<Outlet>,
}

impl Sink {
    /// Tells sinks apart; never used twice.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn destination(&self) -> &LogDestination {
        &self.destination
    }

    /// Puts `lines`, a number of `records`, behind what waits already, as far as `limit` bytes allow; returns the number of
    /// records that found no room.
    pub(super) fn append(&self, lines: &[u8], records: u64, limit: usize) -> u64 {
        self.outlet.lock().append(lines, records, limit)
    }

    /// Writes what waits. Also opens a destination that is not open yet, so that trouble shows early.
    pub(super) fn write(&self) -> Written {
        self.outlet.lock().write(&self.destination)
    }

    /// Opens the file again at the next write. A line that was cut in two is written again, whole.
    pub(super) fn reopen(&self) {
        self.outlet.lock().close();
    }

    /// Does something wait?
    pub(super) fn is_waiting(&self) -> bool {
        !self.outlet.lock().waiting.is_empty()
    }

    /// Gives up what waits; returns how many records that were.
    pub(super) fn give_up(&self) -> u64 {
        let mut outlet = self.outlet.lock();
        outlet.waiting.clear();
        outlet.sent = 0;
        std::mem::take(&mut outlet.records)
    }
}

/// What a write did.
#[derive(Debug)]
pub(super) struct Written {
    /// Records that are out now.
    pub(super) records: u64,
    /// Bytes that are out now.
    pub(super) bytes: u64,
    /// How it ended, compared with the time before.
    pub(super) outcome: Outcome,
}

/// How a write ended, compared with the one before.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Well, as before.
    Fine,
    /// Well, after failures.
    Recovered,
    /// Badly, for the first time.
    Failed(io::Error),
    /// Badly again.
    StillFailing,
}

/// The open file and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Outlet {
    file: Option<File>,
    /// Whole lines; the first `sent` bytes of them are out already.
    waiting: Vec<u8>,
    sent: usize,
    /// Number of lines in `waiting`.
    records: u64,
    failing: bool,
}

impl Outlet {
    /// Above this, an empty outlet gives its memory back.
    const KEPT_BYTES: usize = 1 << 20;

    pub(super) fn append(&mut self, lines: &[u8], records: u64, limit: usize) -> u64 {
        let room = limit.saturating_sub(self.waiting.len());
        if lines.len() <= room {
            self.waiting.extend_from_slice(lines);
            self.records += records;
            return 0;
        }
        let (fitting, _) = lines.split_at(room);
        let end = end_of_lines(fitting);
        let (whole, _) = lines.split_at(end);
        let taken = count_lines(whole);
        self.waiting.extend_from_slice(whole);
        self.records += taken;
        records - taken
    }

    pub(super) fn write(&mut self, destination: &LogDestination) -> Written {
        let before = self.sent;
        let result = self.try_write(destination);
        let bytes = (self.sent - before) as u64;
        // Lines that are out completely are forgotten; a line that was cut in two stays whole.
        let line_start = end_of_lines(self.waiting.get(..self.sent).unwrap_or_default());
        let records = if line_start == self.waiting.len() {
            std::mem::take(&mut self.records)
        } else {
            let out = count_lines(self.waiting.get(..line_start).unwrap_or_default());
            self.records -= out;
            out
        };
        self.waiting.drain(..line_start);
        self.waiting.shrink_to(Self::KEPT_BYTES);
        self.sent -= line_start;
        let was_failing = std::mem::replace(&mut self.failing, result.is_err());
        let outcome = match (result, was_failing) {
            (Ok(()), false) => Outcome::Fine,
            (Ok(()), true) => Outcome::Recovered,
            (Err(error), false) => Outcome::Failed(error),
            (Err(_), true) => Outcome::StillFailing,
        };
        if self.failing && self.sent == 0 {
            // Perhaps the file is not what it was; the next attempt opens it afresh.
            self.file = None;
        }
        Written {
            records,
            bytes,
            outcome,
        }
    }

    fn try_write(&mut self, destination: &LogDestination) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(destination)?),
        };
        loop {
            let rest = self.waiting.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            match file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn close(&mut self) {
        self.file = None;
        self.sent = 0;
    }

    /// As after a write that was cut short.
    #[cfg(test)]
    pub(super) fn pretend_sent(&mut self, bytes: usize) {
        self.sent = bytes;
    }
}

/// Where the last whole line ends.
fn end_of_lines(bytes: &[u8]) -> usize {
    memchr::memrchr(b'\n', bytes).map_or(0, |last| last + 1)
}

fn count_lines(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

/// Opens a destination for appending.
pub(super) fn open(destination: &LogDestination) -> io::Result<File> {
    match destination {
        LogDestination::File(path) => open_file(path),
        // A descriptor of our own: the standard library's handle would buffer, and would not say how far it came.
        LogDestination::Stdout => io::stdout().as_fd().try_clone_to_owned().map(File::from),
    }
}

/// Opens a file for appending, made with mode 0640 if need be: records name callers, so they are not for everybody.
///
/// A last line that has no end, left by a crash, gets one, so that it does not spoil the next.
fn open_file(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)?;
    if file.metadata()?.is_file() && ends_mid_line(path).unwrap_or(false) {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Has the file a last line without an end? A file that may not be read is taken to be well.
fn ends_mid_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// All sinks, by destination: whoever subscribes with the same one shares it.
#[derive(Debug, Default)]
pub(crate) struct Sinks {
    by_destination: Mutex<HashMap<LogDestination, Arc<Sink>>>,
    next_number: AtomicU64,
}

impl Sinks {
    /// The sink of a destination, made now if there is none.
    pub(crate) fn sink(&self, destination: &LogDestination) -> Arc<Sink> {
        let mut sinks = self.by_destination.lock();
        let sink = sinks.entry(destination.clone()).or_insert_with(|| {
            Arc::new(Sink {
                number: self.next_number.fetch_add(1, Ordering::Relaxed),
                destination: destination.clone(),
                outlet: Mutex::default(),
            })
        });
        Arc::clone(sink)
    }

    /// All sinks as they are now.
    pub(super) fn all(&self) -> Vec<Arc<Sink>> {
        self.by_destination
            .lock()
            .values()
            .map(Arc::clone)
            .collect()
    }

    /// Removes sinks that no snapshot and no buffer refers to, and returns them.
    ///
    /// Called with no other clone of ours alive. New references come from [`Self::sink`] or from holders of old ones, so a sink
    /// whose only holder is this table stays unheld for as long as the table is locked.
    pub(super) fn remove_unused(&self) -> Vec<Arc<Sink>> {
        self.by_destination
            .lock()
            .extract_if(|_, sink| Arc::strong_count(sink) == 1)
            .map(|(_, sink)| sink)
            .collect()
    }
}
