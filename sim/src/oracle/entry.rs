//! Entries that say who they are, so that bytes which turn up can be recognised.

use bytes::{Bytes, BytesMut};
use leveret_storage::types::{LogId, Ordinal};

use crate::rng::Rng;

/// Bytes that identify an entry; the rest is filler that follows from them.
pub const IDENTITY: usize = 40;
/// Most that an entry says is to be replayed of it, bytes: it has to fit the smallest commit.
const REPLAYED: usize = 600;
const MAGIC: u64 = 0x4c65_7665;

/// Who an entry says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its log.
    pub log: LogId,
    /// The ordinal that it was meant for.
    pub ordinal: Ordinal,
    /// Unlike that of any other entry of the run, also of one that was cut at the same ordinal.
    pub unique: u64,
    /// Its length in bytes.
    pub len: usize,
}

/// The bytes of an entry of `identity.len` (at least [`IDENTITY`]) bytes.
#[must_use]
pub fn build(identity: Identity) -> Bytes {
    assert!(identity.len >= IDENTITY, "an entry holds its identity");
    let mut bytes = BytesMut::with_capacity(identity.len);
    // So begins an entry that says itself how much of it is replayed: no less than who it is.
    let most = identity.len.min(REPLAYED) - IDENTITY;
    let replay = IDENTITY as u64 + Rng::new(!identity.unique).below(most as u64 + 1);
    for word in [
        MAGIC << 32 | replay,
        identity.log.0,
        identity.ordinal.0,
        identity.unique,
        identity.len as u64,
    ] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.resize(identity.len, 0);
    Rng::new(identity.unique).fill(&mut bytes[IDENTITY..]);
    bytes.freeze()
}

/// Reads the identity at the start of `bytes`; `None` if there is none.
#[must_use]
pub fn identify(bytes: &[u8]) -> Option<Identity> {
    let word = |at: usize| {
        let word = bytes.get(at * 8..at * 8 + 8)?;
        Some(u64::from_le_bytes(word.try_into().ok()?))
    };
    (word(0)? >> 32 == MAGIC).then_some(())?;
    Some(Identity {
        log: LogId(word(1)?),
        ordinal: Ordinal(word(2)?),
        unique: word(3)?,
        len: word(4)? as usize,
    })
}
