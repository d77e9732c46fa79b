//! Access records on disk, on their way to log storage: one spool for each subscription.
//!
//! A spool is a folder of segments, files that are only appended to ([`frame`] says what stands in them), and a cursor: which record
//! is the first that log storage did not acknowledge. The writer's thread appends, one shipper reads; what was shipped stays for a
//! while, so that it can be shipped again, and makes room when room is needed.
//!
//! **What survives.** `kill -9` loses no record that was handed to `write(2)`: the page cache is the kernel's. Losing power loses what
//! the disk was not asked to keep: at most [`trellis_model::config::SpoolSettings::sync`] and the time that the disk takes. A frame that is cut off or damaged
//! fails its checksum; a torn tail is cut off when a spool is opened. The cursor is not forced to disk: an old one ships records twice,
//! which at-least-once allows.
//!
//! **Bounds.** A spool has a budget, and all spools together have one. When either is used up, shipped segments go first; then the
//! subscription's own policy decides ([`WhenFull`]). A disk that takes nothing is treated the same way, except that records wait in
//! memory for it first, up to [`PENDING`].
//!
//! **One owner.** A lock on the folder of all spools keeps a second gateway away. It is the kernel's lock on an open file, so it ends
//! with the process, however that ends.
//!
//! INVARIANT: the shipper sees a frame only after all of it was written; [`reader`] never reads beyond that.

pub(crate) mod cursor;
pub(crate) mod frame;
pub(crate) mod log;
pub(crate) mod reader;
pub(crate) mod root;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use tokio::sync::Notify;
use trellis_model::config::{AccessLogSubscription, WhenFull};

use self::{
    cursor::Cursor,
    frame::HEADER,
    log::Log,
    reader::{Batch, Extent, Segments},
    root::Root,
};

/// Most bytes of records that wait in memory for a disk that takes nothing.
pub(crate) const PENDING: usize = 8 << 20;
/// A segment is an eighth of the budget, so that dropping the oldest is not dropping everything; and no larger than is read at a start.
const SEGMENT_BYTES: u64 = 16 << 20;

/// A place in a spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Number of the record that begins there.
    pub(crate) number: u64,
    /// The segment, by the number of its first record.
    pub(crate) segment: u64,
    /// Offset in the segment.
    pub(crate) offset: u64,
}

impl Position {
    /// The beginning of a segment.
    fn beginning(segment: u64) -> Self {
        Self {
            number: segment,
            segment,
            offset: HEADER,
        }
    }
}

/// What a spool counted since it was opened. All numbers only grow.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) spooled: AtomicU64,
    pub(crate) shipped: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) dropped_oldest: AtomicU64,
    pub(crate) dropped_newest: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) dead: AtomicU64,
    pub(crate) dead_dropped: AtomicU64,
}

/// Adds to a number that only grows.
pub(crate) fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

/// What a write did.
#[derive(Debug, Default)]
pub(crate) struct Spooled {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) dropped: u64,
    pub(crate) error: Option<io::Error>,
}

/// The spool of one subscription.
#[derive(Debug)]
pub(crate) struct Spool {
    root: Arc<Root>,
    folder: PathBuf,
    state: Mutex<State>,
    /// Told when there is more to ship.
    pub(crate) ready: Notify,
    pub(crate) tally: Tally,
    budget: AtomicU64,
    /// Bytes of segments, also of shipped ones, beside the lock for whoever must not wait for it.
    bytes: AtomicU64,
    /// Bytes that shipped segments would give back.
    shipped_bytes: AtomicU64,
    /// The disk took nothing the last time.
    failing: AtomicBool,
    /// The disk was not asked in vain to keep records.
    pub(crate) sync_failing: AtomicBool,
}

#[derive(Debug)]
struct State {
    log: Log,
    dead: Log,
    cursor: Cursor,
    /// The first record that was not acknowledged.
    acknowledged: Position,
    policy: WhenFull,
    /// Frames that are not on disk yet.
    pending: Vec<u8>,
    pending_records: u64,
}

impl Spool {
    /// Opens the spool of a subscription, and says how many bytes a crash tore.
    pub(crate) fn open(
        root: &Arc<Root>,
        subscription: &AccessLogSubscription,
    ) -> io::Result<(Self, u64)> {
        let folder = root.folder().join(subscription.id.to_string());
        let delivery = &subscription.delivery;
        let segment = (delivery.spool_bytes / 8).min(SEGMENT_BYTES);
        let (mut log, repair) = Log::open(folder.clone(), segment)?;
        let dead_segment = (root.settings().dead_letter_bytes / 8).min(SEGMENT_BYTES);
        let (dead, repaired_dead) = Log::open(folder.join("dead"), dead_segment)?;
        let (cursor, position) = Cursor::open(&folder.join("cursor"))?;
        let acknowledged = settle(&mut log, position);
        let this = Self {
            root: Arc::clone(root),
            folder,
            ready: Notify::new(),
            tally: Tally::default(),
            budget: AtomicU64::new(delivery.spool_bytes),
            bytes: AtomicU64::new(0),
            shipped_bytes: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            sync_failing: AtomicBool::new(false),
            state: Mutex::new(State {
                log,
                dead,
                cursor,
                acknowledged,
                policy: delivery.when_full,
                pending: Vec::new(),
                pending_records: 0,
            }),
        };
        let state = this.state.lock();
        root.take(state.log.bytes() + state.dead.bytes());
        this.publish(&state);
        drop(state);
        Ok((this, repair.torn_bytes + repaired_dead.torn_bytes))
    }

    /// Takes over what a changed subscription says.
    pub(crate) fn adopt(&self, subscription: &AccessLogSubscription) {
        let delivery = &subscription.delivery;
        self.budget.store(delivery.spool_bytes, Ordering::Relaxed);
        self.state.lock().policy = delivery.when_full;
    }

    /// Puts lines behind what waits for the disk; returns the number of those that found no room in memory.
    pub(crate) fn append(&self, lines: &[u8], now: SystemTime) -> u64 {
        let now = milliseconds(now);
        let mut state = self.state.lock();
        let mut dropped = 0;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', lines) {
            let line = lines.get(start..end).unwrap_or_default();
            start = end + 1;
            if state.pending.len() + line.len() > PENDING {
                dropped += 1;
                continue;
            }
            frame::push(&mut state.pending, now, line);
            state.pending_records += 1;
        }
        add(&self.tally.dropped_newest, dropped);
        dropped
    }

    /// Writes what waits for the disk.
    pub(crate) fn write(&self, now: SystemTime) -> Spooled {
        let mut done = Spooled::default();
        let mut state = self.state.lock();
        if state.pending.is_empty() {
            return done;
        }
        let mut frames = std::mem::take(&mut state.pending);
        let dropped = self.tally.dropped_oldest.load(Ordering::Relaxed);
        let mut start = 0;
        while start < frames.len() {
            let rest = frames.get(start..).unwrap_or_default();
            let room = usize::try_from(state.log.room()).unwrap_or(usize::MAX);
            let (size, records) = frame::fitting(rest, room);
            let some = rest.get(..size).unwrap_or_default();
            match self.write_some(&mut state, some, records, now) {
                Ok(true) => {
                    done.records += records;
                    done.bytes += size as u64;
                    state.pending_records -= records;
                }
                Ok(false) => {
                    done.dropped += records;
                    add(&self.tally.dropped_newest, records);
                    state.pending_records -= records;
                }
                Err(error) => {
                    done.error = Some(error);
                    break;
                }
            }
            start += size;
        }
        frames.drain(..start);
        if frames.is_empty() {
            frames.shrink_to(1 << 20);
        }
        state.pending = frames;
        if self.root.settings().sync.is_zero() {
            let mut files = state.log.take_unsynced().into_iter();
            let synced = files.try_for_each(|file| file.sync_data());
            done.error = done.error.or(synced.err());
        }
        self.failing.store(done.error.is_some(), Ordering::Relaxed);
        done.dropped += self.tally.dropped_oldest.load(Ordering::Relaxed) - dropped;
        add(&self.tally.spooled, done.records);
        self.publish(&state);
        drop(state);
        if done.records > 0 {
            self.ready.notify_one();
        }
        if done.error.is_none() {
            self.root.tell_room();
        }
        done
    }

    /// Appends frames; `false` when there is no room for them.
    fn write_some(
        &self,
        state: &mut State,
        frames: &[u8],
        records: u64,
        now: SystemTime,
    ) -> io::Result<bool> {
        if !self.make_room(state, frames.len() as u64 + HEADER) {
            return Ok(false);
        }
        let now = milliseconds(now);
        let attempt = |state: &mut State| {
            let before = state.log.bytes();
            let written = state.log.append(frames, records, now);
            self.root.take(state.log.bytes() - before);
            written
        };
        match attempt(state) {
            // Whatever fills the disk: what was shipped, or may be dropped, gives room.
            Err(error)
                if error.kind() == io::ErrorKind::StorageFull
                    && (self.drop_shipped(state) || self.drop_oldest(state)) =>
            {
                attempt(state).map(|()| true)
            }
            written => written.map(|()| true),
        }
    }

    /// Makes room for this many bytes within both budgets, if the policy allows.
    fn make_room(&self, state: &mut State, bytes: u64) -> bool {
        let budget = self.budget.load(Ordering::Relaxed);
        while state.log.bytes() + bytes > budget || !self.root.has_room(bytes) {
            if !self.drop_shipped(state) && !self.drop_oldest(state) {
                return false;
            }
        }
        true
    }

    /// Deletes the first segment if all of it was shipped.
    fn drop_shipped(&self, state: &mut State) -> bool {
        let shipped =
            state.log.segments().front().is_some_and(|first| {
                first.end <= state.acknowledged.number && first.end > first.first
            });
        shipped && self.remove_first(state).is_some()
    }

    /// Deletes the first segment whether it was shipped or not, if the policy is to do so.
    fn drop_oldest(&self, state: &mut State) -> bool {
        if state.policy != WhenFull::DropOldest {
            return false;
        }
        let from = state.acknowledged.number;
        let Some(end) = self.remove_first(state) else {
            return false;
        };
        if end > from {
            add(&self.tally.dropped_oldest, end - from);
            let next = state.log.segments().front();
            let next = next.map_or(state.log.next(), |segment| segment.first);
            state.acknowledged = Position::beginning(next);
            let _ = state.cursor.write(state.acknowledged);
        }
        true
    }

    /// The number behind the last record of the segment that is no more.
    fn remove_first(&self, state: &mut State) -> Option<u64> {
        let gone = state.log.remove_first().ok().flatten()?;
        self.root.give_back(gone.bytes);
        Some(gone.end)
    }

    /// Notes that everything before `position` was acknowledged, and deletes what was kept long enough.
    pub(crate) fn acknowledge(&self, position: Position, now: SystemTime) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut written = Ok(());
        if position.number > state.acknowledged.number {
            add(
                &self.tally.shipped,
                position.number - state.acknowledged.number,
            );
            state.acknowledged = position;
            written = state.cursor.write(position);
        }
        self.trim_locked(&mut state, now);
        self.publish(&state);
        drop(state);
        self.root.tell_room();
        written
    }

    /// Deletes shipped segments that were kept long enough, or that others need the room of.
    pub(crate) fn trim(&self, now: SystemTime) {
        let mut state = self.state.lock();
        self.trim_locked(&mut state, now);
        self.publish(&state);
        drop(state);
        self.root.tell_room();
    }

    fn trim_locked(&self, state: &mut State, now: SystemTime) {
        let keep = u64::try_from(self.root.settings().keep.as_millis()).unwrap_or(u64::MAX);
        let now = milliseconds(now);
        while let Some(first) = state.log.segments().front()
            && (first.newest.saturating_add(keep) <= now || self.root.is_tight())
        {
            if !self.drop_shipped(state) {
                break;
            }
        }
    }

    /// Keeps records that log storage refused for good, and counts them.
    pub(crate) fn bury(&self, batch: &Batch, numbers: impl Fn(u64) -> bool, now: SystemTime) {
        let mut state = self.state.lock();
        let mut frames = Vec::new();
        let mut records = 0;
        for item in batch.items().filter(|item| numbers(item.number)) {
            frame::push(&mut frames, item.time, item.record);
            records += 1;
        }
        add(&self.tally.dead, records);
        if !self.bury_frames(&mut state, &frames, records, milliseconds(now)) {
            add(&self.tally.dead_dropped, records);
        }
    }

    fn bury_frames(&self, state: &mut State, frames: &[u8], records: u64, now: u64) -> bool {
        let size = frames.len() as u64 + HEADER;
        while state.dead.bytes() + size > self.root.settings().dead_letter_bytes
            || !self.root.has_room(size)
        {
            match state.dead.remove_first() {
                Ok(Some(gone)) => {
                    self.root.give_back(gone.bytes);
                    add(&self.tally.dead_dropped, gone.end - gone.first);
                }
                Ok(None) | Err(_) => return false,
            }
        }
        let before = state.dead.bytes();
        let written = state.dead.append(frames, records, now);
        self.root.take(state.dead.bytes() - before);
        written.is_ok()
    }

    /// Files that the disk should be asked to keep.
    pub(crate) fn take_unsynced(&self) -> Vec<Arc<File>> {
        let mut state = self.state.lock();
        let mut files = state.log.take_unsynced();
        files.extend(state.dead.take_unsynced());
        files
    }

    /// Where shipping goes on.
    pub(crate) fn acknowledged(&self) -> Position {
        self.state.lock().acknowledged
    }

    /// Number of the record that will be written next.
    pub(crate) fn next_number(&self) -> u64 {
        self.state.lock().log.next()
    }

    /// Records that wait to be shipped, and bytes of them.
    pub(crate) fn waiting(&self) -> (u64, u64) {
        let state = self.state.lock();
        let records = state.log.next() - state.acknowledged.number;
        let shipped = shipped_bytes(&state);
        let begun = match state
            .log
            .segments()
            .iter()
            .find(|segment| segment.end > state.acknowledged.number)
        {
            Some(segment) if segment.first == state.acknowledged.segment => {
                state.acknowledged.offset
            }
            _ => 0,
        };
        (records, (state.log.bytes() - shipped).saturating_sub(begun))
    }

    /// Do records wait for the disk?
    pub(crate) fn is_waiting(&self) -> bool {
        self.state.lock().pending_records > 0
    }

    /// Gives up what waits for the disk; returns how many records that were.
    pub(crate) fn give_up(&self) -> u64 {
        let mut state = self.state.lock();
        state.pending.clear();
        let dropped = std::mem::take(&mut state.pending_records);
        add(&self.tally.dropped_newest, dropped);
        dropped
    }

    /// May requests count on their records being accepted? Asked by requests, so it takes no lock.
    ///
    /// The last sixteenth of the budget is for the records of requests that are under way when it says no.
    pub(crate) fn accepts(&self) -> bool {
        let budget = self.budget.load(Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed);
        let waiting = bytes.saturating_sub(self.shipped_bytes.load(Ordering::Relaxed));
        !self.failing.load(Ordering::Relaxed)
            && waiting < budget - budget / 16
            && !self
                .root
                .is_full_but_for(self.shipped_bytes.load(Ordering::Relaxed))
    }

    /// Did the disk take nothing the last time?
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Waits until somebody freed room, or said that the disk works again.
    pub(crate) fn room(&self) -> &Notify {
        self.root.room()
    }

    /// What waits to be shipped: records, bytes on disk, and the time of the oldest.
    pub(crate) fn backlog(&self) -> (u64, u64, Option<SystemTime>) {
        let state = self.state.lock();
        let records = state.log.next() - state.acknowledged.number + state.pending_records;
        let shipped = shipped_bytes(&state);
        let bytes = state.log.bytes() - shipped + state.pending.len() as u64;
        let position = state.acknowledged;
        drop(state);
        let oldest = (records > 0).then(|| self.time_at(position)).flatten();
        (records, bytes, oldest)
    }

    fn time_at(&self, position: Position) -> Option<SystemTime> {
        use std::os::unix::fs::FileExt as _;
        let file = File::open(log::path(&self.folder, position.segment)).ok()?;
        let mut time = [0; 8];
        file.read_exact_at(&mut time, position.offset + 8).ok()?;
        UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_le_bytes(time)))
    }

    fn publish(&self, state: &State) {
        self.bytes.store(state.log.bytes(), Ordering::Relaxed);
        self.shipped_bytes
            .store(shipped_bytes(state), Ordering::Relaxed);
    }
}

impl Segments for Spool {
    fn extent(&self, segment: u64) -> Option<Extent> {
        let state = self.state.lock();
        let segments = state.log.segments();
        let index = segments
            .binary_search_by_key(&segment, |found| found.first)
            .ok()?;
        let found = segments.get(index)?;
        Some(Extent {
            bytes: found.bytes,
            end: found.end,
            after: segments.get(index + 1).map(|after| after.first),
        })
    }

    fn resume(&self) -> Position {
        let state = self.state.lock();
        let first = state.log.segments().front().map(|segment| segment.first);
        let oldest = Position::beginning(first.unwrap_or_else(|| state.log.next()));
        state.acknowledged.max(oldest)
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Bytes of the segments that were shipped as a whole.
fn shipped_bytes(state: &State) -> u64 {
    let segments = state.log.segments().iter();
    segments
        .take_while(|segment| segment.end <= state.acknowledged.number)
        .map(|segment| segment.bytes)
        .sum()
}

/// Where shipping goes on after a start: what the cursor says, as far as that is there.
fn settle(log: &mut Log, position: Option<Position>) -> Position {
    let first = log.segments().front().map(|segment| segment.first);
    let oldest = Position::beginning(first.unwrap_or_else(|| log.next()));
    let Some(position) = position else {
        return oldest;
    };
    // Power was lost, and with it records that had been shipped: their numbers are not used again.
    log.skip_to(position.number);
    let holder = log
        .segments()
        .iter()
        .rev()
        .find(|segment| segment.first <= position.number);
    match holder {
        _ if position.number >= log.next() && log.next() == position.number => {
            end_of(log, position)
        }
        Some(found) if found.first == position.segment && position.offset <= found.bytes => {
            position
        }
        // The cursor is not of these files; from the beginning of the segment on, records are shipped again.
        Some(found) => Position::beginning(found.first),
        None => oldest,
    }
}

/// Everything was shipped: behind the last segment, which is not appended to any more.
fn end_of(log: &Log, position: Position) -> Position {
    match log.segments().back() {
        Some(last) if last.end == position.number && last.first == position.segment => Position {
            offset: last.bytes,
            ..position
        },
        _ => Position::beginning(position.number),
    }
}

/// Milliseconds since 1970; a clock that stands before that says 0.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let age = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}
