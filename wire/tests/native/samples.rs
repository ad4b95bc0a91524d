//! One message of every kind, with every field set to something that is not its default.

use leveret_wire::native::*;

pub(crate) const FETCH: [FetchPartition; 2] = [
    FetchPartition {
        offset: Offset(0x0102_0304_0506_0708),
        partition: PartitionId(3),
        max_bytes: 65_536,
    },
    FetchPartition {
        offset: Offset(0),
        partition: PartitionId(4),
        max_bytes: 1,
    },
];

const FETCHED: [FetchedPartition; 2] = [
    FetchedPartition {
        partition: PartitionId(3),
        error: None,
        high_watermark: Offset(1000),
        log_start_offset: Offset(10),
        payload_len: 77,
    },
    FetchedPartition {
        partition: PartitionId(4),
        error: Some(ErrorCode::OffsetOutOfRange),
        high_watermark: Offset(5),
        log_start_offset: Offset(2),
        payload_len: 0,
    },
];

pub(crate) const SUBSCRIBED: [SubscribePartition; 2] = [
    SubscribePartition {
        topic_id: TopicId(0x1122_3344_5566_7788),
        partition: PartitionId(3),
        offset: Offset(0x0102_0304_0506_0708),
        max_bytes: 65_536,
    },
    SubscribePartition {
        topic_id: TopicId(9),
        partition: PartitionId(4),
        offset: Offset(0),
        max_bytes: 1,
    },
];

const DESCRIBED: [PartitionDescription; 1] = [PartitionDescription {
    partition: PartitionId(0),
    core: 1,
    start_offset: Offset(11),
    high_watermark: Offset(22),
    size_bytes: 33,
    stopped: true,
    damaged: true,
}];

pub(crate) fn requests() -> Vec<Request<'static>> {
    vec![
        Request::Hello(Hello {
            min_version: 1,
            max_version: 2,
            client_name: "test",
            client_version: "0.1.0",
            core: Some(0),
        }),
        Request::Ping,
        Request::CreateTopic(CreateTopic {
            name: "orders",
            partitions: 8,
            level: Some(Level::Written),
            retention_bytes: Some(0),
            retention_ms: Some(86_400_000),
            config: vec![("segment.ms", "60000")],
        }),
        Request::AlterTopic(AlterTopic {
            name: "orders",
            set: vec![("retention.ms", "-1"), ("durability", "written")],
            unset: vec!["segment.ms"],
            partitions: Some(12),
        }),
        Request::DeleteTopic("orders"),
        Request::ListTopics,
        Request::DescribeTopics(vec!["orders", "größe"]),
        Request::Metadata("orders"),
        Request::InitProducer,
        Request::Produce(Produce {
            topic_id: TopicId(0x1122_3344_5566_7788),
            partition: PartitionId(7),
            level: Some(Level::Synced),
            timeout_ms: 30_000,
        }),
        Request::Fetch(Fetch {
            topic_id: TopicId(9),
            max_bytes: 1 << 20,
            min_bytes: 1,
            max_wait_ms: 500,
            partitions: Items::from(&FETCH[..]),
        }),
        Request::ListOffsets(ListOffsets {
            topic_id: TopicId(9),
            partition: PartitionId(1),
            spec: OffsetSpec::Timestamp(-5),
        }),
        Request::Subscribe(Subscribe {
            credit: 1 << 20,
            partitions: Items::from(&SUBSCRIBED[..]),
        }),
        Request::Credit(65_537),
        Request::Unsubscribe,
        Request::Status,
    ]
}

pub(crate) fn responses() -> Vec<Response<'static>> {
    vec![
        Response::Hello(HelloOk {
            version: 1,
            server_version: "0.1.0",
            max_frame_len: 1 << 21,
            max_batch_len: 1 << 20,
            core: 1,
            cores: 2,
        }),
        Response::Pong,
        Response::CreateTopic(CreateTopicOk {
            topic_id: TopicId(5),
            partitions: 8,
        }),
        Response::AlterTopic(AlterTopicOk {
            topic_id: TopicId(5),
            partitions: 12,
        }),
        Response::DeleteTopic(TopicId(5)),
        Response::ListTopics(vec![TopicSummary {
            name: "orders",
            topic_id: TopicId(5),
            partitions: 8,
        }]),
        Response::DescribeTopics(vec![TopicDescription {
            name: "orders",
            topic_id: TopicId(5),
            level: Level::Memory,
            retention_bytes: Some(1 << 40),
            retention_ms: Some(0),
            partitions: Items::from(&DESCRIBED[..]),
            config: vec![
                ConfigEntry {
                    key: "retention.ms",
                    value: "-1",
                    source: ConfigSource::Broker,
                    default_value: "-1",
                    default_from: Some("topic.retention.time"),
                },
                ConfigEntry {
                    key: "message.timestamp.type",
                    value: "LogAppendTime",
                    source: ConfigSource::Topic,
                    default_value: "CreateTime",
                    default_from: None,
                },
            ],
            figures: vec![PartitionFigure {
                key: "records_in",
                counts: Items::from(&[44][..]),
            }],
        }]),
        Response::Metadata(MetadataOk {
            topic_id: TopicId(5),
            partitions: 3,
            level: Level::Synced,
            cores: vec![1, 0, 258],
        }),
        Response::InitProducer(InitProducerOk {
            producer_id: ProducerId(12),
            producer_epoch: 3,
        }),
        Response::Produce(ProduceOk {
            base_offset: Offset(123_456),
            log_start_offset: Offset(1),
            duplicate: true,
            append_time: Some(1_700_000_000_000),
        }),
        Response::Fetch(FetchOk {
            partitions: Items::from(&FETCHED[..]),
        }),
        Response::ListOffsets(ListOffsetsOk {
            offset: Offset(44),
            timestamp: Some(1_700_000_000_000),
        }),
        Response::Subscribed,
        Response::Push(Push {
            index: 1,
            error: Some(ErrorCode::OffsetOutOfRange),
            high_watermark: Offset(1000),
            log_start_offset: Offset(10),
        }),
        Response::Unsubscribed,
        Response::Status(status()),
        Response::Error(ErrorResponse::new(
            ErrorCode::UnknownTopic,
            "no topic `orders`",
        )),
    ]
}

fn status() -> StatusOk<'static> {
    StatusOk {
        version: "0.1.0",
        uptime_ms: 12,
        data_dir: "data",
        true_level: Level::Synced,
        topics: 1,
        partitions: 8,
        cores: vec![CoreStatus {
            core: 1,
            cpu: 3,
            figures: vec![
                CoreFigure {
                    key: "connections",
                    value: FigureValue::Count(4),
                },
                CoreFigure {
                    key: "records_in_per_second",
                    value: FigureValue::Rate(1.5),
                },
                CoreFigure {
                    key: "bytes_out_per_second",
                    value: FigureValue::Rate(0.0),
                },
            ],
        }],
        stopped_logs: vec![StoppedLog {
            topic: "orders",
            partition: PartitionId(2),
            core: 1,
            reason: "write failed",
        }],
        short_disks: vec![
            ShortDisk {
                core: 1,
                shortage: Shortage::Full,
                reason: "no space left",
            },
            ShortDisk {
                core: 2,
                shortage: Shortage::AtFloor,
                reason: "little is free",
            },
        ],
        damaged_logs: vec![DamagedLog {
            topic: "orders",
            partition: PartitionId(3),
            core: 1,
            offset: Offset(17),
            reads: 4,
            reason: "a checksum does not fit",
        }],
    }
}

/// The frame of a request, without payload bytes.
pub(crate) fn request_frame(request: &Request<'_>, payload_len: usize) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    Encoder::new().request(&mut out, CorrelationId(7), request, payload_len);
    out.to_vec()
}

/// The frame of a response, without payload bytes.
pub(crate) fn response_frame(response: &Response<'_>, payload_len: usize) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    Encoder::new().response(&mut out, CorrelationId(7), response, payload_len);
    out.to_vec()
}
