//! Every codec's pieces are compared with its decoder in one go, on what compressors write and on
//! damaged bytes.

use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::codec::{Compressor, decompress};

const LIMIT: usize = 8 << 20;
/// What a step may cost.
const MOST: usize = 2 * MAX_PIECE_LEN + (256 << 10);

mod forged;

fn in_pieces(codec: Compression, input: &[u8]) -> Result<Vec<u8>, BatchError> {
    in_pieces_of(codec, input, LIMIT)
}

fn in_pieces_of(codec: Compression, input: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    let mut pieces = Pieces::default();
    pieces.begin(codec, limit);
    let mut all = Vec::new();
    let (mut done, mut moved, mut still) = (0, (0, 0), 0);
    while let Some(piece) = pieces.next(input)? {
        assert!(piece.len() <= MAX_PIECE_LEN);
        all.extend_from_slice(piece);
        assert!(pieces.done() - done <= MOST);
        done = pieces.done();
        // It goes on at every step; a stream's end may be one of its own.
        still = if (pieces.at, pieces.given) == moved {
            still + 1
        } else {
            0
        };
        assert!(still < 2, "{codec} at {done}");
        moved = (pieces.at, pieces.given);
    }
    Ok(all)
}

/// Text that repeats at distances short and long, with noise between.
fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let mut all = Vec::with_capacity(len);
    while all.len() < len {
        let run = next() % [300, 30][next() % 2];
        match next() % 4 {
            0 => all.extend((0..run).map(|_| next() as u8)),
            1 => all.extend(std::iter::repeat_n(next() as u8, run * 20)),
            _ if all.is_empty() => all.push(7),
            _ => {
                let back = 1 + next() % all.len().min(90_000);
                for _ in 0..run {
                    all.push(all[all.len() - back]);
                }
            }
        }
    }
    all.truncate(len);
    all
}

fn lz4_frame(info: FrameInfo, content: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// What compressors write of `content`: ours, and the shapes that others choose.
fn encodings(content: &[u8]) -> Vec<(Compression, Vec<u8>)> {
    let mut all = Vec::new();
    for codec in Compression::ALL {
        let mut out = bytes::BytesMut::new();
        Compressor::new(codec).compress(content, &mut out);
        all.push((codec, out.to_vec()));
    }
    let bare = snap::raw::Encoder::new().compress_vec(content).unwrap();
    let len = (bare.len() as u32).to_be_bytes();
    let framed = [&crate::codec::snappy::HEADER[..], &len, &bare].concat();
    all.extend([(Compression::Snappy, bare), (Compression::Snappy, framed)]);
    for block_size in [
        BlockSize::Max64KB,
        BlockSize::Max256KB,
        BlockSize::Max1MB,
        BlockSize::Max4MB,
    ] {
        for block_mode in [BlockMode::Independent, BlockMode::Linked] {
            let info = FrameInfo::new()
                .block_size(block_size)
                .block_mode(block_mode)
                .block_checksums(block_mode == BlockMode::Linked)
                .content_checksum(block_size != BlockSize::Max64KB)
                .content_size(Some(content.len() as u64));
            all.push((Compression::Lz4, lz4_frame(info, content)));
        }
    }
    // No content size, and two frames or members.
    let mut context = zstd_safe::CCtx::create();
    let flag = zstd_safe::CParameter::ContentSizeFlag(false);
    context.set_parameter(flag).unwrap();
    let mut frame = Vec::with_capacity(zstd_safe::compress_bound(content.len()));
    context.compress2(&mut frame, content).unwrap();
    all.push((Compression::Zstd, frame.clone()));
    all.push((Compression::Zstd, [&frame[..], &frame].concat()));
    // Checked, with short blocks, behind a frame to skip.
    let mut context = zstd_safe::CCtx::create();
    let flag = zstd_safe::CParameter::ChecksumFlag(true);
    context.set_parameter(flag).unwrap();
    let mut frame = vec![0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let ends = [1, 30, 400, 70_000, content.len()].map(|end| end.min(content.len()));
    let mut begin = 0;
    for end in ends.into_iter().chain([content.len()]) {
        let mut out = vec![0; zstd_safe::compress_bound(end - begin) + 64];
        let mut output = zstd_safe::OutBuffer::around(&mut out[..]);
        let mut input = zstd_safe::InBuffer::around(&content[begin..end]);
        let directive = match begin == content.len() {
            true => zstd_safe::zstd_sys::ZSTD_EndDirective::ZSTD_e_end,
            false => zstd_safe::zstd_sys::ZSTD_EndDirective::ZSTD_e_flush,
        };
        let left = context.compress_stream2(&mut output, &mut input, directive);
        assert_eq!(left, Ok(0));
        frame.extend_from_slice(output.as_slice());
        begin = end;
        if matches!(
            directive,
            zstd_safe::zstd_sys::ZSTD_EndDirective::ZSTD_e_end
        ) {
            break;
        }
    }
    all.push((Compression::Zstd, frame));
    let gzip = all[1].1.clone();
    all.push((Compression::Gzip, [&gzip[..], &gzip].concat()));
    all
}

#[test]
fn long_and_short_contents_in_every_shape() {
    let short = (0..40).chain([100, 1_000]);
    let pieces = [64 << 10, 448 << 10, 512 << 10]
        .into_iter()
        .flat_map(|len| len - 1..=len + 1);
    for len in short.chain(pieces).chain([300_000, 3_000_000]) {
        let content = content(len as u64, len);
        for (codec, encoded) in encodings(&content) {
            let whole = decompress(codec, &encoded, LIMIT);
            let pieces = in_pieces(codec, &encoded);
            assert!(whole.is_ok(), "{codec} {len}");
            assert!(
                whole == pieces,
                "{codec} {len}: {:?}",
                pieces.map(|all| all.len())
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// What the pieces take, the reader takes, and as the same bytes.
    #[test]
    fn damage_is_never_taken_for_more_than_the_reader_takes(
        seed in any::<u64>(),
        len in prop_oneof![0..3_000usize, 300_000..400_000usize],
        damage in vec((any::<usize>(), any::<u8>()), 1..3),
        cut in any::<usize>(),
        cuts in any::<bool>(),
    ) {
        for (codec, mut encoded) in encodings(&content(seed, len)) {
            for (at, byte) in &damage {
                let at = at % encoded.len().max(1);
                if let Some(old) = encoded.get_mut(at) {
                    *old = *byte;
                }
            }
            if cuts {
                encoded.truncate(cut % (encoded.len() + 1));
            }
            let (whole, pieces) = (decompress(codec, &encoded, LIMIT), in_pieces(codec, &encoded));
            match pieces {
                Ok(pieces) => prop_assert!(whole.as_ref() == Ok(&pieces), "{codec}"),
                // The other way round but for what the module names.
                Err(_) if matches!(codec, Compression::Lz4 | Compression::Gzip) => {
                    prop_assert!(whole.is_err(), "{codec}");
                }
                Err(_) => {}
            }
        }
    }
}

#[test]
fn nothing_is_no_compressed_stream() {
    for codec in Compression::ALL {
        let empty = in_pieces(codec, &[]);
        assert_eq!(empty.is_ok(), codec == Compression::None, "{codec}");
    }
}

#[test]
fn a_zstd_window_beyond_128_mib_is_refused() {
    // A frame with a window descriptor, an empty last block: 2^27 bytes, then 2^31.
    let frame = |exponent: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, (exponent - 10) << 3, 1, 0, 0];
    let mut pieces = Pieces::default();
    for (exponent, taken) in [(27, true), (28, false), (31, false)] {
        pieces.begin(Compression::Zstd, MAX_RECORDS_LEN);
        let first = pieces
            .next(&frame(exponent))
            .map(|piece| piece.map(<[u8]>::len));
        assert_eq!(first == Ok(Some(0)), taken, "2^{exponent}: {first:?}");
    }
}

#[test]
fn gzip_headers_with_every_field() {
    let member = |flags: u8, fields: &[u8]| {
        let mut out = bytes::BytesMut::new();
        Compressor::new(Compression::Gzip).compress(b"leveret", &mut out);
        let mut member = [
            &[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 0],
            fields,
            &out[10..],
        ]
        .concat();
        if flags & 2 != 0 {
            let end = 10 + fields.len() - 2;
            let mut crc = flate2::Crc::new();
            crc.update(&member[..end]);
            member[end..end + 2].copy_from_slice(&(crc.sum() as u16).to_le_bytes());
        }
        member
    };
    for (flags, fields) in [
        (0, &b""[..]),
        (4, b"\x03\0abc"),
        (8, b"name\0"),
        (16, b"comment\0"),
        (2, b"??"),
        (30, b"\x01\0xname\0comment\0??"),
    ] {
        let mut member = member(flags, fields);
        assert_eq!(
            in_pieces(Compression::Gzip, &member),
            Ok(b"leveret".to_vec())
        );
        // And what is left of it is refused.
        for cut in 0..member.len() {
            assert!(
                in_pieces(Compression::Gzip, &member[..cut]).is_err(),
                "{cut}"
            );
        }
        member[3] |= 0x20;
        assert!(in_pieces(Compression::Gzip, &member).is_err());
    }
}

/// A name as long as the reader takes it, and a byte longer: what the door lets in can be read.
#[test]
fn a_gzip_name_is_bounded_as_the_reader_bounds_it() {
    let member = |len: usize| {
        let mut encoder = flate2::GzBuilder::new()
            .filename(vec![b'n'; len])
            .write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"leveret").unwrap();
        encoder.finish().unwrap()
    };
    for (len, taken) in [(65_535, true), (65_536, false), (1 << 20, false)] {
        let member = member(len);
        assert_eq!(
            in_pieces(Compression::Gzip, &member).is_ok(),
            taken,
            "{len}"
        );
        assert_eq!(
            decompress(Compression::Gzip, &member, LIMIT).is_ok(),
            taken,
            "{len}"
        );
    }
}

/// What takes long for the bytes that it takes and gives is counted for more.
#[test]
fn input_that_only_costs_is_counted() {
    let gzip = |content: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    };
    // Frames of nothing, and a frame of blocks of one byte.
    let empty = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x58, 1, 0, 0].repeat(10_000);
    let short = [
        &[0x28, 0xb5, 0x2f, 0xfd, 0, 0x58][..],
        &[8, 0, 0, 7].repeat(10_000),
    ]
    .concat();
    // A slice of half a mebibyte takes so many at most: about a millisecond's worth.
    for (codec, many, most) in [
        (Compression::Gzip, gzip(b"").repeat(10_000), 64 * 20),
        (Compression::Zstd, empty, 72 * 9),
        (Compression::Zstd, short, 144 * 4 + 6),
    ] {
        let mut pieces = Pieces::default();
        pieces.begin(codec, LIMIT);
        while pieces.done() < 512 << 10 {
            pieces.next(&many).unwrap().unwrap();
        }
        assert!(pieces.at <= most, "{codec}: {}", pieces.at);
    }
    // And deflated tables without anything behind them as much as their bytes allow.
    let noise = gzip(&content(3, 2_000_000));
    let mut pieces = Pieces::default();
    pieces.begin(Compression::Gzip, LIMIT);
    while pieces.done() < 512 << 10 {
        pieces.next(&noise).unwrap().unwrap();
    }
    assert!(pieces.at <= 9 << 10, "{}", pieces.at);
}

#[test]
fn a_bomb_ends_at_its_limit() {
    for (codec, encoded) in encodings(&vec![0; LIMIT + 1]) {
        if codec != Compression::None {
            let refused = in_pieces(codec, &encoded);
            let too_large = BatchError::DecompressedTooLarge { limit: LIMIT };
            assert_eq!(refused.err(), Some(too_large), "{codec}");
        }
    }
}
