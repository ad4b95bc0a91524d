//! Which core each slot lives on: the one place that says where a log is.
//!
//! Every log belongs to one slot for ever, and each slot has a home: on one node that is a core.
//! The map stands in the superblock, so that a log is on the core whose journal holds it; a start
//! with another number of cores makes it anew and moves as few slots as it can.

use crate::types::{CoreId, SlotId};

/// How many slots there are, whatever the number of cores.
pub const SLOTS: usize = 256;

/// The core of each slot.
///
/// Slot 0 is on core 0, which writes the topology. No two cores differ by more than one slot.
#[derive(Clone, PartialEq, Eq)]
pub struct Homes {
    cores: u16,
    of: [CoreId; SLOTS],
}

impl std::fmt::Debug for Homes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = self.of.map(|core| core.0);
        write!(f, "Homes({} cores, {of:?})", self.cores)
    }
}

impl Homes {
    /// Neighbouring slots on neighbouring cores.
    ///
    /// # Panics
    /// If `cores` is 0.
    #[must_use]
    pub fn interleaved(cores: u16) -> Self {
        assert!(cores > 0, "a broker has a core");
        let of = std::array::from_fn(|slot| {
            CoreId(u16::try_from(slot % usize::from(cores)).expect("less than the cores"))
        });
        Self { cores, of }
    }

    /// The map that says so of each slot in turn, if it is one: every slot on one of `cores` cores, and
    /// the first on core 0.
    #[must_use]
    pub fn new(cores: u16, of: [CoreId; SLOTS]) -> Option<Self> {
        let known = of.iter().all(|core| core.0 < cores);
        (known && of[0] == CoreId(0)).then_some(Self { cores, of })
    }

    /// How many cores there are; with more than [`SLOTS`] of them some have no slot.
    #[must_use]
    pub fn cores(&self) -> u16 {
        self.cores
    }

    /// The core of a slot.
    #[must_use]
    pub fn core(&self, slot: SlotId) -> CoreId {
        self.of[usize::from(slot.0)]
    }

    /// Every slot with its core, in order.
    pub fn slots(&self) -> impl Iterator<Item = (SlotId, CoreId)> + '_ {
        (0..=u8::MAX).map(SlotId).zip(self.of.iter().copied())
    }

    /// The map of so many cores that moves the fewest slots, and leaves no core with two more than
    /// another. With the same number of cores it is the same.
    ///
    /// # Panics
    /// If `cores` is 0.
    #[must_use]
    pub fn moved_to(&self, cores: u16) -> Self {
        assert!(cores > 0, "a broker has a core");
        if cores == self.cores {
            return self.clone();
        }
        let mut held = vec![0; usize::from(cores)];
        for core in self.of.iter().filter(|core| core.0 < cores) {
            held[usize::from(core.0)] += 1;
        }
        let quotas = quotas(&held);
        let (mut room, mut of) = (quotas.clone(), self.of);
        let mut homeless = Vec::new();
        let mut met = vec![0; usize::from(cores)];
        for (slot, core) in of.iter().enumerate() {
            let core = usize::from(core.0);
            if core < usize::from(cores) {
                // Of a core's slots those that go are spread as evenly as those that stay.
                let (stays, of_all) = (quotas[core].min(held[core]), held[core]);
                let place = met[core];
                met[core] += 1;
                if place * stays % of_all < stays {
                    room[core] -= 1;
                    continue;
                }
            }
            homeless.push(slot);
        }
        // One core after the other, so that neighbours are apart.
        let mut next = (0..cores).cycle();
        for slot in homeless {
            let free = next.find(|core| room[usize::from(*core)] > 0);
            let core = free.expect("the quotas are all slots");
            room[usize::from(core)] -= 1;
            of[slot] = CoreId(core);
        }
        Self { cores, of }
    }
}

/// How many slots each core is to have that has `held` so many now: those with the most keep one more
/// where they do not come out even.
fn quotas(held: &[usize]) -> Vec<usize> {
    let (each, more) = (SLOTS / held.len(), SLOTS % held.len());
    let mut most: Vec<usize> = (0..held.len()).collect();
    most.sort_by_key(|core| std::cmp::Reverse(held[*core]));
    let mut quotas = vec![each; held.len()];
    most[..more].iter().for_each(|core| quotas[*core] += 1);
    quotas
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(homes: &Homes) -> Vec<usize> {
        let mut counts = vec![0; usize::from(homes.cores())];
        homes
            .slots()
            .for_each(|(_, core)| counts[usize::from(core.0)] += 1);
        counts
    }

    fn moved(before: &Homes, after: &Homes) -> usize {
        let pairs = before.slots().zip(after.slots());
        pairs.filter(|(a, b)| a != b).count()
    }

    #[test]
    fn neighbours_are_apart_and_the_first_slot_is_on_the_first_core() {
        let homes = Homes::interleaved(3);
        let first: Vec<u16> = homes.slots().take(5).map(|(_, core)| core.0).collect();
        assert_eq!(first, [0, 1, 2, 0, 1]);
        assert_eq!(homes.core(SlotId(255)), CoreId(0));
        assert_eq!(homes.moved_to(3), homes);
    }

    #[test]
    fn a_new_core_takes_its_share_and_one_that_goes_leaves_its_own() {
        let two = Homes::interleaved(2);
        let three = two.moved_to(3);
        assert_eq!(moved(&two, &three), 85);
        // Back again: only what the third had.
        assert_eq!(moved(&three, &three.moved_to(2)), 85);
        let one = two.moved_to(1);
        assert_eq!((moved(&two, &one), counts(&one)), (128, vec![256]));
    }

    #[test]
    fn a_map_that_names_no_core_of_the_run_is_none() {
        let mut of = [CoreId(0); SLOTS];
        assert!(Homes::new(2, of).is_some());
        of[7] = CoreId(2);
        assert!(Homes::new(2, of).is_none());
        of[7] = CoreId(1);
        of[0] = CoreId(1);
        assert!(Homes::new(2, of).is_none());
    }

    proptest! {
        #[test]
        fn whatever_the_numbers_of_cores_shares_are_even_and_moves_few(
            runs in proptest::collection::vec(1_u16..400, 1..6),
        ) {
            let mut homes = Homes::interleaved(runs[0]);
            for cores in runs {
                let next = homes.moved_to(cores);
                let counts = counts(&next);
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                prop_assert!(most - least <= 1, "{counts:?}");
                prop_assert_eq!(next.core(SlotId(0)), CoreId(0));
                // No map of even shares keeps more: a core keeps no more than it had, nor than it has.
                let mut had = vec![0; usize::from(cores)];
                for (_, core) in homes.slots().filter(|(_, core)| core.0 < cores) {
                    had[usize::from(core.0)] += 1;
                }
                let kept: usize = had.iter().zip(&counts).map(|(had, has)| had.min(has)).sum();
                prop_assert_eq!(moved(&homes, &next), SLOTS - kept);
                homes = next;
            }
        }
    }
}
