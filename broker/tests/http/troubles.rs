//! What ails a broker is in its status, over HTTP and in the native protocol.

use std::path::Path;

use leveret_broker::core::figures;
use leveret_client::{
    Client, ConsumerOptions, NewTopic, PartitionId, ProducerOptions, ProducerRecord, Shortage,
    StartAt,
};

use super::{Broker, settings};

pub(super) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

pub(super) async fn client(broker: &Broker) -> Client {
    Client::connect(broker.native.to_string()).await.unwrap()
}

/// So much that it goes straight into the segment.
async fn produce(client: &Client, topic: &str) {
    let producer = client.producer(ProducerOptions::default());
    for number in 0..20 {
        let record = ProducerRecord::value(vec![number; 400 << 10]);
        producer.send(topic, record).await.unwrap().await.unwrap();
    }
}

/// How many records a reader gets from the beginning, and whether it then got an error.
async fn read(client: &Client, topic: &str) -> (usize, bool) {
    let mut consumer = client.consumer(ConsumerOptions::default());
    let start = StartAt::Beginning;
    consumer
        .assign(topic, &[PartitionId(0)], start)
        .await
        .unwrap();
    let mut records = 0;
    while records < 20 {
        match consumer.next().await {
            Ok(_) => records += 1,
            Err(_) => return (records, true),
        }
    }
    (records, false)
}

fn flip(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            flip(&path);
        } else if path.extension().is_some_and(|end| end == "log") {
            let mut bytes = std::fs::read(&path).unwrap();
            // Amid the first record.
            bytes[100_000] ^= 0x10;
            std::fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn a_damaged_partition_is_in_status_with_its_place_and_meaning() {
    let (settings, dir) = settings("damaged", "127.0.0.1:0");
    let broker = Broker::start_on(settings.clone(), dir);
    run(async {
        let client = client(&broker).await;
        let topic = NewTopic::new("rotten", 1);
        client.admin().create_topic(&topic).await.unwrap();
        produce(&client, "rotten").await;
    });
    let dir = broker.end();
    for damaged in [false, true] {
        if damaged {
            flip(&dir);
        }
        let broker = Broker::start_on(settings.clone(), dir.clone());
        let native = run(async {
            let client = client(&broker).await;
            let (records, failed) = read(&client, "rotten").await;
            assert_eq!(failed, damaged, "after {records} records");
            client.admin().status().await.unwrap()
        });
        let status = broker.status();
        let state = if damaged { "damaged" } else { "serving" };
        assert_eq!(status["topics"][0]["partitions"][0]["state"], state);
        assert_eq!(native.damaged_logs.len(), usize::from(damaged));
        let logs = status["damaged_logs"].as_array().unwrap();
        assert_eq!(logs.len(), usize::from(damaged), "{status}");
        if damaged {
            let (over_http, told) = (&logs[0], &native.damaged_logs[0]);
            assert_eq!(
                (&over_http["topic"], &over_http["partition"]),
                (&"rotten".into(), &0.into())
            );
            assert_eq!(
                (told.topic.as_str(), told.partition),
                ("rotten", PartitionId(0))
            );
            assert!(told.reason.contains(".log is damaged at byte"), "{told:?}");
            assert_eq!(over_http["reason"], told.reason);
            assert_eq!(over_http["offset"], told.offset.0);
            assert!(
                over_http["meaning"]
                    .as_str()
                    .unwrap()
                    .contains("leveret verify")
            );
            assert_eq!(status["stopped_logs"], serde_json::json!([]));
        }
        broker.end();
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_disk_at_its_floor_is_in_status_of_its_core() {
    for (floor, short) in [("0", false), ("1024 TiB", true)] {
        let (mut settings, dir) = settings("floor", "127.0.0.1:0");
        let floor = format!("disk.floor.bytes={floor}");
        settings.apply_assignment(&floor).expect("valid");
        let broker = Broker::start_on(settings, dir);
        let native = run(async {
            let client = client(&broker).await;
            let topic = NewTopic::new("topics-go-on", 1);
            client.admin().create_topic(&topic).await.unwrap();
            client.admin().status().await.unwrap()
        });
        // The native protocol sends what is declared, in that order.
        let declared: Vec<_> = figures::declared()
            .filter_map(|figure| figure.key)
            .collect();
        let sent = native.cores[0].figures.iter();
        let sent: Vec<_> = sent.map(|(key, _)| key.as_str()).collect();
        assert_eq!(sent, declared);
        let disk = &broker.status()["cores"][0]["disk"];
        if short {
            assert_eq!(disk["state"], "at-floor");
            assert_eq!(native.short_disks[0].shortage, Shortage::AtFloor);
            assert_eq!(disk["reason"], native.short_disks[0].reason);
            assert!(
                native.short_disks[0]
                    .reason
                    .contains("fewer than the floor")
            );
            assert!(
                disk["meaning"]
                    .as_str()
                    .unwrap()
                    .contains("resumes by itself")
            );
        } else {
            assert_eq!(disk, &serde_json::json!({"state": "has-room"}));
            assert_eq!(native.short_disks, []);
        }
        let dir = broker.end();
        std::fs::remove_dir_all(dir).unwrap();
    }
}
