//! What an acknowledgement waits for, and what a repetition gets.

use leveret_storage::types::Level;

use super::bench::*;
use super::*;
use crate::partition::AppendRefusal;
use leveret_record::{BatchError, Compression, batches};

#[test]
fn a_reply_leaves_only_when_the_batch_is_durable() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.disk.hold = true;
    let request = bench.send(1, batch(&[b"a", b"b"]), Level::Synced);
    bench.run();
    assert_eq!(bench.reply(request), None);
    bench.disk.hold = false;
    bench.run();
    let reply = bench.reply(request).unwrap();
    assert_eq!(produced(&reply), (0, false));
    assert_eq!(produced(&bench.produce(1, batch(&[b"c"]))), (2, false));
}

#[test]
fn what_is_fetched_is_what_was_sent_but_for_offset_and_epoch() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.produce(1, batch(&[b"first"]));
    let sent = batch_at(50, &[b"x", b"", b"zz"], Compression::Zstd);
    bench.produce(1, sent.clone());
    let fetched = bench.fetch(1, 1, 1 << 20).unwrap();
    let joined = fetched.batches.concat();
    assert_eq!(joined[12 + 4..], sent[12 + 4..], "from the magic byte on");
    let (header, _) = batches(&joined).next().unwrap().unwrap();
    assert_eq!((header.base_offset, header.partition_leader_epoch), (1, 0));
    let expected = [(1, b"x".to_vec()), (2, b"".to_vec()), (3, b"zz".to_vec())];
    assert_eq!(contents(&fetched), expected);
    assert_eq!(fetched.high_watermark, Offset(4));
}

#[test]
fn weaker_levels_answer_earlier_but_are_not_visible_earlier() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.disk.hold = true;
    let request = bench.send(1, batch(&[b"a"]), Level::Memory);
    bench.run();
    assert!(bench.reply(request).is_some(), "memory needs no device");
    assert_eq!(bench.fetch(1, 0, 100).unwrap().high_watermark, Offset(0));
    bench.disk.hold = false;
    // Nobody waits for it, so it is synced at leisure.
    bench.wait_ms(100);
    assert_eq!(bench.fetch(1, 0, 100).unwrap().high_watermark, Offset(1));
}

#[test]
fn a_memory_topic_is_readable_at_once_and_gone_after_a_restart() {
    let mut bench = Bench::new(1, Level::Memory);
    bench.disk.hold = true;
    let request = bench.send(1, batch(&[b"a"]), Level::Synced);
    bench.run();
    assert!(bench.reply(request).is_some());
    assert_eq!(
        contents(&bench.fetch(1, 0, 100).unwrap()),
        [(0, b"a".to_vec())]
    );
    let mut bench = bench.restart();
    assert_eq!(produced(&bench.produce(1, batch(&[b"b"]))), (0, false));
}

#[test]
fn replies_of_a_log_leave_in_the_order_of_its_offsets() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.disk.hold = true;
    let slow = bench.send(1, batch(&[b"a"]), Level::Synced);
    bench.run();
    let quick = bench.send(1, batch(&[b"b"]), Level::Memory);
    bench.run();
    assert_eq!(bench.reply(quick), None, "it stands behind the other");
    bench.disk.hold = false;
    bench.run();
    let order: Vec<_> = bench.replies.iter().map(|(id, _)| *id).collect();
    assert_eq!(order, [slow, quick]);
}

#[test]
fn a_repetition_waits_for_the_first_copy_and_appends_nothing() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.disk.hold = true;
    bench.send(1, stamped(7, 0, &[b"a", b"b"]), Level::Synced);
    bench.run();
    let again = bench.send(1, stamped(7, 0, &[b"a", b"b"]), Level::Synced);
    bench.run();
    assert_eq!(
        bench.reply(again),
        None,
        "the first copy is not durable yet"
    );
    bench.disk.hold = false;
    bench.run();
    assert_eq!(produced(&bench.reply(again).unwrap()), (0, true));
    assert_eq!(bench.fetch(1, 0, 1000).unwrap().high_watermark, Offset(2));
    assert_eq!(bench.shard.stats().duplicates, 1);
}

#[test]
fn a_repetition_asks_for_its_own_level() {
    let mut bench = Bench::new(1, Level::Synced);
    bench.disk.hold = true;
    let careless = bench.send(1, stamped(7, 0, &[b"a"]), Level::Memory);
    bench.run();
    assert!(bench.reply(careless).is_some());
    let careful = bench.send(1, stamped(7, 0, &[b"a"]), Level::Synced);
    bench.run();
    assert_eq!(
        bench.reply(careful),
        None,
        "the first copy is not durable yet"
    );
    bench.disk.hold = false;
    bench.wait_ms(100);
    assert_eq!(produced(&bench.reply(careful).unwrap()), (0, true));
}

#[test]
fn producers_survive_restarts_by_replay_and_by_snapshot() {
    let mut bench = Bench::new(2, Level::Synced);
    for sequence in 0..8 {
        bench.produce(1, stamped(7, sequence, &[b"a"]));
    }
    for round in 0..3 {
        bench = bench.restart();
        let again = bench.produce(1, stamped(7, 7, &[b"a"]));
        assert_eq!(produced(&again), (7, true), "after restart {round}");
        let gap = bench.produce(1, stamped(7, 9, &[b"a"]));
        let expected = AppendRefusal::OutOfOrderSequence {
            producer_id: 7,
            expected: 8,
            found: 9,
        };
        assert_eq!(gap, Reply::Failed(expected.into()));
        // Another log's entries move the journal on, between restarts.
        bench.produce(2, batch(&[&[9; 5000]]));
    }
    assert_eq!(
        produced(&bench.produce(1, stamped(7, 8, &[b"a"]))),
        (8, false)
    );
}

#[test]
fn a_batch_that_may_not_be_appended_leaves_no_trace() {
    let mut bench = Bench::new(1, Level::Synced);
    let mut damaged = batch(&[b"a"]).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let reply = bench.produce(1, damaged.into());
    assert!(
        matches!(
            reply,
            Reply::Failed(EngineError::Batch(BatchError::BadCrc { .. }))
        ),
        "{reply:?}"
    );
    let large = vec![0; bench.settings.topics.max_message_bytes as usize];
    let reply = bench.produce(1, batch(&[&large]));
    assert!(
        matches!(
            reply,
            Reply::Failed(EngineError::Batch(BatchError::TooLarge { .. }))
        ),
        "{reply:?}"
    );
    assert_eq!(
        bench.produce(9, batch(&[b"a"])),
        Reply::Failed(EngineError::UnknownLog)
    );
    assert_eq!(bench.fetch(1, 0, 1000).unwrap().high_watermark, Offset(0));
    assert_eq!(produced(&bench.produce(1, batch(&[b"a"]))), (0, false));
}
