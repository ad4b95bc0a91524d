//! Zigzag varints (base 128, low groups first), as inside records. Decoding refuses what no encoder
//! writes: more bytes than are needed, and bits for which the type has no room.

use bytes::BufMut;

/// Most bytes of an encoded `i32`.
pub const MAX_I32_LEN: usize = 5;
/// Most bytes of an encoded `i64`.
pub const MAX_I64_LEN: usize = 10;

/// A varint that is cut off, overlong or too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidVarint;

/// Takes an `i32` off the front of `bytes`, which stay as they are on error.
///
/// # Errors
/// [`InvalidVarint`] when cut off, overlong or beyond 32 bits.
#[inline]
pub fn read_i32(bytes: &mut &[u8]) -> Result<i32, InvalidVarint> {
    let raw = read_unsigned(bytes, u64::from(u32::MAX))? as u32;
    Ok(zigzag(raw))
}

/// Takes an `i64` off the front of `bytes`, which stay as they are on error.
///
/// # Errors
/// [`InvalidVarint`] when cut off, overlong or beyond 64 bits.
#[inline]
pub fn read_i64(bytes: &mut &[u8]) -> Result<i64, InvalidVarint> {
    let raw = read_unsigned(bytes, u64::MAX)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

#[inline]
fn read_unsigned(bytes: &mut &[u8], max: u64) -> Result<u64, InvalidVarint> {
    // Nearly all deltas and lengths take one byte or two.
    match *bytes {
        [first, rest @ ..] if *first < 0x80 => {
            *bytes = rest;
            Ok(u64::from(*first))
        }
        [first, second @ 1..0x80, rest @ ..] => {
            *bytes = rest;
            Ok(u64::from(*first & 0x7f) | u64::from(*second) << 7)
        }
        _ => {
            let (value, len) = long(bytes, max).ok_or(InvalidVarint)?;
            *bytes = &bytes[len..];
            Ok(value)
        }
    }
}

/// What the varint at the front of `word`, its first byte the lowest, is before [`zigzag`], and how
/// many bytes it takes, if those are no more than three.
#[inline(always)]
pub(crate) fn short(word: u64) -> Option<(u32, usize)> {
    let word = word as u32;
    let one = word & 0x7f;
    if word & 0x80 == 0 {
        return Some((one, 1));
    }
    let two = one | word >> 1 & 0x3f80;
    // A last group of zeros is one that a shorter encoding does without.
    if word & 0x8000 == 0 {
        return (two >= 0x80).then_some((two, 2));
    }
    let three = two | word >> 2 & 0x1f_c000;
    (word & 0x80_0000 == 0 && three >= 0x4000).then_some((three, 3))
}

/// The number that a raw varint stands for.
#[inline(always)]
pub(crate) const fn zigzag(raw: u32) -> i32 {
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

/// The value at the front of `bytes`, and how many it takes. Takes the slice itself, not where it
/// is kept: so a caller's loop keeps it in registers.
fn long(bytes: &[u8], max: u64) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().take(MAX_I64_LEN).enumerate() {
        let group = u64::from(byte & 0x7f);
        let shifted = group << (7 * i);
        if shifted >> (7 * i) != group {
            return None;
        }
        value |= shifted;
        if byte < 0x80 {
            // A last group of zeros is one that a shorter encoding does without.
            let overlong = group == 0 && i > 0;
            return (!overlong && value <= max).then_some((value, i + 1));
        }
    }
    None
}

/// Appends `value`; at most [`MAX_I32_LEN`] bytes.
#[inline]
pub fn put_i32(out: &mut impl BufMut, value: i32) {
    put_unsigned(out, u64::from(zigzag32(value)));
}

/// Appends `value`; at most [`MAX_I64_LEN`] bytes.
#[inline]
pub fn put_i64(out: &mut impl BufMut, value: i64) {
    put_unsigned(out, zigzag64(value));
}

#[inline]
fn put_unsigned(out: &mut impl BufMut, mut raw: u64) {
    while raw >= 0x80 {
        out.put_u8(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.put_u8(raw as u8);
}

/// Bytes that [`put_i32`] appends.
#[inline]
pub const fn len_i32(value: i32) -> usize {
    len_unsigned(zigzag32(value) as u64)
}

/// Bytes that [`put_i64`] appends.
#[inline]
pub const fn len_i64(value: i64) -> usize {
    len_unsigned(zigzag64(value))
}

const fn len_unsigned(raw: u64) -> usize {
    // Zero has no bits and still takes a byte.
    let bits = 64 - (raw | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

const fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

const fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests;
