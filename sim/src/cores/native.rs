//! Native requests as bytes, and answers as far as they may not depend on the number of cores.

use bytes::BytesMut;
use leveret_wire::native::{
    AlterTopic, CorrelationId, CreateTopic, Encoder, Fetch, FetchPartition, FrameHeader,
    FrameLimits, Hello, Items, ListOffsets, MetadataOk, Offset, OffsetSpec, PROTOCOL_VERSION,
    PartitionDescription, PartitionId, Produce, Request, Response, TopicDescription, TopicId,
};

use super::kafka::{Bounds, batch};

/// Longest payload of an answer, bytes.
const LONGEST: u32 = 8 << 20;

/// The frame of a request, with its payload.
#[must_use]
pub fn frame(request: &Request<'_>, payload: &[u8]) -> Vec<u8> {
    numbered(7, request, payload)
}

/// The same with a number of its own.
#[must_use]
pub fn numbered(number: u64, request: &Request<'_>, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    Encoder::new().request(&mut out, CorrelationId(number), request, payload.len());
    out.extend_from_slice(payload);
    out.to_vec()
}

/// What a connection begins with.
#[must_use]
pub fn hello() -> Vec<u8> {
    frame(&hello_to(None), &[])
}

/// The same, to be served by that core.
#[must_use]
pub fn hello_to(core: Option<u16>) -> Request<'static> {
    Request::Hello(Hello {
        min_version: PROTOCOL_VERSION,
        max_version: PROTOCOL_VERSION,
        client_name: "sim",
        client_version: "0",
        core,
    })
}

/// Produce of one record whose value has that length, synced before it is acknowledged.
#[must_use]
pub fn produce(topic: u64, partition: u32, len: usize) -> Vec<u8> {
    let produce = Produce {
        topic_id: TopicId(topic),
        partition: PartitionId(partition),
        level: None,
        timeout_ms: 30_000,
    };
    frame(&Request::Produce(produce), &batch(len))
}

/// Fetch: partition, offset and most bytes of each.
#[must_use]
pub fn fetch(topic: u64, bounds: Bounds, wanted: &[(u32, u64, u32)]) -> Vec<u8> {
    let partition = |(partition, offset, max_bytes): &(u32, u64, u32)| FetchPartition {
        offset: Offset(*offset),
        partition: PartitionId(*partition),
        max_bytes: *max_bytes,
    };
    let partitions: Vec<_> = wanted.iter().map(partition).collect();
    let fetch = Fetch {
        topic_id: TopicId(topic),
        max_bytes: bounds.max_bytes.cast_unsigned(),
        min_bytes: bounds.min_bytes.cast_unsigned(),
        max_wait_ms: bounds.max_wait.cast_unsigned(),
        partitions: Items::from(&partitions[..]),
    };
    frame(&Request::Fetch(fetch), &[])
}

/// A ListOffsets request.
#[must_use]
pub fn list_offsets(topic: u64, partition: u32, spec: OffsetSpec) -> Vec<u8> {
    let lookup = ListOffsets {
        topic_id: TopicId(topic),
        partition: PartitionId(partition),
        spec,
    };
    frame(&Request::ListOffsets(lookup), &[])
}

/// CreateTopic at the broker's defaults.
#[must_use]
pub fn create_topic(name: &str, partitions: u32) -> Vec<u8> {
    let create = CreateTopic {
        name,
        partitions,
        level: None,
        retention_bytes: None,
        retention_ms: None,
        config: Vec::new(),
    };
    frame(&Request::CreateTopic(create), &[])
}

/// AlterTopic: a setting, and how many partitions it is to have.
#[must_use]
pub fn alter_topic(name: &str, set: (&str, &str), partitions: Option<u32>) -> Vec<u8> {
    let alter = AlterTopic {
        name,
        set: vec![set],
        unset: Vec::new(),
        partitions,
    };
    frame(&Request::AlterTopic(alter), &[])
}

/// Cuts the answers that are whole off the front of what a peer has taken. Each is told as text,
/// without what may depend on the number of cores, and followed by its payload.
///
/// # Panics
/// If these are no answers.
#[must_use]
pub fn answers(taken: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let text = |frame: Vec<u8>| {
        let whole = Whole::of(&frame);
        let mut text = told(whole.response()).into_bytes();
        text.extend_from_slice(whole.payload);
        text
    };
    frames(taken).into_iter().map(text).collect()
}

/// Cuts the frames that are whole off the front of what a peer has taken.
///
/// # Panics
/// If these are no frames.
#[must_use]
pub fn frames(taken: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(frame) = header(taken) {
        if taken.len() < frame.frame_len() {
            break;
        }
        let rest = taken.split_off(frame.frame_len());
        all.push(std::mem::replace(taken, rest));
    }
    all
}

fn header(bytes: &[u8]) -> Option<FrameHeader> {
    let limits = FrameLimits::for_responses(LONGEST);
    FrameHeader::parse(bytes, &limits).expect("a frame")
}

/// A frame that a peer was sent, which is whole.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// What the request was called.
    pub number: u64,
    kind: u16,
    head: &'a [u8],
    /// Record batches, or nothing.
    pub payload: &'a [u8],
}

impl<'a> Whole<'a> {
    /// Looks at a frame.
    ///
    /// # Panics
    /// If it is not whole.
    #[must_use]
    pub fn of(frame: &'a [u8]) -> Self {
        let header = header(frame).expect("a whole frame");
        Self {
            number: header.correlation.0,
            kind: header.kind,
            head: &frame[header.header_range()],
            payload: &frame[header.payload_range()],
        }
    }

    /// What it says.
    ///
    /// # Panics
    /// If it is no answer.
    #[must_use]
    pub fn response(&self) -> Response<'a> {
        Response::decode(self.kind, self.head).expect("an answer")
    }
}

/// An answer as text; which core owns what, and what the hello says of cores, is left out.
fn told(response: Response<'_>) -> String {
    match response {
        Response::Hello(_) => "hello".to_owned(),
        Response::Metadata(ok) => {
            let cores = Vec::new();
            format!("{:?}", Response::Metadata(MetadataOk { cores, ..ok }))
        }
        Response::DescribeTopics(topics) => topics.iter().map(described).collect(),
        response => format!("{response:?}"),
    }
}

fn described(topic: &TopicDescription<'_>) -> String {
    let partitions = topic.partitions.iter();
    let partitions = partitions.map(|partition| PartitionDescription {
        core: 0,
        ..partition
    });
    let partitions: Vec<_> = partitions.collect();
    let partitions = Items::from(&partitions[..]);
    let TopicDescription { name, topic_id, .. } = topic;
    let (level, config) = (topic.level, &topic.config);
    let kept = (topic.retention_bytes, topic.retention_ms);
    format!("{name} {topic_id} {level:?} {kept:?} {config:?} {partitions:?}\n")
}
