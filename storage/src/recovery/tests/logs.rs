//! What becomes of logs: extents, snapshots, prefixes, deletions, large remainders, other cores.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::disk::Disk;
use super::journals::{assert_tail, only, open};
use super::rings::{Ring, disk, meta, payload, point};
use crate::format::index::Span;
use crate::format::record::{self, Checkpoint, NewExtent, PREFIX_MAX, SnapshotState};
use crate::format::snapshot::{self, SnapshotId};
use crate::format::{crc, round_down};
use crate::io::{BLOCK, Dir, FileName};
use crate::recovery::{Recovered, RecoveryError};
use crate::types::{CoreId, EntryMeta, Generation, LogId, LogKind, Offset, Ordinal, SlotId, Term};

pub(super) const LOG: LogId = LogId(9);

fn refusal(result: Result<Recovered, RecoveryError>) -> String {
    result.expect_err("it must refuse").to_string()
}

/// What is said of [`LOG`].
fn lost(disk: &mut Disk) -> String {
    let recovered = open(disk, 1).unwrap();
    let lost = only(&recovered, LOG).lost.as_ref();
    lost.expect("it is lost").reason.clone()
}

fn segment(log: LogId, base: u64, generation: u32) -> FileName {
    FileName::Segment {
        log,
        base: Ordinal(base),
        generation: Generation(generation),
    }
}

/// Writes entries `range` of `len` bytes as one bulk write, from `position` of the segment on,
/// and journals its extent.
pub(super) fn bulk(
    disk: &mut Disk,
    ring: &mut Ring,
    range: std::ops::Range<u64>,
    len: usize,
    position: u64,
) -> FileName {
    let file = segment(LOG, 0, 1);
    disk.dirs.insert(Dir::Log(LOG));
    let entries: Vec<EntryMeta> = range.clone().map(|ordinal| meta(ordinal, len)).collect();
    let bytes: Vec<u8> = range
        .clone()
        .flat_map(|ordinal| payload(LOG, ordinal, len))
        .collect();
    let mut spans = Vec::new();
    let mut at = 0;
    for three in entries.chunks(3) {
        let length = three.len() * len;
        spans.push(Span {
            first_ordinal: three[0].ordinal,
            first_offset: three[0].first_offset,
            max_timestamp: three[three.len() - 1].max_timestamp,
            position: position + at as u64,
            term: Term(1),
            length: u32::try_from(length).unwrap(),
            entries: u32::try_from(three.len()).unwrap(),
            crc: crc(&bytes[at..at + length]),
        });
        at += length;
    }
    let end = position + bytes.len() as u64;
    let in_file = usize::try_from(round_down(end).max(position) - position).unwrap();
    let content = disk.files.entry(file).or_default();
    let begin = usize::try_from(position).unwrap();
    content.resize(begin, 0);
    content.extend_from_slice(&bytes[..in_file]);
    let replay = LogKind::Topic.class().replay;
    let whole = payload(LOG, range.start, len);
    let replayed = u32::try_from(replay.of(&whole).len()).unwrap();
    let told: Vec<_> = entries.iter().map(|meta| (*meta, replayed)).collect();
    let extent = NewExtent {
        segment: Ordinal(0),
        generation: Generation(1),
        position,
        entries: &told,
        spans: &spans,
        tail: &bytes[in_file..],
    };
    let size = record::extent_len(entries.len(), spans.len(), extent.tail.len());
    ring.put(size, |out| {
        record::put_extent(out, LOG, LogKind::Topic, &extent)
    });
    ring.commit(disk);
    file
}

#[test]
fn extents_with_tails_are_carried_over() {
    // The second bulk write begins within a block, behind inline entries.
    for len in [700, 1500, 4096, 2048] {
        let mut disk = disk(1);
        let mut ring = Ring::new(1, 0);
        ring.checkpoint(LOG, &point(0));
        bulk(&mut disk, &mut ring, 0..7, len, 0);
        ring.entry(LOG, 7, 100).commit(&mut disk);
        bulk(&mut disk, &mut ring, 8..13, len, 7 * len as u64 + 100);
        let recovered = open(&mut disk, 1).unwrap();
        let log = only(&recovered, LOG);
        if len * 12 < 8000 {
            assert_tail(log, 0, 13);
        }
        assert_eq!(log.next, (Ordinal(13), Offset(26)));
        let tails = u64::from(7 * len % BLOCK != 0) + u64::from((12 * len + 100) % BLOCK != 0);
        assert_eq!(recovered.summary.tailed_extents, tails);
        assert_eq!(log.replay.len(), 13);
        for (meta, prefix) in &log.replay {
            let whole = payload(LOG, meta.ordinal.0, meta.len as usize);
            assert_eq!(*prefix, whole[..PREFIX_MAX.min(whole.len())]);
        }
        let old = disk.files.get(&segment(LOG, 0, 1));
        assert!(old.is_none(), "nothing of it is below the checkpoint");
    }
}

#[test]
fn a_damaged_extent_stops_its_log_with_its_place() {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    ring.checkpoint(LOG, &point(0));
    let file = bulk(&mut disk, &mut ring, 0..9, 1000, 0);
    disk.files.get_mut(&file).unwrap()[4500] ^= 4;
    let reason = lost(&mut disk);
    let place = format!("{file} at byte 3000: the span of entry 3");
    assert!(reason.starts_with(&place), "{reason}");
}

#[test]
fn large_remainders_go_to_new_segments_with_an_index() {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    ring.checkpoint(LOG, &point(0));
    for ordinal in 0..45 {
        ring.entry(LOG, ordinal, 2000).commit(&mut disk);
    }
    let recovered = open(&mut disk, 1).unwrap();
    assert_eq!(
        recovered.summary.segments_written, 3,
        "90,000 bytes by 40,000"
    );
    let log = only(&recovered, LOG);
    assert_eq!(log.checkpoint, (Ordinal(45), Offset(90)));
    assert_eq!(log.next, log.checkpoint);
    assert!(log.tail.is_empty());
    assert_eq!(log.replay.len(), 45, "no snapshot: the machine replays all");
    assert_eq!(log.max_timestamp, 10_044);
    let mut bytes = Vec::new();
    for base in [0, 20, 40] {
        let content = &disk.files[&segment(LOG, base, 2)];
        let entries = if base == 40 { 5 } else { 20 };
        bytes.extend_from_slice(&content[..entries * 2000]);
        assert!(content[entries * 2000..].iter().all(|&byte| byte == 0));
    }
    let expected: Vec<u8> = (0..45)
        .flat_map(|ordinal| payload(LOG, ordinal, 2000))
        .collect();
    assert!(bytes == expected, "segments hold the entries back to back");
    let again = open(&mut disk, 1).unwrap();
    let log = only(&again, LOG);
    assert_eq!(log.replay.len(), 45, "prefixes are carried on");
    assert_eq!(log.next, (Ordinal(45), Offset(90)));
}

#[test]
fn a_missing_ordinal_is_refused() {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    ring.checkpoint(LOG, &point(0));
    ring.entry(LOG, 0, 50).entry(LOG, 2, 50).commit(&mut disk);
    assert!(refusal(open(&mut disk, 1)).contains("entry 1 is missing"));
}

#[test]
fn what_a_snapshot_or_a_checkpoint_says_exists_must_be_there() {
    let case = |snapshot: u64, checkpoint: u64, entries: std::ops::Range<u64>| {
        let mut disk = disk(1);
        disk.dirs.insert(Dir::Log(LOG));
        let mut ring = Ring::new(1, 0);
        ring.checkpoint(LOG, &point(checkpoint));
        ring.snapshot(LOG, snapshot, SnapshotState::Inline(b"state"));
        for ordinal in entries {
            ring.entry(LOG, ordinal, 50);
        }
        ring.commit(&mut disk);
        open(&mut disk, 1)
    };
    assert!(case(5, 3, 3..5).is_ok());
    assert!(refusal(case(6, 3, 3..5)).contains("entry 5 is missing"));
    assert!(refusal(case(1, 3, 2..5)).contains("entry 1 is missing"));
    assert!(case(3, 3, 3..3).is_ok());
    let log = case(1, 3, 1..6).unwrap();
    assert_eq!(only(&log, LOG).replay.len(), 5);
    assert_eq!(only(&log, LOG).tail.len(), 3);
}

#[test]
fn a_log_without_its_checkpoint_record_is_refused() {
    let mut disk = disk(1);
    Ring::new(1, 0).entry(LOG, 0, 50).commit(&mut disk);
    assert!(refusal(open(&mut disk, 1)).contains("checkpoint record is missing"));
}

#[test]
fn two_different_entries_of_one_ordinal_are_refused_and_copies_are_not() {
    let mut first = disk(1);
    let mut ring = Ring::new(1, 0);
    ring.checkpoint(LOG, &point(0));
    ring.entry(LOG, 0, 50).entry(LOG, 1, 50).commit(&mut first);
    ring.entry(LOG, 0, 50).commit(&mut first);
    let mut second = first.clone();
    assert_tail(only(&open(&mut first, 1).unwrap(), LOG), 0, 2);
    ring.entry(LOG, 0, 51).commit(&mut second);
    assert!(refusal(open(&mut second, 1)).contains("two different entries 0"));
}

#[test]
fn the_higher_term_wins_and_ends_what_follows_of_the_lower() {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    ring.checkpoint(LOG, &point(0));
    for ordinal in 0..5 {
        ring.entry(LOG, ordinal, 50);
    }
    let newer = EntryMeta {
        term: Term(2),
        ..meta(2, 9)
    };
    ring.entry_as(LOG, &newer, b"new term.");
    ring.commit(&mut disk);
    let recovered = open(&mut disk, 1).unwrap();
    let log = only(&recovered, LOG);
    assert_eq!(log.tail.len(), 3);
    assert_eq!(log.tail[2].1, Bytes::from_static(b"new term."));
    assert_eq!((log.term, log.next.0), (Term(2), Ordinal(3)));
}

#[test]
fn a_deleted_log_is_gone_with_its_files() {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    ring.checkpoint(LOG, &point(0));
    bulk(&mut disk, &mut ring, 0..3, 3000, 0);
    ring.checkpoint(LogId(1), &point(0)).entry(LogId(1), 0, 10);
    ring.end(LOG, 3).commit(&mut disk);
    let recovered = open(&mut disk, 1).unwrap();
    let ids: Vec<_> = recovered.cores[0].logs.iter().map(|log| log.id).collect();
    assert_eq!(ids, [LogId(1)]);
    assert!(!disk.dirs.contains(&Dir::Log(LOG)));
    assert!(!disk.files.contains_key(&segment(LOG, 0, 1)));
}

#[test]
fn snapshots_stand_inline_or_in_checked_files() {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    let state = vec![7; 30_000];
    let id = SnapshotId {
        log: LOG,
        ordinal: Ordinal(4),
        generation: Generation(1),
    };
    let file = FileName::Snapshot {
        log: LOG,
        ordinal: id.ordinal,
        generation: id.generation,
    };
    let mut content = vec![0; snapshot::file_len(state.len())];
    snapshot::encode(&mut content, &id, &state);
    disk.files.insert(file, content);
    disk.dirs.insert(Dir::Log(LOG));
    let form = SnapshotState::File {
        generation: Generation(1),
        len: 30_000,
        crc: crc(&state),
    };
    ring.checkpoint(LOG, &point(4)).snapshot(LOG, 4, form);
    ring.checkpoint(LogId(2), &point(0));
    ring.snapshot(LogId(2), 0, SnapshotState::Inline(b"small"));
    ring.commit(&mut disk);
    for _ in 0..2 {
        let recovered = open(&mut disk, 1).unwrap();
        let log = only(&recovered, LOG);
        assert_eq!(log.snapshot, Some((Ordinal(4), Bytes::from(state.clone()))));
        assert_eq!(log.snapshot_file.unwrap().generation, Generation(1));
        let small = only(&recovered, LogId(2)).snapshot.clone();
        assert_eq!(small, Some((Ordinal(0), Bytes::from_static(b"small"))));
    }
    let mut damaged = disk.clone();
    damaged.files.get_mut(&file).unwrap()[20_000] ^= 1;
    assert!(lost(&mut damaged).contains("wrong CRC"));
    disk.files.remove(&file);
    assert!(lost(&mut disk).contains("snapshot file is missing"));
}

#[test]
fn logs_spread_evenly_when_the_number_of_cores_changes() {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    for log in 0..10 {
        let slot = SlotId(log as u8);
        ring.checkpoint(LogId(log), &Checkpoint { slot, ..point(0) })
            .entry(LogId(log), 0, 20);
    }
    ring.commit(&mut disk);
    for cores in [3, 1, 4, 2] {
        let recovered = open(&mut disk, cores).unwrap();
        let counts: Vec<_> = recovered.cores.iter().map(|core| core.logs.len()).collect();
        assert_eq!(counts.iter().sum::<usize>(), 10);
        let spread = counts.iter().max().unwrap() - counts.iter().min().unwrap();
        assert!(spread <= 1, "{counts:?}");
        assert!(recovered.cores[0].logs.iter().any(|log| log.id.0 == 0));
        for log in 0..10 {
            assert_tail(only(&recovered, LogId(log)), 0, 1);
        }
    }
    let same = open(&mut disk, 2).unwrap();
    assert_eq!(same.summary.moved, 0);
}

#[test]
fn many_cores_fit_into_the_ring_of_one() {
    let mut disk = disk(4);
    for core in 0..4_u16 {
        let mut ring = Ring::new(1, core);
        for part in 0..40_u64 {
            let log = LogId(u64::from(core) * 100 + part);
            ring.checkpoint(log, &point(0));
            ring.entry(log, 0, 3000).commit(&mut disk);
        }
    }
    let recovered = open(&mut disk, 1).unwrap();
    assert_eq!(recovered.cores[0].logs.len(), 160);
    let ring = recovered.geometry.ring_bytes();
    let used: u64 = recovered.cores[0]
        .commits
        .iter()
        .map(|c| u64::from(c.len))
        .sum();
    assert!(used <= ring / 2, "{used} of {ring}");
}

#[test]
fn the_start_survives_and_moves_the_checkpoint_along() {
    let mut disk = disk(1);
    let mut ring = Ring::new(1, 0);
    let trimmed = Checkpoint {
        start: (Ordinal(3), Offset(6)),
        ..point(1)
    };
    ring.checkpoint(LOG, &trimmed);
    for ordinal in 0..5 {
        ring.entry(LOG, ordinal, 30);
    }
    ring.commit(&mut disk);
    for _ in 0..2 {
        let recovered = open(&mut disk, 1).unwrap();
        let log = only(&recovered, LOG);
        assert_eq!(log.start, (Ordinal(3), Offset(6)));
        assert_tail(log, 3, 5);
        assert_eq!(log.replay.len(), 5);
    }
}

/// Everything logical of a recovery.
fn essence(recovered: &Recovered) -> Vec<(LogId, CoreId, Ordinal, Vec<Bytes>, usize)> {
    let logs = recovered.cores.iter().flat_map(|core| {
        core.logs.iter().map(|log| {
            let tail = log.tail.iter().map(|(_, bytes, _)| bytes.clone()).collect();
            (
                log.id,
                core.journal.core,
                log.next.0,
                tail,
                log.replay.len(),
            )
        })
    });
    logs.collect()
}

#[test]
fn a_crash_at_any_operation_leaves_the_next_try_the_same() {
    let mut before = disk(2);
    for core in 0..2_u16 {
        let mut ring = Ring::new(1, core);
        for log in 0..3 {
            let log = LogId(u64::from(core) * 3 + log);
            ring.checkpoint(log, &point(0));
            for ordinal in 0..8 {
                ring.entry(log, ordinal, 500 + 1000 * (log.0 as usize))
                    .commit(&mut before);
            }
        }
    }
    let mut whole = before.clone();
    whole.ops = 0;
    let expected = essence(&open(&mut whole, 1).unwrap());
    let mut generations = BTreeSet::new();
    // The last operation asks what is free, which a start can do without.
    for dies_at in 0..whole.ops - 1 {
        let mut disk = before.clone();
        disk.ops = 0;
        disk.dies_at = Some(dies_at);
        assert!(open(&mut disk, 1).is_err());
        disk.dies_at = None;
        let recovered = open(&mut disk, 1).unwrap();
        assert_eq!(
            essence(&recovered),
            expected,
            "after a crash at operation {dies_at}"
        );
        generations.insert(recovered.generation);
        let journals = disk.files.keys().filter(|file| file.dir() == Dir::Journal);
        assert_eq!(journals.count(), usize::from(recovered.geometry.files));
    }
    assert_eq!(
        generations.len(),
        2,
        "before and after the new ring's first file"
    );
}
