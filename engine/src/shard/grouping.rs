//! Coordinators of groups with their logs: calls, what is due, and answers, which leave when all that the log
//! had ordered by then is durable.
//!
//! A call that finds the journal full waits in the line of batches, and nothing of it has happened; one that leaves no
//! trace, a heartbeat above all, never stands there. What is due and finds no room is tried again when there is some.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leveret_storage::io::BufPool;
use leveret_storage::store::{AppendError, Frontiers, NewEntry};
use leveret_storage::types::{Level, LogId, Mono, Now};

use super::hosted::{Ask, Hosted, Line, Waiting};
use super::log::frontiers_of;
use super::reply::{Reply, RequestId};
use super::{Replies, Shard};
use crate::error::EngineError;
use crate::group::{Answer, Coordinator, Due, GroupCall, Plan};

/// Coordinators of which something is due that are looked at in one call.
const LOOKED_AT: usize = 8;
/// Slices of what is due, and plans of it, that one of them gets then.
const SLICES: usize = 4;

/// A coordinator with its log, and answers that wait for that.
pub(super) type HostedGroups = Hosted<Coordinator, Answer>;

/// A call to a coordinator.
pub(super) struct GroupAsk {
    pub(super) request: RequestId,
    pub(super) log: LogId,
    call: Box<GroupCall>,
}

/// What the coordinators of a core have in common.
#[derive(Default)]
pub(super) struct Grouping {
    /// Those of which something will be due, the first to come first.
    deadlines: BTreeSet<(Mono, LogId)>,
    /// When, of each of those.
    armed: BTreeMap<LogId, Mono>,
    /// Those of which something is due that found no room.
    stuck: BTreeSet<LogId>,
    /// Which coordinator a call waits in.
    waiting: BTreeMap<RequestId, LogId>,
}

/// Why what was planned did not happen.
enum NotPlaced {
    /// There is no room now.
    NoRoom,
    Failed(EngineError),
}

impl Grouping {
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Whether something is due.
    pub(super) fn has_work(&self, now: Mono) -> bool {
        self.next_deadline().is_some_and(|at| at <= now)
    }

    /// A call does not wait any more: it failed with its log.
    pub(super) fn forget(&mut self, request: RequestId) {
        self.waiting.remove(&request);
    }

    fn arm(&mut self, log: LogId, at: Option<Mono>) {
        let before = match at {
            Some(at) => self.armed.insert(log, at),
            None => self.armed.remove(&log),
        };
        if let Some(before) = before {
            self.deadlines.remove(&(before, log));
        }
        if let Some(at) = at {
            self.deadlines.insert((at, log));
        }
    }
}

impl GroupAsk {
    /// Bytes that it holds, about.
    pub(super) fn len(&self) -> usize {
        self.call.size()
    }
}

impl<P: BufPool> Ask<P> for GroupAsk {
    const LINE: Line = Line::Data;

    fn carry_out(self, shard: &mut Shard<P>, now: Now) -> Result<(), Self> {
        match shard.call_coordinator(&self, true, now) {
            true => Ok(()),
            false => Err(self),
        }
    }
}

impl HostedGroups {
    /// Answers leave that the frontiers have passed.
    pub(super) fn answer_calls(&mut self, frontiers: &Frontiers, replies: &mut Replies) {
        while let Some((request, answer)) = self.release(frontiers) {
            replies.push_back((request, Reply::Group(answer)));
        }
    }

    /// As [`Hosted::stop`], with those who wait in the coordinator.
    pub(super) fn stop_calls(
        &mut self,
        reason: &Arc<str>,
        frontiers: &Frontiers,
    ) -> Vec<RequestId> {
        let mut lost = self.stop(reason, frontiers);
        self.machine.begin_stop();
        while let Some((request, _)) = self.machine.poll_answer() {
            lost.push(request);
        }
        lost
    }
}

impl<P: BufPool> Shard<P> {
    /// Asks the coordinator of that log. The answer is a [`Reply::Group`], which may wait for others of the
    /// group; [`Shard::cancel`] ends that.
    pub fn ask_group(&mut self, request: RequestId, log: LogId, call: GroupCall, now: Now) {
        self.now = now;
        if self.stopping {
            return self.fail(request, EngineError::Stopping);
        }
        let call = Box::new(call);
        let ask = GroupAsk { request, log, call };
        let may_append = self.parked.is_empty(Line::Data);
        if !self.call_coordinator(&ask, may_append, now) {
            self.park(ask, now);
        }
        self.drain();
    }

    /// Whether the call was taken: else it has to stand in the log, and finds no room or would overtake others.
    fn call_coordinator(&mut self, ask: &GroupAsk, may_append: bool, now: Now) -> bool {
        let (request, log) = (ask.request, ask.log);
        let Some(hosted) = self.hosted.groups_mut(log) else {
            self.fail(request, EngineError::UnknownLog);
            return true;
        };
        if let Some(reason) = &hosted.stopped {
            let reason = reason.to_string();
            self.fail(request, EngineError::LogStopped { reason });
            return true;
        }
        let placed = match hosted.machine.ask(request, &ask.call, now) {
            Some(_) if !may_append => return false,
            Some(plan) => self.place_plan(log, plan, now),
            None => Ok(()),
        };
        match placed {
            // Until it is answered, which may be at once.
            Ok(()) => drop(self.grouping.waiting.insert(request, log)),
            Err(NotPlaced::NoRoom) => return false,
            Err(NotPlaced::Failed(error)) => self.fail(request, error),
        }
        self.look_after(log, now);
        true
    }

    /// Appends what was planned, applies it, and carries out the rest.
    fn place_plan(&mut self, log: LogId, plan: Plan, now: Now) -> Result<(), NotPlaced> {
        let hosted = self.hosted.groups_mut(log).expect("it has planned");
        for entry in &plan.entries {
            let ordered = frontiers_of(&self.store, log).ordered;
            let new = NewEntry {
                term: hosted.term,
                time: now.wall,
                first_offset: ordered.1,
                offsets: 0,
                max_timestamp: i64::MIN,
                bytes: entry.encode(),
                sum: None,
            };
            let placed = hosted.append(&mut self.store, log, (new, entry), Level::Synced, now);
            placed.map_err(|error| match error {
                AppendError::Full => NotPlaced::NoRoom,
                AppendError::DiskFloor => NotPlaced::Failed(EngineError::DiskFull),
                AppendError::Stopped | AppendError::TooLarge | AppendError::UnknownLog => {
                    let reason = format!("the log of groups takes no entries: {error}");
                    NotPlaced::Failed(EngineError::LogStopped { reason })
                }
            })?;
        }
        hosted.machine.carry_out(plan.then, now);
        Ok(())
    }

    /// Does some of what is due of a coordinator, takes its answers, and sees when to look again.
    fn look_after(&mut self, log: LogId, now: Now) {
        for _ in 0..SLICES {
            if self.stopping || self.grouping.stuck.contains(&log) {
                break;
            }
            let hosted = self.hosted.groups_mut(log).expect("of this core");
            match hosted.machine.due(now) {
                Due::Idle => break,
                Due::More => {}
                Due::Plan(plan) => {
                    if self.place_plan(log, plan, now).is_err() {
                        self.grouping.stuck.insert(log);
                    }
                }
            }
        }
        let until = frontiers_of(&self.store, log).ordered;
        let hosted = self.hosted.groups_mut(log).expect("of this core");
        while let Some((request, then)) = hosted.machine.poll_answer() {
            self.grouping.waiting.remove(&request);
            hosted.wait(Waiting {
                request,
                level: Level::Synced,
                until,
                then,
            });
        }
        self.arm_coordinator(log);
        // What stands in no log has no frontier event of its own.
        self.release(log);
    }

    /// Sees when something is due of the machine of that log, if it is a coordinator.
    pub(super) fn arm_coordinator(&mut self, log: LogId) {
        let rests = self.stopping || self.grouping.stuck.contains(&log);
        if let Some(hosted) = self.hosted.groups_mut(log) {
            let at = hosted.machine.next_deadline().filter(|_| !rests);
            self.grouping
                .arm(log, at.filter(|_| hosted.stopped.is_none()));
        }
    }

    /// Does some of what is due of groups.
    pub(super) fn work_at_groups(&mut self, now: Now) {
        for _ in 0..LOOKED_AT {
            match self.grouping.deadlines.first() {
                Some(&(at, log)) if at <= now.mono => self.look_after(log, now),
                _ => return,
            }
        }
    }

    /// There may be room for what was due.
    pub(super) fn retry_coordinators(&mut self, now: Now) {
        for log in std::mem::take(&mut self.grouping.stuck) {
            self.look_after(log, now);
        }
    }

    /// Nobody waits for that call any more, if it waits in a group.
    pub(super) fn cancel_group_call(&mut self, request: RequestId) {
        let Some(log) = self.grouping.waiting.remove(&request) else {
            return;
        };
        let now = self.now;
        if let Some(hosted) = self.hosted.groups_mut(log) {
            hosted.machine.gone(request, now);
            self.look_after(log, now);
        }
    }

    /// Whoever waits in a group is told that the broker stops.
    pub(super) fn stop_coordinators(&mut self) {
        let now = self.now;
        for log in self.hosted.groups() {
            if let Some(hosted) = self.hosted.groups_mut(log) {
                hosted.machine.begin_stop();
            }
            self.look_after(log, now);
        }
    }
}
