//! Lists of fixed-size entries that need no allocation: borrowed from the caller when a header
//! is written, from the frame when one is read.

use std::fmt;

/// An entry whose bytes have one fixed layout (a FlatBuffers struct).
pub trait WireItem: Copy + 'static {
    /// Bytes of one entry.
    const LEN: usize;

    /// Reads an entry from exactly [`LEN`](Self::LEN) bytes.
    fn read(bytes: &[u8]) -> Self;
}

/// A list of entries, in either form.
#[derive(Clone, Copy)]
pub struct Items<'a, T>(Repr<'a, T>);

#[derive(Clone, Copy)]
enum Repr<'a, T> {
    Slice(&'a [T]),
    /// A whole number of entries as they came.
    Wire(&'a [u8]),
}

impl<'a, T: WireItem> Items<'a, T> {
    /// Entries as they lie in a verified vector.
    pub(super) fn from_wire(bytes: &'a [u8]) -> Self {
        assert_eq!(bytes.len() % T::LEN, 0, "a vector holds whole entries");
        Self(Repr::Wire(bytes))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            Repr::Slice(items) => items.len(),
            Repr::Wire(bytes) => bytes.len() / T::LEN,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry at `index`, from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<T> {
        match self.0 {
            Repr::Slice(items) => items.get(index).copied(),
            Repr::Wire(bytes) => {
                let start = index.checked_mul(T::LEN)?;
                let end = start.checked_add(T::LEN)?;
                bytes.get(start..end).map(T::read)
            }
        }
    }

    /// All entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + DoubleEndedIterator + use<'a, T> {
        let items = *self;
        (0..items.len()).map(move |index| items.get(index).expect("index below the length"))
    }
}

impl<'a, T: WireItem> From<&'a [T]> for Items<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self(Repr::Slice(items))
    }
}

impl<T: WireItem + PartialEq> PartialEq for Items<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: WireItem + fmt::Debug> fmt::Debug for Items<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
