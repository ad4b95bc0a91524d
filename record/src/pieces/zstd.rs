//! Zstandard frames, streamed. The window buffer that a frame asks for is the largest state of
//! any codec; its pages are touched no further than the output goes.

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use super::{MAX_INPUT, MAX_PIECE_LEN, Refused, Step, Work, reserve};

/// Windows of up to 128 MiB, which zstd's own levels reach: the bound of its streaming decoder
/// and so of every Kafka client on the JVM. Under a smaller limit, no more than that.
const WINDOW_LOGS: std::ops::RangeInclusive<u32> = 10..=27;

pub(super) struct Zstd {
    context: DCtx<'static>,
    /// All that was begun is finished; not so before the first frame.
    between_frames: bool,
}

impl Default for Zstd {
    fn default() -> Self {
        Self {
            context: DCtx::create(),
            between_frames: false,
        }
    }
}

impl Zstd {
    pub(super) fn begin(&mut self, limit: usize) {
        self.context
            .reset(ResetDirective::SessionOnly)
            .expect("a session can always be reset");
        let log = limit.max(1).next_power_of_two().ilog2();
        let log = log.clamp(*WINDOW_LOGS.start(), *WINDOW_LOGS.end());
        self.context
            .set_parameter(DParameter::WindowLogMax(log))
            .expect("a window bound that zstd allows");
        self.between_frames = false;
    }

    pub(super) fn step(&mut self, work: Work<'_, '_>) -> Result<Step, Refused> {
        if work.rest().is_empty() && self.between_frames {
            return Ok(Step::End);
        }
        let mut input = InBuffer::around(work.input(MAX_INPUT));
        let Work { at, buffer, .. } = work;
        reserve(buffer, MAX_PIECE_LEN);
        let mut output = OutBuffer::around(&mut buffer[..MAX_PIECE_LEN]);
        let hint = self
            .context
            .decompress_stream(&mut output, &mut input)
            .map_err(refused)?;
        let (taken, given) = (input.pos(), output.pos());
        *at += taken;
        self.between_frames = hint == 0;
        if taken == 0 && given == 0 {
            // It wants more than there is.
            return Err(Refused::Invalid);
        }
        Ok(Step::Piece(0, given))
    }
}

/// A window above the limit is one for more content than that.
fn refused(code: zstd_safe::ErrorCode) -> Refused {
    let window = zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge;
    if code == (window as usize).wrapping_neg() {
        Refused::TooLarge
    } else {
        Refused::Invalid
    }
}
