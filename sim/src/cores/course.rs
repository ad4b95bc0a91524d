//! What is asked of every broker: a course of steps that chance draws, over every request that a
//! broker answers.

use leveret_wire::native::{OffsetSpec, Request};

use super::groups;
use super::kafka::{self, Bounds, Change, Wanted};
use super::native;
use crate::rng::Rng;

/// Topics that may be there.
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Most steps of a course.
const STEPS: u64 = 60;
/// Milliseconds to keep records: longer than any course.
const KEPT: (u64, u64) = (1 << 30, 1 << 40);

/// One step of a course. Whoever plays it waits for its end.
#[derive(Clone, Debug)]
pub enum Step {
    /// A request of a Kafka client.
    Kafka(Vec<u8>),
    /// One that is answered before what it brings can be read by all: time passes behind it.
    Early(Vec<u8>),
    /// One that has no answer, but the end of the connection if it fails.
    Unanswered(Vec<u8>),
    /// A request of a native client.
    Native(Vec<u8>),
    /// Produces of as many Kafka clients, at once: what they are answered together is the same
    /// whatever their order.
    Together(Vec<Vec<u8>>),
}

/// Draws a course.
pub fn draw(rng: &mut Rng) -> Vec<Step> {
    let partitions = rng.between(1, 9) as i32;
    let create = kafka::create_topics(&[("a", partitions), ("b", 4)]);
    let mut course = vec![Step::Kafka(create)];
    for _ in 0..rng.between(10, STEPS) {
        course.push(step(rng));
    }
    course
}

fn step(rng: &mut Rng) -> Step {
    match rng.below(16) {
        0 => Step::Unanswered(kafka::produce(0, &batches(rng))),
        1 => Step::Early(kafka::produce(1, &batches(rng))),
        2 => Step::Together(together(rng)),
        3..7 => Step::Native(native_request(rng)),
        _ => Step::Kafka(request(rng)),
    }
}

fn batches(rng: &mut Rng) -> Vec<(&'static str, i32, usize)> {
    let batch = |rng: &mut Rng| {
        let len = rng.magnitude(1, 8_000) as usize;
        (*rng.pick(&NAMES[..2]), rng.below(9) as i32, len)
    };
    (0..rng.between(1, 8)).map(|_| batch(rng)).collect()
}

/// Several producers, to partitions that they share: batches of one length, so that it does not
/// show whose came first.
fn together(rng: &mut Rng) -> Vec<Vec<u8>> {
    let len = rng.magnitude(1, 4_000) as usize;
    let partitions = rng.between(1, 4);
    let producer = |rng: &mut Rng| {
        let batches = (0..partitions).map(|partition| ("a", partition as i32, len));
        let acks = *rng.pick(&[-1, 1]);
        kafka::produce(acks, &batches.collect::<Vec<_>>())
    };
    (0..rng.between(2, 4)).map(|_| producer(rng)).collect()
}

fn request(rng: &mut Rng) -> Vec<u8> {
    let name = *rng.pick(&NAMES);
    let many = rng.between(1, 3);
    let names: Vec<&str> = (0..many).map(|_| *rng.pick(&NAMES)).collect();
    let counts = |rng: &mut Rng| -> Vec<(&str, i32)> {
        let count = |name: &&'static str| (*name, rng.between(0, 10) as i32);
        names.iter().map(count).collect()
    };
    match rng.below(32) {
        0 => kafka::create_topics(&counts(rng)),
        1 => kafka::create_partitions(&counts(rng)),
        2 if rng.chance(1, 2) => kafka::delete_topics(&names),
        3 => kafka::metadata(&names),
        4 => kafka::describe_configs(&names),
        5 => {
            let value = rng.between(KEPT.0, KEPT.1).to_string();
            let (key, value) = ("retention.ms", Some(value.as_str()));
            let (all, each) = ([(key, value)], [(key, Change::Set, value)]);
            match rng.chance(1, 2) {
                true => {
                    let topics = names.iter().map(|name| (*name, &all[..]));
                    kafka::alter_configs(&topics.collect::<Vec<_>>())
                }
                false => {
                    let topics = names.iter().map(|name| (*name, &each[..]));
                    kafka::incremental_alter_configs(&topics.collect::<Vec<_>>())
                }
            }
        }
        6 => kafka::api_versions(),
        7 => kafka::init_producer_id(),
        8 | 9 => {
            let times = [-1, -2, crate::plan::WALL, crate::plan::WALL + 1];
            let asked = (0..many).map(|_| (name, rng.below(10) as i32, *rng.pick(&times)));
            kafka::list_offsets(&asked.collect::<Vec<_>>())
        }
        10..20 => kafka::produce(-1, &batches(rng)),
        20..24 => group(rng),
        _ => fetch(rng),
    }
}

/// Groups that may be there.
const GROUPS: [&str; 3] = ["g", "h", "i"];

/// Of a group without members: what would wait for others is refused at once.
fn group(rng: &mut Rng) -> Vec<u8> {
    let group = *rng.pick(&GROUPS);
    let place = (*rng.pick(&NAMES), rng.below(9) as i32);
    match rng.below(16) {
        0 => groups::find_coordinator(group),
        1 => groups::join(group, "nobody"),
        2 => groups::sync(group, "nobody"),
        3 => groups::heartbeat(group, "nobody"),
        4 => groups::leave(group, "nobody"),
        5 => groups::describe(&GROUPS),
        6 => groups::list(),
        7 => groups::delete(&[group, "none"]),
        8 => groups::delete_offset(group, place),
        9..13 => groups::commit(group, place, rng.below(1000) as i64),
        _ => groups::offsets(group, rng.chance(1, 2).then_some(place)),
    }
}

/// A fetch may name a partition twice: each mention is answered.
fn fetch(rng: &mut Rng) -> Vec<u8> {
    let wanted = (0..rng.between(1, 9)).map(|_| Wanted {
        topic: NAMES[rng.below(2) as usize],
        partition: rng.below(9) as i32,
        offset: match rng.below(8) {
            0 => rng.below(20) as i64 - 1,
            _ => rng.below(3) as i64,
        },
        max_bytes: rng.magnitude(1, 100_000) as i32,
    });
    let wanted: Vec<_> = wanted.collect();
    kafka::fetch(bounds(rng), &wanted)
}

fn bounds(rng: &mut Rng) -> Bounds {
    Bounds {
        max_bytes: rng.magnitude(1, 300_000) as i32,
        min_bytes: rng.magnitude(1, 60_000) as i32,
        max_wait: *rng.pick(&[0, 0, 40]),
    }
}

fn native_request(rng: &mut Rng) -> Vec<u8> {
    let name = *rng.pick(&NAMES);
    // The first topics, and those that were made again.
    let topic = rng.between(1, 4);
    let partition = rng.below(9) as u32;
    match rng.below(24) {
        0 => native::create_topic(name, rng.below(5) as u32),
        1 => {
            let kept = rng.between(KEPT.0, KEPT.1).to_string();
            let partitions = rng.chance(1, 2).then(|| rng.below(10) as u32);
            native::alter_topic(name, ("retention.ms", &kept), partitions)
        }
        2 if rng.chance(1, 2) => native::frame(&Request::DeleteTopic(name), &[]),
        3 => native::frame(&Request::ListTopics, &[]),
        4 => native::frame(&Request::DescribeTopics(vec![name, "a"]), &[]),
        5 => native::frame(&Request::DescribeTopics(Vec::new()), &[]),
        6 => native::frame(&Request::Metadata(name), &[]),
        7 => native::frame(&Request::Ping, &[]),
        8 | 9 => {
            let spec = *rng.pick(&[
                OffsetSpec::Earliest,
                OffsetSpec::Latest,
                OffsetSpec::MaxTimestamp,
                OffsetSpec::Timestamp(crate::plan::WALL),
            ]);
            native::list_offsets(topic, partition, spec)
        }
        10..15 => native::produce(topic, partition, rng.magnitude(1, 8_000) as usize),
        _ => {
            let wanted = (0..rng.between(1, 9)).map(|_| {
                let max_bytes = rng.magnitude(1, 100_000) as u32;
                (rng.below(9) as u32, rng.below(3), max_bytes)
            });
            let wanted: Vec<_> = wanted.collect();
            native::fetch(topic, bounds(rng), &wanted)
        }
    }
}
