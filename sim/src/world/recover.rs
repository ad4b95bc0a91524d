//! From a crashed disk to a running process.

use leveret_storage::recovery::{Recovered, RecoveredCore, RecoveredLog};
use leveret_storage::store::{LogSettings, Store};
use leveret_storage::types::{LogId, Now, Offset, SlotId};

use super::process::Core;
use super::{Crash, Kind, Process, Violation, World};
use crate::disk::SimPool;
use crate::oracle::Found;
use crate::plan::LogPlan;
use crate::recovering::{Ground, Interrupt};

/// How far a recovery came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// A process runs.
    Running,
    /// The given number of operations completed first; the caller crashes it.
    Interrupted,
}

impl World {
    /// Starts a process on `cores` cores: recovers, compares what was found, opens the stores.
    /// With `interrupt`, stops there.
    ///
    /// # Errors
    /// A broken promise.
    pub fn start(
        &mut self,
        cores: usize,
        interrupt: Option<Interrupt>,
    ) -> Result<Started, Violation> {
        self.starts += 1;
        self.disk.change_speed();
        let salt = self.rng.next_u64();
        let ground = Ground {
            disk: &mut self.disk,
            trace: &mut self.trace,
            now: &mut self.now,
            config: self.plan.recovery(cores, salt),
            device_fails: self.plan.device_fails(),
        };
        let Some(recovered) = ground.recover(interrupt)? else {
            return Ok(Started::Interrupted);
        };
        self.counters.recoveries += 1;
        self.counters.logs_moved += recovered.summary.moved;
        self.counters.torn_ends += recovered.summary.torn_ends;
        self.counters.core_count_changes += u64::from(self.cores != 0 && self.cores != cores);
        self.cores = cores;
        self.open(recovered)?;
        Ok(Started::Running)
    }

    fn open(&mut self, recovered: Recovered) -> Result<(), Violation> {
        let found: Vec<Found> = recovered
            .cores
            .iter()
            .flat_map(|core| &core.logs)
            .map(found)
            .collect();
        let wall = self.now().wall;
        let before: u64 = self.oracle.logs().map(|truth| truth.next().0.0).sum();
        self.oracle.recover(self.worst, &found, wall)?;
        let after: u64 = self.oracle.logs().map(|truth| truth.next().0.0).sum();
        self.counters.cut += before - after;
        self.check_replays(&found)?;
        self.worst = Crash::Kill;
        let mut process = Process::new(recovered.homes);
        let now = self.now();
        for (index, mut core) in recovered.cores.into_iter().enumerate() {
            for log in &mut core.logs {
                let slot = self.slots[log.id.0 as usize];
                if log.slot != slot || usize::from(process.homes.core(slot).0) != index {
                    let what = format!(
                        "log {} of {slot:?} came back on core {index} in {:?}",
                        log.id, log.slot
                    );
                    return Err(Violation::new(Kind::WrongData, what));
                }
                process.home.insert(log.id, index);
                log.replay = Vec::new();
            }
            process.cores.push(Core::new(self.open_store(core, now)));
        }
        self.process = Some(process);
        let logs: Vec<LogId> = self.oracle.logs().map(|truth| truth.id()).collect();
        for log in logs {
            self.reinstate(log);
        }
        self.pump()
    }

    /// Of each entry that is replayed there is as much as the class of its log says.
    fn check_replays(&self, found: &[Found]) -> Result<(), Violation> {
        for log in found {
            let truth = self.oracle.log(log.log);
            let replay = self.plan.store.classes.of(truth.kind()).replay;
            for (meta, bytes) in &log.replay {
                let wanted = replay.of(&truth.entries()[meta.ordinal.0 as usize].bytes);
                if wanted != bytes {
                    let (id, got, len) = (log.log, bytes.len(), wanted.len());
                    let what = format!("{id:?}: {got} bytes of {meta:?} are replayed, not {len}");
                    return Err(Violation::new(Kind::WrongData, what));
                }
            }
        }
        Ok(())
    }

    fn open_store(&mut self, core: RecoveredCore, now: Now) -> Store<SimPool> {
        Store::open(self.plan.store.clone(), SimPool::default(), core, now)
    }

    /// Does for a log what a topology would after a start: settings, a log that was never
    /// journaled, a deletion that the crash undid.
    fn reinstate(&mut self, log: LogId) {
        let plan = self.logs[log.0 as usize];
        let truth = self.oracle.log(log);
        let (alive, dropping) = (truth.is_alive(), truth.is_dropping());
        let process = self.process.as_mut().expect("just opened");
        match process.home.get(&log) {
            Some(&core) => {
                let store = &mut process.cores[core].store;
                store.configure(log, plan.settings);
                if dropping {
                    store.drop_log(log);
                }
            }
            None if alive => self.place(log, plan),
            None => {}
        }
    }

    /// Makes an empty log on the core of its slot.
    fn place(&mut self, log: LogId, plan: LogPlan) {
        let slot = self.slots[log.0 as usize];
        let process = self.process.as_mut().expect("a process runs");
        let core = usize::from(process.homes.core(slot).0);
        process.home.insert(log, core);
        process.cores[core]
            .store
            .create_log(log, slot, plan.kind, plan.settings);
    }

    /// A log that never was: created, known to the oracle, ready for entries.
    pub fn create_log(&mut self, plan: LogPlan) {
        let log = LogId(self.logs.len() as u64);
        self.logs.push(plan);
        self.slots.push(SlotId(self.rng.below(256) as u8));
        self.oracle.create(log, plan.kind, &plan.settings);
        self.place(log, plan);
    }

    /// Asks for the start of a log to move to `before`.
    pub fn trim_to(&mut self, log: LogId, before: Offset) {
        self.oracle.log_mut(log).want_start(before);
        let core = self.home(log);
        self.core(core).store.trim(log, before);
    }

    /// Gives a log other settings, durably: a start applies them again.
    ///
    /// # Errors
    /// A broken promise.
    pub fn alter_log(&mut self, log: LogId, settings: LogSettings) -> Result<(), Violation> {
        let (start, wall) = (self.frontiers(log).start, self.now().wall);
        self.oracle.log_mut(log).altered(&settings, start, wall)?;
        self.logs[log.0 as usize].settings = settings;
        self.counters.alterations += 1;
        let core = self.home(log);
        self.core(core).store.configure(log, settings);
        Ok(())
    }

    /// Asks for what the log's settings say is too much or too old to go at once.
    pub fn expire(&mut self, log: LogId) {
        let (core, now) = (self.home(log), self.now());
        self.core(core).store.expire(log, now);
    }

    /// Deletes a log.
    pub fn drop_log(&mut self, log: LogId) {
        self.oracle.log_mut(log).dropping();
        self.counters.drops_amid_reads += u64::from(self.disk.is_reading(log));
        let core = self.home(log);
        let core = self.core(core);
        core.waiting.retain(|waiting| waiting.log != log);
        core.store.drop_log(log);
    }
}

fn found(log: &RecoveredLog) -> Found {
    Found {
        log: log.id,
        start: log.start,
        next: log.next,
        snapshot: log.snapshot.clone(),
        replay: log.replay.clone(),
        tail: log
            .tail
            .iter()
            .map(|(meta, bytes, _)| (*meta, bytes.clone()))
            .collect(),
    }
}
