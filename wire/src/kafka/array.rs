//! Arrays that are read where they lie.

use std::fmt;
use std::marker::PhantomData;

use super::{Checking, DecodeError, Reader};

/// Something that arrays hold.
pub trait Element<'a>: Sized {
    /// The fewest bytes that one takes, in any version; at least 1.
    const MIN_LEN: usize;

    /// Reads one.
    ///
    /// # Errors
    /// [`DecodeError`], if the bytes are not as the version has them.
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

impl<'a> Element<'a> for i32 {
    const MIN_LEN: usize = 4;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.i32()
    }
}

impl<'a> Element<'a> for &'a str {
    const MIN_LEN: usize = 1;

    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.string()
    }
}

/// An array in a frame whose elements have been checked once and are read again when they are
/// used: nothing is allocated for it, however many there are.
pub struct Array<'a, T> {
    first: Reader<'a>,
    count: usize,
    element: PhantomData<fn() -> T>,
}

impl<'a, T: Element<'a>> Array<'a, T> {
    /// `count` elements from where `first` stands, all of which have been read without an error.
    pub(super) fn checked(first: Reader<'a>, count: usize) -> Self {
        Self {
            first,
            count,
            element: PhantomData,
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All elements in order.
    #[must_use]
    pub fn iter(&self) -> Elements<'a, T> {
        Elements {
            reader: self.first,
            left: self.count,
            element: PhantomData,
        }
    }
}

impl<T> Clone for Array<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Array<'_, T> {}

impl<'a, T: Element<'a>> IntoIterator for Array<'a, T> {
    type Item = T;
    type IntoIter = Elements<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for Array<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Where [`Elements`] stand in their frame, to go on with them later: small, and without the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    at: usize,
    left: usize,
    version: i16,
    flexible: bool,
}

impl Place {
    /// Where the next element begins, counted from the start of the frame.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// How many elements follow.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.left
    }

    /// One element of the same array, which begins there.
    #[must_use]
    pub const fn at(self, position: usize) -> Self {
        Self {
            at: position,
            left: 1,
            ..self
        }
    }
}

/// The elements of an [`Array`].
pub struct Elements<'a, T> {
    reader: Reader<'a>,
    left: usize,
    element: PhantomData<fn() -> T>,
}

impl<'a, T: Element<'a>> Elements<'a, T> {
    /// Where they stand.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            at: self.reader.position(),
            left: self.left,
            version: self.reader.version(),
            flexible: self.reader.is_flexible(),
        }
    }

    /// Goes on where elements of this type stood in that frame, which was decoded with that check.
    ///
    /// # Panics
    /// If the frame ends before that place. Of another frame or type, what follows may panic when it
    /// is read.
    #[must_use]
    pub fn resume(frame: &'a [u8], place: Place, checking: &'a Checking) -> Self {
        let mut reader = Reader::new(frame, place.at).expect("a place in this frame");
        reader.set_version(place.version, place.flexible);
        Self {
            reader: reader.with_checking(checking),
            left: place.left,
            element: PhantomData,
        }
    }
}

impl<'a, T: Element<'a>> Iterator for Elements<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        Some(T::read(&mut self.reader).expect("checked when the array was decoded"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a, T: Element<'a>> ExactSizeIterator for Elements<'a, T> {}
