//! What a new kind of objects and a new machine get for a folder and a line each: shown with a toy.

use leveret_storage::store::StoreConfig;
use leveret_storage::types::{Level, LogId};

use super::bench::*;
use super::*;
use crate::topology::{
    Command, CounterCommand, CounterRefusal, LogOwner, TOPOLOGY_LOG, Topology, TopologyEntry,
};

/// Installs a change, as a core does.
fn install(bench: &mut Bench, copy: &mut Topology, entry: &TopologyEntry) {
    let concerned = copy.concerned(entry);
    if concerned.goes() {
        copy.apply(entry);
    }
    let mut logs = 0;
    while let Some((log, slot, what)) = concerned.get(logs) {
        bench.shard.change_log(log, slot, what, bench.now);
        logs += 1;
    }
    if !concerned.goes() {
        copy.apply(entry);
    }
}

fn change(bench: &mut Bench, copy: &mut Topology, command: CounterCommand) -> Reply {
    let reply = bench.command(&Command::Counter(command));
    if let Reply::Topology(entry) = &reply {
        install(bench, copy, entry);
    }
    reply
}

fn copy(bench: &Bench) -> Topology {
    bench.shard.topology().unwrap().clone()
}

fn make(name: u32, kept: bool) -> CounterCommand {
    CounterCommand::Make { name, kept }
}

fn log_of(topology: &Topology, name: u32) -> LogId {
    topology.counter(name).unwrap().log.unwrap().0
}

fn ordered(bench: &Bench, log: LogId) -> u64 {
    frontiers_of(&bench.shard.store, log).ordered.0.0
}

fn ask(bench: &mut Bench, log: LogId, by: u32) -> RequestId {
    let request = bench.request();
    bench.shard.count(request, log, by, bench.now);
    request
}

fn count(bench: &mut Bench, log: LogId, by: u32) -> Reply {
    let request = ask(bench, log, by);
    bench.run();
    bench.reply(request).expect("a reply")
}

#[test]
fn an_object_is_made_refused_and_dropped_and_what_is_kept_is_there_after_a_start() {
    let mut bench = Bench::new(1, Level::Synced);
    let mut topology = copy(&bench);
    assert!(matches!(
        change(&mut bench, &mut topology, make(1, true)),
        Reply::Topology(_)
    ));
    let log = log_of(&topology, 1);
    assert!(matches!(
        topology.owner_of(log),
        Some(LogOwner::Counter { .. })
    ));
    let refused = |refusal: CounterRefusal| Reply::Failed(EngineError::Topology(refusal.into()));
    let again = change(&mut bench, &mut topology, make(1, false));
    assert_eq!(again, refused(CounterRefusal::Exists(1)));
    let unknown = change(&mut bench, &mut topology, CounterCommand::Drop { name: 2 });
    assert_eq!(unknown, refused(CounterRefusal::Unknown(2)));
    change(&mut bench, &mut topology, make(3, true));
    change(&mut bench, &mut topology, CounterCommand::Drop { name: 3 });
    // From the log, and, when many other changes have come, from a snapshot.
    for snapshot in [false, true] {
        if snapshot {
            for _ in 0..400 {
                bench.create("passing", 50, &[]);
                let id = bench
                    .shard
                    .topology()
                    .unwrap()
                    .topic_named("passing")
                    .unwrap()
                    .id;
                let delete = crate::topology::TopicCommand::Delete { id };
                assert!(matches!(bench.command(&delete.into()), Reply::Topology(_)));
            }
        }
        let found = recover(&mut bench.disk);
        let own = found.cores[0]
            .logs
            .iter()
            .find(|log| log.id == TOPOLOGY_LOG);
        assert!(own.unwrap().snapshot.is_some() || !snapshot);
        bench = bench.restart();
        let after = copy(&bench);
        assert_eq!(log_of(&after, 1), log);
        assert_eq!(after.counter(3), None);
        assert!(matches!(count(&mut bench, log, 1), Reply::Counted(_)));
        let fresh = bench.command(&Command::Counter(make(4 + u32::from(snapshot), true)));
        let Reply::Topology(entry) = fresh else {
            panic!("{fresh:?}");
        };
        install(&mut bench, &mut after.clone(), &entry);
        // No log is given out twice, also not that of the one that was dropped.
        assert!(log_of(&copy(&bench), 4 + u32::from(snapshot)).0 > log.0 + 1);
    }
}

#[test]
fn what_is_transient_goes_the_same_way_without_an_entry_and_ends_with_the_run() {
    let mut bench = Bench::new(1, Level::Synced);
    let mut topology = copy(&bench);
    let before = ordered(&bench, TOPOLOGY_LOG);
    assert!(matches!(
        change(&mut bench, &mut topology, make(1, false)),
        Reply::Topology(_)
    ));
    assert!(topology.counter(1).is_some());
    assert_eq!(ordered(&bench, TOPOLOGY_LOG), before, "it stands in no log");
    // Changes are answered in order: what was asked before is durable first.
    bench.wait_ms(1000);
    bench.disk.hold = true;
    let [kept, transient] = [(2, true), (3, false)].map(|(name, kept)| {
        let request = bench.request();
        bench
            .shard
            .submit(request, &Command::Counter(make(name, kept)), bench.now);
        request
    });
    bench.run();
    assert_eq!((bench.reply(kept), bench.reply(transient)), (None, None));
    bench.disk.hold = false;
    bench.run();
    assert!(bench.reply(kept).is_some() && bench.reply(transient).is_some());
    for (snapshot, name) in [(false, 3), (true, 3), (true, 1)] {
        let found = topology_after(&bench, snapshot);
        assert_eq!(found.counter(name), None, "of the snapshot: {snapshot}");
        assert!(!snapshot || found.counter(2).is_some());
    }
    let bench = bench.restart();
    let after = copy(&bench);
    assert!(after.counter(2).is_some());
    assert_eq!((after.counter(1), after.counter(3)), (None, None));
}

/// What a start makes of a snapshot, or of nothing.
fn topology_after(bench: &Bench, snapshot: bool) -> Topology {
    let topology = copy(bench);
    let bytes = topology.snapshot().collect::<Vec<_>>().concat();
    let (settings, homes) = (Default::default(), topology.homes().clone());
    let bytes = snapshot.then_some(&bytes[..]);
    Topology::recover(bytes, std::iter::empty(), settings, homes).unwrap()
}

/// A counter that is kept, on a device that stands still from here on.
fn counting(settings: ShardSettings, config: StoreConfig) -> (Bench, Topology, LogId) {
    let mut bench = Bench::with(1, Level::Synced, settings, config);
    let mut topology = copy(&bench);
    change(&mut bench, &mut topology, make(1, true));
    bench.wait_ms(1000);
    let log = log_of(&topology, 1);
    (bench, topology, log)
}

#[test]
fn a_machine_answers_when_its_entry_is_durable_in_order_and_survives_then() {
    let (mut bench, _, log) = counting(ShardSettings::default(), tiny_store());
    bench.disk.hold = true;
    let [first, second, look] = [2, 3, 0].map(|by| ask(&mut bench, log, by));
    let too_far = ask(&mut bench, log, u32::MAX);
    bench.run();
    assert_eq!(bench.reply(first), None);
    assert_eq!(bench.reply(look), None, "it tells of what may be lost yet");
    assert_eq!(bench.reply(too_far), None);
    bench.disk.hold = false;
    bench.run();
    let counted = |total| Some(Reply::Counted(total));
    assert_eq!(bench.reply(first), counted(2));
    assert_eq!(bench.reply(second), counted(5));
    assert_eq!(bench.reply(look), counted(5));
    assert!(bench.reply(too_far).is_some());
    let before = ordered(&bench, log);
    assert!(matches!(count(&mut bench, log, 0), Reply::Counted(_)));
    assert_eq!(ordered(&bench, log), before, "looking leaves no entry");
    // What was not durable is lost with a crash, and nothing else.
    bench.disk.hold = true;
    let lost = ask(&mut bench, log, 7);
    bench.run();
    assert_eq!(bench.reply(lost), None);
    let mut bench = bench.restart();
    bench.disk.hold = false;
    let total = 5 + u64::from(u32::MAX);
    assert_eq!(count(&mut bench, log, 1), Reply::Counted(total + 1));
    let unknown = Reply::Failed(EngineError::UnknownLog);
    assert_eq!(
        count(&mut bench, LogId(1), 1),
        unknown,
        "a partition does not count"
    );
}

#[test]
fn a_snapshot_is_wanted_as_the_logs_class_says_and_bounds_the_replay() {
    let mut config = tiny_store();
    config.classes = config.classes.with_snapshots_from(4 << 10);
    let (mut bench, _, log) = counting(ShardSettings::default(), config);
    for n in 1..=1000 {
        assert_eq!(count(&mut bench, log, 1), Reply::Counted(n));
    }
    let found = recover(&mut bench.disk);
    let own = found.cores[0].logs.iter().find(|of| of.id == log).unwrap();
    let (ordinal, _) = own.snapshot.as_ref().expect("it was wanted");
    assert!(
        ordinal.0 > 500 && own.replay.len() < 500,
        "{}",
        own.replay.len()
    );
    let mut bench = bench.restart();
    assert_eq!(count(&mut bench, log, 1), Reply::Counted(1001));
}

#[test]
fn a_machine_that_finds_the_journal_full_waits_in_the_line_of_all() {
    let settings = ShardSettings {
        parked_requests: 3,
        ..ShardSettings::default()
    };
    let (mut bench, _, log) = counting(settings, tiny_store());
    bench.disk.hold = true;
    while bench.shard.stats().parked == 0 {
        bench.send(1, batch(&[&[1; 4000]]), Level::Synced);
        bench.run();
    }
    // The journal keeps room for what is short for a while.
    let mut sent = Vec::new();
    while bench.shard.stats().parked < 4 {
        assert!(sent.len() < 10_000, "the ring never fills");
        sent.push(ask(&mut bench, log, 1));
        bench.run();
    }
    let overloaded = Some(Reply::Failed(EngineError::Overloaded));
    let one_more = ask(&mut bench, log, 1);
    let change = bench.request();
    bench
        .shard
        .submit(change, &Command::Counter(make(2, true)), bench.now);
    bench.run();
    assert_eq!(bench.reply(one_more), overloaded);
    assert_eq!(
        bench.reply(change),
        overloaded,
        "one line, whichever machine"
    );
    bench.disk.hold = false;
    bench.wait_ms(1000);
    for (total, request) in (1..).zip(sent) {
        assert_eq!(bench.reply(request), Some(Reply::Counted(total)));
    }
    assert_eq!(bench.shard.stats().parked, 0);
}

#[test]
fn whoever_waits_for_a_machine_that_goes_is_told_and_its_log_is_gone() {
    let (mut bench, mut topology, log) = counting(ShardSettings::default(), tiny_store());
    assert_eq!(count(&mut bench, log, 1), Reply::Counted(1));
    bench.disk.hold = true;
    let waits = ask(&mut bench, log, 1);
    let drop = bench.request();
    let command = Command::Counter(CounterCommand::Drop { name: 1 });
    bench.shard.submit(drop, &command, bench.now);
    bench.run();
    assert_eq!(bench.reply(waits), None);
    let entry = crate::topology::CounterEntry::Dropped {
        name: 1,
        kept: true,
    };
    install(&mut bench, &mut topology, &entry.into());
    bench.run();
    let unknown = Reply::Failed(EngineError::UnknownLog);
    assert_eq!(bench.reply(waits), Some(unknown.clone()));
    bench.disk.hold = false;
    bench.wait_ms(1000);
    assert!(matches!(bench.reply(drop), Some(Reply::Topology(_))));
    assert_eq!(count(&mut bench, log, 1), unknown);
    let mut bench = bench.restart();
    let found = recover(&mut bench.disk);
    assert!(found.cores[0].logs.iter().all(|of| of.id != log));
    // Cut short between the change and the log's end, the log goes at the next start.
    let (mut bench, _, log) = counting(ShardSettings::default(), tiny_store());
    assert_eq!(count(&mut bench, log, 1), Reply::Counted(1));
    assert!(matches!(bench.command(&command), Reply::Topology(_)));
    let mut bench = bench.restart();
    assert_eq!(count(&mut bench, log, 1), unknown);
    bench.wait_ms(5000);
    let found = recover(&mut bench.disk);
    assert!(found.cores[0].logs.iter().all(|of| of.id != log));
}
