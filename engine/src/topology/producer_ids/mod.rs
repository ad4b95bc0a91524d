//! Producer ids that one core may give out: blocks reserved in the topology's log, so that no id
//! is given twice, also not after a crash. What is left of a block then is lost, which is fine
//! with 2^63 of them.
//!
//! ```text
//! kind 18  producer ids reserved, version 1
//!   first u64 | count u32
//! kind 6   the part of a snapshot, version 1
//!   no objects; beside them: next id u64
//! ```

use bytes::Bytes;
use leveret_storage::types::WallMs;
use thiserror::Error;

use super::Topology;
use super::kinds::{Kind, Part};
use crate::codec::{DecodeError, Reader, Writer, check_version};

const RESERVED: u16 = 18;
const VERSION: u16 = 1;

/// Take a block of producer ids that nobody gets again, also after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReserveProducerIds {
    /// How many, at least 1.
    pub count: u32,
}

/// These producer ids belong to whoever asked for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdsReserved {
    /// The first id.
    pub first: u64,
    /// How many.
    pub count: u32,
}

/// A block of producer ids is empty, or ids have run out (after 2^63).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no block of {count} producer ids can be reserved")]
pub struct NoProducerIds {
    /// What was asked for.
    pub count: u32,
}

/// The blocks that were given out.
#[derive(Clone, Debug, Default)]
pub(super) struct ProducerIdBlocks {
    next: u64,
}

impl Kind for ProducerIdBlocks {
    type Command = ReserveProducerIds;
    type Entry = ProducerIdsReserved;
    type Refusal = NoProducerIds;
    type Object = ();
    const ENTRIES: &'static [u16] = &[RESERVED];
    const PART: Part = Part {
        kind: 6,
        version: 1,
        least: 1,
    };

    fn decide(
        topology: &Topology,
        &ReserveProducerIds { count }: &ReserveProducerIds,
        _now: WallMs,
    ) -> Result<ProducerIdsReserved, NoProducerIds> {
        let first = topology.objects.producer_ids.next;
        match first.checked_add(u64::from(count)).map(i64::try_from) {
            Some(Ok(_)) if count > 0 => Ok(ProducerIdsReserved { first, count }),
            _ => Err(NoProducerIds { count }),
        }
    }

    fn fits(topology: &Topology, entry: &ProducerIdsReserved) -> bool {
        let ends = entry.first.checked_add(u64::from(entry.count)).is_some();
        ends && entry.first >= topology.objects.producer_ids.next
    }

    fn apply(topology: &mut Topology, entry: &ProducerIdsReserved) {
        topology.objects.producer_ids.next = entry.first + u64::from(entry.count);
    }

    fn encode(entry: &ProducerIdsReserved) -> Bytes {
        let mut writer = Writer::new(RESERVED, VERSION, 12);
        writer.u64(entry.first);
        writer.u32(entry.count);
        writer.seal()
    }

    fn decode(
        _kind: u16,
        version: u16,
        reader: &mut Reader<'_>,
    ) -> Result<ProducerIdsReserved, DecodeError> {
        check_version(version, VERSION..=VERSION)?;
        Ok(ProducerIdsReserved {
            first: reader.u64("first producer id")?,
            count: reader.u32("producer ids")?,
        })
    }

    fn is_blank(&self) -> bool {
        self.next == 0
    }

    fn put_rest(&self, writer: &mut Writer) {
        writer.u64(self.next);
    }

    fn get_rest(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        self.next = reader.u64("next producer id")?;
        Ok(())
    }
}

/// The ids that this core may still give out.
#[derive(Debug, Default)]
pub struct ProducerIds {
    next: u64,
    end: u64,
}

impl ProducerIds {
    /// How many to reserve at a time.
    pub const BLOCK: u32 = 1000;

    /// An id that nobody has, or `None` until the next [`ProducerIds::refill`].
    pub fn take(&mut self) -> Option<i64> {
        if self.next == self.end {
            return None;
        }
        let id = self.next;
        self.next += 1;
        Some(i64::try_from(id).expect("the topology reserves ids up to i64::MAX"))
    }

    /// Gives the ids of a block that the topology's log has reserved, durably, for this core.
    /// What was left of the block before is dropped.
    ///
    /// # Panics
    /// If the block lies below an id that was given.
    pub fn refill(&mut self, first: u64, count: u32) {
        assert!(first >= self.next, "reserved blocks grow");
        self.next = first;
        self.end = first + u64::from(count);
    }
}
