//! Writes the new generation: remainders into segments or journals, one ring per core.
//!
//! Everything goes to files that this generation created. Nothing is synced commit by commit:
//! nobody is told anything before the superblock switch, so one sync per file suffices.

use super::RecoveryError;
use super::recovered::{RecoveredCommit, RecoveredCore, RecoveredLog};
use super::task::Io;
use crate::format::commit::{
    COMMIT_HEADER, CommitHeader, FIRST_SEQ, JournalId, RingPosition, commit_len, seal,
};
use crate::format::round_up;
use crate::format::superblock::Geometry;
use crate::io::{BLOCK, BufPool, Dir, FileName, IoErrorKind, Op};
use crate::types::{CommitSeq, LogId};

/// Bytes of one write that fills.
const FILL: u64 = 1 << 20;

/// A new journal under construction.
pub(crate) struct JournalWriter<P: BufPool> {
    io: Io<P>,
    pub(crate) id: JournalId,
    geometry: Geometry,
    next: CommitSeq,
    at: RingPosition,
    /// Room for the header, then the records of the commit to come.
    body: Vec<u8>,
    records: u32,
    commits: Vec<RecoveredCommit>,
    prepared: Vec<u64>,
}

impl<P: BufPool> JournalWriter<P> {
    /// At the beginning of an empty ring whose files exist.
    pub(crate) fn new(io: Io<P>, id: JournalId, geometry: Geometry) -> Self {
        Self {
            io,
            id,
            geometry,
            next: FIRST_SEQ,
            at: RingPosition::default(),
            body: vec![0; COMMIT_HEADER],
            records: 0,
            commits: Vec::new(),
            prepared: vec![0; usize::from(geometry.files)],
        }
    }

    fn commit_bytes(&self) -> usize {
        usize::try_from(self.geometry.commit_bytes()).expect("32 bits")
    }

    /// The device.
    pub(crate) fn io(&self) -> &Io<P> {
        &self.io
    }

    /// The largest record that a commit takes.
    pub(crate) fn largest(&self) -> usize {
        self.commit_bytes() - COMMIT_HEADER
    }

    /// Adds a record of `len` bytes that `put` writes; the commit that it will stand in.
    pub(crate) async fn push(
        &mut self,
        len: usize,
        put: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<CommitSeq, RecoveryError> {
        assert!(len <= self.largest(), "a record larger than a commit");
        if self.body.len() + len > self.commit_bytes() {
            self.flush(CommitSeq(0), false).await?;
        }
        let begin = self.body.len();
        self.body.resize(begin + len, 0);
        let written = put(&mut self.body[begin..]);
        assert_eq!(written, len, "a record of another length than announced");
        self.records += 1;
        Ok(self.next)
    }

    /// Writes the commit to come, empty or not.
    async fn flush(&mut self, covered: CommitSeq, durable: bool) -> Result<(), RecoveryError> {
        let body_len = self.body.len() - COMMIT_HEADER;
        let len = commit_len(body_len);
        let mut at = self.at;
        if at.byte() + len as u64 > self.geometry.file_bytes {
            at = RingPosition {
                file: at.file + 1,
                block: 0,
            };
        }
        if at.file >= self.geometry.files {
            let what = "what is live does not fit a new journal: make the ring larger";
            return Err(RecoveryError::Config(what.to_owned()));
        }
        let header = CommitHeader {
            journal: self.id,
            seq: self.next,
            live_from: FIRST_SEQ,
            live_from_at: RingPosition::default(),
            durable_through: covered,
            count: self.records,
            body_len: u32::try_from(body_len).expect("bounded by a commit"),
            body_crc: 0,
        };
        let mut buf = self.io.buffer(len);
        buf.as_mut()[..self.body.len()].copy_from_slice(&self.body);
        seal(buf.as_mut(), &header);
        let file = self.file(at.file);
        let pos = at.byte();
        let write = Op::Write {
            file,
            pos,
            buf,
            durable,
        };
        self.io.run(write).await?;
        self.commits.push(RecoveredCommit {
            seq: self.next,
            at,
            len: u32::try_from(len).expect("bounded by a commit"),
        });
        let prepared = &mut self.prepared[usize::from(at.file)];
        *prepared = (*prepared).max(pos + len as u64);
        self.at = RingPosition {
            file: at.file,
            block: at.block + u32::try_from(len / BLOCK).expect("bounded by a commit"),
        };
        self.next = self.next.plus(1);
        self.body.truncate(COMMIT_HEADER);
        self.records = 0;
        Ok(())
    }

    fn file(&self, index: u16) -> FileName {
        FileName::Journal {
            generation: self.id.generation,
            core: self.id.core,
            index,
        }
    }

    /// Writes what is pending, makes it durable, and lets an empty commit vouch for it.
    pub(crate) async fn finish(
        mut self,
        sync: bool,
        logs: Vec<RecoveredLog>,
    ) -> Result<RecoveredCore, RecoveryError> {
        self.flush(CommitSeq(0), false).await?;
        if sync {
            for index in 0..=self.at.file {
                self.io.run(Op::Sync(self.file(index))).await?;
            }
        }
        let covered = CommitSeq(self.next.0 - 1);
        self.flush(covered, sync).await?;
        Ok(RecoveredCore {
            journal: self.id,
            geometry: self.geometry,
            prepared: self.prepared,
            set_aside: false,
            mark_at: 0,
            next_seq: self.next,
            write_at: self.at,
            commits: self.commits,
            free: None,
            logs,
        })
    }
}

/// Zero-fills the rest of the file that the ring stands in, which the live store cannot do beside
/// its commits: the first ones would each extend the file, and take twice as long. After the
/// switch: it may need what the old ring has given back. It takes no more than `room`, without which
/// the store gets by; what it took.
///
/// # Errors
/// When the device refuses for another reason than want of space.
pub(crate) async fn fill<P: BufPool>(
    io: &Io<P>,
    core: &mut RecoveredCore,
    room: u64,
) -> Result<u64, RecoveryError> {
    let index = core.write_at.file;
    let file = FileName::Journal {
        generation: core.journal.generation,
        core: core.journal.core,
        index,
    };
    let mut filled = core.prepared[usize::from(index)];
    let more = core.geometry.file_bytes - filled;
    if more > room {
        return Ok(0);
    }
    while filled < core.geometry.file_bytes {
        let len = FILL.min(core.geometry.file_bytes - filled);
        let mut buf = io.buffer(usize::try_from(len).expect("one fill"));
        buf.as_mut().fill(0);
        let write = Op::Write {
            file,
            pos: filled,
            buf,
            durable: false,
        };
        match io.run(write).await {
            Err(error) if error.kind == IoErrorKind::NoSpace => break,
            result => result?,
        }
        filled += len;
    }
    if filled > core.prepared[usize::from(index)] {
        io.run(Op::Sync(file)).await?;
        core.prepared[usize::from(index)] = filled;
    }
    Ok(more)
}

/// Makes a log's directory, durably.
pub(crate) async fn make_log_dir<P: BufPool>(io: &Io<P>, log: LogId) -> Result<(), RecoveryError> {
    io.run(Op::MakeDir(Dir::Log(log))).await?;
    io.run(Op::SyncDir(Dir::Logs)).await?;
    Ok(())
}

/// Pads `len` to whole blocks and writes `bytes` at `pos`.
pub(crate) async fn write_padded<P: BufPool>(
    io: &Io<P>,
    file: FileName,
    pos: u64,
    bytes: &[u8],
) -> Result<(), RecoveryError> {
    let mut buf = io.buffer(round_up(bytes.len()));
    buf.as_mut()[..bytes.len()].copy_from_slice(bytes);
    buf.as_mut()[bytes.len()..].fill(0);
    let write = Op::Write {
        file,
        pos,
        buf,
        durable: false,
    };
    io.run(write).await?;
    Ok(())
}
