//! The whole topology as bytes, which stand for all entries below an ordinal: a head, then a part
//! for each kind of objects, in bounded pieces.
//!
//! Pieces stand one behind the other, each sealed (see `codec`) and with its length; bodies, little-endian:
//!
//! ```text
//! kind 3, version 5  head
//!   length of the piece u32 | next log u64 | parts that follow u16
//! kind of the part   piece of a part
//!   length of the piece u32 | number of the piece in its part u32
//!   objects u32, each as its kind has it
//!   last u8: 1 if the part ends here, then what its kind keeps beside objects; else 0
//! ```
//!
//! Older versions, which were never released, are not read.

use bytes::Bytes;
use leveret_storage::homes::Homes;
use leveret_storage::types::{LogId, Offset, Ordinal};
use thiserror::Error;

use super::kinds::Kind;
use super::{Topology, TopologyEntry, TopologySettings};
use crate::codec::{DecodeError, Reader, Writer, check_version};

/// Kind number of the head of a topology snapshot.
const HEAD: u16 = 3;
const HEAD_VERSION: u16 = 5;
/// A piece takes no more objects from so many bytes on.
const PIECE: usize = 64 << 10;

/// Why the topology cannot be rebuilt from what was recovered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TopologyError {
    /// The snapshot cannot be read.
    #[error("topology snapshot: {0}")]
    Snapshot(DecodeError),
    /// An entry cannot be read.
    #[error("topology entry {ordinal}: {error}")]
    Entry {
        /// The entry.
        ordinal: Ordinal,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The topology's log counts offsets, which it has none of.
    #[error("the topology's log is at offset {next}; it has none")]
    Offsets {
        /// Where it says to be.
        next: Offset,
    },
    /// A log with an id that nothing has had yet: the topology has lost entries.
    #[error("log {log} has records, but the topology has given out log ids only below {next}")]
    FromTheFuture {
        /// The log.
        log: LogId,
        /// The id that the next log would get.
        next: LogId,
    },
    /// A log is not in the slot that the topology gave it.
    #[error("log {log} belongs to slot {found}, but the topology says {told}")]
    Slot {
        /// The log.
        log: LogId,
        /// The slot that its records name.
        found: u8,
        /// The slot that the topology gave it.
        told: u8,
    },
    /// An entry can be read, but not be carried out after those before it.
    #[error("topology entry {ordinal} contradicts those before it")]
    Contradiction {
        /// The entry.
        ordinal: Ordinal,
    },
}

impl Topology {
    /// Rebuilds the topology: the snapshot, then every entry from the snapshot's ordinal on; slots live
    /// as `homes` says.
    ///
    /// # Errors
    /// [`TopologyError`] if snapshot and entries are not what a topology wrote.
    pub fn recover<'a>(
        snapshot: Option<&[u8]>,
        replay: impl Iterator<Item = (Ordinal, &'a [u8])>,
        settings: TopologySettings,
        homes: Homes,
    ) -> Result<Self, TopologyError> {
        let mut topology = Self::new(settings, homes);
        if let Some(bytes) = snapshot {
            topology.restore(bytes).map_err(TopologyError::Snapshot)?;
        }
        for (ordinal, bytes) in replay {
            let entry = TopologyEntry::decode(bytes)
                .map_err(|error| TopologyError::Entry { ordinal, error })?;
            if !topology.fits(&entry) {
                return Err(TopologyError::Contradiction { ordinal });
            }
            topology.apply(&entry);
        }
        Ok(topology)
    }

    /// What must survive of it as it is now, in bounded pieces that stand one behind the other, for
    /// [`Topology::recover`]. Each is made when it is asked for; what happens to the topology meanwhile does
    /// not show.
    pub fn snapshot(&self) -> impl Iterator<Item = Bytes> + use<> {
        let mut head = Writer::piece(HEAD, HEAD_VERSION);
        head.u64(self.logs.next().0);
        head.u16(self.parts());
        std::iter::once(head.seal_piece()).chain(self.pieces())
    }

    /// Takes a snapshot, before anything else.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), DecodeError> {
        let mut rest = snapshot;
        let (_, mut head) = Reader::piece(&mut rest, |kind, version| match kind {
            HEAD => check_version(version, HEAD_VERSION..=HEAD_VERSION),
            kind => Err(DecodeError::UnknownKind(kind)),
        })?;
        let next = LogId(head.u64("next log")?);
        let mut missing = head.u16("parts")?;
        head.end()?;
        let mut due = 0;
        while !rest.is_empty() {
            let (what, mut reader) = Reader::piece(&mut rest, |_, _| Ok(()))?;
            if reader.u32("number of a piece")? != due {
                return Err(DecodeError::Invalid("number of a piece"));
            }
            let last = self.take_piece(what, &mut reader)?;
            reader.end()?;
            due = if last { 0 } else { due + 1 };
            let left = missing.checked_sub(u16::from(last));
            missing = left.ok_or(DecodeError::Invalid("parts"))?;
        }
        match (missing, self.logs.go_on_from(next)) {
            (0, true) => Ok(()),
            (0, false) => Err(DecodeError::Invalid("next log")),
            _ => Err(DecodeError::Short("parts")),
        }
    }
}

/// A kind's part, if there is anything to keep.
pub(super) fn part<K: Kind>(state: &K) -> impl Iterator<Item = Bytes> + use<K> {
    let mut objects = state.objects().peekable();
    let (mut open, mut number) = (!state.is_blank(), 0);
    let mut rest = Writer::piece(K::PART.kind, K::PART.version);
    let rest_at = rest.len();
    state.put_rest(&mut rest);
    std::iter::from_fn(move || {
        if !open {
            return None;
        }
        let mut writer = Writer::piece(K::PART.kind, K::PART.version);
        writer.u32(number);
        number += 1;
        let count_at = writer.len();
        writer.u32(0);
        let mut count = 0;
        while writer.len() < PIECE
            && let Some(object) = objects.next()
        {
            K::put(&mut writer, &object);
            count += 1;
        }
        writer.set_u32(count_at, count);
        open = objects.peek().is_some();
        writer.u8(u8::from(!open));
        if !open {
            writer.put(rest.written_from(rest_at));
        }
        Some(writer.seal_piece())
    })
}

/// Takes a piece of a kind's part. Whether it is the last: then the rest follows in it.
pub(super) fn take_piece<K: Kind>(
    topology: &mut Topology,
    version: u16,
    reader: &mut Reader<'_>,
) -> Result<bool, DecodeError> {
    check_version(version, K::PART.version..=K::PART.version)?;
    for _ in 0..reader.count(K::PART.least, "objects")? {
        K::get(topology, reader)?;
    }
    match reader.u8("whether a part ends")? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Invalid("whether a part ends")),
    }
}
