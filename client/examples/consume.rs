//! Prints a topic from the beginning, and what comes from then on.
//!
//! `cargo run -p leveret-client --example consume [ADDRESS [TOPIC]]`

use std::pin::pin;

use futures_util::TryStreamExt;
use leveret_client::{Client, ConsumerOptions, Result, StartAt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:7654".into());
    let topic = args.next().unwrap_or_else(|| "demo".into());

    let client = Client::connect(address).await?;
    let mut consumer = client.consumer(ConsumerOptions::default());
    consumer.assign(&topic, &[], StartAt::Beginning).await?;
    let mut records = pin!(consumer.records());
    while let Some(read) = records.try_next().await? {
        let value = read.record.value.unwrap_or_default();
        println!(
            "{}/{}: {}",
            read.partition,
            read.record.offset,
            String::from_utf8_lossy(&value)
        );
    }
    Ok(())
}
