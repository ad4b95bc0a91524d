//! What Kafka clients send for what they ask, and what they make of the answers.

use bytes::Bytes;
use leveret_storage::types::Level;

use super::asked::{Asked, Fetched, Reading, Refusal, Reply, Wait, What};
use super::topics::{Change, Seen, Setup, name_of, partition_of};
use crate::cores::kafka::{self, Answer, Bounds, Wanted};

/// The setting that is changed.
pub(super) const KEPT: &str = "retention.ms";
/// Most bytes of a fetch.
pub(super) const MOST: i32 = 200_000;
/// How long a fetch waits that waits, milliseconds.
pub(super) const LONG: i32 = 300_000;

/// The frame of a request.
pub(super) fn request(number: i32, asked: &Asked) -> Vec<u8> {
    let frame = match asked {
        Asked::Hello(_) => kafka::api_versions(),
        Asked::ProducerId(_) => kafka::init_producer_id(),
        Asked::Produce { level, batches, .. } => {
            let acks = match level {
                Level::Memory => 0,
                Level::Written => 1,
                Level::Synced => -1,
            };
            let named = batches.iter().map(|batch| {
                let (topic, partition) = partition_of(batch.key.log);
                (name_of(topic), partition as i32, &batch.bytes)
            });
            let named: Vec<_> = named.collect();
            let named = named.iter();
            let all = named.map(|(name, partition, bytes)| (name.as_str(), *partition, bytes));
            kafka::produce_all(acks, &all.collect::<Vec<_>>())
        }
        Asked::Fetch(readings, wait) => fetch(readings, *wait),
        Asked::Subscribe(_) => unreachable!("Kafka has no subscriptions"),
        Asked::Change(topic, change) => change_of(&name_of(*topic), *change),
        Asked::Look { topic, what, .. } => match what {
            What::Partitions => kafka::metadata(&[&name_of(*topic)]),
            What::Kept => kafka::describe_configs(&[&name_of(*topic)]),
        },
    };
    kafka::numbered(number, frame)
}

fn fetch(readings: &[Reading], wait: Wait) -> Vec<u8> {
    let bounds = Bounds {
        max_bytes: MOST,
        min_bytes: i32::from(wait == Wait::ForRecords),
        max_wait: if wait == Wait::ForRecords { LONG } else { 0 },
    };
    let named = readings.iter().map(|reading| {
        let (topic, partition) = partition_of(reading.log);
        (name_of(topic), partition as i32, reading.scan.next as i64)
    });
    let named: Vec<_> = named.collect();
    let wanted = named.iter().map(|(topic, partition, offset)| Wanted {
        topic,
        partition: *partition,
        offset: *offset,
        max_bytes: MOST,
    });
    kafka::fetch(bounds, &wanted.collect::<Vec<_>>())
}

fn change_of(name: &str, change: Change) -> Vec<u8> {
    match change {
        Change::Create(Setup { partitions, kept }) => {
            let kept = kept.map(|kept| kept.to_string());
            let config = kept.as_deref().map(|kept| (KEPT, Some(kept)));
            let configs: Vec<_> = config.into_iter().collect();
            kafka::create_topic_with(name, partitions as i32, &configs)
        }
        Change::Keep(kept) => {
            let value = kept.map(|kept| kept.to_string());
            let change = match kept {
                Some(_) => kafka::Change::Set,
                None => kafka::Change::Delete,
            };
            let changes = [(KEPT, change, value.as_deref())];
            kafka::incremental_alter_configs(&[(name, &changes)])
        }
        Change::Grow(partitions) => kafka::create_partitions(&[(name, partitions as i32)]),
        Change::Delete => kafka::delete_topics(&[name]),
    }
}

/// What an answer to that means.
pub(super) fn reply(asked: &Asked, answer: &[u8]) -> Reply {
    match asked {
        Asked::Hello(_) => Reply::Hello,
        Asked::ProducerId(_) => {
            let mut answer = Answer::of(answer);
            answer.i32();
            let (error, id) = (answer.i16(), answer.i64());
            Reply::ProducerId(done(error).map(|()| id))
        }
        Asked::Produce { .. } => {
            let lines = kafka::produced(answer).into_iter();
            let lines = lines.map(|(_, _, error, base)| done(error).map(|()| base as u64));
            Reply::Produced(lines.collect())
        }
        Asked::Fetch(..) => {
            let fetched = kafka::fetched(answer).into_iter().map(|part| {
                done(part.error).map(|()| Fetched {
                    high_watermark: part.high_watermark as u64,
                    records: Bytes::from(part.records),
                })
            });
            Reply::Fetched(fetched.collect())
        }
        Asked::Subscribe(_) => unreachable!("nobody asks for it"),
        Asked::Change(_, change) => Reply::Changed(changed(*change, answer)),
        Asked::Look { what, .. } => Reply::Seen(Ok(match what {
            What::Partitions => match kafka::partitions(answer) {
                Some(count) => Seen::Partitions(count as u32, None),
                None => Seen::Nothing,
            },
            What::Kept => match kafka::setting(answer, KEPT) {
                Some((value, 1)) => Seen::Kept(value.and_then(|value| value.parse().ok())),
                Some(_) => Seen::Kept(None),
                None => Seen::Nothing,
            },
        })),
    }
}

/// The error of the one line of an answer to a change.
fn changed(change: Change, answer: &[u8]) -> Result<(), Refusal> {
    let error = match change {
        Change::Keep(_) => {
            let mut answer = Answer::of(answer);
            let _ = (answer.i32(), answer.i32());
            answer.i16()
        }
        Change::Create(_) | Change::Grow(_) => kafka::named_errors(answer, true)[0].1,
        Change::Delete => kafka::named_errors(answer, false)[0].1,
    };
    done(error)
}

/// Error codes as Kafka's protocol numbers them.
fn done(error: i16) -> Result<(), Refusal> {
    match error {
        0 => Ok(()),
        3 => Err(Refusal::Unknown),
        6 => Err(Refusal::Stopping),
        7 => Err(Refusal::TimedOut),
        19 => Err(Refusal::Again),
        45 => Err(Refusal::OutOfOrder),
        error => Err(Refusal::Other(format!("Kafka's error {error}"))),
    }
}
