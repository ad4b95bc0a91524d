//! A buffer that O_DIRECT takes, without unsafe code: a longer vector, used from its first aligned
//! byte on.

/// What direct I/O wants addresses, positions and lengths to be a multiple of.
pub(super) const BLOCK: usize = 4096;

/// `len` bytes whose address is a multiple of [`BLOCK`].
#[derive(Debug)]
pub(super) struct AlignedBuf {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// A buffer filled by a cheap generator, so that no device can compress it.
    pub(super) fn random(len: usize, seed: u64) -> Self {
        let mut buf = Self::zeroed(len);
        let mut state = seed | 1;
        for chunk in buf.as_mut().chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
        }
        buf
    }

    /// A buffer of zeros.
    pub(super) fn zeroed(len: usize) -> Self {
        let bytes = vec![0; len + BLOCK];
        let start = bytes.as_ptr().align_offset(BLOCK);
        assert!(
            start < BLOCK,
            "a byte vector has an aligned byte within one block"
        );
        Self { bytes, start, len }
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl AsMut<[u8]> for AlignedBuf {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_aligned_whatever_its_length() {
        for len in [1, BLOCK, 3 * BLOCK + 5] {
            let buf = AlignedBuf::random(len, 7);
            assert_eq!(buf.as_ref().len(), len);
            assert_eq!(buf.as_ref().as_ptr() as usize % BLOCK, 0);
        }
        assert_ne!(
            AlignedBuf::random(64, 1).as_ref(),
            AlignedBuf::random(64, 3).as_ref()
        );
    }
}
