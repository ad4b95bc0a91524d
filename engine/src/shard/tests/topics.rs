//! Topics are created, recovered and deleted with their logs.

use leveret_storage::io::{FileName, Op};
use leveret_storage::store::StoreConfig;
use leveret_storage::types::{Level, LogKind, SlotId};

use super::bench::*;
use super::disk::Pool;
use super::*;
use crate::topology::{
    Command, ProducerIdsReserved, ReserveProducerIds, TopicCommand, TopicId, TopicRefusal,
    Topology, TopologyEntry, TopologyError, TopologyRefusal, TopologySettings,
};

#[test]
fn a_change_is_answered_when_it_is_durable_and_survives_then() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.disk.hold = true;
    let request = bench.request();
    let command = Command::ProducerIds(ReserveProducerIds { count: 5 });
    bench.shard.submit(request, &command, bench.now);
    bench.run();
    assert_eq!(bench.reply(request), None);
    bench.disk.hold = false;
    bench.run();
    let reserved = |first| TopologyEntry::ProducerIds(ProducerIdsReserved { first, count: 5 });
    assert_eq!(bench.reply(request), Some(Reply::Topology(reserved(0))));
    let mut bench = bench.restart();
    assert_eq!(bench.command(&command), Reply::Topology(reserved(5)));
    assert!(bench.shard.topology().unwrap().topic_named("t").is_some());
}

#[test]
fn a_change_does_not_leave_with_the_one_before_it() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.wait_ms(1000);
    bench.disk.hold = true;
    let command = Command::ProducerIds(ReserveProducerIds { count: 5 });
    let [first, second] = [bench.request(), bench.request()];
    bench.shard.submit(first, &command, bench.now);
    bench.run();
    bench.shard.submit(second, &command, bench.now);
    bench.run();
    bench.complete_one();
    assert!(bench.reply(first).is_some());
    assert_eq!(bench.reply(second), None, "its commit is not durable yet");
    bench.disk.hold = false;
    bench.run();
    assert!(bench.reply(second).is_some());
}

#[test]
fn commands_are_decided_by_what_is_ordered_not_by_what_is_durable() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.disk.hold = true;
    let create = Command::Topic(TopicCommand::Create {
        name: "new".parse().unwrap(),
        partitions: 1,
        config: Vec::new(),
    });
    let first = bench.request();
    bench.shard.submit(first, &create, bench.now);
    let second = bench.request();
    bench.shard.submit(second, &create, bench.now);
    bench.run();
    let name = "new".parse().unwrap();
    let exists = TopologyRefusal::Topic(TopicRefusal::Exists {
        name,
        id: TopicId(2),
    });
    assert_eq!(bench.reply(second), Some(Reply::Failed(exists.into())));
    assert_eq!(bench.reply(first), None);
    bench.disk.hold = false;
    bench.run();
    assert!(matches!(bench.reply(first), Some(Reply::Topology(_))));
}

#[test]
fn a_snapshot_goes_out_while_topics_come_and_go() {
    let mut config = tiny_store();
    config.classes = config.classes.with_snapshots_from(4 << 10);
    let mut bench = Bench::with(1, Level::Synced, ShardSettings::default(), config);
    for n in 0..1500 {
        bench.create(&format!("a-topic-with-quite-a-long-name-{n}"), 1, &[]);
    }
    // A change after each operation: pieces of snapshots are made between them.
    let mut written = 0;
    for n in 0..600 {
        let command = match n % 2 {
            0 => TopicCommand::Delete { id: TopicId(2 + n) },
            _ => TopicCommand::Create {
                name: format!("late-{n}").parse().unwrap(),
                partitions: 1,
                config: Vec::new(),
            },
        };
        let request = bench.request();
        bench
            .shard
            .submit(request, &Command::Topic(command), bench.now);
        while let Some((id, op)) = bench.shard.poll_op() {
            let piece = |file: &FileName| matches!(file, FileName::Snapshot { .. });
            written += u64::from(matches!(&op, Op::Write { file, .. } if piece(file)));
            bench.disk.submit((), id, op);
        }
        if let Some(((), id, result)) = bench.disk.complete() {
            bench.shard.handle_completion(id, result, bench.now);
        }
    }
    assert!(written > 8, "{written} pieces");
    bench.run();
    let kept = |bench: &Bench| {
        let topology = bench.shard.topology().unwrap();
        topology.snapshot().collect::<Vec<_>>()
    };
    let before = kept(&bench);
    let bench = bench.restart();
    assert!(kept(&bench) == before);
}

#[test]
fn thousands_of_changes_survive_by_snapshots() {
    let mut bench = Bench::new(1, Level::Synced);
    for n in 0..400 {
        bench.create("passing", 50, &[]);
        let id = TopicId(n + 2);
        assert!(matches!(
            bench.command(&Command::Topic(TopicCommand::Delete { id })),
            Reply::Topology(_)
        ));
    }
    let kept = |bench: &Bench| {
        bench
            .shard
            .topology()
            .unwrap()
            .snapshot()
            .collect::<Vec<_>>()
    };
    let before = kept(&bench);
    let bench = bench.restart();
    assert_eq!(kept(&bench), before);
}

#[test]
fn whoever_waits_for_a_deleted_topic_is_told() {
    let mut bench = Bench::new(2, Level::Synced);
    bench.disk.hold = true;
    let producing = bench.send(1, batch(&[b"a"]), Level::Synced);
    let fetching = bench.ask(one(1, 0, 100, 1, 10_000));
    bench.run();
    bench.shard.remove(LogId(1), bench.now);
    bench.run();
    let unknown = EngineError::UnknownLog;
    assert_eq!(bench.reply(producing), Some(Reply::Failed(unknown.clone())));
    let Some(Reply::Fetched(parts)) = bench.reply(fetching) else {
        panic!("no reply");
    };
    assert_eq!(parts[0].result, Err(unknown));
    bench.disk.hold = false;
    bench.wait_ms(1000);
    assert_eq!(
        bench.produce(1, batch(&[b"a"])),
        Reply::Failed(EngineError::UnknownLog)
    );
    assert!(matches!(
        bench.produce(2, batch(&[b"a"])),
        Reply::Produced(_)
    ));
}

#[test]
fn a_deletion_during_a_read_of_the_device_answers_the_reader() {
    let mut bench = Bench::new(1, Level::Synced);
    for _ in 0..40 {
        bench.produce(1, batch(&[&[1; 2000]]));
    }
    let mut bench = bench.restart();
    bench.disk.hold = true;
    let fetching = bench.ask(one(1, 0, 100, 1, 10_000));
    let looking = bench.request();
    let spec = OffsetSpec::Timestamp(1);
    bench.shard.list_offsets(looking, LogId(1), spec, bench.now);
    bench.run();
    assert_eq!(bench.replies, [], "both wait for the device");
    bench.shard.remove(LogId(1), bench.now);
    bench.disk.hold = false;
    bench.run();
    let unknown = EngineError::UnknownLog;
    assert_eq!(bench.reply(looking), Some(Reply::Failed(unknown.clone())));
    let Some(Reply::Fetched(parts)) = bench.reply(fetching) else {
        panic!("no reply");
    };
    assert_eq!(parts[0].result, Err(unknown));
    assert_eq!(bench.shard.stats().fetches, 0);
}

#[test]
fn logs_of_a_deletion_that_was_cut_short_are_removed_at_the_next_start() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.create("doomed", 1, &[]);
    for _ in 0..8 {
        bench.produce(2, batch(&[&vec![1; 40_000]]));
    }
    // The topology has it, the log's removal does not happen.
    let doomed = Command::Topic(TopicCommand::Delete { id: TopicId(2) });
    assert!(matches!(bench.command(&doomed), Reply::Topology(_)));
    let mut bench = bench.restart();
    bench.wait_ms(5000);
    assert_eq!(disk::logs_with_files(&bench.disk), 0);
    let mut bench = bench.restart();
    assert_eq!(produced(&bench.produce(1, batch(&[b"a"]))), (0, false));
}

#[test]
fn a_log_that_contradicts_the_topology_keeps_the_broker_from_starting() {
    let mut bench = Bench::new(2, Level::Synced);
    for log in [1, 2] {
        bench.produce(log, batch(&[b"a"]));
    }
    let settings = TopologySettings::default();
    let mut found = recover(&mut bench.disk);
    Topology::recovered(&found, settings).expect("it is as it was written");
    let logs = &found.cores[0].logs;
    let second = logs.iter().position(|log| log.id == LogId(2)).unwrap();
    let slot = std::mem::replace(&mut found.cores[0].logs[second].slot, SlotId(77));
    let elsewhere = Topology::recovered(&found, settings).unwrap_err();
    let told = slot.0;
    let expected = TopologyError::Slot {
        log: LogId(2),
        found: 77,
        told,
    };
    assert_eq!(elsewhere, expected);
    found.cores[0].logs[second].slot = slot;
    found.cores[0].logs[second].id = LogId(3);
    let future = Topology::recovered(&found, settings).unwrap_err();
    let (log, next) = (LogId(3), LogId(3));
    assert_eq!(future, TopologyError::FromTheFuture { log, next });
    found.cores[0].logs[second].id = LogId(2);
    found.cores[0].logs[second].kind = LogKind::Machine;
    let topology = Topology::recovered(&found, settings).unwrap();
    let (core, config) = (found.cores.remove(0), StoreConfig::default());
    let opened = Shard::open(bench.settings, config, Pool, core, &topology, bench.now);
    let kind = OpenError::Kind { log: LogId(2) };
    assert_eq!(opened.err(), Some(kind));
}
