//! The header of a long answer about topics, made line by line, in as many steps as that takes.

use bytes::Bytes;
use flatbuffers::{FlatBufferBuilder, WIPOffset};

use super::super::Kind;
use super::super::generated::leveret::native as fb;
use super::topics::{TopicDescription, TopicSummary, build_description, build_summary};

/// What a summary takes beside its name, bytes, with its place in the list.
const SUMMARY: usize = 48;
/// What a description takes beside its name, its partitions, its settings and its figures, bytes.
const DESCRIPTION: usize = 96;
/// What a partition takes in it.
const PARTITION: usize = size_of::<fb::PartitionDescription>();
/// What a figure takes beside its key and its counts, with its place in the list.
const FIGURE: usize = 48;

/// The lines of a `ListTopicsOk` or a `DescribeTopicsOk` that are made so far.
///
/// All stand in one buffer, which moves whenever it has to grow: give it the room that it takes.
pub struct TopicLines {
    builder: FlatBufferBuilder<'static>,
    lines: Lines,
}

/// Where each line stands.
enum Lines {
    Summaries(Vec<WIPOffset<fb::TopicSummary<'static>>>),
    Descriptions(Vec<WIPOffset<fb::TopicDescription<'static>>>),
}

impl TopicLines {
    /// About what the line of a topic takes whose name has so many bytes, in a list.
    #[must_use]
    pub const fn of_summary(name: usize) -> usize {
        SUMMARY + name
    }

    /// Likewise with so many partitions, in a description without settings and figures.
    #[must_use]
    pub const fn of_description(name: usize, partitions: usize) -> usize {
        DESCRIPTION + name + partitions * PARTITION
    }

    /// About what a figure adds to it whose key has so many bytes.
    #[must_use]
    pub const fn of_figure(key: usize, partitions: usize) -> usize {
        FIGURE + key + partitions * size_of::<u64>()
    }

    /// For a `ListTopicsOk` of about so many lines and bytes.
    #[must_use]
    pub fn summaries(lines: usize, bytes: usize) -> Self {
        Self {
            builder: FlatBufferBuilder::with_capacity(bytes),
            lines: Lines::Summaries(Vec::with_capacity(lines)),
        }
    }

    /// For a `DescribeTopicsOk` of about so many lines and bytes.
    #[must_use]
    pub fn descriptions(lines: usize, bytes: usize) -> Self {
        Self {
            builder: FlatBufferBuilder::with_capacity(bytes),
            lines: Lines::Descriptions(Vec::with_capacity(lines)),
        }
    }

    /// Adds a line to a list. Its bytes.
    ///
    /// # Panics
    /// If these are no summaries.
    pub fn summary(&mut self, topic: &TopicSummary<'_>) -> usize {
        let before = self.len();
        let line = build_summary(topic, &mut self.builder);
        match &mut self.lines {
            Lines::Summaries(lines) => lines.push(line),
            Lines::Descriptions(_) => panic!("a summary among descriptions"),
        }
        self.len() - before
    }

    /// Adds a line to descriptions. Its bytes.
    ///
    /// # Panics
    /// If these are no descriptions.
    pub fn description(&mut self, topic: &TopicDescription<'_>) -> usize {
        let before = self.len();
        let line = build_description(topic, &mut self.builder);
        match &mut self.lines {
            Lines::Descriptions(lines) => lines.push(line),
            Lines::Summaries(_) => panic!("a description among summaries"),
        }
        self.len() - before
    }

    fn len(&self) -> usize {
        self.builder.unfinished_data().len()
    }

    /// The kind of the frame, and its header: where the lines were made, not copied.
    #[must_use]
    pub fn finish(self) -> (Kind, Bytes) {
        let mut builder = self.builder;
        let kind = match self.lines {
            Lines::Summaries(lines) => {
                let topics = Some(builder.create_vector(&lines));
                let args = fb::ListTopicsOkArgs { topics };
                let root = fb::ListTopicsOk::create(&mut builder, &args);
                builder.finish_minimal(root);
                Kind::ListTopicsOk
            }
            Lines::Descriptions(lines) => {
                let topics = Some(builder.create_vector(&lines));
                let args = fb::DescribeTopicsOkArgs { topics };
                let root = fb::DescribeTopicsOk::create(&mut builder, &args);
                builder.finish_minimal(root);
                Kind::DescribeTopicsOk
            }
        };
        let (buffer, from) = builder.collapse();
        (kind, Bytes::from(buffer).slice(from..))
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::super::{
        CorrelationId, Encoder, FrameHeader, Level, Offset, PartitionId, TopicId,
    };
    use super::super::{PartitionDescription, PartitionFigure, Response};
    use super::*;

    /// The header that is made at once.
    fn at_once(response: &Response<'_>) -> Vec<u8> {
        let mut out = BytesMut::new();
        Encoder::new().response(&mut out, CorrelationId(1), response, 0);
        out[FrameHeader::LEN..].to_vec()
    }

    #[test]
    fn a_list_is_the_same_line_by_line_and_takes_the_room_that_it_is_said_to() {
        let names: Vec<String> = (0..500).map(|n| "n".repeat(n % 249 + 1)).collect();
        let topics: Vec<_> = (0..)
            .zip(&names)
            .map(|(id, name)| TopicSummary {
                name,
                topic_id: TopicId(id),
                partitions: 3,
            })
            .collect();
        let room = names.iter().map(|name| TopicLines::of_summary(name.len()));
        let room = room.sum();
        let mut lines = TopicLines::summaries(topics.len(), room);
        let bytes: usize = topics.iter().map(|topic| lines.summary(topic)).sum();
        let (kind, header) = lines.finish();
        assert_eq!(kind, Kind::ListTopicsOk);
        assert!(bytes < header.len() && header.len() <= room, "{room}");
        let response = Response::decode(kind.as_u16(), &header).expect("a list");
        assert_eq!(header, at_once(&response));
        assert_eq!(response, Response::ListTopics(topics));
    }

    #[test]
    fn descriptions_are_the_same_line_by_line_and_take_the_room_that_they_are_said_to() {
        let partitions: Vec<_> = (0..40)
            .map(|index| PartitionDescription {
                partition: PartitionId(index),
                core: 1,
                start_offset: Offset(2),
                high_watermark: Offset(3),
                size_bytes: 4,
                stopped: false,
                damaged: true,
            })
            .collect();
        let counts = [u64::MAX; 40];
        let figures = |partitions| {
            let counts = (&counts[..partitions]).into();
            ["records_in", "bytes_out"].map(|key| PartitionFigure { key, counts })
        };
        let topics: Vec<_> = (0..40)
            .map(|id: u64| TopicDescription {
                name: "a topic",
                topic_id: TopicId(id),
                level: Level::Written,
                retention_bytes: id.is_multiple_of(2).then_some(1 << 20),
                retention_ms: Some(id),
                partitions: partitions[..id as usize].into(),
                config: Vec::new(),
                figures: figures(id as usize).into(),
            })
            .collect();
        let room = (0..40).map(|count| {
            TopicLines::of_description(7, count)
                + 2 * TopicLines::of_figure("records_in".len(), count)
        });
        let room = room.sum();
        let mut lines = TopicLines::descriptions(topics.len(), room);
        topics.iter().for_each(|topic| {
            lines.description(topic);
        });
        let (kind, header) = lines.finish();
        assert!(header.len() <= room, "{} of {room}", header.len());
        let response = Response::decode(kind.as_u16(), &header).expect("descriptions");
        assert_eq!(header, at_once(&response));
        assert_eq!(response, Response::DescribeTopics(topics));
        let none = TopicLines::descriptions(0, 0).finish();
        let response = Response::decode(none.0.as_u16(), &none.1).expect("none");
        assert_eq!(response, Response::DescribeTopics(Vec::new()));
    }
}
