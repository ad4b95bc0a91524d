//! Frames of both protocols: headers, requests and responses of the native one, requests of
//! Kafka's.

use std::fmt::{self, Write};

use bytes::BytesMut;
use leveret_sim::rng::Rng;
use leveret_wire::kafka;
use leveret_wire::native::{
    CorrelationId, Encoder, ErrorCode, ErrorResponse, FrameHeader, FrameLimits, Kind, Request,
    Response,
};

use crate::Target;
use crate::allocator::{peak_of, within};
use crate::session;

/// Takes text and keeps nothing but its length: every element is looked at.
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

fn look_at(value: &dyn fmt::Debug) -> usize {
    let mut length = Length(0);
    write!(length, "{value:?}").expect("takes everything");
    length.0
}

const LIMITS: FrameLimits = FrameLimits::for_requests(1 << 20);
/// Lists of names are collected: a pointer and a length of at most this many bytes for each byte
/// of the header.
const PER_BYTE: usize = 16;
/// Texts of errors.
const TEXT: usize = 4096;

pub(crate) struct Native;

impl Target for Native {
    fn name(&self) -> &'static str {
        "native-frame"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = session::requests(7);
        let mut out = BytesMut::new();
        let refusal = ErrorResponse::new(ErrorCode::DiskFull, "full");
        Encoder::new().response(&mut out, CorrelationId(1), &Response::Error(refusal), 0);
        Encoder::new().response(&mut out, CorrelationId(1), &Response::Pong, 0);
        seeds.push(out.to_vec());
        seeds
    }

    fn repair(&self, rng: &mut Rng, input: &mut Vec<u8>) {
        if input.len() < FrameHeader::LEN || rng.chance(1, 8) {
            return;
        }
        let length = input.len() as u32 - 4;
        input[..4].copy_from_slice(&length.to_le_bytes());
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let header = match FrameHeader::parse(input, &LIMITS) {
            Ok(Some(header)) if header.frame_len() <= input.len() => header,
            other => return Ok(format!("{:?}", other.map(|header| header.is_some()))),
        };
        let body = &input[header.header_range()];
        // As the kind that it says to be, and as every other.
        let mut outcome = String::new();
        for kind in Kind::ALL.iter().map(|kind| kind.as_u16()) {
            let ((request, response), peak) = peak_of(|| {
                let request = Request::decode(kind, body).map(|r| look_at(&r)).is_ok();
                let response = Response::decode(kind, body).map(|r| look_at(&r)).is_ok();
                (request, response)
            });
            within(peak, TEXT + PER_BYTE * body.len())?;
            if kind == header.kind {
                outcome = format!("{:?} {request} {response}", Kind::from_u16(kind));
            }
        }
        Ok(outcome)
    }
}

pub(crate) struct Kafka;

impl Target for Kafka {
    fn name(&self) -> &'static str {
        "kafka-request"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut rng = Rng::new(3);
        let mut seeds = Vec::new();
        for api in kafka::ApiKey::ALL {
            let range = api.versions();
            for version in range.min..=range.max {
                // Small bytes are plausible counts and lengths, and get far.
                let body: Vec<u8> = (0..120).map(|_| rng.below(4) as u8).collect();
                seeds.push(kafka_frame(*api, version, &[0; 120]));
                seeds.push(kafka_frame(*api, version, &body));
            }
        }
        seeds
    }

    fn repair(&self, rng: &mut Rng, input: &mut Vec<u8>) {
        if input.len() >= 4 && rng.chance(7, 8) {
            let length = input.len() as i32 - 4;
            input[..4].copy_from_slice(&length.to_be_bytes());
        }
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        match kafka::frame_len(input, 1 << 20) {
            Ok(Some(len)) if len <= input.len() => {}
            other => return Ok(format!("{:?}", other.map(|len| len.is_some()))),
        }
        let (outcome, peak) = peak_of(|| {
            let (header, mut reader) = match kafka::RequestHeader::parse(input) {
                Ok(parsed) => parsed,
                Err(error) => return Err(error),
            };
            let request = kafka::Request::decode(header.api, &mut reader)?;
            look_at(&request);
            Ok((header.api, header.version))
        });
        // Everything is borrowed from the frame.
        within(peak, 0)?;
        Ok(format!("{outcome:?}"))
    }
}

/// A request frame without a client id.
pub(crate) fn kafka_frame(api: kafka::ApiKey, version: i16, body: &[u8]) -> Vec<u8> {
    let tags: &[u8] = if api.is_flexible(version) { b"\0" } else { b"" };
    let length = (10 + tags.len() + body.len()) as i32;
    let fields = [
        &length.to_be_bytes()[..],
        &api.as_i16().to_be_bytes(),
        &version.to_be_bytes(),
        b"\0\0\0\x01\xff\xff",
    ];
    [&fields.concat(), tags, body].concat()
}
