//! A topic's configuration is in force in its shard, from the start and when it changes.

use leveret_record::{BatchError, Compression, batches, records, verify};
use leveret_storage::types::Level;

use super::bench::*;
use super::*;
use crate::topology::{
    Command, TopicChanges, TopicCommand, TopicConfig, TopicEntry, TopicId, TopologyEntry,
};

impl Bench {
    /// Alters topic `t` and installs what comes of it, as a core does.
    pub(super) fn alter(&mut self, set: &[(&str, &str)], unset: &[&str], partitions: Option<u32>) {
        let changes = TopicChanges {
            set: owned(set),
            unset: unset.iter().map(|key| (*key).to_owned()).collect(),
            partitions,
        };
        let id = TopicId(1);
        let reply = self.command(&Command::Topic(TopicCommand::Alter { id, changes }));
        let Reply::Topology(TopologyEntry::Topic(TopicEntry::Altered(altered))) = reply else {
            panic!("{reply:?}");
        };
        let topology = self.shard.topology().unwrap();
        let topic = topology.topic(id).unwrap().clone();
        for (log, _) in topic.logs().take(altered.partition as usize) {
            self.shard.configure(log, &altered.config, self.now);
        }
        for (log, slot) in altered.added() {
            self.shard.install(log, slot, &altered.config);
        }
        self.run();
    }

    fn start_of(&mut self, log: u64) -> u64 {
        self.find(log, OffsetSpec::Earliest).0
    }
}

/// One batch of about 100 KB that is `at` old.
fn large(at: i64) -> bytes::Bytes {
    batch_at(at, &[&vec![7; 100_000]], Compression::None)
}

/// Records that the broker says are of one time, with the time.
fn times(fetched: &FetchedRecords) -> Vec<i64> {
    let joined = fetched.batches.concat();
    let mut times = Vec::new();
    for batch in batches(&joined) {
        let (_, bytes) = batch.unwrap();
        verify(bytes).expect("the checksum is that of the bytes");
        let set = records(bytes, leveret_record::MAX_RECORDS_LEN).unwrap();
        times.extend(set.iter().map(|record| record.unwrap().timestamp));
    }
    times
}

#[test]
fn retention_by_size_takes_effect_when_it_is_set_and_ends_when_it_is_unset() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.alter(&[("segment.bytes", "1048576")], &[], None);
    for _ in 0..40 {
        bench.produce(1, large(1));
    }
    bench.wait_ms(600_000);
    assert_eq!(bench.start_of(1), 0, "nothing limits it");
    bench.alter(&[("retention.bytes", "1500000")], &[], None);
    let start = bench.start_of(1);
    assert!((10..30).contains(&start), "whole segments went: {start}");
    assert!(bench.fetch(1, 0, 1).is_err());
    assert_eq!(contents(&bench.fetch(1, start, 1).unwrap())[0].0, start);
    // Once it is durable it holds after a restart.
    bench.wait_ms(1000);
    let mut bench = bench.restart();
    assert_eq!(bench.start_of(1), start);
    bench.alter(&[], &["retention.bytes"], None);
    for _ in 0..40 {
        bench.produce(1, large(1));
    }
    bench.wait_ms(600_000);
    assert_eq!(bench.start_of(1), start);
}

#[test]
fn retention_by_age_takes_effect_when_it_is_set() {
    let mut bench = Bench::new(2, Level::Synced);
    for log in [1, 2] {
        for _ in 0..4 {
            bench.produce(log, large(bench.now.wall.0));
        }
    }
    bench.wait_ms(60_000);
    assert_eq!(bench.start_of(1), 0, "nothing limits it");
    bench.alter(&[("retention.ms", "10000")], &[], None);
    bench.wait_ms(20_000);
    assert_eq!(bench.start_of(1), 4, "all is older than that");
    assert_eq!(bench.start_of(2), 4, "in every partition");
    // What is younger stays.
    bench.produce(1, large(bench.now.wall.0));
    bench.wait_ms(5000);
    assert_eq!(bench.start_of(1), 4);
    assert_eq!(contents(&bench.fetch(1, 4, 1).unwrap()).len(), 1);
}

#[test]
fn the_largest_batch_is_that_of_the_topic() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.create("other", 1, &[]);
    bench.alter(&[("max.message.bytes", "1024")], &[], None);
    for _ in 0..2 {
        let reply = bench.produce(1, batch(&[&[1; 1000]]));
        let Reply::Failed(EngineError::Batch(BatchError::TooLarge { max, .. })) = reply else {
            panic!("{reply:?}");
        };
        assert_eq!(max, 1024);
        assert!(matches!(
            bench.produce(1, batch(&[&[1; 900]])),
            Reply::Produced(_)
        ));
        assert!(matches!(bench.produce(2, large(1)), Reply::Produced(_)));
        bench = bench.restart();
    }
    bench.alter(&[], &["max.message.bytes"], None);
    assert!(matches!(bench.produce(1, large(1)), Reply::Produced(_)));
}

#[test]
fn with_log_append_time_records_and_replies_carry_the_brokers_time() {
    for codec in [Compression::None, Compression::Zstd] {
        let mut bench = Bench::new(1, Level::Synced);
        bench.wait_ms(1000);
        let sent = || batch_at(50, &[b"a", b"b"], codec);
        let Reply::Produced(plain) = bench.produce(1, sent()) else {
            panic!("not appended");
        };
        assert_eq!(plain.append_time, None);
        bench.alter(&[("message.timestamp.type", "LogAppendTime")], &[], None);
        let before = bench.now.wall.0;
        let Reply::Produced(appended) = bench.produce(1, sent()) else {
            panic!("not appended");
        };
        assert_eq!(appended.append_time, Some(before));
        bench.wait_ms(500);
        // From memory, and from the device.
        for _ in 0..2 {
            let fetched = bench.fetch(1, 0, 1 << 20).unwrap();
            assert_eq!(times(&fetched), [50, 51, before, before]);
            let found = bench.find(1, OffsetSpec::Timestamp(before));
            assert_eq!(found, (2, Some(before)), "look-ups go by that time");
            bench = bench.restart();
        }
        // A repetition is answered with the time of the first copy.
        let first = bench.produce(1, stamped(9, 0, &[b"x"]));
        let at = bench.now.wall.0;
        bench.wait_ms(300);
        let again = bench.produce(1, stamped(9, 0, &[b"x"]));
        for (reply, duplicate) in [(first, false), (again, true)] {
            let Reply::Produced(produced) = reply else {
                panic!("{reply:?}");
            };
            assert_eq!(produced.append_time, Some(at));
            assert_eq!(produced.duplicate, duplicate);
        }
    }
}

#[test]
fn a_batch_of_a_clock_that_is_ahead_gets_the_brokers_time_too() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.alter(&[("message.timestamp.type", "LogAppendTime")], &[], None);
    bench.wait_ms(1000);
    let ahead = bench.now.wall.0 + 1_000_000;
    bench.produce(1, batch_at(ahead, &[b"a"], Compression::None));
    let fetched = bench.fetch(1, 0, 1000).unwrap();
    assert_eq!(times(&fetched), [bench.now.wall.0]);
    assert_eq!(bench.find(1, OffsetSpec::Timestamp(ahead)).1, None);
    // So it expires by the broker's clock.
    bench.alter(&[("retention.ms", "10000")], &[], None);
    bench.wait_ms(30_000);
    assert_eq!(bench.start_of(1), 1);
}

#[test]
fn a_weaker_durability_answers_and_shows_earlier() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.disk.hold = true;
    bench.send(1, batch(&[b"a"]), Level::Memory);
    let waiting = bench.ask(one(1, 0, 1000, 1, 10_000));
    bench.run();
    assert_eq!(bench.reply(waiting), None, "a synced topic shows nothing");
    // As if it had been a topic of level memory: no core would be asked to do so.
    let memory = [("durability", "memory")];
    let defaults = bench.settings.topics;
    let config = TopicConfig::default().changed(&memory, &[], &defaults);
    let log = LogId(1);
    bench.shard.configure(log, &config.unwrap(), bench.now);
    bench.run();
    assert!(bench.reply(waiting).is_some(), "whoever waits is told");
    bench
        .shard
        .configure(log, &TopicConfig::default(), bench.now);
    let fetched = bench.fetch(1, 1, 1000).expect("the end of what was seen");
    assert_eq!(fetched.high_watermark, Offset(1));
    let strong = bench.send(1, batch(&[b"b"]), Level::Synced);
    bench.run();
    assert_eq!(bench.reply(strong), None);
    assert_eq!(bench.find(1, OffsetSpec::Latest), (1, None));
    bench.disk.hold = false;
    bench.run();
    assert_eq!(bench.find(1, OffsetSpec::Latest), (2, None));
}

#[test]
fn partitions_are_added_in_use_and_come_back_after_a_restart() {
    let mut bench = Bench::new(2, Level::Synced);
    bench.create("between", 1, &[]);
    bench.produce(2, batch(&[b"old"]));
    bench.alter(&[("segment.ms", "5000")], &[], Some(4));
    for _ in 0..2 {
        let topology = bench.shard.topology().unwrap();
        let topic = topology.topic_named("t").unwrap();
        let logs: Vec<_> = topic.logs().map(|(log, _)| log.0).collect();
        assert_eq!(logs, [1, 2, 4, 5]);
        assert_eq!(topology.settings_of(topic).segment_ms, 5000);
        bench.produce(4, batch(&[b"new"]));
        bench = bench.restart();
    }
    assert_eq!(contents(&bench.fetch(4, 0, 1000).unwrap()).len(), 2);
    assert_eq!(contents(&bench.fetch(2, 0, 1000).unwrap()).len(), 1);
    assert_eq!(bench.fetch(5, 0, 1000).unwrap().high_watermark, Offset(0));
    assert_eq!(bench.fetch(6, 0, 1000), Err(EngineError::UnknownLog));
}
