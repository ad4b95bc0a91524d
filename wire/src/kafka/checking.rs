//! Checks a request in steps. It keeps how far each array has been read, so that reading goes on
//! where it stopped and passes over long arrays that were read before.
//!
//! A frame of a megabyte may hold a million elements. After each step the request is decoded again
//! from its beginning, but each array goes on from the element that it had come to, so that only
//! what stands in front of that place is read again. So the same code checks a request and reads it
//! later.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Element, Elements, Place, Request, RequestHeader};

/// About what it takes to check an element beside its bytes, and a byte, nanoseconds.
const ELEMENT: usize = 16;
const BYTE: usize = 4;
/// Arrays of fewer bytes are read again wherever they are met.
const LONG: usize = 1 << 10;

/// How far the arrays of one frame have been checked.
#[derive(Debug)]
pub struct Checking {
    /// What this step may still cost.
    left: Cell<usize>,
    /// Arrays that are long, or that a step ended in, by where their first element begins.
    arrays: RefCell<BTreeMap<usize, Walked>>,
}

/// How far an array has been checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walked {
    /// Where the next element begins.
    pub(super) at: usize,
    /// Elements that are not checked.
    pub(super) left: usize,
}

/// What a step of a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it cost, nanoseconds or so.
    pub cost: usize,
    /// Whether it was the last one. Whether something is wrong is told when the request is decoded.
    pub over: bool,
}

impl Default for Checking {
    /// Nothing is checked, and may be in one step.
    fn default() -> Self {
        Self {
            left: Cell::new(usize::MAX),
            arrays: RefCell::default(),
        }
    }
}

impl Checking {
    /// Goes on with the check of that whole frame, for about so many nanoseconds.
    pub fn go_on(&self, frame: &[u8], work: usize) -> Step {
        self.left.set(work);
        let over = match RequestHeader::parse(frame) {
            Err(_) => true,
            Ok((header, reader)) => {
                let mut reader = reader.with_checking(self);
                let read = Request::decode(header.api, &mut reader);
                !read.is_err_and(|error| error.is_pause())
            }
        };
        let cost = work - self.left.get();
        if over {
            self.left.set(usize::MAX);
        }
        Step { cost, over }
    }

    /// Where to go on with the array whose first element begins there.
    pub(super) fn resume(&self, first: usize) -> Option<Walked> {
        self.arrays.borrow().get(&first).copied()
    }

    /// An element of so many bytes was checked. Whether the step may go on.
    pub(super) fn spend(&self, bytes: usize) -> bool {
        let left = self.left.get().saturating_sub(ELEMENT + BYTE * bytes);
        self.left.set(left);
        left > 0
    }

    /// The step ends in the array whose first element begins there.
    pub(super) fn pause(&self, first: usize, walked: Walked) {
        self.arrays.borrow_mut().insert(first, walked);
    }

    /// All elements of an array are checked.
    pub(super) fn finish(&self, first: usize, at: usize) {
        if at - first >= LONG {
            let walked = Walked { at, left: 0 };
            self.arrays.borrow_mut().insert(first, walked);
        } else if !self.arrays.borrow().is_empty()
            && let Some(kept) = self.arrays.borrow_mut().get_mut(&first)
        {
            *kept = Walked { at, left: 0 };
        }
    }
}

/// A request's frame of which all arrays are checked, to read them where they lie.
#[derive(Debug)]
pub struct CheckedFrame {
    bytes: Bytes,
    checking: Checking,
}

impl CheckedFrame {
    /// No frame, where nothing is to be read any more.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(Bytes::new(), Checking::default())
    }

    /// A frame that was decoded with that check.
    #[must_use]
    pub fn new(bytes: Bytes, checking: Checking) -> Self {
        Self { bytes, checking }
    }

    /// Its bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: a frame has a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Goes on with elements that stood there.
    ///
    /// # Panics
    /// As [`Elements::resume`].
    #[must_use]
    pub fn elements<'a, T: Element<'a>>(&'a self, place: Place) -> Elements<'a, T> {
        Elements::resume(&self.bytes, place, &self.checking)
    }
}

#[cfg(test)]
mod tests;
