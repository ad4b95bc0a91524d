//! One seed from beginning to end: lives of a process, each with its work and its end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use leveret_storage::mutation::Mutation;
use leveret_storage::types::{Level, LogId, LogKind, Offset};

use crate::cores::{lives, same};
use crate::counters::Counters;
use crate::disk::{Crash, Faults};
use crate::plan::{Interrupts, LogPlan, Mode, Plan, Workload};
use crate::recovering::Interrupt;
use crate::rng::Rng;
use crate::shards::ShardWorld;
use crate::trace::Trace;
use crate::violation::{Kind, Violation};
use crate::world::{Started, World};

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What it met.
    pub counters: Counters,
    /// Its course as a number: the same for the same seed.
    pub hash: u64,
    /// The promise that was broken, if one was.
    pub violation: Option<Violation>,
}

/// Runs a seed.
#[must_use]
pub fn run(seed: u64, mode: Mode, mutation: Option<Mutation>, printing: bool) -> Outcome {
    let mut rng = Rng::new(seed);
    let plan = Plan::draw(&mut rng, mode, mutation);
    run_plan(seed, mode, rng, plan, printing)
}

/// Runs a seed under the circumstances in which `mutation` is hunted, without it.
#[must_use]
pub fn run_sound(seed: u64, mode: Mode, mutation: Mutation) -> Outcome {
    let mut rng = Rng::new(seed);
    let mut plan = Plan::draw(&mut rng, mode, Some(mutation));
    plan.store.mutation = None;
    run_plan(seed, mode, rng, plan, false)
}

fn run_plan(seed: u64, mode: Mode, rng: Rng, plan: Plan, printing: bool) -> Outcome {
    let mut trace = Trace::new(printing);
    if mode == Mode::Cores {
        let (mut rng, mut counters) = (rng, Counters::default());
        let mutation = plan.store.mutation;
        let violation = judge(|| {
            // With chance of its own, so that courses are what they were.
            lives::run(Rng::new(!seed), plan, &mut counters, &mut trace)?;
            same::run(seed, &mut rng, mutation, &mut counters, &mut trace)
        });
        return Outcome {
            seed,
            counters,
            hash: trace.hash(),
            violation,
        };
    }
    if mode == Mode::Shards {
        let mut world = ShardWorld::new(rng, plan, trace);
        let violation = judge(|| world.live_on());
        world.count_disk();
        return Outcome {
            seed,
            counters: world.counters,
            hash: world.trace.hash(),
            violation,
        };
    }
    let mut world = World::new(rng, plan, trace);
    let violation = judge(|| world.live_on());
    world.counters.add_disk(&world.disk.counters);
    Outcome {
        seed,
        counters: world.counters,
        hash: world.trace.hash(),
        violation,
    }
}

/// What is wrong with a run, an assertion of the code under test included.
fn judge(run: impl FnOnce() -> Result<(), Violation>) -> Option<Violation> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => None,
        Ok(Err(violation)) => Some(violation),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let what = panic.downcast_ref::<String>().cloned().or(text);
            let what = what.unwrap_or_else(|| "a panic without words".to_owned());
            Some(Violation::new(Kind::Panicked, what))
        }
    }
}

impl World {
    fn live_on(&mut self) -> Result<(), Violation> {
        let faults = self.plan.faults;
        for life in 0..self.plan.lives {
            self.begin()?;
            if life == 0 {
                for plan in self.plan.logs.clone() {
                    self.create_log(plan);
                }
            }
            match self.plan.workload {
                Workload::Mixed => self.work()?,
                Workload::Churn => self.churn()?,
            }
            self.end()?;
        }
        // The last word: on a sound device everything is there and everything moves.
        self.disk.faults = Faults::default();
        self.plan.faults = faults;
        self.begin_for_good()?;
        self.settle()?;
        self.read_everything()?;
        self.settle()
    }

    /// Starts a process, through as many crashes of recovery as chance wants.
    fn begin(&mut self) -> Result<(), Violation> {
        let cores = self.rng.between(1, self.plan.cores) as usize;
        loop {
            self.disk.faults = Faults::default();
            let interrupt = self.draw_interrupt();
            if self.start(cores, interrupt)? == Started::Running {
                self.disk.faults = self.plan.faults;
                break;
            }
            self.counters.crashes_during_recovery += 1;
            let crash = self.draw_crash();
            self.crash(crash);
        }
        // Mostly everything is read back at once, sometimes only what the workload asks for.
        let most = match self.plan.workload {
            Workload::Mixed => 2,
            Workload::Churn => 1,
        };
        if self.rng.chance(most, 3) {
            self.read_everything()?;
        }
        Ok(())
    }

    fn draw_interrupt(&mut self) -> Option<Interrupt> {
        let Interrupts { one_in, at_switch } = self.plan.interrupts;
        if !self.rng.chance(1, one_in) {
            return None;
        }
        let at_switch = self.rng.chance(1, at_switch);
        let after = Interrupt::After(self.rng.magnitude(1, 300));
        Some(if at_switch {
            Interrupt::AtSwitch
        } else {
            after
        })
    }

    fn begin_for_good(&mut self) -> Result<(), Violation> {
        let cores = self.rng.between(1, self.plan.cores) as usize;
        if self.start(cores, None)? == Started::Running {
            return Ok(());
        }
        Err(Violation::new(
            Kind::Refused,
            "does not start on a sound device",
        ))
    }

    fn draw_crash(&mut self) -> Crash {
        match self.rng.below(10) {
            0..6 => Crash::Power,
            6..9 => Crash::Kill,
            _ => Crash::System,
        }
    }

    /// The end of a life: in the midst of things, after a rest, or after a clean stop.
    fn end(&mut self) -> Result<(), Violation> {
        if self.process.is_none() {
            return Ok(());
        }
        match self.rng.below(8) {
            0 => self.settle()?,
            1 => {
                self.settle()?;
                self.pass(200_000_000)?;
            }
            2 => {
                self.stop()?;
                self.counters.clean_stops += 1;
            }
            _ => {}
        }
        if self.process.is_none() {
            return Ok(());
        }
        self.check_counts()?;
        let crash = self.draw_crash();
        self.crash(crash);
        // A power cut can follow a kill before anything is started again.
        if crash == Crash::Kill && self.rng.chance(1, 3) {
            self.crash(Crash::Power);
        }
        Ok(())
    }

    fn work(&mut self) -> Result<(), Violation> {
        for _ in 0..self.rng.between(1, self.plan.actions) {
            if self.process.is_none() {
                break;
            }
            self.act()?;
            self.pump()?;
            for _ in 0..self.rng.magnitude(1, 60) {
                if self.process.is_none() || !self.step()? {
                    break;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn pick_log(&mut self) -> Option<LogId> {
        let alive = self.oracle.logs().filter(|truth| truth.is_alive());
        let alive: Vec<LogId> = alive.map(|truth| truth.id()).collect();
        (!alive.is_empty()).then(|| *self.rng.pick(&alive))
    }

    /// One thing that a user does.
    fn act(&mut self) -> Result<(), Violation> {
        if self.plan.faults.capacity.is_some() && self.rng.chance(1, 8) {
            // Somebody else fills the disk, or makes room.
            match self.rng.chance(2, 3) {
                true => self.disk.leave_free(self.rng.magnitude(1, 400) << 10),
                false => self.disk.faults.capacity = self.plan.faults.capacity,
            }
        }
        let Some(log) = self.pick_log() else {
            let plan = LogPlan::draw(&mut self.rng);
            self.create_log(plan);
            return Ok(());
        };
        match self.rng.below(100) {
            0..60 => self.burst(log),
            60..78 => self.read_somewhere(log),
            78..82 => {
                let wall = self.now().wall.0;
                let timestamp = wall - self.rng.magnitude(1, 5_000) as i64;
                if self.oracle.log(log).kind() == LogKind::Topic {
                    self.look_up(log, timestamp)?;
                }
                Ok(())
            }
            82..86 => {
                self.trim(log);
                Ok(())
            }
            86..88 => {
                self.drop_log(log);
                let plan = LogPlan::draw(&mut self.rng);
                self.create_log(plan);
                Ok(())
            }
            88..92 => {
                self.snapshot(log);
                Ok(())
            }
            92..97 => {
                let rest = self.rng.magnitude(100_000, 3_000_000_000);
                self.pass(rest)
            }
            _ => self.settle(),
        }
    }

    pub(crate) fn burst(&mut self, log: LogId) -> Result<(), Violation> {
        let plan = self.logs[log.0 as usize];
        for _ in 0..self.rng.between(1, plan.burst) {
            let len = self.rng.magnitude(plan.sizes.0, plan.sizes.1) as usize;
            let weaker = plan.weaker > 0 && self.rng.chance(1, plan.weaker);
            let level = if weaker {
                Level::Written
            } else {
                Level::Synced
            };
            self.append(log, len, level)?;
        }
        Ok(())
    }

    pub(crate) fn read_somewhere(&mut self, log: LogId) -> Result<(), Violation> {
        let end = self.oracle.log(log).next().1.0;
        let from = match self.rng.below(3) {
            0 => 0,
            1 => end.saturating_sub(self.rng.magnitude(1, 20)),
            _ => self.rng.between(0, end),
        };
        let follow = self.rng.chance(1, 2);
        self.read(log, Offset(from), follow)
    }

    pub(crate) fn trim(&mut self, log: LogId) {
        let truth = self.oracle.log(log);
        if truth.kind() != LogKind::Topic || truth.is_memory_only() {
            return;
        }
        let end = truth.next().1.0;
        let before = Offset(self.rng.between(0, end));
        self.trim_to(log, before);
    }

    /// Waits until all is acknowledged and answered.
    pub(crate) fn settle(&mut self) -> Result<(), Violation> {
        let faults = &self.plan.faults;
        let process = self.process.as_ref();
        // The records of a stopped log stay in the ring, and may leave too little of one so small.
        let pinned = process.is_some_and(|process| !process.stopped.is_empty());
        if faults.journal_errors > 0 || pinned {
            return self.pass(1_000_000_000);
        }
        if faults.lack_space() {
            return self.resume();
        }
        self.wait("everything handed in is acknowledged", |world| {
            let process = world.process.as_ref().expect("a process runs");
            process.is_settled(world.oracle.logs())
        })
    }

    /// There is space again: without a start in between, everything that was taken is
    /// acknowledged, everything that was refused is taken, and the store says that it is so.
    fn resume(&mut self) -> Result<(), Violation> {
        let faults = self.disk.faults;
        (self.disk.faults.capacity, self.disk.faults.refusals) = (None, 0);
        self.wait("producing resumes when there is space", |world| {
            let process = world.process.as_ref().expect("a process runs");
            let full = process
                .cores
                .iter()
                .any(|core| core.store.stats().disk.is_short());
            // What stopped meanwhile, by another fault, may keep a small ring full.
            (process.is_settled(world.oracle.logs()) && !full) || !process.stopped.is_empty()
        })?;
        self.counters.resumptions += 1;
        self.disk.faults = faults;
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Violation> {
        let now = self.now();
        let process = self.process.as_mut().expect("a process runs");
        process.stopping = true;
        for core in &mut process.cores {
            core.waiting.clear();
            core.store.begin_stop(now);
        }
        self.pump()?;
        self.wait("the stop finishes", |world| {
            let process = world.process.as_ref().expect("a process runs");
            process.cores.iter().all(|core| core.flushed)
        })
    }

    /// Reads every log from its start to its durable end.
    fn read_everything(&mut self) -> Result<(), Violation> {
        let alive = self
            .oracle
            .logs()
            .filter(|truth| truth.is_alive() && truth.kind() == LogKind::Topic);
        let logs: Vec<LogId> = alive.map(|truth| truth.id()).collect();
        for log in logs {
            self.read(log, Offset(0), true)?;
            self.pump()?;
        }
        Ok(())
    }
}
