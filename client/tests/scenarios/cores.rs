//! A connection to each core that owns something.

use std::collections::{BTreeMap, BTreeSet};

use leveret_client::{ClientOptions, ConsumerOptions, PartitionId, ProducerRecord, StartAt};

use super::super::runtime::Client;
use super::super::support::{FakeBroker, Faults, State};
use super::{options, small_batches, value};

/// Sends 500 records to each of four partitions of a broker of two cores that `prepare` has
/// changed. Which connections each partition's batches came by, and how many there were of each
/// core.
async fn produce_to_two_cores(
    per_core: bool,
    prepare: fn(&mut State),
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

pub(crate) async fn batches_go_to_the_core_that_owns_their_partition() {
    let (came_by, served) = produce_to_two_cores(true, |_| {}).await;
    assert_eq!(came_by, BTreeSet::from([(0, 0), (1, 1), (2, 0), (3, 1)]));
    // The client's own, and the producer's two.
    assert_eq!(served, BTreeMap::from([(0, 2), (1, 1)]));
    // The control: by one connection they all come by the core that took it.
    let (came_by, served) = produce_to_two_cores(false, |_| {}).await;
    assert_eq!(came_by, BTreeSet::from([(0, 0), (1, 0), (2, 0), (3, 0)]));
    assert_eq!(served, BTreeMap::from([(0, 2)]));
}

pub(crate) async fn a_broker_that_hands_nothing_over_is_sent_everything_by_the_first_connection() {
    let (came_by, served) = produce_to_two_cores(true, |state| state.stay = true).await;
    assert_eq!(came_by, BTreeSet::from([(0, 0), (1, 0), (2, 0), (3, 0)]));
    assert_eq!(served, BTreeMap::from([(0, 3)]), "one was tried, once");
}

pub(crate) async fn connections_to_several_cores_that_fail_lose_and_reorder_nothing() {
    let (_, served) = produce_to_two_cores(true, |state| {
        state.faults.cut_after_append = 11;
        state.faults.cut_before_append = 7;
    })
    .await;
    assert!(served[&0] > 5 && served[&1] > 5, "{served:?}");
}

pub(crate) async fn a_consumer_of_one_cores_partitions_is_served_there() {
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
