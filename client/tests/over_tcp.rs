//! The tokio client against a broker in memory that misbehaves: nothing lost, nothing twice,
//! nothing out of order.

#![cfg(feature = "tokio")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use leveret_client::{
    Client, ClientOptions, ConsumerOptions, Error, ErrorCode, NewTopic, Offset, OutOfRange,
    PartitionId, ProducerOptions, ProducerRecord, StartAt, TopicChanges, TopicId,
};
use support::{FakeBroker, Faults};

fn options(broker: &FakeBroker) -> ClientOptions {
    ClientOptions {
        retry_timeout: Duration::from_secs(10),
        backoff_least: Duration::from_millis(1),
        backoff_most: Duration::from_millis(20),
        ..ClientOptions::new(broker.address.as_str())
    }
}

fn small_batches() -> ProducerOptions {
    ProducerOptions {
        linger: Duration::from_millis(1),
        max_batch_bytes: 400,
        backoff_least: Duration::from_millis(1),
        backoff_most: Duration::from_millis(10),
        ..ProducerOptions::default()
    }
}

fn value(number: usize) -> Vec<u8> {
    format!("value {number}").into_bytes()
}

/// Sends 2,000 records to two partitions through `faults`; what is stored, and the broker.
async fn produce_through(faults: Faults) -> (Vec<Vec<Vec<u8>>>, FakeBroker) {
    let broker = FakeBroker::start(faults).await;
    let topic = broker.create_topic("t", 2);
    let client = Client::with_options(options(&broker)).await.unwrap();
    let producer = client.producer(small_batches());
    let mut deliveries = Vec::new();
    for number in 0..2000 {
        let record = ProducerRecord {
            partition: Some(PartitionId(number as u32 % 2)),
            ..ProducerRecord::value(value(number))
        };
        deliveries.push(producer.send("t", record).await.unwrap());
    }
    producer.flush().await.unwrap();
    let stored: Vec<_> = (0..2)
        .map(|partition| broker.values(topic, partition))
        .collect();
    if !faults.append_duplicates {
        for (number, delivery) in deliveries.into_iter().enumerate() {
            let ack = delivery.await.unwrap();
            let at = &stored[ack.partition.0 as usize][ack.offset.0 as usize];
            assert_eq!(
                at,
                &value(number),
                "the acknowledged offset holds the record"
            );
        }
    }
    (stored, broker)
}

/// Every record of [`produce_through`] once and in order.
fn assert_complete(stored: &[Vec<Vec<u8>>]) {
    for (partition, stored) in stored.iter().enumerate() {
        let expected = (partition..2000).step_by(2).map(value);
        for (offset, (stored, expected)) in stored.iter().zip(expected).enumerate() {
            let stored = String::from_utf8_lossy(stored);
            assert_eq!(
                stored,
                String::from_utf8(expected).unwrap(),
                "at offset {offset}"
            );
        }
        assert_eq!(stored.len(), 1000);
    }
}

#[tokio::test]
async fn a_topic_that_grows_gets_records_of_a_producer_that_runs() {
    let broker = FakeBroker::start(Faults::default()).await;
    let topic = broker.create_topic("t", 1);
    let client = Client::with_options(options(&broker)).await.unwrap();
    let producer = client.producer(ProducerOptions {
        metadata_max_age: Duration::from_millis(50),
        ..small_batches()
    });
    let first = producer
        .send("t", ProducerRecord::value("x"))
        .await
        .unwrap();
    assert_eq!(first.await.unwrap().partition, PartitionId(0));
    let changes = TopicChanges {
        partitions: Some(3),
        ..TopicChanges::default()
    };
    let altered = client.admin().alter_topic("t", &changes).await.unwrap();
    assert_eq!((altered.topic_id, altered.partitions), (topic, 3));
    // One that is named is looked for at once, whatever the age, and once only.
    let named = |partition| ProducerRecord {
        partition: Some(PartitionId(partition)),
        ..ProducerRecord::value("named")
    };
    let delivery = producer.send("t", named(2)).await.unwrap();
    assert_eq!(delivery.await.unwrap().partition, PartitionId(2));
    let refused = producer.send("t", named(3)).await.unwrap_err();
    assert!(matches!(refused, Error::InvalidRecord(_)), "{refused}");
    // The others follow by themselves.
    let changes = TopicChanges {
        partitions: Some(4),
        ..TopicChanges::default()
    };
    client.admin().alter_topic("t", &changes).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while broker.values(topic, 3).is_empty() {
        assert!(Instant::now() < deadline, "the new partition stays empty");
        for _ in 0..50 {
            let sent = producer.send("t", ProducerRecord::value("x")).await;
            drop(sent.unwrap());
        }
        producer.flush().await.unwrap();
    }
}

#[tokio::test]
async fn a_calm_broker_gets_everything_once() {
    let (stored, broker) = produce_through(Faults::default()).await;
    assert_complete(&stored);
    let state = broker.state.lock().unwrap();
    assert_eq!((state.connections, state.producers), (2, 1));
    assert!(state.produces > 100, "batches were small");
}

#[tokio::test]
async fn cuts_and_overload_lose_nothing_and_repeat_nothing() {
    let (stored, broker) = produce_through(Faults {
        cut_after_append: 7,
        cut_before_append: 11,
        overload: 5,
        ..Faults::default()
    })
    .await;
    assert_complete(&stored);
    let state = broker.state.lock().unwrap();
    assert!(
        state.duplicates > 0,
        "cuts after an append cause repetitions"
    );
    assert!(state.connections > 10, "there were cuts");
}

#[tokio::test]
async fn a_broker_that_loses_sequences_gets_a_new_producer() {
    let (stored, broker) = produce_through(Faults {
        lose_sequences: 9,
        ..Faults::default()
    })
    .await;
    assert_complete(&stored);
    assert!(broker.state.lock().unwrap().producers > 1);
}

#[tokio::test]
async fn without_idempotence_the_same_cuts_would_repeat() {
    let (stored, _) = produce_through(Faults {
        cut_after_append: 7,
        append_duplicates: true,
        ..Faults::default()
    })
    .await;
    assert!(stored.iter().map(Vec::len).sum::<usize>() > 2000);
}

#[tokio::test]
async fn a_silent_broker_is_given_up_at_the_deadline() {
    let broker = FakeBroker::start(Faults {
        silent: true,
        ..Faults::default()
    })
    .await;
    broker.create_topic("t", 1);
    let client = Client::with_options(options(&broker)).await.unwrap();
    let producer = client.producer(ProducerOptions {
        delivery_timeout: Duration::from_millis(200),
        ..small_batches()
    });
    let start = Instant::now();
    let delivery = producer
        .send("t", ProducerRecord::value("v"))
        .await
        .unwrap();
    let error = delivery.await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_full_buffer_makes_senders_wait() {
    let broker = FakeBroker::start(Faults::default()).await;
    broker.create_topic("t", 1);
    let client = Client::with_options(options(&broker)).await.unwrap();
    let bound = 2000;
    let producer = client.producer(ProducerOptions {
        buffer_bytes: bound,
        ..small_batches()
    });
    for number in 0..500 {
        let record = ProducerRecord::value(value(number));
        drop(producer.send("t", record).await.unwrap());
        assert!(producer.buffered_bytes() <= bound);
    }
    producer.flush().await.unwrap();
    assert_eq!(producer.buffered_bytes(), 0);
    let oversize = ProducerRecord::value(vec![0; bound]);
    let refused = producer.send("t", oversize).await.unwrap_err();
    assert!(matches!(refused, Error::InvalidRecord(_)), "{refused}");
}

#[tokio::test]
async fn what_does_not_exist_is_said_at_once() {
    let broker = FakeBroker::start(Faults::default()).await;
    broker.create_topic("t", 1);
    let client = Client::with_options(options(&broker)).await.unwrap();
    let producer = client.producer(small_batches());
    let error = producer
        .send("nope", ProducerRecord::value("v"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopic));
    assert!(error.remedy().contains("create"));
    let elsewhere = ProducerRecord {
        partition: Some(PartitionId(1)),
        ..ProducerRecord::value("v")
    };
    let error = producer.send("t", elsewhere).await.unwrap_err();
    assert!(matches!(error, Error::InvalidRecord(_)), "{error}");
    let mut consumer = client.consumer(ConsumerOptions::default());
    assert_eq!(consumer.next().await.unwrap_err(), Error::NotAssigned);
    let error = consumer
        .assign("t", &[PartitionId(5)], StartAt::Beginning)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownPartition));
}

#[tokio::test]
async fn nobody_there_says_what_to_do() {
    let error = Client::connect("127.0.0.1:1").await.err().unwrap();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    assert!(error.remedy().contains("leveret serve"));
}

#[tokio::test]
async fn a_dropped_producer_fails_what_it_holds() {
    let broker = FakeBroker::start(Faults {
        silent: true,
        ..Faults::default()
    })
    .await;
    broker.create_topic("t", 1);
    let client = Client::with_options(options(&broker)).await.unwrap();
    let producer = client.producer(small_batches());
    let delivery = producer
        .send("t", ProducerRecord::value("v"))
        .await
        .unwrap();
    drop(producer);
    assert_eq!(delivery.await.unwrap_err(), Error::Closed("producer"));
}

async fn filled(partitions: u32, records: usize) -> (FakeBroker, Client) {
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

#[tokio::test]
async fn everything_is_read_once_and_in_order() {
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
    let more = tokio::time::timeout(Duration::from_millis(50), consumer.next()).await;
    assert!(more.is_err(), "there is nothing more: {more:?}");
    assert_eq!(
        consumer.high_watermark("t", PartitionId(0)),
        Some(Offset(300))
    );
}

#[tokio::test]
async fn seeks_land_where_they_should() {
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
    let nothing = tokio::time::timeout(Duration::from_millis(50), consumer.next()).await;
    assert!(nothing.is_err());
    let producer = client.producer(small_batches());
    drop(
        producer
            .send("t", ProducerRecord::value("new"))
            .await
            .unwrap(),
    );
    assert_eq!(consumer.next().await.unwrap().record.offset, 200);
}

#[tokio::test]
async fn a_lost_position_is_an_error_or_a_jump_as_told() {
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

#[tokio::test]
async fn damaged_bytes_are_an_error_and_never_a_record() {
    let (broker, client) = filled(1, 200).await;
    broker.damage(TopicId(1), 0);
    let mut consumer = client.consumer(ConsumerOptions::default());
    consumer.assign("t", &[], StartAt::Beginning).await.unwrap();
    let error = consumer.next().await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn batches_come_whole_and_verified() {
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

#[tokio::test]
async fn topics_are_created_and_known() {
    let broker = FakeBroker::start(Faults::default()).await;
    let client = Client::with_options(options(&broker)).await.unwrap();
    let admin = client.admin();
    let created = admin.create_topic(&NewTopic::new("new", 4)).await.unwrap();
    let known = admin.metadata("new").await.unwrap();
    assert_eq!((known.topic_id, known.partitions), (created.topic_id, 4));
    let again = admin
        .create_topic(&NewTopic::new("new", 4))
        .await
        .unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::TopicExists));
}

/// Sends 500 records to each of four partitions of a broker of two cores that `prepare` has
/// changed. Which connections each partition's batches came by, and how many there were of each
/// core.
async fn produce_to_two_cores(
    per_core: bool,
    prepare: fn(&mut support::State),
) -> (BTreeSet<(u32, u16)>, BTreeMap<u16, u64>) {
    let broker = FakeBroker::start(Faults::default()).await;
    {
        let mut state = broker.state.lock().unwrap();
        state.cores = 2;
        prepare(&mut state);
    }
    let topic = broker.create_topic("t", 4);
    let client = Client::with_options(ClientOptions {
        connection_per_core: per_core,
        ..options(&broker)
    });
    let producer = client.await.unwrap().producer(small_batches());
    for number in 0..2000 {
        let record = ProducerRecord {
            partition: Some(PartitionId(number as u32 % 4)),
            ..ProducerRecord::value(value(number))
        };
        drop(producer.send("t", record).await.unwrap());
    }
    producer.flush().await.unwrap();
    for partition in 0..4 {
        let expected: Vec<_> = (partition..2000).step_by(4).map(value).collect();
        let stored = broker.values(topic, partition as u32);
        assert!(stored == expected, "partition {partition}");
    }
    let state = broker.state.lock().unwrap();
    let came_by = state.came_by.iter().copied().collect();
    (came_by, state.served.clone())
}

#[tokio::test]
async fn batches_go_to_the_core_that_owns_their_partition() {
    let (came_by, served) = produce_to_two_cores(true, |_| {}).await;
    assert_eq!(came_by, BTreeSet::from([(0, 0), (1, 1), (2, 0), (3, 1)]));
    // The client's own, and the producer's two.
    assert_eq!(served, BTreeMap::from([(0, 2), (1, 1)]));
    // The control: by one connection they all come by the core that took it.
    let (came_by, served) = produce_to_two_cores(false, |_| {}).await;
    assert_eq!(came_by, BTreeSet::from([(0, 0), (1, 0), (2, 0), (3, 0)]));
    assert_eq!(served, BTreeMap::from([(0, 2)]));
}

#[tokio::test]
async fn a_broker_that_hands_nothing_over_is_sent_everything_by_the_first_connection() {
    let (came_by, served) = produce_to_two_cores(true, |state| state.stay = true).await;
    assert_eq!(came_by, BTreeSet::from([(0, 0), (1, 0), (2, 0), (3, 0)]));
    assert_eq!(served, BTreeMap::from([(0, 3)]), "one was tried, once");
}

#[tokio::test]
async fn connections_to_several_cores_that_fail_lose_and_reorder_nothing() {
    let (_, served) = produce_to_two_cores(true, |state| {
        state.faults.cut_after_append = 11;
        state.faults.cut_before_append = 7;
    })
    .await;
    assert!(served[&0] > 5 && served[&1] > 5, "{served:?}");
}

#[tokio::test]
async fn a_consumer_of_one_cores_partitions_is_served_there() {
    for (partitions, expected) in [(&[1, 3][..], 1), (&[1, 2][..], 0)] {
        let broker = FakeBroker::start(Faults::default()).await;
        broker.state.lock().unwrap().cores = 2;
        broker.create_topic("t", 4);
        let client = Client::with_options(options(&broker)).await.unwrap();
        let producer = client.producer(small_batches());
        let record = ProducerRecord {
            partition: Some(PartitionId(1)),
            ..ProducerRecord::value("x")
        };
        producer.send("t", record).await.unwrap().await.unwrap();
        let before = broker.state.lock().unwrap().served.clone();
        let mut consumer = client.consumer(ConsumerOptions::default());
        let partitions: Vec<_> = partitions.iter().copied().map(PartitionId).collect();
        consumer
            .assign("t", &partitions, StartAt::Beginning)
            .await
            .unwrap();
        assert_eq!(
            &consumer.next().await.unwrap().record.value.unwrap()[..],
            b"x"
        );
        let mut wanted = before;
        *wanted.entry(expected).or_default() += 1;
        assert_eq!(broker.state.lock().unwrap().served, wanted);
    }
}
