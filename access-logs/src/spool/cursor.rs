//! How far a spool was shipped, kept on disk.
//!
//! The file has two places of the same size, written in turn and in place: a write that a crash cuts short leaves the other one, and
//! a full disk takes it, because it needs no more room.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use super::Position;

/// Bytes of one place: three numbers and a checksum, padded to a power of two.
const PLACE: usize = 32;
const NUMBERS: usize = 24;

/// The file, and which place is next.
#[derive(Debug)]
pub(super) struct Cursor {
    file: File,
    turn: bool,
}

impl Cursor {
    /// Opens the file, and reads what it says; nothing when it is new, or says nothing that can be believed.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<Position>)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(path)?;
        let read = |place: u64| {
            let mut bytes = [0; PLACE];
            file.read_exact_at(&mut bytes, place * PLACE as u64).ok()?;
            decode(&bytes)
        };
        let (first, second) = (read(0), read(1));
        // The place that was written last is overwritten last.
        let turn = first.map(|it| it.number) >= second.map(|it| it.number);
        let position = if turn { first } else { second };
        let this = Self { file, turn };
        if position.is_none() {
            // Both places are there from the beginning, so that no later write needs room.
            this.file.write_all_at(&[0; PLACE * 2], 0)?;
        }
        Ok((this, position))
    }

    pub(super) fn write(&mut self, position: Position) -> io::Result<()> {
        let place = u64::from(self.turn);
        self.file
            .write_all_at(&encode(position), place * PLACE as u64)?;
        self.turn = !self.turn;
        Ok(())
    }
}

fn encode(position: Position) -> [u8; PLACE] {
    let mut bytes = [0; PLACE];
    let numbers = [position.number, position.segment, position.offset];
    let mut places = bytes.chunks_exact_mut(8);
    for (place, number) in places.by_ref().zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    let (numbers, rest) = bytes.split_at_mut(NUMBERS);
    let checksum = crc32c::crc32c(numbers).to_le_bytes();
    for (place, byte) in rest.iter_mut().zip(checksum.into_iter().chain(*b"CURS")) {
        *place = byte;
    }
    bytes
}

fn decode(bytes: &[u8; PLACE]) -> Option<Position> {
    let mut numbers = bytes
        .chunks_exact(8)
        .filter_map(|place| Some(u64::from_le_bytes(place.try_into().ok()?)));
    let position = Position {
        number: numbers.next()?,
        segment: numbers.next()?,
        offset: numbers.next()?,
    };
    (encode(position) == *bytes).then_some(position)
}
