//! What a broker answers.

use std::borrow::Cow;

use flatbuffers::FlatBufferBuilder;

use super::generated::leveret::native as fb;
use super::items::{Items, WireItem};
use super::push::Push;
use super::table::{DecodeError, level, offset, raw_level, root};
use super::types::{Level, Offset, PartitionId, ProducerId, TopicId};
use super::{ErrorCode, Kind};

mod lines;
mod status;
mod topics;

pub use lines::TopicLines;
pub use status::{
    CoreFigure, CoreStatus, DamagedLog, FigureValue, ShortDisk, Shortage, StatusOk, StoppedLog,
};
pub use topics::{
    ConfigEntry, ConfigSource, PartitionDescription, PartitionFigure, TopicDescription,
    TopicSummary,
};

/// One response, borrowed from the frame that it came in or from whoever sends it.
#[derive(Clone, Debug, PartialEq)]
pub enum Response<'a> {
    /// The connection is open.
    Hello(HelloOk<'a>),
    /// Answers `Ping`.
    Pong,
    /// Every core knows the new topic.
    CreateTopic(CreateTopicOk),
    /// Every core has the topic so.
    AlterTopic(AlterTopicOk),
    /// No core knows that topic any more.
    DeleteTopic(TopicId),
    /// All topics, by name.
    ListTopics(Vec<TopicSummary<'a>>),
    /// The topics asked for, in that order.
    DescribeTopics(Vec<TopicDescription<'a>>),
    /// The topic asked for.
    Metadata(MetadataOk),
    /// A producer id that nobody has had.
    InitProducer(InitProducerOk),
    /// The batch is as durable as its level promises.
    Produce(ProduceOk),
    /// What could be read; the payload is the slices of all partitions, back to back.
    Fetch(FetchOk<'a>),
    /// The offset asked for.
    ListOffsets(ListOffsetsOk),
    /// The subscription stands; pushes follow.
    Subscribed,
    /// One of a subscription's deliveries; the payload is its batches.
    Push(Push),
    /// The subscription has ended, and this is its last frame.
    Unsubscribed,
    /// How the broker is.
    Status(StatusOk<'a>),
    /// The request failed as a whole.
    Error(ErrorResponse<'a>),
}

/// The connection is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloOk<'a> {
    /// The version that both will speak.
    pub version: u16,
    /// The broker's version; for logs.
    pub server_version: &'a str,
    /// Longest frame that the broker takes, in bytes.
    pub max_frame_len: u32,
    /// Longest record batch that it takes, in bytes.
    pub max_batch_len: u32,
    /// Core that serves this connection.
    pub core: u16,
    /// How many cores there are.
    pub cores: u16,
}

/// A topic was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateTopicOk {
    /// Its id.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
}

/// A topic was altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlterTopicOk {
    /// Its id.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
}

/// What requests for a topic need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataOk {
    /// Its id.
    pub topic_id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// What its acknowledgements promise.
    pub level: Level,
    /// The core that owns each partition, by its number: a hint, as any core takes any request,
    /// and the next start of the broker may place them otherwise. Empty from a broker that does
    /// not say.
    pub cores: Vec<u16>,
}

/// A new producer's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitProducerOk {
    /// For the batch header.
    pub producer_id: ProducerId,
    /// For the batch header.
    pub producer_epoch: i16,
}

/// A batch was appended, or had been before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceOk {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// First offset that the partition still has.
    pub log_start_offset: Offset,
    /// Whether it was a repetition of a batch that had been appended.
    pub duplicate: bool,
    /// Timestamp that the broker gave the records, in a topic of log append time.
    pub append_time: Option<i64>,
}

/// One partition of a [`FetchOk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// Which partition.
    pub partition: PartitionId,
    /// Why nothing could be read; then `payload_len` is 0.
    pub error: Option<ErrorCode>,
    /// The offset after the last record that is visible.
    pub high_watermark: Offset,
    /// First offset that the partition still has.
    pub log_start_offset: Offset,
    /// Bytes of whole record batches in the payload.
    pub payload_len: u32,
}

/// What could be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FetchOk<'a> {
    /// The partitions asked for, in that order; their slices of the payload follow each other in
    /// the same order.
    pub partitions: Items<'a, FetchedPartition>,
}

/// An offset that was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListOffsetsOk {
    /// The offset; the high watermark if there is no such record.
    pub offset: Offset,
    /// Milliseconds since the Unix epoch of the record there; `None` if there is none, or if no
    /// timestamp was asked for.
    pub timestamp: Option<i64>,
}

/// Why a request failed, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse<'a> {
    /// What went wrong.
    pub code: ErrorCode,
    /// Whether the same request may succeed later; travels beside the code, so that clients can
    /// heed codes that they do not know.
    pub retriable: bool,
    /// What went wrong here, in a sentence.
    pub message: Cow<'a, str>,
    /// What to do about it, in a sentence.
    pub remedy: Cow<'a, str>,
}

impl<'a> ErrorResponse<'a> {
    /// An error with the code's own remedy.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<Cow<'a, str>>) -> Self {
        Self {
            code,
            retriable: code.is_retriable(),
            message: message.into(),
            remedy: Cow::Borrowed(code.remedy()),
        }
    }
}

impl<'a> Response<'a> {
    /// The number that its frame carries.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::HelloOk,
            Self::Pong => Kind::Pong,
            Self::CreateTopic(_) => Kind::CreateTopicOk,
            Self::AlterTopic(_) => Kind::AlterTopicOk,
            Self::DeleteTopic(_) => Kind::DeleteTopicOk,
            Self::ListTopics(_) => Kind::ListTopicsOk,
            Self::DescribeTopics(_) => Kind::DescribeTopicsOk,
            Self::Metadata(_) => Kind::MetadataOk,
            Self::InitProducer(_) => Kind::InitProducerOk,
            Self::Produce(_) => Kind::ProduceOk,
            Self::Fetch(_) => Kind::FetchOk,
            Self::ListOffsets(_) => Kind::ListOffsetsOk,
            Self::Subscribed => Kind::SubscribeOk,
            Self::Push(_) => Kind::Push,
            Self::Unsubscribed => Kind::UnsubscribeOk,
            Self::Status(_) => Kind::StatusOk,
            Self::Error(_) => Kind::Error,
        }
    }

    /// Reads the FlatBuffers header of a frame of that kind. `ProduceOk`, `FetchOk` and
    /// `Push` allocate nothing.
    ///
    /// # Errors
    /// [`DecodeError`], if the kind is no response or the header is not its table.
    pub fn decode(kind: u16, header: &'a [u8]) -> Result<Self, DecodeError> {
        let known = Kind::from_u16(kind).ok_or(DecodeError::Kind(kind))?;
        match known {
            Kind::ProduceOk => ProduceOk::decode(header).map(Self::Produce),
            Kind::FetchOk => FetchOk::decode(header).map(Self::Fetch),
            Kind::Push => Push::decode(header).map(Self::Push),
            Kind::Error => ErrorResponse::decode(header).map(Self::Error),
            Kind::HelloOk => HelloOk::decode(header).map(Self::Hello),
            Kind::Pong => root::<fb::Pong<'_>>(known, header).map(|_| Self::Pong),
            Kind::CreateTopicOk => root::<fb::CreateTopicOk<'_>>(known, header).map(|table| {
                Self::CreateTopic(CreateTopicOk {
                    topic_id: TopicId(table.topic_id()),
                    partitions: table.partitions(),
                })
            }),
            Kind::AlterTopicOk => root::<fb::AlterTopicOk<'_>>(known, header).map(|table| {
                Self::AlterTopic(AlterTopicOk {
                    topic_id: TopicId(table.topic_id()),
                    partitions: table.partitions(),
                })
            }),
            Kind::DeleteTopicOk => root::<fb::DeleteTopicOk<'_>>(known, header)
                .map(|table| Self::DeleteTopic(TopicId(table.topic_id()))),
            Kind::ListTopicsOk => topics::decode_list(header).map(Self::ListTopics),
            Kind::DescribeTopicsOk => topics::decode_descriptions(header).map(Self::DescribeTopics),
            Kind::MetadataOk => MetadataOk::decode(header).map(Self::Metadata),
            Kind::InitProducerOk => root::<fb::InitProducerOk<'_>>(known, header).map(|table| {
                Self::InitProducer(InitProducerOk {
                    producer_id: ProducerId(table.producer_id()),
                    producer_epoch: table.producer_epoch(),
                })
            }),
            Kind::ListOffsetsOk => ListOffsetsOk::decode(header).map(Self::ListOffsets),
            Kind::SubscribeOk => {
                root::<fb::SubscribeOk<'_>>(known, header).map(|_| Self::Subscribed)
            }
            Kind::UnsubscribeOk => {
                root::<fb::UnsubscribeOk<'_>>(known, header).map(|_| Self::Unsubscribed)
            }
            Kind::StatusOk => StatusOk::decode(header).map(Self::Status),
            _ => Err(DecodeError::Kind(kind)),
        }
    }

    pub(super) fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        match self {
            Self::Produce(produced) => produced.build(fbb),
            Self::Fetch(fetched) => fetched.build(fbb),
            Self::Push(push) => push.build(fbb),
            Self::Error(error) => error.build(fbb),
            Self::Hello(hello) => hello.build(fbb),
            Self::Pong => {
                let root = fb::Pong::create(fbb, &fb::PongArgs {});
                fbb.finish_minimal(root);
            }
            Self::CreateTopic(created) => {
                let args = fb::CreateTopicOkArgs {
                    topic_id: created.topic_id.0,
                    partitions: created.partitions,
                };
                let root = fb::CreateTopicOk::create(fbb, &args);
                fbb.finish_minimal(root);
            }
            Self::AlterTopic(altered) => {
                let args = fb::AlterTopicOkArgs {
                    topic_id: altered.topic_id.0,
                    partitions: altered.partitions,
                };
                let root = fb::AlterTopicOk::create(fbb, &args);
                fbb.finish_minimal(root);
            }
            Self::DeleteTopic(topic_id) => {
                let topic_id = topic_id.0;
                let root = fb::DeleteTopicOk::create(fbb, &fb::DeleteTopicOkArgs { topic_id });
                fbb.finish_minimal(root);
            }
            Self::ListTopics(summaries) => topics::build_list(summaries, fbb),
            Self::DescribeTopics(descriptions) => topics::build_descriptions(descriptions, fbb),
            Self::Metadata(metadata) => {
                let args = fb::MetadataOkArgs {
                    topic_id: metadata.topic_id.0,
                    partitions: metadata.partitions,
                    level: raw_level(Some(metadata.level)),
                    cores: Some(fbb.create_vector(&metadata.cores)),
                };
                let root = fb::MetadataOk::create(fbb, &args);
                fbb.finish_minimal(root);
            }
            Self::InitProducer(producer) => {
                let args = fb::InitProducerOkArgs {
                    producer_id: producer.producer_id.0,
                    producer_epoch: producer.producer_epoch,
                };
                let root = fb::InitProducerOk::create(fbb, &args);
                fbb.finish_minimal(root);
            }
            Self::ListOffsets(found) => {
                let args = fb::ListOffsetsOkArgs {
                    offset: found.offset.0,
                    timestamp: found.timestamp.unwrap_or(-1),
                };
                let root = fb::ListOffsetsOk::create(fbb, &args);
                fbb.finish_minimal(root);
            }
            Self::Subscribed => {
                let root = fb::SubscribeOk::create(fbb, &fb::SubscribeOkArgs {});
                fbb.finish_minimal(root);
            }
            Self::Unsubscribed => {
                let root = fb::UnsubscribeOk::create(fbb, &fb::UnsubscribeOkArgs {});
                fbb.finish_minimal(root);
            }
            Self::Status(status) => status.build(fbb),
        }
    }
}

impl<'a> HelloOk<'a> {
    fn decode(header: &'a [u8]) -> Result<Self, DecodeError> {
        let table = root::<fb::HelloOk<'_>>(Kind::HelloOk, header)?;
        Ok(Self {
            version: table.version(),
            server_version: table.server_version(),
            max_frame_len: table.max_frame_len(),
            max_batch_len: table.max_batch_len(),
            core: table.core(),
            cores: table.cores(),
        })
    }

    fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let args = fb::HelloOkArgs {
            version: self.version,
            server_version: Some(fbb.create_string(self.server_version)),
            max_frame_len: self.max_frame_len,
            max_batch_len: self.max_batch_len,
            core: self.core,
            cores: self.cores,
        };
        let root = fb::HelloOk::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}

impl MetadataOk {
    fn decode(header: &[u8]) -> Result<Self, DecodeError> {
        let table = root::<fb::MetadataOk<'_>>(Kind::MetadataOk, header)?;
        Ok(Self {
            topic_id: TopicId(table.topic_id()),
            partitions: table.partitions(),
            level: level(Kind::MetadataOk, table.level())?,
            cores: table
                .cores()
                .map_or_else(Vec::new, |cores| cores.iter().collect()),
        })
    }
}

impl ProduceOk {
    fn decode(header: &[u8]) -> Result<Self, DecodeError> {
        let kind = Kind::ProduceOk;
        let table = root::<fb::ProduceOk<'_>>(kind, header)?;
        Ok(Self {
            base_offset: offset(kind, "base_offset", table.base_offset())?,
            log_start_offset: offset(kind, "log_start_offset", table.log_start_offset())?,
            duplicate: table.duplicate(),
            append_time: Some(table.append_time()).filter(|time| *time != -1),
        })
    }

    fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let args = fb::ProduceOkArgs {
            base_offset: self.base_offset.0,
            log_start_offset: self.log_start_offset.0,
            duplicate: self.duplicate,
            append_time: self.append_time.unwrap_or(-1),
        };
        let root = fb::ProduceOk::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}

impl WireItem for FetchedPartition {
    const LEN: usize = size_of::<fb::FetchedPartition>();

    fn read(bytes: &[u8]) -> Self {
        let raw = fb::FetchedPartition(bytes.try_into().expect("one entry"));
        Self {
            partition: PartitionId(raw.partition()),
            error: match raw.error() {
                0 => None,
                code => Some(ErrorCode::from_u16(code)),
            },
            high_watermark: Offset(raw.high_watermark()),
            log_start_offset: Offset(raw.log_start_offset()),
            payload_len: raw.payload_len(),
        }
    }
}

impl<'a> FetchOk<'a> {
    fn decode(header: &'a [u8]) -> Result<Self, DecodeError> {
        let kind = Kind::FetchOk;
        let table = root::<fb::FetchOk<'_>>(kind, header)?;
        let partitions: Items<'_, FetchedPartition> = Items::from_wire(table.partitions().bytes());
        for partition in partitions.iter() {
            offset(kind, "high_watermark", partition.high_watermark.0)?;
            offset(kind, "log_start_offset", partition.log_start_offset.0)?;
            if partition.error.is_some() && partition.payload_len != 0 {
                let field = "payload_len";
                return Err(DecodeError::Field { kind, field });
            }
        }
        Ok(Self { partitions })
    }

    fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let partitions = fbb.create_vector_from_iter(self.partitions.iter().map(|partition| {
            fb::FetchedPartition::new(
                partition.high_watermark.0,
                partition.log_start_offset.0,
                partition.partition.0,
                partition.payload_len,
                partition.error.map_or(0, ErrorCode::as_u16),
                0,
                0,
            )
        }));
        let args = fb::FetchOkArgs {
            partitions: Some(partitions),
        };
        let root = fb::FetchOk::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}

impl ListOffsetsOk {
    fn decode(header: &[u8]) -> Result<Self, DecodeError> {
        let table = root::<fb::ListOffsetsOk<'_>>(Kind::ListOffsetsOk, header)?;
        Ok(Self {
            offset: offset(Kind::ListOffsetsOk, "offset", table.offset())?,
            timestamp: Some(table.timestamp()).filter(|timestamp| *timestamp != -1),
        })
    }
}

impl<'a> ErrorResponse<'a> {
    fn decode(header: &'a [u8]) -> Result<Self, DecodeError> {
        let table = root::<fb::Error<'_>>(Kind::Error, header)?;
        Ok(Self {
            code: ErrorCode::from_u16(table.code()),
            retriable: table.retriable(),
            message: Cow::Borrowed(table.message()),
            remedy: Cow::Borrowed(table.remedy()),
        })
    }

    fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let args = fb::ErrorArgs {
            code: self.code.as_u16(),
            retriable: self.retriable,
            message: Some(fbb.create_string(&self.message)),
            remedy: Some(fbb.create_string(&self.remedy)),
        };
        let root = fb::Error::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}
