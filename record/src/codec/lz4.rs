//! The LZ4 frame format (lz4_Frame_format.md 1.6). Frames are written with independent blocks of 64
//! KiB and without checksums, as Kafka's Java client writes them, which reads no others; they are
//! read with every option but dictionaries. The frame is taken apart here, because a decoder that
//! allocates by the frame's own block size needs 4 MiB for 15 bytes.

use std::io::Write;

use bytes::{BufMut, BytesMut};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use twox_hash::XxHash32;

use super::{Output, Refused};

pub(crate) const MAGIC: u32 = 0x184d_2204;
/// A skippable frame has a magic of these upper 28 bits.
pub(crate) const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
/// Set in a block's length if the block is stored as it is.
pub(crate) const STORED: u32 = 1 << 31;
/// How far back a linked block may refer.
const WINDOW_LEN: usize = 64 << 10;
/// Most output bytes that a byte of a block can stand for.
const MAX_EXPANSION: usize = 255;

pub(super) fn compress(input: &[u8], out: &mut BytesMut) {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, out.writer());
    encoder.write_all(input).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte");
}

pub(super) fn decompress(input: &[u8], output: &mut Output) -> Result<(), Refused> {
    let mut rest = input;
    // An empty input is no frame at all.
    loop {
        let magic = take_u32(&mut rest)?;
        if magic & !0xf == SKIPPABLE_MAGIC {
            let len = take_u32(&mut rest)?;
            take(&mut rest, len as usize)?;
        } else if magic == MAGIC {
            frame(&mut rest, output)?;
        } else {
            return Err(Refused::Invalid);
        }
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// What a frame's descriptor says.
pub(crate) struct Descriptor {
    pub(crate) linked_blocks: bool,
    pub(crate) block_checksums: bool,
    pub(crate) content_checksum: bool,
    pub(crate) content_len: Option<u64>,
    pub(crate) max_block_len: usize,
}

fn frame(rest: &mut &[u8], output: &mut Output) -> Result<(), Refused> {
    let descriptor = descriptor(rest)?;
    let start = output.bytes.len();
    loop {
        let word = take_u32(rest)?;
        if word == 0 {
            break;
        }
        let data = take(rest, (word & !STORED) as usize)?;
        if descriptor.block_checksums && take_u32(rest)? != XxHash32::oneshot(0, data) {
            return Err(Refused::Invalid);
        }
        // A block that compression would make longer is stored.
        if data.len() > descriptor.max_block_len {
            return Err(Refused::Invalid);
        }
        if word & STORED == 0 {
            compressed_block(&descriptor, start, data, output)?;
        } else {
            output.append(data)?;
        }
    }
    let content = &output.bytes[start..];
    if descriptor.content_checksum && take_u32(rest)? != XxHash32::oneshot(0, content) {
        return Err(Refused::Invalid);
    }
    match descriptor.content_len {
        Some(len) if len != content.len() as u64 => Err(Refused::Invalid),
        _ => Ok(()),
    }
}

pub(crate) fn descriptor(rest: &mut &[u8]) -> Result<Descriptor, Refused> {
    let start = *rest;
    let flags = take(rest, 1)?[0];
    let block_size = take(rest, 1)?[0];
    let version = flags >> 6;
    let has_dictionary = flags & 1 != 0;
    let reserved = flags & 0b10 | block_size & 0b1000_1111;
    if version != 1 || has_dictionary || reserved != 0 {
        return Err(Refused::Invalid);
    }
    let max_block_len = match block_size >> 4 {
        4 => 64 << 10,
        5 => 256 << 10,
        6 => 1 << 20,
        7 => 4 << 20,
        _ => return Err(Refused::Invalid),
    };
    let content_len = if flags & 0b1000 != 0 {
        let low = take_u32(rest)?;
        let high = take_u32(rest)?;
        Some(u64::from(high) << 32 | u64::from(low))
    } else {
        None
    };
    let described = &start[..start.len() - rest.len()];
    if take(rest, 1)?[0] != (XxHash32::oneshot(0, described) >> 8) as u8 {
        return Err(Refused::Invalid);
    }
    Ok(Descriptor {
        linked_blocks: flags & 0b10_0000 == 0,
        block_checksums: flags & 0b1_0000 != 0,
        content_checksum: flags & 0b100 != 0,
        content_len,
        max_block_len,
    })
}

fn compressed_block(
    descriptor: &Descriptor,
    frame_start: usize,
    data: &[u8],
    output: &mut Output,
) -> Result<(), Refused> {
    let most = data
        .len()
        .saturating_mul(MAX_EXPANSION)
        .min(descriptor.max_block_len);
    let room = most.min(output.left());
    let result = output.extend_with(room, |done, room| {
        let window_start = if descriptor.linked_blocks {
            done.len().saturating_sub(WINDOW_LEN).max(frame_start)
        } else {
            done.len()
        };
        lz4_flex::block::decompress_into_with_dict(data, room, &done[window_start..]).map_err(
            |error| match error {
                lz4_flex::block::DecompressError::OutputTooSmall { .. } => Refused::TooLarge,
                _ => Refused::Invalid,
            },
        )
    });
    // Out of room that the frame itself bounds, not the limit: the block breaks its frame.
    match result {
        Err(Refused::TooLarge) if room == most => Err(Refused::Invalid),
        result => result,
    }
}

pub(crate) fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], Refused> {
    let (taken, behind) = rest.split_at_checked(len).ok_or(Refused::Invalid)?;
    *rest = behind;
    Ok(taken)
}

pub(crate) fn take_u32(rest: &mut &[u8]) -> Result<u32, Refused> {
    let (taken, behind) = rest.split_first_chunk::<4>().ok_or(Refused::Invalid)?;
    *rest = behind;
    Ok(u32::from_le_bytes(*taken))
}
