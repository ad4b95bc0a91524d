use leveret_record::{BatchBuilder, Compression};

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
        work: FetchWork::Read,
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

/// Two batches of one record each.
fn two_batches() -> Batches {
    let batch = || {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(1, None, Some(&[7; 400]), &[]).expect("fits");
        builder.finish()
    };
    let bytes = Bytes::from([batch(), batch()].concat());
    Batches {
        bytes: bytes.len(),
        chunks: vec![bytes],
        next: Offset(2),
    }
}

#[test]
fn a_part_waits_for_its_share_until_reads_before_it_end() {
    let mut fetch = fetch(100, 1, &[80, 80]);
    assert_eq!(fetch.allowance(0), Some(80));
    fetch.begin_read(0, ReadToken(1), 80);
    assert_eq!(fetch.allowance(0), None, "one read at a time");
    assert_eq!(fetch.allowance(1), None, "20 may be less than its share");
    fetch.end_read(0);
    fetch.take(0, read(10)).unwrap();
    assert!(!fetch.complete(), "part 1 has had nothing");
    assert!(fetch.take_postponed());
    assert_eq!(fetch.allowance(1), Some(80));
    fetch.take(1, read(30)).unwrap();
    assert!(fetch.complete());
}

#[test]
fn a_batch_above_the_bounds_comes_whole_once_and_ends_the_reading() {
    let mut fetch = fetch(100, 1, &[50, 50]);
    fetch.has_some(0);
    fetch.take(0, two_batches()).unwrap();
    assert!(fetch.parts[0].got > 400 && fetch.parts[0].got < 800);
    assert_eq!(fetch.parts[0].next, Offset(1));
    assert_eq!(fetch.allowance(0), None);
    assert_eq!(fetch.allowance(1), None);
    assert!(fetch.complete());
}

#[test]
fn no_batch_but_the_first_is_above_the_bounds() {
    let mut fetch = fetch(600, 1, &[300, 1000, 10]);
    fetch.has_some(0);
    fetch.take(0, read(100)).unwrap();
    fetch.has_some(1);
    fetch.take(1, two_batches()).unwrap();
    assert_eq!(fetch.parts[1].next, Offset(1), "one of two fits");
    assert_eq!(fetch.allowance(2), None, "who was cut short is the last");
    assert!(fetch.complete());
}

#[test]
fn it_waits_for_the_least_bytes_that_its_bounds_allow() {
    let mut waiting = fetch(100, 60, &[100, 100]);
    waiting.take(0, read(59)).unwrap();
    assert!(waiting.waits());
    waiting.take(0, read(1)).unwrap();
    assert!(waiting.complete());
    let mut modest = fetch(100, 1000, &[10, 10]);
    modest.take(0, read(10)).unwrap();
    assert!(modest.waits());
    modest.take(1, read(10)).unwrap();
    assert!(
        modest.complete(),
        "more than its partitions may give is not waited for"
    );
}

#[test]
fn an_error_ends_the_wait_and_is_told_unless_there_are_records() {
    let mut fetch = fetch(100, 100, &[100, 100]);
    fetch.take(0, read(5)).unwrap();
    fetch.fail(0, EngineError::UnknownLog);
    fetch.fail(1, EngineError::UnknownLog);
    assert!(fetch.complete());
    assert_eq!(fetch.parts[0].error, None);
    assert_eq!(fetch.parts[1].error, Some(EngineError::UnknownLog));
}
