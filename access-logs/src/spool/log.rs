//! A folder of segments: appended to at its end, deleted from at its beginning.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use super::frame::{self, Found, HEADER, HEADER_SIZE};

/// Records name callers, so what holds them is not for everybody.
const FOLDER_MODE: u32 = 0o750;
/// The same for files.
const FILE_MODE: u32 = 0o640;
/// How a segment's file is named: the number of its first record and this.
const ENDING: &str = ".seg";

/// One segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Number of its first record.
    pub(crate) first: u64,
    /// Number of the record after its last.
    pub(crate) end: u64,
    /// Its length up to the last whole frame.
    pub(crate) bytes: u64,
    /// When something was added last, in milliseconds since 1970.
    pub(crate) newest: u64,
}

/// What opening a folder had to repair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Repair {
    /// Bytes cut off behind the last whole frame.
    pub(crate) torn_bytes: u64,
    /// Segments set aside because they are none.
    pub(crate) foreign: u64,
}

/// Segments in a folder.
#[derive(Debug)]
pub(crate) struct Log {
    folder: PathBuf,
    segment_bytes: u64,
    segments: VecDeque<Segment>,
    /// The last segment, when it may be appended to.
    file: Option<Arc<File>>,
    /// Number of the next record.
    next: u64,
    bytes: u64,
    /// Ended segments that the disk was not asked to keep yet.
    unsynced: Vec<Arc<File>>,
    dirty: bool,
}

impl Log {
    /// Opens a folder, makes it if need be, and cuts off what a crash left unfinished.
    ///
    /// Only the last segment can be unfinished, so only that one is read. It is not appended to any more.
    pub(crate) fn open(folder: PathBuf, segment_bytes: u64) -> io::Result<(Self, Repair)> {
        make_folder(&folder)?;
        let mut repair = Repair::default();
        let mut segments: VecDeque<Segment> = VecDeque::new();
        for first in segment_numbers(&folder)? {
            let path = path(&folder, first);
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            if !begins_right(&file, first) {
                // A header that was torn, or no segment: out of the way, and not deleted.
                fs::rename(&path, path.with_extension("damaged"))?;
                repair.foreign += 1;
                continue;
            }
            let found = file.metadata()?;
            let newest = found.modified().ok();
            let newest = newest.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            if let Some(before) = segments.back_mut() {
                before.end = first;
            }
            segments.push_back(Segment {
                first,
                end: first,
                bytes: found.len(),
                newest: newest.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(0)),
            });
        }
        if let Some(last) = segments.back_mut() {
            let mut file = File::open(path(&folder, last.first))?;
            let (bytes, records) = whole_frames(&mut file)?;
            repair.torn_bytes = last.bytes - bytes;
            if repair.torn_bytes > 0 {
                let file = OpenOptions::new()
                    .write(true)
                    .open(path(&folder, last.first))?;
                file.set_len(bytes)?;
            }
            last.bytes = bytes;
            last.end = last.first + records;
        }
        let log = Self {
            next: segments.back().map_or(0, |last| last.end),
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            folder,
            segment_bytes,
            segments,
            file: None,
            unsynced: Vec::new(),
            dirty: false,
        };
        Ok((log, repair))
    }

    /// Number of the next record.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Goes on with a higher number: lower ones were in use before a power failure took them.
    pub(crate) fn skip_to(&mut self, next: u64) {
        if next > self.next {
            self.next = next;
            self.end_segment();
        }
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All segments, oldest first.
    pub(crate) fn segments(&self) -> &VecDeque<Segment> {
        &self.segments
    }

    /// Bytes that the segment takes that would be appended to next.
    pub(crate) fn room(&self) -> u64 {
        match (&self.file, self.segments.back()) {
            (Some(_), Some(last)) if last.bytes < self.segment_bytes => {
                self.segment_bytes - last.bytes
            }
            _ => self.segment_bytes - HEADER,
        }
    }

    /// Appends whole frames. After an error none of them is there.
    pub(crate) fn append(&mut self, frames: &[u8], records: u64, now: u64) -> io::Result<()> {
        let full = |last: &Segment| last.bytes >= self.segment_bytes;
        if self.segments.back().is_some_and(full) {
            self.end_segment();
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => self.begin_segment(now)?,
        };
        let Some(last) = self.segments.back_mut() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Err(error) = write_all_at(&file, frames, last.bytes) {
            // What is behind the last whole frame is not read, and the next attempt writes over it; it goes now if that can be had.
            let _ = file.set_len(last.bytes);
            return Err(error);
        }
        last.bytes += frames.len() as u64;
        last.end += records;
        last.newest = now;
        self.bytes += frames.len() as u64;
        self.next += records;
        self.dirty = true;
        Ok(())
    }

    fn begin_segment(&mut self, now: u64) -> io::Result<Arc<File>> {
        let path = path(&self.folder, self.next);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&path)?;
        if let Err(error) = file.write_all(&frame::header(self.next)) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let file = Arc::new(file);
        self.file = Some(Arc::clone(&file));
        self.bytes += HEADER;
        self.segments.push_back(Segment {
            first: self.next,
            end: self.next,
            bytes: HEADER,
            newest: now,
        });
        Ok(file)
    }

    /// Appends no more to the last segment.
    pub(crate) fn end_segment(&mut self) {
        if let Some(file) = self.file.take()
            && std::mem::take(&mut self.dirty)
        {
            self.unsynced.push(file);
        }
    }

    /// Deletes the first segment, and returns it.
    pub(crate) fn remove_first(&mut self) -> io::Result<Option<Segment>> {
        let Some(first) = self.segments.front().copied() else {
            return Ok(None);
        };
        if self.segments.len() == 1 {
            self.end_segment();
        }
        match fs::remove_file(path(&self.folder, first.first)) {
            // Somebody else was faster; what counts is that it is gone.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.segments.pop_front();
        self.bytes -= first.bytes;
        Ok(Some(first))
    }

    /// Files that the disk should be asked to keep; they count as asked for.
    pub(crate) fn take_unsynced(&mut self) -> Vec<Arc<File>> {
        let mut files = std::mem::take(&mut self.unsynced);
        if std::mem::take(&mut self.dirty) {
            files.extend(self.file.clone());
        }
        files
    }
}

/// Writes all bytes at an offset. An offset of ours rather than the file's: after a failed write that one is anywhere.
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
}

/// The file of a segment.
pub(crate) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}{ENDING}"))
}

/// Numbers of the first records of all segments in a folder, in order.
pub(crate) fn segment_numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(ENDING));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn begins_right(mut file: &File, first: u64) -> bool {
    let mut header = [0; HEADER_SIZE];
    file.read_exact(&mut header).is_ok() && frame::is_header(&header, first)
}

/// Where the last whole frame ends that has only whole frames before it, and how many they are. Reads a segment, which is small.
pub(crate) fn whole_frames(file: &mut File) -> io::Result<(u64, u64)> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let (mut end, mut records) = (HEADER_SIZE, 0);
    while let Found::Whole { size, .. } = frame::read(bytes.get(end..).unwrap_or_default()) {
        end += size;
        records += 1;
    }
    Ok((end as u64, records))
}
