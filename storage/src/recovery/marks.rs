//! Compares marks with the rings that they vouch for: a ring that was cut, or whose files were
//! replaced by older ones, looks like a ring that ends earlier.

use std::collections::BTreeMap;

use super::RecoveryError;
use super::boot::list_journals;
use super::journal::{End, Journal};
use super::task::Io;
use crate::format::commit::JournalId;
use crate::format::mark::Mark;
use crate::format::superblock::Superblock;
use crate::io::{BLOCK, BufPool, FileName, Op};
use crate::types::CoreId;

/// The marks of the present generation, one per core; `None` where none is intact.
///
/// # Errors
/// When the device refuses.
pub(super) async fn read<P: BufPool>(
    io: &Io<P>,
    block: &Superblock,
    slot: usize,
) -> Result<Vec<Option<Mark>>, RecoveryError> {
    let mut marks = Vec::with_capacity(usize::from(block.homes.cores()));
    for core in (0..block.homes.cores()).map(CoreId) {
        let pos = Mark::position(core, slot);
        let bytes = io.read_range(FileName::Superblock, pos, BLOCK).await?;
        let own = JournalId {
            generation: block.generation,
            core,
            salt: block.salt,
        };
        let mark = Mark::decode(&bytes).ok();
        marks.push(mark.filter(|mark| mark.journal == own));
    }
    Ok(marks)
}

/// Writes the first mark of a new ring, all of which is durable.
///
/// # Errors
/// When the device refuses.
pub(super) async fn write<P: BufPool>(
    io: &Io<P>,
    mark: &Mark,
    pos: u64,
) -> Result<(), RecoveryError> {
    let mut buf = io.buffer(BLOCK);
    mark.encode(buf.as_mut());
    let write = Op::Write {
        file: FileName::Superblock,
        pos,
        buf,
        durable: true,
    };
    io.run(write).await?;
    Ok(())
}

/// Whether the files of the rings are as long as they were.
///
/// # Errors
/// Corruption, with the first file that is shorter than whole.
pub(super) async fn check_lengths<P: BufPool>(
    io: &Io<P>,
    block: &Superblock,
    marks: &[Option<Mark>],
) -> Result<(), RecoveryError> {
    let lengths: BTreeMap<FileName, u64> = list_journals(io).await?.into_iter().collect();
    for mark in marks.iter().flatten() {
        let files = (0..block.geometry.files).map(|index| FileName::Journal {
            generation: block.generation,
            core: mark.journal.core,
            index,
        });
        let found = files.clone().map(|file| lengths.get(&file).copied());
        let together: u64 = found.map(Option::unwrap_or_default).sum();
        if together >= mark.bytes {
            continue;
        }
        let whole = block.geometry.file_bytes;
        let mut short = files.filter(|file| lengths.get(file).is_none_or(|len| *len < whole));
        let file = short.next().unwrap_or(FileName::Superblock);
        let what = match lengths.get(&file) {
            None => "the journal file is missing".to_owned(),
            Some(len) => format!(
                "the journal file has {len} of {whole} bytes: it was cut, or another that stands behind it; \
                 put it back as it was"
            ),
        };
        return Err(RecoveryError::corrupt(file, 0, what));
    }
    Ok(())
}

/// Whether a ring goes as far as its mark vouches for.
///
/// # Errors
/// Corruption, at the place where the ring ends.
pub(crate) fn check_end<P: BufPool>(
    journal: &Journal<P>,
    end: &End,
    mark: Option<&Mark>,
) -> Result<(), RecoveryError> {
    let Some(mark) = mark.filter(|mark| mark.vouched > end.last.seq) else {
        return Ok(());
    };
    let what = format!(
        "the journal ends with commit {}, and commit {} was durable: a file of it was cut or replaced by \
         another, from here on; put it back as it was",
        end.last.seq, mark.vouched
    );
    Err(journal.corrupt(end.at, what))
}
