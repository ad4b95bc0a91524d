//! Core 0's last duty for a change of the topology: it is durable, now every core installs it,
//! and only then its asker hears of it.
//!
//! A change that is not durable is on no core, core 0 included: a batch acknowledged in a topic
//! that a crash undoes would be lost. What a change may be and how it becomes durable is the
//! engine's.

use std::collections::BTreeMap;

use leveret_engine::shard::RequestId;
use leveret_engine::topology::{Command, TopologyEntry};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};

use super::Core;
use super::pending::Slot;

/// Numbers the changes of one run, from 0, in the order of the topology's log.
pub(super) type InstallNumber = u64;

/// The changes that are on their way to the cores.
pub(super) struct Installs {
    cores: u16,
    next: InstallNumber,
    under_way: BTreeMap<InstallNumber, Install>,
}

struct Install {
    asker: Slot,
    entry: TopologyEntry,
    missing: Vec<CoreId>,
}

impl Installs {
    pub(super) fn new(cores: u16) -> Self {
        Self {
            cores,
            next: 0,
            under_way: BTreeMap::new(),
        }
    }

    /// A durable change sets out to every core, this one included. Returns its number.
    pub(super) fn begin(&mut self, asker: Slot, entry: TopologyEntry) -> InstallNumber {
        let number = self.next;
        self.next += 1;
        let missing = (0..self.cores).map(CoreId).collect();
        self.under_way.insert(
            number,
            Install {
                asker,
                entry,
                missing,
            },
        );
        number
    }

    /// A core has installed a change. Gives the asker once all have.
    pub(super) fn installed(
        &mut self,
        number: InstallNumber,
        core: CoreId,
    ) -> Option<(Slot, TopologyEntry)> {
        let install = self
            .under_way
            .get_mut(&number)
            .expect("cores install what is under way");
        install.missing.retain(|missing| *missing != core);
        if !install.missing.is_empty() {
            return None;
        }
        let done = self.under_way.remove(&number)?;
        Some((done.asker, done.entry))
    }
}

impl<P: BufPool> Core<P> {
    /// On core 0: has the name that this run proposed for the data directory made to last. Where
    /// that fails for want of space it is to be called again when there is some.
    pub(super) fn name_cluster(&mut self, now: Now) {
        if self.id == CoreId(0) && self.topology.has_proposed_cluster() {
            let request = RequestId(Slot::NOBODY.0);
            let command = Command::NameCluster;
            self.shard.submit(request, &command, self.cores, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_asker_hears_when_the_last_core_has_it() {
        let mut installs = Installs::new(2);
        let entry = TopologyEntry::ProducerIdsReserved { first: 0, count: 1 };
        let first = installs.begin(Slot(1), entry.clone());
        let second = installs.begin(Slot(2), entry.clone());
        assert_eq!(installs.installed(first, CoreId(0)), None);
        assert_eq!(installs.installed(second, CoreId(1)), None);
        assert_eq!(
            installs.installed(first, CoreId(1)),
            Some((Slot(1), entry.clone()))
        );
        assert_eq!(
            installs.installed(second, CoreId(0)),
            Some((Slot(2), entry))
        );
    }
}
