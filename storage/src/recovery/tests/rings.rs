//! Old generations built record by record through the format, without a live store.

use bytes::Bytes;

use super::disk::Disk;
use crate::class::Classes;
use crate::format::commit::{
    COMMIT_HEADER, CommitHeader, FIRST_SEQ, JournalId, RingPosition, commit_len, seal,
};
use crate::format::record::{self, Checkpoint, SnapshotState};
use crate::format::superblock::{Geometry, Superblock};
use crate::homes::Homes;
use crate::io::{BLOCK, Dir, FileName, Op};
use crate::recovery::RecoveryConfig;
use crate::types::{
    CommitSeq, CoreId, EntryMeta, Generation, LogId, LogKind, Offset, Ordinal, SlotId, Term, WallMs,
};

pub(crate) const GEOMETRY: Geometry = Geometry {
    file_bytes: 8 * BLOCK as u64,
    files: 6,
    max_commit_bytes: 4 * BLOCK as u32,
    in_flight: 4,
};

pub(crate) const SALT: u64 = 0x5A17;

pub(crate) fn config(cores: u16) -> RecoveryConfig {
    RecoveryConfig {
        cores,
        geometry: GEOMETRY,
        salt: 7,
        segment_threshold: 20_000,
        segment_bytes: 40_000,
        span_bytes: 3000,
        cache_bytes: 64 << 10,
        floor_bytes: 0,
        classes: Classes::default(),
        mutation: None,
    }
}

/// Payload of an entry: recognisable, of any length.
pub(crate) fn payload(log: LogId, ordinal: u64, len: usize) -> Bytes {
    let word = (log.0 << 32 | ordinal).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    word.to_le_bytes().into_iter().cycle().take(len).collect()
}

/// Entry `ordinal` of a topic whose entries take two offsets each.
pub(crate) fn meta(ordinal: u64, len: usize) -> EntryMeta {
    EntryMeta {
        ordinal: Ordinal(ordinal),
        term: Term(1),
        time: WallMs(1000),
        first_offset: Offset(ordinal * 2),
        offsets: 2,
        max_timestamp: 10_000 + i64::try_from(ordinal).unwrap(),
        len: u32::try_from(len).unwrap(),
    }
}

pub(crate) fn point(ordinal: u64) -> Checkpoint {
    Checkpoint {
        slot: SlotId(0),
        start: (Ordinal(0), Offset(0)),
        upto: (Ordinal(ordinal), Offset(ordinal * 2)),
        max_timestamp: i64::MIN,
        term: Term(1),
    }
}

/// One core's ring under construction.
pub(crate) struct Ring {
    /// What its commits claim to belong to; `home` is what its files do.
    pub(crate) id: JournalId,
    home: JournalId,
    pub(crate) next: u64,
    pub(crate) at: RingPosition,
    pub(crate) live_from: (CommitSeq, RingPosition),
    /// How far behind its sequence a commit vouches.
    pub(crate) lag: u64,
    body: Vec<u8>,
    records: u32,
    geometry: Geometry,
}

impl Ring {
    pub(crate) fn new(generation: u32, core: u16) -> Self {
        Self::shaped(generation, core, GEOMETRY)
    }

    pub(crate) fn shaped(generation: u32, core: u16, geometry: Geometry) -> Self {
        let id = JournalId {
            generation: Generation(generation),
            core: CoreId(core),
            salt: SALT,
        };
        Self {
            id,
            home: id,
            next: 1,
            at: RingPosition::default(),
            live_from: (FIRST_SEQ, RingPosition::default()),
            lag: 1,
            body: Vec::new(),
            records: 0,
            geometry,
        }
    }

    /// Bytes of the commit to come.
    pub(crate) fn pending(&self) -> usize {
        self.body.len()
    }

    pub(crate) fn put(&mut self, len: usize, put: impl FnOnce(&mut [u8]) -> usize) -> &mut Self {
        let begin = self.body.len();
        self.body.resize(begin + len, 0);
        assert_eq!(put(&mut self.body[begin..]), len);
        self.records += 1;
        self
    }

    /// Slots are counted from this core's first: with fewer rings than slots it is one of its own.
    pub(crate) fn checkpoint(&mut self, log: LogId, point: &Checkpoint) -> &mut Self {
        let first = u8::try_from(self.home.core.0).expect("few cores");
        let slot = SlotId(first + point.slot.0);
        let point = Checkpoint { slot, ..*point };
        self.put(record::CHECKPOINT_LEN, |out| {
            record::put_checkpoint(out, log, LogKind::Topic, &point)
        })
    }

    pub(crate) fn entry(&mut self, log: LogId, ordinal: u64, len: usize) -> &mut Self {
        let (meta, bytes) = (meta(ordinal, len), payload(log, ordinal, len));
        self.entry_as(log, &meta, &bytes)
    }

    pub(crate) fn entry_as(&mut self, log: LogId, meta: &EntryMeta, bytes: &[u8]) -> &mut Self {
        self.put(record::entry_len(bytes.len()), |out| {
            record::put_entry(out, log, LogKind::Topic, meta, bytes)
        })
    }

    pub(crate) fn snapshot(
        &mut self,
        log: LogId,
        ordinal: u64,
        state: SnapshotState<'_>,
    ) -> &mut Self {
        self.put(record::snapshot_len(&state), |out| {
            record::put_snapshot(out, log, LogKind::Topic, Ordinal(ordinal), &state)
        })
    }

    pub(crate) fn end(&mut self, log: LogId, next: u64) -> &mut Self {
        self.put(record::END_LEN, |out| {
            record::put_end(out, log, LogKind::Topic, Ordinal(next))
        })
    }

    /// Writes the records as one commit; where it begins.
    pub(crate) fn commit(&mut self, disk: &mut Disk) -> RingPosition {
        let len = commit_len(self.body.len());
        if self.at.byte() + len as u64 > self.geometry.file_bytes {
            self.at = RingPosition {
                file: (self.at.file + 1) % self.geometry.files,
                block: 0,
            };
        }
        let at = self.at;
        if self.live_from.0.0 == self.next {
            self.live_from.1 = at;
        }
        let header = CommitHeader {
            journal: self.id,
            seq: CommitSeq(self.next),
            live_from: self.live_from.0,
            live_from_at: self.live_from.1,
            durable_through: CommitSeq(self.next.saturating_sub(self.lag)),
            count: self.records,
            body_len: u32::try_from(self.body.len()).unwrap(),
            body_crc: 0,
        };
        let mut buf = vec![0; len];
        buf[COMMIT_HEADER..][..self.body.len()].copy_from_slice(&self.body);
        seal(&mut buf, &header);
        let write = Op::Write {
            file: self.file(at.file),
            pos: at.byte(),
            buf,
            durable: true,
        };
        disk.run(write).unwrap();
        self.at.block += u32::try_from(len / BLOCK).unwrap();
        self.next += 1;
        self.body.clear();
        self.records = 0;
        at
    }

    pub(crate) fn file(&self, index: u16) -> FileName {
        FileName::Journal {
            generation: self.home.generation,
            core: self.home.core,
            index,
        }
    }
}

/// A disk with the superblock and the empty rings of generation 1.
pub(crate) fn disk(cores: u16) -> Disk {
    disk_of(cores, GEOMETRY)
}

/// The same with rings of a shape.
pub(crate) fn disk_of(cores: u16, geometry: Geometry) -> Disk {
    disk_at(1, cores, geometry)
}

/// The same of a generation.
pub(crate) fn disk_at(generation: u32, cores: u16, geometry: Geometry) -> Disk {
    let mut disk = Disk::default();
    disk.dirs.extend([Dir::Root, Dir::Journal, Dir::Logs]);
    let superblock = Superblock {
        generation: Generation(generation),
        homes: Homes::interleaved(cores),
        geometry,
        salt: SALT,
    };
    // Without a mark, for which there is room.
    let mut blocks = vec![0; (2 + 2 * usize::from(cores)) * BLOCK];
    superblock.encode(&mut blocks[..BLOCK]);
    superblock.encode(&mut blocks[BLOCK..2 * BLOCK]);
    disk.files.insert(FileName::Superblock, blocks);
    for core in 0..cores {
        for index in 0..geometry.files {
            let file = Ring::new(generation, core).file(index);
            disk.files
                .insert(file, vec![0; geometry.file_bytes as usize]);
        }
    }
    disk
}
