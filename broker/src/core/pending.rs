//! What waits for an answer on this core, so that every answer finds its asker.
//!
//! A slot is reserved before a request leaves, so the answer always has a place; a slot's number
//! is never given twice, so a late answer to a forgotten request finds nothing.

use leveret_storage::types::{CoreId, Mono};
use leveret_wire::native::CorrelationId;
use slab::Slab;

use super::boundary::ConnId;
use super::kafka::SingleProduce;

/// Names one waiting request of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u64);

impl Slot {
    /// Of what a core does for itself: the answer finds nobody.
    pub(super) const NOBODY: Self = Self(u32::MAX as u64);
}

/// Who asked, and what to do with the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// A native client's request that one answer completes. `permit` bytes come back with it; a
    /// produce is given up at `deadline`.
    Native {
        conn: ConnId,
        correlation: CorrelationId,
        permit: usize,
        deadline: Option<Mono>,
    },
    /// A Kafka client's, likewise.
    Kafka(SingleProduce),
    /// A part of a request that several answers complete.
    Part { gather: usize, part: u32 },
    /// Another core's request, carried out here for it.
    Peer { core: CoreId, slot: Slot },
}

/// What of a client's is timed from here until its answer: when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timed {
    /// A batch to append.
    Produce(Mono),
    /// One core's part of a fetch.
    Fetch(Mono),
}

/// The waiting requests of one core.
#[derive(Default)]
pub(super) struct Pending {
    entries: Slab<(u32, Waiting, Option<Timed>)>,
    uses: u32,
}

impl Pending {
    pub(super) fn add(&mut self, waiting: Waiting) -> Slot {
        self.add_timed(waiting, None)
    }

    /// As [`Pending::add`]; what `timed` says comes back by [`Pending::take_timed`].
    pub(super) fn add_timed(&mut self, waiting: Waiting, timed: Option<Timed>) -> Slot {
        self.uses = self.uses.wrapping_add(1);
        let index = self.entries.insert((self.uses, waiting, timed));
        slot_of(self.uses, index)
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Waiting> {
        let (uses, waiting, _) = self.entries.get(index_of(slot))?;
        (u64::from(*uses) == slot.0 >> 32).then_some(waiting)
    }

    pub(super) fn take(&mut self, slot: Slot) -> Option<Waiting> {
        self.take_timed(slot).map(|(waiting, _)| waiting)
    }

    /// As [`Pending::take`], and since when it is timed, if it is.
    pub(super) fn take_timed(&mut self, slot: Slot) -> Option<(Waiting, Option<Timed>)> {
        self.get(slot)?;
        let (_, waiting, timed) = self.entries.remove(index_of(slot));
        Some((waiting, timed))
    }

    /// Places that requests wait in or may have waited in: those below this number.
    pub(super) fn places(&self) -> usize {
        self.entries.capacity()
    }

    /// The client's request in that place that has a deadline, if there is one.
    pub(super) fn deadline_in(&self, place: usize) -> Option<(Slot, Mono)> {
        let (uses, waiting, _) = self.entries.get(place)?;
        match waiting {
            Waiting::Native { deadline, .. } | Waiting::Kafka(SingleProduce { deadline, .. }) => {
                Some((slot_of(*uses, place), (*deadline)?))
            }
            Waiting::Part { .. } | Waiting::Peer { .. } => None,
        }
    }

    /// Everything that waits.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Waiting)> {
        let entries = self.entries.iter();
        entries.map(|(index, (uses, waiting, _))| (slot_of(*uses, index), waiting))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn slot_of(uses: u32, index: usize) -> Slot {
    let index = u32::try_from(index).expect("requests of a core are bounded");
    Slot(u64::from(uses) << 32 | u64::from(index))
}

fn index_of(slot: Slot) -> usize {
    (slot.0 & u64::from(u32::MAX)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_finds_nothing() {
        let mut pending = Pending::default();
        let waiting = Waiting::Peer {
            core: CoreId(1),
            slot: Slot(9),
        };
        let first = pending.add(waiting.clone());
        assert_eq!(pending.take(first), Some(waiting.clone()));
        let second = pending.add(waiting.clone());
        assert_eq!(index_of(first), index_of(second));
        assert_eq!(pending.take(first), None);
        assert_eq!(pending.get(second), Some(&waiting));
        assert_eq!(pending.take_timed(second), Some((waiting.clone(), None)));
        let timed = Some(Timed::Produce(Mono(7)));
        let third = pending.add_timed(waiting.clone(), timed);
        assert_eq!(pending.take_timed(Slot(third.0 + (1 << 32))), None);
        assert_eq!(pending.take_timed(third), Some((waiting, timed)));
    }
}
