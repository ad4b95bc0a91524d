//! The bytes of every kind, frozen: a change of the format must show as a change of
//! `golden.txt`, one line per kind (its name, then the frame in hex).

use std::fmt::Write as _;

use leveret_wire::native::{FrameHeader, FrameLimits, Request, Response};

use super::samples::{request_frame, requests, response_frame, responses};

/// `CreateTopic`, `ProduceOk` and `MetadataOk` as they were written before their tables grew.
const SHORT_CREATE: &str = "5c0000000100100000000000480000000700000000000000180000000000000000000e00240008000c000700100018000e000000000000021c000000080000000000000000000000005c26050000000000000000060000006f72646572730000";
const SHORT_PRODUCED: &str = "3c00000001002180000000002800000007000000000000001000000000000a0018000800100007000a0000000000000140e20100000000000100000000000000";
const SHORT_METADATA: &str = "3c0000000100148000000000280000000700000000000000140000000000000000000a0014000c00080007000a00000000000001080000000500000000000000";

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
}
