//! Users that alter and delete logs all the time, above all while something of theirs is under
//! way, on a process that is often killed.
//!
//! Segments are small and limits tight, so that each log has many indexes that nobody has read
//! since the start, and retention has to read them one after the other.

use leveret_storage::store::LogSettings;
use leveret_storage::types::{Level, LogId, LogKind};

use crate::plan::{LogPlan, Plan, Workload};
use crate::rng::Rng;
use crate::violation::Violation;
use crate::world::World;

/// Logs that live at the same time, at most.
const MOST_LOGS: usize = 8;

/// Makes the plan of a run one of this kind.
pub(crate) fn shape(plan: &mut Plan, rng: &mut Rng) {
    plan.workload = Workload::Churn;
    plan.lives = rng.between(30, 50);
    plan.actions = 60;
    plan.interrupts.one_in = 8;
    plan.logs = (0..rng.between(2, 6)).map(|_| draw(rng)).collect();
}

fn draw(rng: &mut Rng) -> LogPlan {
    let mut plan = LogPlan::draw(rng);
    if plan.kind == LogKind::Topic {
        (plan.sizes, plan.burst) = ((64, rng.magnitude(500, 6_000)), rng.between(4, 16));
        limit(&mut plan.settings, rng);
    }
    plan.weaker = rng.between(0, 3);
    plan
}

/// Draws limits that are soon reached.
fn limit(settings: &mut LogSettings, rng: &mut Rng) {
    settings.segment_bytes = rng.magnitude(4, 32) << 10;
    settings.segment_ms = rng.magnitude(100, 10_000);
    let bytes = rng.magnitude(4, 64) << 10;
    settings.retention_bytes = rng.chance(3, 4).then_some(bytes);
    let ms = rng.magnitude(50, 5_000);
    settings.retention_ms = rng.chance(1, 3).then_some(ms);
}

impl World {
    /// What users do with a process before it ends: often nothing, often little.
    pub(crate) fn churn(&mut self) -> Result<(), Violation> {
        if self.rng.chance(1, 8) {
            return Ok(());
        }
        if self.rng.chance(1, 3)
            && let Some(log) = self.pick_log()
        {
            // Nothing is known yet of what the log holds.
            self.delete_amid(log)?;
        }
        for _ in 0..self.rng.magnitude(1, self.plan.actions) {
            if self.process.is_none() {
                break;
            }
            self.meddle()?;
            self.pump()?;
            self.steps(40)?;
        }
        Ok(())
    }

    /// Lets up to `most` things happen, mostly few.
    fn steps(&mut self, most: u64) -> Result<(), Violation> {
        for _ in 0..self.rng.magnitude(1, most) {
            if self.process.is_none() || !self.step()? {
                break;
            }
        }
        Ok(())
    }

    /// One thing that a user does.
    fn meddle(&mut self) -> Result<(), Violation> {
        let Some(log) = self.pick_log() else {
            let plan = draw(&mut self.rng);
            self.create_log(plan);
            return Ok(());
        };
        match self.rng.below(20) {
            0..7 => self.burst(log),
            7..12 => self.ask_something(log),
            12..15 => self.alter_somehow(log),
            15..17 => self.delete_amid(log),
            17 => {
                self.make_another();
                Ok(())
            }
            18 => {
                let rest = self.rng.magnitude(100_000, 3_000_000_000);
                self.pass(rest)
            }
            _ => {
                self.snapshot(log);
                match self.rng.chance(1, 4) {
                    true => self.settle(),
                    false => Ok(()),
                }
            }
        }
    }

    /// Somebody wants something of the log that may need its files.
    fn ask_something(&mut self, log: LogId) -> Result<(), Violation> {
        if self.oracle.log(log).kind() == LogKind::Machine {
            return Ok(());
        }
        match self.rng.below(8) {
            0..3 => self.expire(log),
            3 => self.trim(log),
            4..6 => {
                let wall = self.now().wall.0;
                let timestamp = wall - self.rng.magnitude(1, 10_000) as i64;
                self.look_up(log, timestamp)?;
            }
            _ => self.read_somewhere(log)?,
        }
        Ok(())
    }

    fn alter_somehow(&mut self, log: LogId) -> Result<(), Violation> {
        let mut settings = self.logs[log.0 as usize].settings;
        limit(&mut settings, &mut self.rng);
        if settings.level != Level::Memory {
            settings.level = *self.rng.pick(&[Level::Synced, Level::Written]);
        }
        self.alter_log(log, settings)?;
        if self.rng.chance(2, 3) {
            self.expire(log);
        }
        Ok(())
    }

    /// Deletes a log in the midst of whatever was just begun with it; mostly another one follows.
    fn delete_amid(&mut self, log: LogId) -> Result<(), Violation> {
        for _ in 0..self.rng.between(0, 3) {
            self.ask_something(log)?;
        }
        if self.rng.chance(1, 2) {
            self.burst(log)?;
        }
        // What was asked is issued, or comes in part, or nothing of it happens before.
        match self.rng.below(3) {
            0 => {}
            1 => self.pump()?,
            _ => self.steps(12)?,
        }
        if self.process.is_none() {
            return Ok(());
        }
        self.drop_log(log);
        if self.rng.chance(9, 10) {
            self.make_another();
        }
        Ok(())
    }

    fn make_another(&mut self) {
        let alive = self.oracle.logs().filter(|truth| truth.is_alive());
        if alive.count() < MOST_LOGS {
            let plan = draw(&mut self.rng);
            self.create_log(plan);
        }
    }
}
