//! Kafka's protocol, spoken from scratch: raw, pipelined, with an encoder of its own for the hot
//! path, so that what is measured is the broker and not a client library.
//!
//! It loads one broker: the one at the address has to lead the topic's partitions. It is not
//! idempotent and compresses nothing.

mod connection;
mod decode;
mod encode;
mod errors;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leveret_client::{Offset, PartitionId};
use leveret_record::{FRAME_LEN, frame_len};

use super::{FetchLimits, REQUEST_TIMEOUT, Topic, Wanted};
use crate::failure::Failure;
use connection::Pipe;

/// Between two looks at whether a new topic has its leaders.
const SETTLING: Duration = Duration::from_millis(50);

/// A connection for what is not the load itself, and the topic.
pub(crate) struct Session {
    pipe: Pipe,
    address: String,
    topic: Rc<str>,
    pub(super) partitions: u16,
    pub(super) created: bool,
}

/// A connection that knows its topic.
pub(crate) struct Connection {
    pipe: Pipe,
    topic: Rc<str>,
}

impl Session {
    pub(super) async fn open(address: &str, topic: Topic) -> Result<Self, Failure> {
        let pipe = Pipe::open(address).await?;
        check_versions(&pipe).await?;
        let created = create(&pipe, &topic).await?;
        let partitions = settled(&pipe, &topic.name).await?;
        Ok(Self {
            pipe,
            address: address.to_owned(),
            topic: topic.name.into(),
            partitions,
            created,
        })
    }

    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        Ok(Connection {
            pipe: Pipe::open(&self.address).await?,
            topic: Rc::clone(&self.topic),
        })
    }

    pub(super) async fn end(&self, partition: PartitionId) -> Result<Offset, Failure> {
        let found = end(&self.pipe, &self.topic, partition).await?;
        found.map_err(|code| errors::failure("ListOffsets", code, ""))
    }

    pub(super) async fn delete_topic(&self) -> Result<(), Failure> {
        let answer = self
            .pipe
            .call(Bytes::new(), |out, correlation| {
                encode::delete_topic(out, correlation, &self.topic);
            })
            .await?;
        let (code, reason) = decode::topic_changed(encode::DELETE_TOPICS, &answer, false)?;
        errors::check_with("DeleteTopics", code, &reason)
    }
}

impl Connection {
    pub(super) async fn produce(
        &self,
        partition: PartitionId,
        batch: Bytes,
    ) -> Result<(), Failure> {
        let (of, len) = (encode::partition(partition.0), batch.len());
        let answer = self
            .pipe
            .call(batch, |out, correlation| {
                encode::produce(out, correlation, &self.topic, of, len);
            })
            .await?;
        decode::produced(encode::PRODUCE, &answer)
    }

    pub(super) async fn fetch(
        &self,
        wanted: &[Wanted],
        limits: FetchLimits,
    ) -> Result<Vec<(PartitionId, Bytes)>, Failure> {
        let answer = self
            .pipe
            .call(Bytes::new(), |out, correlation| {
                encode::fetch(out, correlation, &self.topic, wanted, limits);
            })
            .await?;
        let brought = decode::fetched(encode::FETCH, &answer)?;
        Ok(brought
            .into_iter()
            .filter_map(|(partition, batches)| {
                let partition = PartitionId(u32::try_from(partition).ok()?);
                Some((partition, whole(batches)))
            })
            .collect())
    }
}

/// The batches that are there as a whole: Kafka cuts the last one off where the fetch's bytes end.
fn whole(mut batches: Bytes) -> Bytes {
    let mut len = 0;
    while let Ok(next) = frame_len(&batches[len..])
        && next <= batches.len() - len
    {
        len += next;
    }
    let rest = batches.len() - len;
    // What is no batch at all is left for the reader to judge.
    if rest < FRAME_LEN || frame_len(&batches[len..]).is_ok() {
        batches.truncate(len);
    }
    batches
}

/// Sees that the broker serves what this program asks for.
async fn check_versions(pipe: &Pipe) -> Result<(), Failure> {
    let answer = pipe.call(Bytes::new(), encode::api_versions).await?;
    let served = decode::versions(encode::API_VERSIONS, &answer)?;
    for needed in encode::NEEDED {
        let serves = |range: &decode::Versions| {
            range.key == needed.key && (range.min..=range.max).contains(&needed.version)
        };
        if !served.iter().any(serves) {
            return Err(Failure::new(
                format!(
                    "the broker does not serve version {} of {}",
                    needed.version, needed.name
                ),
                "use Leveret, or a Kafka from 2.4 on",
            ));
        }
    }
    Ok(())
}

/// Creates the topic; says whether it was not there before.
async fn create(pipe: &Pipe, topic: &Topic) -> Result<bool, Failure> {
    let answer = pipe
        .call(Bytes::new(), |out, correlation| {
            encode::create_topic(out, correlation, topic);
        })
        .await?;
    let (code, reason) = decode::topic_changed(encode::CREATE_TOPICS, &answer, true)?;
    if code == errors::TOPIC_ALREADY_EXISTS && topic.may_exist {
        return Ok(false);
    }
    errors::check_with("CreateTopics", code, &reason)?;
    Ok(true)
}

/// Partitions of the topic, once all have leaders, and those know it: Kafka's metadata run ahead of
/// its partitions.
async fn settled(pipe: &Pipe, topic: &str) -> Result<u16, Failure> {
    let begin = Instant::now();
    loop {
        let count = partitions(pipe, topic).await?;
        if let Some(count) = count
            && all_lead(pipe, topic, count).await?
        {
            return Ok(count);
        }
        if begin.elapsed() >= REQUEST_TIMEOUT {
            return Err(Failure::new(
                format!("the topic {topic} got no leaders"),
                "look at the broker's log, and whether this broker leads all its partitions",
            ));
        }
        tokio::time::sleep(SETTLING).await;
    }
}

async fn partitions(pipe: &Pipe, topic: &str) -> Result<Option<u16>, Failure> {
    let answer = pipe
        .call(Bytes::new(), |out, correlation| {
            encode::metadata(out, correlation, topic);
        })
        .await?;
    let count = decode::partitions(encode::METADATA, &answer)?;
    let count = count.map(u16::try_from).transpose();
    count.map_err(|_| Failure::new("the topic has too many partitions", "choose one with fewer"))
}

/// Whether the broker answers for each partition.
async fn all_lead(pipe: &Pipe, topic: &str, count: u16) -> Result<bool, Failure> {
    for partition in (0..u32::from(count)).map(PartitionId) {
        match end(pipe, topic, partition).await? {
            Ok(_) => {}
            Err(code) if errors::passes(code) => return Ok(false),
            Err(code) => return Err(errors::failure("ListOffsets", code, "")),
        }
    }
    Ok(true)
}

/// Where a partition ends, or the code of why that is not known.
async fn end(
    pipe: &Pipe,
    topic: &str,
    partition: PartitionId,
) -> Result<Result<Offset, i16>, Failure> {
    let of = encode::partition(partition.0);
    let answer = pipe
        .call(Bytes::new(), |out, correlation| {
            encode::list_offsets(out, correlation, topic, of);
        })
        .await?;
    let found = decode::listed(encode::LIST_OFFSETS, &answer)?;
    Ok(found.map(|offset| Offset(u64::try_from(offset).unwrap_or(0))))
}
