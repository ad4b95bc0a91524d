//! What is let in at the door, what is repaired there, and who waits for whom.

use leveret_record::{
    BatchBuilder, BatchError, Compression, FRAME_LEN, HEADER_LEN, batches, verify,
};
use leveret_storage::types::{Level, WallMs};

use super::bench::*;
use super::*;

/// `batch` with bytes written at `at`, under a true CRC.
fn with(batch: &[u8], at: usize, bytes: &[u8]) -> bytes::Bytes {
    let mut batch = batch.to_vec();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    sealed(batch)
}

/// `batch` with another payload, and codec.
fn with_payload(batch: &[u8], codec: u8, payload: &[u8]) -> bytes::Bytes {
    let mut batch = batch[..HEADER_LEN].to_vec();
    batch.extend_from_slice(payload);
    let len = (batch.len() - FRAME_LEN) as i32;
    batch[8..12].copy_from_slice(&len.to_be_bytes());
    batch[22] = codec;
    sealed(batch)
}

fn sealed(mut batch: Vec<u8>) -> bytes::Bytes {
    // The checksum of no batch is known without the crate that sums it: `verify` tells it.
    let Err(BatchError::BadCrc { found, .. }) = verify(&batch) else {
        return batch.into();
    };
    batch[17..21].copy_from_slice(&found.to_be_bytes());
    batch.into()
}

fn counted(batch: &[u8], count: i32) -> bytes::Bytes {
    let batch = with(batch, 23, &(count - 1).to_be_bytes());
    with(&batch, 57, &count.to_be_bytes())
}

fn long(codec: Compression) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(codec);
    builder.push(5, None, Some(&vec![0; 6 << 20]), &[]).unwrap();
    builder.finish()
}

fn error(reply: &Reply) -> &EngineError {
    match reply {
        Reply::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_nobody_could_read_is_refused_and_leaves_nothing() {
    let mut bench = Bench::new(1, Level::Synced);
    let two = batch(&[b"a", b"b"]);
    let gzip = batch_at(1, &[b"a", b"b"], Compression::Gzip);
    let lies = [
        counted(&two, 1),
        counted(&gzip, 3),
        counted(&gzip, i32::MAX),
        with_payload(&batch(&[b"a"]), 1, b"not gzip at all"),
        with_payload(&batch(&[b"a"]), 0, &[0xff; 20]),
        with_payload(&two, 0, &[&two[HEADER_LEN..], &[0][..]].concat()),
    ];
    for (index, lie) in lies.into_iter().enumerate() {
        let reply = bench.produce(1, lie);
        assert!(matches!(error(&reply), EngineError::Batch(_)), "{index}");
    }
    assert_eq!(produced(&bench.produce(1, two)), (0, false));
    assert_eq!(
        bench.fetch(1, 0, 1 << 20).unwrap().high_watermark,
        Offset(2)
    );
}

#[test]
fn a_maximum_that_is_not_true_is_repaired_before_it_counts() {
    for codec in [Compression::None, Compression::Lz4] {
        for stated in [-1i64, 1000, 0, i64::MAX] {
            let mut bench = Bench::new(1, Level::Synced);
            let sent = batch_at(1000, &[b"a", b"b", b"c"], codec);
            bench.produce(1, with(&sent, 35, &stated.to_be_bytes()));
            let fetched = bench.fetch(1, 0, 1 << 20).unwrap().batches.concat();
            let (header, stored) = batches(&fetched).next().unwrap().unwrap();
            assert_eq!(header.max_timestamp, 1002);
            verify(stored).unwrap();
            assert_eq!(bench.find(1, OffsetSpec::Timestamp(1002)), (2, Some(1002)));
            assert_eq!(bench.find(1, OffsetSpec::Timestamp(1003)), (3, None));
            assert_eq!(bench.find(1, OffsetSpec::MaxTimestamp), (2, Some(1002)));
        }
    }
}

#[test]
fn times_before_1970_are_taken_and_those_too_far_from_now_are_not() {
    let mut bench = Bench::new(1, Level::Synced);
    let at = |time| batch_at(time, &[b"a"], Compression::None);
    let refused = |reply: &Reply| {
        let error = error(reply);
        matches!(
            error,
            EngineError::Batch(BatchError::TimestampOutOfBounds { .. })
        )
    };
    bench.now.wall = WallMs(10_000_000);
    assert_eq!(produced(&bench.produce(1, at(-5_000))), (0, false));
    assert_eq!(produced(&bench.produce(1, at(13_600_000))), (1, false));
    assert!(refused(&bench.produce(1, at(13_600_001))));
    bench.alter(&[("message.timestamp.before.max.ms", "1000000")], &[], None);
    bench.alter(&[("message.timestamp.after.max.ms", "0")], &[], None);
    assert!(refused(&bench.produce(1, at(8_999_999))));
    for late in [10_000_001, i64::MAX - 1, i64::MAX] {
        assert!(refused(&bench.produce(1, at(late))), "{late}");
    }
    for early in [-2, i64::MIN + 1, i64::MIN] {
        assert!(refused(&bench.produce(1, at(early))), "{early}");
    }
    assert_eq!(produced(&bench.produce(1, at(9_000_000))), (2, false));
    // No time is none that is far away.
    assert_eq!(produced(&bench.produce(1, at(-1))), (3, false));
    // The broker's own time asks nobody.
    bench.alter(&[("message.timestamp.type", "LogAppendTime")], &[], None);
    assert_eq!(produced(&bench.produce(1, at(i64::MAX - 1))), (4, false));
}

#[test]
fn a_long_walk_takes_turns_and_only_its_own_log_waits() {
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let mut bench = Bench::new(2, Level::Memory);
        let slow = bench.send(1, long(codec), Level::Memory);
        let behind = bench.send(1, batch(&[b"small"]), Level::Memory);
        let other = bench.send(2, batch(&[b"other"]), Level::Memory);
        let mut replies = Vec::new();
        let mut turns = 0;
        while bench.shard.has_work() {
            replies.extend(std::iter::from_fn(|| bench.shard.poll_reply()));
            assert_eq!(bench.shard.poll_timeout(), Some(bench.now.mono));
            bench.shard.handle_timeout(bench.now);
            turns += 1;
        }
        assert!(turns > 6, "{codec}: 6 MiB in {turns} turns");
        replies.extend(std::iter::from_fn(|| bench.shard.poll_reply()));
        let order: Vec<_> = replies.iter().map(|(request, _)| *request).collect();
        assert_eq!(order, [other, slow, behind], "{codec}");
        assert_eq!(produced(&replies[2].1), (1, false));
    }
}

#[test]
fn the_checksum_of_a_long_batch_takes_turns_and_comes_before_all_else() {
    let whole = long(Compression::None);
    let cut = |at: usize| {
        let mut batch = whole.to_vec();
        batch[at] ^= 1;
        bytes::Bytes::from(batch)
    };
    let reserved = |batch: &[u8]| with(batch, 21, &(1i16 << 7).to_be_bytes());
    let is_bad_sum = |reply: &Reply| {
        let error = error(reply);
        matches!(error, EngineError::Batch(BatchError::BadCrc { .. }))
    };
    let mut bench = Bench::new(2, Level::Memory);
    bench.alter(&[("max.message.bytes", "8388608")], &[], None);
    let mut course = |first: bytes::Bytes| {
        let long = bench.send(1, first, Level::Memory);
        let other = bench.send(2, batch(&[b"other"]), Level::Memory);
        let mut replies = Vec::new();
        let mut turns = 0;
        while bench.shard.has_work() {
            replies.extend(std::iter::from_fn(|| bench.shard.poll_reply()));
            bench.shard.handle_timeout(bench.now);
            turns += 1;
        }
        replies.extend(std::iter::from_fn(|| bench.shard.poll_reply()));
        let (last, reply) = replies.pop().expect("it is answered");
        if turns > 0 {
            assert_eq!((replies.len(), replies[0].0), (1, other));
            assert_eq!(last, long);
        }
        (turns, reply)
    };
    let (turns, reply) = course(whole.clone());
    assert!(turns > 12, "6 MiB summed and walked in {turns}");
    assert_eq!(produced(&reply), (0, false));
    // What the sum refuses is not looked at any further, and the first byte as the last.
    for at in [50, HEADER_LEN, whole.len() - 1] {
        let (turns, reply) = course(cut(at));
        assert!((2..4).contains(&turns), "6 MiB summed in {turns}");
        assert!(is_bad_sum(&reply), "{at}: {reply:?}");
    }
    let (_, reply) = course(cut(22));
    assert!(
        is_bad_sum(&reply),
        "an unknown codec that nobody meant: {reply:?}"
    );
    let (_, reply) = course(reserved(&whole));
    let meant = matches!(
        error(&reply),
        EngineError::Batch(BatchError::ReservedAttributes { .. })
    );
    assert!(meant, "{reply:?}");
    // A short one is answered as it comes.
    let short = batch(&[b"short"]);
    assert_eq!(course(short).0, 0);
}

#[test]
fn who_waits_at_the_door_is_told_of_the_end() {
    let mut bench = Bench::new(2, Level::Memory);
    let removed = bench.send(1, long(Compression::Zstd), Level::Memory);
    let stopped = bench.send(2, long(Compression::Zstd), Level::Memory);
    let behind = bench.send(2, batch(&[b"small"]), Level::Memory);
    bench.shard.remove(LogId(1), bench.now);
    bench.shard.begin_stop(bench.now);
    bench.run();
    let reply = bench.reply(removed).unwrap();
    assert_eq!(error(&reply), &EngineError::UnknownLog);
    for request in [stopped, behind] {
        let reply = bench.reply(request).unwrap();
        assert_eq!(error(&reply), &EngineError::Stopping);
    }
    assert!(!bench.shard.has_work());
}

#[test]
fn the_line_at_the_door_is_bounded() {
    let settings = ShardSettings {
        parked_requests: 2,
        ..ShardSettings::default()
    };
    let mut bench = Bench::with(1, Level::Memory, settings, tiny_store());
    bench.send(1, long(Compression::Zstd), Level::Memory);
    bench.send(1, batch(&[b"a"]), Level::Memory);
    let over = bench.send(1, batch(&[b"b"]), Level::Memory);
    bench.run();
    let reply = bench.reply(over).unwrap();
    assert_eq!(error(&reply), &EngineError::Overloaded);
}

#[test]
fn a_batch_longer_than_the_line_waits_alone() {
    let settings = ShardSettings {
        parked_bytes: 50,
        ..ShardSettings::default()
    };
    let mut bench = Bench::with(1, Level::Memory, settings, tiny_store());
    let longest = bench.send(1, long(Compression::Zstd), Level::Memory);
    let behind = bench.send(1, long(Compression::Zstd), Level::Memory);
    bench.run();
    let reply = bench.reply(behind).unwrap();
    assert_eq!(error(&reply), &EngineError::Overloaded);
    assert!(matches!(bench.reply(longest), Some(Reply::Produced(_))));
}
