//! The topology of a run, from what recovery found: what the topology's log says is compared with
//! the other logs.

use leveret_storage::recovery::{Recovered, RecoveredLog};
use leveret_storage::types::Offset;

use super::{TOPOLOGY_LOG, Topology, TopologyError, TopologySettings};

impl Topology {
    /// What recovery brought back, where slots live as it says.
    ///
    /// # Errors
    /// [`TopologyError`]: the topology's log is not what a topology wrote, or there is a log that
    /// contradicts it. Nothing should be served.
    pub fn recovered(
        recovered: &Recovered,
        settings: TopologySettings,
    ) -> Result<Self, TopologyError> {
        let logs = || recovered.cores.iter().flat_map(|core| &core.logs);
        let own = logs().find(|log| log.id == TOPOLOGY_LOG);
        if let Some(next) = own.map(|log| log.next.1).filter(|next| *next != Offset(0)) {
            return Err(TopologyError::Offsets { next });
        }
        let snapshot = own.and_then(|log| log.snapshot.as_ref());
        let entries = own.into_iter().flat_map(|log| &log.replay);
        let topology = Self::recover(
            snapshot.map(|(_, bytes)| &bytes[..]),
            entries.map(|(meta, bytes)| (meta.ordinal, &bytes[..])),
            settings,
            recovered.homes.clone(),
        )?;
        logs().try_for_each(|log| topology.admits(log))?;
        Ok(topology)
    }

    /// Whether a log with records can be: it has been given out, and belongs to the slot that its owner
    /// was told.
    fn admits(&self, log: &RecoveredLog) -> Result<(), TopologyError> {
        let (id, next) = (log.id, self.logs.next());
        if id >= next {
            return Err(TopologyError::FromTheFuture { log: id, next });
        }
        let Some(owner) = self.owner_of(id) else {
            return Ok(());
        };
        let slot = owner.slot();
        match slot == log.slot {
            true => Ok(()),
            false => Err(TopologyError::Slot {
                log: id,
                found: log.slot.0,
                told: slot.0,
            }),
        }
    }
}
