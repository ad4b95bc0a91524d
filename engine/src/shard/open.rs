//! Opens a shard over what recovery found on its core: rebuilds every machine from its snapshot
//! and the entries after it.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_storage::io::BufPool;
use leveret_storage::recovery::RecoveredCore;
use leveret_storage::store::{LogSettings, Store, StoreConfig};
use leveret_storage::types::{LogId, LogKind, Now, Term};
use thiserror::Error;

use super::door::Door;
use super::fetch::Fetches;
use super::hosted::{Hosted, Parked, Tenants};
use super::log::LogState;
use super::lookup::Lookups;
use super::refused::Refused;
use super::room::Room;
use super::waking::Waking;
use super::watching::Watches;
use super::{Shard, ShardSettings};
use crate::machine::{Machine, Remains};
use crate::partition::{Partition, ReplayError};
use crate::topology::{LogOwner, LogUse, TOPOLOGY_LOG, TOPOLOGY_SLOT, Topology};

/// Why a shard cannot open: its logs hold what its machines never wrote. Nothing should be
/// served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// A partition cannot be rebuilt.
    #[error("log {log}: {error}")]
    Partition {
        /// Its log.
        log: LogId,
        /// What is wrong.
        error: ReplayError,
    },
    /// A log is of another kind than what it belongs to.
    #[error("log {log} is not of the kind that its owner in the topology has")]
    Kind {
        /// The log.
        log: LogId,
    },
}

impl<P: BufPool> Shard<P> {
    /// Opens the shard of one core over what recovery found there: everything that `topology` says
    /// lives on it, and on core 0 the topology's own log. What belongs to nobody, because its topic was
    /// deleted just before the last run ended, is removed.
    ///
    /// # Errors
    /// [`OpenError`] if the recovered logs are not what this engine wrote.
    pub fn open(
        settings: ShardSettings,
        config: StoreConfig,
        pool: P,
        mut recovered: RecoveredCore,
        topology: &Topology,
        now: Now,
    ) -> Result<Self, OpenError> {
        let core = recovered.journal.core;
        let mut machines = HashMap::<_, _, FixedState>::default();
        let mut ownerless = Vec::new();
        for log in &mut recovered.logs {
            let replay = std::mem::take(&mut log.replay);
            match (topology.owner_of(log.id), log.kind) {
                (None, _) => ownerless.push(log.id),
                (Some(LogOwner::Topology), LogKind::Machine) => {}
                (Some(LogOwner::Partition { .. }), LogKind::Topic) => {
                    let remains = Remains::of(log, &replay);
                    let machine = <Partition as Machine>::recover(settings.producers, &remains);
                    let machine =
                        machine.map_err(|error| OpenError::Partition { log: log.id, error })?;
                    machines.insert(log.id, LogState::new(machine, log.term));
                }
                (Some(_), _) => return Err(OpenError::Kind { log: log.id }),
            }
        }
        let room = || Room::new(settings.parked_bytes, settings.parked_requests);
        let mut shard = Self {
            store: Store::open(config, pool, recovered, now),
            now,
            settings,
            hosted: Tenants::default(),
            parked: Parked::new(room),
            refused: Refused::default(),
            door: Door::new(room()),
            fetches: Fetches::default(),
            lookups: Lookups::default(),
            readers: HashMap::default(),
            watches: Watches::default(),
            waking: Waking::new(settings.woken),
            watched: VecDeque::new(),
            replies: VecDeque::new(),
            events: VecDeque::new(),
            counters: Default::default(),
            duplicates: 0,
            fetch_lag: Default::default(),
            stopping: false,
        };
        let is_here = |slot| topology.homes().core(slot) == core;
        if is_here(TOPOLOGY_SLOT) {
            shard.open_topology(topology.clone());
        }
        topology.each_log(|log, slot, used| {
            if !is_here(slot) {
                return;
            }
            match (machines.remove(&log), used) {
                (Some(state), LogUse::Partition(config)) => shard.adopt(log, state, config),
                (None, LogUse::Partition(config)) => shard.install(log, slot, config),
            }
        });
        for log in ownerless {
            shard.store.drop_log(log);
        }
        shard.drain();
        Ok(shard)
    }

    fn open_topology(&mut self, topology: Topology) {
        if self.store.frontiers(TOPOLOGY_LOG).is_none() {
            let (kind, settings) = (LogKind::Machine, LogSettings::default());
            self.store
                .create_log(TOPOLOGY_LOG, TOPOLOGY_SLOT, kind, settings);
        }
        let hosted = Hosted::new(topology, Term::default());
        self.hosted.insert(TOPOLOGY_LOG, hosted);
    }
}
