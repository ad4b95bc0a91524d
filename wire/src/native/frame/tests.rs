use super::*;

const LIMITS: FrameLimits = FrameLimits {
    max_frame_len: 1000,
    max_header_len: 100,
};

fn written(header: FrameHeader) -> BytesMut {
    let mut bytes = BytesMut::new();
    header.write(&mut bytes);
    bytes
}

#[test]
fn a_header_survives_the_wire_at_every_cut() {
    let header = FrameHeader::new(0x21, CorrelationId(u64::MAX), 40, 500);
    let bytes = written(header);
    assert_eq!(bytes.len(), FrameHeader::LEN);
    for cut in 0..bytes.len() {
        assert_eq!(FrameHeader::parse(&bytes[..cut], &LIMITS), Ok(None));
    }
    assert_eq!(FrameHeader::parse(&bytes, &LIMITS), Ok(Some(header)));
    assert_eq!(header.frame_len(), 564);
    assert_eq!(header.header_range(), 24..64);
    assert_eq!(header.payload_range(), 64..564);
}

#[test]
fn the_bytes_are_those_of_the_document() {
    let bytes = written(FrameHeader::new(0x8021, CorrelationId(7), 0x30, 0x0100));
    let expected = [
        0x44, 0x01, 0, 0, // length: 0x30 + 0x100 + 20
        1, 0, 0x21, 0x80, // version, reserved, kind
        0, 0, 0, 0, // flags, reserved
        0x30, 0, 0, 0, // header length
        7, 0, 0, 0, 0, 0, 0, 0, // correlation
    ];
    assert_eq!(bytes[..], expected);
}

#[test]
fn limits_hold_exactly() {
    let at_limit = FrameHeader::new(1, CorrelationId(0), 100, 876);
    assert_eq!(
        FrameHeader::parse(&written(at_limit), &LIMITS),
        Ok(Some(at_limit))
    );
    let above = FrameHeader::new(1, CorrelationId(0), 100, 877);
    assert_eq!(
        FrameHeader::parse(&written(above), &LIMITS),
        Err(FrameError::TooLong {
            length: 997,
            max: 1000
        })
    );
    let header_above = FrameHeader::new(1, CorrelationId(0), 101, 0);
    assert_eq!(
        FrameHeader::parse(&written(header_above), &LIMITS),
        Err(FrameError::HeaderTooLong {
            header_len: 101,
            max: 100
        })
    );
}

#[test]
fn absurd_lengths_are_refused_with_four_bytes() {
    assert_eq!(
        FrameHeader::parse(&[0xff; 4], &LIMITS),
        Err(FrameError::TooLong {
            length: u32::MAX,
            max: 1000
        })
    );
    assert_eq!(
        FrameHeader::parse(&[19, 0, 0, 0], &LIMITS),
        Err(FrameError::TooShort(19))
    );
    assert_eq!(
        FrameHeader::parse(&[100, 0, 0, 0, 9], &LIMITS),
        Err(FrameError::Version(9))
    );
}

#[test]
fn reserved_bits_and_lying_header_lengths_are_refused() {
    let good = written(FrameHeader::new(1, CorrelationId(0), 8, 8));
    for position in [5, 8, 9, 10, 11] {
        let mut bytes = good.clone();
        bytes[position] = 1;
        assert_eq!(
            FrameHeader::parse(&bytes, &LIMITS),
            Err(FrameError::Reserved)
        );
    }
    let mut bytes = good;
    bytes[12] = 17;
    assert_eq!(
        FrameHeader::parse(&bytes, &LIMITS),
        Err(FrameError::HeaderTooLong {
            header_len: 17,
            max: 16
        })
    );
}
