//! Opens a shard over what recovery found on its core: rebuilds every machine from its snapshot
//! and the entries after it.

use std::collections::{BTreeMap, VecDeque};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_storage::io::BufPool;
use leveret_storage::recovery::{RecoveredCore, RecoveredLog};
use leveret_storage::store::{Store, StoreConfig};
use leveret_storage::types::{LogId, LogKind, Now, Term};
use thiserror::Error;

use super::door::Door;
use super::fetch::Fetches;
use super::grouping::Grouping;
use super::hosted::{Hosted, Parked, Tenant, Tenants};
use super::lookup::Lookups;
use super::refused::Refused;
use super::room::Room;
use super::uses;
use super::waking::Waking;
use super::watching::Watches;
use super::{Shard, ShardSettings};
use crate::topology::{TOPOLOGY_LOG, TOPOLOGY_SLOT, Topology};

/// Why a shard cannot open: its logs hold what its machines never wrote. Nothing should be
/// served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// A machine cannot be rebuilt.
    #[error("log {log}: {reason}")]
    Machine {
        /// Its log.
        log: LogId,
        /// What is wrong.
        reason: String,
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
        let Rebuilt {
            topology_term,
            mut machines,
            ownerless,
        } = rebuild(&mut recovered.logs, topology, &settings, now)?;
        let room = || Room::new(settings.parked_bytes, settings.parked_requests);
        let mut shard = Self {
            store: Store::open(config, pool, recovered, now),
            now,
            settings,
            hosted: Tenants::default(),
            parked: Parked::new(room),
            refused: Refused::default(),
            door: Door::new(room()),
            grouping: Grouping::default(),
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
            shard.open_topology(topology.clone(), topology_term);
        }
        topology.each_log(|log, slot, used| {
            if !is_here(slot) {
                return;
            }
            match machines.remove(&log) {
                Some(tenant) => shard.adopt(log, tenant, used),
                None => shard.make_log(log, slot, used),
            }
        });
        for log in ownerless {
            shard.store.drop_log(log);
        }
        shard.drain();
        Ok(shard)
    }

    /// `term`: that of its log, if there is one.
    fn open_topology(&mut self, topology: Topology, term: Option<Term>) {
        match term {
            None => self.host(TOPOLOGY_LOG, TOPOLOGY_SLOT, LogKind::Machine, topology),
            Some(term) => {
                let hosted = Hosted::new(topology, term);
                self.hosted.insert(TOPOLOGY_LOG, hosted);
            }
        }
    }
}

type Machines = HashMap<LogId, Tenant, FixedState>;

/// What the logs that were found come to.
struct Rebuilt {
    /// The term of the topology's log, if that is among them.
    topology_term: Option<Term>,
    /// The machines over the others.
    machines: Machines,
    /// Logs that belong to nobody.
    ownerless: Vec<LogId>,
}

fn rebuild(
    logs: &mut [RecoveredLog],
    topology: &Topology,
    settings: &ShardSettings,
    now: Now,
) -> Result<Rebuilt, OpenError> {
    let (mut machines, mut fault) = (Machines::default(), None);
    let mut topology_term = None;
    let mut found: BTreeMap<LogId, &mut RecoveredLog> =
        logs.iter_mut().map(|log| (log.id, log)).collect();
    if let Some(own) = found.remove(&TOPOLOGY_LOG) {
        if own.kind != LogKind::Machine {
            return Err(OpenError::Kind { log: own.id });
        }
        own.replay = Vec::new();
        topology_term = Some(own.term);
    }
    topology.each_log(|id, _, used| {
        let Some(log) = found.remove(&id) else {
            return;
        };
        match uses::recover(used, log, settings, now) {
            Ok(tenant) => {
                machines.insert(id, tenant);
            }
            Err(error) => fault = Some(error),
        }
    });
    let forgotten = |(id, log): (LogId, &mut RecoveredLog)| {
        log.replay = Vec::new();
        id
    };
    let rebuilt = Rebuilt {
        topology_term,
        machines,
        ownerless: found.into_iter().map(forgotten).collect(),
    };
    fault.map_or(Ok(rebuilt), Err)
}
