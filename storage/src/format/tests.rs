//! Round trips of every structure, golden bytes, and hostile bytes.

use proptest::prelude::*;

use super::commit::{
    COMMIT_HEADER, CommitHeader, FIRST_SEQ, JournalId, RingPosition, commit_len, seal,
};
use super::index::{IndexBlock, SPANS_PER_BLOCK, Span, decode_block, encode_block};
use super::mark::Mark;
use super::record::*;
use super::snapshot::SnapshotId;
use super::superblock::{Geometry, Superblock};
use super::*;
use crate::homes::Homes;
use crate::types::{
    CommitSeq, CoreId, EntryMeta, Generation, LogId, LogKind, Offset, Ordinal, SlotId, Term, WallMs,
};

const LOG: LogId = LogId(0x0102_0304_0506_0708);

fn mark() -> Mark {
    Mark {
        journal: JournalId {
            generation: Generation(7),
            core: CoreId(2),
            salt: 0x0102_0304_0506_0708,
        },
        vouched: CommitSeq(0x1122_3344),
        bytes: 64 << 20,
        ended: Some(RingPosition {
            file: 0x0102,
            block: 0x0304_0506,
        }),
    }
}

fn superblock() -> Superblock {
    Superblock {
        generation: Generation(0x1122_3344),
        homes: Homes::interleaved(3),
        geometry: Geometry {
            file_bytes: 64 << 20,
            files: 16,
            max_commit_bytes: 1 << 20,
            in_flight: 4,
        },
        salt: 0xFEDC_BA98_7654_3210,
    }
}

fn meta(ordinal: u64, len: u32) -> EntryMeta {
    EntryMeta {
        ordinal: Ordinal(ordinal),
        term: Term(7),
        time: WallMs(1_700_000_000_000),
        first_offset: Offset(1000 + 5 * (ordinal - 40)),
        offsets: 5,
        max_timestamp: 1_600_000_000_000,
        len,
    }
}

fn span(ordinal: u64, position: u64, length: u32) -> Span {
    Span {
        first_ordinal: Ordinal(ordinal),
        first_offset: Offset(1000 + 5 * (ordinal - 40)),
        max_timestamp: -2,
        position,
        term: Term(7),
        length,
        entries: 1,
        crc: 0xAABB_CCDD,
    }
}

/// One record of every kind.
fn body() -> Vec<u8> {
    let mut body = Vec::new();
    let mut put = |len: usize, put: &dyn Fn(&mut [u8]) -> usize| {
        let begin = body.len();
        body.resize(begin + len, 0);
        assert_eq!(put(&mut body[begin..]), len);
    };
    let point = Checkpoint {
        slot: SlotId(0xA7),
        start: (Ordinal(1), Offset(2)),
        upto: (Ordinal(40), Offset(1000)),
        max_timestamp: 5,
        term: Term(6),
    };
    put(CHECKPOINT_LEN, &|out| {
        put_checkpoint(out, LOG, LogKind::Topic, &point)
    });
    let inline = SnapshotState::Inline(b"state");
    put(snapshot_len(&inline), &|out| {
        put_snapshot(out, LOG, LogKind::Machine, Ordinal(9), &inline)
    });
    let file = SnapshotState::File {
        generation: Generation(2),
        len: 70_000,
        crc: 0x0BAD_CAFE,
    };
    put(snapshot_len(&file), &|out| {
        put_snapshot(out, LOG, LogKind::Topic, Ordinal(9), &file)
    });
    put(prefix_len(64), &|out| {
        put_prefix(out, LOG, LogKind::Topic, &meta(40, 100), &[9; 64])
    });
    put(entry_len(5), &|out| {
        put_entry(out, LOG, LogKind::Topic, &meta(41, 5), b"entry")
    });
    let entries = [(meta(42, 4000), 64), (meta(43, 200), 200)];
    let extent = NewExtent {
        segment: Ordinal(40),
        generation: Generation(3),
        position: 105,
        entries: &entries,
        spans: &[span(42, 105, 4000), span(43, 4105, 200)],
        tail: &[0xEE; 209],
    };
    put(extent_len(2, 2, 209), &|out| {
        put_extent(out, LOG, LogKind::Topic, &extent)
    });
    put(END_LEN, &|out| {
        put_end(out, LOG, LogKind::Topic, Ordinal(44))
    });
    body
}

fn header(body_len: usize) -> CommitHeader {
    CommitHeader {
        journal: JournalId {
            generation: Generation(5),
            core: CoreId(2),
            salt: 0xFEDC_BA98_7654_3210,
        },
        seq: CommitSeq(0x77),
        live_from: CommitSeq(0x55),
        live_from_at: RingPosition {
            file: 6,
            block: 0x0102,
        },
        durable_through: CommitSeq(0x74),
        count: 7,
        body_len: u32::try_from(body_len).unwrap(),
        body_crc: 0,
    }
}

fn commit() -> Vec<u8> {
    let body = body();
    let mut buf = vec![0xFF; commit_len(body.len())];
    buf[COMMIT_HEADER..][..body.len()].copy_from_slice(&body);
    seal(&mut buf, &header(body.len()));
    buf
}

fn index() -> IndexBlock {
    IndexBlock {
        log: LOG,
        base: Ordinal(40),
        generation: Generation(3),
        written: Generation(4),
        number: 1,
    }
}

fn index_block() -> Vec<u8> {
    let mut block = vec![0xFF; BLOCK];
    encode_block(
        &mut block,
        &index(),
        &[span(42, 105, 4000), span(43, 4105, 200)],
    );
    block
}

fn snapshot_file() -> (SnapshotId, Vec<u8>) {
    let id = SnapshotId {
        log: LOG,
        ordinal: Ordinal(9),
        generation: Generation(2),
    };
    let mut file = vec![0xFF; snapshot::file_len(11)];
    snapshot::encode(&mut file, &id, b"large state");
    (id, file)
}

/// Bytes up to the last that is not zero, 16 to a line: what `docs/disk-format.md` explains.
fn dump(bytes: &[u8]) -> String {
    let used = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |at| at + 1);
    let lines = bytes[..used].chunks(16).map(|line| {
        let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        hex.join(" ") + "\n"
    });
    lines.collect()
}

#[test]
fn every_structure_has_its_golden_bytes() {
    let mut slot = vec![0xFF; BLOCK];
    superblock().encode(&mut slot);
    assert_eq!(
        dump(&slot),
        include_str!("../../tests/golden/superblock.hex")
    );
    mark().encode(&mut slot);
    assert_eq!(dump(&slot), include_str!("../../tests/golden/mark.hex"));
    assert_eq!(
        dump(&commit()),
        include_str!("../../tests/golden/commit.hex")
    );
    assert_eq!(
        dump(&index_block()),
        include_str!("../../tests/golden/index.hex")
    );
    assert_eq!(
        dump(&snapshot_file().1),
        include_str!("../../tests/golden/snapshot.hex")
    );
}

#[test]
fn everything_comes_back_as_it_was() {
    let mut slot = vec![0; BLOCK];
    superblock().encode(&mut slot);
    assert_eq!(Superblock::decode(&slot), Ok(superblock()));
    mark().encode(&mut slot);
    assert_eq!(Mark::decode(&slot), Ok(mark()));
    let commit = commit();
    let found = CommitHeader::decode(&commit, |_| true).unwrap();
    let expected = CommitHeader {
        body_crc: found.body_crc,
        ..header(body().len())
    };
    assert_eq!(found, expected);
    assert!(found.matches_body(&body()));
    let mut spans = Vec::new();
    decode_block(&index_block(), &index(), &mut spans).unwrap();
    assert_eq!(spans, [span(42, 105, 4000), span(43, 4105, 200)]);
    let (id, file) = snapshot_file();
    let sum = snapshot::StateSum {
        len: 11,
        crc: crc(b"large state"),
    };
    assert_eq!(snapshot::decode_head(&file, &id), Ok(sum));
    assert_eq!(&file[snapshot::SNAPSHOT_HEADER..][..11], b"large state");
}

#[test]
fn every_kind_of_record_comes_back_as_it_was() {
    let body = body();
    let records: Vec<_> = Records::new(&body).map(Result::unwrap).collect();
    assert_eq!(records.len(), 7);
    assert!(records.iter().all(|record| record.log == LOG));
    assert_eq!(records[1].kind, LogKind::Machine);
    assert_eq!(
        records[1].record,
        Record::Snapshot(SnapshotState::Inline(b"state"))
    );
    let prefix = Record::Prefix {
        meta: meta(40, 100),
        prefix: &[9; 64],
    };
    assert_eq!(records[3].record, prefix);
    let entry = Record::Entry {
        meta: meta(41, 5),
        bytes: b"entry",
    };
    assert_eq!(records[4].record, entry);
    let Record::Extent(extent) = &records[5].record else {
        panic!("an extent");
    };
    let entries: Vec<_> = extent.entries(records[5].ordinal).collect();
    assert_eq!(entries, [(meta(42, 4000), 64), (meta(43, 200), 200)]);
    assert_eq!(extent.boundary(), BLOCK as u64);
    assert_eq!(extent.spans().count(), 2);
    assert_eq!(records[6].record, Record::End);
    assert_eq!(records[6].ordinal, Ordinal(44));
}

const NEWER: u8 = FORMAT_VERSION as u8 + 1;

/// Sets the version of a structure and makes its CRC fit again.
fn newer(bytes: &[u8], version_at: usize, crc_at: usize) -> Vec<u8> {
    of_version(NEWER, bytes, version_at, crc_at)
}

fn of_version(version: u8, bytes: &[u8], version_at: usize, crc_at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[version_at] = version;
    let sum = crc(&bytes[..crc_at]);
    bytes[crc_at..crc_at + 4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn newer_versions_are_told_from_damage() {
    let mut slot = vec![0; BLOCK];
    superblock().encode(&mut slot);
    let error = Superblock::decode(&newer(&slot, 8, 60)).unwrap_err();
    assert!(error.is_version(), "{error}");
    let (has, whose) = (format!("version {NEWER}"), "the newer Leveret");
    assert!(error.to_string().contains(&has) && error.to_string().contains(whose));
    let older = of_version(FORMAT_VERSION as u8 - 1, &slot, 8, 60);
    let error = Superblock::decode(&older).unwrap_err();
    assert!(error.to_string().contains("the older Leveret"), "{error}");
    let commit = newer(&commit(), 4, COMMIT_HEADER - 4);
    assert!(
        CommitHeader::decode(&commit, |_| true)
            .unwrap_err()
            .is_version()
    );
    let strange = CommitHeader::decode(&commit, |_| false);
    assert!(matches!(strange, Err(FormatError::Absent(_))));
    let (id, file) = snapshot_file();
    let file = newer(&file, 8, snapshot::SNAPSHOT_HEADER - 4);
    assert!(snapshot::decode_head(&file, &id).unwrap_err().is_version());
}

#[test]
fn geometries_whose_newest_commit_could_not_be_found_are_refused() {
    let good = superblock().geometry;
    assert_eq!(good.broken_rule(), None);
    let bad = [
        Geometry { files: 1, ..good },
        Geometry {
            in_flight: 0,
            ..good
        },
        Geometry {
            file_bytes: 5000,
            ..good
        },
        Geometry {
            max_commit_bytes: 4096,
            ..good
        },
        Geometry {
            file_bytes: 1 << 19,
            ..good
        },
        Geometry {
            file_bytes: 1 << 20,
            files: 4,
            ..good
        },
    ];
    for geometry in bad {
        assert!(geometry.broken_rule().is_some(), "{geometry:?}");
    }
}

#[test]
fn a_full_index_block_holds_what_it_says() {
    let spans: Vec<_> = (0..SPANS_PER_BLOCK as u64)
        .map(|at| span(40 + at, at * 10, 10))
        .collect();
    let mut block = vec![0; BLOCK];
    encode_block(&mut block, &index(), &spans);
    let mut found = Vec::new();
    decode_block(&block, &index(), &mut found).unwrap();
    assert_eq!(found, spans);
}

proptest! {
    #[test]
    fn a_flipped_bit_in_a_checked_structure_never_passes(at in 0..BLOCK * 8) {
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes[at / 8] ^= 1 << (at % 8);
            bytes
        };
        let mut spans = Vec::new();
        prop_assert!(decode_block(&flip(&index_block()), &index(), &mut spans).is_err());
        prop_assert!(spans.is_empty());
        let commit = flip(&commit());
        let checked = COMMIT_HEADER + body().len();
        if at / 8 < checked {
            let header = CommitHeader::decode(&commit, |_| true);
            prop_assert!(!header.is_ok_and(|header| header.matches_body(&commit[COMMIT_HEADER..checked])));
        }
    }

    #[test]
    fn random_records_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600), kind in 0_u8..8, len in 0_u32..700) {
        if bytes.len() > 8 {
            bytes[0] = kind;
            bytes[1] = 0;
            bytes[4..8].copy_from_slice(&len.to_le_bytes());
        }
        for record in Records::new(&bytes).flatten() {
            if let Record::Extent(extent) = record.record {
                prop_assert_eq!(extent.entries(record.ordinal).count(), extent.entry_count());
            }
        }
    }

    #[test]
    fn damaged_records_never_panic(at in 0_usize..1000, byte: u8) {
        let mut body = body();
        let at = at % body.len();
        body[at] = byte;
        let records = Records::new(&body).flatten();
        prop_assert!(records.count() <= body.len() / END_LEN);
    }
}

#[test]
fn sequences_begin_at_one() {
    let mut buf = vec![0; commit_len(0)];
    let first = CommitHeader {
        seq: FIRST_SEQ,
        live_from: FIRST_SEQ,
        durable_through: CommitSeq(0),
        body_len: 0,
        ..header(0)
    };
    seal(&mut buf, &first);
    assert!(CommitHeader::decode(&buf, |_| true).is_ok());
}
