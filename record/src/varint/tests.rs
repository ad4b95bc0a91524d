use super::*;

fn encode64(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    put_i64(&mut out, value);
    out
}

#[test]
fn known_encodings() {
    // From the zigzag table of the Protocol Buffers encoding guide.
    assert_eq!(encode64(0), [0]);
    assert_eq!(encode64(-1), [1]);
    assert_eq!(encode64(1), [2]);
    assert_eq!(encode64(-64), [0x7f]);
    assert_eq!(encode64(64), [0x80, 0x01]);
    assert_eq!(
        encode64(i64::from(i32::MAX)),
        [0xfe, 0xff, 0xff, 0xff, 0x0f]
    );
    assert_eq!(
        encode64(i64::MIN),
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]
    );
}

#[test]
fn every_power_of_two_comes_back_with_the_stated_length() {
    for bit in 0..64 {
        for value in [1i64 << bit, (1i64 << bit).wrapping_neg(), !(1i64 << bit)] {
            let encoded = encode64(value);
            assert_eq!(encoded.len(), len_i64(value), "{value}");
            let mut rest = &encoded[..];
            assert_eq!(read_i64(&mut rest), Ok(value));
            assert!(rest.is_empty());

            let mut rest = &encoded[..];
            match i32::try_from(value) {
                Ok(small) => {
                    assert_eq!(read_i32(&mut rest), Ok(small));
                    assert_eq!(len_i32(small), encoded.len());
                }
                Err(_) => {
                    assert_eq!(read_i32(&mut rest), Err(InvalidVarint), "{value}");
                    assert_eq!(rest, &encoded[..], "bytes taken on error");
                }
            }
        }
    }
}

#[test]
fn refuses_overlong_overflowing_and_cut_off() {
    let overlong_zero: &[u8] = &[0x80, 0x00];
    let overlong_one: &[u8] = &[0x82, 0x80, 0x00];
    let eleven_groups: &[u8] = &[0x80; 11];
    let bit_64: &[u8] = &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02];
    let cut_off: &[u8] = &[0xff, 0xff];
    for bytes in [
        overlong_zero,
        overlong_one,
        eleven_groups,
        bit_64,
        cut_off,
        &[],
    ] {
        assert_eq!(read_i64(&mut &bytes[..]), Err(InvalidVarint), "{bytes:x?}");
        assert_eq!(read_i32(&mut &bytes[..]), Err(InvalidVarint), "{bytes:x?}");
    }
    let bit_32: &[u8] = &[0x80, 0x80, 0x80, 0x80, 0x10];
    assert_eq!(read_i32(&mut &bit_32[..]), Err(InvalidVarint));
    assert_eq!(read_i64(&mut &bit_32[..]), Ok(1 << 31));
}
