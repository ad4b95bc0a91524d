//! Those who were given a member id and are to join with it. The barrier waits for them, but not for long: whoever
//! asked for an id may be gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use leveret_storage::types::Mono;

use super::call::Name;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Named {
    by_id: BTreeMap<Name, u64>,
    /// In the order in which they were named.
    by_age: BTreeMap<u64, (Mono, Name)>,
    next: u64,
}

impl Named {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn has(&self, id: &Name) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn insert(&mut self, id: Name, now: Mono) {
        let before = self.by_id.insert(Arc::clone(&id), self.next);
        assert!(before.is_none(), "no id is given twice");
        self.by_age.insert(self.next, (now, id));
        self.next += 1;
    }

    /// It is no more one of them; whether it was.
    pub(super) fn remove(&mut self, id: &Name) -> bool {
        let age = self.by_id.remove(id);
        age.is_some_and(|age| self.by_age.remove(&age).is_some())
    }

    /// When the first of them was named.
    pub(super) fn oldest(&self) -> Option<Mono> {
        let (_, (at, _)) = self.by_age.first_key_value()?;
        Some(*at)
    }

    /// When the last of them was named.
    pub(super) fn newest(&self) -> Option<Mono> {
        let (_, (at, _)) = self.by_age.last_key_value()?;
        Some(*at)
    }

    /// Forgets the first, if it was named before `now` minus `kept`; whether it did.
    pub(super) fn forget_before(&mut self, now: Mono, kept: u64) -> bool {
        let old = self.oldest().is_some_and(|at| at.after(kept) <= now);
        if old && let Some((_, (_, id))) = self.by_age.pop_first() {
            self.by_id.remove(&id);
        }
        old
    }
}
