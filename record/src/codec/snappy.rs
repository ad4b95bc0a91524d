//! Snappy in the framing of snappy-java, which Kafka uses: a 16-byte header, then blocks with
//! a big-endian length each. A bare block, as some clients send, is read but not written.

use bytes::{BufMut, BytesMut};

use super::{Output, Refused};

/// Magic, version 1, compatible with version 1.
pub(crate) const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
pub(crate) const MAGIC_LEN: usize = 8;
/// Uncompressed bytes per block, as snappy-java writes them.
const BLOCK_LEN: usize = 32 << 10;
/// A three-byte element copies at most 64 bytes; a block that claims more lies.
pub(crate) const MAX_EXPANSION: usize = 64;

pub(super) fn compress(encoder: &mut snap::raw::Encoder, input: &[u8], out: &mut BytesMut) {
    out.put_slice(&HEADER);
    for block in input.chunks(BLOCK_LEN) {
        let length_at = out.len();
        let block_at = length_at + 4;
        out.put_bytes(0, 4 + snap::raw::max_compress_len(block.len()));
        let len = encoder
            .compress(block, &mut out[block_at..])
            .expect("the room is what snappy asks for");
        out[length_at..block_at].copy_from_slice(&(len as u32).to_be_bytes());
        out.truncate(block_at + len);
    }
}

pub(super) fn decompress(input: &[u8], output: &mut Output) -> Result<(), Refused> {
    if !input.starts_with(&HEADER[..MAGIC_LEN]) {
        return block(input, output);
    }
    // Versions are not compared: snappy-java has had only one framing.
    let mut rest = input.get(HEADER.len()..).ok_or(Refused::Invalid)?;
    while !rest.is_empty() {
        let (len, behind) = rest.split_first_chunk::<4>().ok_or(Refused::Invalid)?;
        let len = u32::from_be_bytes(*len) as usize;
        let (compressed, behind) = behind.split_at_checked(len).ok_or(Refused::Invalid)?;
        block(compressed, output)?;
        rest = behind;
    }
    Ok(())
}

fn block(compressed: &[u8], output: &mut Output) -> Result<(), Refused> {
    let len = snap::raw::decompress_len(compressed).map_err(|_| Refused::Invalid)?;
    if len / MAX_EXPANSION > compressed.len() {
        return Err(Refused::Invalid);
    }
    output.extend_with(len, |_, room| {
        snap::raw::Decoder::new()
            .decompress(compressed, room)
            .map_err(|_| Refused::Invalid)
    })
}
