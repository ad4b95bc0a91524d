//! Turns the bytes of one connection into whole native frames.
//!
//! A small frame that arrived whole is used where it lies; a partial one is kept, never more of it
//! than [`SMALL_FRAME`]; of a larger one only the fixed header is looked at until its permit is
//! there, then it is received straight into its own buffer. It does not decode headers and does
//! not decide what to do with a frame.

use bytes::BytesMut;
use leveret_wire::native::{FrameError, FrameHeader, FrameLimits};

/// Frames up to this length are gathered from received chunks; longer ones want a permit and a
/// receive into place. Bytes.
pub(super) const SMALL_FRAME: usize = 16 * 1024;

/// What the bytes so far amount to.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing whole yet.
    NeedMore,
    /// One whole frame lies at the start of the input: its first `frame_len` bytes.
    Whole(FrameHeader),
    /// A frame above [`SMALL_FRAME`] begins here.
    Large(FrameHeader),
}

/// Looks at the start of `input`.
///
/// # Errors
/// [`FrameError`] if no frame can begin like this; the connection cannot go on.
pub(super) fn look(input: &[u8], limits: &FrameLimits) -> Result<Step, FrameError> {
    let Some(header) = FrameHeader::parse(input, limits)? else {
        return Ok(Step::NeedMore);
    };
    if input.len() >= header.frame_len() {
        Ok(Step::Whole(header))
    } else if header.frame_len() > SMALL_FRAME {
        Ok(Step::Large(header))
    } else {
        Ok(Step::NeedMore)
    }
}

/// A buffer for the whole of a large frame that begins with `so_far`, and how much is missing.
#[must_use]
pub(super) fn place(header: &FrameHeader, so_far: &[u8]) -> (BytesMut, usize) {
    let mut frame = BytesMut::with_capacity(header.frame_len());
    frame.extend_from_slice(so_far);
    (frame, header.frame_len() - so_far.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_wire::native::{CorrelationId, Kind};

    fn frame(payload: usize) -> BytesMut {
        let mut out = BytesMut::new();
        FrameHeader::new(Kind::Produce.as_u16(), CorrelationId(1), 0, payload).write(&mut out);
        out.resize(FrameHeader::LEN + payload, 7);
        out
    }

    #[test]
    fn small_frames_wait_and_large_ones_are_announced() {
        let limits = FrameLimits::for_requests(1 << 20);
        let small = frame(100);
        assert!(matches!(look(&small[..50], &limits), Ok(Step::NeedMore)));
        assert!(matches!(look(&small, &limits), Ok(Step::Whole(_))));
        let large = frame(SMALL_FRAME);
        let Ok(Step::Large(header)) = look(&large[..30], &limits) else {
            panic!("large")
        };
        let (place, missing) = place(&header, &large[..30]);
        assert_eq!((place.len(), missing), (30, large.len() - 30));
        assert!(look(&frame(2 << 20), &limits).is_err());
    }
}
