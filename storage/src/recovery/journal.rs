//! One core's old journal: where it ends, and everything that is live in it.
//!
//! After a clean stop the ring's mark says where it ends. Otherwise the newest commit is found by
//! the first blocks of the ring's files. The commits at the end may be torn: W in flight, and any
//! that were written without a sync; damage anywhere else is corruption. Durable-through tells them
//! apart: if any intact commit, even one behind the damage, vouches for a commit, that commit was
//! durable.
//!
//! The newest file is read whole and kept until its journal's live commits were handed out, so
//! that finding the end does not read again what is live.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::task::{CHUNK, Io};
use super::{Flaw, RecoveryError};
use crate::format::FormatError;
use crate::format::commit::{COMMIT_HEADER, CommitHeader, FIRST_SEQ, JournalId, RingPosition};
use crate::format::mark::Mark;
use crate::format::superblock::Geometry;
use crate::io::{BLOCK, BufPool, FileName};
use crate::mutation::{Mutation, mutated};
use crate::types::CommitSeq;

/// A journal ring of the old generation.
pub(crate) struct Journal<P: BufPool> {
    pub(crate) io: Io<P>,
    pub(crate) id: JournalId,
    pub(crate) geometry: Geometry,
    pub(crate) mutation: Option<Mutation>,
}

/// Where the journal ends, and what of it counts.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The last commit that is intact and in sequence.
    pub(crate) last: CommitHeader,
    /// Where it stands.
    pub(crate) at: RingPosition,
    /// Whether intact commits behind a gap were cut off.
    pub(crate) torn: bool,
    /// The newest file and what it holds.
    newest: Option<(u16, Bytes)>,
}

/// What stands at a block of a ring.
enum Slot {
    Intact(CommitHeader),
    /// A header of this journal whose body is not what it says.
    Damaged,
    /// No commit of this journal.
    Other,
}

/// Commits found at the end of the ring.
type Known = BTreeMap<CommitSeq, (RingPosition, CommitHeader)>;

impl<P: BufPool> Journal<P> {
    pub(crate) fn file(&self, index: u16) -> FileName {
        FileName::Journal {
            generation: self.id.generation,
            core: self.id.core,
            index,
        }
    }

    /// Corruption at a place of this ring.
    pub(crate) fn corrupt(&self, at: RingPosition, what: impl Into<String>) -> RecoveryError {
        RecoveryError::corrupt(self.file(at.file), at.byte(), what)
    }

    fn after(&self, at: RingPosition, header: &CommitHeader) -> RingPosition {
        RingPosition {
            file: at.file,
            block: at.block + blocks(header.whole_len()),
        }
    }

    fn next_file(&self, at: RingPosition) -> RingPosition {
        RingPosition {
            file: (at.file + 1) % self.geometry.files,
            block: 0,
        }
    }

    /// Finds the last commit that counts.
    ///
    /// # Errors
    /// Corruption when a commit is missing that was durable, or none is there at all.
    pub(crate) async fn find_end(&self) -> Result<End, RecoveryError> {
        let mut starts = BTreeMap::new();
        for index in 0..self.geometry.files {
            self.expect_file(index).await?;
            let mut window = Window::new(self, index);
            window.chunk = BLOCK;
            if let Slot::Intact(header) = window.slot(0).await? {
                starts.insert(header.seq, index);
            }
        }
        let mut known = Known::new();
        let mut newest = None;
        match starts.last_key_value() {
            Some((_, &index)) => {
                let bytes = self.scan_newest(index, &mut known).await?;
                newest = Some((index, bytes));
            }
            None => self.scan_everything(&mut known).await?,
        }
        for (&seq, &index) in starts.iter().rev().skip(1) {
            let lowest = known.first_key_value().map(|(seq, _)| *seq);
            if lowest.is_some_and(|lowest| lowest <= vouched(&known).max(FIRST_SEQ)) {
                break;
            }
            if lowest.is_none_or(|lowest| seq < lowest) {
                let mut window = Window::new(self, index);
                self.chain(index, &mut window, &mut known).await?;
            }
        }
        Ok(End {
            newest,
            ..self.decide(&known)?
        })
    }

    /// Where it ends: by the mark of a clean stop, or else searched for.
    ///
    /// # Errors
    /// As [`Journal::find_end`].
    pub(crate) async fn end(&self, mark: Option<&Mark>) -> Result<End, RecoveryError> {
        match self.ended(mark).await? {
            Some(end) => Ok(end),
            None => self.find_end().await,
        }
    }

    /// The end that a mark tells, if it stands there and nothing of this journal stands behind it: a
    /// mark that is older than the ring is not believed.
    async fn ended(&self, mark: Option<&Mark>) -> Result<Option<End>, RecoveryError> {
        let Some((mark, at)) = mark.and_then(|mark| Some((mark, mark.ended?))) else {
            return Ok(None);
        };
        if at.file >= self.geometry.files {
            return Ok(None);
        }
        for index in 0..self.geometry.files {
            self.expect_file(index).await?;
        }
        let mut window = Window::new(self, at.file);
        window.chunk = BLOCK;
        let Some(last) = window.commit(at.block, mark.vouched).await? else {
            return Ok(None);
        };
        let after = self.after(at, &last);
        for next in [after, self.next_file(after)] {
            let mut window = Window::new(self, next.file);
            window.chunk = BLOCK;
            let older = match window.slot(next.block).await? {
                Slot::Intact(header) => header.seq <= last.seq,
                Slot::Damaged => false,
                Slot::Other => true,
            };
            if !older && !mutated(self.mutation, Mutation::StaleEnd) {
                return Ok(None);
            }
        }
        Ok(Some(End {
            last,
            at,
            torn: false,
            newest: None,
        }))
    }

    async fn expect_file(&self, index: u16) -> Result<(), RecoveryError> {
        let file = self.file(index);
        match self.io.len(file).await? {
            Some(_) => Ok(()),
            None => Err(RecoveryError::corrupt(
                file,
                0,
                "the journal file is missing",
            )),
        }
    }

    /// Collects every intact commit, for a ring whose files all begin with a torn one.
    async fn scan_everything(&self, known: &mut Known) -> Result<(), RecoveryError> {
        for index in 0..self.geometry.files {
            let mut window = Window::new(self, index);
            let all = 0..self.file_blocks();
            self.look_ahead(&mut window, all, CommitSeq(0), known)
                .await?;
        }
        Ok(())
    }

    /// Collects the dense run of commits from the start of a file; the block after it.
    async fn chain(
        &self,
        index: u16,
        window: &mut Window<'_, P>,
        known: &mut Known,
    ) -> Result<u32, RecoveryError> {
        let mut at = RingPosition {
            file: index,
            block: 0,
        };
        let mut expected = None;
        while let Slot::Intact(header) = window.slot(at.block).await? {
            if expected.is_some_and(|seq| seq != header.seq) {
                break;
            }
            known.insert(header.seq, (at, header));
            expected = Some(header.seq.plus(1));
            at = self.after(at, &header);
        }
        Ok(at.block)
    }

    /// Collects the newest file's commits, then whatever intact commits stand behind its end: in
    /// the rest of the file and at the beginnings of the following ones. Returns what it holds.
    async fn scan_newest(&self, newest: u16, known: &mut Known) -> Result<Bytes, RecoveryError> {
        let mut window = Window::new(self, newest);
        // As far as it is written: what the superblock says of its length may be anything.
        let written = self.io.len(self.file(newest)).await?.unwrap_or(0);
        let whole = written.min(self.geometry.file_bytes);
        let whole = usize::try_from(whole).expect("files are below 4 GiB");
        window.get(0, whole).await?;
        let held = window.bytes.clone();
        let end = self.chain(newest, &mut window, known).await?;
        let (&last, _) = known.last_key_value().expect("its first commit is intact");
        let all = self.file_blocks();
        self.look_ahead(&mut window, end..all, last, known).await?;
        let in_flight = u64::from(self.geometry.in_flight) + 1;
        let reach = in_flight * u64::from(self.geometry.max_commit_bytes) / BLOCK as u64;
        let reach = u32::try_from(reach).map_or(all, |reach| reach.min(all));
        let begun = self.geometry.files_in_flight();
        let others = begun.min(self.geometry.files - 1);
        let mut at = RingPosition {
            file: newest,
            block: 0,
        };
        for _ in 0..others {
            at = self.next_file(at);
            let mut window = Window::new(self, at.file);
            window.chunk = CHUNK.min(reach as usize * BLOCK);
            self.look_ahead(&mut window, 0..reach, last, known).await?;
        }
        Ok(held)
    }

    fn file_blocks(&self) -> u32 {
        u32::try_from(self.geometry.file_bytes / BLOCK as u64).expect("files are below 4 GiB")
    }

    /// Tries every block for an intact commit newer than `last`.
    async fn look_ahead(
        &self,
        window: &mut Window<'_, P>,
        range: std::ops::Range<u32>,
        last: CommitSeq,
        known: &mut Known,
    ) -> Result<(), RecoveryError> {
        let mut block = range.start;
        while block < range.end {
            let mut step = 1;
            if let Slot::Intact(header) = window.slot(block).await?
                && header.seq > last
            {
                let at = RingPosition {
                    file: window.index,
                    block,
                };
                step = blocks(header.whole_len());
                known.insert(header.seq, (at, header));
            }
            block += step;
        }
        Ok(())
    }

    /// The rule: what an intact commit vouches for was durable; from there on, the first missing
    /// commit ends the journal.
    fn decide(&self, known: &Known) -> Result<End, RecoveryError> {
        let durable = vouched(known).max(FIRST_SEQ);
        let Some(&(mut at, mut last)) = known.get(&durable) else {
            let before = known.range(..durable).next_back();
            let place = before.map_or_else(RingPosition::default, |(_, (at, header))| {
                self.after(*at, header)
            });
            let what = match known.is_empty() {
                true => "no intact commit of this generation".to_owned(),
                false => format!("commit {durable} was durable and is damaged or missing"),
            };
            return Err(self.corrupt(place, what));
        };
        let past_gap = mutated(self.mutation, Mutation::ReplayPastGap);
        let mut torn = false;
        for (seq, (next_at, next)) in known.range(durable.plus(1)..) {
            torn |= *seq != last.seq.plus(1);
            if torn && !past_gap {
                break;
            }
            (at, last) = (*next_at, *next);
        }
        Ok(End {
            last,
            at,
            torn,
            newest: None,
        })
    }

    /// The live commits, to be read in sequence.
    ///
    /// # Errors
    /// Corruption when live-from is no place of this ring.
    pub(crate) fn live<'a>(&'a self, end: &'a End) -> Result<Live<'a, P>, RecoveryError> {
        let at = end.last.live_from_at;
        if at.file >= self.geometry.files {
            return Err(self.corrupt(end.at, "live-from points outside the ring"));
        }
        Ok(Live {
            journal: self,
            end,
            at,
            seq: end.last.live_from,
            window: Window::known(self, at, end),
        })
    }

    /// Bytes of the ring from live-from to the end, an upper bound of what is live in it.
    pub(crate) fn live_bytes(&self, end: &End) -> u64 {
        let place = |at: RingPosition| u64::from(at.file) * self.geometry.file_bytes + at.byte();
        let from = place(end.last.live_from_at);
        let to = place(self.after(end.at, &end.last));
        let lap = if to <= from {
            self.geometry.ring_bytes()
        } else {
            0
        };
        (to + lap).saturating_sub(from)
    }
}

/// A cursor over the live commits of a journal. It reads each block once.
pub(crate) struct Live<'a, P: BufPool> {
    journal: &'a Journal<P>,
    end: &'a End,
    at: RingPosition,
    /// The next commit's sequence number.
    seq: CommitSeq,
    window: Window<'a, P>,
}

/// A live commit.
pub(crate) struct LiveCommit<'a> {
    pub(crate) at: RingPosition,
    pub(crate) header: CommitHeader,
    pub(crate) body: &'a [u8],
    pub(crate) padding: &'a [u8],
}

impl<P: BufPool> Live<'_, P> {
    /// The next one; `None` behind the last.
    ///
    /// # Errors
    /// Corruption when it is not intact.
    pub(crate) async fn next(&mut self) -> Result<Option<LiveCommit<'_>>, RecoveryError> {
        while self.seq <= self.end.last.seq {
            let seq = self.seq;
            let found = self.find(seq).await?;
            self.seq = seq.plus(1);
            match found {
                Some(header) => {
                    let at = self.at;
                    self.at = self.journal.after(at, &header);
                    let whole = self.window.get(at.byte(), header.whole_len()).await?;
                    let (body, padding) = whole[COMMIT_HEADER..].split_at(header.body_len as usize);
                    return Ok(Some(LiveCommit {
                        at,
                        header,
                        body,
                        padding,
                    }));
                }
                None if mutated(self.journal.mutation, Mutation::ReplayPastGap) => {}
                None => {
                    let what = format!("commit {seq} is live and is damaged or missing");
                    return Err(self.journal.corrupt(self.at, what));
                }
            }
        }
        Ok(None)
    }

    /// Where the one before ended, or at the beginning of the next file.
    async fn find(&mut self, seq: CommitSeq) -> Result<Option<CommitHeader>, RecoveryError> {
        let found = self.window.commit(self.at.block, seq).await?;
        if found.is_some() || seq == self.end.last.live_from {
            return Ok(found);
        }
        let start = self.journal.next_file(self.at);
        let mut next = Window::known(self.journal, start, self.end);
        let found = next.commit(start.block, seq).await?;
        if found.is_some() {
            (self.at, self.window) = (start, next);
        }
        Ok(found)
    }
}

fn blocks(len: usize) -> u32 {
    u32::try_from(len / BLOCK).expect("a commit is smaller than its file")
}

/// The newest commit that an intact one vouches for; 0: none.
fn vouched(known: &Known) -> CommitSeq {
    let vouched = known.values().map(|(_, header)| header.durable_through);
    vouched.max().unwrap_or_default()
}

/// Whether a block claims to begin a commit and cannot prove it.
fn looks_damaged(block: &[u8]) -> bool {
    matches!(
        CommitHeader::decode(block, |_| true),
        Err(FormatError::Crc(_) | FormatError::Malformed { .. })
    )
}

/// A sequential view of one journal file, a chunk at a time.
struct Window<'a, P: BufPool> {
    journal: &'a Journal<P>,
    index: u16,
    begin: u64,
    bytes: Bytes,
    chunk: usize,
}

impl<'a, P: BufPool> Window<'a, P> {
    fn new(journal: &'a Journal<P>, index: u16) -> Self {
        Self {
            journal,
            index,
            begin: 0,
            bytes: Bytes::new(),
            chunk: CHUNK,
        }
    }

    /// For the live commits from a place on, with what finding the end has read of the file; it reads
    /// no further than they go.
    fn known(journal: &'a Journal<P>, at: RingPosition, end: &End) -> Self {
        let (index, until) = (at.file, journal.after(end.at, &end.last));
        let mut window = Self::new(journal, index);
        if until.file == index && at.block < until.block {
            window.chunk = CHUNK.min((until.block - at.block) as usize * BLOCK);
        }
        if let Some((newest, bytes)) = &end.newest
            && *newest == index
        {
            window.bytes = bytes.clone();
        }
        window
    }

    /// Bytes `pos..pos + len`, zeros where the file is shorter: it was never written there.
    async fn get(&mut self, pos: u64, len: usize) -> Result<&[u8], RecoveryError> {
        let end = self.begin + self.bytes.len() as u64;
        if pos < self.begin || pos + len as u64 > end {
            let left = self.journal.geometry.file_bytes - pos;
            let want = usize::try_from(left).map_or(len, |left| left.min(self.chunk.max(len)));
            let file = self.journal.file(self.index);
            // What is there of it is not read again.
            let skip = usize::try_from(pos.wrapping_sub(self.begin)).unwrap_or(usize::MAX);
            let have = self.bytes.get(skip..).unwrap_or_default();
            let mut bytes = BytesMut::with_capacity(want);
            bytes.extend_from_slice(have);
            let from = pos + have.len() as u64;
            let more = self.journal.io.read_range(file, from, want - have.len());
            bytes.extend_from_slice(&more.await?);
            bytes.resize(want, 0);
            (self.begin, self.bytes) = (pos, bytes.freeze());
        }
        let skip = usize::try_from(pos - self.begin).expect("within the chunk");
        Ok(&self.bytes[skip..skip + len])
    }

    /// What begins at `block`.
    async fn slot(&mut self, block: u32) -> Result<Slot, RecoveryError> {
        let pos = u64::from(block) * BLOCK as u64;
        let journal = self.journal;
        if pos + BLOCK as u64 > journal.geometry.file_bytes {
            return Ok(Slot::Other);
        }
        let belongs = |id: &JournalId| {
            *id == journal.id
                || (id.core == journal.id.core
                    && mutated(journal.mutation, Mutation::OldGeneration))
        };
        let header = match CommitHeader::decode(self.get(pos, BLOCK).await?, belongs) {
            Ok(header) => header,
            Err(error @ FormatError::Version { .. }) => {
                return Err(RecoveryError::format(journal.file(self.index), pos, error));
            }
            Err(_) => return Ok(Slot::Other),
        };
        let len = header.whole_len() as u64;
        if len > u64::from(journal.geometry.max_commit_bytes)
            || pos + len > journal.geometry.file_bytes
            || header.live_from < FIRST_SEQ
        {
            return Ok(Slot::Damaged);
        }
        let intact = header.matches_body(self.body(block, &header).await?)
            || mutated(journal.mutation, Mutation::AcceptedBadCrc);
        Ok(if intact {
            Slot::Intact(header)
        } else {
            Slot::Damaged
        })
    }

    /// The intact commit `seq` at `block`, if it stands there.
    async fn commit(
        &mut self,
        block: u32,
        seq: CommitSeq,
    ) -> Result<Option<CommitHeader>, RecoveryError> {
        Ok(match self.slot(block).await? {
            Slot::Intact(header) if header.seq == seq => Some(header),
            _ => None,
        })
    }

    /// The body of a commit whose header was accepted.
    async fn body(&mut self, block: u32, header: &CommitHeader) -> Result<&[u8], RecoveryError> {
        let pos = u64::from(block) * BLOCK as u64;
        let whole = self.get(pos, header.whole_len()).await?;
        Ok(&whole[COMMIT_HEADER..][..header.body_len as usize])
    }
}

impl<P: BufPool> Journal<P> {
    /// The damaged commit behind the end that bears this journal's mark, if there is one.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) async fn flaw_at(&self, end: &End) -> Result<Option<Flaw>, RecoveryError> {
        let flaw = |at: RingPosition| Flaw {
            file: self.file(at.file),
            position: at.byte(),
            what:
                "a commit is damaged that nothing vouches for: torn by a crash, or rotten; a start \
                   cuts it off"
                    .to_owned(),
        };
        let after = self.after(end.at, &end.last);
        for at in [after, self.next_file(after)] {
            let mut window = Window::new(self, at.file);
            window.chunk = BLOCK;
            match window.slot(at.block).await? {
                Slot::Damaged => return Ok(Some(flaw(at))),
                Slot::Intact(header) if header.seq > end.last.seq => return Ok(Some(flaw(at))),
                Slot::Intact(_) | Slot::Other => {}
            }
            if at.byte() + BLOCK as u64 <= self.geometry.file_bytes
                && looks_damaged(window.get(at.byte(), BLOCK).await?)
            {
                return Ok(Some(flaw(at)));
            }
        }
        Ok(None)
    }

    /// Reads again the body of the commit of `len` bytes at `at`, checked.
    ///
    /// # Errors
    /// Corruption when it is not the intact commit that it was before.
    pub(crate) async fn reread(
        &self,
        at: RingPosition,
        len: usize,
    ) -> Result<Vec<u8>, RecoveryError> {
        let mut window = Window::new(self, at.file);
        window.chunk = len;
        match window.slot(at.block).await? {
            Slot::Intact(header) => Ok(window.body(at.block, &header).await?.to_vec()),
            Slot::Damaged | Slot::Other => {
                Err(self.corrupt(at, "a commit changed between two reads"))
            }
        }
    }
}
