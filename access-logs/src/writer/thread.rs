//! The thread that writes.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::ship::Shippers;

use super::{
    Counters, Observer, Settings, Unfinished,
    buffer::{Buffer, Lines},
    outlet::Outcome,
    sink::{Sink, Sinks},
};

/// What the thread, the recorders and the owner share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) counters: Arc<Counters>,
    pub(super) sinks: Sinks,
    buffers: Mutex<Buffers>,
    /// Is the thread asleep until somebody wakes it? Then the next record does.
    idle: AtomicBool,
    thread: OnceLock<Thread>,
    control: Mutex<Control>,
    /// Told whenever the thread changed something in `control`.
    changed: Condvar,
}

/// The buffers of all workers.
#[derive(Debug, Default)]
struct Buffers {
    all: Vec<Arc<Mutex<Buffer>>>,
    /// The thread takes no more records; buffers made from now on are closed.
    closed: bool,
}

/// What the owner wants of the thread, and how far it came.
#[derive(Debug, Default)]
pub(super) struct Control {
    pub(super) reopen: bool,
    /// Tickets of `flush` given out, and the last one served.
    pub(super) flush_wanted: u64,
    pub(super) flush_done: u64,
    /// End by this time.
    pub(super) stop: Option<Instant>,
    /// The thread has ended; did it leave anything unwritten?
    pub(super) ended: Option<Result<(), Unfinished>>,
}

impl Shared {
    pub(super) fn new(settings: Settings, observer: &Arc<dyn Observer>) -> Self {
        let shippers = Shippers::new(settings.spooling.clone(), Arc::clone(observer));
        Self {
            settings,
            counters: Arc::default(),
            sinks: Sinks::new(shippers),
            buffers: Mutex::default(),
            idle: AtomicBool::new(false),
            thread: OnceLock::new(),
            control: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn add_buffer(&self) -> Arc<Mutex<Buffer>> {
        let buffer = Arc::new(Mutex::new(Buffer::default()));
        let mut buffers = self.buffers.lock();
        if buffers.closed {
            buffer.lock().close();
        }
        buffers.all.push(Arc::clone(&buffer));
        buffer
    }

    #[cfg(test)]
    pub(super) fn number_of_buffers(&self) -> usize {
        self.buffers.lock().all.len()
    }

    pub(super) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Called after a record was put into a buffer. The buffer's lock orders this load after the thread's last look into the
    /// buffer, and that look comes after the thread's store: either the thread saw the record, or this sees that it sleeps.
    pub(super) fn wake_if_idle(&self) {
        if self.idle.load(Ordering::Relaxed) && self.idle.swap(false, Ordering::Relaxed) {
            self.wake();
        }
    }

    pub(super) fn count_dropped(&self, records: u64) {
        self.counters
            .dropped_records
            .fetch_add(records, Ordering::Relaxed);
    }

    /// Changes what is wanted of the thread and wakes it.
    pub(super) fn ask<T>(&self, change: impl FnOnce(&mut Control) -> T) -> T {
        let answer = change(&mut self.control.lock());
        self.wake();
        answer
    }

    /// Waits until the thread has come as far as `reached` wants, or the deadline; `false` in that case.
    pub(super) fn wait(&self, deadline: Instant, reached: impl Fn(&Control) -> bool) -> bool {
        let mut control = self.control.lock();
        while !reached(&control) {
            if control.ended.is_some()
                || self.changed.wait_until(&mut control, deadline).timed_out()
            {
                return reached(&control);
            }
        }
        true
    }

    /// How the thread ended.
    pub(super) fn outcome(&self) -> Result<(), Unfinished> {
        self.control.lock().ended.unwrap_or(Err(Unfinished))
    }
}

/// Starts the thread.
pub(super) fn start(
    shared: &Arc<Shared>,
    observer: Arc<dyn Observer>,
) -> io::Result<JoinHandle<()>> {
    let for_thread = Arc::clone(shared);
    let handle = thread::Builder::new()
        .name("access-records".to_owned())
        .spawn(move || Rounds::new(for_thread, observer).run())?;
    let _ = shared.thread.set(handle.thread().clone());
    Ok(handle)
}

/// The work of the thread, round by round.
pub(super) struct Rounds {
    shared: Arc<Shared>,
    observer: Arc<dyn Observer>,
    /// Left in the place of a buffer's lines, which it then holds.
    spare: Lines,
    dropped_told: u64,
}

/// What a round met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round {
    /// Records taken out of buffers.
    pub(super) records: u64,
    /// Does any destination fail?
    pub(super) failing: bool,
    /// Does a pipe take no more for now?
    pub(super) busy: bool,
}

impl Rounds {
    pub(super) fn new(shared: Arc<Shared>, observer: Arc<dyn Observer>) -> Self {
        Self {
            shared,
            observer,
            spare: Lines::default(),
            dropped_told: 0,
        }
    }

    fn run(mut self) {
        // Whoever waits must not wait for a thread that is gone, whatever ended it.
        let _farewell = Farewell(Arc::clone(&self.shared));
        loop {
            let (flush, stop) = self.take_orders();
            let round = self.round();
            self.tell(|control| control.flush_done = flush);
            if let Some(deadline) = stop {
                return self.finish(deadline);
            }
            if round.records > 0 || round.busy {
                thread::park_timeout(self.shared.settings.linger);
            } else {
                self.sleep(round.failing);
            }
        }
    }

    /// Carries out what does not belong to a round; returns the ticket of flushes that the next round serves, and whether to end.
    fn take_orders(&self) -> (u64, Option<Instant>) {
        let mut control = self.shared.control.lock();
        let orders = (control.flush_wanted, control.stop);
        if std::mem::take(&mut control.reopen) {
            drop(control);
            for sink in self.shared.sinks.all() {
                sink.reopen();
            }
        }
        orders
    }

    /// Empties every buffer and writes what waits for every destination.
    pub(super) fn round(&mut self) -> Round {
        let records = self.empty_buffers();
        let (mut failing, mut busy) = (false, false);
        for sink in self.shared.sinks.all() {
            let (fails, waits) = self.write(&sink);
            (failing, busy) = (failing | fails, busy | waits);
        }
        for sink in self.shared.sinks.remove_unused() {
            // Nobody subscribes with it any more. Had the write just now failed, a later one is not worth waiting for.
            self.shared.count_dropped(sink.give_up());
        }
        self.tell_dropped();
        Round {
            records,
            failing,
            busy,
        }
    }

    fn empty_buffers(&mut self) -> u64 {
        let buffers = {
            let mut buffers = self.shared.buffers.lock();
            let all = buffers.all.clone();
            // Ours is the second clone. Where it is the last, the worker has ended: its buffer is emptied once more.
            buffers.all.retain(|buffer| Arc::strong_count(buffer) > 2);
            all
        };
        buffers.iter().map(|buffer| self.empty(buffer)).sum()
    }

    fn empty(&mut self, buffer: &Mutex<Buffer>) -> u64 {
        {
            let mut buffer = buffer.lock();
            if buffer.is_empty() {
                return 0;
            }
            buffer.swap(&mut self.spare);
        }
        let limit = self.shared.settings.buffer_bytes;
        let mut start = 0;
        let mut records = 0;
        for run in &self.spare.runs {
            let lines = self.spare.bytes.get(start..run.end).unwrap_or_default();
            for sink in &run.to.sinks {
                self.shared
                    .count_dropped(sink.append(lines, run.records, limit));
            }
            start = run.end;
            records += run.records;
        }
        self.spare.clear();
        records
    }

    /// Writes what waits for one destination; does it fail, and does it take no more for now?
    fn write(&self, sink: &Sink) -> (bool, bool) {
        let written = sink.write();
        self.shared.count_dropped(written.dropped);
        let counters = &self.shared.counters;
        counters
            .written_records
            .fetch_add(written.records, Ordering::Relaxed);
        counters
            .written_bytes
            .fetch_add(written.bytes, Ordering::Relaxed);
        let failing = matches!(written.outcome, Outcome::Failed(_) | Outcome::StillFailing);
        counters
            .write_errors
            .fetch_add(u64::from(failing), Ordering::Relaxed);
        let busy = matches!(written.outcome, Outcome::Busy);
        match written.outcome {
            Outcome::Failed(error) => self.observer.destination_failed(sink.destination(), &error),
            Outcome::Recovered => self.observer.destination_recovered(sink.destination()),
            Outcome::Fine | Outcome::StillFailing | Outcome::Busy => {}
        }
        (failing, busy)
    }

    fn tell_dropped(&mut self) {
        let dropped = self.shared.counters.dropped_records();
        if dropped > self.dropped_told {
            self.observer.records_dropped(dropped - self.dropped_told);
            self.dropped_told = dropped;
        }
    }

    /// Sleeps until a record or an order comes, or until a failing destination is due again.
    fn sleep(&self, failing: bool) {
        self.shared.idle.store(true, Ordering::Relaxed);
        // See `Shared::wake_if_idle` for why this look comes after that store.
        let waiting = {
            let buffers = self.shared.buffers.lock();
            buffers.all.iter().any(|buffer| !buffer.lock().is_empty())
        };
        if !waiting {
            if failing {
                thread::park_timeout(self.shared.settings.retry);
            } else {
                thread::park();
            }
        }
        self.shared.idle.store(false, Ordering::Relaxed);
    }

    /// Refuses further records and writes what there is until the deadline.
    fn finish(mut self, deadline: Instant) {
        {
            let mut buffers = self.shared.buffers.lock();
            buffers.closed = true;
            for buffer in &buffers.all {
                buffer.lock().close();
            }
        }
        let mut wait = Duration::from_millis(1);
        let outcome = loop {
            self.round();
            if !self.shared.sinks.all().iter().any(|sink| sink.is_waiting()) {
                break Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break Err(Unfinished);
            }
            thread::park_timeout(wait.min(left));
            wait = (wait * 2).min(self.shared.settings.retry);
        };
        for sink in self.shared.sinks.all() {
            self.shared.count_dropped(sink.give_up());
        }
        self.tell_dropped();
        self.tell(|control| {
            control.flush_done = control.flush_wanted;
            control.ended = Some(outcome);
        });
    }

    fn tell(&self, change: impl FnOnce(&mut Control)) {
        change(&mut self.shared.control.lock());
        self.shared.changed.notify_all();
    }
}

/// Says that the thread has ended, when it ended otherwise than by [`Rounds::finish`].
struct Farewell(Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.control.lock().ended.get_or_insert(Err(Unfinished));
        self.0.changed.notify_all();
    }
}
