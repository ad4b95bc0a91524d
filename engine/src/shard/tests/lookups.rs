//! Look-ups by time do bounded work in a turn, whatever is stored, and share it.

use bytes::BytesMut;
use leveret_record::{BatchBuilder, Compression, verify};
use leveret_storage::store::NewEntry;
use leveret_storage::types::{Level, Term, WallMs};

use super::bench::*;
use super::*;

/// Batches as a broker stored them before it looked at records: every header's maximum lies.
fn lying(count: i64) -> Bench {
    let mut bench = Bench::new(1, Level::Memory);
    for number in 0..count {
        let mut batch = batch_at(number, &[b"x"], Compression::None).to_vec();
        leveret_record::assign(&mut batch, number, 0);
        let mut header = verify(&batch).unwrap();
        leveret_record::repair_max_timestamp(&mut batch, &mut header, 1_000_000 + number);
        let entry = NewEntry {
            term: Term::default(),
            time: WallMs(0),
            first_offset: Offset(number as u64),
            offsets: 1,
            max_timestamp: header.max_timestamp,
            bytes: BytesMut::from(&batch[..]).freeze(),
            sum: None,
        };
        let now = bench.now;
        bench
            .shard
            .store
            .append(LogId(1), entry, Level::Memory, now)
            .unwrap();
    }
    bench.run();
    bench
}

#[test]
fn headers_that_lie_cost_one_pass_and_no_stack() {
    let mut bench = lying(5_000);
    // The youngest of what is really there.
    assert_eq!(
        bench.find(1, OffsetSpec::MaxTimestamp),
        (4_999, Some(4_999))
    );
    assert_eq!(bench.find(1, OffsetSpec::Timestamp(5_000)), (5_000, None));
    let request = bench.request();
    bench
        .shard
        .list_offsets(request, LogId(1), OffsetSpec::MaxTimestamp, bench.now);
    let mut turns = 1;
    while bench.shard.has_work() {
        bench.shard.handle_timeout(bench.now);
        turns += 1;
    }
    assert!((2..20).contains(&turns), "{turns}");
    bench.shard.begin_stop(bench.now);
}

#[test]
fn long_batches_are_looked_through_in_turns_that_several_share() {
    let mut bench = Bench::new(2, Level::Memory);
    for log in [1, 2] {
        let mut builder = BatchBuilder::new(Compression::Zstd);
        builder.push(5, None, Some(&vec![0; 6 << 20]), &[]).unwrap();
        builder.push(9, None, Some(b"last"), &[]).unwrap();
        bench.produce(log, builder.finish());
    }
    let ask = |bench: &mut Bench, log| {
        let request = bench.request();
        let spec = OffsetSpec::MaxTimestamp;
        bench
            .shard
            .list_offsets(request, LogId(log), spec, bench.now);
        request
    };
    let first = ask(&mut bench, 1);
    let second = ask(&mut bench, 2);
    let cancelled = ask(&mut bench, 2);
    bench.shard.handle_timeout(bench.now);
    bench.shard.cancel(cancelled);
    let mut turns = 0;
    while bench.shard.has_work() {
        bench.shard.handle_timeout(bench.now);
        turns += 1;
    }
    assert!(turns > 12, "12 MiB in {turns} turns");
    bench.run();
    for request in [first, second] {
        let found = FoundOffset {
            offset: Offset(1),
            timestamp: Some(9),
        };
        assert_eq!(bench.reply(request), Some(Reply::Offset(found)));
    }
    assert_eq!(bench.reply(cancelled), None);
}
