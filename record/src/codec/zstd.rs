//! Zstandard in one shot. Decoding straight into the output needs no window buffer, so that a
//! frame's window size, up to 2 GiB on the sender's word, costs nothing.

use bytes::{BufMut, BytesMut};

use super::{FIRST_OUTPUT_LEN, Output, Refused};

/// Zstandard's own default, and Kafka's.
const LEVEL: i32 = 3;
/// Tried first for frames without a content size: ratios above are rare.
const FIRST_RATIO: usize = 4;

pub(super) fn compress(context: &mut zstd_safe::CCtx<'_>, input: &[u8], out: &mut BytesMut) {
    let start = out.len();
    out.put_bytes(0, zstd_safe::compress_bound(input.len()));
    let len = context
        .compress(&mut out[start..], input, LEVEL)
        .expect("the room is what zstd asks for");
    out.truncate(start + len);
}

pub(super) fn decompress(input: &[u8], output: &mut Output) -> Result<(), Refused> {
    let mut context = zstd_safe::DCtx::create();
    let mut capacity = first_capacity(input)?;
    loop {
        capacity = capacity.min(output.limit);
        // Grown from empty: there is nothing in it that has to move.
        output.bytes = Vec::new();
        output.reserve(capacity)?;
        match context.decompress(&mut output.bytes, input) {
            Ok(_) if output.bytes.len() > output.limit => return Err(Refused::TooLarge),
            Ok(_) => return Ok(()),
            Err(code) if !is_too_small(code) => return Err(Refused::Invalid),
            Err(_) if capacity == output.limit => return Err(Refused::TooLarge),
            // A frame may state that it holds nothing, and be followed by one that does.
            Err(_) => capacity = capacity.saturating_mul(2).max(FIRST_OUTPUT_LEN),
        }
    }
}

/// The content size of the first frame, if it states one; for most inputs that is all.
fn first_capacity(input: &[u8]) -> Result<usize, Refused> {
    match zstd_safe::get_frame_content_size(input) {
        Ok(Some(len)) => usize::try_from(len).map_err(|_| Refused::TooLarge),
        Ok(None) => Ok(input
            .len()
            .saturating_mul(FIRST_RATIO)
            .max(FIRST_OUTPUT_LEN)),
        Err(_) => Err(Refused::Invalid),
    }
}

fn is_too_small(code: zstd_safe::ErrorCode) -> bool {
    let too_small = zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall;
    code == (too_small as usize).wrapping_neg()
}
