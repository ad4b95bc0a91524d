//! What was left by starts that were killed before their generation became the truth.

use super::RecoveryError;
use super::boot::{Boot, generation_of, list_logs};
use super::task::Io;
use crate::io::{BufPool, Dir, FileName, Op};
use crate::types::Generation;

/// The generations that were never born, and how to tell their files.
///
/// A start makes journal files before anything else that bears its number, and they are removed last:
/// where there is none of a generation that was never born, no start was killed, and what bears such a
/// number is nothing that may be removed.
#[derive(Clone, Debug)]
pub(crate) struct Unborn {
    /// The present truth's.
    born: Option<Generation>,
    /// Their journal files.
    journals: Vec<FileName>,
}

impl Unborn {
    /// Of a directory with these journal files.
    pub(crate) fn among(boot: &Boot, journals: impl IntoIterator<Item = FileName>) -> Self {
        let born = boot.current.as_ref().map(|(block, _)| block.generation);
        let later = |file: &FileName| generation_of(*file).is_some_and(|run| Some(run) > born);
        Self {
            born,
            journals: journals.into_iter().filter(later).collect(),
        }
    }

    /// How many files bear their number.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) async fn count<P: BufPool>(&self, io: &Io<P>) -> Result<u64, RecoveryError> {
        let mut count = self.journals.len() as u64;
        if count > 0 {
            for log in list_logs(io).await? {
                count += self.made_in(io, Dir::Log(log)).await?.len() as u64;
            }
        }
        Ok(count)
    }

    async fn made_in<P: BufPool>(
        &self,
        io: &Io<P>,
        dir: Dir,
    ) -> Result<Vec<FileName>, RecoveryError> {
        let names = io.list(dir).await?;
        let files = names
            .iter()
            .filter_map(|(name, _)| FileName::parse(dir, name));
        Ok(files.filter(|file| self.made(file)).collect())
    }

    /// Whether a start that was killed made this file in a log's folder, or an index of it.
    pub(crate) fn made(&self, file: &FileName) -> bool {
        let run = match *file {
            FileName::Segment { generation, .. } | FileName::Snapshot { generation, .. } => {
                generation
            }
            FileName::Index { written, .. } => written,
            FileName::Superblock | FileName::Journal { .. } => return false,
        };
        !self.journals.is_empty() && Some(run) > self.born
    }

    /// Removes what bears their number, before this start takes any space, and every journal file
    /// that does not count, `others`. Those, which tell that there was a start, go when the rest is
    /// gone for good: so a number of theirs that is used again meets nothing that bears it. Returns
    /// how many were removed.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) async fn remove<P: BufPool>(
        &self,
        io: &Io<P>,
        others: &[FileName],
    ) -> Result<u64, RecoveryError> {
        let mut removed = others.len() as u64;
        if !self.journals.is_empty() {
            for log in list_logs(io).await? {
                let dir = Dir::Log(log);
                let made = self.made_in(io, dir).await?;
                if !made.is_empty() {
                    removed += made.len() as u64;
                    io.run_all(made.into_iter().map(Op::Remove)).await?;
                    io.run(Op::SyncDir(dir)).await?;
                }
            }
        }
        io.run_all(others.iter().copied().map(Op::Remove)).await?;
        if !others.is_empty() {
            io.run(Op::SyncDir(Dir::Journal)).await?;
        }
        Ok(removed)
    }
}
