//! Buffers that the device can read and write: glommio's, recycled by length.
//!
//! A pool belongs to one executor and must be used within it. It bounds what it keeps, not what
//! it gives: storage bounds the buffers in flight itself.

use std::cell::RefCell;
use std::rc::Rc;

use foldhash::fast::FixedState;
use glommio::io::DmaBuffer;
use hashbrown::HashMap;
use leveret_storage::io::{BLOCK, BufPool};

/// Bytes that a pool keeps for later at most.
const KEPT: usize = 16 * 1024 * 1024;

#[derive(Default)]
struct Spare {
    by_len: HashMap<usize, Vec<DmaBuffer>, FixedState>,
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
            None => glommio::allocate_dma_buffer(len),
        };
        DmaBuf {
            memory: Some(buffer),
            home: self.clone(),
        }
    }
}

impl DmaPool {
    fn take_back(&self, buffer: DmaBuffer) {
        let mut spare = self.0.borrow_mut();
        let len = buffer.len();
        if spare.bytes + len <= KEPT {
            spare.bytes += len;
            spare.by_len.entry(len).or_default().push(buffer);
        }
    }
}

/// A block-aligned buffer that goes back to its pool when dropped.
pub struct DmaBuf {
    /// `None` only while being dropped.
    memory: Option<DmaBuffer>,
    home: DmaPool,
}

impl AsRef<[u8]> for DmaBuf {
    fn as_ref(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], DmaBuffer::as_bytes)
    }
}

impl AsMut<[u8]> for DmaBuf {
    fn as_mut(&mut self) -> &mut [u8] {
        self.memory
            .as_mut()
            .map_or(&mut [], DmaBuffer::as_bytes_mut)
    }
}

impl Drop for DmaBuf {
    fn drop(&mut self) {
        if let Some(buffer) = self.memory.take() {
            self.home.take_back(buffer);
        }
    }
}

impl std::fmt::Debug for DmaBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DmaBuf({} bytes)", self.as_ref().len())
    }
}
