//! Shipping again what is still on disk: records that were shipped and kept, records that wait, dead letters.
//!
//! Nothing on disk changes, so this needs no lock and runs beside a gateway.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use tokio::runtime::Builder;
use trellis_model::config::AccessLogSubscription;

use super::{
    Facts, TlsFor,
    calls::{Calls, Failure},
    shipper::Target,
    store,
};
use crate::spool::{
    Position,
    frame::HEADER,
    log::{path, segment_numbers, whole_frames},
    milliseconds,
    reader::{Batch, Bounds, Extent, Reader, Segments},
};

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With the segment of this number, or the next one there is.
    Segment(u64),
    /// With the first record that was taken over at this time or later.
    Time(SystemTime),
    /// With the first dead letter.
    DeadLetters,
}

/// What was shipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Records that log storage took.
    pub records: u64,
    /// Records that it refused once more.
    pub refused: u64,
    /// Records that could not be read.
    pub damaged: u64,
}

/// Why no more was shipped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The subscription's records are not shipped.
    #[error("the subscription's destination is no log storage: its records are not in a spool")]
    NotShipped,
    /// The spool cannot be read.
    #[error("`{}` cannot be read: {error}", folder.display())]
    Spool {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Log storage takes no more.
    #[error("log storage took {} records and then no more: {reason}", done.records)]
    Store {
        /// What it took.
        done: Replayed,
        /// Why no more.
        reason: String,
    },
}

/// Segments as they are now.
struct Still {
    folder: PathBuf,
    extents: Vec<(u64, Extent)>,
}

impl Still {
    fn open(folder: PathBuf) -> io::Result<Self> {
        let numbers = segment_numbers(&folder)?;
        let mut extents = Vec::new();
        for (index, first) in numbers.iter().enumerate() {
            let after = numbers.get(index + 1).copied();
            let mut file = match File::open(path(&folder, *first)) {
                Ok(file) => file,
                // A gateway deletes what was kept long enough.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let (bytes, end) = if let Some(end) = after {
                (file.metadata()?.len(), end)
            } else {
                let (bytes, records) = whole_frames(&mut file)?;
                (bytes, first + records)
            };
            let extent = Extent { bytes, end, after };
            extents.push((*first, extent));
        }
        Ok(Self { folder, extents })
    }
}

impl Segments for Still {
    fn extent(&self, segment: u64) -> Option<Extent> {
        let index = self
            .extents
            .binary_search_by_key(&segment, |(first, _)| *first);
        self.extents.get(index.ok()?).map(|(_, extent)| *extent)
    }

    fn resume(&self) -> Position {
        let last = self.extents.last();
        last.map_or(Position::default(), |(first, extent)| Position {
            number: extent.end,
            segment: *first,
            offset: extent.bytes,
        })
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Ships a subscription's records again, from there to the end. Blocks until it is done; tells `progress` how far it is.
pub fn replay(
    spools: &Path,
    subscription: &AccessLogSubscription,
    from: From,
    tls: &TlsFor,
    progress: &mut dyn FnMut(Replayed),
) -> Result<Replayed, ReplayError> {
    let store = store(subscription).ok_or(ReplayError::NotShipped)?;
    let mut folder = spools.join(subscription.id.to_string());
    if from == From::DeadLetters {
        folder.push("dead");
    }
    let failed = |reason: String| ReplayError::Store {
        done: Replayed::default(),
        reason,
    };
    // Objects and streams of a replay are told from those of the gateway.
    let facts = Facts::new(subscription, "replay");
    let target = Target::new(store, &facts, tls).map_err(failed)?;
    let still = Still::open(folder.clone());
    let unreadable = |error| ReplayError::Spool {
        folder: folder.clone(),
        error,
    };
    let still = still.map_err(unreadable)?;
    let reader = beginning(&still, from).map_err(unreadable)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    let mut run = Run {
        still,
        facts,
        reader,
        done: Replayed::default(),
        bytes: usize::try_from(subscription.delivery.batch_bytes).unwrap_or(usize::MAX),
    };
    let result = runtime.block_on(run.ship(target, progress));
    run.done.damaged = run.reader.take_damaged();
    match result {
        Ok(()) => Ok(run.done),
        Err(reason) => Err(ReplayError::Store {
            done: run.done,
            reason,
        }),
    }
}

/// A reader that stands where shipping is to begin.
fn beginning(still: &Still, from: From) -> io::Result<Reader> {
    let wanted = match from {
        From::Segment(number) => number,
        From::Time(_) | From::DeadLetters => 0,
    };
    let first = still.extents.iter().find(|(first, _)| *first >= wanted);
    let Some((first, _)) = first else {
        return Ok(Reader::at(still.resume()));
    };
    let mut reader = Reader::at(Position {
        number: *first,
        segment: *first,
        offset: HEADER,
    });
    let From::Time(time) = from else {
        return Ok(reader);
    };
    let time = milliseconds(time);
    loop {
        let batch = reader.next(still, &Bounds::bytes(1 << 20))?;
        if batch.is_empty() {
            return Ok(reader);
        }
        if let Some(index) = batch.items().position(|item| item.time >= time) {
            // Once more up to there, which leaves the reader at the record.
            let mut again = Reader::at(batch.start);
            if index > 0 {
                let bounds = Bounds {
                    records: index,
                    ..Bounds::bytes(usize::MAX)
                };
                again.next(still, &bounds)?;
            }
            return Ok(again);
        }
    }
}

struct Run {
    still: Still,
    facts: Facts,
    reader: Reader,
    done: Replayed,
    bytes: usize,
}

impl Run {
    async fn ship(
        &mut self,
        target: Target,
        progress: &mut dyn FnMut(Replayed),
    ) -> Result<(), String> {
        match target {
            Target::S3(mut s3) => loop {
                let before = self.reader.position().number;
                let bounds = (self.bytes, u64::MAX);
                let end = s3
                    .upload(&self.still, &mut self.reader, &self.facts, bounds)
                    .await
                    .map_err(text)?;
                if end.number == before {
                    return Ok(());
                }
                self.done.records += end.number - before;
                progress(self.done);
            },
            Target::Calls(mut calls) => {
                while self.call(&mut calls).await? {
                    progress(self.done);
                }
                Ok(())
            }
        }
    }

    /// One call with the next records; `false` when there are none.
    async fn call(&mut self, calls: &mut Calls) -> Result<bool, String> {
        let read = self.reader.next(&self.still, &calls.bounds());
        let mut batch = read.map_err(|error| error.to_string())?;
        if batch.is_empty() {
            return Ok(false);
        }
        let mut attempts = 0;
        loop {
            let sent = batch.len() as u64;
            let delivered = match calls.send(&batch).await {
                Ok(delivered) => delivered,
                Err(Failure::Refused(_)) => return self.one_by_one(calls, &batch).await,
                Err(failure) => return Err(text(failure)),
            };
            let (refused, again) = (delivered.refused.len() as u64, delivered.again);
            self.done.refused += refused;
            self.done.records += sent - refused - again.len() as u64;
            if again.is_empty() {
                return Ok(true);
            }
            attempts += 1;
            if attempts == 5 {
                return Err(delivered.reason.unwrap_or_default());
            }
            batch.retain(|item| again.contains(&item.number));
        }
    }

    /// Finds the records that are to blame for a refused call.
    async fn one_by_one(&mut self, calls: &mut Calls, batch: &Batch) -> Result<bool, String> {
        for item in batch.items() {
            let one = batch.only(item.number);
            match calls.send(&one).await {
                Ok(delivered) if delivered.again.is_empty() => {
                    let refused = delivered.refused.len() as u64;
                    self.done.refused += refused;
                    self.done.records += 1 - refused;
                }
                Ok(delivered) => return Err(delivered.reason.unwrap_or_default()),
                Err(Failure::Refused(_)) => self.done.refused += 1,
                Err(failure) => return Err(text(failure)),
            }
        }
        Ok(true)
    }
}

fn text(failure: Failure) -> String {
    match failure {
        Failure::Again(text) | Failure::Refused(text) => text,
    }
}
