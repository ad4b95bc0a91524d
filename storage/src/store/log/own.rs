//! Memory of a log's own, for its small entries.
//!
//! A small entry was received beside those of other logs. If it stayed where it lies, a small entry
//! of a quiet log would hold all that came with it long after the others have left memory, while
//! the cache counts the entry alone. So small entries are copied here, many of a busy log into one
//! allocation. A large entry keeps its buffer, most of which it fills.

use bytes::{Bytes, BytesMut};

/// Entries up to this length are copied, bytes. Who appends longer ones gives each a buffer of its own.
pub const SMALL_ENTRY: usize = 4 << 10;

/// Most bytes that are allocated at a time.
const MOST: usize = 16 << 10;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct OwnMemory {
    /// Room for the entries to come.
    room: BytesMut,
}

impl OwnMemory {
    /// What is to be kept of an entry, by a log that has `held` bytes in memory: no more is allocated in
    /// advance than it holds already.
    pub(crate) fn keep(&mut self, entry: &Bytes, held: usize) -> Bytes {
        let len = entry.len();
        if len > SMALL_ENTRY {
            return entry.clone();
        }
        if self.room.capacity() < len {
            let room = held.min(MOST);
            if room < 2 * len {
                return Bytes::copy_from_slice(entry);
            }
            self.room = BytesMut::with_capacity(room);
        }
        self.room.extend_from_slice(entry);
        self.room.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_entry_lets_go_what_came_with_it() {
        let block = Bytes::from(vec![7; 64 << 10]);
        for held in [0, 1 << 20] {
            let mut own = OwnMemory::default();
            let kept = own.keep(&block.slice(100..300), held);
            assert_eq!(kept, block.slice(100..300));
            assert!(block.is_unique(), "nobody else holds the block");
        }
        let large = OwnMemory::default().keep(&block.slice(..SMALL_ENTRY + 1), 0);
        assert!(!block.is_unique(), "the control: it lies where it lay");
        drop(large);
    }

    #[test]
    fn a_busy_log_allocates_for_many_and_a_quiet_one_no_more_than_it_holds() {
        let entry = Bytes::from(vec![1; 100]);
        let allocations = |held: &dyn Fn(usize) -> usize| {
            let mut own = OwnMemory::default();
            let (mut all, mut before, mut kept) = (0, 0, Vec::new());
            for n in 0..1000 {
                kept.push(own.keep(&entry, held(n)));
                let capacity = own.room.capacity();
                all += usize::from(capacity + 100 != before);
                before = capacity;
            }
            all
        };
        assert!(allocations(&|_| 1 << 20) < 10);
        assert!(allocations(&|n| 100 * n) < 30);
        let mut quiet = OwnMemory::default();
        let kept = quiet.keep(&entry, 150);
        assert_eq!((kept.len(), quiet.room.capacity()), (100, 0));
    }
}
