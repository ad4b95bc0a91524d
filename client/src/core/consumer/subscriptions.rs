//! What the broker was asked to push, and how much of it may come.
//!
//! The buffer's bytes are shared out evenly among subscriptions as credit; a subscription is given
//! back what the owner has taken once that is half of its share.

use std::collections::BTreeMap;

use leveret_wire::native::{MAX_CREDIT, MAX_SUBSCRIPTION_PARTITIONS, MAX_SUBSCRIPTIONS};

use super::Key;

/// An assignment, and which of its generations.
pub(super) type Assigned = (Key, u64);

/// How far its end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    No,
    Wanted,
    Asked,
}

/// One subscription.
pub(super) struct Subscription {
    /// By place in the request; `None` once the broker has ended the partition.
    keys: Vec<Option<Assigned>>,
    live: usize,
    /// Of those, how many are not wanted any more, at least.
    left: usize,
    /// The broker has said that it stands.
    confirmed: bool,
    /// Credit given less what has come.
    credit: i64,
    /// Bytes that came and wait to be handed out.
    buffered: usize,
    end: End,
}

/// The subscriptions of one connection, by their request's number.
#[derive(Default)]
pub(super) struct Subscriptions {
    open: BTreeMap<u64, Subscription>,
}

impl Subscription {
    /// Which assignment stands at that place; `None` if there is none, or no more.
    pub(super) fn at(&self, index: u32) -> Option<Assigned> {
        self.keys.get(index as usize).copied().flatten()
    }

    /// All that the broker has not ended.
    pub(super) fn live(&self) -> impl Iterator<Item = Assigned> {
        self.keys.iter().copied().flatten()
    }

    /// The broker pushes nothing more of that place.
    pub(super) fn partition_ended(&mut self, index: u32) {
        self.keys[index as usize] = None;
        self.live -= 1;
        if self.live == 0 {
            self.end();
        }
    }

    /// One of its partitions is not wanted any more. It stands on for the others until it pushes
    /// what is not wanted.
    pub(super) fn leave(&mut self) {
        self.left += 1;
        if self.left >= self.live {
            self.end();
        }
    }

    /// Nothing more is wanted of it.
    pub(super) fn end(&mut self) {
        if self.end == End::No {
            self.end = End::Wanted;
        }
    }

    pub(super) fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// So many bytes came.
    pub(super) fn came(&mut self, bytes: usize) {
        self.credit -= signed(bytes);
    }

    /// So many of them wait to be handed out.
    pub(super) fn keep(&mut self, bytes: usize) {
        self.buffered += bytes;
    }
}

impl Subscriptions {
    pub(super) fn get(&mut self, id: u64) -> Option<&mut Subscription> {
        self.open.get_mut(&id)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Subscription> {
        self.open.remove(&id)
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Opens one, and gives its credit; `buffered` bytes wait to be handed out in all.
    pub(super) fn open(
        &mut self,
        id: u64,
        keys: Vec<Assigned>,
        buffer: usize,
        buffered: usize,
    ) -> u64 {
        let share = share(buffer, self.open.len() + 1);
        let credit = share.saturating_sub(self.orphaned(buffered));
        let subscription = Subscription {
            live: keys.len(),
            left: 0,
            keys: keys.into_iter().map(Some).collect(),
            confirmed: false,
            credit: signed(credit),
            buffered: 0,
            end: End::No,
        };
        self.open.insert(id, subscription);
        credit as u64
    }

    /// Bytes were handed out that this one had brought, if it still stands.
    pub(super) fn take(&mut self, id: u64, bytes: usize) {
        if let Some(subscription) = self.open.get_mut(&id) {
            subscription.buffered -= bytes;
        }
    }

    /// One that is to be ended, asked for once.
    pub(super) fn next_end(&mut self) -> Option<u64> {
        let mut open = self.open.iter_mut();
        let (id, subscription) = open.find(|(_, one)| one.end == End::Wanted)?;
        subscription.end = End::Asked;
        Some(*id)
    }

    /// Whether one is ending: what it leaves can soon be asked for together with the rest.
    pub(super) fn any_ending(&self) -> bool {
        self.open.values().any(|one| one.end != End::No)
    }

    /// Whether a further one may be opened. Where there are several small ones they are ended, so
    /// that one takes their place.
    pub(super) fn make_room(&mut self) -> bool {
        if self.open.len() < MANY {
            return true;
        }
        let small = |one: &&mut Subscription| one.live < MAX_SUBSCRIPTION_PARTITIONS / 2;
        self.open
            .values_mut()
            .filter(small)
            .for_each(Subscription::end);
        !self.any_ending() && self.open.len() < MAX_SUBSCRIPTIONS
    }

    /// One that is to get credit, and how much, which counts as given.
    pub(super) fn next_credit(&mut self, buffer: usize, buffered: usize) -> Option<(u64, u64)> {
        let share = signed(share(buffer, self.open.len()));
        let orphaned = signed(self.orphaned(buffered));
        for (id, one) in &mut self.open {
            let used = one.credit + signed(one.buffered) + orphaned;
            if one.end == End::No && used <= share / 2 && used < share {
                let bytes = share - used;
                one.credit += bytes;
                return Some((*id, bytes.unsigned_abs()));
            }
        }
        None
    }

    /// How many answers are due.
    pub(super) fn awaited(&self) -> usize {
        let due = |one: &&Subscription| !one.confirmed || one.end == End::Asked;
        self.open.values().filter(due).count()
    }

    /// Bytes that wait and belong to no subscription any more.
    fn orphaned(&self, buffered: usize) -> usize {
        let owned: usize = self.open.values().map(|one| one.buffered).sum();
        buffered - owned
    }
}

/// From so many on, small subscriptions are put together.
const MANY: usize = 8;

fn share(buffer: usize, subscriptions: usize) -> usize {
    let most = usize::try_from(MAX_CREDIT).unwrap_or(usize::MAX);
    (buffer / subscriptions.max(1)).clamp(1, most)
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("memory is smaller")
}
