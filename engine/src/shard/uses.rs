//! What logs are used for: which machine is over each, how it is made, and how it is rebuilt after a start.

use leveret_storage::io::BufPool;
use leveret_storage::recovery::RecoveredLog;
use leveret_storage::store::LogSettings;
use leveret_storage::types::{LogId, LogKind, Now, SlotId, Term};

use super::hosted::{Hosted, Tenant};
use super::log::LogState;
use super::open::OpenError;
use super::{Shard, ShardSettings, log_settings};
#[cfg(test)]
use crate::counter::Counter;
use crate::group::{Coordinator, CoordinatorSetup};
use crate::machine::{Machine, Remains};
use crate::partition::Partition;
use crate::topology::{CoordinatorKind, LogChange, LogUse, TopicConfig, TopicSettings};

impl<P: BufPool> Shard<P> {
    /// A log of this core is made, altered or gone, as a change of the topology says.
    ///
    /// # Panics
    /// If one is made that is there.
    pub fn change_log(&mut self, log: LogId, slot: SlotId, change: LogChange<'_>, now: Now) {
        match change {
            LogChange::Made(used) => self.make_log(log, slot, used),
            LogChange::Altered(LogUse::Partition(config)) => self.configure(log, config, now),
            LogChange::Altered(LogUse::Coordinator(_)) => {}
            #[cfg(test)]
            LogChange::Altered(LogUse::Counter) => {}
            LogChange::Gone => self.remove(log, now),
        }
    }

    /// A log that never was.
    pub(super) fn make_log(&mut self, log: LogId, slot: SlotId, used: &LogUse) {
        match used {
            LogUse::Partition(config) => self.install(log, slot, config),
            LogUse::Coordinator(CoordinatorKind::Groups) => {
                let setup = coordinator_setup(&self.settings, log, self.now);
                let machine = Coordinator::new(setup);
                self.host(log, slot, LogKind::Coordinator, machine);
            }
            #[cfg(test)]
            LogUse::Counter => self.host(log, slot, LogKind::Machine, Counter::default()),
        }
    }

    /// A machine moves in whose log never was.
    pub(super) fn host<M: Machine, T>(
        &mut self,
        log: LogId,
        slot: SlotId,
        kind: LogKind,
        machine: M,
    ) where
        Tenant: From<Hosted<M, T>>,
    {
        let settings = LogSettings::default();
        self.store.create_log(log, slot, kind, settings);
        let hosted = Hosted::<M, T>::new(machine, Term::default());
        self.hosted.insert(log, hosted);
    }

    /// A topic has a new partition, in a slot of this core.
    ///
    /// # Panics
    /// If it is installed already.
    pub fn install(&mut self, log: LogId, slot: SlotId, config: &TopicConfig) {
        let settings = config.over(&self.settings.topics);
        self.store
            .create_log(log, slot, LogKind::Topic, log_settings(&settings));
        let machine = Partition::new(Default::default(), self.settings.producers);
        self.place(log, LogState::new(machine, Term::default()), settings);
    }

    /// A machine was recovered, with its log.
    pub(super) fn adopt(&mut self, log: LogId, tenant: Tenant, used: &LogUse) {
        match (tenant, used) {
            (Tenant::Partition(state), LogUse::Partition(config)) => {
                let settings = config.over(&self.settings.topics);
                self.store.configure(log, log_settings(&settings));
                self.place(log, *state, settings);
            }
            (tenant, _) => self.hosted.insert(log, tenant),
        }
        self.arm_coordinator(log);
    }

    fn place(&mut self, log: LogId, mut state: LogState, settings: TopicSettings) {
        state.settings = settings;
        self.hosted.insert(log, state);
    }
}

/// The machine over a log as it was before the last run ended.
pub(super) fn recover(
    used: &LogUse,
    log: &mut RecoveredLog,
    settings: &ShardSettings,
    now: Now,
) -> Result<Tenant, OpenError> {
    match used {
        LogUse::Partition(_) => {
            let machine = rebuild::<Partition>(settings.producers, LogKind::Topic, log)?;
            Ok(LogState::new(machine, log.term).into())
        }
        LogUse::Coordinator(CoordinatorKind::Groups) => {
            let setup = coordinator_setup(settings, log.id, now);
            let machine = rebuild::<Coordinator>(setup, LogKind::Coordinator, log)?;
            Ok(Hosted::new(machine, log.term).into())
        }
        #[cfg(test)]
        LogUse::Counter => {
            let machine = rebuild::<Counter>((), LogKind::Machine, log)?;
            Ok(Hosted::new(machine, log.term).into())
        }
    }
}

/// No two coordinators make member ids of the same salt: the broker's is another in each run.
fn coordinator_setup(settings: &ShardSettings, log: LogId, now: Now) -> CoordinatorSetup {
    CoordinatorSetup {
        settings: settings.groups,
        salt: settings.salt ^ u128::from(log.0),
        now,
    }
}

fn rebuild<M: Machine>(
    setup: M::Setup,
    kind: LogKind,
    log: &mut RecoveredLog,
) -> Result<M, OpenError> {
    if log.kind != kind {
        return Err(OpenError::Kind { log: log.id });
    }
    let replay = std::mem::take(&mut log.replay);
    M::recover(setup, &Remains::of(log, &replay)).map_err(|fault| OpenError::Machine {
        log: log.id,
        reason: fault.to_string(),
    })
}
