//! Takes over what recovery found: each log with its place in the ring, its snapshot and its tail.

use bytes::Bytes;

use crate::format::record::ENTRY_HEADER;
use crate::io::BufPool;
use crate::recovery::{Lost, RecoveredLog};
use crate::store::Store;
use crate::store::api::Frontiers;
use crate::store::config::LogSettings;
use crate::store::journal::ring::LogKey;
use crate::store::log::held::Run;
use crate::store::log::placing::Placing;
use crate::store::log::snapshots::{Snapshot, SnapshotBody};
use crate::store::log::tail::TailEntry;
use crate::store::log::{Checkpointed, Health, LogState};
use crate::store::segments::files::{Files, Segment};
use crate::types::{CommitSeq, EntryMeta, Ordinal};

impl<P: BufPool> Store<P> {
    pub(crate) fn adopt_log(&mut self, log: RecoveredLog) {
        let class = self.config.classes.of(log.kind);
        let mut state = LogState::new(log.id, log.slot, (log.kind, class), LogSettings::default());
        state.term = log.term;
        state.at = Frontiers {
            start: log.start,
            ordered: log.next,
            written: log.next,
            durable: log.next,
        };
        state.placing = Placing::from(log.next.0);
        state.checkpoint = Checkpointed {
            slot: log.slot,
            upto: log.checkpoint.0,
            start: log.start,
            seq: Some(log.checkpoint_commit),
        };
        state.segmented.flushed = log.checkpoint;
        state.segmented.max_timestamp = log.max_timestamp;
        if let Some(seq) = log.snapshot_commit {
            let (ordinal, bytes) = log.snapshot.expect("the snapshot was cloned, not taken");
            let body = match log.snapshot_file {
                None => SnapshotBody::Inline(bytes),
                Some(file) => SnapshotBody::File {
                    generation: file.generation,
                    len: file.len,
                    crc: file.crc,
                },
            };
            state.snapshots.placed = Some(Box::new(Snapshot { ordinal, body, seq }));
        }
        let has_segments = class.files && log.checkpoint.0 > Ordinal(0);
        if has_segments {
            state.segmented.files = Some(Box::new(Files::new(log.checkpoint, true)));
        }
        let dirty = class.files && !log.tail.is_empty();
        let key = self.logs.insert(state);
        self.journal.ring.add_live(log.checkpoint_commit, key);
        if let Some(seq) = log.snapshot_commit {
            self.journal.ring.add_live(seq, key);
        }
        if let Some((first, last)) = log.replay_commits {
            let upto = Ordinal(log.checkpoint.0.0.saturating_sub(1));
            for seq in first.0..=last.0 {
                self.adopt_run(key, CommitSeq(seq), (Ordinal(0), upto), 0, true);
            }
        }
        for (meta, bytes, seq) in log.tail {
            self.adopt_entry(key, meta, bytes, seq);
        }
        if log.replay_commits.is_some() {
            self.ask_snapshot(key);
        }
        if dirty {
            self.memory.add_dirty(key, &mut self.logs);
        }
        self.stats.logs += 1;
        if let Some(lost) = log.lost {
            self.adopt_lost(key, lost);
        }
    }

    /// A log of which a file is lost takes nothing more; what the ring has of it goes on living
    /// there as it is.
    fn adopt_lost(&mut self, key: LogKey, Lost { reason, kept }: Lost) {
        for record in kept {
            let held = &mut self.logs[key].held;
            let bytes = record.record.len() as u64;
            self.reclaim.remnants.add(held, bytes);
            held.push(Run {
                first: record.first,
                last: record.last,
                seq: record.commit,
                bytes,
                prefix: false,
                record: Some(record.record),
                copied: false,
            });
            self.journal.ring.add_live(record.commit, key);
        }
        let lost = Health::Lost(reason.as_str().into());
        self.stop_log(key, reason);
        self.logs[key].health = lost;
    }

    fn adopt_run(
        &mut self,
        key: LogKey,
        seq: CommitSeq,
        (first, last): (Ordinal, Ordinal),
        bytes: u64,
        prefix: bool,
    ) {
        let held = &mut self.logs[key].held;
        self.reclaim.remnants.add(held, bytes);
        if let Some(run) = held.last_mut()
            && run.seq == seq
            && run.prefix == prefix
        {
            run.last = last;
            run.bytes += bytes;
            return;
        }
        held.push(Run {
            first,
            last,
            seq,
            bytes,
            prefix,
            record: None,
            copied: false,
        });
        self.journal.ring.add_live(seq, key);
    }

    fn adopt_entry(&mut self, key: LogKey, meta: EntryMeta, bytes: Bytes, seq: CommitSeq) {
        let journal_bytes = (ENTRY_HEADER + bytes.len()) as u64;
        self.adopt_run(key, seq, (meta.ordinal, meta.ordinal), journal_bytes, false);
        let generation = self.journal.id.generation;
        let log = &mut self.logs[key];
        if log.class.files {
            if log.segmented.files.is_none() {
                log.segmented.files = Some(Box::new(Files::new(log.segmented.flushed, false)));
            }
            let files = log.segmented.files.as_mut().expect("just made");
            if std::mem::take(&mut log.segmented.roll) {
                files.segments.push_back(Segment::new(
                    (meta.ordinal, meta.first_offset),
                    generation,
                    meta.time,
                ));
            }
            let segment = files.segments.back_mut().expect("an open segment");
            segment.bytes += u64::from(meta.len);
            segment.max_timestamp = segment.max_timestamp.max(Some(meta.max_timestamp));
        }
        let pos = log.segmented.next_pos;
        log.segmented.next_pos += u64::from(meta.len);
        let size = log.tail.push(TailEntry {
            meta,
            pos,
            bytes,
            sum: None,
        });
        self.memory.took(log.settings.level, size);
    }
}
