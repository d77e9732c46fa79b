//! A file or standard output, and the lines that wait for it.
//!
//! Nothing here blocks but a disk: pipes are written without waiting for their readers, and what they do not take waits here.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
};
use trellis_model::config::{LogDestination, Rotation};

/// How often a file is looked for at its path: whoever renames it wants a new one there.
const LOOK: Duration = Duration::from_secs(1);
/// A pipe that can be written takes this much at once. Spec: POSIX.1-2017, `PIPE_BUF` on Linux.
const PIPE_BYTES: usize = 4096;

/// What a write did.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Records that are out now.
    pub(super) records: u64,
    /// Bytes that are out now.
    pub(super) bytes: u64,
    /// Records that were dropped for want of room.
    pub(super) dropped: u64,
    /// How it ended, compared with the time before.
    pub(super) outcome: Outcome,
}

/// How a write ended, compared with the one before.
#[derive(Debug, Default)]
pub(super) enum Outcome {
    /// Well, as before.
    #[default]
    Fine,
    /// Well, after failures.
    Recovered,
    /// Badly, for the first time.
    Failed(io::Error),
    /// Badly again.
    StillFailing,
    /// The reader of a pipe is behind; neither well nor badly.
    Busy,
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
    /// When the file was looked for at its path last.
    looked: Option<Instant>,
    /// When the file was begun, if its age counts.
    begun: Option<SystemTime>,
}

impl Outlet {
    /// Above this, an empty outlet gives its memory back.
    const KEPT_BYTES: usize = 1 << 20;

    /// Does something wait?
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Puts `lines`, a number of `records`, behind what waits already, as far as `limit` bytes allow; returns the number of records
    /// that found no room.
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
        let result = self.tidy(destination);
        let result = result.and_then(|()| self.try_write(destination));
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
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::WouldBlock
        {
            return Written {
                records,
                bytes,
                dropped: 0,
                outcome: Outcome::Busy,
            };
        }
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
            dropped: 0,
            outcome,
        }
    }

    fn try_write(&mut self, destination: &LogDestination) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(destination)?),
        };
        // A file of any kind but a regular one may have somebody at its other end who does not read.
        let patient = !self.waiting.is_empty() && !file.metadata()?.is_file();
        loop {
            let rest = self.waiting.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            let rest = if patient {
                wait_for_nobody(file)?;
                rest.get(..PIPE_BYTES).unwrap_or(rest)
            } else {
                rest
            };
            match file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Between two lines: gives up a file that is not at its path any more, and begins one anew that is large or old enough.
    fn tidy(&mut self, destination: &LogDestination) -> io::Result<()> {
        let (path, rotation) = match destination {
            LogDestination::File(path) => (path, None),
            LogDestination::RotatingFile(path, rotation) => (path, Some(rotation)),
            LogDestination::Stdout | LogDestination::Store(_) => return Ok(()),
        };
        let Some(file) = self.file.as_ref().filter(|_| self.sent == 0) else {
            return Ok(());
        };
        // Not before there is something for the new one.
        if let Some(rotation) = rotation
            && self.is_waiting()
            && is_due(file, rotation, &mut self.begun)?
        {
            self.close();
            self.begun = None;
            return rotate(path, rotation.keep);
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            let ours = file.metadata()?;
            let there = fs::metadata(path);
            if !there.is_ok_and(|it| (it.dev(), it.ino()) == (ours.dev(), ours.ino())) {
                self.close();
            }
        }
        Ok(())
    }

    /// Gives up what waits; returns how many records that were.
    pub(super) fn give_up(&mut self) -> u64 {
        self.waiting.clear();
        self.sent = 0;
        std::mem::take(&mut self.records)
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

/// An error when the file cannot be written at once.
fn wait_for_nobody(file: &File) -> io::Result<()> {
    let mut polled = [PollFd::new(file, PollFlags::OUT)];
    match poll(&mut polled, Some(&Timespec::default()))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        // Errors show when it is written.
        _ => Ok(()),
    }
}

/// Is a file so large or so old that it is to be begun anew?
fn is_due(file: &File, rotation: &Rotation, begun: &mut Option<SystemTime>) -> io::Result<bool> {
    let found = file.metadata()?;
    if found.len() == 0 {
        return Ok(false);
    }
    let Some(age) = rotation.age else {
        return Ok(found.len() >= rotation.bytes);
    };
    // Where the file system does not know, age counts from the first look.
    let begun = *begun.get_or_insert_with(|| found.created().unwrap_or_else(|_| SystemTime::now()));
    // A clock that was set back makes no file old.
    let old = begun.elapsed().is_ok_and(|elapsed| elapsed >= age);
    Ok(old || found.len() >= rotation.bytes)
}

/// Moves a file to `path.1`, the one there to `path.2` and so on; the last one goes.
fn rotate(path: &Path, keep: u16) -> io::Result<()> {
    let numbered = |number: u16| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    if keep == 0 {
        return fs::remove_file(path);
    }
    for number in (1..keep).rev() {
        match fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, numbered(1))
}

/// Opens a destination for appending.
pub(super) fn open(destination: &LogDestination) -> io::Result<File> {
    match destination {
        LogDestination::File(path) | LogDestination::RotatingFile(path, _) => open_file(path),
        // A descriptor of our own: the standard library's handle would buffer, and would not say how far it came.
        LogDestination::Stdout => io::stdout().as_fd().try_clone_to_owned().map(File::from),
        LogDestination::Store(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Opens a file for appending, made with mode 0640 if need be: records name callers, so they are not for everybody.
///
/// A last line that has no end, left by a crash, gets one, so that it does not spoil the next. A named pipe is opened for reading as
/// well, which on Linux needs no reader at its other end.
fn open_file(path: &Path) -> io::Result<File> {
    let is_pipe = fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    let flags = if is_pipe {
        OFlags::NONBLOCK
    } else {
        OFlags::empty()
    };
    let mut file = OpenOptions::new()
        .read(is_pipe)
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
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
