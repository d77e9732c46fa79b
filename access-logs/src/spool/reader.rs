//! Reading records out of a spool, a batch at a time.

use std::{fs::File, io, os::unix::fs::FileExt as _, sync::Arc};

use super::{
    Position,
    frame::{self, FRAME, Found, HEADER},
    log,
};

/// Bytes that are read from a file at once.
const CHUNK: usize = 256 << 10;

/// Records, in the order in which they were taken over.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The records, one after the other, without line ends.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Times of the earliest and of the latest one.
    times: Option<(u64, u64)>,
    /// Where the first one stands.
    pub(crate) start: Position,
    /// Behind the last one.
    pub(crate) end: Position,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    number: u64,
    time: u64,
    end: usize,
}

/// A record of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    /// Its number in the spool.
    pub(crate) number: u64,
    /// When it was taken over, in milliseconds since 1970.
    pub(crate) time: u64,
    /// The record, without a line end.
    pub(crate) record: &'a [u8],
}

impl Batch {
    /// Number of records.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all records.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The records.
    pub(crate) fn items(&self) -> impl Iterator<Item = Item<'_>> {
        let starts = std::iter::once(0).chain(self.entries.iter().map(|entry| entry.end));
        starts.zip(&self.entries).map(|(start, entry)| Item {
            number: entry.number,
            time: entry.time,
            record: self.bytes.get(start..entry.end).unwrap_or_default(),
        })
    }

    /// The same without the records that `keep` does not want.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Item<'_>) -> bool) {
        *self = self.those(keep);
    }

    /// The record with this number alone.
    pub(crate) fn only(&self, number: u64) -> Self {
        self.those(|item| item.number == number)
    }

    fn those(&self, keep: impl Fn(&Item<'_>) -> bool) -> Self {
        let mut kept = Self {
            start: self.start,
            end: self.end,
            ..Self::default()
        };
        for item in self.items().filter(|item| keep(item)) {
            kept.push(item);
        }
        kept
    }

    fn push(&mut self, item: Item<'_>) {
        let (earliest, latest) = self.times.unwrap_or((item.time, item.time));
        self.times = Some((earliest.min(item.time), latest.max(item.time)));
        self.bytes.extend_from_slice(item.record);
        self.entries.push(Entry {
            number: item.number,
            time: item.time,
            end: self.bytes.len(),
        });
    }

    /// For tests: these records, at these times.
    #[cfg(test)]
    pub(crate) fn of(records: &[(u64, &str)]) -> Self {
        let mut batch = Self::default();
        for (number, (time, record)) in (0..).zip(records) {
            batch.push(Item {
                number,
                time: *time,
                record: record.as_bytes(),
            });
        }
        batch.end.number = records.len() as u64;
        batch
    }
}

/// What may go into a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Most records.
    pub(crate) records: usize,
    /// Most bytes, counting `overhead` for each record; one record always fits.
    pub(crate) bytes: usize,
    /// What a record takes besides its own bytes.
    pub(crate) overhead: usize,
    /// No record with this number or a higher one.
    pub(crate) before: u64,
    /// Milliseconds between the earliest and the latest record.
    pub(crate) span: u64,
    /// No record before the first of these times, or at the second or after it.
    pub(crate) within: (u64, u64),
}

impl Bounds {
    /// Milliseconds of a day.
    pub(crate) const DAY: u64 = 86_400_000;

    /// No bounds but this many bytes.
    pub(crate) fn bytes(bytes: usize) -> Self {
        Self {
            records: usize::MAX,
            bytes,
            overhead: 0,
            before: u64::MAX,
            span: u64::MAX,
            within: (0, u64::MAX),
        }
    }
}

/// How far a segment can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where its last whole frame ends.
    pub(crate) bytes: u64,
    /// Number of the record after its last.
    pub(crate) end: u64,
    /// First record of the segment after it, if there is one.
    pub(crate) after: Option<u64>,
}

/// Where segments are, for a reader.
pub(crate) trait Segments {
    /// How far this segment can be read now; none when it is gone.
    fn extent(&self, segment: u64) -> Option<Extent>;
    /// Where whoever finds a segment gone goes on.
    fn resume(&self) -> Position;
    /// The folder.
    fn folder(&self) -> &std::path::Path;
}

/// Reads on from a position.
#[derive(Debug)]
pub(crate) struct Reader {
    position: Position,
    file: Option<(u64, Arc<File>)>,
    chunk: Vec<u8>,
    /// Records that could not be read.
    damaged: u64,
}

impl Reader {
    pub(crate) fn at(position: Position) -> Self {
        Self {
            position,
            file: None,
            chunk: Vec::new(),
            damaged: 0,
        }
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// How many records were skipped since this was asked last, because they could not be read.
    pub(crate) fn take_damaged(&mut self) -> u64 {
        std::mem::take(&mut self.damaged)
    }

    /// The next records, as many as there are within these bounds; none when there are none.
    pub(crate) fn next(&mut self, segments: &impl Segments, bounds: &Bounds) -> io::Result<Batch> {
        let mut batch = Batch {
            start: self.position,
            ..Batch::default()
        };
        while self.position.number < bounds.before {
            let Some(extent) = segments.extent(self.position.segment) else {
                let resume = segments.resume();
                if resume.number <= self.position.number && resume.segment == self.position.segment
                {
                    break;
                }
                self.move_to(resume);
                if batch.is_empty() {
                    batch.start = resume;
                }
                continue;
            };
            if self.position.offset >= extent.bytes {
                match extent.after {
                    Some(after) => self.enter(after),
                    None => break,
                }
                continue;
            }
            if !self.read_chunk(segments.folder(), extent)? {
                // Somebody deleted it, which is no reason to stand still.
                self.skip(extent);
                continue;
            }
            if !self.take(extent, bounds, &mut batch) {
                break;
            }
        }
        batch.end = self.position;
        Ok(batch)
    }

    fn move_to(&mut self, position: Position) {
        self.position = position;
        self.file = None;
    }

    /// Goes on at the beginning of a later segment.
    fn enter(&mut self, segment: u64) {
        self.move_to(Position {
            number: segment,
            segment,
            offset: HEADER,
        });
    }

    /// Gives up the rest of a segment.
    fn skip(&mut self, extent: Extent) {
        self.damaged += extent.end.saturating_sub(self.position.number);
        self.position.number = extent.end;
        self.position.offset = extent.bytes;
    }

    /// Reads on in the segment; `false` when its file is not there.
    fn read_chunk(&mut self, folder: &std::path::Path, extent: Extent) -> io::Result<bool> {
        let Position {
            segment, offset, ..
        } = self.position;
        let file = match &self.file {
            Some((of, file)) if *of == segment => Arc::clone(file),
            _ => {
                let file = match File::open(log::path(folder, segment)) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                    opened => Arc::new(opened?),
                };
                self.file = Some((segment, Arc::clone(&file)));
                file
            }
        };
        let rest = usize::try_from(extent.bytes - offset).unwrap_or(usize::MAX);
        self.chunk.resize(rest.min(CHUNK), 0);
        file.read_exact_at(&mut self.chunk, offset)?;
        // A record that is larger than a chunk is read again, whole.
        if let Found::Cut(size) = frame::read(&self.chunk) {
            let size = size.unwrap_or(FRAME).min(rest);
            self.chunk.resize(size, 0);
            file.read_exact_at(&mut self.chunk, offset)?;
        }
        Ok(true)
    }

    /// Takes the frames of the chunk; `false` when a bound was reached.
    fn take(&mut self, extent: Extent, bounds: &Bounds, batch: &mut Batch) -> bool {
        let mut start = 0;
        loop {
            match frame::read(self.chunk.get(start..).unwrap_or_default()) {
                Found::Whole { time, record, size } => {
                    let item = Item {
                        number: self.position.number,
                        time,
                        record,
                    };
                    if !fits(batch, bounds, &item) {
                        return false;
                    }
                    batch.push(item);
                    start += size;
                    self.position.number += 1;
                    self.position.offset += size as u64;
                }
                Found::Cut(_) if start > 0 => return true,
                Found::Cut(_) | Found::Damaged => {
                    // Where the next frame begins cannot be known: the rest of the segment is lost.
                    self.skip(extent);
                    return true;
                }
            }
        }
    }
}

fn fits(batch: &Batch, bounds: &Bounds, item: &Item<'_>) -> bool {
    let (from, until) = bounds.within;
    if item.number >= bounds.before || item.time < from || item.time >= until {
        return false;
    }
    let Some((earliest, latest)) = batch.times else {
        return true;
    };
    let (earliest, latest) = (earliest.min(item.time), latest.max(item.time));
    let records = batch.len() + 1;
    let bytes = batch.bytes() + item.record.len() + records.saturating_mul(bounds.overhead);
    records <= bounds.records && bytes <= bounds.bytes && latest - earliest < bounds.span
}
