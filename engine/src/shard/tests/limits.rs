//! What happens when there is no room, no device, or no time.

use leveret_storage::io::{FileName, Op};
use leveret_storage::store::DiskSpace;
use leveret_storage::types::Level;

use super::bench::*;
use super::*;
use crate::partition::AppendRefusal;
use crate::topology::{Command, TopicCommand, TopicEntry, TopologyEntry};

/// A ring that a few batches fill while nothing leaves it.
fn tiny_ring(settings: ShardSettings) -> Bench {
    Bench::with(1, Level::Synced, settings, tiny_store())
}

/// Sends batches of 4 KiB into a device that does nothing until one has to wait for space;
/// returns the requests that were sent.
fn fill(bench: &mut Bench) -> Vec<RequestId> {
    bench.disk.hold = true;
    let mut sent = Vec::new();
    while bench.shard.stats().parked == 0 {
        assert!(sent.len() < 10_000, "the ring never fills");
        let n = sent.len() as i32;
        sent.push(bench.send(1, stamped(5, n, &[&[n as u8; 4000]]), Level::Synced));
        bench.run();
    }
    sent
}

#[test]
fn batches_wait_for_journal_space_in_order() {
    let mut bench = tiny_ring(ShardSettings::default());
    let mut sent = fill(&mut bench);
    for _ in 0..5 {
        let n = sent.len() as i32;
        sent.push(bench.send(1, stamped(5, n, &[&[n as u8; 4000]]), Level::Synced));
    }
    assert_eq!(bench.shard.stats().parked, 6);
    bench.disk.hold = false;
    bench.wait_ms(1000);
    for (n, request) in (0..).zip(sent) {
        let reply = bench.reply(request).expect("every batch is answered");
        assert_eq!(produced(&reply), (n, false));
    }
    assert_eq!(bench.shard.stats().parked, 0);
}

#[test]
fn too_many_or_too_long_waiting_batches_are_overloaded() {
    let mut bench = tiny_ring(ShardSettings {
        parked_requests: 2,
        parked_ns: 100_000_000,
        ..ShardSettings::default()
    });
    let sent = fill(&mut bench);
    let first_parked = *sent.last().unwrap();
    let second = bench.send(1, batch(&[b"x"]), Level::Synced);
    let third = bench.send(1, batch(&[b"y"]), Level::Synced);
    bench.run();
    let overloaded = Some(Reply::Failed(EngineError::Overloaded));
    assert_eq!(bench.reply(third), overloaded);
    assert_eq!(bench.reply(second), None);
    bench.wait_ms(100);
    assert_eq!(bench.reply(first_parked), overloaded);
    assert_eq!(bench.reply(second), overloaded);
    assert_eq!(bench.shard.stats().parked, 0);
    // What was taken is not lost by it, and what was refused left no trace.
    bench.disk.hold = false;
    bench.wait_ms(1000);
    for (n, request) in (0..).zip(&sent[..sent.len() - 1]) {
        assert_eq!(produced(&bench.reply(*request).unwrap()), (n, false));
    }
}

#[test]
fn a_batch_longer_than_the_line_waits_alone() {
    let mut bench = tiny_ring(ShardSettings {
        parked_bytes: 50,
        ..ShardSettings::default()
    });
    let sent = fill(&mut bench);
    let behind = bench.send(1, batch(&[b"small"]), Level::Synced);
    bench.run();
    let overloaded = Some(Reply::Failed(EngineError::Overloaded));
    assert_eq!(bench.reply(behind), overloaded);
    bench.disk.hold = false;
    bench.wait_ms(1000);
    for (n, request) in (0..).zip(sent) {
        assert_eq!(produced(&bench.reply(request).unwrap()), (n, false));
    }
    assert!(!produced(&bench.produce(1, batch(&[b"more"]))).1);
}

/// A shard whose journal is full, with room for one batch in the line of those that wait.
fn full(settings: ShardSettings) -> Bench {
    let mut bench = Bench::with(2, Level::Synced, settings, tiny_store());
    bench.disk.hold = true;
    while bench.shard.stats().parked == 0 {
        bench.send(2, batch(&[&[1; 4000]]), Level::Synced);
        bench.run();
    }
    bench
}

fn named(name: &str) -> Command {
    Command::Topic(TopicCommand::Create {
        name: name.parse().unwrap(),
        partitions: 1,
        config: Vec::new(),
    })
}

#[test]
fn a_change_that_finds_the_journal_full_waits_for_space_and_so_do_those_behind_it() {
    let mut bench = full(ShardSettings::default());
    let [one, two] = ["one", "two"].map(|name| {
        let request = bench.request();
        bench.shard.submit(request, &named(name), bench.now);
        request
    });
    bench.run();
    assert_eq!((bench.reply(one), bench.reply(two)), (None, None));
    bench.disk.hold = false;
    bench.wait_ms(1000);
    let created = |reply: Option<Reply>| match reply {
        Some(Reply::Topology(TopologyEntry::Topic(TopicEntry::Created(topic)))) => {
            topic.runs[0].log
        }
        other => panic!("{other:?}"),
    };
    let logs = [one, two].map(|request| created(bench.reply(request)));
    assert!(logs[0] < logs[1], "in the order in which they came");
    // Whoever stops does not wait, nor does one whose time is over.
    for stops in [true, false] {
        let mut bench = full(ShardSettings::default());
        let request = bench.request();
        bench.shard.submit(request, &named("three"), bench.now);
        bench.run();
        let expected = match stops {
            true => {
                bench.shard.begin_stop(bench.now);
                EngineError::Stopping
            }
            false => {
                bench.wait_ms(10_001);
                EngineError::Overloaded
            }
        };
        bench.run();
        assert_eq!(bench.reply(request), Some(Reply::Failed(expected)));
    }
}

#[test]
fn no_more_changes_wait_for_space_than_there_is_room_for() {
    let mut bench = full(ShardSettings {
        parked_requests: 1,
        ..ShardSettings::default()
    });
    let [first, second] = ["one", "two"].map(|name| {
        let request = bench.request();
        bench.shard.submit(request, &named(name), bench.now);
        request
    });
    bench.run();
    let overloaded = Reply::Failed(EngineError::Overloaded);
    assert_eq!(bench.reply(first), None);
    assert_eq!(bench.reply(second), Some(overloaded));
}

#[test]
fn nothing_overtakes_a_batch_that_was_refused() {
    let mut bench = full(ShardSettings {
        parked_requests: 1,
        ..ShardSettings::default()
    });
    let overloaded = Reply::Failed(EngineError::Overloaded);
    let first = bench.send(1, stamped(5, 0, &[b"a"]), Level::Synced);
    let other = bench.send(1, stamped(6, 0, &[b"x"]), Level::Synced);
    bench.run();
    assert_eq!(bench.reply(first), Some(overloaded.clone()));
    assert_eq!(bench.reply(other), Some(overloaded));
    bench.disk.hold = false;
    bench.wait_ms(1000);
    // There is space again, and what was under way behind the refused one arrives.
    for sequence in 1..5 {
        let reply = bench.produce(1, stamped(5, sequence, &[b"later"]));
        let out_of_order = AppendRefusal::OutOfOrderSequence {
            producer_id: 5,
            expected: 0,
            found: sequence,
        };
        assert_eq!(reply, Reply::Failed(out_of_order.into()));
    }
    for sequence in 0..5 {
        let reply = bench.produce(1, stamped(5, sequence, &[b"again"]));
        assert_eq!(produced(&reply), (sequence as u64, false));
    }
    // Another producer of the same partition, and the same one elsewhere, have nothing to do with it.
    assert!(matches!(
        bench.produce(2, stamped(6, 9, &[b"y"])),
        Reply::Produced(_)
    ));
    // A restart forgets it, with every connection: any sequence is the first one then.
    let mut bench = bench.restart();
    let reply = bench.produce(1, stamped(6, 3, &[b"z"]));
    assert_eq!(produced(&reply), (5, false));
}

/// What was appended before a restart is there, however its repetitions fare: one may be refused for
/// the moment, and the next acknowledged before it is sent once more.
#[test]
fn a_repetition_is_acknowledged_also_behind_one_that_was_refused() {
    let mut bench = Bench::with(
        2,
        Level::Synced,
        ShardSettings {
            parked_requests: 1,
            ..ShardSettings::default()
        },
        tiny_store(),
    );
    for sequence in 0..2 {
        bench.produce(1, stamped(5, sequence, &[b"a"]));
    }
    let mut bench = bench.restart();
    bench.disk.hold = true;
    while bench.shard.stats().parked == 0 {
        bench.send(2, batch(&[&[1; 4000]]), Level::Synced);
        bench.run();
    }
    let first = bench.send(1, stamped(5, 0, &[b"a"]), Level::Synced);
    bench.run();
    let overloaded = Some(Reply::Failed(EngineError::Overloaded));
    assert_eq!(bench.reply(first), overloaded);
    bench.disk.hold = false;
    bench.wait_ms(1000);
    for sequence in [1, 0, 1] {
        let reply = bench.produce(1, stamped(5, sequence, &[b"a"]));
        assert_eq!(produced(&reply), (sequence as u64, true), "a repetition");
    }
    // What was never there does not overtake.
    let reply = bench.produce(1, stamped(5, 2, &[b"new"]));
    assert_eq!(produced(&reply), (2, false));
}

#[test]
fn a_refusal_is_remembered_no_longer_than_a_producer() {
    let mut settings = ShardSettings {
        parked_requests: 1,
        ..ShardSettings::default()
    };
    settings.producers.expiry_ms = 60_000;
    let mut bench = full(settings);
    bench.send(1, stamped(5, 0, &[b"a"]), Level::Synced);
    bench.disk.hold = false;
    bench.wait_ms(59_000);
    let early = bench.produce(1, stamped(5, 7, &[b"b"]));
    assert!(matches!(early, Reply::Failed(EngineError::Append(_))));
    bench.wait_ms(2000);
    let late = bench.produce(1, stamped(5, 7, &[b"b"]));
    assert_eq!(produced(&late), (0, false));
}

#[test]
fn batches_that_waited_for_space_too_long_leave_no_gap() {
    let mut bench = full(ShardSettings {
        parked_ns: 100_000_000,
        ..ShardSettings::default()
    });
    bench.wait_ms(50);
    let sent: Vec<_> = (0..5)
        .map(|n| {
            bench.wait_ms(10);
            bench.send(1, stamped(5, n, &[b"a"]), Level::Synced)
        })
        .collect();
    // The first of them have waited too long, the last ones not, when there is space again.
    bench.wait_ms(75);
    bench.disk.hold = false;
    bench.wait_ms(1000);
    let replies: Vec<_> = sent.iter().map(|sent| bench.reply(*sent)).collect();
    let overloaded = Some(Reply::Failed(EngineError::Overloaded));
    assert_eq!(replies[0], overloaded, "{replies:?}");
    assert_ne!(replies[4], overloaded, "{replies:?}");
    let refused = |reply: &Option<Reply>| matches!(reply, Some(Reply::Failed(_)));
    assert!(replies.iter().all(refused), "{replies:?}");
    for sequence in 0..5 {
        let reply = bench.produce(1, stamped(5, sequence, &[b"again"]));
        assert_eq!(produced(&reply), (sequence as u64, false));
    }
}

#[test]
fn batches_that_waited_too_long_together_are_refused_in_slices() {
    let mut bench = full(ShardSettings {
        parked_ns: 100_000_000,
        ..ShardSettings::default()
    });
    let sent: Vec<_> = (0..600)
        .map(|_| bench.send(1, batch(&[b"a"]), Level::Synced))
        .collect();
    bench.run();
    bench.now.mono = bench.now.mono.after(100_000_000);
    let mut refused = Vec::new();
    while bench.shard.stats().parked > 0 {
        let before = bench.shard.stats().parked;
        assert!(
            bench.shard.poll_timeout() <= Some(bench.now.mono),
            "at once"
        );
        bench.shard.handle_timeout(bench.now);
        refused.push(before - bench.shard.stats().parked);
    }
    // The first of them filled the journal.
    assert_eq!(refused, [256, 256, 89]);
    bench.run();
    for request in sent {
        let overloaded = Some(Reply::Failed(EngineError::Overloaded));
        assert_eq!(bench.reply(request), overloaded);
    }
}

#[test]
fn a_full_disk_refuses_producing_and_goes_on_serving() {
    let mut bench = tiny_ring(ShardSettings::default());
    bench.produce(1, batch(&[b"a"]));
    bench.disk.full = true;
    let mut refused = None;
    for _ in 0..50 {
        let reply = bench.produce(1, batch(&[&[1; 1000]]));
        bench.wait_ms(500);
        if matches!(reply, Reply::Failed(_)) {
            refused = Some(reply);
            break;
        }
    }
    assert_eq!(refused, Some(Reply::Failed(EngineError::DiskFull)));
    let told = bench.events.clone();
    assert!(
        matches!(&told[..], [ShardEvent::DiskShort { space: DiskSpace::AtFloor, reason }] if reason.contains("floor")),
        "{told:?}"
    );
    assert_eq!(bench.shard.stats().store.disk, DiskSpace::AtFloor);
    assert!(
        bench
            .shard
            .disk_shortage()
            .is_some_and(|why| why.contains("floor"))
    );
    assert_eq!(contents(&bench.fetch(1, 0, 1).unwrap())[0].1, b"a");
    bench.disk.full = false;
    bench.wait_ms(5000);
    assert_eq!(bench.events[1..], [ShardEvent::DiskHasRoom]);
    assert_eq!(bench.shard.stats().store.disk, DiskSpace::HasRoom);
    assert_eq!(bench.shard.disk_shortage(), None);
    assert!(matches!(
        bench.produce(1, batch(&[b"z"])),
        Reply::Produced(_)
    ));
}

#[test]
fn a_device_that_has_no_space_delays_producing_and_loses_nothing() {
    let mut bench = Bench::new(2, Level::Synced);
    bench.produce(1, batch(&[b"kept"]));
    bench.disk.refuses = Some(|op| match op {
        Op::Create { file, .. } | Op::Write { file, .. } => {
            matches!(file, FileName::Segment { .. })
        }
        _ => false,
    });
    let large = vec![1; bench.config.classes.topic.bulk_from + 1];
    let waiting = bench.send(1, stamped(5, 0, &[&large]), Level::Synced);
    bench.wait_ms(100);
    assert_eq!(bench.reply(waiting), None);
    assert!(matches!(
        bench.events[..],
        [ShardEvent::DiskShort {
            space: DiskSpace::Full,
            ..
        }]
    ));
    assert_eq!(bench.shard.stats().store.disk, DiskSpace::Full);
    assert!(
        bench
            .shard
            .disk_shortage()
            .is_some_and(|why| why.contains("no space"))
    );
    for log in [1, 2] {
        let refused = bench.produce(log, batch(&[b"refused"]));
        assert_eq!(refused, Reply::Failed(EngineError::DiskFull));
    }
    assert_eq!(
        contents(&bench.fetch(1, 0, 100).unwrap()),
        [(0, b"kept".to_vec())]
    );
    bench.disk.refuses = None;
    bench.wait_ms(3000);
    assert_eq!(produced(&bench.reply(waiting).unwrap()), (1, false));
    assert_eq!(bench.events[1..], [ShardEvent::DiskHasRoom]);
    assert_eq!(bench.shard.stats().store.disk, DiskSpace::HasRoom);
    // A producer that did not hear of it sends it again, and hears of the same place.
    let again = bench.produce(1, stamped(5, 0, &[&large]));
    assert_eq!(produced(&again), (1, true));
    for (log, offset) in [(1, 2), (2, 0)] {
        let reply = bench.produce(log, batch(&[b"more"]));
        assert_eq!(produced(&reply), (offset, false));
    }
}

#[test]
fn a_failed_segment_write_stops_the_log_and_no_other() {
    let mut bench = Bench::new(2, Level::Synced);
    bench.produce(1, batch(&[b"kept"]));
    bench.disk.fails = Some(|op| match op {
        Op::Write { file, .. } => matches!(file, FileName::Segment { log: LogId(1), .. }),
        _ => false,
    });
    // Large enough to go straight to the segment.
    let large = vec![1; bench.config.classes.topic.bulk_from + 1];
    let reply = bench.produce(1, batch(&[&large]));
    assert!(
        matches!(reply, Reply::Failed(EngineError::LogStopped { .. })),
        "{reply:?}"
    );
    let again = bench.produce(1, batch(&[b"more"]));
    assert!(matches!(
        again,
        Reply::Failed(EngineError::LogStopped { .. })
    ));
    assert!(bench.shard.log_status(LogId(1)).unwrap().stopped.is_some());
    assert!(matches!(
        bench.events[..],
        [ShardEvent::LogStopped { log: LogId(1), .. }]
    ));
    assert_eq!(
        contents(&bench.fetch(1, 0, 100).unwrap()),
        [(0, b"kept".to_vec())]
    );
    assert!(matches!(
        bench.produce(2, batch(&[b"other"])),
        Reply::Produced(_)
    ));
}

#[test]
fn a_failed_journal_write_is_fatal() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.disk.fails = Some(|op| match op {
        Op::Write { file, .. } => matches!(file, FileName::Journal { .. }),
        _ => false,
    });
    let request = bench.send(1, batch(&[b"a"]), Level::Synced);
    bench.run();
    assert_eq!(bench.reply(request), None, "nothing may be acknowledged");
    assert!(
        bench
            .events
            .iter()
            .any(|event| matches!(event, ShardEvent::Fatal(_)))
    );
}

#[test]
fn a_stop_flushes_what_was_taken_and_takes_no_more() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.disk.hold = true;
    let taken = bench.send(1, batch(&[b"a"]), Level::Synced);
    let waiting = bench.ask(one(1, 0, 100, 1, 10_000));
    bench.run();
    bench.shard.begin_stop(bench.now);
    let late = bench.send(1, batch(&[b"b"]), Level::Synced);
    bench.run();
    assert!(matches!(bench.reply(waiting), Some(Reply::Fetched(_))));
    assert_eq!(
        bench.reply(late),
        Some(Reply::Failed(EngineError::Stopping))
    );
    assert!(!bench.events.contains(&ShardEvent::Flushed));
    bench.disk.hold = false;
    bench.wait_ms(1000);
    assert_eq!(produced(&bench.reply(taken).unwrap()), (0, false));
    assert!(bench.events.contains(&ShardEvent::Flushed));
    let mut bench = bench.restart();
    assert_eq!(
        contents(&bench.fetch(1, 0, 100).unwrap()),
        [(0, b"a".to_vec())]
    );
}
