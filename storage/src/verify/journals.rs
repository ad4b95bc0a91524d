//! Checks the journals: every commit is read once, and its entries are inspected at that moment.
//!
//! Which entries count is known only when all journals are read. So what the inspector said is kept
//! by the entry's place, a few bytes for each, and looked up later, log by log. Only the entries of
//! extents, whose bytes stand in segments, are inspected then.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Checker, Inspect};
use crate::class::Classes;
use crate::format::commit::RingPosition;
use crate::format::mark::Mark;
use crate::format::record::{Record, Records, SnapshotState};
use crate::io::{BufPool, FileName};
use crate::recovery::{
    Boot, Collected, CommitAt, Journal, OldLog, Pieces, RecoveryError, SnapshotAt, Source, Sources,
    Spot, check_end,
};
use crate::types::LogId;

/// A commit, and where in its body something begins.
type Place = (CommitAt, u32);

/// What the inspector said of what stands in commits.
pub(super) struct Seen {
    /// How many records an entry holds, by its place.
    records: Vec<(Place, u64)>,
    /// What is wrong with entries and states, at which byte of them.
    refused: BTreeMap<Place, (usize, String)>,
    /// The last bytes of extents.
    tails: Pieces,
}

impl Seen {
    /// Empty; it will keep so many bytes of extents' tails, and those beyond are read again.
    pub(super) fn new(cache: usize) -> Self {
        Self {
            records: Vec::new(),
            refused: BTreeMap::new(),
            tails: Pieces::new(cache, Classes::default()),
        }
    }

    /// Looks into the records of a commit that are well formed.
    fn commit(&mut self, inspect: &mut impl Inspect, commit: CommitAt, body: &[u8]) {
        let mut records = Records::new(body);
        while let Some(Ok(record)) = records.next() {
            let end = u32::try_from(records.position()).expect("bodies are below 4 GiB");
            let place = |bytes: &[u8]| {
                let len = u32::try_from(bytes.len()).expect("part of the body");
                (commit, end - len)
            };
            let (id, kind) = (record.log, record.kind);
            match record.record {
                Record::Entry { meta, bytes } => {
                    let place = place(bytes);
                    let shown = inspect.entries(id, kind, meta.first_offset, bytes);
                    let count = shown.unwrap_or_else(|flaw| {
                        self.refused.insert(place, flaw);
                        0
                    });
                    self.records.push((place, count));
                }
                Record::Snapshot(SnapshotState::Inline(state)) => {
                    if let Err(what) = inspect.snapshot(id, kind, state) {
                        self.refused.insert(place(state), (0, what));
                    }
                }
                Record::Extent(extent) if !self.tails.is_full() => {
                    let (_, offset) = place(extent.tail);
                    let last = record.ordinal.plus(extent.entry_count() as u64 - 1);
                    let bytes = extent.tail;
                    let spot = Spot {
                        commit,
                        offset,
                        bytes,
                    };
                    self.tails.tail(id, kind, (last, extent.term), spot);
                }
                Record::Checkpoint(point) => self.tails.checkpoint(id, &point),
                Record::End => self.tails.end(id),
                Record::Extent(_) | Record::Prefix { .. } | Record::Snapshot(_) => {}
            }
        }
    }

    /// Everything is read: entries can be looked up. Gives the tails of extents.
    pub(super) fn all_seen(&mut self) -> Pieces {
        self.records.sort_unstable();
        std::mem::take(&mut self.tails)
    }

    /// How many records the entry at a place holds, or what is wrong with it.
    fn entry(&self, place: Place) -> Result<u64, (usize, String)> {
        if let Some(flaw) = self.refused.get(&place) {
            return Err(flaw.clone());
        }
        let found = self.records.binary_search_by_key(&place, |(at, _)| *at);
        Ok(found.map_or(0, |at| self.records[at].1))
    }
}

impl<P: BufPool, I: Inspect> Checker<P, I> {
    /// Where it ends, every live commit, and what they say of every log.
    pub(super) async fn check_journal(
        &mut self,
        journal: &Journal<P>,
        mark: Option<&Mark>,
        (journals, boot): (&[Journal<P>], &Boot),
        seen: &mut Seen,
    ) -> Result<BTreeMap<LogId, OldLog>, RecoveryError> {
        let end = journal.end(mark).await?;
        check_end(journal, &end, mark)?;
        if let Some(mark) = mark.filter(|mark| mark.ended.is_some())
            && mark.vouched < end.last.seq
        {
            let what = format!(
                "it says that the journal of core {} was ended with commit {}, and there are others up \
                 to {}: it is older than the journal, or one of another run is put back",
                journal.id.core.0, mark.vouched, end.last.seq
            );
            self.found(FileName::Superblock, 0, what);
        }
        let mut collected = Collected::default();
        let mut bytes = 0;
        let mut padded: Option<RingPosition> = None;
        let mut live = journal.live(&end)?;
        while let Some(commit) = live.next().await? {
            let len = commit.header.whole_len();
            bytes += len as u64;
            if commit.padding.iter().any(|&byte| byte != 0) {
                padded = padded.or(Some(commit.at));
            }
            collected.commit(journal, commit.at, &commit.header, commit.body)?;
            let at = CommitAt {
                core: journal.id.core,
                at: commit.at,
                len: u32::try_from(len).expect("bounded by its file"),
            };
            seen.commit(&mut self.inspect, at, commit.body);
        }
        self.count(u64::from(journal.geometry.files), bytes);
        if let Some(at) = padded {
            let what = "the padding of a commit is not zero";
            self.found(journal.file(at.file), at.byte(), what);
        }
        if let Some(flaw) = journal.flaw_at(&end).await? {
            self.note(flaw);
        }
        collected.finish(journals, boot)
    }

    /// What counts of a log's entries and snapshot, in the journal and in extents.
    pub(super) async fn check_journaled(
        &mut self,
        sources: &mut Sources<P>,
        seen: &Seen,
        (id, log): (LogId, &OldLog),
    ) -> Result<(), RecoveryError> {
        if let Some((ordinal, at)) = log.snapshot {
            let flaw = match at {
                SnapshotAt::Inline { commit, offset, .. } => seen
                    .refused
                    .get(&(commit, offset))
                    .map(|(_, what)| what.clone()),
                SnapshotAt::File { .. } => match sources.snapshot(id, ordinal, at).await {
                    Ok(state) => self.inspect.snapshot(id, log.kind, &state).err(),
                    Err(error) => {
                        self.refused(error);
                        None
                    }
                },
            };
            if let Some(what) = flaw {
                let (file, position) = sources.place_of_snapshot(id, ordinal, at);
                self.found(file, position, format!("snapshot of log {}: {what}", id.0));
            }
        }
        let mut last_refusal = None;
        for entry in &log.entries[log.index_of(log.checkpoint.0)..] {
            let shown = match entry.source {
                Source::Inline { commit, offset } => seen.entry((commit, offset)),
                Source::Extent { .. } | Source::Prefix { .. } => {
                    let bytes: Bytes = match sources.entry(id, log, entry).await {
                        Ok(bytes) => bytes,
                        Err(error) => {
                            // If a span is damaged, each of its entries is.
                            if last_refusal.as_ref() != Some(&error) {
                                self.refused(error.clone());
                                last_refusal = Some(error);
                            }
                            continue;
                        }
                    };
                    let offset = entry.meta.first_offset;
                    self.inspect.entries(id, log.kind, offset, &bytes)
                }
            };
            if let Err((skip, what)) = &shown {
                let (file, position) = sources.place_of(id, log, entry);
                self.found(file, position + *skip as u64, what.clone());
            }
            self.shown(1, shown.unwrap_or(0));
        }
        Ok(())
    }
}
