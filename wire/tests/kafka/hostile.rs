//! Bytes that no honest client sends: an error, never a panic. (That nothing is allocated for
//! them is in `allocation.rs`.)

use leveret_wire::kafka::{
    ApiKey, DecodeError, Fault, FrameError, HeaderError, Request, RequestHeader, frame_len,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::oracle::{for_every_api, frames};

/// Every key and version, with that body behind an empty client id.
pub(crate) fn every_version(body: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    ApiKey::ALL.iter().flat_map(move |api| {
        let range = api.versions();
        (range.min..=range.max).map(move |version| header(*api, version, body))
    })
}

fn header(api: ApiKey, version: i16, body: &[u8]) -> Vec<u8> {
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

/// Decodes and touches all that comes out.
fn decode(frame: &[u8]) -> Result<(), HeaderError> {
    let (header, mut reader) = RequestHeader::parse(frame)?;
    let request = Request::decode(header.api, &mut reader)?;
    assert!(!format!("{request:?}").is_empty());
    Ok(())
}

fn fault(frame: &[u8]) -> DecodeError {
    match decode(frame) {
        Err(HeaderError::Decode(error)) => error,
        other => panic!("{other:?} of {frame:?}"),
    }
}

#[test]
fn a_frame_that_ends_early_is_refused() {
    let whole: Vec<Vec<u8>> = for_every_api!(frames, &[1; 400], true).concat();
    for frame in whole {
        decode(&frame).unwrap();
        for len in 0..frame.len() {
            assert!(decode(&frame[..len]).is_err(), "{len} bytes of {frame:?}");
        }
    }
}

/// Produce, version 9, of so many topics with so many partitions each, all without records.
fn produce(topics: usize, partitions: usize) -> Vec<u8> {
    let varint = |value: usize| {
        let low = |shift: usize| 0x80 | (value >> shift & 0x7f) as u8;
        [low(0), low(7), low(14), (value >> 21) as u8]
    };
    let partition = [&[0, 0, 0, 0][..], &[0], &[0]].concat();
    let count = varint(partitions + 1);
    let topic = [&[2, b't'][..], &count, &partition.repeat(partitions), &[0]].concat();
    let fields = [&[0][..], &[0, 1], &[0, 0, 0, 9], &varint(topics + 1)].concat();
    header(
        ApiKey::Produce,
        9,
        &[fields, topic.repeat(topics), vec![0]].concat(),
    )
}

#[test]
fn a_produce_names_a_bounded_number_of_partitions() {
    for (topics, partitions) in [(1, 16_383), (8192, 1), (16_384, 0), (100, 162)] {
        decode(&produce(topics, partitions)).unwrap();
    }
    for (topics, partitions) in [
        (1, 16_384),
        (8193, 1),
        (16_385, 0),
        (100, 163),
        (1_000_000, 0),
    ] {
        let error = fault(&produce(topics, partitions));
        assert_eq!(
            error.fault,
            Fault::TooManyNamed(16_384),
            "{topics} of {partitions}"
        );
    }
}

/// The body that made `kafka-protocol` ask for 309 GB: five bytes of a count.
#[test]
fn a_count_that_the_frame_cannot_hold_is_refused_at_once() {
    let count = u32::MAX as usize - 1;
    for version in 9..=13 {
        let frame = header(ApiKey::Metadata, version, b"\xff\xff\xff\xff\x0f");
        let error = fault(&frame);
        assert_eq!(
            (error.at, error.fault),
            (15, Fault::TooMany { count, room: 0 })
        );
    }
    for version in 0..9 {
        let frame = header(ApiKey::Metadata, version, b"\x7f\xff\xff\xff\0");
        let count = i32::MAX as usize;
        assert_eq!(fault(&frame).fault, Fault::TooMany { count, room: 1 });
    }
    // One element more than there is room for, and as many as there is.
    let three = [b"\0\0\0\x03\0\x01a\0\x01b"[..].to_vec(), b"\0\0".to_vec()].concat();
    assert_eq!(decode(&header(ApiKey::Metadata, 1, &three)), Ok(()));
    let four = [b"\0\0\0\x05", &three[4..]].concat();
    let error = fault(&header(ApiKey::Metadata, 1, &four));
    assert_eq!(error.fault, Fault::TooMany { count: 5, room: 8 });
}

#[test]
fn every_fault_has_its_name_and_place() {
    let metadata = |version, body: &[u8]| fault(&header(ApiKey::Metadata, version, body));
    let at = |at, fault| DecodeError { at, fault };
    assert_eq!(metadata(1, b"\0\0"), at(14, Fault::Truncated));
    assert_eq!(
        metadata(1, b"\xff\xff\xff\xfe"),
        at(14, Fault::NegativeLength(-2))
    );
    assert_eq!(
        metadata(1, b"\0\0\0\x01\xff\xff"),
        at(18, Fault::Null),
        "a null name"
    );
    assert_eq!(
        metadata(1, b"\0\0\0\x01\x80\0"),
        at(18, Fault::NegativeLength(-32768))
    );
    assert_eq!(metadata(1, b"\0\0\0\x01\0\x01\xff"), at(18, Fault::Utf8));
    assert_eq!(
        metadata(9, b"\xff\xff\xff\xff\x1f"),
        at(15, Fault::Varint),
        "33 bits"
    );
    assert_eq!(
        metadata(9, b"\xff\xff\xff\xff\xff\x01"),
        at(15, Fault::Varint)
    );
    // A sixth byte is too much even where it adds nothing.
    assert_eq!(
        metadata(9, b"\x80\x80\x80\x80\x80\0"),
        at(15, Fault::Varint)
    );
    let long = [&b"\x02\x81\x80\x02"[..], &[b'x'; 32768], b"\0\0\0\0\0"].concat();
    assert_eq!(metadata(9, &long), at(16, Fault::StringTooLong(32768)));
    let longest = [&b"\x02\x80\x80\x02"[..], &[b'x'; 32767], b"\0\0\0\0\0"].concat();
    assert_eq!(decode(&header(ApiKey::Metadata, 9, &longest)), Ok(()));
    // A tagged field that says to be longer than the frame, and one that lies about its content.
    assert_eq!(
        metadata(9, b"\x01\0\0\0\x01\x63\x05ab"),
        at(22, Fault::Truncated)
    );
    let fetch = |tags: &[u8]| {
        let body = [&[0; 17][..], &[0; 8], b"\x01\x01\x01", tags].concat();
        fault(&header(ApiKey::Fetch, 18, &body[4..]))
    };
    assert_eq!(fetch(b"\x01\x01\x03\0\0\0\0"), at(42, Fault::Truncated));
}

#[test]
fn the_length_of_a_frame_is_bounded() {
    assert_eq!(frame_len(&[], 100), Ok(None));
    assert_eq!(frame_len(&[0, 0, 0], 100), Ok(None));
    assert_eq!(frame_len(&[0, 0, 0, 100], 100), Ok(Some(104)));
    let beyond = FrameError::TooLong {
        length: 101,
        max: 100,
    };
    assert_eq!(frame_len(&[0, 0, 0, 101, 9], 100), Err(beyond));
    assert_eq!(frame_len(&[0, 0, 0, 7], 100), Err(FrameError::TooShort(7)));
    assert_eq!(frame_len(&[0xff; 4], 100), Err(FrameError::TooShort(-1)));
    // What a browser or a TLS client sends to the port is no frame.
    assert!(frame_len(b"GET / HTTP/1.1", 100 << 20).is_err());
    assert!(frame_len(b"\x16\x03\x01\x02\0", 100 << 20).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_body_is_survived(body in vec(any::<u8>(), 0..120)) {
        for frame in every_version(&body) {
            let _ = decode(&frame);
        }
    }

    /// Small bytes are plausible counts and lengths, and get further.
    #[test]
    fn any_body_of_small_numbers_is_survived(body in vec(0..6u8, 0..120)) {
        for frame in every_version(&body) {
            let _ = decode(&frame);
        }
    }

    #[test]
    fn any_damage_is_survived(
        bytes in vec(any::<u8>(), 0..400),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        for mut frame in for_every_api!(frames, &bytes, true).concat() {
            for (at, byte) in &damage {
                let at = at.index(frame.len());
                frame[at] = *byte;
            }
            let _ = decode(&frame);
        }
    }
}
