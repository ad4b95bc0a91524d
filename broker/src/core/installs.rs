//! A change of the topology is durable: now every core installs it, and only then its asker hears of it,
//! from core 0.
//!
//! A change that is not durable is on no core, core 0 included: a batch acknowledged in a topic
//! that a crash undoes would be lost. What a change may be and how it becomes durable is the
//! engine's.
//!
//! A change may concern thousands of partitions: a core installs them in [slices](super::slices), one
//! change after the other. A new partition is there before the topology names it, and the topology names a deleted
//! one no more before it goes. A client that asks meanwhile, by way of a core that has not installed the change, for
//! what another core has installed already, is told that there is no such partition, as if it had asked a moment
//! earlier or later.

use std::collections::{BTreeMap, VecDeque};

use leveret_engine::shard::RequestId;
use leveret_engine::topology::{Command, Concerned, LogChange, NameCluster, TopologyEntry};
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{CoreId, Now};

use super::Core;
use super::hop::{ChangeTopics, Content, CreateCoordinators, ReserveIds};
use super::pending::Slot;

/// What it costs to install a change, beside its partitions, in the units of slices.
const CHANGE: usize = 1024;
/// What it costs to make, to configure or to remove a partition.
const PARTITION: usize = 1536;
/// What it costs to pass over one of another core's.
const OTHERS: usize = 16;

/// Numbers the changes of one run, from 0, in the order of the topology's log.
pub(super) type InstallNumber = u64;

/// The changes that are on their way to the cores.
pub(super) struct Installs {
    cores: u16,
    next: InstallNumber,
    under_way: BTreeMap<InstallNumber, Install>,
}

/// Who asks for what a core does by itself.
fn nobody() -> RequestId {
    Slot::<ChangeTopics>::NOBODY.request()
}

struct Install {
    asker: RequestId,
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
    pub(super) fn begin(&mut self, asker: RequestId, entry: TopologyEntry) -> InstallNumber {
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

    /// The simulator breaks the rule that the asker hears of a change when all cores have installed it.
    fn answer_early(&mut self, number: InstallNumber) -> (RequestId, TopologyEntry) {
        let install = self.under_way.get_mut(&number).expect("it is under way");
        let asker = std::mem::replace(&mut install.asker, nobody());
        (asker, install.entry.clone())
    }

    /// A core has installed a change. Gives the asker once all have.
    pub(super) fn installed(
        &mut self,
        number: InstallNumber,
        core: CoreId,
    ) -> Option<(RequestId, TopologyEntry)> {
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

/// What a core is putting in force, in the order of the topology's log.
#[derive(Default)]
pub(super) struct Installing {
    line: VecDeque<Change>,
    /// Whether it goes on with its next slice.
    stands_in_line: bool,
}

struct Change {
    number: InstallNumber,
    entry: TopologyEntry,
    /// The logs that it concerns, once it has begun.
    concerned: Option<Concerned>,
    /// Those below this one are done.
    next: usize,
}

impl Installing {
    fn add(&mut self, number: InstallNumber, entry: TopologyEntry) {
        self.line.push_back(Change {
            number,
            entry,
            concerned: None,
            next: 0,
        });
    }
}

impl<P: BufPool> Core<P> {
    /// On core 0: has the name that this run proposed for the data directory made to last. Where
    /// that fails for want of space it is to be called again when there is some.
    pub(super) fn name_cluster(&mut self, now: Now) {
        if self.id == CoreId(0) && self.topology.has_proposed_cluster() {
            let command = Command::Cluster(NameCluster);
            self.shard.submit(nobody(), &command, now);
        }
    }

    /// A durable change is to be put in force on this core, after those that came before it.
    pub(super) fn install(&mut self, number: InstallNumber, entry: TopologyEntry, now: Now) {
        self.installing.add(number, entry);
        self.go_on_installing(now);
    }

    /// Puts changes in force as far as the slice goes, unless they stand in line already.
    pub(super) fn go_on_installing(&mut self, now: Now) {
        if !self.installing.stands_in_line {
            self.install_in_turn(now);
        }
    }

    /// Puts changes in force as far as the slice goes. On core 0 the next one sets out when the one
    /// before is in force there.
    pub(super) fn install_in_turn(&mut self, now: Now) {
        self.installing.stands_in_line = false;
        while !self.installing.line.is_empty() || self.shard.has_change() {
            if !self.slices.has_room(now.mono) {
                self.installing.stands_in_line = true;
                return self.install_later(now);
            }
            match self.installing.line.pop_front() {
                Some(change) => self.put_in_force(change, now),
                None => self.set_out(),
            }
        }
    }

    /// The next durable change sets out to all cores.
    fn set_out(&mut self) {
        let Some((request, entry)) = self.shard.poll_change() else {
            return;
        };
        let number = self.installs.begin(request, entry.clone());
        for core in self.others() {
            self.send(core, Content::Install(number, entry.clone()));
        }
        self.installing.add(number, entry);
    }

    /// A core has put a change in force; once all have, its asker hears of it.
    pub(super) fn installed(&mut self, number: InstallNumber, core: CoreId, now: Now) {
        if let Some((asker, entry)) = self.installs.installed(number, core) {
            self.changed(asker, entry, now);
        }
    }

    /// Whoever asked for a change hears that it is in force.
    pub(super) fn changed(&mut self, asker: RequestId, entry: TopologyEntry, now: Now) {
        let RequestId(slot) = asker;
        match entry {
            TopologyEntry::Topic(entry) => {
                self.answered::<ChangeTopics>(Slot::new(slot), Ok(entry), now);
            }
            TopologyEntry::ProducerIds(reserved) => {
                self.answered::<ReserveIds>(Slot::new(slot), Ok(reserved), now);
            }
            TopologyEntry::Coordinators(_) => {
                self.answered::<CreateCoordinators>(Slot::new(slot), Ok(()), now);
            }
            // A core asks for that by itself.
            TopologyEntry::Cluster(_) => {}
        }
    }

    /// Goes on with a change, which is the first of its line again if the slice does not suffice.
    fn put_in_force(&mut self, mut change: Change, now: Now) {
        let concerned = change.concerned.take();
        let concerned = concerned.unwrap_or_else(|| self.begin_change(&change.entry));
        while let Some((log, slot, what)) = concerned.get(change.next) {
            if !self.slices.has_room(now.mono) {
                change.concerned = Some(concerned);
                return self.installing.line.push_front(change);
            }
            if self.topology.homes().core(slot) == self.id {
                self.shard.change_log(log, slot, what, now);
                if what == LogChange::Gone {
                    self.ailing.forget(log);
                }
                self.slices.charge(PARTITION);
            }
            self.slices.charge(OTHERS);
            change.next += 1;
        }
        self.slices.charge(CHANGE);
        if !concerned.goes() {
            self.topology.apply(&change.entry);
        }
        match self.id {
            CoreId(0) => {
                if self.shard.breaks(Mutation::OkBeforeInstall) {
                    let (asker, entry) = self.installs.answer_early(change.number);
                    self.changed(asker, entry, now);
                }
                self.installed(change.number, self.id, now);
            }
            _ => self.send(CoreId(0), Content::Installed(change.number)),
        }
    }

    /// The logs that a change concerns. What goes is not found from here on.
    fn begin_change(&mut self, entry: &TopologyEntry) -> Concerned {
        let concerned = self.topology.concerned(entry);
        if concerned.goes() {
            self.topology.apply(entry);
        }
        concerned
    }
}

#[cfg(test)]
mod tests {
    use leveret_engine::topology::ProducerIdsReserved;

    use super::*;

    #[test]
    fn the_asker_hears_when_the_last_core_has_it() {
        let mut installs = Installs::new(2);
        let entry = TopologyEntry::ProducerIds(ProducerIdsReserved { first: 0, count: 1 });
        let first = installs.begin(RequestId(1), entry.clone());
        let second = installs.begin(RequestId(2), entry.clone());
        assert_eq!(installs.installed(first, CoreId(0)), None);
        assert_eq!(installs.installed(second, CoreId(1)), None);
        assert_eq!(
            installs.installed(first, CoreId(1)),
            Some((RequestId(1), entry.clone()))
        );
        assert_eq!(
            installs.installed(second, CoreId(0)),
            Some((RequestId(2), entry))
        );
    }
}
