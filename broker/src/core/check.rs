//! What always holds of a core, looked at from outside after each event by the simulator.

use leveret_storage::io::BufPool;

use super::Core;
use super::pending::Waiting;

impl<P: BufPool> Core<P> {
    /// Looks whether everything that waits is waited for, and the other way round. Walks over all
    /// that is under way, so only checks call it.
    ///
    /// # Panics
    /// If the core contradicts itself.
    pub fn check(&self) {
        for (key, gather) in &self.gathers {
            for (part, slot) in gather.missing_parts() {
                let waiting = self.pending.get(slot);
                let expected = Waiting::Part { gather: key, part };
                assert_eq!(waiting, Some(expected), "a missing part is on its way");
            }
        }
        for (slot, waiting) in self.pending.iter() {
            if let Waiting::Part { gather, part } = waiting {
                let gather = self.gathers.get(gather).expect("who waits for a part");
                let missing = gather
                    .missing_parts()
                    .any(|missing| missing == (part, slot));
                assert!(missing, "a part on its way is missing");
            }
        }
        for slot in self.foreign_fetches.values() {
            let waiting = self.pending.get(*slot);
            let foreign = matches!(waiting, Some(Waiting::Peer { .. }));
            assert!(foreign, "another core's fetch is under way");
        }
    }
}
