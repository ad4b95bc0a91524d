//! Turns the bytes of one connection into whole frames, whatever the protocol.
//!
//! A small frame that arrived whole is used where it lies; a partial one is kept, never more of it
//! than [`SMALL_FRAME`]; of a larger one only its beginning is looked at until its permit is
//! there, then it is received straight into its own buffer. How long a frame is and how many bytes
//! of the budget it holds is the protocol's to say, and what to do with it.

use bytes::BytesMut;
use leveret_storage::store::SMALL_ENTRY;

/// Frames up to this length are put together from received chunks; longer ones want a permit and a receive
/// into place. Bytes.
pub(in crate::core) const SMALL_FRAME: usize = 16 * 1024;

/// A frame up to this length does not wait in line for memory before it is there: the kernel holds it
/// until it has come whole, however slowly. Nor is it received in pieces. So much of a longer one has to have
/// come before it waits in line. Bytes: as many as a longer one is promised when it begins, and far less than the
/// kernel holds of one that has come fast before.
pub(in crate::core) const SHORT_FRAME: usize = 512 * 1024;

/// The extent of a frame, as its protocol reads it from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct Frame {
    /// From its first byte to its last.
    pub(in crate::core) len: usize,
    /// Bytes of the budget that it holds until its request is answered.
    pub(in crate::core) permit: usize,
}

/// What a protocol makes of the bytes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Look {
    /// Too few to tell.
    NeedMore,
    /// A frame begins here.
    Frame(Frame),
    /// No frame can begin like this; the peer was told so and the connection is closing.
    Refused,
}

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Step {
    /// Nothing whole yet.
    NeedMore,
    /// All of the frame is there.
    Whole,
    /// The rest of the frame is to be received into place.
    Large,
}

/// How to go on with a frame of which `have` bytes are there.
#[must_use]
pub(in crate::core) fn step(frame: Frame, have: usize) -> Step {
    if have >= frame.len {
        Step::Whole
    } else if frame.len > SMALL_FRAME {
        Step::Large
    } else {
        Step::NeedMore
    }
}

/// The pieces that a large frame is received in, bytes: as long as what is there already, within
/// these bounds, so that a peer holds no more than some times what it has sent.
const PIECES: (usize, usize) = (64 * 1024, 256 * 1024);
/// The most that is received at a time, bytes: the kernel copies it in one turn.
pub(in crate::core) const MOST_AT_A_TIME: usize = PIECES.1;
/// There is room for all of a frame up to this length from the beginning. Bytes.
const WHOLE: usize = 2 << 20;
/// The buffer of a longer one begins with room for so many bytes. What is promised beyond that is believed
/// when so much is there: then there is room for all of it, which is no memory before it is filled. So no
/// frame is moved more than once, nor when it has become long: to move 32 MiB takes a core 18 ms.
const FIRST_ROOM: usize = 512 << 10;

/// How many bytes of a large frame of `len` want a permit when `have` are there: those and the first
/// piece, or all of a short one.
#[must_use]
pub(in crate::core) fn first_piece(len: usize, have: usize) -> usize {
    match len <= SHORT_FRAME {
        true => len,
        false => have + next_piece(have, len, true),
    }
}

/// How many bytes more of a frame are to be received when `have` are there: few while others wait for memory
/// (`contended`), as it is by pieces that a slow peer is noticed.
#[must_use]
pub(in crate::core) fn next_piece(have: usize, len: usize, contended: bool) -> usize {
    let most = if contended { PIECES.0 } else { PIECES.1 };
    have.clamp(PIECES.0, most).min(len - have)
}

/// A buffer for a large frame that begins with `so_far`.
#[must_use]
pub(in crate::core) fn place(frame: Frame, so_far: &[u8]) -> BytesMut {
    let room = match frame.len <= WHOLE {
        true => frame.len,
        false => FIRST_ROOM,
    };
    let mut buffer = BytesMut::with_capacity(room);
    buffer.extend_from_slice(so_far);
    buffer
}

/// Makes room for a piece of a frame that will be `len` long in all.
pub(in crate::core) fn make_room(buffer: &mut BytesMut, piece: usize, len: usize) {
    let have = buffer.len();
    if buffer.capacity() - have < piece {
        buffer.reserve(len - have);
    }
}

/// A batch that is to stay in memory, of a frame of so many bytes: it is copied if that would hold
/// more of the frame beside it than itself. (The log copies a small one.)
pub(in crate::core) fn detach(batch: BytesMut, frame: usize) -> BytesMut {
    match batch.len() > SMALL_ENTRY && batch.len() < frame / 2 {
        true => BytesMut::from(&batch[..]),
        false => batch,
    }
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
        assert_eq!(place(large, &[7; 30]).len(), 30);
    }

    #[test]
    fn a_promise_of_much_holds_little_until_it_is_kept() {
        let len = 32 << 20;
        assert_eq!(first_piece(len, 12), 12 + (64 << 10));
        assert_eq!(first_piece(SHORT_FRAME, 12), SHORT_FRAME);
        let frame = Frame { len, permit: len };
        let mut buffer = place(frame, &[7; 12]);
        make_room(&mut buffer, 64 << 10, len);
        assert!(buffer.capacity() < 3 << 20);
        let mut pieces = 0;
        while buffer.len() < len {
            let piece = next_piece(buffer.len(), len, false);
            assert!(next_piece(buffer.len(), len, true) <= 64 << 10);
            assert!(piece <= buffer.len().max(64 << 10));
            make_room(&mut buffer, piece, len);
            assert!(buffer.capacity() - buffer.len() >= piece && buffer.capacity() <= 2 * len);
            buffer.resize(buffer.len() + piece, 1);
            pieces += 1;
        }
        assert!((128..140).contains(&pieces), "{pieces}");
    }

    /// The lengths at which frames of any length are moved to a larger buffer.
    fn moves(grow: impl Fn(&mut BytesMut, usize, usize)) -> Vec<usize> {
        let mut moved = Vec::new();
        for len in [1 << 20, WHOLE, 3 << 20, 9 << 20, 33 << 20, 128 << 20] {
            let mut buffer = place(Frame { len, permit: len }, &[7; 12]);
            while buffer.len() < len {
                let piece = next_piece(buffer.len(), len, false);
                let before = buffer.capacity();
                grow(&mut buffer, piece, len);
                if buffer.capacity() != before {
                    moved.push(buffer.len());
                }
                buffer.resize(buffer.len() + piece, 1);
            }
        }
        moved
    }

    #[test]
    fn no_long_frame_is_moved() {
        let moved = moves(make_room);
        assert_eq!(
            moved.len(),
            4,
            "each that is longer than 2 MiB, once: {moved:?}"
        );
        assert!(moved.iter().all(|have| *have <= FIRST_ROOM), "{moved:?}");
        // The control: a buffer that grows by steps is moved when it is long.
        let moved = moves(|buffer, piece, len| {
            let have = buffer.len();
            if buffer.capacity() - have < piece {
                buffer.reserve((4 * have).min(len) - have);
            }
        });
        assert!(moved.iter().any(|have| *have > 16 << 20), "{moved:?}");
    }
}
