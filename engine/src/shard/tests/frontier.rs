//! Between what was acknowledged at a weaker level and what may be read: nothing is out of range,
//! and nobody waits for a sync that could be under way.

use leveret_storage::types::Level;

use super::bench::*;
use super::*;

const WEAKER: [Level; 2] = [Level::Memory, Level::Written];

fn fetched(reply: Option<Reply>) -> Vec<(u64, Vec<u8>)> {
    let Some(Reply::Fetched(mut parts)) = reply else {
        panic!("{reply:?}");
    };
    contents(&parts.remove(0).result.unwrap())
}

#[test]
fn an_offset_that_was_told_is_in_the_log_before_it_can_be_read() {
    for level in WEAKER {
        let mut bench = Bench::new(1, Level::Synced);
        bench.disk.hold = true;
        let sent = bench.send(1, batch(&[b"a", b"b"]), level);
        bench.run();
        if level == Level::Written {
            bench.complete_one();
        }
        assert_eq!(produced(&bench.reply(sent).unwrap()), (0, false));
        // In its middle and at its end as well.
        for offset in 0..=2 {
            let records = bench.fetch(1, offset, 100).unwrap();
            assert!(records.is_empty(), "not durable, not visible");
            assert_eq!(records.high_watermark, Offset(0));
        }
        let beyond = EngineError::OffsetOutOfRange {
            asked: Offset(3),
            start: Offset(0),
            high_watermark: Offset(0),
        };
        assert_eq!(bench.fetch(1, 3, 100), Err(beyond));
        bench.disk.hold = false;
        bench.run();
        let records = bench.fetch(1, 1, 100).unwrap();
        assert_eq!(records.high_watermark, Offset(2));
        assert_eq!(contents(&records).len(), 2);
    }
}

#[test]
fn a_fetch_that_waits_makes_the_sync_due_at_once() {
    for level in WEAKER {
        // It came before the records, or after them.
        for early in [true, false] {
            let mut bench = Bench::new(1, Level::Synced);
            let ask = |bench: &mut Bench| bench.ask(one(1, 0, 1000, 1, 500));
            let before = early.then(|| ask(&mut bench));
            bench.run();
            bench.send(1, batch(&[b"a"]), level);
            bench.run();
            let request = before.unwrap_or_else(|| {
                let status = bench.shard.log_status(LogId(1)).unwrap();
                let nobody = "nobody waits for it: it is synced at leisure";
                assert_eq!(status.high_watermark, Offset(0), "{nobody}");
                ask(&mut bench)
            });
            bench.run();
            assert_eq!(fetched(bench.reply(request)), [(0, b"a".to_vec())]);
        }
    }
}

#[test]
fn a_watch_that_stands_makes_the_sync_due_at_once() {
    let id = WatchId(7);
    let first_of = |bench: &mut Bench| {
        let (_, watched) = bench.shard.poll_watched()?;
        Some(contents(&watched.unwrap().records)[0].clone())
    };
    for level in WEAKER {
        // Before the first batch, behind it, and behind it for the next one.
        for (batches_before, from) in [(0, 0), (1, 0), (1, 1)] {
            let mut bench = Bench::new(1, Level::Synced);
            let watch = Watch {
                log: LogId(1),
                from: Offset(from),
                max_bytes: 1000,
                stand: true,
            };
            for _ in 0..batches_before {
                bench.send(1, batch(&[b"a"]), level);
                bench.run();
            }
            bench.shard.watch(id, watch, bench.now);
            if batches_before == 0 || from == 1 {
                bench.run();
                let nothing = "an offset that was told and is not visible is not beyond the log";
                assert_eq!(first_of(&mut bench), None, "{nothing}");
                bench.send(1, batch(&[b"b"]), level);
            }
            bench.run();
            let (offset, _) = first_of(&mut bench).expect("no time has to pass");
            assert_eq!(offset, from);
        }
    }
}

#[test]
fn one_sync_is_under_way_however_many_wait() {
    let mut bench = Bench::new(1, Level::Synced);
    // Neither has enough until all are there.
    let enough = 40 * batch(&[&[0; 100]]).len();
    let requests = [0, 0].map(|from| bench.ask(one(1, from, 1 << 20, enough, 5000)));
    bench.run();
    bench.disk.hold = true;
    let mut syncs = 0;
    for n in 0..40u8 {
        let before = disk::journal_syncs(&bench.disk);
        bench.send(1, batch(&[&[n; 100]]), Level::Written);
        bench.run();
        if n % 2 == 1 {
            bench.complete_one();
        }
        let now = disk::journal_syncs(&bench.disk);
        assert!(now <= 1, "{now} syncs are under way");
        syncs += usize::from(now > before);
    }
    assert!(0 < syncs && syncs < 20, "{syncs} syncs for 40 records");
    bench.disk.hold = false;
    bench.run();
    for request in requests {
        assert_eq!(fetched(bench.reply(request)).len(), 40);
    }
}
