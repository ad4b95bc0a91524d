//! Turns the bytes of one connection into whole frames, whatever the protocol.
//!
//! A small frame that arrived whole is used where it lies; a partial one is kept, never more of it
//! than [`SMALL_FRAME`]; of a larger one only its beginning is looked at until its permit is
//! there, then it is received straight into its own buffer. How long a frame is and how many bytes
//! of the budget it holds is the protocol's to say, and what to do with it.

use bytes::BytesMut;

/// Frames up to this length are gathered from received chunks; longer ones want a permit and a
/// receive into place. Bytes.
pub(super) const SMALL_FRAME: usize = 16 * 1024;

/// The extent of a frame, as its protocol reads it from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// From its first byte to its last.
    pub(super) len: usize,
    /// Bytes of the budget that it holds until its request is answered.
    pub(super) permit: usize,
}

/// What a protocol makes of the bytes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Too few to tell.
    NeedMore,
    /// A frame begins here.
    Frame(Frame),
    /// No frame can begin like this; the peer was told so and the connection is closing.
    Refused,
}

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing whole yet.
    NeedMore,
    /// All of the frame is there.
    Whole,
    /// The rest of the frame is to be received into place.
    Large,
}

/// How to go on with a frame of which `have` bytes are there.
#[must_use]
pub(super) fn step(frame: Frame, have: usize) -> Step {
    if have >= frame.len {
        Step::Whole
    } else if frame.len > SMALL_FRAME {
        Step::Large
    } else {
        Step::NeedMore
    }
}

/// A buffer for the whole of a large frame that begins with `so_far`, and how much is missing.
#[must_use]
pub(super) fn place(frame: Frame, so_far: &[u8]) -> (BytesMut, usize) {
    let mut buffer = BytesMut::with_capacity(frame.len);
    buffer.extend_from_slice(so_far);
    (buffer, frame.len - so_far.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_frames_wait_and_large_ones_are_received_into_place() {
        let frame = |len| Frame { len, permit: len };
        assert_eq!(step(frame(100), 50), Step::NeedMore);
        assert_eq!(step(frame(100), 100), Step::Whole);
        assert_eq!(step(frame(100), 200), Step::Whole);
        let large = frame(SMALL_FRAME + 1);
        assert_eq!(step(large, 30), Step::Large);
        assert_eq!(step(large, large.len), Step::Whole);
        let (place, missing) = place(large, &[7; 30]);
        assert_eq!((place.len(), missing), (30, large.len - 30));
    }
}
