//! Appends: an entry gets its ordinal and its place in memory, and journal space is granted to it.
//! Nothing is written here.

use crate::checksum::{WORTH_JOINING, crc};
use crate::format::record::{entry_len, prefix_len};
use crate::io::BufPool;
use crate::store::Store;
use crate::store::api::{AppendError, NewEntry};
use crate::store::journal::ring::LogKey;
use crate::store::log::{placing::Urgency, tail::TailEntry};
use crate::store::segments::files::Segment;
use crate::store::segments::start::fresh_files;
use crate::types::{EntryMeta, Level, LogId, Now, Ordinal};

impl<P: BufPool> Store<P> {
    /// Gives an entry its place at the end of the log and takes it into memory. How far it has
    /// come is told by [`Store::frontiers`], when [`crate::store::Event::Frontier`] says that they moved.
    /// What an acknowledgement may promise is the weaker of `level` and the log's level.
    ///
    /// # Errors
    /// [`AppendError`]; nothing has happened then.
    ///
    /// # Panics
    /// If `entry.first_offset` is not the log's next offset, the entry is empty or shorter than what its
    /// sum leaves out.
    pub fn append(
        &mut self,
        log: LogId,
        entry: NewEntry,
        level: Level,
        now: Now,
    ) -> Result<Ordinal, AppendError> {
        self.turn.now = now;
        let key = self.logs.key(log).ok_or(AppendError::UnknownLog)?;
        let len = entry.bytes.len();
        assert!(len > 0, "an entry has bytes");
        let state = &self.logs[key];
        assert_eq!(
            entry.first_offset, state.at.ordered.1,
            "entry does not continue its log"
        );
        if state.is_stopped()
            || state.removal.is_some()
            || self.phase.is_stopping()
            || self.phase.is_failed()
        {
            return Err(AppendError::Stopped);
        }
        if len > self.config.max_entry_bytes {
            return Err(AppendError::TooLarge);
        }
        // What is replayed of it has to fit a commit, whatever becomes of the rest.
        let least = match state.class.files {
            true => prefix_len(state.class.replay.of(&entry.bytes).len()),
            false => entry_len(len),
        };
        if least > self.journal.ring.record_limit() {
            return Err(AppendError::TooLarge);
        }
        let level = level.min(state.settings.level);
        if state.settings.level == Level::Memory {
            self.stats.appends += 1;
            let ordinal = self.push_entry(key, &entry);
            self.advance_memory_log(key);
            return Ok(ordinal);
        }
        let granted = self.take_room(key, len)?;
        self.stats.appends += 1;
        let ordinal = self.push_entry(key, &entry);
        let urgency = match level {
            Level::Synced => Urgency::Commit,
            Level::Written | Level::Memory => Urgency::Leisure,
        };
        let state = &mut self.logs[key];
        state.placing.add(len, granted, urgency);
        if !state.placing.is_bulk() {
            self.commits.lines.pending_inline += len;
        }
        if state.class.files {
            self.memory.add_dirty(key, &mut self.logs);
        }
        self.queue_ready(key);
        Ok(ordinal)
    }

    /// Takes room in the journal for an entry of `len` bytes; how much was granted.
    fn take_room(&mut self, key: LogKey, len: usize) -> Result<u64, AppendError> {
        if self.space.is_short() && !self.logs[key].class.passes_floor {
            self.reclaim.await_space();
            return Err(AppendError::DiskFloor);
        }
        let grant = self.journal.ring.grant_for(len);
        if !self.journal.ring.may_grant(grant) {
            self.reclaim.refused(grant);
            self.turn.stir();
            self.stats.full += 1;
            return Err(AppendError::Full);
        }
        self.journal.ring.grant(grant);
        self.take_space(len as u64);
        self.reclaim.renew_rescues();
        Ok(grant)
    }

    /// Takes the entry into memory, in the log's present segment or in a new one.
    fn push_entry(&mut self, key: LogKey, entry: &NewEntry) -> Ordinal {
        let generation = self.journal.id.generation;
        let now = self.turn.now;
        let state = &mut self.logs[key];
        let len = entry.bytes.len() as u64;
        let ordinal = state.at.ordered.0;
        let has_files = state.class.files && state.settings.level != Level::Memory;
        if has_files {
            let full = state.segmented.next_pos > 0
                && state.segmented.next_pos + len > state.segment_bytes();
            if full && !state.segmented.roll {
                state.end_segment();
            }
            if state.segmented.files.is_none() {
                state.segmented.files = Some(Box::new(fresh_files(state)));
            }
            let next = state.at.ordered;
            let files = state.segmented.files.as_mut().expect("just made");
            if state.segmented.roll {
                state.segmented.next_pos = 0;
                files
                    .segments
                    .push_back(Segment::new(next, generation, now.wall));
            }
            let segment = files.segments.back_mut().expect("an open segment");
            segment.bytes += len;
            segment.max_timestamp = segment.max_timestamp.max(Some(entry.max_timestamp));
        }
        let rolled = has_files && std::mem::replace(&mut state.segmented.roll, false);
        let meta = EntryMeta {
            ordinal,
            term: entry.term,
            time: entry.time,
            first_offset: entry.first_offset,
            offsets: entry.offsets,
            max_timestamp: entry.max_timestamp,
            len: u32::try_from(entry.bytes.len()).expect("bounded by max_entry_bytes"),
        };
        assert!(entry.term >= state.term, "terms never fall");
        state.term = entry.term;
        let pos = state.segmented.next_pos;
        state.segmented.next_pos += len;
        state.at.ordered = (ordinal.plus(1), meta.next_offset());
        let known = entry.sum.filter(|_| entry.bytes.len() >= WORTH_JOINING);
        let sum = known.map(|known| known.whole(&entry.bytes));
        debug_assert!(sum.is_none_or(|sum| sum == crc(&entry.bytes)));
        let bytes = state.tail.keep(&entry.bytes);
        let size = state.tail.push(TailEntry {
            meta,
            pos,
            bytes,
            sum,
        });
        self.memory.took(state.settings.level, size);
        if rolled {
            // The segment before may be one too many.
            self.look_soon(key);
        }
        ordinal
    }

    /// A log of level `memory` is as durable as it gets; its oldest entries make room.
    fn advance_memory_log(&mut self, key: LogKey) {
        self.bound_volatile(key);
        let state = &mut self.logs[key];
        state.placing.next = state.at.ordered.0;
        state.at.written = state.at.ordered;
        state.at.durable = state.at.ordered;
        self.queue_frontier(key);
    }
}

impl crate::store::log::LogState {
    /// The present segment ends here; the next entry begins a new one.
    pub(crate) fn end_segment(&mut self) {
        let next = self.at.ordered;
        if let Some(segment) = self
            .segmented
            .files
            .as_mut()
            .and_then(|files| files.segments.back_mut())
            && segment.end.is_none()
        {
            segment.end = Some((next.0, Some(next.1)));
        }
        self.segmented.roll = true;
    }
}
