//! The records in a commit's body: what happened to which log.
//!
//! Records stand back to back, without padding, each with its own kind and length, under the CRC of
//! the body. Kinds 16 (skip: an ordinal that is settled or removed) and 17 (hard state of a
//! consensus group) are reserved for queues and replication; this version refuses them like any
//! unknown.

use zerocopy::byteorder::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub use super::extent::{Extent, ExtentSlot, NewExtent, extent_len, put_extent};

use super::FormatError;
use crate::types::{EntryMeta, Generation, LogId, LogKind, Offset, Ordinal, SlotId, Term, WallMs};

/// Bytes of an entry record before its payload.
pub const ENTRY_HEADER: usize = size_of::<RawEntry>();
/// Bytes of a checkpoint record.
pub const CHECKPOINT_LEN: usize = size_of::<RawCheckpoint>();
/// Bytes of a snapshot record before an inline state.
pub const SNAPSHOT_RECORD_HEADER: usize = size_of::<RawSnapshot>();
/// Bytes of an end record.
pub const END_LEN: usize = size_of::<Common>();
/// Bytes of a prefix record without the prefix.
pub const PREFIX_HEADER: usize = ENTRY_HEADER + 4;
/// How many bytes of an entry a machine needs at replay (a record batch's header, and no more).
pub const PREFIX_MAX: usize = 64;

/// A kind of logs that is kept for queues.
const QUEUE: u8 = 2;

const ENTRY: u8 = 1;
pub(super) const EXTENT: u8 = 2;
const CHECKPOINT: u8 = 3;
const SNAPSHOT: u8 = 4;
const END: u8 = 5;
const PREFIX: u8 = 6;

/// Numbers beyond this are refused, so that sums of a few cannot overflow.
const NUMBER_MAX: u64 = u64::MAX / 4;

/// One record, borrowed from a commit's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// An entry with its bytes.
    Entry {
        /// What is known of it; `len` equals the length of `bytes`.
        meta: EntryMeta,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// Entries whose bytes stand in a segment.
    Extent(Extent<'a>),
    /// How far the segments of a log hold everything.
    Checkpoint(Checkpoint),
    /// State of the log's machine before its ordinal.
    Snapshot(SnapshotState<'a>),
    /// The log was deleted; nothing of it counts any more.
    End,
    /// An entry below the checkpoint, of which only the machine's replay still needs the start.
    Prefix {
        /// What is known of it; `len` is that of the whole entry.
        meta: EntryMeta,
        /// As many of its first bytes as its class replays.
        prefix: &'a [u8],
    },
}

/// A record with the log and the ordinal that it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// The log.
    pub log: LogId,
    /// Its kind, the same in all records of a log.
    pub kind: LogKind,
    /// Entry, prefix: its ordinal. Extent: the first. Checkpoint: the first that segments need
    /// not hold. Snapshot: the first whose effect is not in it. End: the next that there was.
    pub ordinal: Ordinal,
    /// What happened.
    pub record: Record<'a>,
}

/// Position up to which a log's segments and their indexes hold everything durably, and where
/// the log starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The slot that the log belongs to, the same in all its checkpoints.
    pub slot: SlotId,
    /// First retained ordinal and offset.
    pub start: (Ordinal, Offset),
    /// First ordinal that segments need not hold, with its offset. It lies between spans.
    pub upto: (Ordinal, Offset),
    /// Largest timestamp of any entry below it (`i64::MIN`: none).
    pub max_timestamp: i64,
    /// Term of the entry below it.
    pub term: Term,
}

/// A machine's state in the journal or in a file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotState<'a> {
    /// The state itself, at most [`super::snapshot::INLINE_MAX`] bytes.
    Inline(&'a [u8]),
    /// It stands in the file that `generation` names.
    File {
        /// Run that wrote the file.
        generation: Generation,
        /// Bytes of the state.
        len: u32,
        /// CRC-32C of the state.
        crc: u32,
    },
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Common {
    kind: u8,
    log_kind: u8,
    reserved: U16,
    /// Of the whole record.
    len: U32,
    log: U64,
    pub(super) ordinal: U64,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawEntry {
    common: Common,
    first_offset: U64,
    time: I64,
    max_timestamp: I64,
    term: U32,
    offsets: U32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawCheckpoint {
    common: Common,
    offset: U64,
    start_ordinal: U64,
    start_offset: U64,
    max_timestamp: I64,
    term: U32,
    slot: u8,
    reserved: [u8; 3],
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawSnapshot {
    common: Common,
    /// 0: the state follows; 1: it is in a file.
    form: U32,
    generation: U32,
    state_len: U32,
    state_crc: U32,
}

pub(super) fn common(
    kind: u8,
    log: LogId,
    log_kind: LogKind,
    ordinal: Ordinal,
    len: usize,
) -> Common {
    Common {
        kind,
        log_kind: match log_kind {
            LogKind::Topic => 0,
            LogKind::Machine => 1,
            LogKind::Coordinator => 3,
        },
        reserved: U16::new(0),
        len: U32::new(u32::try_from(len).expect("a record is smaller than a commit")),
        log: U64::new(log.0),
        ordinal: U64::new(ordinal.0),
    }
}

fn raw_entry(kind: u8, log: LogId, log_kind: LogKind, meta: &EntryMeta, len: usize) -> RawEntry {
    RawEntry {
        common: common(kind, log, log_kind, meta.ordinal, len),
        first_offset: U64::new(meta.first_offset.0),
        time: I64::new(meta.time.0),
        max_timestamp: I64::new(meta.max_timestamp),
        term: U32::new(meta.term.0),
        offsets: U32::new(meta.offsets),
    }
}

/// Bytes of the record of an entry with `len` bytes.
#[must_use]
pub const fn entry_len(len: usize) -> usize {
    ENTRY_HEADER + len
}

/// Writes an entry record at the start of `out`; its length.
///
/// # Panics
/// As all `put_*`: if `out` is too short. Here also if `meta.len` is not `bytes.len()`.
pub fn put_entry(
    out: &mut [u8],
    log: LogId,
    kind: LogKind,
    meta: &EntryMeta,
    bytes: &[u8],
) -> usize {
    assert_eq!(
        meta.len as usize,
        bytes.len(),
        "an entry's length is that of its bytes"
    );
    let len = entry_len(bytes.len());
    let raw = raw_entry(ENTRY, log, kind, meta, len);
    out[..ENTRY_HEADER].copy_from_slice(raw.as_bytes());
    out[ENTRY_HEADER..len].copy_from_slice(bytes);
    len
}

/// Bytes of a prefix record with so many bytes of its entry.
#[must_use]
pub const fn prefix_len(len: usize) -> usize {
    PREFIX_HEADER + len
}

/// Writes a prefix record; `prefix` is what is replayed of the entry.
pub fn put_prefix(
    out: &mut [u8],
    log: LogId,
    kind: LogKind,
    meta: &EntryMeta,
    prefix: &[u8],
) -> usize {
    assert!(
        prefix.len() <= meta.len as usize,
        "no more of an entry than there is"
    );
    let len = prefix_len(prefix.len());
    let raw = raw_entry(PREFIX, log, kind, meta, len);
    out[..ENTRY_HEADER].copy_from_slice(raw.as_bytes());
    out[ENTRY_HEADER..PREFIX_HEADER].copy_from_slice(&meta.len.to_le_bytes());
    out[PREFIX_HEADER..len].copy_from_slice(prefix);
    len
}

/// Writes a checkpoint record.
pub fn put_checkpoint(out: &mut [u8], log: LogId, kind: LogKind, point: &Checkpoint) -> usize {
    let raw = RawCheckpoint {
        common: common(CHECKPOINT, log, kind, point.upto.0, CHECKPOINT_LEN),
        offset: U64::new(point.upto.1.0),
        start_ordinal: U64::new(point.start.0.0),
        start_offset: U64::new(point.start.1.0),
        max_timestamp: I64::new(point.max_timestamp),
        term: U32::new(point.term.0),
        slot: point.slot.0,
        reserved: [0; 3],
    };
    out[..CHECKPOINT_LEN].copy_from_slice(raw.as_bytes());
    CHECKPOINT_LEN
}

/// Bytes of a snapshot record.
#[must_use]
pub const fn snapshot_len(state: &SnapshotState<'_>) -> usize {
    match state {
        SnapshotState::Inline(bytes) => SNAPSHOT_RECORD_HEADER + bytes.len(),
        SnapshotState::File { .. } => SNAPSHOT_RECORD_HEADER,
    }
}

/// Writes a snapshot record: the state before `ordinal`.
pub fn put_snapshot(
    out: &mut [u8],
    log: LogId,
    kind: LogKind,
    ordinal: Ordinal,
    state: &SnapshotState<'_>,
) -> usize {
    let len = snapshot_len(state);
    let (form, generation, state_len, state_crc, inline) = match *state {
        SnapshotState::Inline(bytes) => {
            let state_len = u32::try_from(bytes.len()).expect("inline states are small");
            (0, Generation(0), state_len, super::crc(bytes), bytes)
        }
        SnapshotState::File {
            generation,
            len,
            crc,
        } => (1, generation, len, crc, &[][..]),
    };
    let raw = RawSnapshot {
        common: common(SNAPSHOT, log, kind, ordinal, len),
        form: U32::new(form),
        generation: U32::new(generation.0),
        state_len: U32::new(state_len),
        state_crc: U32::new(state_crc),
    };
    out[..SNAPSHOT_RECORD_HEADER].copy_from_slice(raw.as_bytes());
    out[SNAPSHOT_RECORD_HEADER..len].copy_from_slice(inline);
    len
}

/// Writes an end record: the log is no more.
pub fn put_end(out: &mut [u8], log: LogId, kind: LogKind, next: Ordinal) -> usize {
    out[..END_LEN].copy_from_slice(common(END, log, kind, next, END_LEN).as_bytes());
    END_LEN
}

/// Iterates over the records of a commit's body; ends after the first error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    /// Over `body`, whose CRC was checked.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    /// Byte position in the body of the record that comes next.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<LogRecord<'a>, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.body[self.at..];
        if rest.is_empty() {
            return None;
        }
        match decode(rest) {
            Ok((record, len)) => {
                self.at += len;
                Some(Ok(record))
            }
            Err(error) => {
                self.at = self.body.len();
                Some(Err(error))
            }
        }
    }
}

pub(super) fn malformed(why: &'static str) -> FormatError {
    FormatError::Malformed {
        what: "journal record",
        why,
    }
}

fn decode(bytes: &[u8]) -> Result<(LogRecord<'_>, usize), FormatError> {
    let (common, _) =
        Common::ref_from_prefix(bytes).map_err(|_| malformed("it ends in its header"))?;
    let len = common.len.get() as usize;
    let bytes = bytes
        .get(..len)
        .filter(|bytes| bytes.len() >= END_LEN)
        .ok_or_else(|| malformed("its length exceeds the commit"))?;
    let kind = match common.log_kind {
        0 => LogKind::Topic,
        1 => LogKind::Machine,
        3 => LogKind::Coordinator,
        QUEUE => return Err(malformed("a kind of log that only a newer Leveret has")),
        _ => return Err(malformed("unknown kind of log")),
    };
    let ordinal = Ordinal(bounded(common.ordinal.get())?);
    let record = match common.kind {
        ENTRY => decode_entry(bytes)?,
        EXTENT => Record::Extent(Extent::decode(bytes)?),
        CHECKPOINT => decode_checkpoint(bytes)?,
        SNAPSHOT => decode_snapshot(bytes)?,
        END if len == END_LEN => Record::End,
        PREFIX => decode_prefix(bytes)?,
        _ => return Err(malformed("unknown kind")),
    };
    let record = LogRecord {
        log: LogId(common.log.get()),
        kind,
        ordinal,
        record,
    };
    Ok((record, len))
}

pub(super) fn bounded(number: u64) -> Result<u64, FormatError> {
    if number > NUMBER_MAX {
        return Err(malformed("number out of range"));
    }
    Ok(number)
}

fn meta(raw: &RawEntry, len: usize) -> Result<EntryMeta, FormatError> {
    Ok(EntryMeta {
        ordinal: Ordinal(raw.common.ordinal.get()),
        term: Term(raw.term.get()),
        time: WallMs(raw.time.get()),
        first_offset: Offset(bounded(raw.first_offset.get())?),
        offsets: raw.offsets.get(),
        max_timestamp: raw.max_timestamp.get(),
        len: u32::try_from(len).map_err(|_| malformed("entry too long"))?,
    })
}

fn decode_entry(bytes: &[u8]) -> Result<Record<'_>, FormatError> {
    let (raw, payload) =
        RawEntry::ref_from_prefix(bytes).map_err(|_| malformed("entry too short"))?;
    let meta = meta(raw, payload.len())?;
    Ok(Record::Entry {
        meta,
        bytes: payload,
    })
}

fn decode_prefix(bytes: &[u8]) -> Result<Record<'_>, FormatError> {
    let (raw, rest) =
        RawEntry::ref_from_prefix(bytes).map_err(|_| malformed("prefix too short"))?;
    let (len, prefix) = rest
        .split_first_chunk()
        .ok_or_else(|| malformed("prefix too short"))?;
    let len = u32::from_le_bytes(*len) as usize;
    if prefix.len() > len {
        return Err(malformed("prefix of wrong length"));
    }
    let meta = meta(raw, len)?;
    Ok(Record::Prefix { meta, prefix })
}

fn decode_checkpoint(bytes: &[u8]) -> Result<Record<'_>, FormatError> {
    let raw = RawCheckpoint::ref_from_bytes(bytes)
        .map_err(|_| malformed("checkpoint of wrong length"))?;
    let point = Checkpoint {
        slot: SlotId(raw.slot),
        start: (
            Ordinal(bounded(raw.start_ordinal.get())?),
            Offset(bounded(raw.start_offset.get())?),
        ),
        upto: (
            Ordinal(raw.common.ordinal.get()),
            Offset(bounded(raw.offset.get())?),
        ),
        max_timestamp: raw.max_timestamp.get(),
        term: Term(raw.term.get()),
    };
    Ok(Record::Checkpoint(point))
}

fn decode_snapshot(bytes: &[u8]) -> Result<Record<'_>, FormatError> {
    let (raw, state) =
        RawSnapshot::ref_from_prefix(bytes).map_err(|_| malformed("snapshot too short"))?;
    let (len, crc) = (raw.state_len.get(), raw.state_crc.get());
    match raw.form.get() {
        0 if state.len() == len as usize && super::crc(state) == crc => {
            Ok(Record::Snapshot(SnapshotState::Inline(state)))
        }
        1 if state.is_empty() => Ok(Record::Snapshot(SnapshotState::File {
            generation: Generation(raw.generation.get()),
            len,
            crc,
        })),
        _ => Err(malformed("snapshot contradicts itself")),
    }
}
