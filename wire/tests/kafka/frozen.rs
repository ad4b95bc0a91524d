//! What the oracle does not know, in bytes written out by hand after Kafka's schemas.

use bytes::BytesMut;
use leveret_wire::kafka::{
    ApiKey, ApiVersionsResponse, CommittedPartition, ErrorCode, FetchedGroup, FetchedOffset,
    HeaderError, Line, ListOffsetsPartition, ListedPartition, ListedTopic, OffsetCommitPartition,
    OffsetCommitResponse, OffsetFetchGroups, OffsetFetchResponse, ProduceResponse,
    ProducedPartition, Request, RequestHeader, TopicGroup, TopicRef, Uuid, encode_response,
};

use super::harness::{check_request, request_frame};
use super::oracle::ListOffsets;

/// A frame of that key and version with correlation id 7, client id "c" and that body.
fn frame(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend((11 + body.len() as i32).to_be_bytes());
    frame.extend(key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(7i32.to_be_bytes());
    frame.extend(b"\0\x01c");
    frame.extend(body);
    frame
}

/// Versions before 3 have no transaction, and otherwise the layout of version 3.
#[test]
fn the_oldest_produce_requests_are_read() {
    let body = b"\0\x01\0\0\x03\xe8\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x05\0\0\0\x03old";
    for version in 0..3 {
        let frame = frame(0, version, body);
        let (header, mut reader) = RequestHeader::parse(&frame).unwrap();
        assert_eq!((header.version, header.client_id), (version, Some("c")));
        let Request::Produce(request) = Request::decode(header.api, &mut reader).unwrap() else {
            panic!("{header:?}")
        };
        assert_eq!(reader.remaining(), 0);
        assert_eq!(request.transactional_id, None);
        assert_eq!((request.acks, request.timeout_ms), (1, 1000));
        let topic = request.topics.iter().next().unwrap();
        assert_eq!(topic.topic, TopicRef::Name("t"));
        let partition = topic.partitions.iter().next().unwrap();
        assert_eq!(partition.index, 5);
        assert_eq!(&frame[partition.records.unwrap()], b"old");
    }
}

/// Version 1 added the throttle time, version 2 the time of the append.
#[test]
fn the_oldest_produce_requests_are_answered() {
    let topics = [TopicGroup {
        topic: TopicRef::Name("t"),
        partitions: 1,
    }];
    let partitions = [ProducedPartition::failed(5, ErrorCode::UnsupportedVersion)];
    let response = ProduceResponse {
        topics: &topics,
        partitions: &partitions,
        throttle_time_ms: 9,
    };
    let line =
        b"\0\0\0\x07\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x05\0\x23\xff\xff\xff\xff\xff\xff\xff\xff";
    let time = b"\xff\xff\xff\xff\xff\xff\xff\xff";
    let throttle = b"\0\0\0\x09";
    let bodies: [Vec<u8>; 3] = [
        line.to_vec(),
        [&line[..], throttle].concat(),
        [&line[..], time, throttle].concat(),
    ];
    for (version, body) in (0..).zip(bodies) {
        let mut out = BytesMut::new();
        encode_response(&mut out, version, 7, &response);
        assert_eq!(out[..4], (body.len() as i32).to_be_bytes());
        assert_eq!(out[4..], body, "v{version}");
    }
}

/// Version 11 added a meaning of the timestamp and no field.
#[test]
fn version_11_of_list_offsets_looks_like_10() {
    let mut frame = request_frame::<ListOffsets>(&[3; 200], 10, false);
    frame[7] = 11;
    let (header, mut reader) = RequestHeader::parse(&frame).unwrap();
    assert_eq!(header.version, 11);
    let Request::ListOffsets(request) = Request::decode(header.api, &mut reader).unwrap() else {
        panic!("{header:?}")
    };
    assert_eq!((reader.remaining(), request.timeout_ms), (0, 0x0303_0303));
    check_request::<ListOffsets>(&[3; 200], 10, false);

    let line = ListedPartition {
        index: 2,
        error: ErrorCode::None,
        timestamp: ListOffsetsPartition::EARLIEST_PENDING_UPLOAD,
        offset: 4,
        leader_epoch: 5,
    };
    let [ten, eleven] = [10, 11].map(|version| {
        let mut out = BytesMut::new();
        let (name, partitions) = ("t", 1);
        ListedTopic { name, partitions }.encode(&mut out, ApiKey::ListOffsets, version);
        line.encode(&mut out, ApiKey::ListOffsets, version);
        ListedTopic::encode_end(&mut out, version);
        let len = out.len();
        ListedTopic::encode_around(&mut out, version, 7, 1, len);
        out
    });
    assert_eq!(ten, eleven);
}

#[test]
fn an_unknown_version_of_api_versions_can_be_answered() {
    // What follows the correlation id may look in any way.
    let error = RequestHeader::parse(&frame(18, 77, b"\xff\xff\xff")).unwrap_err();
    assert_eq!(
        error,
        HeaderError::UnsupportedVersion {
            api: ApiKey::ApiVersions,
            version: 77,
            correlation_id: 7
        }
    );
    let mut out = BytesMut::new();
    let response = ApiVersionsResponse {
        error: ErrorCode::UnsupportedVersion,
        apis: &[ApiKey::ApiVersions],
        throttle_time_ms: 0,
    };
    encode_response(&mut out, 0, 7, &response);
    let expected = b"\0\0\0\x10\0\0\0\x07\0\x23\0\0\0\x01\0\x12\0\0\0\x04";
    assert_eq!(out[..], expected[..]);
}

#[test]
fn what_is_not_here_is_named() {
    // OffsetForLeaderEpoch, which consumers may send where a leader has changed.
    assert_eq!(
        RequestHeader::parse(&frame(23, 2, b"")).unwrap_err(),
        HeaderError::UnknownApi {
            key: 23,
            version: 2
        }
    );
    assert_eq!(
        RequestHeader::parse(&frame(1, 3, b"")).unwrap_err(),
        HeaderError::UnsupportedVersion {
            api: ApiKey::Fetch,
            version: 3,
            correlation_id: 7
        }
    );
}

/// Version 10 names topics by id, and is otherwise as version 9.
#[test]
fn offsets_are_kept_and_told_by_topic_id() {
    let id = [7; 16];
    let by_id = TopicRef::Id(Uuid(u128::from_be_bytes(id)));
    // After the header's tags: group g, generation 3, member m, no instance; of one topic partition 5 at 9.
    let body = [
        &b"\0\x02g\0\0\0\x03\x02m\0\x02"[..],
        &id,
        b"\x02\0\0\0\x05\0\0\0\0\0\0\0\x09\0\0\0\x02\x02x\0\0\0",
    ];
    let sent = frame(8, 10, &body.concat());
    let (header, mut reader) = RequestHeader::parse(&sent).unwrap();
    let Request::OffsetCommit(commit) = Request::decode(header.api, &mut reader).unwrap() else {
        panic!("{header:?}")
    };
    assert_eq!(reader.remaining(), 0);
    let caller = (
        commit.group,
        commit.generation,
        commit.member,
        commit.instance,
    );
    assert_eq!(caller, ("g", 3, "m", None));
    let topic = commit.topics.iter().next().unwrap();
    assert_eq!(topic.topic, by_id);
    let partition = OffsetCommitPartition {
        index: 5,
        offset: 9,
        leader_epoch: 2,
        metadata: Some("x"),
    };
    assert_eq!(topic.partitions.iter().collect::<Vec<_>>(), [partition]);

    let topics = [TopicGroup {
        topic: by_id,
        partitions: 1,
    }];
    let kept = OffsetCommitResponse {
        throttle_time_ms: 0,
        topics: &topics,
        partitions: &[CommittedPartition {
            index: 5,
            error: ErrorCode::StaleMemberEpoch,
        }],
    };
    let mut out = BytesMut::new();
    encode_response(&mut out, 10, 7, &kept);
    let line = [&b"\x02"[..], &id, b"\x02\0\0\0\x05\0\x71\0\0\0"].concat();
    let whole = [&b"\0\0\0\x24\0\0\0\x07\0\0\0\0\0"[..], &line].concat();
    assert_eq!(out[..], whole[..]);

    // Group g asks without a member, for one partition of the topic, and for what is stable.
    let body = [
        &b"\0\x02\x02g\0\xff\xff\xff\xff\x02"[..],
        &id,
        b"\x02\0\0\0\x05\0\0\x01\0",
    ];
    let sent = frame(9, 10, &body.concat());
    let (header, mut reader) = RequestHeader::parse(&sent).unwrap();
    let Request::OffsetFetch(fetch) = Request::decode(header.api, &mut reader).unwrap() else {
        panic!("{header:?}")
    };
    assert_eq!((reader.remaining(), fetch.require_stable), (0, true));
    let OffsetFetchGroups::Several(groups) = fetch.groups else {
        panic!("{fetch:?}")
    };
    let group = groups.iter().next().unwrap();
    assert_eq!(
        (group.group, group.member, group.member_epoch),
        ("g", None, -1)
    );
    let topic = group.topics.unwrap().iter().next().unwrap();
    assert_eq!(topic.topic, by_id);
    assert_eq!(topic.partitions.iter().collect::<Vec<_>>(), [5]);

    let told = OffsetFetchResponse {
        throttle_time_ms: 0,
        groups: vec![FetchedGroup {
            group: "g".into(),
            topics: topics.to_vec(),
            partitions: vec![FetchedOffset {
                index: 5,
                offset: 9,
                leader_epoch: 2,
                metadata: Some("x".into()),
                error: ErrorCode::None,
            }],
            error: ErrorCode::None,
        }],
    };
    let mut out = BytesMut::new();
    encode_response(&mut out, 10, 7, &told);
    let line = b"\x02\0\0\0\x05\0\0\0\0\0\0\0\x09\0\0\0\x02\x02x\0\0\0\0\0\0\0\0";
    let body = [&b"\x02\x02g\x02"[..], &id, line].concat();
    let whole = [&b"\0\0\0\x38\0\0\0\x07\0\0\0\0\0"[..], &body].concat();
    assert_eq!(out[..], whole[..]);
}
