//! Topics that are asked for: what their partitions count is in metrics, JSON and the native protocol, as
//! many as one report names; a report that asks for none has nothing of it.

use leveret_broker::core::figures;
use leveret_broker::core::observe::MOST_PARTITIONS;
use leveret_client::{
    Client, ConsumerOptions, NewTopic, PartitionId, ProducerOptions, ProducerRecord, StartAt,
    TopicChanges,
};
use serde_json::{Value, json};

use super::troubles::{client, run};
use super::{Broker, OK};

const RECORDS: u64 = 3;

async fn create(client: &Client, topic: &str, partitions: usize) {
    let topic = NewTopic::new(topic, partitions.try_into().unwrap());
    client.admin().create_topic(&topic).await.unwrap();
}

/// Three records go into `pay`, and one reader has them.
async fn traffic(client: &Client) {
    let producer = client.producer(ProducerOptions::default());
    for number in 0..RECORDS {
        let record = ProducerRecord::value(vec![7; 100 + number as usize]);
        producer.send("pay", record).await.unwrap().await.unwrap();
    }
    let mut consumer = client.consumer(ConsumerOptions::default());
    let (partitions, start) = ([PartitionId(0)], StartAt::Beginning);
    consumer.assign("pay", &partitions, start).await.unwrap();
    for _ in 0..RECORDS {
        consumer.next().await.unwrap();
    }
}

impl Broker {
    /// The lines of a scrape that are no comments.
    fn scrape(&self, query: &str) -> Vec<String> {
        let (code, metrics) = self.get(&format!("/metrics{query}"));
        assert_eq!(code, OK, "{query}: {metrics}");
        let lines = metrics.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    }

    fn chosen(&self, query: &str) -> Value {
        let (code, json) = self.get(&format!("/api/v1/status{query}"));
        assert_eq!(code, OK, "{query}: {json}");
        serde_json::from_str(&json).expect("JSON")
    }
}

fn names(status: &Value) -> Vec<&str> {
    let topics = status["topics"].as_array().unwrap().iter();
    topics
        .map(|topic| topic["name"].as_str().unwrap())
        .collect()
}

#[test]
fn topics_that_are_asked_for_are_told_with_their_traffic_and_no_others() {
    let broker = Broker::start("topics");
    let native = run(async {
        let client = client(&broker).await;
        for (topic, partitions) in [("orders", 2), ("pay", 1), ("pays", 1)] {
            create(&client, topic, partitions).await;
        }
        traffic(&client).await;
        client.admin().describe_topics(&["pay"]).await.unwrap()
    });

    let lines = broker.scrape("?topics=pay");
    let of = |name: &str| format!("leveret_partition_{name}{{topic=\"pay\",partition=\"0\"}}");
    for (name, value) in [
        ("produced_records_total", RECORDS),
        ("fetched_records_total", RECORDS),
        ("start_offset", 0),
        ("end_offset", RECORDS),
    ] {
        let line = format!("{} {value}", of(name));
        assert!(lines.contains(&line), "no {line} in {lines:#?}");
    }
    for name in ["produced_bytes_total", "fetched_bytes_total", "size_bytes"] {
        let line = lines.iter().find(|line| line.starts_with(&of(name)));
        let value = line.and_then(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        assert!(value.is_some_and(|value| value > 300), "{name}: {line:?}");
    }
    assert!(lines.contains(&"leveret_topics_truncated 0.0".to_owned()));
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("leveret_uptime_seconds "))
    );
    let mut others = lines.iter().filter(|line| line.contains("topic=\""));
    assert!(
        others.all(|line| line.contains("topic=\"pay\"")),
        "{lines:#?}"
    );
    let both = broker.scrape("?topics=pay%2A");
    let has = |topic: &str| {
        both.iter()
            .any(|line| line.contains(&format!("topic=\"{topic}\"")))
    };
    assert!(has("pay") && has("pays") && !has("orders"), "{both:#?}");
    let plain = broker.scrape("");
    let of_topics = |line: &String| line.contains("topic=") || line.contains("truncated");
    assert!(!plain.iter().any(of_topics), "{plain:#?}");

    let status = broker.chosen("?topics=pay");
    assert_eq!(
        (names(&status), &status["truncated"]),
        (vec!["pay"], &json!(false))
    );
    let partition = &status["topics"][0]["partitions"][0];
    assert_eq!(
        (&partition["records_in"], &partition["records_out"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(
        names(&broker.chosen("?topic=pay*,orders")),
        ["orders", "pay", "pays"]
    );
    assert_eq!(names(&broker.chosen("?topics=nobody")), [""; 0]);
    let all = broker.status();
    assert_eq!(names(&all), ["orders", "pay", "pays"]);
    let partition = &all["topics"][1]["partitions"][0];
    assert_eq!(partition["high_watermark"], 3);
    assert!(
        partition.get("records_in").is_none() && all.get("truncated").is_none(),
        "{all}"
    );

    // The native protocol sends what is declared, in that order, and the same of it.
    let declared = figures::of_partitions().filter_map(|figure| figure.key);
    let sent = native[0].figures.iter();
    assert!(
        sent.clone().map(|(key, _)| key.as_str()).eq(declared),
        "{native:?}"
    );
    let partition = &status["topics"][0]["partitions"][0];
    for (key, counts) in sent {
        assert_eq!(
            (counts.len(), &partition[key]),
            (1, &json!(counts[0])),
            "{key}"
        );
    }

    for query in ["?topics=", "?topics=a%20b", "?topics=*x", "?TOPICS=a"] {
        for path in ["/metrics", "/api/v1/status"] {
            let (code, words) = broker.get(&format!("{path}{query}"));
            assert!(
                code.contains(" 400 ") && words.contains("orders,pay*"),
                "{query}: {words}"
            );
        }
    }
    std::fs::remove_dir_all(broker.end()).unwrap();
}

#[test]
fn a_report_names_so_many_partitions_and_says_when_there_are_more() {
    let broker = Broker::start("truncated");
    let count = |lines: &[String], start: &str| {
        let own = lines.iter().filter(|line| line.starts_with(start));
        own.count()
    };
    // The control: with exactly as many it says that there are no more.
    for (partitions, truncated) in [(MOST_PARTITIONS - 2, "0"), (MOST_PARTITIONS - 1, "1")] {
        run(async {
            let client = client(&broker).await;
            if truncated == "0" {
                create(&client, "narrow", 2).await;
                create(&client, "wide", partitions).await;
            } else {
                let changes = TopicChanges {
                    partitions: Some(partitions.try_into().unwrap()),
                    ..TopicChanges::default()
                };
                client.admin().alter_topic("wide", &changes).await.unwrap();
            }
        });
        let lines = broker.scrape("?topics=*");
        let told = format!("leveret_topics_truncated {truncated}.0");
        assert!(lines.contains(&told), "no {told}");
        let wide = "leveret_partition_end_offset{topic=\"wide\"";
        assert_eq!(count(&lines, wide), MOST_PARTITIONS - 2);
        assert_eq!(
            count(&lines, "leveret_partition_end_offset{topic=\"narrow\""),
            2
        );
        assert!(lines.len() < 8 * MOST_PARTITIONS, "{} lines", lines.len());
        let status = broker.chosen("?topics=narrow,wide");
        assert_eq!(status["truncated"], json!(truncated == "1"));
        let told = status["topics"][1]["partitions"].as_array().unwrap().len();
        assert_eq!(told, MOST_PARTITIONS - 2);
    }
    std::fs::remove_dir_all(broker.end()).unwrap();
}
