//! The two directions of a differential test, for any API.
//!
//! A request is made and encoded by the oracle, decoded by us, and turned back into the oracle's
//! form. A response is made by the oracle, encoded by us, and must have the oracle's bytes and be
//! decoded by it to what it was.

use std::fmt::Debug;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader as TheirHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, StrBytes};
use leveret_wire::kafka::{ApiKey, Request, RequestHeader, frame_len};

use super::source::Source;

pub(crate) const CORRELATION: i32 = 0x0102_0304;

pub(crate) trait Api {
    const KEY: ApiKey;
    type Request: Encodable + HeaderVersion + Message + PartialEq + Debug;
    type Response: Encodable + Decodable + HeaderVersion + PartialEq + Debug;

    /// Any request of that version.
    fn request(source: &mut Source<'_>, version: i16) -> Self::Request;
    /// What we decoded, in the oracle's form.
    fn read(ours: Request<'_>, frame: &[u8], version: i16) -> Self::Request;
    /// Any response of that version.
    fn response(source: &mut Source<'_>, version: i16) -> Self::Response;
    /// The frame that we encode for it.
    fn write(theirs: &Self::Response, version: i16) -> Vec<u8>;
}

/// The versions that both we and the oracle know.
pub(crate) fn common<A: Api>() -> std::ops::RangeInclusive<i16> {
    let (ours, theirs) = (A::KEY.versions(), A::Request::VERSIONS);
    ours.min.max(theirs.min)..=ours.max.min(theirs.max)
}

/// A request frame as the oracle encodes it, from the same bytes every time.
pub(crate) fn request_frame<A: Api>(bytes: &[u8], version: i16, noisy: bool) -> Vec<u8> {
    let mut source = Source::new(bytes, noisy);
    let request = A::request(&mut source, version);
    let mut header = TheirHeader::default()
        .with_request_api_key(A::KEY.as_i16())
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION)
        .with_client_id(source.maybe(Source::text));
    header.unknown_tagged_fields = source.tags(A::Request::header_version(version) >= 2);
    let mut body = BytesMut::new();
    let header_version = A::Request::header_version(version);
    header.encode(&mut body, header_version).unwrap();
    request.encode(&mut body, version).unwrap();
    let mut frame = BytesMut::new();
    frame.put_i32(body.len() as i32);
    frame.put(body);
    frame.to_vec()
}

pub(crate) fn check_request<A: Api>(bytes: &[u8], version: i16, noisy: bool) {
    let frame = request_frame::<A>(bytes, version, noisy);
    let mut source = Source::new(bytes, false);
    let expected = A::request(&mut source, version);
    let client_id: Option<StrBytes> = source.maybe(Source::text);

    assert_eq!(frame_len(&frame, u32::MAX).unwrap(), Some(frame.len()));
    let (header, mut reader) = RequestHeader::parse(&frame).unwrap();
    assert_eq!(
        header,
        RequestHeader {
            api: A::KEY,
            version,
            correlation_id: CORRELATION,
            client_id: client_id.as_deref(),
        }
    );
    let ours = Request::decode(header.api, &mut reader).unwrap();
    assert_eq!(reader.remaining(), 0, "read to the end: {ours:?}");
    assert_eq!(A::read(ours, &frame, version), expected, "v{version}");
}

pub(crate) fn check_response<A: Api>(bytes: &[u8], version: i16) {
    let theirs = A::response(&mut Source::new(bytes, false), version);
    let header_version = A::Response::header_version(version);
    let mut expected = BytesMut::new();
    expected.put_i32(0);
    ResponseHeader::default()
        .with_correlation_id(CORRELATION)
        .encode(&mut expected, header_version)
        .unwrap();
    theirs.encode(&mut expected, version).unwrap();
    let length = expected.len() as i32 - 4;
    expected[..4].copy_from_slice(&length.to_be_bytes());

    let frame = A::write(&theirs, version);
    assert_eq!(frame[..], expected[..], "v{version}: {theirs:?}");
    let mut rest = Bytes::from(frame);
    rest.advance(4);
    let header = ResponseHeader::decode(&mut rest, header_version).unwrap();
    assert_eq!(header.correlation_id, CORRELATION);
    let back = A::Response::decode(&mut rest, version).unwrap();
    assert_eq!((back, rest.len()), (theirs, 0), "v{version}");
}
