//! Whole sessions of the native protocol: any bytes of a peer into a core, cut into any pieces.
//!
//! Nothing may panic, every answer must be a frame that our own client can read, memory stays
//! within the core's budgets, and a good client is served afterwards.

use bytes::BytesMut;
use leveret_broker::core::boundary::Protocol;
use leveret_record::{BatchBuilder, Compression};
use leveret_sim::rng::Rng;
use leveret_wire::native::{
    AlterTopic, CorrelationId, CreateTopic, Encoder, Fetch, FetchPartition, FrameHeader,
    FrameLimits, Hello, Items, Level, ListOffsets, MAX_CREDIT, Offset, OffsetSpec, PartitionId,
    Produce, Request, Response, Subscribe, SubscribePartition, TopicId,
};

use crate::Target;
use crate::allocator::{peak_of, within};
use crate::batch::Batches;
use crate::mutate::mutate;
use crate::wire::Native;
use crate::world::{CACHE, MAX_BATCH, REQUESTS, RESPONSES, World};
use leveret_testkit::disk::Disk;

/// Inputs that one core hears before it is replaced by a fresh one.
pub(crate) const PER_WORLD: u32 = 200;
/// What a run may take beside the budgets: journal and segment buffers, the disk's own files,
/// what the peer's bytes and answers take in the harness, tables that grow.
pub(crate) const BESIDE: usize = 3 << 20;
const LIMITS: FrameLimits = FrameLimits::for_responses(1 << 20);

/// A frame of a request, with its payload.
pub(crate) fn frame(request: &Request<'_>, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    Encoder::new().request(&mut out, CorrelationId(9), request, payload.len());
    out.extend_from_slice(payload);
    out.to_vec()
}

/// A hello.
pub(crate) fn hello() -> Vec<u8> {
    let hello = Hello {
        min_version: 1,
        max_version: 1,
        client_name: "fuzz",
        client_version: "1",
        core: None,
    };
    frame(&Request::Hello(hello), &[])
}

/// A record batch of one value.
pub(crate) fn batch(len: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder
        .push(1_000, Some(b"k"), Some(&vec![b'v'; len]), &[])
        .expect("a small batch");
    builder.finish().to_vec()
}

/// A produce request to partition 0.
pub(crate) fn produce(topic: u64, len: usize) -> Vec<u8> {
    let produce = Produce {
        topic_id: TopicId(topic),
        partition: PartitionId(0),
        level: None,
        timeout_ms: 100,
    };
    frame(&Request::Produce(produce), &batch(len))
}

/// One frame of each request, about this topic.
pub(crate) fn requests(topic: u64) -> Vec<Vec<u8>> {
    let create = CreateTopic {
        name: "made",
        partitions: 3,
        level: Some(Level::Written),
        retention_bytes: Some(1 << 20),
        retention_ms: None,
        config: vec![("segment.bytes", "1048576")],
    };
    let alter = AlterTopic {
        name: "first",
        set: vec![
            ("retention.bytes", "2097152"),
            ("max.message.bytes", "2048"),
        ],
        unset: vec!["segment.ms"],
        partitions: Some(3),
    };
    let partitions = [0, 1].map(|partition| FetchPartition {
        offset: Offset(0),
        partition: PartitionId(partition),
        max_bytes: 64 << 10,
    });
    let fetch = |max_wait_ms| {
        Request::Fetch(Fetch {
            topic_id: TopicId(topic),
            max_bytes: 64 << 10,
            min_bytes: 1,
            max_wait_ms,
            partitions: Items::from(&partitions[..]),
        })
    };
    let list = |spec| {
        Request::ListOffsets(ListOffsets {
            topic_id: TopicId(topic),
            partition: PartitionId(0),
            spec,
        })
    };
    let pushed = [0, 1, 7].map(|partition| SubscribePartition {
        topic_id: TopicId(topic),
        partition: PartitionId(partition),
        offset: Offset(0),
        max_bytes: 64 << 10,
    });
    let subscribe = |credit| {
        Request::Subscribe(Subscribe {
            credit,
            partitions: Items::from(&pushed[..]),
        })
    };
    let plain = [
        subscribe(0),
        Request::Credit(1),
        Request::Unsubscribe,
        subscribe(MAX_CREDIT - 100),
        Request::Credit(100),
        Request::Ping,
        Request::CreateTopic(create),
        Request::AlterTopic(alter),
        Request::DeleteTopic("made"),
        Request::ListTopics,
        Request::DescribeTopics(vec!["first", "made"]),
        Request::Metadata("first"),
        Request::InitProducer,
        fetch(0),
        fetch(50),
        list(OffsetSpec::Earliest),
        list(OffsetSpec::Latest),
        list(OffsetSpec::Timestamp(1_000)),
        Request::Status,
    ];
    let mut frames = vec![hello()];
    frames.extend(plain.iter().map(|request| frame(request, &[])));
    frames.push(produce(topic, 100));
    frames
}

/// Reads whole response frames: what each is, with the code of an error.
fn answers(mut bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut kinds = Vec::new();
    while !bytes.is_empty() {
        let header = FrameHeader::parse(bytes, &LIMITS)
            .map_err(|error| format!("an answer is no frame: {error}"))?
            .ok_or("an answer ends within its header")?;
        if header.frame_len() > bytes.len() {
            return Err("an answer ends early".to_owned());
        }
        let answer = Response::decode(header.kind, &bytes[header.header_range()])
            .map_err(|error| format!("an answer cannot be read: {error}"))?;
        kinds.push(match answer {
            Response::Error(error) => format!("{:?}", error.code),
            other => format!("{:?}", other.kind()),
        });
        bytes = &bytes[header.frame_len()..];
    }
    Ok(kinds)
}

/// A core with the topic `first`, and its id.
pub(crate) fn prepared() -> (World, u64) {
    let mut world = World::start(Disk::default()).expect("an empty disk");
    let conn = world.connect(Protocol::Native);
    let create = CreateTopic {
        name: "first",
        partitions: 2,
        level: None,
        retention_bytes: None,
        retention_ms: None,
        config: Vec::new(),
    };
    world.send(conn, &hello(), 1000);
    world.send(conn, &frame(&Request::CreateTopic(create), &[]), 1000);
    world.send(conn, &frame(&Request::Metadata("first"), &[]), 1000);
    world.pass(100_000_000);
    let (out, _) = world.received(conn);
    let mut rest = &out[..];
    let mut topic = None;
    while let Ok(Some(header)) = FrameHeader::parse(rest, &LIMITS) {
        if let Ok(Response::Metadata(found)) =
            Response::decode(header.kind, &rest[header.header_range()])
        {
            topic = Some(found.topic_id.0);
        }
        rest = &rest[header.frame_len()..];
    }
    world.hang_up(conn);
    (world, topic.expect("the topic was made"))
}

/// A good client's session: hello, a ping, and a record that is acknowledged.
///
/// # Errors
/// When it is not served.
pub(crate) fn good_client(world: &mut World, topic: u64) -> Result<(), String> {
    let conn = world.connect(Protocol::Native);
    world.send(conn, &hello(), usize::MAX);
    world.send(conn, &frame(&Request::Ping, &[]), usize::MAX);
    world.send(conn, &produce(topic, 10), usize::MAX);
    world.pass(200_000_000);
    let (out, open) = world.received(conn);
    world.hang_up(conn);
    let kinds = answers(&out)?;
    if !open || kinds != ["HelloOk", "Pong", "ProduceOk"] {
        return Err(format!("a good client got {kinds:?}, open: {open}"));
    }
    Ok(())
}

pub(crate) struct NativeSession {
    world: Option<(World, u64)>,
    heard: u32,
    topic: u64,
}

impl NativeSession {
    pub(crate) fn new() -> Self {
        let (world, topic) = prepared();
        Self {
            world: Some((world, topic)),
            heard: 0,
            topic,
        }
    }
}

impl NativeSession {
    /// The frame with another body, of which it gives the right length most of the time; a
    /// record batch in it has the right checksum most of the time.
    fn changed(&self, rng: &mut Rng, mut frame: Vec<u8>, other: &[u8]) -> Vec<u8> {
        let whole = FrameHeader::parse(&frame, &LIMITS).ok().flatten();
        let payload = whole.expect("a frame of ours").payload_range();
        if !payload.is_empty() && rng.chance(3, 4) {
            let mut batch = frame.split_off(payload.start);
            mutate(rng, &mut batch, other);
            Batches.repair(rng, &mut batch);
            frame.append(&mut batch);
        } else {
            let mut body = frame.split_off(FrameHeader::LEN - 16);
            mutate(rng, &mut body, other);
            frame.append(&mut body);
        }
        Native.repair(rng, &mut frame);
        frame
    }
}

impl Target for NativeSession {
    fn name(&self) -> &'static str {
        "native-session"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let frames = requests(self.topic);
        let mut seeds: Vec<_> = frames.iter().map(|f| [&hello()[..], f].concat()).collect();
        seeds.push(frames.concat());
        seeds.push([hello(), produce(self.topic, 40 << 10), frames.concat()].concat());
        seeds.push([hello(), produce(self.topic, 200).repeat(50)].concat());
        seeds
    }

    fn repair(&self, rng: &mut Rng, input: &mut Vec<u8>) {
        let mut whole = hello();
        match rng.below(4) {
            0 => {}
            1 => {
                // A hello that works, and the rest is heard as what it is.
                whole.append(input);
                *input = whole;
            }
            _ => {
                // Whole frames whose bodies are wrong get further.
                let frames = requests(self.topic);
                for _ in 0..rng.between(1, 8) {
                    let frame = frames[rng.below(frames.len() as u64) as usize].clone();
                    whole.append(&mut self.changed(rng, frame, input));
                }
                *input = whole;
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
        let piece = [1, 7, 100, 4096, usize::MAX][input.len() % 5];
        let ((out, open), peak) = peak_of(|| {
            let conn = world.connect(Protocol::Native);
            world.send(conn, input, piece.max(input.len() / 64));
            world.pass(60_000_000);
            let received = world.received(conn);
            world.hang_up(conn);
            received
        });
        let bound = REQUESTS + RESPONSES + CACHE + MAX_BATCH + 4 * input.len() + BESIDE;
        within(peak, bound)?;
        let kinds = answers(&out)?;
        // A topic that the input deleted is not there for the good client.
        let gone = kinds
            .iter()
            .any(|kind| kind == "DeleteTopicOk" || kind == "AlterTopicOk");
        if !gone {
            good_client(&mut world, topic)?;
            self.world = Some((world, topic));
        }
        let mut kinds = kinds;
        kinds.dedup();
        kinds.truncate(4);
        Ok(format!("{kinds:?} {open}"))
    }
}
