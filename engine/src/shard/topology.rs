//! Commands to the topology on core 0: decide, append to log 0, answer when durable.

use leveret_storage::io::BufPool;
use leveret_storage::store::{AppendError, NewEntry};
use leveret_storage::types::{Level, Mono, Now, Offset, Term};

use super::Shard;
use super::control::{Control, ParkedChange};
use super::log::frontiers_of;
use super::reply::{Reply, RequestId};
use crate::error::EngineError;
use crate::topology::{Command, TOPOLOGY_LOG, Topology, TopologyEntry};

impl<P: BufPool> Shard<P> {
    /// The topology as far as it is ordered: what [`Shard::submit`] decides by. `None` on other
    /// cores than 0. After [`Shard::open`] all of it is durable.
    #[must_use]
    pub fn topology(&self) -> Option<&Topology> {
        self.control.as_ref().map(|control| &control.topology)
    }

    /// Changes the topology. [`Shard::poll_change`] gives the change when it is durable, in the order of the commands; then every core has to
    /// install it.
    ///
    /// # Panics
    /// On another core than 0.
    pub fn submit(&mut self, request: RequestId, command: &Command, now: Now) {
        self.now = now;
        if self.stopping {
            return self.fail(request, EngineError::Stopping);
        }
        let change = ParkedChange {
            deadline: now.mono.after(self.settings.parked_ns),
            request,
            command: command.clone(),
        };
        // Changes overtake no other, but batches that wait for space: one that deletes makes some.
        let refused = match self.control().parked() {
            0 => self.change(change, now),
            _ => Some(change),
        };
        if let Some(change) = refused {
            let most = self.settings.parked_requests;
            if !self.control().park(change, most) {
                self.fail(request, EngineError::Overloaded);
            }
        }
        self.drain();
    }

    fn control(&mut self) -> &mut Control {
        self.control.as_mut().expect("the topology is on core 0")
    }

    /// Decides a command and appends what comes of it, or answers why not; gives it back if the journal
    /// has no room.
    fn change(&mut self, change: ParkedChange, now: Now) -> Option<ParkedChange> {
        let request = change.request;
        let decided = self.control().topology.decide(&change.command, now.wall);
        let entry = match decided {
            Ok(entry) => entry,
            Err(refusal) => {
                self.fail(request, refusal.into());
                return None;
            }
        };
        let new = NewEntry {
            term: Term::default(),
            time: now.wall,
            first_offset: Offset(0),
            offsets: 0,
            max_timestamp: i64::MIN,
            bytes: entry.encode(),
            sum: None,
        };
        match self.store.append(TOPOLOGY_LOG, new, Level::Synced, now) {
            Ok(ordinal) => self.control().ordered(ordinal, request, entry),
            Err(error) => match refused(error) {
                Some(error) => self.fail(request, error),
                None => return Some(change),
            },
        }
        None
    }

    /// There is room in the journal again, for some at least.
    pub(super) fn retry_changes(&mut self, now: Now) {
        while let Some(change) = self.pop_parked_change(None) {
            if let Some(change) = self.change(change, now) {
                return self.control().put_back(change);
            }
        }
    }

    /// Refuses commands that have waited for space too long.
    pub(super) fn give_up_changes(&mut self, now: Now) {
        while let Some(change) = self.pop_parked_change(Some(now.mono)) {
            self.fail(change.request, EngineError::Overloaded);
        }
    }

    /// Refuses all commands that wait for space.
    pub(super) fn refuse_changes(&mut self, error: &EngineError) {
        while let Some(change) = self.pop_parked_change(None) {
            self.fail(change.request, error.clone());
        }
    }

    fn pop_parked_change(&mut self, due: Option<Mono>) -> Option<ParkedChange> {
        self.control.as_mut()?.pop_parked(due)
    }

    /// The next change that has become durable, and who asked for it. They wait here until they are
    /// taken: one commit may bring tens of thousands, and each means work on every core.
    pub fn poll_change(&mut self) -> Option<(RequestId, TopologyEntry)> {
        let control = self.control.as_mut().filter(|control| !control.is_idle())?;
        control.pop_durable(frontiers_of(&self.store, TOPOLOGY_LOG).durable.0)
    }

    /// Whether [`Shard::poll_change`] has something to give.
    #[must_use]
    pub fn has_change(&self) -> bool {
        let control = self.control.as_ref().filter(|control| !control.is_idle());
        let durable = || frontiers_of(&self.store, TOPOLOGY_LOG).durable.0;
        control.is_some_and(|control| control.has_durable(durable()))
    }

    pub(super) fn stop_topology(&mut self, error: &EngineError) {
        self.refuse_changes(error);
        if let Some(control) = &mut self.control {
            let durable = frontiers_of(&self.store, TOPOLOGY_LOG).durable.0;
            for request in control.give_up(durable) {
                self.replies
                    .push_back((request, Reply::Failed(error.clone())));
            }
        }
    }
}

/// What an append was refused for; `None` if the journal has no room for it now.
fn refused(error: AppendError) -> Option<EngineError> {
    Some(match error {
        AppendError::Full => return None,
        AppendError::DiskFloor => EngineError::DiskFull,
        AppendError::Stopped | AppendError::TooLarge | AppendError::UnknownLog => {
            EngineError::LogStopped {
                reason: format!("the topology's log takes no entries: {error}"),
            }
        }
    })
}
