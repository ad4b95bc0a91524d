//! Prints the broker's status and its topics.
//!
//! `cargo run -p leveret-client --example admin [ADDRESS]`

use leveret_client::{Client, Result};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let client = Client::connect(address.unwrap_or_else(|| "127.0.0.1:7654".into())).await?;
    let admin = client.admin();

    let status = admin.status().await?;
    println!(
        "leveret {} on {} cores, up {} s, {} topics",
        status.version,
        status.cores.len(),
        status.uptime_ms / 1000,
        status.topics
    );
    for topic in admin.describe_topics(&[]).await? {
        println!("{} ({})", topic.name, topic.level);
        for partition in topic.partitions {
            println!(
                "  {}: offsets {} to {}, {} bytes, core {}",
                partition.partition,
                partition.start_offset,
                partition.high_watermark,
                partition.size_bytes,
                partition.core
            );
        }
    }
    Ok(())
}
