//! The bytes of every kind, frozen: a change of the format must show as a change of
//! `golden.txt`, one line per kind (its name, then the frame in hex).

use std::fmt::Write as _;

use leveret_wire::native::{FrameHeader, FrameLimits, Request, Response};

use super::samples::{request_frame, requests, response_frame, responses};

/// `CreateTopic`, `ProduceOk`, `MetadataOk`, `StatusOk` and `DescribeTopicsOk` as they were written
/// before their tables grew, or a reserved byte had a meaning.
const SHORT_CREATE: &str = "5c0000000100100000000000480000000700000000000000180000000000000000000e00240008000c000700100018000e000000000000021c000000080000000000000000000000005c26050000000000000000060000006f72646572730000";
const SHORT_PRODUCED: &str = "3c00000001002180000000002800000007000000000000001000000000000a0018000800100007000a0000000000000140e20100000000000100000000000000";
const SHORT_METADATA: &str = "3c0000000100148000000000280000000700000000000000140000000000000000000a0014000c00080007000a00000000000001080000000500000000000000";

const SHORT_STATUS: &str = "4c01000001003080000000003801000007000000000000001800000014002800080020000c0007001000140018001c0014000000000000013c0000002c0000000100000008000000180000000c0000000c000000000000000100000030000000010000008000000004000000646174610000000005000000302e312e300000000c00140008000c00060010000c000000000001002000000002000000040000000c0000007772697465206661696c656400000000060000006f72646572730000000022006c00060008000c00100014001c0024002c0034003c0044004c0054005c0064002200000000000100030000000400000008000000050000000000000006000000000000000700000000000000080000000000000009000000000000000a000000000000000b000000000000000c00000000000000000000000000f83f00000000000004400000000000000c40";
const SHORT_DESCRIBED: &str = "7401000001001380000000006001000007000000000000001000000000000000000006000800040006000000040000000100000018000000000012002c000800140007001c0024000c001000120000000000000324000000fc00000028000000050000000000000000000000000100000000000000000000060000006f726465727300000200000074000000100000000c0010000400080000000c000c0000003000000018000000040000000a00000043726561746554696d6500000d0000004c6f67417070656e6454696d65000000160000006d6573736167652e74696d657374616d702e74797065000000000e00180008000c000700100014000e000000000000013c00000030000000240000000400000014000000746f7069632e726574656e74696f6e2e74696d6500000000020000002d310000020000002d3100000c000000726574656e74696f6e2e6d7300000000010000000b00000000000000160000000000000021000000000000000000000001000100";

fn line(name: &str, frame: &[u8]) -> String {
    let mut line = format!("{name} ");
    for byte in frame {
        write!(line, "{byte:02x}").unwrap();
    }
    line
}

#[test]
fn frames_are_as_they_were() {
    let mut actual: Vec<String> = requests()
        .iter()
        .map(|request| line(request.kind().name(), &request_frame(request, 0)))
        .collect();
    actual.extend(
        responses()
            .iter()
            .map(|response| line(response.kind().name(), &response_frame(response, 0))),
    );
    let frozen: Vec<&str> = include_str!("golden.txt").lines().collect();
    assert_eq!(
        actual.len(),
        frozen.len(),
        "the golden file has a line per kind"
    );
    for (actual, frozen) in actual.iter().zip(frozen) {
        assert_eq!(actual, frozen);
    }
}

fn header_of(hex: &str) -> (u16, Vec<u8>) {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let frame: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let limits = FrameLimits::for_responses(1 << 20);
    let header = FrameHeader::parse(&frame, &limits).unwrap().unwrap();
    (header.kind, frame[header.header_range()].to_vec())
}

#[test]
fn frames_of_before_a_table_grew_are_read() {
    let (kind, header) = header_of(SHORT_CREATE);
    let Ok(Request::CreateTopic(create)) = Request::decode(kind, &header) else {
        panic!("not read");
    };
    assert_eq!((create.name, create.config), ("orders", vec![]));
    let (kind, header) = header_of(SHORT_PRODUCED);
    let Ok(Response::Produce(produced)) = Response::decode(kind, &header) else {
        panic!("not read");
    };
    assert_eq!(
        (produced.base_offset.0, produced.append_time),
        (123_456, None)
    );
    let (kind, header) = header_of(SHORT_METADATA);
    let Ok(Response::Metadata(metadata)) = Response::decode(kind, &header) else {
        panic!("not read");
    };
    assert_eq!((metadata.partitions, metadata.cores), (8, vec![]));
    let (kind, header) = header_of(SHORT_STATUS);
    let Ok(Response::Status(status)) = Response::decode(kind, &header) else {
        panic!("not read");
    };
    assert_eq!(status.stopped_logs[0].reason, "write failed");
    assert_eq!((status.short_disks, status.damaged_logs), (vec![], vec![]));
    assert_eq!(
        (status.cores[0].core, &status.cores[0].figures),
        (1, &vec![])
    );
    let (kind, header) = header_of(SHORT_DESCRIBED);
    let Ok(Response::DescribeTopics(topics)) = Response::decode(kind, &header) else {
        panic!("not read");
    };
    let partition = topics[0].partitions.iter().next().expect("there is one");
    assert!(partition.stopped && !partition.damaged);
}
