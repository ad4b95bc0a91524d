//! The journal ring as numbers: where the next commit goes, which commits are still needed, and
//! which blocks may be written again.
//!
//! It knows commits, not what they say: each counts its *live* records, things that exist
//! nowhere else yet. Blocks are given back in one way only: a commit that is durable, with all
//! before it, has announced by its live-from that nothing below is needed. Emits no operations.
//!
//! Space is counted in bytes of commits, not in addresses. A commit straddles no two files, so a
//! file may lose up to a largest commit less a block at its end; [`Geometry::usable_bytes`] takes
//! that off every file beforehand. Then any commit of at most [`Ring::free`] bytes can be placed,
//! wherever head and tail stand: every file from the tail's to the head's holds at least its
//! usable bytes, or what it does not hold lies contiguous before the tail.
//!
//! [`Geometry::usable_bytes`]: crate::format::superblock::Geometry::usable_bytes

use std::collections::VecDeque;

use super::room::Room;
use crate::format::superblock::Geometry;
use crate::mutation::{Mutation, mutated};
use crate::types::{CommitSeq, Mono, Offset, Ordinal};

/// Place of a log in the store's table of logs.
pub(crate) type LogKey = usize;

/// How far a commit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Handed to the device.
    InFlight,
    /// Complete, not yet synced; `true` while a sync that covers it is under way.
    Written { syncing: bool },
    /// Survives a power cut (its predecessors perhaps not).
    Durable,
}

/// How far a commit moves a log's frontiers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advance {
    pub(crate) log: LogKey,
    pub(crate) next: (Ordinal, Offset),
}

/// One commit in the ring.
#[derive(Debug)]
pub(crate) struct Commit {
    /// Address: bytes since the ring's first lap began.
    pub(crate) at: u64,
    /// Bytes with header and padding.
    pub(crate) len: u64,
    /// Bytes of all commits before it, since the ring was opened.
    before: u64,
    /// Records of it that are still needed.
    pub(crate) live: u32,
    pub(crate) progress: Progress,
    /// What its header announces.
    pub(crate) live_from: CommitSeq,
    /// When it was handed to the device.
    pub(crate) issued: Mono,
    /// Every log with a record in it, in no order, perhaps more than once.
    pub(crate) logs: Vec<LogKey>,
}

/// Where a commit was placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: CommitSeq,
    pub(crate) file: u16,
    pub(crate) pos: u64,
    pub(crate) live_from: CommitSeq,
    /// Where the commit of that sequence begins.
    pub(crate) live_from_file: u16,
    pub(crate) live_from_pos: u64,
}

/// Accounting of one core's ring.
#[derive(Debug)]
pub(crate) struct Ring {
    file_bytes: u64,
    files: u64,
    /// Bytes of commits that it takes wherever they stand.
    usable: u64,
    /// Bytes of all commits placed since it was opened.
    placed: u64,
    head: u64,
    tail: u64,
    next: CommitSeq,
    /// Sequence of `commits[0]`.
    first: CommitSeq,
    commits: VecDeque<Commit>,
    /// No commit below this has live records.
    oldest_live: CommitSeq,
    /// Everything below is written.
    written: CommitSeq,
    /// Everything below is durable.
    durable: CommitSeq,
    /// Highest live-from that an issued commit announces.
    announced: CommitSeq,
    in_flight: usize,
    room: Room,
    mutation: Option<Mutation>,
}

impl Ring {
    /// A ring without commits whose first one will bear `next` and be written at byte `pos` of
    /// file `file`.
    pub(crate) fn new(
        geometry: &Geometry,
        (file, pos): (u16, u64),
        next: CommitSeq,
        mutation: Option<Mutation>,
    ) -> Self {
        let (file_bytes, files) = (geometry.file_bytes, geometry.files);
        assert!(
            file < files && pos <= file_bytes,
            "ring position outside of the ring"
        );
        let head = u64::from(file) * file_bytes + pos;
        Self {
            file_bytes,
            files: u64::from(files),
            usable: geometry.usable_bytes(),
            placed: 0,
            head,
            tail: head,
            next,
            first: next,
            commits: VecDeque::new(),
            oldest_live: next,
            written: next,
            durable: next,
            announced: next,
            in_flight: 0,
            room: Room::new(0, false),
            mutation,
        }
    }

    /// How large its commits are, and whether something is kept for rescues.
    pub(crate) fn set_room(&mut self, max_commit: usize, reserves: bool) {
        self.room = Room::new(max_commit, reserves);
    }

    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    pub(super) fn room_mut(&mut self) -> &mut Room {
        &mut self.room
    }

    /// Bytes of all its files.
    pub(crate) fn capacity(&self) -> u64 {
        self.file_bytes * self.files
    }

    /// Bytes of commits that the ring takes.
    pub(crate) fn usable(&self) -> u64 {
        self.usable
    }

    /// Bytes of commits in it.
    pub(crate) fn used(&self) -> u64 {
        let freed = self
            .commits
            .front()
            .map_or(self.placed, |commit| commit.before);
        self.placed - freed
    }

    /// Bytes of commits that can be placed now.
    pub(crate) fn free(&self) -> u64 {
        self.usable.saturating_sub(self.used())
    }

    /// Bytes that a commit gives back whose live-from is `upto`, beyond what is announced already.
    pub(crate) fn gain(&self, upto: CommitSeq) -> u64 {
        let before = |seq| self.get(seq).map_or(self.placed, |commit| commit.before);
        before(upto.max(self.announced)) - before(self.announced)
    }

    /// Address of the oldest block that may not be written.
    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    /// Times that the ring began again at its first file.
    pub(crate) fn laps(&self) -> u64 {
        self.head / self.capacity()
    }

    /// Sequence of the commit to come.
    pub(crate) fn next_seq(&self) -> CommitSeq {
        self.next
    }

    /// Everything below is durable.
    pub(crate) fn durable(&self) -> CommitSeq {
        self.durable
    }

    pub(crate) fn written(&self) -> CommitSeq {
        self.written
    }

    /// Commits handed to the device and not complete.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Addresses that a commit of `len` bytes takes, with what it leaves unused at the end of a
    /// file.
    fn cost(&self, len: u64) -> u64 {
        let rest = self.file_bytes - self.head % self.file_bytes;
        if len <= rest { len } else { rest + len }
    }

    /// The file that a commit of `len` bytes would stand in.
    pub(crate) fn file_for(&self, len: u64) -> u16 {
        self.file_of(self.head + self.cost(len) - len)
    }

    /// The file that the next block belongs to.
    pub(crate) fn head_file(&self) -> u16 {
        self.file_of(self.head)
    }

    fn file_of(&self, at: u64) -> u16 {
        u16::try_from(at / self.file_bytes % self.files).expect("a ring has at most 65535 files")
    }

    /// Whether no block of the file is needed or about to be.
    pub(crate) fn is_outside(&self, file: u16) -> bool {
        let mut at = self.tail / self.file_bytes;
        let last = self.head / self.file_bytes;
        while at <= last {
            if at % self.files == u64::from(file) {
                return false;
            }
            at += 1;
        }
        true
    }

    /// What the header of the commit to come must announce as live-from.
    pub(crate) fn live_from(&mut self) -> CommitSeq {
        while self.oldest_live < self.next
            && self
                .index(self.oldest_live)
                .is_none_or(|at| self.commits[at].live == 0)
        {
            self.oldest_live = self.oldest_live.plus(1);
        }
        self.oldest_live
    }

    /// Whether a commit without records would give blocks back.
    pub(crate) fn can_announce(&mut self) -> bool {
        self.live_from() > self.announced
    }

    /// What the header of the commit to come may vouch for.
    pub(crate) fn durable_through(&self) -> CommitSeq {
        if mutated(self.mutation, Mutation::DurableThroughAhead) {
            return self.next;
        }
        self.durable
    }

    /// Places the commit to come. Its live records are already counted through
    /// [`Ring::add_live`].
    pub(crate) fn place(&mut self, len: u64, now: Mono) -> Place {
        let cost = self.cost(len);
        assert!(
            self.head + cost - self.tail <= self.file_bytes * self.files,
            "a commit would overwrite needed blocks"
        );
        let at = self.head + cost - len;
        let live_from = self.live_from();
        let seq = self.next;
        self.announced = live_from;
        self.in_flight += 1;
        self.commits.push_back(Commit {
            at,
            len,
            before: self.placed,
            live: 0,
            progress: Progress::InFlight,
            live_from,
            issued: now,
            logs: Vec::new(),
        });
        self.head = at + len;
        self.placed += len;
        self.next = seq.plus(1);
        if mutated(self.mutation, Mutation::FreedBeforeLiveFrom) {
            self.free_below(live_from);
        }
        let live_from_at = self.get(live_from).map_or(at, |commit| commit.at);
        Place {
            seq,
            file: self.file_of(at),
            pos: at % self.file_bytes,
            live_from,
            live_from_file: self.file_of(live_from_at),
            live_from_pos: live_from_at % self.file_bytes,
        }
    }

    /// Takes over a durable commit that recovery wrote, in sequence.
    pub(crate) fn adopt(&mut self, (file, pos): (u16, u64), len: u64) {
        let at = u64::from(file) * self.file_bytes + pos;
        if self.commits.is_empty() {
            self.tail = at;
            self.head = at;
        }
        assert!(at >= self.head, "recovered commits are not in ring order");
        self.head = at + len;
        assert!(
            self.head - self.tail <= self.file_bytes * self.files,
            "recovered commits overfill the ring"
        );
        self.commits.push_back(Commit {
            at,
            len,
            before: self.placed,
            live: 0,
            progress: Progress::Durable,
            live_from: self.first,
            issued: Mono::default(),
            logs: Vec::new(),
        });
        self.placed += len;
        self.next = self.next.plus(1);
        self.written = self.next;
        self.durable = self.next;
    }

    /// The file in which a commit stands that is still known.
    pub(crate) fn file_of_commit(&self, seq: CommitSeq) -> Option<u16> {
        self.get(seq).map(|commit| self.file_of(commit.at))
    }

    /// File and byte where a commit begins that is still known.
    pub(crate) fn place_of(&self, seq: CommitSeq) -> Option<(u16, u64)> {
        let at = self.get(seq)?.at;
        Some((self.file_of(at), at % self.file_bytes))
    }

    fn index(&self, seq: CommitSeq) -> Option<usize> {
        let at = usize::try_from(seq.0.checked_sub(self.first.0)?).ok()?;
        (at < self.commits.len()).then_some(at)
    }

    pub(crate) fn get(&self, seq: CommitSeq) -> Option<&Commit> {
        self.index(seq).map(|at| &self.commits[at])
    }

    pub(crate) fn get_mut(&mut self, seq: CommitSeq) -> Option<&mut Commit> {
        self.index(seq).map(|at| &mut self.commits[at])
    }

    /// A record of the commit is needed.
    pub(crate) fn add_live(&mut self, seq: CommitSeq, log: LogKey) {
        let commit = self.get_mut(seq).expect("live record in a freed commit");
        commit.live += 1;
        if commit.logs.last() != Some(&log) {
            commit.logs.push(log);
        }
    }

    /// A record of the commit is not needed any more.
    pub(crate) fn remove_live(&mut self, seq: CommitSeq) {
        // Only a fault that is switched on frees a commit that still has live records.
        let freed_early = mutated(self.mutation, Mutation::FreedBeforeLiveFrom);
        match self.get_mut(seq) {
            Some(commit) => {
                commit.live = commit.live.checked_sub(1).expect("live records miscounted");
            }
            None => assert!(freed_early, "live record in a freed commit"),
        }
    }

    /// The oldest commits that are still needed and durable, from which space is won.
    pub(crate) fn oldest(&mut self) -> impl Iterator<Item = (CommitSeq, &Commit)> {
        let from = self.live_from();
        let until = self.durable;
        let at = self.index(from).unwrap_or(self.commits.len());
        let first = self.first;
        self.commits
            .iter()
            .enumerate()
            .skip(at)
            .map(move |(at, commit)| (first.plus(at as u64), commit))
            .take_while(move |(seq, _)| *seq < until)
    }

    /// The device has completed a commit.
    pub(crate) fn complete(&mut self, seq: CommitSeq, durable: bool) {
        let progress = if durable {
            Progress::Durable
        } else {
            Progress::Written { syncing: false }
        };
        let commit = self.get_mut(seq).expect("completed commit is in the ring");
        assert_eq!(
            commit.progress,
            Progress::InFlight,
            "commit completed twice"
        );
        commit.progress = progress;
        self.in_flight -= 1;
        self.advance();
    }

    /// Marks the commits of `file` that a sync issued now covers.
    pub(crate) fn begin_sync(&mut self, file: u16) {
        for at in self.unsynced_range() {
            if self.file_of(self.commits[at].at) == file
                && self.commits[at].progress == (Progress::Written { syncing: false })
            {
                self.commits[at].progress = Progress::Written { syncing: true };
            }
        }
    }

    /// A sync of `file` is complete.
    pub(crate) fn end_sync(&mut self, file: u16) {
        for at in self.unsynced_range() {
            if self.file_of(self.commits[at].at) == file
                && self.commits[at].progress == (Progress::Written { syncing: true })
            {
                self.commits[at].progress = Progress::Durable;
            }
        }
        self.advance();
    }

    /// The first commit that is written and waits for a sync, and its file.
    pub(crate) fn first_unsynced(&self) -> Option<(CommitSeq, u16)> {
        self.unsynced_range()
            .find(|at| self.commits[*at].progress == (Progress::Written { syncing: false }))
            .map(|at| {
                (
                    self.first.plus(at as u64),
                    self.file_of(self.commits[at].at),
                )
            })
    }

    /// Whether a commit is in flight or complete without having been synced.
    pub(crate) fn has_unsynced(&self) -> bool {
        self.durable < self.next
    }

    fn unsynced_range(&self) -> std::ops::Range<usize> {
        let from = self.index(self.durable).unwrap_or(self.commits.len());
        from..self.commits.len()
    }

    fn advance(&mut self) {
        let out_of_order = mutated(self.mutation, Mutation::AckOutOfOrder);
        while let Some(commit) = self.get(self.written)
            && (commit.progress != Progress::InFlight || out_of_order)
        {
            self.written = self.written.plus(1);
        }
        while let Some(commit) = self.get(self.durable)
            && (commit.progress == Progress::Durable || out_of_order)
        {
            let live_from = commit.live_from;
            self.durable = self.durable.plus(1);
            self.free_below(live_from);
        }
    }

    fn free_below(&mut self, live_from: CommitSeq) {
        while self.first < live_from {
            let Some(commit) = self.commits.front() else {
                break;
            };
            if self.first >= self.durable && !mutated(self.mutation, Mutation::FreedBeforeLiveFrom)
            {
                break;
            }
            if commit.progress == Progress::InFlight {
                break;
            }
            self.commits.pop_front();
            self.first = self.first.plus(1);
        }
        self.tail = self.commits.front().map_or(self.head, |commit| commit.at);
    }
}
