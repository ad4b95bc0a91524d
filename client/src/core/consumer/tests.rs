use leveret_record::{BatchBuilder, Compression, assign};
use leveret_wire::native::{ListOffsetsOk, OffsetSpec};

use super::*;
use crate::core::Fetched;

const TOPIC: TopicId = TopicId(1);
const NOW: Mono = Mono(1_000_000_000);

fn consumer(settings: ConsumerSettings, partitions: u32) -> Consumer {
    let mut consumer = Consumer::new(settings);
    for partition in 0..partitions {
        start(&mut consumer, partition, StartAt::Offset(Offset(0)));
    }
    consumer
}

fn start(consumer: &mut Consumer, partition: u32, start: StartAt) {
    consumer.assign("t".into(), TOPIC, PartitionId(partition), start);
}

/// A batch of `count` records from `base`.
fn batch(base: i64, count: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    for _ in 0..count {
        builder.push(0, None, Some(b"value"), &[]).unwrap();
    }
    let mut batch = builder.finish().to_vec();
    assign(&mut batch, base, 0);
    batch
}

fn fetched(partition: u32, bytes: Vec<u8>) -> (FetchedPartition, Bytes) {
    let described = FetchedPartition {
        partition: PartitionId(partition),
        error: None,
        high_watermark: Offset(1000),
        log_start_offset: Offset(0),
        payload_len: bytes.len() as u32,
    };
    (described, bytes.into())
}

fn failed(partition: u32, code: ErrorCode) -> (FetchedPartition, Bytes) {
    let (described, bytes) = fetched(partition, Vec::new());
    let error = Some(code);
    (FetchedPartition { error, ..described }, bytes)
}

fn next_fetch(consumer: &mut Consumer, now: Mono) -> Option<(RequestId, Vec<FetchPartition>)> {
    match consumer.poll_transmit(now)? {
        ConsumerTransmit::Fetch { id, partitions, .. } => Some((id, partitions)),
        ConsumerTransmit::ListOffsets { .. } => panic!("no look-up is due"),
    }
}

fn answer(consumer: &mut Consumer, id: RequestId, partitions: Vec<(FetchedPartition, Bytes)>) {
    let fetched = ConsumerAnswer::Fetched(Fetched { partitions });
    consumer.handle_answer(NOW, id, Ok(fetched));
}

fn read_offsets(consumer: &mut Consumer) -> Vec<i64> {
    std::iter::from_fn(|| consumer.poll_record())
        .map(|read| read.unwrap().record.offset)
        .collect()
}

#[test]
fn records_below_the_position_are_skipped_and_fetching_goes_on_behind() {
    let mut consumer = Consumer::new(ConsumerSettings::default());
    start(&mut consumer, 0, StartAt::Offset(Offset(12)));
    let (id, wanted) = next_fetch(&mut consumer, NOW).unwrap();
    assert_eq!(wanted[0].offset, Offset(12));
    assert!(next_fetch(&mut consumer, NOW).is_none(), "one at a time");
    answer(
        &mut consumer,
        id,
        vec![fetched(0, [batch(10, 5), batch(15, 2)].concat())],
    );
    let (_, wanted) = next_fetch(&mut consumer, NOW).unwrap();
    assert_eq!(
        wanted[0].offset,
        Offset(17),
        "before a record is handed out"
    );
    assert_eq!(consumer.position(TOPIC, PartitionId(0)), Some(Offset(12)));
    assert_eq!(read_offsets(&mut consumer), [12, 13, 14, 15, 16]);
    assert_eq!(consumer.position(TOPIC, PartitionId(0)), Some(Offset(17)));
    assert_eq!(consumer.buffered(), 0);
}

#[test]
fn a_position_is_looked_up_first() {
    let mut consumer = Consumer::new(ConsumerSettings::default());
    start(&mut consumer, 0, StartAt::Timestamp(77));
    let Some(ConsumerTransmit::ListOffsets { id, request }) = consumer.poll_transmit(NOW) else {
        panic!("a look-up");
    };
    assert_eq!(request.spec, OffsetSpec::Timestamp(77));
    assert!(consumer.poll_transmit(NOW).is_none());
    let found = ListOffsetsOk {
        offset: Offset(5),
        timestamp: Some(80),
    };
    consumer.handle_answer(NOW, id, Ok(ConsumerAnswer::Offset(found)));
    assert_eq!(
        next_fetch(&mut consumer, NOW).unwrap().1[0].offset,
        Offset(5)
    );
}

#[test]
fn a_seek_drops_what_was_fetched_and_what_is_on_its_way() {
    let mut consumer = consumer(ConsumerSettings::default(), 1);
    let (id, _) = next_fetch(&mut consumer, NOW).unwrap();
    answer(&mut consumer, id, vec![fetched(0, batch(0, 5))]);
    assert_eq!(consumer.poll_record().unwrap().unwrap().record.offset, 0);
    let (on_its_way, _) = next_fetch(&mut consumer, NOW).unwrap();
    start(&mut consumer, 0, StartAt::Offset(Offset(100)));
    answer(&mut consumer, on_its_way, vec![fetched(0, batch(5, 5))]);
    assert!(consumer.poll_record().is_none());
    let (id, wanted) = next_fetch(&mut consumer, NOW).unwrap();
    assert_eq!(wanted[0].offset, Offset(100));
    answer(&mut consumer, id, vec![fetched(0, batch(100, 1))]);
    assert_eq!(read_offsets(&mut consumer), [100]);
}

#[test]
fn nothing_is_fetched_while_the_buffer_is_full() {
    let mut consumer = consumer(
        ConsumerSettings {
            buffer_bytes: 50,
            ..ConsumerSettings::default()
        },
        1,
    );
    let (id, _) = next_fetch(&mut consumer, NOW).unwrap();
    answer(&mut consumer, id, vec![fetched(0, batch(0, 5))]);
    assert!(next_fetch(&mut consumer, NOW).is_none());
    read_offsets(&mut consumer);
    assert!(next_fetch(&mut consumer, NOW).is_some());
}

#[test]
fn idle_partitions_share_a_fetch_and_take_turns_at_its_head() {
    let mut consumer = consumer(ConsumerSettings::default(), 3);
    let mut heads = Vec::new();
    for _ in 0..3 {
        let (id, wanted) = next_fetch(&mut consumer, NOW).unwrap();
        assert_eq!(wanted.len(), 3);
        heads.push(wanted[0].partition.0);
        let nothing = wanted
            .iter()
            .map(|one| fetched(one.partition.0, Vec::new()));
        answer(&mut consumer, id, nothing.collect());
    }
    assert_eq!(heads, [0, 1, 2]);
}

#[test]
fn one_failed_partition_does_not_stop_the_others() {
    let mut consumer = consumer(ConsumerSettings::default(), 2);
    let (id, _) = next_fetch(&mut consumer, NOW).unwrap();
    answer(
        &mut consumer,
        id,
        vec![failed(0, ErrorCode::StorageError), fetched(1, batch(0, 1))],
    );
    let error = consumer.poll_record().unwrap().unwrap_err();
    assert_eq!(error.partition, PartitionId(0));
    assert_eq!(error.error.code(), Some(ErrorCode::StorageError));
    assert_eq!(read_offsets(&mut consumer), [0]);
    let (_, wanted) = next_fetch(&mut consumer, NOW).unwrap();
    assert_eq!(wanted.len(), 1, "the failed one is not asked for again");
}

#[test]
fn what_may_pass_is_tried_again_after_a_wait() {
    let mut consumer = consumer(ConsumerSettings::default(), 1);
    let (id, _) = next_fetch(&mut consumer, NOW).unwrap();
    answer(&mut consumer, id, vec![failed(0, ErrorCode::Overloaded)]);
    assert!(consumer.poll_record().is_none());
    assert!(next_fetch(&mut consumer, NOW).is_none());
    let at = consumer.poll_timeout(NOW).unwrap();
    assert!(next_fetch(&mut consumer, at).is_some());
}

#[test]
fn a_cut_asks_again_for_what_did_not_come() {
    let mut consumer = consumer(ConsumerSettings::default(), 1);
    let (id, first) = next_fetch(&mut consumer, NOW).unwrap();
    consumer.handle_disconnect();
    answer(&mut consumer, id, vec![fetched(0, batch(0, 1))]);
    assert!(
        consumer.poll_record().is_none(),
        "an answer from before the cut"
    );
    assert_eq!(next_fetch(&mut consumer, NOW).unwrap().1, first);
}

#[test]
fn what_was_not_asked_for_is_an_error_and_never_a_record() {
    let mut negative = batch(0, 2);
    negative[..8].copy_from_slice(&(-5i64).to_be_bytes());
    for strange in [
        vec![fetched(1, Vec::new())],
        vec![fetched(0, Vec::new()), fetched(1, Vec::new())],
        vec![fetched(0, negative)],
        vec![fetched(0, vec![0xab; 100])],
    ] {
        let mut consumer = consumer(ConsumerSettings::default(), 1);
        let (id, _) = next_fetch(&mut consumer, NOW).unwrap();
        answer(&mut consumer, id, strange);
        let error = consumer.poll_record().unwrap().unwrap_err();
        assert!(matches!(error.error, Error::Protocol(_)), "{error:?}");
        assert!(consumer.is_finished());
    }
}

#[test]
fn an_answer_of_the_wrong_kind_is_an_error() {
    let mut consumer = consumer(ConsumerSettings::default(), 1);
    let (id, _) = next_fetch(&mut consumer, NOW).unwrap();
    let found = ListOffsetsOk {
        offset: Offset(0),
        timestamp: None,
    };
    consumer.handle_answer(NOW, id, Ok(ConsumerAnswer::Offset(found)));
    let error = consumer.poll_record().unwrap().unwrap_err();
    assert!(matches!(error.error, Error::Protocol(_)), "{error:?}");
}
