//! CRC-32C (Castagnoli; RFC 3720, appendix B.4): of bytes, and of bytes joined from parts whose CRC
//! is known already.
//!
//! A batch's own checksum has been verified before the batch gets here. The checksums of the same
//! bytes in the journal and the index are derived from it: to read a megabyte a second and a third
//! time would cost more than to copy it, and damage to the bytes in memory in between would go
//! unnoticed.

/// Entries from this length on are worth joining rather than reading again, bytes.
pub(crate) const WORTH_JOINING: usize = 8192;

/// What is known of an entry's bytes: the CRC-32C of all from `from` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSum {
    /// The first byte that it covers.
    pub from: usize,
    /// The checksum itself.
    pub crc: u32,
}

impl KnownSum {
    /// The CRC-32C of all of `bytes`.
    pub(crate) fn whole(self, bytes: &[u8]) -> u32 {
        let (before, covered) = bytes.split_at(self.from);
        join(crc(before), self.crc, covered.len())
    }
}

/// CRC-32C of `bytes`.
#[must_use]
pub fn crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// CRC-32C of what has `sum`, followed by `bytes`.
#[must_use]
pub(crate) fn append(sum: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(sum, bytes)
}

/// CRC-32C of what has `first`, followed by `len` bytes that have `second` by themselves.
///
/// The sum of the first part is multiplied by x to the power of the bits that follow, modulo the
/// polynomial: a multiplication for each bit of `len` that is set.
#[must_use]
pub(crate) fn join(first: u32, second: u32, len: usize) -> u32 {
    let mut shifted = first;
    for (bit, power) in POWERS.iter().enumerate() {
        if len >> bit & 1 == 1 {
            shifted = multiply(*power, shifted);
        }
    }
    shifted ^ second
}

/// The polynomial, its bits reflected: the highest bit is the constant term.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// x to the power of 8 · 2ⁿ, modulo the polynomial.
const POWERS: [u32; usize::BITS as usize] = {
    let mut power = 1 << 30; // x
    let mut doubling = 0;
    while doubling < 3 {
        power = multiply(power, power);
        doubling += 1;
    }
    let mut powers = [power; usize::BITS as usize];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = multiply(powers[at - 1], powers[at - 1]);
        at += 1;
    }
    powers
};

/// The product of two polynomials modulo the polynomial.
const fn multiply(a: u32, b: u32) -> u32 {
    let (mut product, mut factor, mut bit) = (0, b, 1 << 31);
    while bit != 0 {
        if a & bit != 0 {
            product ^= factor;
        }
        factor = (factor >> 1) ^ (POLYNOMIAL & (factor & 1).wrapping_neg());
        bit >>= 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_sums_are_those_of_the_bytes_together() {
        let bytes: Vec<u8> = (0..3_000_000u32)
            .map(|n| (n.wrapping_mul(n) >> 7) as u8)
            .collect();
        for (cut, end) in [
            (0, 0),
            (0, 1),
            (1, 1),
            (1, 2),
            (21, 100),
            (21, 16_384),
            (21, 1_048_576),
            (5, 3_000_000),
            (3_000_000, 3_000_000),
        ] {
            let (first, second) = bytes[..end].split_at(cut.min(end));
            assert_eq!(
                join(crc(first), crc(second), second.len()),
                crc(&bytes[..end]),
                "{cut} of {end}"
            );
        }
    }

    #[test]
    fn a_known_part_gives_the_whole_and_a_wrong_one_does_not() {
        let bytes: Vec<u8> = (0..20_000u32).map(|n| (n % 251) as u8).collect();
        let known = KnownSum {
            from: 21,
            crc: crc(&bytes[21..]),
        };
        assert_eq!(known.whole(&bytes), crc(&bytes));
        let wrong = KnownSum {
            crc: known.crc ^ 1,
            ..known
        };
        assert_ne!(wrong.whole(&bytes), crc(&bytes));
    }
}
