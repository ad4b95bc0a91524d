//! What native clients send for what they ask, and what they make of the answers.

use bytes::Bytes;
use leveret_storage::types::Level;
use leveret_wire::native::{
    self as wire, AlterTopic, ConfigSource, CreateTopic, ErrorCode, Fetch, FetchPartition, Items,
    Offset, PartitionId, Produce, Request, Response, Subscribe, SubscribePartition, TopicId,
};

use super::asked::{Asked, Fetched, Reading, Refusal, Reply, Wait, What};
use super::kafka::{KEPT, LONG, MOST};
use super::topics::{Change, Seen, Setup, Topic, name_of, partition_of};
use crate::cores::native::{Whole, hello_to, numbered};

/// Bytes that a subscription may be pushed before it has said that it took some.
const CREDIT: u64 = 64 << 10;

/// The frame that gives the subscription of that number more credit.
pub(super) fn credit(number: u64, bytes: u64) -> Vec<u8> {
    numbered(number, &Request::Credit(bytes), &[])
}

/// The frame of a request. Topics that it names by their ids have some.
pub(super) fn request(number: u64, asked: &Asked, topics: &[Topic]) -> Vec<u8> {
    let id = |topic: usize| TopicId(topics[topic].id.expect("native clients know it"));
    match asked {
        Asked::Hello(core) => numbered(number, &hello_to(*core), &[]),
        Asked::ProducerId(_) => numbered(number, &Request::InitProducer, &[]),
        Asked::Produce { level, batches, .. } => {
            let [batch] = &batches[..] else {
                unreachable!("a native request has one batch");
            };
            let (topic, partition) = partition_of(batch.key.log);
            let produce = Request::Produce(Produce {
                topic_id: id(topic),
                partition: PartitionId(partition),
                level: Some(match level {
                    Level::Memory => wire::Level::Memory,
                    Level::Written => wire::Level::Written,
                    Level::Synced => wire::Level::Synced,
                }),
                timeout_ms: 30_000,
            });
            numbered(number, &produce, &batch.bytes)
        }
        Asked::Fetch(readings, wait) => {
            let (topic, _) = partition_of(readings[0].log);
            fetch(number, id(topic), readings, *wait)
        }
        Asked::Subscribe(log) => {
            let (topic, partition) = partition_of(*log);
            let partitions = [SubscribePartition {
                topic_id: id(topic),
                partition: PartitionId(partition),
                offset: Offset(0),
                max_bytes: CREDIT as u32 / 4,
            }];
            let subscribe = Request::Subscribe(Subscribe {
                credit: CREDIT,
                partitions: Items::from(&partitions[..]),
            });
            numbered(number, &subscribe, &[])
        }
        Asked::Change(topic, change) => change_of(number, &name_of(*topic), *change),
        Asked::Look { topic, what, .. } => {
            let name = name_of(*topic);
            let request = match what {
                What::Partitions => Request::Metadata(&name),
                What::Kept => Request::DescribeTopics(vec![&name]),
            };
            numbered(number, &request, &[])
        }
    }
}

fn fetch(number: u64, topic_id: TopicId, readings: &[Reading], wait: Wait) -> Vec<u8> {
    let partitions = readings.iter().map(|reading| FetchPartition {
        offset: Offset(reading.scan.next),
        partition: PartitionId(partition_of(reading.log).1),
        max_bytes: MOST.cast_unsigned(),
    });
    let partitions: Vec<_> = partitions.collect();
    let waits = wait == Wait::ForRecords;
    let fetch = Request::Fetch(Fetch {
        topic_id,
        max_bytes: MOST.cast_unsigned(),
        min_bytes: u32::from(waits),
        max_wait_ms: if waits { LONG.cast_unsigned() } else { 0 },
        partitions: Items::from(&partitions[..]),
    });
    numbered(number, &fetch, &[])
}

fn change_of(number: u64, name: &str, change: Change) -> Vec<u8> {
    let alter = |set: Option<&str>, partitions: Option<u32>| {
        let unset = set.is_none() && partitions.is_none();
        let alter = Request::AlterTopic(AlterTopic {
            name,
            set: set.map(|value| (KEPT, value)).into_iter().collect(),
            unset: unset.then_some(KEPT).into_iter().collect(),
            partitions,
        });
        numbered(number, &alter, &[])
    };
    match change {
        Change::Create(Setup { partitions, kept }) => {
            let create = Request::CreateTopic(CreateTopic {
                name,
                partitions,
                level: None,
                retention_bytes: None,
                retention_ms: kept,
                config: Vec::new(),
            });
            numbered(number, &create, &[])
        }
        Change::Keep(kept) => alter(kept.map(|kept| kept.to_string()).as_deref(), None),
        Change::Grow(partitions) => alter(None, Some(partitions)),
        Change::Delete => numbered(number, &Request::DeleteTopic(name), &[]),
    }
}

/// Whether nothing more comes of a subscription; a partition of it may end before.
pub(super) fn ends_subscription(answer: &Whole<'_>) -> bool {
    matches!(answer.response(), Response::Error(_))
}

/// What an answer to that means.
pub(super) fn reply(asked: &Asked, answer: &Whole<'_>) -> Reply {
    let response = answer.response();
    if let Response::Error(error) = &response {
        let refused = refusal(error.code, &error.message);
        return match asked {
            Asked::Hello(_) => Reply::Changed(Err(refused)),
            Asked::ProducerId(_) => Reply::ProducerId(Err(refused)),
            Asked::Produce { .. } => Reply::Produced(vec![Err(refused)]),
            Asked::Fetch(readings, _) => {
                let each = readings.iter().map(|_| Err(refused.clone()));
                Reply::Fetched(each.collect())
            }
            Asked::Subscribe(_) => Reply::Pushed(Err(refused)),
            Asked::Change(..) => Reply::Changed(Err(refused)),
            Asked::Look { .. } if refused == Refusal::Unknown => Reply::Seen(Ok(Seen::Nothing)),
            Asked::Look { .. } => Reply::Seen(Err(refused)),
        };
    }
    match response {
        Response::Hello(_) => Reply::Hello,
        Response::InitProducer(ok) => Reply::ProducerId(Ok(ok.producer_id.0)),
        Response::Produce(ok) => Reply::Produced(vec![Ok(ok.base_offset.0)]),
        Response::Fetch(ok) => {
            let mut payload = Bytes::copy_from_slice(answer.payload);
            let parts = ok.partitions.iter().map(|part| {
                let records = payload.split_to(part.payload_len as usize);
                let high_watermark = part.high_watermark.0;
                match part.error {
                    None => Ok(Fetched {
                        high_watermark,
                        records,
                    }),
                    Some(code) => Err(refusal(code, "a partition of a fetch")),
                }
            });
            Reply::Fetched(parts.collect())
        }
        Response::Subscribed => Reply::Subscribed,
        Response::Push(push) => Reply::Pushed(match push.error {
            None => Ok(Fetched {
                high_watermark: push.high_watermark.0,
                records: Bytes::copy_from_slice(answer.payload),
            }),
            Some(code) => Err(refusal(code, "a push")),
        }),
        Response::CreateTopic(_) | Response::AlterTopic(_) | Response::DeleteTopic(_) => {
            Reply::Changed(Ok(()))
        }
        Response::Metadata(ok) => {
            Reply::Seen(Ok(Seen::Partitions(ok.partitions, Some(ok.topic_id.0))))
        }
        Response::DescribeTopics(topics) => {
            let mut config = topics[0].config.iter();
            let kept = config.find(|entry| entry.key == KEPT);
            let kept = kept.filter(|entry| entry.source == ConfigSource::Topic);
            Reply::Seen(Ok(Seen::Kept(
                kept.and_then(|kept| kept.value.parse().ok()),
            )))
        }
        other => unreachable!("nobody asks for {other:?}"),
    }
}

fn refusal(code: ErrorCode, message: &str) -> Refusal {
    match code {
        ErrorCode::UnknownTopic | ErrorCode::UnknownPartition => Refusal::Unknown,
        ErrorCode::Overloaded => Refusal::Again,
        ErrorCode::Stopping => Refusal::Stopping,
        ErrorCode::OutOfOrderSequence => Refusal::OutOfOrder,
        ErrorCode::Timeout => Refusal::TimedOut,
        code => Refusal::Other(format!("{code:?}: {message}")),
    }
}
