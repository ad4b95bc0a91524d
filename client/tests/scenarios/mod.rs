//! A client against a broker in memory that misbehaves: nothing lost, nothing twice, nothing out
//! of order. The same for every driver: who includes this says which `Client` it is, and how to
//! `sleep`.

mod cores;
mod reading;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use leveret_client::{
    ClientOptions, ConsumerOptions, Error, ErrorCode, NewTopic, PartitionId, ProducerOptions,
    ProducerRecord, StartAt, TopicChanges,
};

use super::runtime::{Client, sleep};
use super::support::{FakeBroker, Faults};
pub(crate) use {cores::*, reading::*};

/// Makes a test of each scenario, which `$run` runs to its end.
macro_rules! each {
    ($run:path) => {
        crate::scenarios::each! { $run:
            a_topic_that_grows_gets_records_of_a_producer_that_runs,
            a_calm_broker_gets_everything_once,
            cuts_and_overload_lose_nothing_and_repeat_nothing,
            a_broker_that_loses_sequences_gets_a_new_producer,
            without_idempotence_the_same_cuts_would_repeat,
            a_silent_broker_is_given_up_at_the_deadline,
            a_full_buffer_makes_senders_wait,
            what_does_not_exist_is_said_at_once,
            nobody_there_says_what_to_do,
            a_dropped_producer_fails_what_it_holds,
            everything_is_read_once_and_in_order,
            a_stream_goes_on_where_the_last_one_was_dropped,
            seeks_land_where_they_should,
            a_lost_position_is_an_error_or_a_jump_as_told,
            damaged_bytes_are_an_error_and_never_a_record,
            batches_come_whole_and_verified,
            a_subscription_brings_what_credit_allows_and_ends_when_dropped,
            topics_are_created_and_known,
            cuts_within_pushes_lose_nothing_and_repeat_nothing,
            no_more_is_pushed_than_the_buffer_takes,
            batches_go_to_the_core_that_owns_their_partition,
            a_broker_that_hands_nothing_over_is_sent_everything_by_the_first_connection,
            connections_to_several_cores_that_fail_lose_and_reorder_nothing,
            a_consumer_of_one_cores_partitions_is_served_there,
        }
    };
    ($run:path: $($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $run(crate::scenarios::$name());
            }
        )*
    };
}
pub(crate) use each;

/// What comes within that time.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut timer) = (pin!(future), pin!(sleep(limit)));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
    })
    .await
}

pub(crate) fn options(broker: &FakeBroker) -> ClientOptions {
    ClientOptions {
        retry_timeout: Duration::from_secs(10),
        backoff_least: Duration::from_millis(1),
        backoff_most: Duration::from_millis(20),
        ..ClientOptions::new(broker.address.as_str())
    }
}

pub(crate) fn small_batches() -> ProducerOptions {
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

pub(crate) async fn a_topic_that_grows_gets_records_of_a_producer_that_runs() {
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

pub(crate) async fn a_calm_broker_gets_everything_once() {
    let (stored, broker) = produce_through(Faults::default()).await;
    assert_complete(&stored);
    let state = broker.state.lock().unwrap();
    assert_eq!((state.connections, state.producers), (2, 1));
    assert!(state.produces > 100, "batches were small");
}

pub(crate) async fn cuts_and_overload_lose_nothing_and_repeat_nothing() {
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

pub(crate) async fn a_broker_that_loses_sequences_gets_a_new_producer() {
    let (stored, broker) = produce_through(Faults {
        lose_sequences: 9,
        ..Faults::default()
    })
    .await;
    assert_complete(&stored);
    assert!(broker.state.lock().unwrap().producers > 1);
}

pub(crate) async fn without_idempotence_the_same_cuts_would_repeat() {
    let (stored, _) = produce_through(Faults {
        cut_after_append: 7,
        append_duplicates: true,
        ..Faults::default()
    })
    .await;
    assert!(stored.iter().map(Vec::len).sum::<usize>() > 2000);
}

pub(crate) async fn a_silent_broker_is_given_up_at_the_deadline() {
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

pub(crate) async fn a_full_buffer_makes_senders_wait() {
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

pub(crate) async fn what_does_not_exist_is_said_at_once() {
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

pub(crate) async fn nobody_there_says_what_to_do() {
    let error = Client::connect("127.0.0.1:1").await.err().unwrap();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    assert!(error.remedy().contains("leveret serve"));
}

pub(crate) async fn a_dropped_producer_fails_what_it_holds() {
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

pub(crate) async fn topics_are_created_and_known() {
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
