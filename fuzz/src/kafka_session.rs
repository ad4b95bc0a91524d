//! Whole sessions of Kafka's protocol, judged as those of the native one.

use leveret_broker::core::boundary::Protocol;
use leveret_sim::rng::Rng;

use crate::Target;
use crate::allocator::{peak_of, within};
use crate::batch::Batches;
use crate::mutate::mutate;
use crate::session::{BESIDE, PER_WORLD, batch, good_client, prepared};
use crate::wire::{Kafka, kafka_frame};
use crate::world::{CACHE, MAX_BATCH, REQUESTS, RESPONSES, World};
use leveret_wire::kafka::ApiKey;
use leveret_wire::speech::Speech;

/// Answers to requests for topics, settings and versions are longer than what was asked.
const ANSWERS: usize = 1 << 20;

/// Body of a produce request of version 3 for partition 0 of `first`, records last.
fn produce(records: &[u8]) -> Vec<u8> {
    let length = records.len() as i32;
    let before = b"\xff\xff\xff\xff\0\0\x03\xe8\0\0\0\x01\0\x05first\0\0\0\x01\0\0\0\0";
    [&before[..], &length.to_be_bytes(), records].concat()
}

/// Bodies that reach the engine, with their API and version.
fn whole() -> Vec<(ApiKey, i16, Vec<u8>)> {
    let fetch = b"\xff\xff\xff\xff\0\0\0\x0a\0\0\0\x01\0\x01\0\0\0\0\0\0\x01\0\x05first\0\0\0\x01\
                  \0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0";
    let list = b"\xff\xff\xff\xff\0\0\0\x01\0\x05first\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\x03\xe8";
    vec![
        (ApiKey::ApiVersions, 0, Vec::new()),
        (ApiKey::Metadata, 1, b"\0\0\0\x01\0\x05first".to_vec()),
        (ApiKey::Metadata, 1, b"\xff\xff\xff\xff".to_vec()),
        (ApiKey::Produce, 3, produce(&batch(100))),
        (ApiKey::Produce, 3, produce(&batch(3000))),
        (ApiKey::Fetch, 4, fetch.to_vec()),
        (ApiKey::ListOffsets, 1, list.to_vec()),
        (ApiKey::InitProducerId, 0, b"\xff\xff\0\0\x03\xe8".to_vec()),
    ]
}

/// Bytes of what a peer that speaks another protocol is told, at most.
const FAREWELL: usize = 1024;

/// Whole answers, by length and correlation.
fn answers(mut bytes: &[u8]) -> Result<usize, String> {
    let mut count = 0;
    while !bytes.is_empty() {
        let length = bytes
            .first_chunk::<4>()
            .ok_or("an answer ends in its length")?;
        let length = i32::from_be_bytes(*length);
        let end = usize::try_from(length).map_err(|_| "an answer of negative length")? + 4;
        if end < 8 || end > bytes.len() {
            return Err(format!(
                "an answer of {length} bytes, {} are there",
                bytes.len()
            ));
        }
        bytes = &bytes[end..];
        count += 1;
    }
    Ok(count)
}

/// Whether the key of a request that changes a topic's settings is anywhere in the input.
fn alters(input: &[u8]) -> bool {
    let keys = [ApiKey::AlterConfigs, ApiKey::IncrementalAlterConfigs];
    let keys = keys.map(|key| key.as_i16().to_be_bytes());
    input
        .windows(2)
        .any(|two| keys.iter().any(|key| key == two))
}

pub(crate) struct KafkaSession {
    world: Option<(World, u64)>,
    heard: u32,
}

impl KafkaSession {
    pub(crate) fn new() -> Self {
        Self {
            world: Some(prepared()),
            heard: 0,
        }
    }
}

impl Target for KafkaSession {
    fn name(&self) -> &'static str {
        "kafka-session"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let frames = whole();
        let frames = frames
            .iter()
            .map(|(api, version, body)| kafka_frame(*api, *version, body));
        let mut seeds: Vec<_> = frames.collect();
        seeds.push(seeds.concat());
        seeds.extend(Kafka.seeds());
        seeds
    }

    fn repair(&self, rng: &mut Rng, input: &mut Vec<u8>) {
        match rng.below(3) {
            0 => {}
            1 => Kafka.repair(rng, input),
            _ => {
                let whole = whole();
                let mut session = Vec::new();
                for _ in 0..rng.between(1, 6) {
                    let (api, version, body) = &whole[rng.below(whole.len() as u64) as usize];
                    let mut body = body.clone();
                    if *api == ApiKey::Produce && rng.chance(1, 2) {
                        let mut records = batch(50);
                        mutate(rng, &mut records, input);
                        Batches.repair(rng, &mut records);
                        body = produce(&records);
                    } else if rng.chance(3, 4) {
                        mutate(rng, &mut body, input);
                    }
                    session.append(&mut kafka_frame(*api, *version, &body));
                }
                *input = session;
            }
        }
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        // A world in which something panicked is not heard again.
        let (mut world, topic) = match self.world.take() {
            Some(world) if self.heard < PER_WORLD => world,
            _ => {
                self.heard = 0;
                prepared()
            }
        };
        self.heard += 1;
        let ((out, open), peak) = peak_of(|| {
            let conn = world.connect(Protocol::Kafka);
            world.send(conn, input, (input.len() / 40).max(7));
            world.pass(60_000_000);
            let received = world.received(conn);
            world.hang_up(conn);
            received
        });
        let bound = REQUESTS + RESPONSES + CACHE + MAX_BATCH + 4 * input.len() + BESIDE + ANSWERS;
        within(peak, bound)?;
        let count = match answers(&out) {
            // Who begins in another protocol is told so in that one, and briefly.
            Err(_) if Speech::of_request(input).is_some() && out.len() <= FAREWELL => 1,
            counted => counted?,
        };
        let deletes = input
            .windows(2)
            .any(|key| key == ApiKey::DeleteTopics.as_i16().to_be_bytes());
        match good_client(&mut world, topic) {
            Ok(()) => self.world = Some((world, topic)),
            // What may have asked for the topic to be deleted, or its settings changed, is excused.
            Err(_) if deletes || alters(input) => {}
            Err(what) => return Err(what),
        }
        let shape: Vec<_> = out.chunks(64).take(3).map(|chunk| chunk.len()).collect();
        let codes = out.iter().filter(|byte| **byte != 0).take(12);
        let codes: String = codes.map(|byte| char::from(b'a' + byte % 16)).collect();
        Ok(format!(
            "{} {open} {shape:?} {codes}",
            "x".repeat(count.min(9))
        ))
    }
}
