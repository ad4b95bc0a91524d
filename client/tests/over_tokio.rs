//! The tokio driver in every scenario.

mod scenarios;
mod support;

/// What the scenarios need of it.
mod runtime {
    pub(crate) use leveret_client::tokio::Client;
    pub(crate) use tokio::time::sleep;
}

fn run(scenario: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(scenario);
}

scenarios::each!(run);

/// What the other driver does not promise: handles and waits may move between threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_move_between_threads() {
    let broker = support::FakeBroker::start(support::Faults::default()).await;
    broker.create_topic("t", 1);
    let options = scenarios::options(&broker);
    let client = runtime::Client::with_options(options).await.unwrap();
    let producer = client.producer(scenarios::small_batches());
    let mut consumer = client.consumer(leveret_client::ConsumerOptions::default());
    let sent = tokio::spawn(async move {
        let record = leveret_client::ProducerRecord::value("v");
        producer.send("t", record).await.unwrap().await.unwrap()
    });
    assert_eq!(sent.await.unwrap().offset, leveret_client::Offset(0));
    let read = tokio::spawn(async move {
        let start = leveret_client::StartAt::Beginning;
        consumer.assign("t", &[], start).await.unwrap();
        consumer.next().await.unwrap()
    });
    assert_eq!(read.await.unwrap().record.offset, 0);
}
