//! Encodings that our own compressors do not write, but others do. That the common ones come
//! back is tested from outside, against another implementation.

use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::*;
use twox_hash::XxHash32;

/// Bytes without any pattern.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(step).collect()
}

/// 300 KB that repeat after 3 KB, within blocks and across their borders.
fn text() -> Vec<u8> {
    noise(3_000).repeat(100)
}

fn lz4_frame(info: FrameInfo, content: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, BatchError>) -> bool {
    matches!(result.unwrap_err(), BatchError::BadCompression { .. })
}

#[test]
fn lz4_frames_with_every_option() {
    let text = text();
    let sizes = [
        BlockSize::Max64KB,
        BlockSize::Max256KB,
        BlockSize::Max1MB,
        BlockSize::Max4MB,
    ];
    for block_size in sizes {
        for block_mode in [BlockMode::Independent, BlockMode::Linked] {
            for bits in 0..8 {
                let info = FrameInfo::new()
                    .block_size(block_size)
                    .block_mode(block_mode)
                    .block_checksums(bits & 1 != 0)
                    .content_checksum(bits & 2 != 0)
                    .content_size((bits & 4 != 0).then_some(text.len() as u64));
                let frame = lz4_frame(info, &text);
                assert!(frame.len() < text.len());
                let read = decompress(Compression::Lz4, &frame, text.len());
                assert_eq!(read.as_ref(), Ok(&text));
            }
        }
    }
}

#[test]
fn lz4_linked_blocks_need_the_earlier_ones() {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Linked);
    let mut frame = lz4_frame(info, &text());
    assert!(decompress(Compression::Lz4, &frame, 1 << 20).is_ok());
    // Called independent, under a true descriptor checksum.
    frame[4] |= 0b10_0000;
    frame[6] = (XxHash32::oneshot(0, &frame[4..6]) >> 8) as u8;
    assert!(refused(decompress(Compression::Lz4, &frame, 1 << 20)));
}

#[test]
fn lz4_frames_do_not_refer_to_each_other() {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Linked);
    let frame = lz4_frame(info, &text());
    let (head, blocks) = frame.split_at(7);
    let first_len = 4 + u32::from_le_bytes(blocks[..4].try_into().unwrap()) as usize;
    let (first, rest) = blocks.split_at(first_len);
    // The same blocks in the same order, but the second begins another frame.
    let split = [head, first, &[0; 4], head, rest].concat();
    let whole = [head, first, rest].concat();
    assert!(decompress(Compression::Lz4, &whole, 1 << 20).is_ok());
    assert!(refused(decompress(Compression::Lz4, &split, 1 << 20)));
}

#[test]
fn lz4_checksums_and_sizes_are_checked() {
    let frame = |info: FrameInfo| lz4_frame(info, b"hares and leverets");
    let flipped = |frame: &[u8], at: usize| {
        let mut frame = frame.to_vec();
        frame[at] ^= 1;
        decompress(Compression::Lz4, &frame, 1_000)
    };
    let plain = frame(FrameInfo::new());
    // A literal inside the block: without a checksum nobody notices.
    let literal = 7 + 4 + 3;
    assert!(flipped(&plain, literal).is_ok());
    let summed = frame(FrameInfo::new().block_checksums(true));
    assert!(refused(flipped(&summed, literal)));
    let summed = frame(FrameInfo::new().content_checksum(true));
    assert!(refused(flipped(&summed, literal)));
    // The descriptor's own checksum.
    assert!(refused(flipped(&plain, 6)));
    let mut sized = frame(FrameInfo::new().content_size(Some(18)));
    assert!(decompress(Compression::Lz4, &sized, 1_000).is_ok());
    sized[6] = 17;
    sized[14] = (XxHash32::oneshot(0, &sized[4..14]) >> 8) as u8;
    assert!(refused(decompress(Compression::Lz4, &sized, 1_000)));
}

#[test]
fn lz4_stored_blocks_skippable_frames_and_several_frames() {
    let noise = noise(2_000);
    let frame = lz4_frame(FrameInfo::new(), &noise);
    let word = u32::from_le_bytes(frame[7..11].try_into().unwrap());
    assert_eq!(word, 2_000 | 1 << 31, "the block is stored");
    let skippable = b"\x53\x2a\x4d\x18\x03\0\0\0abc";
    let all = [&skippable[..], &frame, &frame].concat();
    let twice = [&noise[..], &noise].concat();
    assert_eq!(decompress(Compression::Lz4, &all, 4_000), Ok(twice));
    for cut in [1, 5, 9, 30, frame.len() - 1] {
        assert!(refused(decompress(Compression::Lz4, &frame[..cut], 4_000)));
    }
}

#[test]
fn lz4_blocks_above_their_frames_maximum() {
    let mut frame = lz4_frame(
        FrameInfo::new().block_size(BlockSize::Max256KB),
        &[7; 100_000],
    );
    assert!(decompress(Compression::Lz4, &frame, 1 << 20).is_ok());
    // Block size 64 KiB instead, under a true descriptor checksum.
    frame[5] = 4 << 4;
    frame[6] = (XxHash32::oneshot(0, &frame[4..6]) >> 8) as u8;
    assert!(refused(decompress(Compression::Lz4, &frame, 1 << 20)));
}

#[test]
fn snappy_as_one_bare_block() {
    let text = text();
    let bare = snap::raw::Encoder::new().compress_vec(&text).unwrap();
    assert_eq!(
        decompress(Compression::Snappy, &bare, text.len()).as_ref(),
        Ok(&text)
    );
    let over = decompress(Compression::Snappy, &bare, text.len() - 1);
    let limit = text.len() - 1;
    assert_eq!(over, Err(BatchError::DecompressedTooLarge { limit }));
}

#[test]
fn snappy_blocks_that_claim_more_than_they_can_hold() {
    // Lengths of 2^20 and 2^32 - 1 in front of one literal: refused as a lie, before room is
    // made, and not for being too large.
    let lies: [&[u8]; 2] = [b"\x80\x80\x40\0x", b"\xff\xff\xff\xff\x0f\0x"];
    for lie in lies {
        let mut output = Output::new(1 << 20);
        let result = snappy::decompress(lie, &mut output);
        assert_eq!(result, Err(Refused::Invalid));
        assert_eq!(output.bytes.capacity(), 0);
    }
}

#[test]
fn zstd_frames_without_content_size_and_several() {
    // What a streaming writer makes: no content size, several blocks. Text that shrinks by
    // far more than the first guess.
    let text = vec![b'a'; 500_000];
    let mut context = zstd_safe::CCtx::create();
    context
        .set_parameter(zstd_safe::CParameter::ContentSizeFlag(false))
        .unwrap();
    let mut frame = Vec::with_capacity(zstd_safe::compress_bound(text.len()));
    context.compress2(&mut frame, &text).unwrap();
    assert!(matches!(
        zstd_safe::get_frame_content_size(&frame),
        Ok(None)
    ));
    assert_eq!(
        decompress(Compression::Zstd, &frame, 500_000).as_ref(),
        Ok(&text)
    );
    let over = decompress(Compression::Zstd, &frame, 499_999);
    assert_eq!(
        over,
        Err(BatchError::DecompressedTooLarge { limit: 499_999 })
    );

    let twice = [&frame[..], &frame].concat();
    assert_eq!(
        decompress(Compression::Zstd, &twice, 1_000_000)
            .unwrap()
            .len(),
        1_000_000
    );
    assert!(refused(decompress(
        Compression::Zstd,
        &frame[..frame.len() - 1],
        1_000_000
    )));
}

#[test]
fn gzip_of_several_members_and_a_false_checksum() {
    let member = |content: &[u8]| {
        let level = flate2::Compression::new(GZIP_LEVEL);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    };
    let mut both = [member(b"hare"), member(b"leveret")].concat();
    let read = decompress(Compression::Gzip, &both, 11);
    assert_eq!(read.as_deref(), Ok(&b"hareleveret"[..]));
    let at = both.len() - 8;
    both[at] ^= 1;
    assert!(refused(decompress(Compression::Gzip, &both, 1_000)));
    // Also when the output ends exactly at the limit.
    assert!(refused(decompress(Compression::Gzip, &both, 11)));
}

#[test]
fn nothing_is_no_compressed_stream() {
    for codec in Compression::ALL {
        if codec != Compression::None {
            assert!(refused(decompress(codec, &[], 100)), "{codec}");
        }
    }
}

/// Such a pair once kept the reader busy for ever: room for nothing, doubled.
#[test]
fn a_zstd_frame_that_states_no_content_may_be_followed_by_one_that_has_some() {
    let frame = |content: &[u8]| {
        let mut out = bytes::BytesMut::new();
        zstd::compress(&mut zstd_safe::CCtx::create(), content, &mut out);
        out.to_vec()
    };
    let pair = [frame(b""), frame(b"content")].concat();
    let read = decompress(Compression::Zstd, &pair, 100);
    assert_eq!(read.as_deref(), Ok(&b"content"[..]));
    let long = [frame(b""), frame(&text())].concat();
    assert_eq!(
        decompress(Compression::Zstd, &long, text().len()),
        Ok(text())
    );
    assert!(decompress(Compression::Zstd, &long, 100).is_err());
}
