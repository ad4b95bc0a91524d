//! What a fetch gives, what it waits for, and what a look-up finds.

use leveret_record::Compression;
use leveret_storage::types::Level;

use super::bench::*;
use super::*;

/// Batches of two records of 1000 bytes each.
fn filled(batches: u64) -> Bench {
    let mut bench = Bench::new(3, Level::Synced);
    for n in 0..batches {
        bench.produce(1, batch(&[&[n as u8; 1000], &[n as u8; 1000]]));
    }
    bench
}

fn parts(reply: Option<Reply>) -> Vec<FetchedRecords> {
    let Some(Reply::Fetched(parts)) = reply else {
        panic!("{reply:?}");
    };
    parts.into_iter().map(|part| part.result.unwrap()).collect()
}

fn offsets(records: &FetchedRecords) -> Vec<u64> {
    contents(records)
        .into_iter()
        .map(|(offset, _)| offset)
        .collect()
}

#[test]
fn a_fetch_waits_for_records_to_become_durable() {
    let mut bench = Bench::new(1, Level::Synced);
    let request = bench.ask(one(1, 0, 1000, 1, 500));
    bench.run();
    assert_eq!(bench.reply(request), None);
    bench.disk.hold = true;
    bench.send(1, batch(&[b"a"]), Level::Synced);
    bench.run();
    assert_eq!(bench.reply(request), None, "not durable, not visible");
    bench.disk.hold = false;
    bench.run();
    let fetched = parts(bench.reply(request));
    assert_eq!(contents(&fetched[0]), [(0, b"a".to_vec())]);
    assert_eq!(bench.shard.stats().fetches, 0);
}

#[test]
fn a_fetch_that_waits_in_vain_answers_in_time_with_nothing() {
    let mut bench = filled(1);
    let request = bench.ask(one(1, 2, 1000, 1, 500));
    bench.wait_ms(499);
    assert_eq!(bench.reply(request), None);
    bench.wait_ms(1);
    let fetched = parts(bench.reply(request));
    assert!(fetched[0].is_empty());
    assert_eq!(fetched[0].high_watermark, Offset(2));
    // The next one is not confused by the marks of the last.
    let request = bench.ask(one(1, 2, 1000, 1, 500));
    bench.produce(1, batch(&[b"x"]));
    assert_eq!(offsets(&parts(bench.reply(request))[0]), [2]);
}

#[test]
fn a_fetch_counts_its_least_bytes_over_partitions() {
    let mut bench = Bench::new(3, Level::Synced);
    let request = bench.ask(FetchSpec {
        partitions: (1..4).map(|log| part(log, 0, 1 << 20)).collect(),
        max_bytes: 1 << 20,
        min_bytes: 2500,
        max_wait: 500_000_000,
        work: FetchWork::Read,
    });
    bench.produce(3, batch(&[&[3; 1000]]));
    bench.produce(1, batch(&[&[1; 1000]]));
    assert_eq!(bench.reply(request), None);
    bench.produce(1, batch(&[&[1; 1000]]));
    let fetched = parts(bench.reply(request));
    let counts: Vec<_> = fetched.iter().map(|part| offsets(part).len()).collect();
    assert_eq!(counts, [2, 0, 1]);
}

#[test]
fn max_bytes_counts_whole_batches_and_lets_the_first_through() {
    let mut bench = filled(4);
    assert_eq!(offsets(&bench.fetch(1, 0, 1).unwrap()), [0, 1]);
    let some = bench.fetch(1, 2, 4500).unwrap();
    assert_eq!(offsets(&some)[..2], [2, 3]);
    assert!(some.len() <= 4500, "{} bytes", some.len());
    // The bound over all partitions leaves nothing for the second.
    bench.produce(2, batch(&[b"a"]));
    let request = bench.ask(FetchSpec {
        partitions: vec![part(1, 0, 1 << 20), part(2, 0, 1 << 20)],
        max_bytes: 100,
        min_bytes: 1,
        max_wait: 0,
        work: FetchWork::Read,
    });
    bench.run();
    let fetched = parts(bench.reply(request));
    assert_eq!(
        (offsets(&fetched[0]).len(), offsets(&fetched[1]).len()),
        (2, 0)
    );
}

#[test]
fn an_offset_inside_a_batch_gets_the_whole_batch_and_none_before_it() {
    let bench = filled(40);
    // From memory, and from segments after a restart.
    let mut bench = bench;
    for _ in 0..2 {
        for offset in [0, 1, 2, 33, 78, 79] {
            let fetched = bench.fetch(1, offset, 1).unwrap();
            assert_eq!(offsets(&fetched)[0], offset & !1, "asked for {offset}");
        }
        let all = bench.fetch(1, 5, 1 << 20).unwrap();
        assert_eq!(offsets(&all), (4..80).collect::<Vec<_>>());
        bench = bench.restart();
    }
}

#[test]
fn offsets_outside_of_the_log_are_refused_with_its_bounds() {
    let mut bench = filled(2);
    let refused = bench.fetch(1, 5, 100).unwrap_err();
    let expected = EngineError::OffsetOutOfRange {
        asked: Offset(5),
        start: Offset(0),
        high_watermark: Offset(4),
    };
    assert_eq!(refused, expected);
    assert_eq!(bench.fetch(77, 0, 100), Err(EngineError::UnknownLog));
    // One bad partition ends the wait of the others.
    let request = bench.ask(FetchSpec {
        partitions: vec![part(2, 0, 100), part(1, 9, 100)],
        max_bytes: 100,
        min_bytes: 1,
        max_wait: 500_000_000,
        work: FetchWork::Read,
    });
    bench.run();
    let Some(Reply::Fetched(parts)) = bench.reply(request) else {
        panic!("no reply");
    };
    assert!(parts[0].result.as_ref().is_ok_and(FetchedRecords::is_empty));
    assert!(parts[1].result.is_err());
}

#[test]
fn a_cancelled_fetch_never_answers_and_leaves_no_mark() {
    let mut bench = filled(1);
    let waiting = bench.ask(one(1, 2, 100, 1, 500));
    assert_eq!(
        bench
            .shard
            .hosted
            .partition(LogId(1))
            .unwrap()
            .readers
            .len(),
        1
    );
    bench.shard.cancel(waiting);
    assert_eq!(
        bench
            .shard
            .hosted
            .partition(LogId(1))
            .unwrap()
            .readers
            .len(),
        0
    );
    bench.produce(1, batch(&[b"x"]));
    bench.wait_ms(600);
    assert_eq!(bench.reply(waiting), None);
    // With a read of the device under way.
    let mut bench = filled(40).restart();
    bench.disk.hold = true;
    let reading = bench.ask(one(1, 0, 100, 1, 500));
    let looking = bench.request();
    bench
        .shard
        .list_offsets(looking, LogId(1), OffsetSpec::Timestamp(1), bench.now);
    bench.run();
    bench.shard.cancel(reading);
    bench.shard.cancel(looking);
    bench.disk.hold = false;
    bench.wait_ms(600);
    assert_eq!(bench.replies, []);
    assert_eq!(bench.shard.stats().fetches, 0);
}

#[test]
fn a_fetch_may_be_told_to_answer_early() {
    let mut bench = filled(1);
    let request = bench.ask(one(1, 2, 100, 1, 500));
    bench.run();
    bench.shard.finish_fetch(request);
    bench.run();
    assert!(parts(bench.reply(request))[0].is_empty());
}

#[test]
fn look_ups_find_the_ends_and_the_first_record_of_a_time() {
    for codec in [Compression::None, Compression::Lz4] {
        let mut bench = Bench::new(1, Level::Synced);
        assert_eq!(bench.find(1, OffsetSpec::Latest), (0, None));
        assert_eq!(bench.find(1, OffsetSpec::Timestamp(0)), (0, None));
        for n in 0..30 {
            bench.produce(1, batch_at(1000 + n * 10, &[b"a", b"b", &[0; 900]], codec));
        }
        // From memory, and after a restart.
        for _ in 0..2 {
            assert_eq!(bench.find(1, OffsetSpec::Earliest), (0, None));
            assert_eq!(bench.find(1, OffsetSpec::Latest), (90, None));
            assert_eq!(bench.find(1, OffsetSpec::Timestamp(0)), (0, Some(1000)));
            assert_eq!(bench.find(1, OffsetSpec::Timestamp(1101)), (31, Some(1101)));
            assert_eq!(bench.find(1, OffsetSpec::Timestamp(1103)), (33, Some(1110)));
            assert_eq!(bench.find(1, OffsetSpec::Timestamp(1292)), (89, Some(1292)));
            assert_eq!(bench.find(1, OffsetSpec::Timestamp(1293)), (90, None));
            bench = bench.restart();
        }
    }
}

#[test]
fn the_largest_timestamp_is_found_wherever_it_is() {
    for codec in [Compression::None, Compression::Lz4] {
        let mut bench = Bench::new(1, Level::Synced);
        assert_eq!(bench.find(1, OffsetSpec::MaxTimestamp), (0, None));
        // Clocks of producers differ: the largest is in the middle, and comes twice.
        for n in 0..30 {
            let base = if n == 11 || n == 17 { 9000 } else { 1000 + n };
            bench.produce(1, batch_at(base, &[b"a", b"b", &[0; 900]], codec));
        }
        assert_eq!(bench.find(1, OffsetSpec::MaxTimestamp), (35, Some(9002)));
        // What is not visible yet does not count.
        bench.disk.hold = true;
        bench.send(1, batch_at(10_000, &[b"x"], codec), Level::Synced);
        bench.run();
        assert_eq!(bench.find(1, OffsetSpec::MaxTimestamp), (35, Some(9002)));
        bench.disk.hold = false;
        bench.run();
        for _ in 0..2 {
            assert_eq!(bench.find(1, OffsetSpec::MaxTimestamp), (90, Some(10_000)));
            bench = bench.restart();
        }
    }
}

#[test]
fn rotten_segments_give_an_error_and_never_other_bytes() {
    let mut bench = filled(100).restart();
    let whole = bench.fetch(1, 0, 1 << 20).unwrap();
    assert_eq!(offsets(&whole).len(), 200);
    let mut bench = bench.restart();
    assert!(
        disk::rot_segments(&mut bench.disk) > 0,
        "the test needs a segment"
    );
    let mut next = 0;
    let mut failed = false;
    while next < 200 && !failed {
        match bench.fetch(1, next, 1) {
            Ok(fetched) => {
                for (offset, value) in contents(&fetched) {
                    assert_eq!(value, [(offset / 2) as u8; 1000]);
                    next = offset + 1;
                }
            }
            Err(EngineError::Storage { .. }) => failed = true,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(failed, "the flipped bit was found");
    assert_eq!(
        offsets(&bench.fetch(1, 198, 1).unwrap()),
        [198, 199],
        "the rest is served"
    );
}

#[test]
fn whoever_meets_rot_the_operator_hears_where() {
    let fetch = |bench: &mut Bench, at: u64| {
        bench.ask(one(1, at, 1, 0, 0));
    };
    let watch = |bench: &mut Bench, at: u64| {
        let id = WatchId(at);
        let watch = Watch {
            log: LogId(1),
            from: Offset(at),
            max_bytes: 1,
            stand: false,
        };
        bench.shard.watch(id, watch, bench.now);
    };
    let look_up = |bench: &mut Bench, at: u64| {
        let (request, spec) = (bench.request(), OffsetSpec::Timestamp(at as i64));
        let log = LogId(1);
        bench.shard.list_offsets(request, log, spec, bench.now);
    };
    let readers: [fn(&mut Bench, u64); 3] = [fetch, watch, look_up];
    for (number, ask) in readers.into_iter().enumerate() {
        for rotten in [false, true] {
            let mut bench = Bench::new(2, Level::Synced);
            for n in 0..100u8 {
                bench.produce(
                    1,
                    batch_at(2 * i64::from(n), &[&[n; 1000], b"x"], Compression::None),
                );
            }
            let mut bench = bench.restart();
            if rotten {
                assert!(
                    disk::rot_segments(&mut bench.disk) > 0,
                    "the test needs a segment"
                );
            }
            for at in 0..200 {
                ask(&mut bench, at);
                bench.run();
            }
            if !rotten {
                assert_eq!(bench.events, [], "reader {number}: nothing to tell");
                continue;
            }
            assert!(!bench.events.is_empty(), "reader {number} met nothing");
            for event in &bench.events {
                let ShardEvent::Damaged { log, reason, .. } = event else {
                    panic!("reader {number}: {event:?}");
                };
                assert_eq!(*log, LogId(1));
                let names_its_place = reason.contains(".log") && reason.contains("byte");
                assert!(names_its_place, "reader {number}: {reason}");
            }
            // Damage stops nothing: the log takes more, and so does the other.
            for log in [1, 2] {
                produced(&bench.produce(log, batch(&[b"more"])));
            }
        }
    }
}

#[test]
fn a_readers_lag_is_counted_when_its_fetch_comes() {
    let mut bench = filled(3);
    let zero = |bench: &Bench| bench.shard.fetch_lag().buckets().next().expect("zero").1;
    bench.fetch(1, 0, 1 << 20).expect("readable");
    let lag = bench.shard.fetch_lag();
    assert_eq!((lag.count(), lag.sum(), zero(&bench)), (1, 6, 0));
    bench
        .fetch(1, 6, 1 << 20)
        .expect("the end can be asked for");
    bench.fetch(1, 7, 1 << 20).expect_err("beyond the end");
    let lag = bench.shard.fetch_lag();
    assert_eq!((lag.count(), lag.sum(), zero(&bench)), (3, 6, 2));
    assert!(bench.shard.commit_times().count() > 0, "commits are timed");
    assert_eq!(bench.shard.stats().counters.records_out, 6);
}
