//! Buffers that the device can read and write: glommio's, recycled by length.
//!
//! A pool belongs to one executor and must be used within it. It bounds what it keeps, not what
//! it gives: storage bounds the buffers in flight itself.

use std::cell::RefCell;
use std::rc::Rc;

use foldhash::fast::FixedState;
use glommio::io::{DmaBuffer, ReadResult};
use hashbrown::HashMap;
use leveret_storage::io::{BLOCK, BufPool};

/// Bytes that a pool keeps for later at most.
const KEPT: usize = 16 * 1024 * 1024;

#[derive(Default)]
struct Spare {
    by_len: HashMap<usize, Vec<Rc<DmaBuffer>>, FixedState>,
    bytes: usize,
}

/// A core's staging buffers. Clones share the spare ones.
#[derive(Clone, Default)]
pub struct DmaPool(Rc<RefCell<Spare>>);

impl BufPool for DmaPool {
    type Buf = DmaBuf;

    fn alloc(&mut self, len: usize) -> DmaBuf {
        assert!(
            len > 0 && len.is_multiple_of(BLOCK),
            "{len} is no multiple of a block"
        );
        let mut spare = self.0.borrow_mut();
        let kept = spare.by_len.get_mut(&len).and_then(Vec::pop);
        let buffer = match kept {
            Some(buffer) => {
                spare.bytes -= len;
                buffer
            }
            None => Rc::new(glommio::allocate_dma_buffer(len)),
        };
        DmaBuf {
            memory: Memory::Own(buffer),
            home: self.clone(),
        }
    }
}

impl DmaPool {
    fn take_back(&self, buffer: Rc<DmaBuffer>) {
        let mut spare = self.0.borrow_mut();
        let len = buffer.len();
        if Rc::strong_count(&buffer) == 1 && spare.bytes + len <= KEPT {
            spare.bytes += len;
            spare.by_len.entry(len).or_default().push(buffer);
        }
    }

    /// What a read gave, as a buffer of this pool.
    pub(super) fn adopt(&self, read: ReadResult) -> DmaBuf {
        DmaBuf {
            memory: Memory::Read(read),
            home: self.clone(),
        }
    }
}

enum Memory {
    Own(Rc<DmaBuffer>),
    /// glommio keeps the memory of a read; it is copied only if somebody wants to change it.
    Read(ReadResult),
    /// Only while being moved out.
    Gone,
}

/// A block-aligned buffer that goes back to its pool when dropped.
pub struct DmaBuf {
    memory: Memory,
    home: DmaPool,
}

impl DmaBuf {
    /// The buffer as glommio writes it; it goes back to the pool with the returned value.
    pub(super) fn share(&mut self) -> Rc<DmaBuffer> {
        self.make_own();
        match &self.memory {
            Memory::Own(buffer) => Rc::clone(buffer),
            Memory::Read(_) | Memory::Gone => unreachable!("made own above"),
        }
    }

    /// Copies what was read into a buffer of our own. The length may have to grow to blocks.
    fn make_own(&mut self) {
        if let Memory::Read(read) = &self.memory {
            let len = read.len().next_multiple_of(BLOCK).max(BLOCK);
            let mut copy = self.home.alloc(len);
            copy.as_mut()[..read.len()].copy_from_slice(read);
            self.memory = std::mem::replace(&mut copy.memory, Memory::Gone);
        }
    }
}

impl AsRef<[u8]> for DmaBuf {
    fn as_ref(&self) -> &[u8] {
        match &self.memory {
            Memory::Own(buffer) => buffer.as_bytes(),
            Memory::Read(read) => read,
            Memory::Gone => &[],
        }
    }
}

impl AsMut<[u8]> for DmaBuf {
    fn as_mut(&mut self) -> &mut [u8] {
        self.make_own();
        match &mut self.memory {
            Memory::Own(buffer) => {
                let own = Rc::get_mut(buffer).expect("a buffer in flight is with the driver");
                own.as_bytes_mut()
            }
            Memory::Read(_) | Memory::Gone => &mut [],
        }
    }
}

impl Drop for DmaBuf {
    fn drop(&mut self) {
        if let Memory::Own(buffer) = std::mem::replace(&mut self.memory, Memory::Gone) {
            self.home.take_back(buffer);
        }
    }
}

impl std::fmt::Debug for DmaBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DmaBuf({} bytes)", self.as_ref().len())
    }
}
