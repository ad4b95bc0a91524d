//! The glommio driver in every scenario, and what only it promises.

mod scenarios;
mod support;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use glommio::{LocalExecutorBuilder, Placement};
use leveret_client::{
    ClientOptions, ConsumerOptions, PartitionId, ProducerOptions, ProducerRecord, StartAt,
};
use runtime::Client;
use scenarios::{filled, options, within};
use support::{FakeBroker, Faults};

/// What the scenarios need of it.
mod runtime {
    pub(crate) use leveret_client::glommio::Client;

    pub(crate) async fn sleep(wait: std::time::Duration) {
        glommio::timer::sleep(wait).await;
    }
}

fn run<T>(scenario: impl Future<Output = T>) -> T {
    let builder = LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 << 10);
    let limit = Duration::from_secs(120);
    let outcome = builder.make().unwrap().run(within(limit, scenario));
    outcome.expect("it hangs")
}

scenarios::each!(run);

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn sockets_close_with_their_handles() {
    let broker = run(async {
        let (broker, client) = filled(1, 10).await;
        let mut consumer = client.consumer(ConsumerOptions::default());
        consumer.assign("t", &[], StartAt::Beginning).await.unwrap();
        consumer.next().await.unwrap();
        let producer = client.producer(ProducerOptions::default());
        drop(producer.send("t", ProducerRecord::value("x")).await);
        producer.flush().await.unwrap();
        assert!(broker.state.lock().unwrap().open >= 3);
        broker
    });
    wait_until("connections stay open", || {
        broker.state.lock().unwrap().open == 0
    });
}

#[test]
fn a_sender_that_never_waits_lets_its_batches_go() {
    run(async {
        let broker = FakeBroker::start(Faults::default()).await;
        broker.create_topic("t", 1);
        let client = Client::with_options(options(&broker)).await.unwrap();
        let producer = client.producer(ProducerOptions {
            max_batch_bytes: 10_000,
            ..ProducerOptions::default()
        });
        drop(producer.send("t", ProducerRecord::value("x")).await);
        producer.flush().await.unwrap();
        let before = broker.state.lock().unwrap().produces;
        for _ in 0..500 {
            let mut send = pin!(producer.send("t", ProducerRecord::value(vec![0; 1000])));
            // To its end, with nothing of the program's own in between.
            drop(send.as_mut().await.unwrap());
        }
        // The broker is another thread and may lag, but not with all of 50 batches.
        wait_until("nothing was sent meanwhile", || {
            broker.state.lock().unwrap().produces > before
        });
        producer.flush().await.unwrap();
    });
}

#[test]
fn cancelled_waits_wear_nothing_out() {
    run(async {
        let (_broker, client) = filled(1, 1).await;
        let mut consumer = client.consumer(ConsumerOptions::default());
        let zero = PartitionId(0);
        consumer.assign("t", &[zero], StartAt::End).await.unwrap();
        let connected = within(Duration::from_millis(100), consumer.next()).await;
        assert!(connected.is_none(), "there is nothing to read");
        // More often than a task of glommio's can be referred to.
        for _ in 0..70_000 {
            let mut next = pin!(consumer.next());
            let cancelled = poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await;
            assert!(cancelled);
        }
        let start = StartAt::Beginning;
        consumer.seek("t", zero, start).unwrap();
        assert_eq!(consumer.next().await.unwrap().record.offset, 0);
    });
}

#[test]
fn names_are_looked_up() {
    run(async {
        let broker = FakeBroker::start(Faults::default()).await;
        let (_, port) = broker.address.rsplit_once(':').unwrap();
        let named = ClientOptions {
            address: format!("localhost:{port}"),
            ..options(&broker)
        };
        Client::with_options(named).await.unwrap();
        let unknown = ClientOptions::new("no-such-host.invalid:1");
        assert!(Client::with_options(unknown).await.is_err());
    });
}
