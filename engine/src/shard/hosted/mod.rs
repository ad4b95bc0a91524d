//! A machine with its log on this core: an entry is applied when it is appended, and its answer
//! waits until the log's frontier has passed it.
//!
//! Every kind of machine is hosted alike, and [`tenants`] is the list of the kinds. It does not
//! know what a command means, nor what becomes of an answer.

mod orders;
mod parked;
mod tenants;

use std::collections::VecDeque;
use std::sync::Arc;

use leveret_storage::io::BufPool;
use leveret_storage::store::{AppendError, Frontiers, NewEntry, Store};
use leveret_storage::types::{EntryMeta, Level, LogId, Now, Offset, Ordinal, Term};

use super::log::at_level;
use super::reply::RequestId;
use crate::machine::Machine;

pub(super) use orders::{Order, Served};
pub(super) use parked::{Ask, Line, Parked};
pub(super) use tenants::{Asked, Tenant, Tenants};

/// A machine, and what is to leave once its entries are durable: of each a `T`.
pub(super) struct Hosted<M: Machine, T = <M as Machine>::Entry> {
    /// As far as its log is ordered, ahead of what is durable.
    pub(super) machine: M,
    pub(super) term: Term,
    pub(super) stopped: Option<Arc<str>>,
    /// In the order in which it leaves, which is that of the entries.
    waiting: VecDeque<Waiting<T>>,
}

/// What leaves when the log has come as far as `until`, in the sense of `level`.
pub(super) struct Waiting<T> {
    pub(super) request: RequestId,
    pub(super) level: Level,
    pub(super) until: (Ordinal, Offset),
    pub(super) then: T,
}

impl<T> Waiting<T> {
    fn is_due(&self, frontiers: &Frontiers) -> bool {
        let (ordinal, offset) = at_level(frontiers, self.level);
        self.until.0 <= ordinal && self.until.1 <= offset
    }
}

impl<M: Machine, T> Hosted<M, T> {
    pub(super) fn new(machine: M, term: Term) -> Self {
        Self {
            machine,
            term,
            stopped: None,
            waiting: VecDeque::new(),
        }
    }

    /// Appends what was decided, and applies it: nothing is applied that has no place in the log.
    ///
    /// # Errors
    /// [`AppendError`]: nothing has happened.
    pub(super) fn append<P: BufPool>(
        &mut self,
        store: &mut Store<P>,
        log: LogId,
        (new, entry): (NewEntry, &M::Entry),
        level: Level,
        now: Now,
    ) -> Result<EntryMeta, AppendError> {
        let mut meta = EntryMeta {
            ordinal: Ordinal(0),
            term: new.term,
            time: new.time,
            first_offset: new.first_offset,
            offsets: new.offsets,
            max_timestamp: new.max_timestamp,
            len: u32::try_from(new.bytes.len()).expect("entries are bounded below 2^31"),
        };
        meta.ordinal = store.append(log, new, level, now)?;
        self.machine.apply(&meta, entry);
        Ok(meta)
    }

    pub(super) fn wait(&mut self, waiting: Waiting<T>) {
        self.waiting.push_back(waiting);
    }

    /// How many wait for their frontier.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether something is to leave.
    pub(super) fn is_due(&self, frontiers: &Frontiers) -> bool {
        let first = self.waiting.front();
        first.is_some_and(|first| first.is_due(frontiers))
    }

    /// What leaves next, if the frontiers have passed it. Nothing leaves before what was decided before it,
    /// also where levels are mixed.
    pub(super) fn release(&mut self, frontiers: &Frontiers) -> Option<(RequestId, T)> {
        let due = self.is_due(frontiers);
        let first = due.then(|| self.waiting.pop_front())??;
        if self.waiting.is_empty() {
            // An idle log keeps no buffer.
            self.waiting.shrink_to(16);
        }
        Some((first.request, first.then))
    }

    /// The log takes nothing more: the requests whose entries will not become durable.
    pub(super) fn stop(&mut self, reason: &Arc<str>, frontiers: &Frontiers) -> Vec<RequestId> {
        self.stopped = Some(Arc::clone(reason));
        let mut waiting = self.waiting.iter();
        let kept = waiting.position(|waiting| !waiting.is_due(frontiers));
        let lost = self.waiting.drain(kept.unwrap_or(self.waiting.len())..);
        lost.map(|waiting| waiting.request).collect()
    }

    /// The log is no more: the requests that wait for it.
    pub(super) fn take_waiting(&mut self) -> Vec<RequestId> {
        let waiting = self.waiting.drain(..);
        waiting.map(|waiting| waiting.request).collect()
    }
}
