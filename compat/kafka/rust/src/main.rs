//! rskafka as a client of the broker: the same commands as the Python programs beside it, see
//! compat/kafka/run. rskafka keeps the headers of a record as a map.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::DateTime;
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The time of the first record of a stream, milliseconds; as in peers/common.py.
const BASE: i64 = 1_700_000_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["produce", server, topic, codecs] => produce(server, topic, codecs).await,
        ["produce-stream", server, topic, partition, count] => {
            produce_stream(server, topic, partition.parse()?, count.parse()?).await
        }
        ["consume", server, ref topics @ ..] => consume(server, topics).await,
        ["digest", server, topic, partitions, _] => {
            digest(server, topic, partitions.parse()?).await
        }
        _ => Err("produce, produce-stream, consume or digest".into()),
    }
}

async fn connect(server: &str) -> Outcome<Client> {
    Ok(ClientBuilder::new(vec![server.to_owned()]).build().await?)
}

async fn partition(client: &Client, topic: &str, number: i32) -> Outcome<PartitionClient> {
    Ok(client
        .partition_client(topic, number, UnknownTopicHandling::Retry)
        .await?)
}

fn decode(value: &Value) -> Outcome<Option<Vec<u8>>> {
    Ok(value.as_str().map(|text| BASE64.decode(text)).transpose()?)
}

fn encode(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| BASE64.encode(bytes).into())
}

fn record(ts: i64, key: Option<Vec<u8>>, value: Option<Vec<u8>>) -> Outcome<Record> {
    let timestamp = DateTime::from_timestamp_millis(ts).ok_or("a time")?;
    Ok(Record {
        key,
        value,
        headers: BTreeMap::new(),
        timestamp,
    })
}

async fn produce(server: &str, topic: &str, codecs: &str) -> Outcome<()> {
    let client = connect(server).await?;
    let mut parts: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    for line in std::io::stdin().lock().lines() {
        let line: Value = serde_json::from_str(&line?)?;
        let ts = line["ts"].as_i64().ok_or("ts")?;
        let mut record = record(ts, decode(&line["k"])?, decode(&line["v"])?)?;
        for header in line["h"].as_array().ok_or("h")? {
            let name = header[0].as_str().ok_or("a header's name")?.to_owned();
            record
                .headers
                .insert(name, decode(&header[1])?.unwrap_or_default());
        }
        let number = i32::try_from(line["p"].as_i64().ok_or("p")?)?;
        parts.entry(number).or_default().push(record);
    }
    for codec in codecs.split(',') {
        let compression = match codec {
            "gzip" => Compression::Gzip,
            "lz4" => Compression::Lz4,
            "snappy" => Compression::Snappy,
            "zstd" => Compression::Zstd,
            _ => Compression::NoCompression,
        };
        for (number, records) in &parts {
            let client = partition(&client, topic, *number).await?;
            for some in records.chunks(20) {
                client.produce(some.to_vec(), compression).await?;
            }
        }
    }
    Ok(())
}

async fn produce_stream(server: &str, topic: &str, number: i32, count: i64) -> Outcome<()> {
    let client = partition(&connect(server).await?, topic, number).await?;
    let mut batch = Vec::new();
    for at in 0..count {
        let mut value = format!("record {at} of partition {number}, ");
        value.extend(std::iter::repeat_n('x', usize::try_from(at % 60)?));
        batch.push(record(
            BASE + at,
            Some(at.to_string().into()),
            Some(value.into()),
        )?);
        if batch.len() == 2000 || at + 1 == count {
            client
                .produce(std::mem::take(&mut batch), Compression::Snappy)
                .await?;
        }
    }
    Ok(())
}

/// Hands every record of a partition to `each`.
async fn read_all(
    client: &PartitionClient,
    mut each: impl FnMut(i64, &Record) -> Outcome<()>,
) -> Outcome<()> {
    let end = client.get_offset(OffsetAt::Latest).await?;
    let mut next = client.get_offset(OffsetAt::Earliest).await?;
    while next < end {
        let (records, _) = client.fetch_records(next, 1..4_000_000, 500).await?;
        for one in &records {
            each(one.offset, &one.record)?;
            next = one.offset + 1;
        }
    }
    Ok(())
}

async fn consume(server: &str, topics: &[&str]) -> Outcome<()> {
    let client = connect(server).await?;
    let mut out = std::io::stdout().lock();
    for word in topics {
        let mut words = word.split(':');
        let topic = words.next().ok_or("a topic")?;
        let partitions: i32 = words.next().ok_or("partitions")?.parse()?;
        for number in 0..partitions {
            let client = partition(&client, topic, number).await?;
            read_all(&client, |offset, record| {
                let headers = record.headers.iter();
                let headers: Vec<Value> = headers
                    .map(|(name, value)| json!([name, encode(Some(value))]))
                    .collect();
                let line = json!({
                    "t": topic, "p": number, "o": offset, "ts": record.timestamp.timestamp_millis(),
                    "k": encode(record.key.as_deref()), "v": encode(record.value.as_deref()), "h": headers,
                });
                Ok(writeln!(out, "{line}")?)
            })
            .await?;
        }
    }
    Ok(())
}

async fn digest(server: &str, topic: &str, partitions: i32) -> Outcome<()> {
    let client = connect(server).await?;
    for number in 0..partitions {
        let client = partition(&client, topic, number).await?;
        let (mut hash, mut count) = (Sha256::new(), 0);
        read_all(&client, |_, record| {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
            let ts = record.timestamp.timestamp_millis();
            hash.update(format!("{ts} {} {} ", key.len(), value.len()));
            hash.update(key);
            hash.update(value);
            count += 1;
            Ok(())
        })
        .await?;
        println!("{number} {count} {:x}", hash.finalize());
    }
    Ok(())
}
