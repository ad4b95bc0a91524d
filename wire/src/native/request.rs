//! What a client asks for.

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};

use super::Kind;
use super::generated::leveret::native as fb;
use super::items::{Items, WireItem};
use super::push::{Subscribe, build_credit, decode_credit};
use super::table::{DecodeError, offset, optional_level, raw_level, root};
use super::types::{Level, Offset, PartitionId, TopicId};

/// One request, borrowed from the frame that it came in or from whoever sends it.
#[derive(Clone, Debug, PartialEq)]
pub enum Request<'a> {
    /// Opens a connection: its first frame.
    Hello(Hello<'a>),
    /// Wants [`Response::Pong`](super::Response::Pong).
    Ping,
    /// Creates a topic.
    CreateTopic(CreateTopic<'a>),
    /// Configures a topic anew, or gives it more partitions.
    AlterTopic(AlterTopic<'a>),
    /// Deletes the topic of that name and its records.
    DeleteTopic(&'a str),
    /// Names all topics.
    ListTopics,
    /// Describes the topics of these names; all, without configuration, if there are none.
    DescribeTopics(Vec<&'a str>),
    /// Resolves the topic of that name.
    Metadata(&'a str),
    /// Wants a producer id that nobody has had.
    InitProducer,
    /// Appends the record batch that is the payload.
    Produce(Produce),
    /// Reads record batches.
    Fetch(Fetch<'a>),
    /// Finds an offset.
    ListOffsets(ListOffsets),
    /// Wants record batches as they become visible.
    Subscribe(Subscribe<'a>),
    /// Adds payload bytes to the credit of the subscription with this frame's correlation. It has
    /// no response.
    Credit(u64),
    /// Ends the subscription with this frame's correlation.
    Unsubscribe,
    /// Asks how the broker is.
    Status,
}

/// Opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// Lowest protocol version that the client speaks.
    pub min_version: u16,
    /// Highest protocol version that the client speaks.
    pub max_version: u16,
    /// What the client calls itself; for logs.
    pub client_name: &'a str,
    /// Its version; for logs.
    pub client_version: &'a str,
    /// The core that is to serve the connection, if it is not to stay where it was accepted. A
    /// number that is no core's means nothing.
    pub core: Option<u16>,
}

/// Creates a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions it gets.
    pub partitions: u32,
    /// What its acknowledgements promise; the broker's default if `None`.
    pub level: Option<Level>,
    /// Bytes to keep per partition; the broker's default if `None`.
    pub retention_bytes: Option<u64>,
    /// Milliseconds to keep records; the broker's default if `None`.
    pub retention_ms: Option<u64>,
    /// Settings by name, and their values.
    pub config: Vec<(&'a str, &'a str)>,
}

/// Alters a topic; all of it happens, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Settings by name, and their values.
    pub set: Vec<(&'a str, &'a str)>,
    /// Settings that go back to the broker's default.
    pub unset: Vec<&'a str>,
    /// How many partitions it is to have, more than it has.
    pub partitions: Option<u32>,
}

/// Appends one record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produce {
    /// Topic to append to.
    pub topic_id: TopicId,
    /// Its partition.
    pub partition: PartitionId,
    /// Level of this acknowledgement; the topic's own if `None`.
    pub level: Option<Level>,
    /// Milliseconds after which the broker answers `Timeout`; the batch may still become durable.
    pub timeout_ms: u32,
}

/// One partition of a [`Fetch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// First offset wanted; the batch that holds it comes whole.
    pub offset: Offset,
    /// Which partition.
    pub partition: PartitionId,
    /// Most bytes from it. The first batch of a response comes even if it is longer.
    pub max_bytes: u32,
}

/// Reads record batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fetch<'a> {
    /// Topic to read.
    pub topic_id: TopicId,
    /// Most bytes of all partitions together. The first batch comes even if it is longer.
    pub max_bytes: u32,
    /// The broker waits for that many bytes ...
    pub min_bytes: u32,
    /// ... for at most that many milliseconds.
    pub max_wait_ms: u32,
    /// Partitions and where to start, in order of preference when `max_bytes` is short.
    pub partitions: Items<'a, FetchPartition>,
}

/// Where [`ListOffsets`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first offset that is still there.
    Earliest,
    /// The high watermark.
    Latest,
    /// The first record whose timestamp is at or after this, in milliseconds since the Unix
    /// epoch.
    Timestamp(i64),
    /// The first record with the largest timestamp.
    MaxTimestamp,
}

/// Finds an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListOffsets {
    /// Topic to look in.
    pub topic_id: TopicId,
    /// Its partition.
    pub partition: PartitionId,
    /// What to look for.
    pub spec: OffsetSpec,
}

impl<'a> Request<'a> {
    /// The number that its frame carries.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Ping => Kind::Ping,
            Self::CreateTopic(_) => Kind::CreateTopic,
            Self::AlterTopic(_) => Kind::AlterTopic,
            Self::DeleteTopic(_) => Kind::DeleteTopic,
            Self::ListTopics => Kind::ListTopics,
            Self::DescribeTopics(_) => Kind::DescribeTopics,
            Self::Metadata(_) => Kind::Metadata,
            Self::InitProducer => Kind::InitProducer,
            Self::Produce(_) => Kind::Produce,
            Self::Fetch(_) => Kind::Fetch,
            Self::ListOffsets(_) => Kind::ListOffsets,
            Self::Subscribe(_) => Kind::Subscribe,
            Self::Credit(_) => Kind::Credit,
            Self::Unsubscribe => Kind::Unsubscribe,
            Self::Status => Kind::Status,
        }
    }

    /// Reads the FlatBuffers header of a frame of that kind. `Produce`, `Fetch`,
    /// `Subscribe` and `Credit` allocate nothing.
    ///
    /// # Errors
    /// [`DecodeError`], if the kind is no request or the header is not its table.
    pub fn decode(kind: u16, header: &'a [u8]) -> Result<Self, DecodeError> {
        let known = Kind::from_u16(kind).ok_or(DecodeError::Kind(kind))?;
        match known {
            Kind::Produce => Produce::decode(header).map(Self::Produce),
            Kind::Fetch => Fetch::decode(header).map(Self::Fetch),
            Kind::ListOffsets => ListOffsets::decode(header).map(Self::ListOffsets),
            Kind::Hello => Hello::decode(header).map(Self::Hello),
            Kind::Ping => root::<fb::Ping<'_>>(known, header).map(|_| Self::Ping),
            Kind::CreateTopic => CreateTopic::decode(header).map(Self::CreateTopic),
            Kind::AlterTopic => AlterTopic::decode(header).map(Self::AlterTopic),
            Kind::DeleteTopic => root::<fb::DeleteTopic<'_>>(known, header)
                .map(|table| Self::DeleteTopic(table.name())),
            Kind::ListTopics => root::<fb::ListTopics<'_>>(known, header).map(|_| Self::ListTopics),
            Kind::DescribeTopics => root::<fb::DescribeTopics<'_>>(known, header)
                .map(|table| Self::DescribeTopics(table.names().iter().collect())),
            Kind::Metadata => {
                root::<fb::Metadata<'_>>(known, header).map(|table| Self::Metadata(table.topic()))
            }
            Kind::InitProducer => {
                root::<fb::InitProducer<'_>>(known, header).map(|_| Self::InitProducer)
            }
            Kind::Subscribe => Subscribe::decode(header).map(Self::Subscribe),
            Kind::Credit => decode_credit(header).map(Self::Credit),
            Kind::Unsubscribe => {
                root::<fb::Unsubscribe<'_>>(known, header).map(|_| Self::Unsubscribe)
            }
            Kind::Status => root::<fb::Status<'_>>(known, header).map(|_| Self::Status),
            _ => Err(DecodeError::Kind(kind)),
        }
    }

    pub(super) fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        match self {
            Self::Hello(hello) => hello.build(fbb),
            Self::Ping => {
                let root = fb::Ping::create(fbb, &fb::PingArgs {});
                fbb.finish_minimal(root);
            }
            Self::CreateTopic(create) => create.build(fbb),
            Self::AlterTopic(alter) => alter.build(fbb),
            Self::DeleteTopic(name) => {
                let name = Some(fbb.create_string(name));
                let root = fb::DeleteTopic::create(fbb, &fb::DeleteTopicArgs { name });
                fbb.finish_minimal(root);
            }
            Self::ListTopics => {
                let root = fb::ListTopics::create(fbb, &fb::ListTopicsArgs {});
                fbb.finish_minimal(root);
            }
            Self::DescribeTopics(names) => {
                let names: Vec<_> = names.iter().map(|name| fbb.create_string(name)).collect();
                let names = Some(fbb.create_vector(&names));
                let root = fb::DescribeTopics::create(fbb, &fb::DescribeTopicsArgs { names });
                fbb.finish_minimal(root);
            }
            Self::Metadata(topic) => {
                let topic = Some(fbb.create_string(topic));
                let root = fb::Metadata::create(fbb, &fb::MetadataArgs { topic });
                fbb.finish_minimal(root);
            }
            Self::InitProducer => {
                let root = fb::InitProducer::create(fbb, &fb::InitProducerArgs {});
                fbb.finish_minimal(root);
            }
            Self::Produce(produce) => produce.build(fbb),
            Self::Fetch(fetch) => fetch.build(fbb),
            Self::ListOffsets(list) => list.build(fbb),
            Self::Subscribe(subscribe) => subscribe.build(fbb),
            Self::Credit(bytes) => build_credit(*bytes, fbb),
            Self::Unsubscribe => {
                let root = fb::Unsubscribe::create(fbb, &fb::UnsubscribeArgs {});
                fbb.finish_minimal(root);
            }
            Self::Status => {
                let root = fb::Status::create(fbb, &fb::StatusArgs {});
                fbb.finish_minimal(root);
            }
        }
    }
}

impl<'a> Hello<'a> {
    fn decode(header: &'a [u8]) -> Result<Self, DecodeError> {
        let table = root::<fb::Hello<'_>>(Kind::Hello, header)?;
        Ok(Self {
            min_version: table.min_version(),
            max_version: table.max_version(),
            client_name: table.client_name(),
            client_version: table.client_version(),
            core: table.core(),
        })
    }

    fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let args = fb::HelloArgs {
            min_version: self.min_version,
            max_version: self.max_version,
            client_name: Some(fbb.create_string(self.client_name)),
            client_version: Some(fbb.create_string(self.client_version)),
            core: self.core,
        };
        let root = fb::Hello::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}

impl<'a> CreateTopic<'a> {
    fn decode(header: &'a [u8]) -> Result<Self, DecodeError> {
        let table = root::<fb::CreateTopic<'_>>(Kind::CreateTopic, header)?;
        Ok(Self {
            name: table.name(),
            partitions: table.partitions(),
            level: optional_level(Kind::CreateTopic, table.level())?,
            retention_bytes: table.retention_bytes(),
            retention_ms: table.retention_ms(),
            config: settings(table.config()),
        })
    }

    fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let args = fb::CreateTopicArgs {
            name: Some(fbb.create_string(self.name)),
            partitions: self.partitions,
            level: raw_level(self.level),
            retention_bytes: self.retention_bytes,
            retention_ms: self.retention_ms,
            config: build_settings(&self.config, fbb),
        };
        let root = fb::CreateTopic::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}

impl<'a> AlterTopic<'a> {
    fn decode(header: &'a [u8]) -> Result<Self, DecodeError> {
        let table = root::<fb::AlterTopic<'_>>(Kind::AlterTopic, header)?;
        let unset = table.unset().into_iter().flat_map(|keys| keys.iter());
        Ok(Self {
            name: table.name(),
            set: settings(table.set()),
            unset: unset.collect(),
            partitions: table.partitions(),
        })
    }

    fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let unset: Vec<_> = self
            .unset
            .iter()
            .map(|key| fbb.create_string(key))
            .collect();
        let args = fb::AlterTopicArgs {
            name: Some(fbb.create_string(self.name)),
            set: build_settings(&self.set, fbb),
            unset: Some(fbb.create_vector(&unset)),
            partitions: self.partitions,
        };
        let root = fb::AlterTopic::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}

type Settings<'a> = Vector<'a, ForwardsUOffset<fb::ConfigSetting<'a>>>;

fn settings<'a>(vector: Option<Settings<'a>>) -> Vec<(&'a str, &'a str)> {
    let settings = vector.into_iter().flat_map(|settings| settings.iter());
    settings
        .map(|setting| (setting.key(), setting.value()))
        .collect()
}

fn build_settings<'f>(
    settings: &[(&str, &str)],
    fbb: &mut FlatBufferBuilder<'f>,
) -> Option<WIPOffset<Settings<'f>>> {
    let settings: Vec<_> = settings
        .iter()
        .map(|(key, value)| {
            let args = fb::ConfigSettingArgs {
                key: Some(fbb.create_string(key)),
                value: Some(fbb.create_string(value)),
            };
            fb::ConfigSetting::create(fbb, &args)
        })
        .collect();
    (!settings.is_empty()).then(|| fbb.create_vector(&settings))
}

impl Produce {
    fn decode(header: &[u8]) -> Result<Self, DecodeError> {
        let table = root::<fb::Produce<'_>>(Kind::Produce, header)?;
        Ok(Self {
            topic_id: TopicId(table.topic_id()),
            partition: PartitionId(table.partition()),
            level: optional_level(Kind::Produce, table.level())?,
            timeout_ms: table.timeout_ms(),
        })
    }

    fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let args = fb::ProduceArgs {
            topic_id: self.topic_id.0,
            partition: self.partition.0,
            level: raw_level(self.level),
            timeout_ms: self.timeout_ms,
        };
        let root = fb::Produce::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}

impl WireItem for FetchPartition {
    const LEN: usize = size_of::<fb::FetchPartition>();

    fn read(bytes: &[u8]) -> Self {
        let raw = fb::FetchPartition(bytes.try_into().expect("one entry"));
        Self {
            offset: Offset(raw.offset()),
            partition: PartitionId(raw.partition()),
            max_bytes: raw.max_bytes(),
        }
    }
}

impl<'a> Fetch<'a> {
    fn decode(header: &'a [u8]) -> Result<Self, DecodeError> {
        let table = root::<fb::Fetch<'_>>(Kind::Fetch, header)?;
        let partitions: Items<'_, FetchPartition> = Items::from_wire(table.partitions().bytes());
        for partition in partitions.iter() {
            offset(Kind::Fetch, "offset", partition.offset.0)?;
        }
        Ok(Self {
            topic_id: TopicId(table.topic_id()),
            max_bytes: table.max_bytes(),
            min_bytes: table.min_bytes(),
            max_wait_ms: table.max_wait_ms(),
            partitions,
        })
    }

    fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let partitions = fbb.create_vector_from_iter(self.partitions.iter().map(|partition| {
            fb::FetchPartition::new(
                partition.offset.0,
                partition.partition.0,
                partition.max_bytes,
            )
        }));
        let args = fb::FetchArgs {
            topic_id: self.topic_id.0,
            max_bytes: self.max_bytes,
            min_bytes: self.min_bytes,
            max_wait_ms: self.max_wait_ms,
            partitions: Some(partitions),
        };
        let root = fb::Fetch::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}

impl ListOffsets {
    fn decode(header: &[u8]) -> Result<Self, DecodeError> {
        let table = root::<fb::ListOffsets<'_>>(Kind::ListOffsets, header)?;
        let spec = match table.spec() {
            fb::OffsetSpec::Earliest => OffsetSpec::Earliest,
            fb::OffsetSpec::Latest => OffsetSpec::Latest,
            fb::OffsetSpec::Timestamp => OffsetSpec::Timestamp(table.timestamp()),
            fb::OffsetSpec::MaxTimestamp => OffsetSpec::MaxTimestamp,
            _ => {
                return Err(DecodeError::Field {
                    kind: Kind::ListOffsets,
                    field: "spec",
                });
            }
        };
        Ok(Self {
            topic_id: TopicId(table.topic_id()),
            partition: PartitionId(table.partition()),
            spec,
        })
    }

    fn build(&self, fbb: &mut FlatBufferBuilder<'_>) {
        let (spec, timestamp) = match self.spec {
            OffsetSpec::Earliest => (fb::OffsetSpec::Earliest, 0),
            OffsetSpec::Latest => (fb::OffsetSpec::Latest, 0),
            OffsetSpec::Timestamp(timestamp) => (fb::OffsetSpec::Timestamp, timestamp),
            OffsetSpec::MaxTimestamp => (fb::OffsetSpec::MaxTimestamp, 0),
        };
        let args = fb::ListOffsetsArgs {
            topic_id: self.topic_id.0,
            partition: self.partition.0,
            spec,
            timestamp,
        };
        let root = fb::ListOffsets::create(fbb, &args);
        fbb.finish_minimal(root);
    }
}
