//! Opens a shard over what recovery found on its core: rebuilds every machine from its snapshot
//! and the entries after it.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashMap;
use leveret_storage::io::BufPool;
use leveret_storage::recovery::{RecoveredCore, RecoveredLog};
use leveret_storage::store::{LogSettings, Store, StoreConfig};
use leveret_storage::types::{CoreId, LogId, LogKind, Now, Offset, Ordinal};
use thiserror::Error;

use super::control::Control;
use super::door::Door;
use super::fetch::Fetches;
use super::log::LogState;
use super::lookup::Lookups;
use super::parked::Parked;
use super::refused::Refused;
use super::room::Room;
use super::waking::Waking;
use super::watching::Watches;
use super::{Shard, ShardSettings};
use crate::partition::{Partition, ReplayError};
use crate::topology::{TOPOLOGY_LOG, Topology, TopologyError};

/// The core that the topology lives on.
const TOPOLOGY_CORE: CoreId = CoreId(0);

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
    /// The topology cannot be rebuilt.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The topology's log counts offsets, which it has none of.
    #[error("log {log} is at offset {next}; the topology's has none")]
    Offsets {
        /// The log.
        log: LogId,
        /// Where it says to be.
        next: Offset,
    },
    /// A machine log that this program does not know: a newer one wrote it.
    #[error("log {log} belongs to a newer version of Leveret")]
    UnknownMachine {
        /// The log.
        log: LogId,
    },
}

impl<P: BufPool> Shard<P> {
    /// Opens the shard of one core. Its partitions wait for [`Shard::install`]; on core 0 the
    /// topology that names them is there at once.
    ///
    /// # Errors
    /// [`OpenError`] if the recovered logs are not what this engine wrote.
    pub fn open(
        settings: ShardSettings,
        config: StoreConfig,
        pool: P,
        mut recovered: RecoveredCore,
        now: Now,
    ) -> Result<Self, OpenError> {
        let mut control = None;
        let mut unclaimed = BTreeMap::new();
        for log in &mut recovered.logs {
            // The store goes on holding the snapshot, in order to copy it forward.
            let snapshot = log.snapshot.clone();
            let replay = std::mem::take(&mut log.replay);
            match log.kind {
                LogKind::Topic if log.lost.is_some() => {
                    // It takes nothing more: what its machine would say of a batch is never asked.
                    let machine = Partition::new(Default::default(), settings.producers);
                    unclaimed.insert(log.id, LogState::new(machine, log.term));
                }
                LogKind::Topic => {
                    let state = rebuild_partition(log, snapshot, &replay, &settings)?;
                    unclaimed.insert(log.id, state);
                }
                LogKind::Machine if log.id == TOPOLOGY_LOG => {
                    let (log, next) = (log.id, log.next.1);
                    if next != Offset(0) {
                        return Err(OpenError::Offsets { log, next });
                    }
                    let snapshot = snapshot.as_ref().map(|(_, bytes)| &bytes[..]);
                    let entries = replay
                        .iter()
                        .map(|(meta, bytes)| (meta.ordinal, &bytes[..]));
                    let topology = Topology::recover(snapshot, entries, settings.topology)?;
                    control = Some(Control::new(topology));
                }
                LogKind::Machine => return Err(OpenError::UnknownMachine { log: log.id }),
            }
        }
        let core = recovered.journal.core;
        let mut store = Store::open(config, pool, recovered, now);
        if core == TOPOLOGY_CORE && control.is_none() {
            store.create_log(TOPOLOGY_LOG, LogKind::Machine, LogSettings::default());
            control = Some(Control::new(Topology::new(settings.topology)));
        }
        let room = || Room::new(settings.parked_bytes, settings.parked_requests);
        Ok(Self {
            store,
            now,
            settings,
            logs: HashMap::default(),
            unclaimed,
            control,
            parked: Parked::new(room()),
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
        })
    }
}

fn rebuild_partition(
    log: &RecoveredLog,
    snapshot: Option<(Ordinal, bytes::Bytes)>,
    replay: &[(leveret_storage::types::EntryMeta, bytes::Bytes)],
    settings: &ShardSettings,
) -> Result<LogState, OpenError> {
    let snapshot = snapshot.as_ref().map(|(_, bytes)| &bytes[..]);
    let entries = replay.iter().map(|(meta, bytes)| (meta, &bytes[..]));
    let next = log.next.1;
    let machine = Partition::recover(snapshot, entries, next, settings.producers)
        .map_err(|error| OpenError::Partition { log: log.id, error })?;
    Ok(LogState::new(machine, log.term))
}
