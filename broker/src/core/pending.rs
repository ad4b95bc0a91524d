//! What waits for an answer on this core, so that every answer finds its asker.
//!
//! A slot is reserved before a request leaves, so the answer always has a place; a slot's number
//! is never given twice, so a late answer to a forgotten request finds nothing. Each family of calls
//! has slots of its own: what waits there is told what that family answers, and nothing else.

use std::fmt;
use std::marker::PhantomData;

use leveret_engine::shard::RequestId;
use leveret_storage::types::{CoreId, Mono};
use slab::Slab;

use super::fan_out::FanOutKey;
use super::hop::{Family, Listed};

/// A number that means something within one family of calls only.
pub(super) struct Of<F, N> {
    pub(super) number: N,
    family: PhantomData<fn() -> F>,
}

impl<F, N> Of<F, N> {
    pub(super) const fn new(number: N) -> Self {
        Self {
            number,
            family: PhantomData,
        }
    }
}

impl<F, N: Copy> Clone for Of<F, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F, N: Copy> Copy for Of<F, N> {}

impl<F, N: PartialEq> PartialEq for Of<F, N> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<F, N: Eq> Eq for Of<F, N> {}

impl<F, N: fmt::Debug> fmt::Debug for Of<F, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

/// Names one waiting call of one core. Its number says of which family it is, so that those of
/// different families differ: from the top how often slots of the family were used, in 32 bits, the
/// family, and the place.
pub(super) type Slot<F> = Of<F, u64>;

/// Bits of a place.
const PLACE_BITS: u32 = 28;
const PLACES: u64 = 1 << PLACE_BITS;

impl<F: Listed> Slot<F> {
    /// Of what a core does for itself: the answer finds nobody.
    pub(super) const NOBODY: Self = slot_of(0, PLACES - 1);

    /// What the engine of this core calls the request.
    pub(super) fn request(self) -> RequestId {
        RequestId(self.number)
    }

    fn place(self) -> usize {
        (self.number & (PLACES - 1)) as usize
    }

    fn uses(self) -> u32 {
        (self.number >> 32) as u32
    }
}

const fn slot_of<F: Listed>(uses: u32, place: u64) -> Slot<F> {
    Of::new((uses as u64) << 32 | F::NUMBER << PLACE_BITS | place)
}

/// Of which family the slot of a request is, by the family's number.
pub(super) fn family_of(RequestId(number): RequestId) -> u64 {
    (number & u64::from(u32::MAX)) >> PLACE_BITS
}

/// Who waits for the answer to a call.
#[derive(Debug)]
pub(super) enum Waiting<F: Family> {
    /// A client, whose request it completes.
    Client(F::Client),
    /// A request that several answers complete.
    Part(Part<F>),
    /// Another core, for which it is carried out here, and the slot that waits there.
    Peer(CoreId, Slot<F>),
}

/// One of the answers that complete a request.
#[derive(Debug)]
pub(super) struct Part<F> {
    pub(super) fan_out: FanOutKey<F>,
    /// Its place among the calls of the request.
    pub(super) number: u32,
}

/// The waiting calls of one family.
pub(super) struct Slots<F: Family> {
    entries: Slab<Entry<F>>,
    uses: u32,
}

struct Entry<F: Family> {
    uses: u32,
    waiting: Waiting<F>,
    since: Mono,
}

impl<F: Family> Default for Slots<F> {
    fn default() -> Self {
        Self {
            entries: Slab::new(),
            uses: 0,
        }
    }
}

impl<F: Listed> Slots<F> {
    pub(super) fn add(&mut self, waiting: Waiting<F>, now: Mono) -> Slot<F> {
        self.uses = self.uses.wrapping_add(1);
        let uses = self.uses;
        let place = self.entries.insert(Entry {
            uses,
            waiting,
            since: now,
        });
        let place = place as u64;
        assert!(place < PLACES - 1, "requests of a core are bounded");
        slot_of(uses, place)
    }

    pub(super) fn get(&self, slot: Slot<F>) -> Option<&Waiting<F>> {
        let entry = self.entries.get(slot.place())?;
        (entry.uses == slot.uses()).then_some(&entry.waiting)
    }

    /// Takes out who waits in a slot, and since when.
    pub(super) fn take(&mut self, slot: Slot<F>) -> Option<(Waiting<F>, Mono)> {
        self.get(slot)?;
        let entry = self.entries.remove(slot.place());
        Some((entry.waiting, entry.since))
    }

    /// Places that calls wait in or may have waited in: those below this number.
    pub(super) fn places(&self) -> usize {
        self.entries.capacity()
    }

    /// What waits in that place.
    pub(super) fn in_place(&self, place: usize) -> Option<(Slot<F>, &Waiting<F>)> {
        let entry = self.entries.get(place)?;
        Some((slot_of(entry.uses, place as u64), &entry.waiting))
    }

    /// Everything that waits.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot<F>, &Waiting<F>)> {
        let entries = self.entries.iter();
        entries.map(|(place, entry)| (slot_of(entry.uses, place as u64), &entry.waiting))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hop::{DescribeLogs, FindOffset};

    #[test]
    fn a_late_answer_finds_nothing() {
        let mut slots = Slots::<DescribeLogs>::default();
        let peer = |core| Waiting::Peer(CoreId(core), Slot::new(9));
        let since = |taken: Option<(Waiting<_>, Mono)>| taken.map(|(_, since)| since);
        let first = slots.add(peer(1), Mono(1));
        assert_eq!(since(slots.take(first)), Some(Mono(1)));
        let second = slots.add(peer(2), Mono(2));
        assert_eq!(first.place(), second.place());
        assert_eq!(since(slots.take(first)), None);
        let waiting = slots.get(second);
        assert!(matches!(waiting, Some(Waiting::Peer(CoreId(2), _))));
        let third = Slot::new(second.number + (1 << 32));
        assert_eq!(since(slots.take(third)), None);
        assert_eq!(since(slots.take(Slot::NOBODY)), None);
        assert_eq!(since(slots.take(second)), Some(Mono(2)));
        assert_eq!(slots.len(), 0);
    }

    #[test]
    fn slots_of_two_families_are_never_the_same() {
        let mut described = Slots::<DescribeLogs>::default();
        let mut found = Slots::<FindOffset>::default();
        let one = described.add(Waiting::Peer(CoreId(1), Slot::new(9)), Mono(1));
        let other = found.add(Waiting::Peer(CoreId(1), Slot::new(9)), Mono(1));
        assert_ne!(one.request(), other.request());
        assert_eq!(family_of(one.request()), DescribeLogs::NUMBER);
        assert_eq!(family_of(other.request()), FindOffset::NUMBER);
    }
}
