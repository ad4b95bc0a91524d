//! The journal's ring: its room, its files, and the mark that vouches for its end.
//!
//! [`Ring`] counts bytes and commits, and what is granted to entries that are not placed. It knows
//! nothing of what commits say; whoever places something takes the room for it here first.

pub(crate) mod mark;
pub(crate) mod prefill;
pub(crate) mod ring;
mod room;
pub(crate) mod sync;

use crate::format::commit::JournalId;
use crate::io::FileName;
use mark::Marked;
use prefill::Prefill;
use ring::Ring;
use sync::Syncs;

/// One core's journal.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) id: JournalId,
    pub(crate) ring: Ring,
    pub(crate) prefill: Prefill,
    pub(crate) marked: Marked,
    pub(crate) syncs: Syncs,
}

impl Journal {
    /// A file of the ring.
    pub(crate) fn file(&self, index: u16) -> FileName {
        FileName::Journal {
            generation: self.id.generation,
            core: self.id.core,
            index,
        }
    }
}
