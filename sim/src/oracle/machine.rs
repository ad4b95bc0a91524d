//! The simplest machine that cannot be rebuilt wrongly without being noticed: a chain over every
//! entry that was applied.

use bytes::Bytes;
use leveret_storage::types::Ordinal;

/// State of the machine over one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MachineState {
    /// Entries applied: the next one has this ordinal.
    pub next: Ordinal,
    chain: u64,
}

impl MachineState {
    /// The state after applying the next entry.
    #[must_use]
    pub fn apply(self, unique: u64) -> Self {
        let mixed = (self.chain ^ unique).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            next: self.next.plus(1),
            chain: mixed.rotate_left(29) ^ self.next.0,
        }
    }

    /// The snapshot of this state, filled up to `len` bytes (at least 16).
    #[must_use]
    pub fn snapshot(self, len: usize) -> Bytes {
        let mut bytes = Vec::with_capacity(len.max(16));
        bytes.extend_from_slice(&self.next.0.to_le_bytes());
        bytes.extend_from_slice(&self.chain.to_le_bytes());
        bytes.resize(len.max(16), self.chain as u8);
        bytes.into()
    }

    /// The state that a snapshot holds; `None` if it was altered.
    #[must_use]
    pub fn restore(snapshot: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let word = snapshot.get(at..at + 8)?;
            Some(u64::from_le_bytes(word.try_into().ok()?))
        };
        let state = Self {
            next: Ordinal(word(0)?),
            chain: word(8)?,
        };
        (state.snapshot(snapshot.len())[..] == *snapshot).then_some(state)
    }
}
