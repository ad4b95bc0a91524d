//! The logs of all objects: which id a new log gets, and which slot, which is the least loaded slot
//! of the least loaded home. It counts logs, and moves none.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use leveret_storage::homes::{Homes, SLOTS};
use leveret_storage::types::{LogId, SlotId};

use super::TOPOLOGY_LOG;

/// The logs that were given out, and where those are that are left.
#[derive(Clone, Debug)]
pub(super) struct Logs {
    next: LogId,
    loads: Loads,
    /// Where each slot lives in this run.
    homes: Homes,
}

impl Logs {
    /// None but the topology's own, where slots live so.
    pub(super) fn none(homes: Homes) -> Self {
        Self {
            next: TOPOLOGY_LOG.plus(1),
            loads: Loads::none(),
            homes,
        }
    }

    pub(super) fn homes(&self) -> &Homes {
        &self.homes
    }

    /// The id that the next log gets: nobody has had it, and nobody who comes later gets a lower one.
    pub(super) fn next(&self) -> LogId {
        self.next
    }

    /// A slot for each of so many new logs.
    pub(super) fn spread(&self, logs: u32) -> Vec<SlotId> {
        self.loads.spread(&self.homes, logs)
    }

    /// Logs are given out, the newest of which is this.
    pub(super) fn add(&mut self, newest: LogId, slots: &[SlotId]) {
        self.next = self.next.max(newest.plus(1));
        self.loads.add(slots);
    }

    /// Logs are no more.
    pub(super) fn remove(&mut self, slots: &[SlotId]) {
        self.loads.remove(slots);
    }

    /// The next log gets this id, if none was given out that is not below it.
    pub(super) fn go_on_from(&mut self, next: LogId) -> bool {
        let grows = next >= self.next;
        self.next = self.next.max(next);
        grows
    }
}

/// How many logs each slot has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Loads([u32; SLOTS]);

impl Loads {
    fn none() -> Self {
        Self([0; SLOTS])
    }

    fn add(&mut self, slots: &[SlotId]) {
        for slot in slots {
            self.0[usize::from(slot.0)] += 1;
        }
    }

    fn remove(&mut self, slots: &[SlotId]) {
        for slot in slots {
            self.0[usize::from(slot.0)] -= 1;
        }
    }

    /// A slot for each of `logs` new logs, where slots have these homes; among equals the lowest home,
    /// and of that the lowest slot.
    fn spread(&self, homes: &Homes, logs: u32) -> Vec<SlotId> {
        let mut slots = vec![BinaryHeap::new(); usize::from(homes.cores())];
        let mut loads = vec![0; slots.len()];
        for (slot, home) in homes.slots() {
            let load = self.0[usize::from(slot.0)];
            slots[usize::from(home.0)].push(Reverse((load, slot)));
            loads[usize::from(home.0)] += load;
        }
        let with_slots = (0..loads.len()).filter(|home| !slots[*home].is_empty());
        let mut least_loaded: BinaryHeap<_> = with_slots
            .map(|home| Reverse((loads[home], home)))
            .collect();
        let mut least = || {
            let mut home = least_loaded.peek_mut().expect("some home has slots");
            home.0.0 += 1;
            let mut slot = slots[home.0.1].peek_mut().expect("this one has some");
            slot.0.0 += 1;
            slot.0.1
        };
        (0..logs).map(|_| least()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_one_core_after_the_other_and_what_is_loaded_waits() {
        let homes = Homes::interleaved(3);
        let mut loads = Loads::none();
        let new = loads.spread(&homes, 5);
        assert_eq!(new, [0, 1, 2, 3, 4].map(SlotId));
        loads.add(&new);
        // Core 2 has one log, the others have two.
        assert_eq!(loads.spread(&homes, 2), [5, 6].map(SlotId));
        loads.remove(&[SlotId(1)]);
        assert_eq!(loads.spread(&homes, 3), [1, 5, 6].map(SlotId));
    }

    #[test]
    fn ten_thousand_logs_are_even_over_cores_and_over_their_slots() {
        let homes = Homes::interleaved(2).moved_to(3);
        let mut loads = Loads::none();
        loads.add(&loads.spread(&homes, 10_000));
        for core in 0..3 {
            let of_core = homes.slots().filter(|(_, home)| home.0 == core);
            let counts: Vec<u32> = of_core
                .map(|(slot, _)| loads.0[usize::from(slot.0)])
                .collect();
            let all: u32 = counts.iter().sum();
            assert!((3333..=3334).contains(&all), "{all}");
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "{counts:?}");
        }
    }

    #[test]
    fn cores_beyond_the_slots_get_nothing() {
        let homes = Homes::interleaved(300);
        let slots = Loads::none().spread(&homes, 600);
        assert!(slots.iter().all(|slot| homes.core(*slot).0 < 256));
    }
}
