//! Fetches that are under way: how much each may still read, what it has, and whether that is
//! enough. Decides; reads nothing itself.

use std::collections::BTreeSet;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_record::BatchError;
use leveret_storage::store::ReadToken;
use leveret_storage::types::{LogId, Mono, Now, Offset};
use slab::Slab;

use super::reply::{FetchSpec, FetchWork, RequestId};
use super::trim::Batches;
use crate::error::EngineError;

/// Slot of a fetch in [`Fetches`]; every mark of it elsewhere is removed with it.
pub(super) type FetchKey = usize;

/// One fetch.
pub(super) struct Fetch {
    pub(super) request: RequestId,
    pub(super) parts: Vec<Part>,
    pub(super) deadline: Mono,
    /// Whether each waiting part stands in its log's `readers`.
    pub(super) registered: bool,
    min_bytes: usize,
    /// Bytes that may still be asked for.
    budget: usize,
    got: usize,
    pending: usize,
    work: FetchWork,
    /// The part whose first batch comes whole.
    whole: Whole,
    /// A part waits for its share until what others leave of theirs shows.
    postponed: bool,
    /// The bytes of all did not suffice for a part.
    cut: bool,
    /// An error, the deadline or the caller says that there is no more waiting.
    hurried: bool,
}

/// Which part's first batch may be larger than every bound.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Nobodys,
    /// The first's that turns out to have records.
    TheFirsts,
    Of(usize),
}

/// One partition of a fetch.
pub(super) struct Part {
    pub(super) log: LogId,
    /// The offset to read on from.
    pub(super) next: Offset,
    /// What was asked for.
    pub(super) asked: Offset,
    pub(super) chunks: Vec<Bytes>,
    pub(super) error: Option<EngineError>,
    /// Where the pending read would go on, and how many bytes are set aside for it.
    pub(super) reading: Option<(ReadToken, usize)>,
    /// Bytes counted or read.
    pub(super) got: usize,
    budget: usize,
}

impl Fetch {
    pub(super) fn new(request: RequestId, spec: FetchSpec, now: Now) -> Self {
        let part = |p: super::reply::FetchPartition| Part {
            log: p.log,
            next: p.offset,
            asked: p.offset,
            chunks: Vec::new(),
            error: None,
            reading: None,
            got: 0,
            budget: p.max_bytes.max(1),
        };
        let parts: Vec<Part> = spec.partitions.into_iter().map(part).collect();
        let budget = spec.max_bytes.max(1);
        let obtainable = parts
            .iter()
            .fold(0, |sum: usize, p| sum.saturating_add(p.budget));
        Self {
            request,
            deadline: now.mono.after(spec.max_wait),
            registered: false,
            // More than the bounds allow would be waited for in vain.
            min_bytes: spec.min_bytes.min(budget).min(obtainable),
            parts,
            budget,
            got: 0,
            pending: 0,
            whole: match spec.work {
                FetchWork::Read | FetchWork::Share { first: true } => Whole::TheFirsts,
                FetchWork::Count | FetchWork::Share { first: false } => Whole::Nobodys,
            },
            work: spec.work,
            postponed: false,
            cut: false,
            hurried: spec.max_wait == 0,
        }
    }

    /// How many bytes part `index` may ask for now; `None` if it is not its turn.
    pub(super) fn allowance(&mut self, index: usize) -> Option<usize> {
        let part = &self.parts[index];
        if part.reading.is_some() || part.error.is_some() || self.cut {
            return None;
        }
        let bytes = part.budget.min(self.budget);
        if bytes < part.budget && self.pending > 0 {
            self.postponed = true;
            return None;
        }
        (bytes > 0).then_some(bytes)
    }

    /// Whether it only counts.
    pub(super) fn counts(&self) -> bool {
        self.work == FetchWork::Count
    }

    /// Part `index` has records.
    pub(super) fn has_some(&mut self, index: usize) {
        if self.whole == Whole::TheFirsts {
            self.whole = Whole::Of(index);
        }
    }

    /// Counts so many bytes of part `index`, which go up to `next`.
    pub(super) fn count(&mut self, index: usize, bytes: usize, next: Offset) {
        let part = &mut self.parts[index];
        part.next = next;
        part.got += bytes;
        part.budget = part.budget.saturating_sub(bytes);
        self.got += bytes;
    }

    /// Whether parts may be asked again whose share did not show before; once.
    pub(super) fn take_postponed(&mut self) -> bool {
        self.pending == 0 && std::mem::take(&mut self.postponed)
    }

    /// A read of part `index` is under way.
    pub(super) fn begin_read(&mut self, index: usize, token: ReadToken, bytes: usize) {
        let part = &mut self.parts[index];
        assert!(part.reading.is_none(), "one read per part");
        part.reading = Some((token, bytes));
        self.budget -= bytes;
        self.pending += 1;
    }

    /// The read of part `index` ended, with whatever result: what was set aside comes back.
    pub(super) fn end_read(&mut self, index: usize) {
        let (_, bytes) = self.parts[index]
            .reading
            .take()
            .expect("a read was under way");
        self.budget += bytes;
        self.pending -= 1;
    }

    /// Takes what part `index` has read, as far as it fits.
    ///
    /// # Errors
    /// What was read is no batches.
    pub(super) fn take(&mut self, index: usize, mut data: Batches) -> Result<(), BatchError> {
        let part = &mut self.parts[index];
        let whole = self.whole == Whole::Of(index) && part.chunks.is_empty();
        let most = part.budget.min(self.budget);
        if data.cut_to(most, whole, part.next)? {
            self.cut = self.budget < part.budget;
            part.budget = data.bytes;
        }
        part.next = data.next;
        part.got += data.bytes;
        part.budget = part.budget.saturating_sub(data.bytes);
        self.budget = self.budget.saturating_sub(data.bytes);
        self.got += data.bytes;
        part.chunks.extend(data.chunks);
        Ok(())
    }

    /// Part `index` cannot go on. Where it has records already they are the answer; the next
    /// fetch meets the error.
    pub(super) fn fail(&mut self, index: usize, error: EngineError) {
        let part = &mut self.parts[index];
        part.budget = 0;
        if part.chunks.is_empty() {
            part.error = Some(error);
            if self.whole == Whole::Of(index) {
                self.whole = Whole::TheFirsts;
            }
        }
        self.hurried = true;
    }

    /// No more waiting: whatever is there goes out as soon as no read is under way.
    pub(super) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Whether there is more to read before the reply leaves.
    pub(super) fn wants_more(&self) -> bool {
        self.got < self.min_bytes && !self.hurried && !self.cut
    }

    /// Whether the reply has to leave now.
    pub(super) fn complete(&self) -> bool {
        self.pending == 0 && !self.postponed && !self.wants_more()
    }

    /// Whether its reply leaves now with nothing in it.
    pub(super) fn is_in_vain(&self) -> bool {
        self.got == 0 && self.complete()
    }

    /// Whether it has to be told when logs grow.
    pub(super) fn waits(&self) -> bool {
        self.pending == 0 && self.wants_more()
    }
}

/// All fetches of a shard.
#[derive(Default)]
pub(super) struct Fetches {
    fetches: Slab<Fetch>,
    by_request: HashMap<RequestId, FetchKey, FixedState>,
    deadlines: BTreeSet<(Mono, FetchKey)>,
}

impl Fetches {
    /// # Panics
    /// If a fetch of that id is under way.
    pub(super) fn insert(&mut self, fetch: Fetch) -> FetchKey {
        let request = fetch.request;
        let key = self.fetches.insert(fetch);
        let before = self.by_request.insert(request, key);
        assert!(before.is_none(), "request ids are unique while under way");
        key
    }

    pub(super) fn get_mut(&mut self, key: FetchKey) -> &mut Fetch {
        &mut self.fetches[key]
    }

    /// What a part of a fetch reads; `None` if it was cancelled.
    pub(super) fn place(&self, key: FetchKey, part: u32) -> Option<(LogId, Offset)> {
        let part = self.fetches.get(key)?.parts.get(part as usize)?;
        Some((part.log, part.next))
    }

    pub(super) fn has_part(&self, key: FetchKey, part: usize) -> bool {
        let fetch = self.fetches.get(key);
        fetch.is_some_and(|fetch| part < fetch.parts.len())
    }

    pub(super) fn find(&self, request: RequestId) -> Option<FetchKey> {
        self.by_request.get(&request).copied()
    }

    pub(super) fn remove(&mut self, key: FetchKey) -> Fetch {
        let fetch = self.fetches.remove(key);
        self.by_request.remove(&fetch.request);
        self.deadlines.remove(&(fetch.deadline, key));
        fetch
    }

    /// From now on the fetch is among the expired when its deadline passes.
    pub(super) fn watch(&mut self, key: FetchKey) {
        self.deadlines.insert((self.fetches[key].deadline, key));
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A fetch whose deadline has passed, once.
    pub(super) fn pop_expired(&mut self, now: Mono) -> Option<FetchKey> {
        let (deadline, key) = *self.deadlines.first()?;
        (deadline <= now).then(|| {
            self.deadlines.remove(&(deadline, key));
            key
        })
    }

    pub(super) fn keys(&self) -> Vec<FetchKey> {
        self.fetches.iter().map(|(key, _)| key).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.fetches.len()
    }
}

#[cfg(test)]
mod tests;
