//! Every kind of file, damaged in every way: `verify` names what a start refuses, says or stops a log for,
//! or a reader meets, and nothing else.

use bytes::Bytes;

use super::world::{LOG, World, small};
use crate::io::{BLOCK, FileName};
use crate::recovery::Flaw;
use crate::recovery::tests::blind::Blind;
use crate::recovery::tests::disk::{Disk, Pool};
use crate::store::{LogSettings, NewEntry};
use crate::types::{Level, LogId, LogKind, Offset, SlotId, Term};
use crate::verify::{Finding, Verify};

const MACHINE: LogId = LogId(0);
const OTHER: LogId = LogId(9);

/// How the directory was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Killed,
    Stopped,
    /// Killed, started again, and killed.
    Again,
}

/// Two topics with segments, snapshots in files and entries in the journal, and a machine log.
fn world(left: Left) -> World {
    let mut world = World::new(small(), 3);
    let kind = LogKind::Machine;
    world
        .store
        .create_log(MACHINE, SlotId(0), kind, LogSettings::default());
    for log in [LOG, OTHER] {
        let segment_bytes = 40_000;
        let settings = LogSettings {
            segment_bytes,
            ..LogSettings::default()
        };
        world.topic(log, settings);
    }
    for round in 0..120 {
        for log in [LOG, OTHER] {
            world.must_append(log, 900);
        }
        if round % 20 == 0 {
            world.settle();
            decide(&mut world);
            world.settle();
        }
    }
    world.settle();
    for (log, byte) in [(MACHINE, 1), (LOG, 2), (OTHER, 3)] {
        let state = Bytes::from(vec![byte; 9000]);
        world.store.put_snapshot(log, state, None);
    }
    world.settle();
    for log in [LOG, OTHER] {
        world.must_append(log, 500);
    }
    world.settle();
    decide(&mut world);
    world.sleep(2_000_000_000);
    match left {
        Left::Killed => {}
        Left::Stopped => {
            world.store.begin_stop(world.now);
            for _ in 0..3 {
                world.sleep(1_000_000_000);
            }
        }
        Left::Again => {
            world.restart(LogSettings::default());
            for log in [LOG, OTHER] {
                world.must_append(log, 700);
            }
            world.sleep(2_000_000_000);
        }
    }
    world
}

/// An entry of the machine log.
fn decide(world: &mut World) {
    let entry = NewEntry {
        term: Term(1),
        time: world.now.wall,
        first_offset: Offset(0),
        offsets: 0,
        max_timestamp: 0,
        bytes: Bytes::from_static(b"a decision"),
        sum: None,
    };
    let ordinal = world.store.append(MACHINE, entry, Level::Synced, world.now);
    ordinal.expect("there is room");
}

type Change = fn(&mut Vec<u8>);

const CHANGES: [(&str, Change); 9] = [
    ("emptied", |bytes| bytes.clear()),
    ("cut", |bytes| bytes.truncate(bytes.len() / 2)),
    ("cut to a block", |bytes| bytes.truncate(BLOCK)),
    ("zeroed tail", |bytes| {
        let from = bytes.len() / 2;
        bytes[from..].fill(0);
    }),
    ("zeroed last block", |bytes| {
        let from = bytes.len().saturating_sub(BLOCK);
        bytes[from..].fill(0);
    }),
    ("zeroed head", |bytes| {
        let to = bytes.len() / 2;
        bytes[..to].fill(0);
    }),
    ("zeroed first block", |bytes| {
        let to = BLOCK.min(bytes.len());
        bytes[..to].fill(0);
    }),
    ("zeroed middle", |bytes| {
        let len = bytes.len();
        bytes[len / 3..2 * len / 3].fill(0);
    }),
    ("zeroed", |bytes| bytes.fill(0)),
];

/// The directories that differ from this one by one file: how, and themselves.
fn damaged(left: Left) -> impl Iterator<Item = (String, World)> {
    let files: Vec<FileName> = world(left).disk.files.keys().copied().collect();
    let next = |at: usize| files[(at + 1) % files.len()];
    let swaps = files.clone().into_iter().enumerate();
    let swaps: Vec<_> = swaps.map(|(at, file)| (file, next(at))).collect();
    let removed = files.clone().into_iter().map(move |file| {
        let mut world = world(left);
        world.disk.files.remove(&file);
        (format!("{file} deleted"), world)
    });
    let changed = files.into_iter().flat_map(move |file| {
        CHANGES.iter().filter_map(move |(name, change)| {
            let mut world = world(left);
            let bytes = world.disk.files.get_mut(&file)?;
            let before = bytes.clone();
            change(bytes);
            (*bytes != before).then(|| (format!("{file} {name}"), world))
        })
    });
    let swapped = swaps.into_iter().map(move |(one, other)| {
        let mut world = world(left);
        let content = world.disk.files[&one].clone();
        let content = world.disk.files.insert(other, content);
        world.disk.files.insert(one, content.expect("it is there"));
        (format!("{one} and {other} swapped"), world)
    });
    removed.chain(changed).chain(swapped)
}

/// What a check finds.
fn findings(disk: &Disk) -> Vec<Flaw> {
    let report = disk.clone().drive(Verify::new(Pool, Blind));
    let findings = report.expect("it ends").findings.into_iter();
    let flaw = |found: Finding| Flaw {
        file: found.file,
        position: found.position,
        what: found.what,
    };
    findings.map(flaw).collect()
}

#[test]
fn a_check_names_what_a_start_or_a_reader_meets_and_nothing_else() {
    for left in [Left::Killed, Left::Stopped, Left::Again] {
        let mut whole = world(left);
        assert_eq!(findings(&whole.disk), [], "{left:?}");
        assert_eq!(begin(&mut whole), Ok(Vec::new()), "{left:?}");
        let (mut refused, mut said, mut harmless) = (0, 0, 0);
        for (how, mut world) in damaged(left) {
            let found = findings(&world.disk);
            match begin(&mut world) {
                Ok(flaws) if flaws.is_empty() => {
                    assert_eq!(found, [], "{left:?}, {how}: nothing is lacking");
                    harmless += 1;
                }
                // In the same words.
                Ok(flaws) => {
                    assert_eq!(found, flaws, "{left:?}, {how}");
                    said += 1;
                }
                Err(error) => {
                    assert!(!found.is_empty(), "{left:?}, {how}: {error}");
                    refused += 1;
                }
            }
        }
        assert!(
            refused > 50 && said > 2 && harmless > 2,
            "{refused} {said} {harmless}"
        );
    }
}

/// Starts, and reads all that was accepted: what the start says, or why it or a reader cannot go on.
fn begin(world: &mut World) -> Result<Vec<Flaw>, String> {
    world.recovers().map_err(|error| error.to_string())?;
    let said = world.recovery_of(&world.disk).flaws;
    let accepted = world.accepted.clone();
    world.restart(LogSettings::default());
    for (log, entries) in accepted {
        let end = entries.last().unwrap().1;
        let frontiers = world.store.frontiers(log).ok_or("no log")?;
        if frontiers.durable.1 != end {
            return Err(format!("log {} ends early", log.0));
        }
        let mut at = frontiers.start.1;
        while at < end {
            let data = world.read(log, at, 5000);
            let data = data.map_err(|error| error.to_string())?;
            let bytes: Vec<u8> = data.chunks.concat();
            let all = world.accepted[&log].clone();
            at = super::world::compare(&all, at, &bytes);
        }
    }
    Ok(said)
}
