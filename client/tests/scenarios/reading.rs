//! What consumers and subscriptions read, and from where.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use leveret_client::{
    ConsumerOptions, Error, ErrorCode, Offset, OutOfRange, PartitionId, ProducerRecord, StartAt,
    TopicId,
};
use leveret_wire::native::SubscribePartition;

use super::super::runtime::{Client, sleep};
use super::super::support::{FakeBroker, Faults};
use super::{options, small_batches, value, within};

pub(crate) async fn filled(partitions: u32, records: usize) -> (FakeBroker, Client) {
    let broker = FakeBroker::start(Faults::default()).await;
    broker.create_topic("t", partitions);
    let client = Client::with_options(options(&broker)).await.unwrap();
    let producer = client.producer(small_batches());
    for number in 0..records {
        let record = ProducerRecord {
            partition: Some(PartitionId(number as u32 % partitions)),
            timestamp: Some(1000 + number as i64),
            key: Some(format!("{number}").into()),
            headers: vec![("h".into(), None), ("h".into(), Some("x".into()))],
            ..ProducerRecord::value(value(number))
        };
        drop(producer.send("t", record).await.unwrap());
    }
    producer.flush().await.unwrap();
    (broker, client)
}

pub(crate) async fn everything_is_read_once_and_in_order() {
    let (_broker, client) = filled(3, 900).await;
    let mut consumer = client.consumer(ConsumerOptions {
        max_partition_bytes: 1000,
        ..ConsumerOptions::default()
    });
    consumer.assign("t", &[], StartAt::Beginning).await.unwrap();
    let mut next = [0u64; 3];
    for _ in 0..900 {
        let read = consumer.next().await.unwrap();
        let partition = read.partition.0;
        let number = next[partition as usize] * 3 + u64::from(partition);
        assert_eq!(read.record.offset as u64, next[partition as usize]);
        assert_eq!(
            read.record.value.as_deref(),
            Some(&value(number as usize)[..])
        );
        assert_eq!(read.record.headers().len(), 2);
        next[partition as usize] += 1;
        let position = consumer.position("t", read.partition).unwrap();
        assert_eq!(position.0, next[partition as usize]);
    }
    assert_eq!(next, [300; 3]);
    let more = within(Duration::from_millis(50), consumer.next()).await;
    assert!(more.is_none(), "there is nothing more: {more:?}");
    assert_eq!(
        consumer.high_watermark("t", PartitionId(0)),
        Some(Offset(300))
    );
}

pub(crate) async fn a_stream_goes_on_where_the_last_one_was_dropped() {
    let (broker, client) = filled(1, 200).await;
    let mut consumer = client.consumer(ConsumerOptions::default());
    consumer.assign("t", &[], StartAt::Beginning).await.unwrap();
    let mut offsets = Vec::new();
    for _ in 0..4 {
        let mut records = pin!(consumer.records());
        for _ in 0..50 {
            let read = records.next().await.expect("it never ends").unwrap();
            offsets.push(read.record.offset);
        }
        // One that waits is dropped while it waits, too.
        if offsets.len() == 200 {
            let more = within(Duration::from_millis(50), records.next()).await;
            assert!(more.is_none(), "there is nothing more: {more:?}");
        }
    }
    assert_eq!(offsets, (0..200).collect::<Vec<i64>>());

    // An error is an item, and what is mended meanwhile is read on.
    broker.trim(TopicId(1), 0);
    let zero = PartitionId(0);
    let lost = StartAt::Offset(Offset(0));
    consumer.seek("t", zero, lost).unwrap();
    let refused = pin!(consumer.batches()).next().await.expect("an item");
    let code = refused.map(|_| ()).unwrap_err().code();
    assert_eq!(code, Some(ErrorCode::OffsetOutOfRange));
    let producer = client.producer(small_batches());
    let delivery = producer.send("t", ProducerRecord::value("new")).await;
    delivery.unwrap().await.unwrap();
    consumer
        .seek("t", zero, StartAt::Offset(Offset(200)))
        .unwrap();
    let read = pin!(consumer.records()).next().await.expect("an item");
    assert_eq!(read.unwrap().record.offset, 200);
}

pub(crate) async fn cuts_within_pushes_lose_nothing_and_repeat_nothing() {
    let (broker, client) = filled(3, 900).await;
    broker.state.lock().unwrap().faults.cut_pushes = 5;
    let mut consumer = client.consumer(ConsumerOptions {
        max_partition_bytes: 1000,
        buffer_bytes: 4000,
        ..ConsumerOptions::default()
    });
    consumer.assign("t", &[], StartAt::Beginning).await.unwrap();
    let mut next = [0i64; 3];
    for _ in 0..900 {
        let read = consumer.next().await.unwrap();
        let partition = read.partition.0 as usize;
        assert_eq!(read.record.offset, next[partition]);
        next[partition] += 1;
    }
    assert_eq!(next, [300; 3]);
    let state = broker.state.lock().unwrap();
    assert!(state.connections > 10, "{} connections", state.connections);
}

pub(crate) async fn no_more_is_pushed_than_the_buffer_takes() {
    let (broker, client) = filled(2, 900).await;
    let buffer = 3000;
    let mut consumer = client.consumer(ConsumerOptions {
        buffer_bytes: buffer,
        ..ConsumerOptions::default()
    });
    consumer.assign("t", &[], StartAt::Beginning).await.unwrap();
    consumer.next().await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let pushed = broker.state.lock().unwrap().pushed_bytes;
    // A first batch has been taken out of it, and one may pass it.
    assert!(pushed <= buffer + 2 * 400 + 1000, "{pushed} bytes");
    for _ in 1..900 {
        consumer.next().await.unwrap();
    }
    let pushed = broker.state.lock().unwrap().pushed_bytes;
    assert!(pushed > 5 * buffer, "{pushed}: the bound mattered");
}

pub(crate) async fn seeks_land_where_they_should() {
    let (_broker, client) = filled(1, 200).await;
    let mut consumer = client.consumer(ConsumerOptions::default());
    let zero = PartitionId(0);
    consumer
        .assign("t", &[zero], StartAt::Offset(Offset(123)))
        .await
        .unwrap();
    assert_eq!(consumer.next().await.unwrap().record.offset, 123);
    assert_eq!(consumer.next().await.unwrap().record.offset, 124);
    consumer.seek("t", zero, StartAt::Timestamp(1050)).unwrap();
    assert_eq!(consumer.next().await.unwrap().record.offset, 50);
    consumer.seek("t", zero, StartAt::Beginning).unwrap();
    assert_eq!(consumer.next().await.unwrap().record.offset, 0);
    consumer.seek("t", zero, StartAt::End).unwrap();
    let nothing = within(Duration::from_millis(50), consumer.next()).await;
    assert!(nothing.is_none());
    let producer = client.producer(small_batches());
    drop(
        producer
            .send("t", ProducerRecord::value("new"))
            .await
            .unwrap(),
    );
    assert_eq!(consumer.next().await.unwrap().record.offset, 200);
}

pub(crate) async fn a_lost_position_is_an_error_or_a_jump_as_told() {
    let (broker, client) = filled(1, 200).await;
    broker.trim(TopicId(1), 0);
    let start = StartAt::Offset(Offset(0));
    let mut strict = client.consumer(ConsumerOptions::default());
    strict.assign("t", &[], start).await.unwrap();
    let error = strict.next().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::OffsetOutOfRange));
    assert_eq!(strict.next().await.unwrap_err(), Error::NotAssigned);
    strict
        .seek("t", PartitionId(0), StartAt::Beginning)
        .unwrap();
    let first = strict.next().await.unwrap().record.offset;
    assert!(first > 0);
    let mut lenient = client.consumer(ConsumerOptions {
        out_of_range: OutOfRange::Earliest,
        ..ConsumerOptions::default()
    });
    lenient.assign("t", &[], start).await.unwrap();
    assert_eq!(lenient.next().await.unwrap().record.offset, first);
}

pub(crate) async fn damaged_bytes_are_an_error_and_never_a_record() {
    let (broker, client) = filled(1, 200).await;
    broker.damage(TopicId(1), 0);
    let mut consumer = client.consumer(ConsumerOptions::default());
    consumer.assign("t", &[], StartAt::Beginning).await.unwrap();
    let error = consumer.next().await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

pub(crate) async fn batches_come_whole_and_verified() {
    let (_broker, client) = filled(1, 200).await;
    let mut consumer = client.consumer(ConsumerOptions::default());
    consumer
        .assign("t", &[], StartAt::Offset(Offset(3)))
        .await
        .unwrap();
    let mut records = 0;
    let mut first = true;
    while records < 200 {
        let batch = consumer.next_batch().await.unwrap();
        if first {
            assert_eq!(batch.from, Offset(3));
            first = false;
        }
        records += batch.records.iter().map(Result::unwrap).count();
    }
    assert_eq!(records, 200);
    assert_eq!(consumer.position("t", PartitionId(0)), Some(Offset(200)));
}

pub(crate) async fn a_subscription_brings_what_credit_allows_and_ends_when_dropped() {
    let (broker, client) = filled(2, 400).await;
    let connection = client.open_connection().await.unwrap();
    let asked: Vec<_> = (0..2)
        .map(|number| SubscribePartition {
            topic_id: TopicId(1),
            partition: PartitionId(number),
            offset: Offset(0),
            max_bytes: 500,
        })
        .collect();
    let mut subscription = connection.subscribe(1, &asked).await.unwrap();
    let mut end = [0i64; 2];
    // A byte of credit is a push.
    while end != [200, 200] {
        let pushed = subscription.next().await.unwrap();
        let number = pushed.push.index as usize;
        let records =
            leveret_record::records(&pushed.batches, leveret_record::MAX_RECORDS_LEN).unwrap();
        for record in &records {
            assert_eq!(record.unwrap().offset, end[number]);
            end[number] += 1;
        }
        let more = within(Duration::from_millis(5), subscription.next()).await;
        assert!(more.is_none(), "more came than credit allows: {more:?}");
        let spent = pushed.batches.len() as u64;
        subscription.credit(spent).unwrap();
    }
    drop(subscription);
    let producer = client.producer(small_batches());
    let before = broker.state.lock().unwrap().pushes;
    let record = ProducerRecord::value("unheard");
    producer.send("t", record).await.unwrap().await.unwrap();
    sleep(Duration::from_millis(20)).await;
    assert_eq!(broker.state.lock().unwrap().pushes, before);
}
