//! What a watch brings, and when.

use leveret_storage::types::Level;

use super::bench::*;
use super::*;

const ID: WatchId = WatchId(7);

fn watch(bench: &mut Bench, id: WatchId, from: u64, max_bytes: usize, stand: bool) {
    let watch = Watch {
        log: LogId(1),
        from: Offset(from),
        max_bytes,
        stand,
    };
    bench.shard.watch(id, watch, bench.now);
}

fn answer(bench: &mut Bench) -> Option<Result<Watched, EngineError>> {
    bench.run();
    let (_, answer) = bench.shard.poll_watched()?;
    Some(answer)
}

fn offsets(watched: &Watched) -> Vec<u64> {
    let records = contents(&watched.records).into_iter();
    records.map(|(offset, _)| offset).collect()
}

#[test]
fn a_standing_watch_brings_what_becomes_durable_and_nothing_before() {
    let mut bench = Bench::new(1, Level::Synced);
    watch(&mut bench, ID, 0, 1 << 20, true);
    assert_eq!(answer(&mut bench), None);
    bench.disk.hold = true;
    bench.send(1, batch(&[b"a", b"b"]), Level::Synced);
    assert_eq!(answer(&mut bench), None, "not durable, not visible");
    bench.disk.hold = false;
    let watched = answer(&mut bench).unwrap().unwrap();
    assert_eq!(offsets(&watched), [0, 1]);
    assert_eq!((watched.next, watched.has_more()), (Offset(2), false));
    // One answer: what comes then is another watch's.
    bench.produce(1, batch(&[b"c"]));
    assert_eq!(answer(&mut bench), None);
    watch(&mut bench, ID, 2, 1 << 20, true);
    let told = answer(&mut bench).unwrap().unwrap();
    assert!(told.records.is_empty(), "it is there already: only told");
    assert_eq!((told.next, told.has_more()), (Offset(2), true));
    watch(&mut bench, ID, 2, 1 << 20, false);
    assert_eq!(offsets(&answer(&mut bench).unwrap().unwrap()), [2]);
}

#[test]
fn an_answer_is_bounded_but_for_its_first_batch() {
    let mut bench = Bench::new(1, Level::Synced);
    for n in 0..4u8 {
        bench.produce(1, batch(&[&[n; 1000]]));
    }
    let read = |bench: &mut Bench, from, max_bytes| {
        watch(bench, ID, from, max_bytes, false);
        answer(bench).unwrap().unwrap()
    };
    assert_eq!(offsets(&read(&mut bench, 0, 1)), [0]);
    assert_eq!(offsets(&read(&mut bench, 1, 2500)), [1, 2]);
    let rest = read(&mut bench, 3, 1 << 20);
    assert_eq!((offsets(&rest), rest.has_more()), (vec![3], false));
    assert!(read(&mut bench, 4, 1 << 20).records.is_empty());
    watch(&mut bench, ID, 5, 1, false);
    let refused = answer(&mut bench).unwrap();
    assert!(
        matches!(refused, Err(EngineError::OffsetOutOfRange { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_watch_reads_what_is_only_on_the_device() {
    let mut bench = Bench::new(1, Level::Synced);
    for n in 0..200u8 {
        bench.produce(1, batch(&[&[n; 1000]]));
    }
    let mut bench = bench.restart();
    let mut next = 0;
    let mut answers = 0;
    while next < 200 {
        watch(&mut bench, ID, next, 16 << 10, false);
        let watched = answer(&mut bench).unwrap().unwrap();
        let got = offsets(&watched);
        assert_eq!(got, (next..watched.next.0).collect::<Vec<_>>());
        next = watched.next.0;
        answers += 1;
    }
    assert!(answers > 10, "{answers} answers were within their bytes");
    // A read under way whose asker is gone brings nothing.
    let mut bench = bench.restart();
    bench.disk.hold = true;
    watch(&mut bench, ID, 0, 16 << 10, false);
    bench.shard.unwatch(ID);
    bench.disk.hold = false;
    assert_eq!(answer(&mut bench), None);
}

#[test]
fn ended_watches_bring_nothing_and_leave_no_mark() {
    let mut bench = Bench::new(2, Level::Synced);
    let id = WatchId;
    for number in 0..1000 {
        watch(&mut bench, id(number), 0, 1, true);
        if number % 10 > 0 {
            bench.shard.unwatch(id(number));
        }
    }
    let marks = std::mem::take(&mut bench.shard.hosted.partition_mut(LogId(1)).unwrap().watchers);
    let marks = marks.into_ids();
    assert!((100..=250).contains(&marks.len()), "{} marks", marks.len());
    let mut bench = Bench::new(2, Level::Synced);
    for number in 0..3 {
        watch(&mut bench, id(number), 0, 1, true);
    }
    bench.shard.unwatch(id(1));
    bench.produce(2, batch(&[b"another partition's"]));
    assert_eq!(answer(&mut bench), None);
    bench.produce(1, batch(&[b"x"]));
    let woken: Vec<_> = std::iter::from_fn(|| bench.shard.poll_watched())
        .map(|(id, watched)| (id.0, offsets(&watched.unwrap())))
        .collect();
    assert_eq!(woken, [(0, vec![0]), (2, vec![0])]);
}

#[test]
fn a_removed_log_and_a_stop_end_watches() {
    let mut bench = Bench::new(1, Level::Synced);
    watch(&mut bench, ID, 0, 1, true);
    bench.shard.remove(LogId(1), bench.now);
    assert_eq!(answer(&mut bench), Some(Err(EngineError::UnknownLog)));
    watch(&mut bench, ID, 0, 1, true);
    assert_eq!(answer(&mut bench), Some(Err(EngineError::UnknownLog)));
    let mut bench = Bench::new(1, Level::Synced);
    watch(&mut bench, ID, 0, 1, true);
    bench.shard.begin_stop(bench.now);
    assert_eq!(answer(&mut bench), None);
    watch(&mut bench, ID, 0, 1, true);
    assert_eq!(answer(&mut bench), Some(Err(EngineError::Stopping)));
}
