//! A toy, for tests alone: the machine over a counter's log, which shows all that a machine brings.
//!
//! ```text
//! kind 0xff03  an entry, version 1: by u32
//! kind 0xff04  the snapshot, version 1: total u64
//! ```

use bytes::Bytes;
use leveret_storage::types::{EntryMeta, WallMs};
use thiserror::Error;

use crate::codec::{DecodeError, Reader, Writer};
use crate::machine::{Decides, Machine, Remains};

const ADDED: u16 = 0xff03;
const SNAPSHOT: u16 = 0xff04;
const MOST: u64 = 1 << 40;

/// The machine: what was counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counter {
    total: u64,
}

/// Count by so much; by 0 is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u32);

/// It was counted by so much, and stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// By how much.
    pub by: u32,
    /// What it stands at.
    pub total: u64,
}

/// It does not count so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a counter counts to {MOST} only")]
pub struct CounterFull;

impl Counted {
    pub(crate) fn encode(&self) -> Option<Bytes> {
        let mut writer = Writer::new(ADDED, 1, 4);
        writer.u32(self.by);
        // Looking leaves no trace.
        (self.by > 0).then(|| writer.seal())
    }
}

impl Machine for Counter {
    type Setup = ();
    type Fault = DecodeError;
    type Entry = Counted;

    fn recover((): (), remains: &Remains<'_>) -> Result<Self, DecodeError> {
        let mut counter = Self::default();
        if let Some(bytes) = remains.snapshot {
            let (_, mut reader) = Reader::open_as(bytes, SNAPSHOT, 1..=1)?;
            counter.total = reader.u64("total")?;
            reader.end()?;
        }
        for (meta, bytes) in remains.entries {
            let (_, mut reader) = Reader::open_as(bytes, ADDED, 1..=1)?;
            let by = reader.u32("by")?;
            let total = counter.total + u64::from(by);
            counter.apply(meta, &Counted { by, total });
        }
        Ok(counter)
    }

    fn apply(&mut self, _meta: &EntryMeta, entry: &Counted) {
        self.total += u64::from(entry.by);
        assert_eq!(self.total, entry.total, "entries in order");
    }

    fn snapshot(&self) -> impl Iterator<Item = Bytes> + use<> {
        let mut writer = Writer::new(SNAPSHOT, 1, 8);
        writer.u64(self.total);
        std::iter::once(writer.seal())
    }
}

impl Decides for Counter {
    type Command = Count;
    type Decision = Counted;
    type Refusal = CounterFull;

    fn decide(&self, Count(by): &Count, _now: WallMs) -> Result<Counted, CounterFull> {
        let total = self.total + u64::from(*by);
        match total <= MOST {
            true => Ok(Counted { by: *by, total }),
            false => Err(CounterFull),
        }
    }
}
