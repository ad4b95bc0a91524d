use leveret_record::{BatchBuilder, Compression, assign};
use leveret_wire::native::{
    ListOffsetsOk, MAX_SUBSCRIPTION_PARTITIONS, OffsetSpec, Push, SubscribePartition,
};

use super::*;

const TOPIC: TopicId = TopicId(1);
const NOW: Mono = Mono(1_000_000_000);

fn consumer(settings: ConsumerSettings, partitions: u32) -> Consumer {
    let mut consumer = Consumer::new(settings);
    for partition in 0..partitions {
        start(&mut consumer, partition, StartAt::Offset(Offset(0)));
    }
    consumer
}

fn buffer(buffer_bytes: usize) -> ConsumerSettings {
    ConsumerSettings {
        buffer_bytes,
        ..ConsumerSettings::default()
    }
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

/// A subscription as the broker gets it.
#[derive(Debug, PartialEq)]
struct Asked {
    id: RequestId,
    credit: u64,
    partitions: Vec<SubscribePartition>,
}

fn subscription(consumer: &mut Consumer, now: Mono) -> Option<Asked> {
    match consumer.poll_transmit(now)? {
        ConsumerTransmit::Subscribe {
            id,
            credit,
            partitions,
        } => Some(Asked {
            id,
            credit,
            partitions,
        }),
        other => panic!("no subscription: {other:?}"),
    }
}

/// The subscription that is asked for, confirmed.
fn subscribed(consumer: &mut Consumer) -> Asked {
    let asked = subscription(consumer, NOW).expect("a subscription");
    answer(consumer, asked.id, ConsumerAnswer::Subscribed);
    asked
}

fn answer(consumer: &mut Consumer, id: RequestId, answer: ConsumerAnswer) {
    consumer.handle_answer(NOW, id, Ok(answer));
}

fn push(consumer: &mut Consumer, id: RequestId, index: u32, bytes: Vec<u8>) {
    push_with(consumer, id, index, None, bytes);
}

fn fail(consumer: &mut Consumer, id: RequestId, index: u32, code: ErrorCode) {
    push_with(consumer, id, index, Some(code), Vec::new());
}

fn push_with(
    consumer: &mut Consumer,
    id: RequestId,
    index: u32,
    error: Option<ErrorCode>,
    bytes: Vec<u8>,
) {
    let push = Push {
        index,
        error,
        high_watermark: Offset(1000),
        log_start_offset: Offset(0),
    };
    let batches = bytes.into();
    let pushed = ConsumerAnswer::Pushed(PushedBatches { push, batches });
    answer(consumer, id, pushed);
}

/// The subscription ends as asked for.
fn unsubscribed(consumer: &mut Consumer, id: RequestId) {
    let asked = consumer.poll_transmit(NOW);
    let subscription = id;
    assert_eq!(asked, Some(ConsumerTransmit::Unsubscribe { subscription }));
    assert_eq!(
        consumer.poll_transmit(NOW),
        None,
        "its rest waits for its end"
    );
    answer(consumer, id, ConsumerAnswer::Unsubscribed);
}

fn read_offsets(consumer: &mut Consumer) -> Vec<i64> {
    std::iter::from_fn(|| consumer.poll_record())
        .map(|read| read.unwrap().record.offset)
        .collect()
}

#[test]
fn records_below_the_position_are_skipped_and_pushes_go_on_behind() {
    let mut consumer = Consumer::new(ConsumerSettings::default());
    start(&mut consumer, 0, StartAt::Offset(Offset(12)));
    let asked = subscribed(&mut consumer);
    assert_eq!(asked.partitions[0].offset, Offset(12));
    assert_eq!(asked.credit, 32 << 20);
    assert_eq!(consumer.poll_transmit(NOW), None, "nothing more is asked");
    let both = [batch(10, 5), batch(15, 2)].concat();
    push(&mut consumer, asked.id, 0, both);
    push(&mut consumer, asked.id, 0, batch(17, 1));
    assert_eq!(consumer.position(TOPIC, PartitionId(0)), Some(Offset(12)));
    assert_eq!(read_offsets(&mut consumer), [12, 13, 14, 15, 16, 17]);
    assert_eq!(consumer.position(TOPIC, PartitionId(0)), Some(Offset(18)));
    let high = consumer.high_watermark(TOPIC, PartitionId(0));
    assert_eq!((consumer.buffered(), high), (0, Some(Offset(1000))));
    assert_eq!(consumer.poll_transmit(NOW), None);
}

#[test]
fn positions_are_looked_up_first_and_subscribed_to_together() {
    let mut consumer = Consumer::new(ConsumerSettings::default());
    start(&mut consumer, 0, StartAt::Timestamp(77));
    start(&mut consumer, 1, StartAt::End);
    start(&mut consumer, 2, StartAt::Offset(Offset(3)));
    let mut ids = Vec::new();
    for spec in [OffsetSpec::Timestamp(77), OffsetSpec::Latest] {
        let Some(ConsumerTransmit::ListOffsets { id, request }) = consumer.poll_transmit(NOW)
        else {
            panic!("a look-up");
        };
        assert_eq!(request.spec, spec);
        ids.push(id);
    }
    for (offset, id) in (5..).zip(ids) {
        assert_eq!(consumer.poll_transmit(NOW), None, "one is under way");
        let found = ListOffsetsOk {
            offset: Offset(offset),
            timestamp: Some(80),
        };
        answer(&mut consumer, id, ConsumerAnswer::Offset(found));
    }
    let asked = subscribed(&mut consumer);
    let offsets = asked.partitions.iter().map(|asked| asked.offset.0);
    assert_eq!(offsets.collect::<Vec<_>>(), [5, 6, 3]);
}

#[test]
fn a_seek_drops_what_came_and_what_is_on_its_way() {
    let mut consumer = consumer(ConsumerSettings::default(), 2);
    let before = subscribed(&mut consumer).id;
    push(&mut consumer, before, 0, batch(0, 5));
    assert_eq!(consumer.poll_record().unwrap().unwrap().record.offset, 0);
    push(&mut consumer, before, 1, batch(0, 5));
    start(&mut consumer, 0, StartAt::Offset(Offset(100)));
    push(&mut consumer, before, 0, batch(5, 5));
    push(&mut consumer, before, 1, batch(5, 5));
    unsubscribed(&mut consumer, before);
    let after = subscribed(&mut consumer);
    let offsets = after.partitions.iter().map(|asked| asked.offset.0);
    assert_eq!(offsets.collect::<Vec<_>>(), [100, 10]);
    push(&mut consumer, after.id, 0, batch(100, 1));
    let offsets = read_offsets(&mut consumer);
    assert_eq!(offsets, (0..10).chain([100]).collect::<Vec<_>>());
}

#[test]
fn what_is_left_alone_does_not_end_the_others_subscription() {
    let mut consumer = consumer(ConsumerSettings::default(), 3);
    let before = subscribed(&mut consumer).id;
    consumer.unassign(TOPIC, PartitionId(1));
    assert_eq!(consumer.poll_transmit(NOW), None);
    start(&mut consumer, 2, StartAt::Offset(Offset(7)));
    let beside = subscribed(&mut consumer);
    assert_eq!(beside.partitions.len(), 1);
    push(&mut consumer, before, 0, batch(0, 1));
    assert_eq!(consumer.poll_transmit(NOW), None);
    // Until it brings what nobody wants.
    push(&mut consumer, before, 1, batch(0, 1));
    unsubscribed(&mut consumer, before);
    assert_eq!(subscribed(&mut consumer).partitions.len(), 1);
    assert_eq!(read_offsets(&mut consumer), [0]);
    // With nothing wanted of it, it ends at once.
    consumer.unassign(TOPIC, PartitionId(2));
    unsubscribed(&mut consumer, beside.id);
}

#[test]
fn credit_is_what_the_buffer_has_room_for() {
    let len = batch(0, 1).len();
    let mut consumer = consumer(buffer(4 * len), 1);
    let asked = subscribed(&mut consumer);
    assert_eq!(asked.credit, 4 * len as u64);
    for base in 0..4 {
        push(&mut consumer, asked.id, 0, batch(base, 1));
        assert_eq!(consumer.poll_transmit(NOW), None, "nothing was taken");
    }
    for base in 0..6 {
        assert_eq!(consumer.poll_record().unwrap().unwrap().record.offset, base);
        let credit = consumer.poll_transmit(NOW);
        if base % 2 == 0 {
            assert_eq!(credit, None, "less than half of it");
            continue;
        }
        let bytes = 2 * len as u64;
        let subscription = asked.id;
        let expected = ConsumerTransmit::Credit {
            subscription,
            bytes,
        };
        assert_eq!(credit, Some(expected));
        for base in base + 3..base + 5 {
            push(&mut consumer, asked.id, 0, batch(base, 1));
        }
    }
}

#[test]
fn the_buffer_is_shared_by_subscriptions_and_by_what_is_left_of_others() {
    let len = batch(0, 1).len();
    let mut consumer = consumer(buffer(8 * len), 1);
    let first = subscribed(&mut consumer);
    push(&mut consumer, first.id, 0, batch(0, 1));
    start(&mut consumer, 1, StartAt::Offset(Offset(0)));
    let second = subscribed(&mut consumer);
    assert_eq!(second.credit, 4 * len as u64, "its half");
    // What came before a cut still fills the buffer.
    consumer.handle_disconnect();
    let again = subscribed(&mut consumer);
    assert_eq!((again.partitions.len(), again.credit), (2, 7 * len as u64));
    assert_eq!(read_offsets(&mut consumer), [0]);
}

#[test]
fn many_partitions_take_several_subscriptions_and_small_ones_are_put_together() {
    let most = MAX_SUBSCRIPTION_PARTITIONS;
    let mut consumer = consumer(ConsumerSettings::default(), most as u32 + 1);
    assert_eq!(subscribed(&mut consumer).partitions.len(), most);
    let mut small = vec![subscribed(&mut consumer)];
    assert_eq!(small[0].partitions.len(), 1);
    let mut partition = most as u32;
    let ended = loop {
        partition += 1;
        start(&mut consumer, partition, StartAt::Offset(Offset(0)));
        match consumer.poll_transmit(NOW).unwrap() {
            ConsumerTransmit::Subscribe { id, partitions, .. } => {
                answer(&mut consumer, id, ConsumerAnswer::Subscribed);
                let credit = 0;
                small.push(Asked {
                    id,
                    credit,
                    partitions,
                });
            }
            ConsumerTransmit::Unsubscribe { subscription } => break subscription,
            other => panic!("{other:?}"),
        }
        assert!(small.len() < 20, "they are never put together");
    };
    assert_eq!(ended, small[0].id);
    answer(&mut consumer, ended, ConsumerAnswer::Unsubscribed);
    for one in &small[1..] {
        unsubscribed_of(&mut consumer, one.id);
    }
    let asked = subscribed(&mut consumer);
    assert_eq!(asked.partitions.len(), small.len() + 1);
    assert_eq!(consumer.poll_transmit(NOW), None);
}

fn unsubscribed_of(consumer: &mut Consumer, id: RequestId) {
    let subscription = id;
    let asked = consumer.poll_transmit(NOW);
    assert_eq!(asked, Some(ConsumerTransmit::Unsubscribe { subscription }));
    answer(consumer, id, ConsumerAnswer::Unsubscribed);
}

#[test]
fn one_failed_partition_does_not_stop_the_others() {
    let mut consumer = consumer(ConsumerSettings::default(), 2);
    let asked = subscribed(&mut consumer);
    fail(&mut consumer, asked.id, 0, ErrorCode::StorageError);
    push(&mut consumer, asked.id, 1, batch(0, 1));
    let error = consumer.poll_record().unwrap().unwrap_err();
    assert_eq!(error.partition, PartitionId(0));
    assert_eq!(error.error.code(), Some(ErrorCode::StorageError));
    assert_eq!(read_offsets(&mut consumer), [0]);
    assert_eq!(
        consumer.poll_transmit(NOW),
        None,
        "it is not asked for again"
    );
    fail(&mut consumer, asked.id, 1, ErrorCode::UnknownTopic);
    assert!(consumer.poll_record().unwrap().is_err());
    assert!(consumer.is_finished());
    unsubscribed(&mut consumer, asked.id);
    assert_eq!(consumer.poll_transmit(NOW), None);
    assert_eq!(consumer.waits_since(), None);
}

#[test]
fn what_may_pass_is_tried_again_after_a_wait() {
    for whole in [false, true] {
        let mut consumer = consumer(ConsumerSettings::default(), 1);
        let asked = subscribed(&mut consumer);
        if whole {
            let stopping = Error::broker(ErrorCode::Stopping, "stopping");
            consumer.handle_answer(NOW, asked.id, Err(stopping));
        } else {
            fail(&mut consumer, asked.id, 0, ErrorCode::Overloaded);
            unsubscribed(&mut consumer, asked.id);
        }
        assert!(consumer.poll_record().is_none());
        assert_eq!(consumer.poll_transmit(NOW), None);
        let at = consumer.poll_timeout(NOW).unwrap();
        let again = subscription(&mut consumer, at).unwrap();
        assert_eq!(again.partitions, asked.partitions);
    }
}

#[test]
fn a_lost_position_is_looked_up_as_told() {
    let settings = ConsumerSettings {
        out_of_range: OutOfRange::Earliest,
        ..ConsumerSettings::default()
    };
    let mut consumer = consumer(settings, 2);
    let asked = subscribed(&mut consumer);
    fail(&mut consumer, asked.id, 1, ErrorCode::OffsetOutOfRange);
    let Some(ConsumerTransmit::ListOffsets { id, request }) = consumer.poll_transmit(NOW) else {
        panic!("a look-up");
    };
    assert_eq!(request.spec, OffsetSpec::Earliest);
    let found = ListOffsetsOk {
        offset: Offset(50),
        timestamp: None,
    };
    answer(&mut consumer, id, ConsumerAnswer::Offset(found));
    let again = subscribed(&mut consumer);
    assert_eq!(again.partitions.len(), 1, "the other one stands");
    assert_eq!(again.partitions[0].offset, Offset(50));
}

#[test]
fn a_cut_asks_again_from_what_came() {
    let mut consumer = consumer(ConsumerSettings::default(), 1);
    let before = subscribed(&mut consumer).id;
    push(&mut consumer, before, 0, batch(0, 2));
    consumer.handle_disconnect();
    push(&mut consumer, before, 0, batch(2, 2));
    let after = subscribed(&mut consumer);
    assert_eq!(
        after.partitions[0].offset,
        Offset(2),
        "not from before the cut"
    );
    push(&mut consumer, after.id, 0, batch(2, 2));
    assert_eq!(read_offsets(&mut consumer), [0, 1, 2, 3]);
}

#[test]
fn a_silent_broker_is_asked_whether_it_is_there() {
    let mut consumer = consumer(ConsumerSettings::default(), 1);
    let asked = subscription(&mut consumer, NOW).unwrap();
    assert_eq!(consumer.waits_since(), Some(NOW));
    answer(&mut consumer, asked.id, ConsumerAnswer::Subscribed);
    assert_eq!(consumer.waits_since(), None);
    let at = consumer.poll_timeout(NOW).unwrap();
    assert_eq!(at.since(NOW), consumer.settings().ping_after);
    assert_eq!(consumer.poll_transmit(Mono(at.0 - 1)), None);
    let Some(ConsumerTransmit::Ping { id }) = consumer.poll_transmit(at) else {
        panic!("a ping");
    };
    assert_eq!(consumer.waits_since(), Some(at));
    assert_eq!(consumer.poll_transmit(at), None, "one at a time");
    consumer.handle_answer(at, id, Ok(ConsumerAnswer::Pong));
    assert_eq!(consumer.waits_since(), None);
    let next = consumer.poll_timeout(at).unwrap();
    assert_eq!(next.since(at), consumer.settings().ping_after);
}

#[test]
fn what_was_not_asked_for_is_an_error_and_never_a_record() {
    let mut negative = batch(0, 2);
    negative[..8].copy_from_slice(&(-5i64).to_be_bytes());
    for (index, bytes) in [
        (1, batch(0, 1)),
        (u32::MAX, Vec::new()),
        (0, negative),
        (0, vec![0xab; 100]),
    ] {
        let mut consumer = consumer(ConsumerSettings::default(), 1);
        let asked = subscribed(&mut consumer);
        push(&mut consumer, asked.id, index, bytes);
        let error = consumer.poll_record().unwrap().unwrap_err();
        assert!(matches!(error.error, Error::Protocol(_)), "{error:?}");
        assert!(consumer.is_finished());
        push(&mut consumer, asked.id, 0, batch(0, 1));
        assert!(consumer.poll_record().is_none());
        unsubscribed(&mut consumer, asked.id);
    }
}

#[test]
fn an_answer_of_the_wrong_kind_is_an_error() {
    let mut consumer = consumer(ConsumerSettings::default(), 1);
    let asked = subscribed(&mut consumer);
    let found = ListOffsetsOk {
        offset: Offset(0),
        timestamp: None,
    };
    answer(&mut consumer, asked.id, ConsumerAnswer::Offset(found));
    let error = consumer.poll_record().unwrap().unwrap_err();
    assert!(matches!(error.error, Error::Protocol(_)), "{error:?}");
}
