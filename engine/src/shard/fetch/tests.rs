use super::super::reply::FetchPartition;
use super::*;

fn fetch(max_bytes: usize, min_bytes: usize, parts: &[usize]) -> Fetch {
    let part = |(log, max_bytes): (u64, &usize)| FetchPartition {
        log: LogId(log),
        offset: Offset(0),
        max_bytes: *max_bytes,
    };
    let spec = FetchSpec {
        partitions: (1..).zip(parts).map(part).collect(),
        max_bytes,
        min_bytes,
        max_wait: 1,
    };
    Fetch::new(RequestId(1), spec, Now::default())
}

fn read(bytes: usize) -> Batches {
    Batches {
        chunks: vec![Bytes::from(vec![0; bytes])],
        bytes,
        next: Offset(1),
    }
}

#[test]
fn what_a_pending_read_sets_aside_nobody_else_may_ask_for() {
    let mut fetch = fetch(100, 1, &[80, 80]);
    assert_eq!(fetch.allowance(0), Some(80));
    fetch.begin_read(0, ReadToken(1), 80);
    assert_eq!(fetch.allowance(0), None, "one read at a time");
    assert_eq!(fetch.allowance(1), Some(20));
    fetch.begin_read(1, ReadToken(2), 20);
    fetch.end_read(0);
    fetch.take(0, read(10));
    assert!(!fetch.complete(), "another read is under way");
    fetch.end_read(1);
    fetch.take(1, read(30));
    assert_eq!(fetch.allowance(1), Some(50));
    assert!(fetch.complete());
}

#[test]
fn a_batch_above_the_bounds_ends_the_reading() {
    let mut fetch = fetch(100, 1, &[50, 50]);
    fetch.take(0, read(500));
    assert_eq!(fetch.allowance(0), None);
    assert_eq!(fetch.allowance(1), None);
    assert!(fetch.complete());
}

#[test]
fn it_waits_for_the_least_bytes_that_its_bounds_allow() {
    let mut waiting = fetch(100, 60, &[100, 100]);
    waiting.take(0, read(59));
    assert!(waiting.waits());
    waiting.take(0, read(1));
    assert!(waiting.complete());
    let mut modest = fetch(100, 1000, &[10, 10]);
    modest.take(0, read(10));
    assert!(modest.waits());
    modest.take(1, read(10));
    assert!(
        modest.complete(),
        "more than its partitions may give is not waited for"
    );
}

#[test]
fn an_error_ends_the_wait_and_is_told_unless_there_are_records() {
    let mut fetch = fetch(100, 100, &[100, 100]);
    fetch.take(0, read(5));
    fetch.fail(0, EngineError::UnknownLog);
    fetch.fail(1, EngineError::UnknownLog);
    assert!(fetch.complete());
    assert_eq!(fetch.parts[0].error, None);
    assert_eq!(fetch.parts[1].error, Some(EngineError::UnknownLog));
}
