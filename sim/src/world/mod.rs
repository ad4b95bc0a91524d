//! The disk, the process that runs on it (if one does), and the clock that both share.
//!
//! Time jumps from one completion or deadline to the next; nothing here decides what the
//! workload does.

mod events;
mod process;
mod recover;

use leveret_storage::types::{Mono, Now, SlotId, WallMs};

use crate::counters::Counters;
use crate::disk::{Client, Crash, Disk};
use crate::oracle::{Oracle, Truth};
use crate::plan::{LogPlan, PATIENCE, Plan, WALL};
use crate::rng::Rng;
use crate::trace::{Trace, describe, in_words};
use crate::violation::{Kind, Violation};
pub use process::{Core, Looking, Process, Reading, Waiting};
pub use recover::Started;

/// Completions, deadlines, operations and events at one instant after which nothing real can be
/// going on.
pub(crate) const STORM: u64 = 100_000;

/// Everything that one seed brings about.
#[derive(Debug)]
pub struct World {
    /// Chance of the workload.
    pub rng: Rng,
    /// What the seed stands for.
    pub plan: Plan,
    /// The device.
    pub disk: Disk,
    /// What must be true.
    pub oracle: Oracle,
    /// How each log, by id, is used.
    pub logs: Vec<LogPlan>,
    /// The slot that each belongs to.
    pub slots: Vec<SlotId>,
    /// What happened so far.
    pub counters: Counters,
    /// Hears everything.
    pub trace: Trace,
    /// The running process.
    pub process: Option<Process>,
    now: Mono,
    at_this_instant: u64,
    /// The worst that happened since a process last served.
    worst: Crash,
    /// A process was killed and what it left unsynced has not been lost or synced since.
    killed: bool,
    cores: usize,
    starts: u64,
}

impl World {
    /// A new device and no process.
    #[must_use]
    pub fn new(mut rng: Rng, plan: Plan, trace: Trace) -> Self {
        let disk = Disk::new(rng.fork());
        Self {
            rng,
            disk,
            oracle: Oracle::default(),
            logs: Vec::new(),
            slots: Vec::new(),
            counters: Counters::default(),
            trace,
            process: None,
            now: Mono(1),
            at_this_instant: 0,
            worst: Crash::Kill,
            killed: false,
            cores: 0,
            starts: 0,
            plan,
        }
    }

    /// The present time, as storage is told it.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            mono: self.now,
            wall: WallMs(WALL + (self.now.0 / 1_000_000) as i64),
        }
    }

    /// The next thing happens: a completion, or a deadline. False if nothing ever will.
    ///
    /// # Errors
    /// A broken promise.
    pub fn step(&mut self) -> Result<bool, Violation> {
        let process = self.process.as_ref().expect("a process runs");
        let deadline = process
            .cores
            .iter()
            .filter_map(|core| core.store.poll_timeout())
            .min();
        let completion = self.disk.next_completion();
        let Some(at) = [deadline, completion].into_iter().flatten().min() else {
            return Ok(false);
        };
        if at > self.now {
            self.now = at;
            self.at_this_instant = 0;
        }
        self.count_step()?;
        let now = self.now();
        if completion.is_some_and(|completion| completion <= self.now) {
            let done = self.disk.complete().expect("due");
            let core = usize::from(done.client.0);
            self.trace
                .note([self.now.0, done.id.0, u64::from(done.client.0)]);
            self.trace.say(format_args!(
                "{:>12} core {core} {:?} {}",
                self.now.0,
                done.id,
                match &done.result {
                    Ok(_) => "done".to_owned(),
                    Err(error) => format!("failed: {error}"),
                }
            ));
            let process = self.process.as_mut().expect("a process runs");
            let core = &mut process.cores[core];
            core.store.handle_completion(done.id, done.result, now);
        } else {
            self.trace.note([self.now.0, u64::MAX, 0]);
            let process = self.process.as_mut().expect("a process runs");
            for core in &mut process.cores {
                if core.store.poll_timeout().is_some_and(|at| at <= now.mono) {
                    core.store.handle_timeout(now);
                }
            }
        }
        self.pump()?;
        Ok(true)
    }

    /// Carries operations to the disk and events to the oracle until no core has any.
    ///
    /// # Errors
    /// A broken promise.
    pub fn pump(&mut self) -> Result<(), Violation> {
        let count = self
            .process
            .as_ref()
            .map_or(0, |process| process.cores.len());
        for core in 0..count {
            loop {
                let mut quiet = true;
                while let Some((id, op)) = self.core(core).store.poll_op() {
                    quiet = false;
                    self.count_step()?;
                    self.trace.say(format_args!(
                        "{:>12} core {core} {id:?} {}",
                        self.now.0,
                        describe(&op)
                    ));
                    self.disk.submit(self.now, Client(core as u16), id, op);
                }
                while let Some(event) = self.core(core).store.poll_event() {
                    quiet = false;
                    self.count_step()?;
                    self.trace.say(format_args!(
                        "{:>12} core {core} {}",
                        self.now.0,
                        in_words(&event)
                    ));
                    self.handle_event(core, event)?;
                    if self.process.is_none() {
                        return Ok(());
                    }
                }
                if quiet {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Something happens without time passing; too much of it is a violation.
    fn count_step(&mut self) -> Result<(), Violation> {
        self.at_this_instant += 1;
        if self.at_this_instant > STORM {
            let what = "busy for ever without time passing";
            return Err(Violation::new(Kind::Stuck, what));
        }
        Ok(())
    }

    fn core(&mut self, core: usize) -> &mut Core {
        let process = self.process.as_mut().expect("a process runs");
        &mut process.cores[core]
    }

    /// Lets `nanos` of simulated time pass, as far as anything happens in it.
    ///
    /// # Errors
    /// A broken promise.
    pub fn pass(&mut self, nanos: u64) -> Result<(), Violation> {
        let until = self.now.after(nanos);
        while self.process.is_some() && self.now < until {
            if !self.step()? {
                break;
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Lets time pass until `done`.
    ///
    /// # Errors
    /// A broken promise, or [`Kind::Stuck`] when it does not come about within [`PATIENCE`].
    pub fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<(), Violation> {
        let until = self.now.after(PATIENCE);
        while self.process.is_some() && !done(self) {
            let moved = self.step()?;
            if !moved || self.now > until {
                let after = if moved {
                    "in vain for long"
                } else {
                    "though nothing will happen"
                };
                let process = self.process.as_ref().map(Process::describe);
                let logs = self.oracle.logs().filter(|truth| !truth.is_settled());
                let logs: Vec<String> = logs.map(Truth::describe).collect();
                let what = format!(
                    "waits {after}: {what}; {logs:?} {}",
                    process.unwrap_or_default()
                );
                return Err(Violation::new(Kind::Stuck, what));
            }
        }
        Ok(())
    }

    /// The process ends in the given way, and what it had not made durable may go.
    pub fn crash(&mut self, crash: Crash) {
        self.retire();
        self.counters.crashes += 1;
        match crash {
            Crash::Power => {
                self.counters.power_cuts += 1;
                if self.killed && self.disk.sectors_at_risk() > 0 {
                    self.counters.kills_followed_by_power_cuts += 1;
                }
                self.killed = false;
            }
            Crash::System => self.counters.system_crashes += 1,
            Crash::Kill => {
                self.counters.kills += 1;
                self.killed = true;
            }
        }
        self.trace.note([self.now.0, crash as u64, u64::MAX]);
        self.trace
            .say(format_args!("{:>12} ==== {crash:?} ====", self.now.0));
        self.disk.crash(crash);
        if self.worst != Crash::Power {
            self.worst = crash;
        }
        self.now = self.now.after(1_000_000);
    }

    /// Adds the numbers of the process that ends.
    fn retire(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        for core in &process.cores {
            let stats = core.store.stats();
            self.counters.journal_laps += stats.laps;
            self.counters.full_rings += stats.full;
            self.counters.space_refusals += stats.space_refusals;
            self.counters.extents += stats.extents;
            self.counters.extents_with_tails += stats.extents_with_tail;
            self.counters.copy_forwards += stats.copy_forwards;
            self.counters.write_behinds += stats.write_behinds;
            self.counters.padded_closes += stats.padded_closes;
            self.counters.commits += stats.commits;
            self.counters.empty_commits += stats.empty_commits;
        }
    }
}
