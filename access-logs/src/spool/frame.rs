//! What stands in a segment: a header, then one frame for each record.
//!
//! ```text
//! segment  "TRLSPL01"  number of its first record, u64
//! frame    length of the record, u32   CRC-32C of what follows, u32   time, u64 ms since 1970   the record
//! ```
//!
//! Numbers are little-endian. A frame is whole or it is not there: whatever a crash left of one fails its checksum.

/// What a segment begins with.
const MAGIC: [u8; 8] = *b"TRLSPL01";
/// Bytes of a segment's header.
pub(crate) const HEADER: u64 = 16;
/// The same as a size in memory.
pub(super) const HEADER_SIZE: usize = 16;
/// Bytes of a frame before its record.
pub(crate) const FRAME: usize = 16;
/// No record is longer: lines are cut at 256 KiB. What claims to be is damage.
pub(crate) const LONGEST: usize = 1 << 20;

/// The header of the segment whose first record has this number.
pub(super) fn header(first: u64) -> [u8; HEADER_SIZE] {
    let mut header = [0; HEADER_SIZE];
    let (magic, number) = header.split_at_mut(MAGIC.len());
    magic.copy_from_slice(&MAGIC);
    number.copy_from_slice(&first.to_le_bytes());
    header
}

/// Is this the header of that segment?
pub(super) fn is_header(bytes: &[u8], first: u64) -> bool {
    bytes == header(first)
}

/// Adds a frame.
pub(super) fn push(frames: &mut Vec<u8>, time: u64, record: &[u8]) {
    let Ok(length) = u32::try_from(record.len()) else {
        return;
    };
    let time = time.to_le_bytes();
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&time), record);
    frames.extend_from_slice(&length.to_le_bytes());
    frames.extend_from_slice(&checksum.to_le_bytes());
    frames.extend_from_slice(&time);
    frames.extend_from_slice(record);
}

/// What is found where a frame should begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A frame.
    Whole {
        /// When its record was taken over, in milliseconds since 1970.
        time: u64,
        /// The record.
        record: &'a [u8],
        /// Bytes of the frame.
        size: usize,
    },
    /// The beginning of one of this size, or of one whose size is not known yet.
    Cut(Option<usize>),
    /// No frame.
    Damaged,
}

/// Looks at the frame at the beginning of these bytes.
pub(super) fn read(bytes: &[u8]) -> Found<'_> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return Found::Cut(None);
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > LONGEST {
        return Found::Damaged;
    }
    let size = FRAME + length;
    let Some((checksum, rest)) = rest.split_first_chunk::<4>() else {
        return Found::Cut(Some(size));
    };
    let Some(sealed) = rest.get(..8 + length) else {
        return Found::Cut(Some(size));
    };
    if crc32c::crc32c(sealed) != u32::from_le_bytes(*checksum) {
        return Found::Damaged;
    }
    let Some((time, record)) = sealed.split_first_chunk::<8>() else {
        return Found::Damaged;
    };
    Found::Whole {
        time: u64::from_le_bytes(*time),
        record,
        size,
    }
}

/// How many bytes the first frames take that fit into `limit` bytes, at least one, and how many frames that are. The frames are ours,
/// so their checksums are not looked at.
pub(super) fn fitting(frames: &[u8], limit: usize) -> (usize, u64) {
    let (mut end, mut number) = (0, 0);
    while let Some((length, _)) = frames
        .get(end..)
        .and_then(|rest| rest.split_first_chunk::<4>())
    {
        let next = end + FRAME + u32::from_le_bytes(*length) as usize;
        if number > 0 && next > limit {
            break;
        }
        (end, number) = (next, number + 1);
    }
    (end, number)
}
