//! Sends ten records and prints where they were appended.
//!
//! `cargo run -p leveret-client --example produce [ADDRESS [TOPIC]]`

use leveret_client::{Client, ErrorCode, NewTopic, ProducerOptions, ProducerRecord, Result};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:7654".into());
    let topic = args.next().unwrap_or_else(|| "demo".into());

    let client = Client::connect(address).await?;
    match client.admin().create_topic(&NewTopic::new(&topic, 2)).await {
        Err(error) if error.code() != Some(ErrorCode::TopicExists) => return Err(error),
        _ => {}
    }

    let producer = client.producer(ProducerOptions::default());
    let mut deliveries = Vec::new();
    for number in 0..10 {
        let record = ProducerRecord::value(format!("record {number}"))
            .with_key(format!("key {}", number % 3));
        // Returns as soon as the record is in the buffer, so that records share batches.
        deliveries.push(producer.send(&topic, record).await?);
    }
    for delivery in deliveries {
        let ack = delivery.await?;
        println!("partition {} offset {}", ack.partition, ack.offset);
    }
    Ok(())
}
