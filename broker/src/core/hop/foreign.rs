//! Other cores' calls of one family that wait here, so that the core that asked can tell more of them.

use std::collections::BTreeMap;

use leveret_storage::types::CoreId;

use super::Family;
use crate::core::pending::Slot;

/// By the core that asked and its number for the call, our own slot.
pub(in crate::core) struct Foreign<F: Family>(BTreeMap<(CoreId, u64), Slot<F>>);

impl<F: Family> Default for Foreign<F> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<F: Family> Foreign<F> {
    pub(super) fn add(&mut self, from: CoreId, asked: Slot<F>, own: Slot<F>) {
        self.0.insert((from, asked.number), own);
    }

    pub(super) fn get(&self, from: CoreId, asked: Slot<F>) -> Option<Slot<F>> {
        self.0.get(&(from, asked.number)).copied()
    }

    pub(super) fn remove(&mut self, from: CoreId, asked: Slot<F>) -> Option<Slot<F>> {
        self.0.remove(&(from, asked.number))
    }

    /// Our slots.
    pub(in crate::core) fn slots(&self) -> impl ExactSizeIterator<Item = Slot<F>> {
        self.0.values().copied()
    }
}
