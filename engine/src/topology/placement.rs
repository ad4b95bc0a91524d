//! Which core a partition lives on: the least loaded when it is created, the one that recovery
//! put it on after a start. Counts partitions; moves none that has records.

use std::sync::Arc;

use hashbrown::HashMap;
use leveret_storage::types::{CoreId, LogId};
use thiserror::Error;

use super::{Topic, Topology};

/// Recovery found records where the topology can have none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlacementError {
    /// A log with an id that no topic has had yet: the topology has lost entries.
    #[error("log {log} has records, but the topology has given out log ids only below {next}")]
    FromTheFuture {
        /// The log.
        log: LogId,
        /// The id that the next partition would get.
        next: LogId,
    },
}

impl Topology {
    /// Makes the placement that of this run: every log of `recovered` is on the core that
    /// recovery gave it; a partition without records yet stays on its core if that exists, and
    /// goes to the least loaded otherwise. Same input, same result: every core may do it alone.
    /// Not durable: a partition's core in the log is a hint.
    ///
    /// # Errors
    /// [`PlacementError`]: nothing should be served.
    ///
    /// # Panics
    /// If `cores` is 0.
    pub fn settle(
        &mut self,
        cores: u16,
        recovered: impl IntoIterator<Item = (LogId, CoreId)>,
    ) -> Result<(), PlacementError> {
        let mut found: HashMap<LogId, CoreId, foldhash::fast::FixedState> = HashMap::default();
        for (log, core) in recovered {
            if log >= self.next_log {
                let next = self.next_log;
                return Err(PlacementError::FromTheFuture { log, next });
            }
            found.insert(log, core);
        }
        self.loads.clear();
        let fixed = |log: &LogId, hint: CoreId| {
            let hint = (hint.0 < cores).then_some(hint);
            found.get(log).copied().or(hint)
        };
        // First what cannot move, then the rest around it.
        for topic in self.topics.values() {
            let kept = topic.logs().filter_map(|(log, hint)| fixed(&log, hint));
            load(&mut self.loads, &kept.collect::<Vec<_>>());
        }
        for topic in self.topics.values_mut() {
            let place = |(log, hint)| {
                fixed(&log, hint).unwrap_or_else(|| {
                    let core = spread(&self.loads, cores, 1);
                    load(&mut self.loads, &core);
                    core[0]
                })
            };
            let placed: Vec<CoreId> = topic.logs().map(place).collect();
            if placed != topic.cores {
                let moved = Topic {
                    cores: placed,
                    ..Topic::clone(topic)
                };
                *topic = Arc::new(moved);
            }
        }
        Ok(())
    }
}

/// The least loaded of `cores` cores for each of `partitions` new partitions; the lowest number
/// among equals.
pub(super) fn spread(loads: &[u32], cores: u16, partitions: u32) -> Vec<CoreId> {
    assert!(cores > 0, "a broker has a core");
    let mut loads: Vec<u32> = (0..usize::from(cores))
        .map(|core| loads.get(core).copied().unwrap_or(0))
        .collect();
    let mut least = || {
        let lowest = (0..cores).min_by_key(|core| loads[usize::from(*core)]);
        let core = lowest.expect("there is a core");
        loads[usize::from(core)] += 1;
        CoreId(core)
    };
    (0..partitions).map(|_| least()).collect()
}

pub(super) fn load(loads: &mut Vec<u32>, cores: &[CoreId]) {
    for core in cores {
        let index = usize::from(core.0);
        if loads.len() <= index {
            loads.resize(index + 1, 0);
        }
        loads[index] += 1;
    }
}

pub(super) fn unload(loads: &mut [u32], cores: &[CoreId]) {
    for core in cores {
        loads[usize::from(core.0)] -= 1;
    }
}
