//! Zstandard frames, streamed; the library decodes short ones at once. The window buffer that a
//! frame asks for is the largest state of any codec, but its pages are touched only as far as the
//! output goes.

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use super::{MAX_PIECE_LEN, Refused, Step, Work, reserve};

/// Windows of up to 128 MiB, which zstd's own levels reach: the bound of its streaming decoder
/// and so of every Kafka client on the JVM. Under a smaller limit, no more than that.
const WINDOW_LOGS: std::ops::RangeInclusive<u32> = 10..=27;
/// Blocks and frame headers of a step at most, and what each costs in bytes of output: one of thirty
/// bytes may have four tables that take longer to make than it takes to decode some thousand.
const MAX_BLOCKS: usize = 16;
const BLOCK_COST: usize = 4 << 10;
const MAX_BLOCK_LEN: usize = 128 << 10;

const MAGIC: u32 = 0xfd2f_b528;
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;

pub(super) struct Zstd {
    context: DCtx<'static>,
    /// All that was begun is finished; not so before the first frame.
    between_frames: bool,
    ahead: Ahead,
}

impl Default for Zstd {
    fn default() -> Self {
        Self {
            context: DCtx::create(),
            between_frames: false,
            ahead: Ahead::default(),
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
        self.ahead = Ahead::default();
    }

    pub(super) fn step(&mut self, work: Work<'_, '_>) -> Result<Step, Refused> {
        if work.rest().is_empty() && self.between_frames {
            return Ok(Step::End);
        }
        let Work {
            payload,
            at,
            cost,
            buffer,
        } = work;
        if *at == self.ahead.at {
            *cost += BLOCK_COST * self.ahead.look(payload)?;
        }
        let mut input = InBuffer::around(&payload[*at..self.ahead.at]);
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

/// What comes where a step's input ends (RFC 8878, section 3.1).
#[derive(Clone, Copy, Default)]
enum Part {
    #[default]
    Frame,
    /// A block of a frame that ends in a checksum or not.
    Block { summed: bool },
}

/// How far the input of a step goes: over so many blocks that the step is a short one.
#[derive(Clone, Copy, Default)]
struct Ahead {
    at: usize,
    part: Part,
}

impl Ahead {
    /// Goes over the blocks and headers of another step. How many those are.
    fn look(&mut self, payload: &[u8]) -> Result<usize, Refused> {
        let (begin, mut parts) = (self.at, 0);
        while self.at < payload.len() && self.at - begin < MAX_PIECE_LEN && parts < MAX_BLOCKS {
            let len = self.pass(&payload[self.at..]).ok_or(Refused::Invalid)?;
            if len > payload.len() - self.at {
                return Err(Refused::Invalid);
            }
            self.at += len;
            parts += 1;
        }
        Ok(parts)
    }

    /// Bytes of the part that `rest` begins with; what follows it is known then.
    fn pass(&mut self, rest: &[u8]) -> Option<usize> {
        match self.part {
            Part::Frame => {
                let magic = u32::from_le_bytes(*rest.first_chunk()?);
                if magic & !0xf == SKIPPABLE_MAGIC {
                    let len = u32::from_le_bytes(*rest[4..].first_chunk()?);
                    return Some(8 + len as usize);
                }
                let descriptor = *rest.get(4).filter(|_| magic == MAGIC)?;
                let single = descriptor & 1 << 5 != 0;
                let content_len = match descriptor >> 6 {
                    0 => usize::from(single),
                    log => 1 << log,
                };
                let dictionary_len = [0, 1, 2, 4][usize::from(descriptor & 0b11)];
                self.part = Part::Block {
                    summed: descriptor & 1 << 2 != 0,
                };
                Some(5 + usize::from(!single) + dictionary_len + content_len)
            }
            Part::Block { summed } => {
                let [low, middle, high] = *rest.first_chunk()?;
                let word = u32::from_le_bytes([low, middle, high, 0]);
                let len = (word >> 3) as usize;
                let len = match word >> 1 & 0b11 {
                    _ if len > MAX_BLOCK_LEN => return None,
                    0b01 => 1,
                    0b11 => return None,
                    _ => len,
                };
                let last = word & 1 != 0;
                if last {
                    self.part = Part::Frame;
                }
                Some(3 + len + 4 * usize::from(last && summed))
            }
        }
    }
}
