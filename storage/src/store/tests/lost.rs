//! Files of logs that somebody deleted, cut or swapped: their log gives errors and never other
//! bytes, the other logs are served, and whatever is still there stays as it is.

use std::collections::BTreeMap;

use super::world::{LOG, World, small};
use crate::io::{BLOCK, Dir, FileName};
use crate::recovery::RecoveryError;
use crate::store::{LogSettings, ReadError};
use crate::types::{LogId, Offset};

const OTHER: LogId = LogId(LOG.0 + 1);

type Files = BTreeMap<FileName, Vec<u8>>;

/// Two logs with several segments each, of different lengths, stopped; all is in segments.
fn world() -> World {
    let mut world = World::new(small(), 7);
    for log in [LOG, OTHER] {
        world.topic(log, LogSettings::default());
    }
    for round in 0..300 {
        world.append(LOG, 900).unwrap();
        if round % 2 == 0 {
            world.append(OTHER, 1100).unwrap();
        }
        world.settle();
    }
    world.restart(LogSettings::default());
    world.settle();
    assert!(world.files_of(LOG) >= 6 && world.files_of(OTHER) >= 4);
    world
}

fn of(log: LogId, file: FileName) -> bool {
    file.dir() == Dir::Log(log)
}

fn segments(world: &World, log: LogId) -> Vec<FileName> {
    let files = world.disk.files.keys().copied();
    files
        .filter(|file| of(log, *file) && matches!(file, FileName::Segment { .. }))
        .collect()
}

fn files_of(world: &World, log: LogId) -> Files {
    let files = world.disk.files.iter();
    files
        .filter(|(file, _)| of(log, **file))
        .map(|(file, bytes)| (*file, bytes.clone()))
        .collect()
}

/// Reads a log from its start on; the first error. What comes before it is what was appended.
fn first_error(world: &mut World, log: LogId) -> Option<ReadError> {
    let end = world.accepted[&log].len() as u64 * 3;
    let mut at = Offset(0);
    while at.0 < end {
        match world.read(log, at, 4000) {
            Ok(data) if data.bytes > 0 => {
                let bytes = data.chunks.concat();
                at = super::world::compare(&world.accepted[&log], at, &bytes);
            }
            Ok(_) => panic!("log {log} ends at {at:?} without an error"),
            Err(error) => return Some(error),
        }
    }
    None
}

/// Restarts on a directory whose files of [`LOG`] were damaged, and reads everything.
fn served(world: &mut World) -> ReadError {
    let before = files_of(world, LOG);
    world.events.clear();
    world.restart(LogSettings::default());
    let error = first_error(world, LOG).expect("it cannot be whole");
    world.settle();
    for (file, bytes) in before {
        let now = world.disk.files.get(&file);
        assert!(now == Some(&bytes), "{file} was touched");
    }
    error
}

fn assert_stopped(world: &World) {
    let stats = world.store.log_stats(LOG).expect("the log is known");
    assert!(stats.stopped, "the log goes on");
}

#[test]
fn what_is_untouched_reads_back() {
    let mut world = world();
    assert_eq!(first_error(&mut world, LOG), None);
    assert_eq!(first_error(&mut world, OTHER), None);
}

#[test]
fn a_missing_segment_is_an_error_where_it_was() {
    let count = segments(&world(), LOG).len();
    for missing in 0..count {
        let mut world = world();
        let segment = segments(&world, LOG)[missing];
        let FileName::Segment { base, .. } = segment else {
            unreachable!("a segment");
        };
        world.disk.files.retain(|file, _| match *file {
            FileName::Segment { log, base: at, .. } | FileName::Index { log, base: at, .. } => {
                (log, at) != (LOG, base)
            }
            _ => true,
        });
        served(&mut world);
        if missing == 0 {
            assert_stopped(&world);
            assert!(world.append(LOG, 100).is_err());
        }
        assert_eq!(first_error(&mut world, OTHER), None);
    }
}

#[test]
fn each_file_deleted_emptied_or_cut_is_an_error() {
    let files: Vec<_> = files_of(&world(), LOG).into_keys().collect();
    for file in files {
        for keep in [None, Some(0), Some(2), Some(4096)] {
            let mut world = world();
            let bytes = world.disk.files.get_mut(&file).unwrap();
            match keep {
                None => drop(world.disk.files.remove(&file)),
                Some(2) => bytes.truncate(bytes.len() / 2 / 4096 * 4096),
                Some(len) if bytes.len() > len => bytes.truncate(len),
                Some(_) => continue,
            }
            if world
                .disk
                .files
                .get(&file)
                .is_some_and(|bytes| bytes.len() == 4096 && file.name().ends_with("idx"))
            {
                continue;
            }
            served(&mut world);
            assert_eq!(first_error(&mut world, OTHER), None, "{file} {keep:?}");
        }
    }
}

#[test]
fn a_missing_folder_stops_its_log_and_no_other_folder_is_removed() {
    for renamed in [None, Some(LogId(77))] {
        let mut world = world();
        let files = files_of(&world, LOG);
        world.disk.files.retain(|file, _| !of(LOG, *file));
        world.disk.dirs.remove(&Dir::Log(LOG));
        if let Some(to) = renamed {
            world.disk.dirs.insert(Dir::Log(to));
            for (file, bytes) in files {
                let file = FileName::parse(Dir::Log(to), &file.name()).unwrap();
                world.disk.files.insert(file, bytes);
            }
        }
        let elsewhere = files_of(&world, LogId(77));
        served(&mut world);
        assert_stopped(&world);
        assert_eq!(files_of(&world, LogId(77)), elsewhere);
        assert_eq!(first_error(&mut world, OTHER), None);
    }
}

#[test]
fn swapped_folders_and_files_are_errors_and_stay_whole() {
    for suffix in ["", "log", "idx"] {
        let mut world = world();
        let swapped = |file: FileName| file.name().ends_with(suffix);
        let mut moved = Files::new();
        world.disk.files.retain(|file, bytes| {
            let to = match file.dir() {
                Dir::Log(LOG) => OTHER,
                Dir::Log(OTHER) => LOG,
                _ => return true,
            };
            if !swapped(*file) {
                return true;
            }
            let name = FileName::parse(Dir::Log(to), &file.name()).unwrap();
            moved.insert(name, std::mem::take(bytes));
            false
        });
        world.disk.files.extend(moved);
        let other = files_of(&world, OTHER);
        served(&mut world);
        assert!(first_error(&mut world, OTHER).is_some());
        world.settle();
        for (file, bytes) in other {
            assert!(
                world.disk.files.get(&file) == Some(&bytes),
                "{file} was touched"
            );
        }
    }
}

/// Everything of [`LOG`] that recovery vouches for is in the journal, as entries and as extents, and
/// its machine's state in a file; [`OTHER`] has a few entries.
fn journaled() -> World {
    let mut world = World::new(small(), 11);
    for log in [LOG, OTHER] {
        world.topic(log, LogSettings::default());
        world.append(log, 500).unwrap();
        world.settle();
    }
    world
        .store
        .put_snapshot(LOG, bytes::Bytes::from(vec![7; 900]), None);
    for len in [9000, 9000, 9000, 300, 200] {
        world.append(LOG, len).unwrap();
    }
    world.settle();
    world
}

/// A log of which a file is lost is carried round the ring by others, and is whole when that is put
/// back.
#[test]
fn a_lost_log_holds_nobody_up_and_loses_nothing_more() {
    let intact = journaled();
    let lost = |file: &&FileName| of(LOG, **file) && !matches!(file, FileName::Index { .. });
    let files: Vec<FileName> = intact.disk.files.keys().filter(lost).copied().collect();
    let kinds = |segment: bool| {
        let is = |file: &&FileName| matches!(file, FileName::Segment { .. }) == segment;
        files.iter().filter(is).count()
    };
    assert!(kinds(true) > 0 && kinds(false) > 0, "{files:?}");
    let mut stopped = 0;
    for file in files {
        let mut world = journaled();
        let content = world.disk.files.remove(&file).unwrap();
        world.restart(LogSettings::default());
        world.settle();
        let stats = world.store.log_stats(LOG).unwrap();
        if stats.stopped {
            stopped += 1;
            let error = first_error(&mut world, LOG).expect("a file is gone");
            assert!(error.to_string().contains(&file.to_string()), "{error}");
            assert!(world.append(LOG, 100).is_err());
            assert_eq!(world.find_time_error(LOG), Some(error));
        }
        for _ in 0..3 {
            let laps = world.store.stats().laps;
            while world.store.stats().laps < laps + 2 {
                world.must_append(OTHER, 700);
                world.settle();
            }
            world.check_log(OTHER, 4000);
            world.restart(LogSettings::default());
        }
        world.disk.files.insert(file, content);
        world.restart(LogSettings::default());
        assert!(!world.store.log_stats(LOG).unwrap().stopped);
        world.check_log(LOG, 4000);
        world.check_log(OTHER, 4000);
        world.must_append(LOG, 100);
    }
    assert!(stopped >= 2, "a segment and a snapshot");
}

#[test]
fn a_lost_log_can_be_deleted() {
    let mut world = journaled();
    world.disk.files.retain(|file, _| !of(LOG, *file));
    world.restart(LogSettings::default());
    assert_stopped(&world);
    world.store.drop_log(LOG);
    world.sleep(1_000_000_000);
    world.restart(LogSettings::default());
    assert!(world.store.frontiers(LOG).is_none());
    assert_eq!(first_error(&mut world, OTHER), None);
}

/// The file that recovery names.
fn refused(world: &World, what: &str) -> FileName {
    match world.recovers() {
        Err(RecoveryError::Corruption { file, .. }) => file,
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn a_ring_is_held_against_what_its_mark_vouches_for() {
    let mut world = World::new(small(), 3);
    world.topic(LOG, LogSettings::default());
    let mut early = world.disk.files.clone();
    for round in 0..40 {
        if round == 20 {
            early.clone_from(&world.disk.files);
        }
        world.append(LOG, 1500).unwrap();
        world.settle();
    }
    world.store.begin_stop(world.now);
    world.settle();
    let whole = world.disk.files.clone();
    let ends = world.recovers().expect("an untouched directory");
    let journals = whole.keys().filter(|file| file.dir() == Dir::Journal);
    let journals: Vec<FileName> = journals.copied().collect();
    for (at, &file) in journals.iter().enumerate() {
        let bytes = &whole[&file];
        world.disk.files.remove(&file);
        assert_eq!(refused(&world, "deleted"), file);
        for len in [0, BLOCK, bytes.len() / 2, bytes.len() - 1] {
            world.disk.files.insert(file, bytes[..len].to_vec());
            assert_eq!(refused(&world, "cut"), file);
        }
        let next = &whole[&journals[(at + 1) % journals.len()]];
        for other in [vec![0; bytes.len()], early[&file].clone(), next.clone()] {
            world.disk.files.insert(file, other);
            // What held nothing that counts may be anything.
            assert!(world.recovers().is_err() || world.recovers() == Ok(ends.clone()));
        }
        world.disk.files.insert(file, bytes.clone());
    }
    // All of them as they were earlier: a whole ring, but not the newest.
    let all_early = journals.iter().map(|file| (*file, early[file].clone()));
    world.disk.files.extend(all_early);
    assert_eq!(refused(&world, "of earlier").dir(), Dir::Journal);
    // Control: without marks nothing tells that there was more.
    let superblock = world.disk.files.get_mut(&FileName::Superblock).unwrap();
    superblock[2 * BLOCK..].fill(0);
    assert!(world.recovers().expect("nothing tells") < ends);
}
