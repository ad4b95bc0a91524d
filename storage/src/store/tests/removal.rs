//! A log is deleted while somebody waits for something of it: the one who waits is told, and
//! nothing uses what is gone.

use super::world::{Is, LOG, World, small};
use crate::io::{FileName, Op};
use crate::store::{Event, LogSettings, ReadError, ReadOutcome, TimeOutcome};
use crate::types::{LogId, Offset};

/// What a log can wait for.
const STAGES: [Is; 4] = [
    |op| matches!(op, Op::List(_)),
    |op| {
        matches!(
            op,
            Op::Read {
                file: FileName::Index { .. },
                ..
            }
        )
    },
    |op| {
        matches!(
            op,
            Op::Read {
                file: FileName::Segment { .. },
                ..
            }
        )
    },
    |op| {
        matches!(
            op,
            Op::Write {
                file: FileName::Journal { .. },
                ..
            }
        )
    },
];

/// Who asks.
type Asks = fn(&mut World);

const ASKERS: [Asks; 4] = [
    |world| {
        let (now, end) = (world.now, end(world));
        let read = world.store.read(LOG, Offset(0)..end, 1, now);
        assert!(matches!(read, ReadOutcome::Pending(_)), "{read:?}");
    },
    |world| {
        let (now, end) = (world.now, end(world));
        let found = world.store.find_time(LOG, 0, end, now);
        assert!(matches!(found, TimeOutcome::Pending(_)), "{found:?}");
    },
    |world| {
        let end = end(world);
        world.store.trim(LOG, end);
    },
    |world| {
        let now = world.now;
        world.store.expire(LOG, now);
    },
];

fn end(world: &World) -> Offset {
    world.store.frontiers(LOG).unwrap().durable.1
}

#[test]
fn nobody_looks_into_a_log_that_is_being_deleted() {
    let settings = LogSettings {
        segment_bytes: 30_000,
        retention_bytes: Some(60_000),
        ..LogSettings::default()
    };
    let mut met = [[false; STAGES.len()]; ASKERS.len()];
    for (asker, asks) in ASKERS.iter().enumerate() {
        for (stage, held) in STAGES.iter().enumerate() {
            // Deleted before what was asked for was issued, or while it is under way.
            for issued in [false, true] {
                let mut world = World::new(small(), 113 + stage as u64);
                world.topic(LOG, settings);
                world.topic(LogId(8), settings);
                for _ in 0..200 {
                    world.must_append(LOG, 1000);
                    world.settle();
                }
                world.append(LogId(8), 100).unwrap();
                world.settle();
                world.restart(settings);
                world.holds = *held;
                asks(&mut world);
                world.sleep(60_000_000);
                // A flood, no commit of which is complete.
                for _ in 0..8 {
                    let _ = world.append(LOG, 4000);
                }
                if issued {
                    world.issue();
                }
                met[asker][stage] |= world.waits_for(*held);
                // What came before the deletion is none of its business.
                world.events.clear();
                world.store.drop_log(LOG);
                world.settle();
                world.holds = |_| false;
                world.sleep(60_000_000);
                world.sleep(400_000_000_000);
                assert!(world.events.contains(&Event::Dropped { log: LOG }));
                assert_eq!(world.files_of(LOG), 0);
                assert!(world.trimmed(LOG).is_empty(), "it has no start");
                for event in &world.events {
                    let error = match event {
                        Event::ReadDone { result, .. } => result.as_ref().err(),
                        Event::TimeDone { result, .. } => result.as_ref().err(),
                        _ => continue,
                    };
                    assert_eq!(error, Some(&ReadError::UnknownLog));
                }
                world.check_log(LogId(8), 1000);
            }
        }
    }
    // Each of them was met by somebody, so that this test tests something.
    for stage in 0..STAGES.len() {
        assert!(met.iter().any(|asker| asker[stage]), "{met:?}");
    }
}
