//! Sends records from a glommio executor, reads them back and prints them; each has to be where
//! its acknowledgement said.
//!
//! `cargo run -p leveret-client --features glommio --example glommio [ADDRESS [TOPIC [RECORDS]]]`

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;

use glommio::{LocalExecutorBuilder, Placement};
use leveret_client::ErrorCode;
use leveret_client::glommio::{
    Client, ConsumerOptions, NewTopic, ProducerOptions, ProducerRecord, TopicMetadata,
};
use leveret_client::{Offset, PartitionId, StartAt};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:7654".into());
    let topic = args.next().unwrap_or_else(|| "demo".into());
    let records = args.next().map_or(Ok(10), |number| number.parse())?;

    // The client needs none of the memory that an executor registers for files, and the default
    // is more than an ordinary user may lock.
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(64 << 10)
        .make()?;
    executor.run(async {
        let client = Client::connect(address).await?;
        let known = know(&client, &topic).await?;
        let sent = send(&client, &topic, records).await?;
        read_back(&client, &topic, known, sent).await
    })
}

/// The topic's metadata; makes it first if there is none.
async fn know(client: &Client, topic: &str) -> leveret_client::Result<TopicMetadata> {
    match client.admin().create_topic(&NewTopic::new(topic, 4)).await {
        Err(error) if error.code() != Some(ErrorCode::TopicExists) => return Err(error),
        _ => {}
    }
    client.admin().metadata(topic).await
}

/// Where each record was appended, and its value.
type Sent = BTreeMap<(PartitionId, Offset), String>;

async fn send(client: &Client, topic: &str, records: usize) -> leveret_client::Result<Sent> {
    let producer = client.producer(ProducerOptions::default());
    let mut deliveries = Vec::new();
    for number in 0..records {
        let value = format!("record {number}");
        let record = ProducerRecord::value(value.clone()).with_key(format!("key {}", number % 100));
        // Returns as soon as the record is in the buffer, so that records share batches.
        deliveries.push((producer.send(topic, record).await?, value));
    }
    let mut sent = Sent::new();
    for (delivery, value) in deliveries {
        let ack = delivery.await?;
        sent.insert((ack.partition, ack.offset), value);
    }
    Ok(sent)
}

/// Reads until all of `sent` was seen where it should be.
async fn read_back(
    client: &Client,
    topic: &str,
    known: TopicMetadata,
    mut sent: Sent,
) -> Result<(), Box<dyn Error>> {
    let mut consumer = client.consumer(ConsumerOptions::default());
    for number in 0..known.partitions {
        let partition = PartitionId(number);
        let first = sent.keys().find(|(of, _)| *of == partition);
        if let Some((_, offset)) = first {
            let start = StartAt::Offset(*offset);
            consumer.assign(topic, &[partition], start).await?;
        }
    }
    let mut out = std::io::stdout().lock();
    while !sent.is_empty() {
        let read = consumer.next().await?;
        let offset = Offset(read.record.offset.try_into()?);
        let value = String::from_utf8(read.record.value.unwrap_or_default().to_vec())?;
        writeln!(out, "{}/{offset}: {value}", read.partition)?;
        match sent.remove(&(read.partition, offset)) {
            Some(expected) if expected != value => {
                return Err(format!("{value:?} stands where {expected:?} should").into());
            }
            // Others may write to the topic too.
            _ => {}
        }
    }
    Ok(())
}
