//! Segments that are written while the journals are read, before it is known what counts: whatever
//! comes later, they hold in the end what the journals held, and nothing else counts.

use std::collections::BTreeMap;

use super::disk::{Disk, Pool};
use super::rings::{GEOMETRY, Ring, config, disk_of, payload, point};
use crate::format::segments::{SegmentId, sort_out};
use crate::format::superblock::Geometry;
use crate::io::{Dir, FileName};
use crate::recovery::{Recovered, RecoveryConfig, recover};
use crate::types::{Generation, LogId, Ordinal};

const LOGS: u64 = 7;

const WIDE: Geometry = Geometry {
    files: 150,
    ..GEOMETRY
};

/// What the journals say of a log at their end.
#[derive(Clone, Copy, Default)]
struct Truth {
    checkpoint: u64,
    next: u64,
    len: usize,
    ended: bool,
}

/// Entries of several logs in turn; copies of old ones behind new ones, checkpoints that pass what
/// was read long ago, logs that end.
fn left(seed: u64) -> (Disk, BTreeMap<LogId, Truth>) {
    let mut random = seed | 1;
    let mut below = move |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let mut disk = disk_of(1, WIDE);
    let mut ring = Ring::shaped(1, 0, WIDE);
    let mut truths = BTreeMap::new();
    for id in 0..LOGS {
        let len = 200 + usize::try_from(below(2000)).unwrap();
        let truth = Truth {
            len,
            ..Truth::default()
        };
        ring.checkpoint(LogId(id + 1), &point(0));
        truths.insert(LogId(id + 1), truth);
        disk.dirs.insert(Dir::Log(LogId(id + 1)));
        disk.files.insert(segment(LogId(id + 1), 0, 1), Vec::new());
    }
    for _ in 0..600 {
        let id = LogId(1 + below(LOGS));
        let truth = truths.get_mut(&id).unwrap();
        if truth.ended {
            continue;
        }
        match below(40) {
            0 if truth.next > 0 => {
                truth.checkpoint += below(truth.next - truth.checkpoint + 1);
                ring.checkpoint(id, &point(truth.checkpoint));
            }
            1..4 => {
                let first = truth.checkpoint;
                for ordinal in first..(first + below(6)).min(truth.next) {
                    ring.entry(id, ordinal, truth.len);
                }
            }
            4 if below(6) == 0 => {
                ring.end(id, truth.next);
                truth.ended = true;
            }
            _ => {
                for _ in 0..1 + below(3) {
                    ring.entry(id, truth.next, truth.len);
                    truth.next += 1;
                }
            }
        }
        if ring.pending() > 6000 {
            ring.commit(&mut disk);
        }
    }
    ring.commit(&mut disk);
    (disk, truths)
}

fn segment(log: LogId, base: u64, generation: u32) -> FileName {
    FileName::Segment {
        log,
        base: Ordinal(base),
        generation: Generation(generation),
    }
}

fn start(disk: &mut Disk, cache_bytes: usize) -> Option<Recovered> {
    let config = RecoveryConfig {
        geometry: WIDE,
        cache_bytes,
        ..config(1)
    };
    disk.drive(recover(config, Pool)).unwrap().ok()
}

/// Every entry from the checkpoint on is in the journal, or in a segment that counts for it.
fn assert_whole(disk: &Disk, recovered: &Recovered, truths: &BTreeMap<LogId, Truth>) {
    let logs = &recovered.cores[0].logs;
    assert_eq!(logs.len(), truths.values().filter(|t| !t.ended).count());
    for log in logs {
        let truth = truths[&log.id];
        let bytes = |ordinal| payload(log.id, ordinal, truth.len);
        assert_eq!(log.next.0.0, truth.next);
        assert_eq!(log.replay.len() as u64, truth.next, "{}", log.id);
        for (meta, tail, _) in &log.tail {
            assert_eq!(*tail, bytes(meta.ordinal.0));
        }
        let segments = disk.files.keys().filter_map(|file| match *file {
            FileName::Segment {
                log: of,
                base,
                generation,
            } if of == log.id => Some(SegmentId { base, generation }),
            _ => None,
        });
        let mut new = truth.checkpoint;
        for (id, range) in sort_out(segments, log.checkpoint.0).live {
            if id.generation == Generation(1) {
                // Spans of older segments may not be cut.
                assert_eq!(range.end.0, truth.checkpoint);
                continue;
            }
            assert!(range.start.0 <= new, "entry {new} of {} is nowhere", log.id);
            let file = &disk.files[&segment(log.id, id.base.0, id.generation.0)];
            let all: Vec<u8> = (range.start.0..range.end.0).flat_map(bytes).collect();
            assert!(file.starts_with(&all), "{} at {range:?}", log.id);
            new = range.end.0;
        }
        assert!(log.checkpoint.0.0 == truth.checkpoint || new == truth.next);
    }
    let of_ended = disk.files.keys().filter(|file| match file.dir() {
        Dir::Log(id) => truths[&id].ended,
        _ => false,
    });
    assert_eq!(of_ended.count(), 0);
}

#[test]
fn segments_written_early_are_what_the_journals_turn_out_to_say() {
    let mut early = 0;
    for seed in 0..20 {
        let (disk, truths) = left(seed);
        for cache in [1 << 30, 60_000, 20_000, 5000] {
            let mut disk = disk.clone();
            let recovered = start(&mut disk, cache).expect("it recovers");
            early += recovered.summary.segments_written * u64::from(cache < 100_000);
            assert_whole(&disk, &recovered, &truths);
        }
    }
    assert!(early > 200, "{early}");
}

#[test]
fn a_start_that_dies_while_it_writes_early_is_made_again() {
    let (disk, truths) = left(3);
    let mut whole = disk.clone();
    start(&mut whole, 10_000).unwrap();
    for dies_at in (0..whole.ops - disk.ops).step_by(23) {
        let mut dying = disk.clone();
        dying.dies_at = Some(disk.ops + dies_at);
        let ended = start(&mut dying, 10_000).is_some();
        dying.dies_at = None;
        let recovered = start(&mut dying, 10_000).expect("it recovers");
        if !ended && recovered.generation.0 <= 3 {
            assert_whole(&dying, &recovered, &truths);
        }
    }
}
