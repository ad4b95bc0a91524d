//! Gzip members (RFC 1952), one after another. The wrapping is read here; the library inflates.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Refused, Step, Work, reserve};

const PIECE_LEN: usize = 64 << 10;
/// Bytes of input of a step: of the worst kind, a few hundred blocks that hold nothing but tables.
const MAX_INPUT: usize = 1 << 10;
/// What a byte of input costs, in bytes of output: a block of eleven bytes may take as long as ten
/// thousand bytes of others, and a member of twenty as long as that.
const INPUT_COST: usize = 64;
const MEMBER_COST: usize = 8 << 10;
/// Most bytes of a name or comment, which the reader takes too.
const MAX_TEXT_LEN: usize = 65_535;
/// Bytes of a member's header in front of its optional fields, and of its trailer.
const HEADER_LEN: usize = 10;
const TRAILER_LEN: usize = 8;

const HAS_HEADER_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// Which part of a member comes next.
enum Part {
    /// A header, which has to come.
    Header,
    Body,
    Trailer,
    /// The end of the input or another member.
    Boundary,
}

pub(super) struct Gzip {
    inflate: Decompress,
    part: Part,
    crc: Crc,
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            inflate: Decompress::new(false),
            part: Part::Header,
            crc: Crc::new(),
        }
    }
}

impl Gzip {
    pub(super) fn begin(&mut self) {
        self.part = Part::Header;
    }

    pub(super) fn step(&mut self, work: Work<'_, '_>) -> Result<Step, Refused> {
        let rest = work.rest();
        match self.part {
            Part::Boundary if rest.is_empty() => Ok(Step::End),
            Part::Header | Part::Boundary => {
                *work.at += header_len(rest).ok_or(Refused::Invalid)?;
                *work.cost += MEMBER_COST;
                self.inflate.reset(false);
                self.crc = Crc::new();
                self.part = Part::Body;
                Ok(Step::Piece(0, 0))
            }
            Part::Body => self.inflate(work),
            Part::Trailer => {
                let trailer = rest.first_chunk::<TRAILER_LEN>().ok_or(Refused::Invalid)?;
                let [crc, len] = [&trailer[..4], &trailer[4..]]
                    .map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")));
                if crc != self.crc.sum() || len != self.crc.amount() {
                    return Err(Refused::Invalid);
                }
                *work.at += TRAILER_LEN;
                self.part = Part::Boundary;
                Ok(Step::Piece(0, 0))
            }
        }
    }

    fn inflate(&mut self, work: Work<'_, '_>) -> Result<Step, Refused> {
        let input = work.input(MAX_INPUT);
        let Work {
            at, cost, buffer, ..
        } = work;
        reserve(buffer, PIECE_LEN);
        let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(input, &mut buffer[..PIECE_LEN], FlushDecompress::None)
            .map_err(|_| Refused::Invalid)?;
        // Both are bounded by the lengths of what was passed.
        let taken = (self.inflate.total_in() - taken) as usize;
        let given = (self.inflate.total_out() - given) as usize;
        *at += taken;
        *cost += taken * INPUT_COST;
        self.crc.update(&buffer[..given]);
        if status == Status::StreamEnd {
            self.part = Part::Trailer;
        } else if taken == 0 && given == 0 {
            return Err(Refused::Invalid);
        }
        Ok(Step::Piece(0, given))
    }
}

/// Bytes of the header that `bytes` begin with, if it is whole and true.
fn header_len(bytes: &[u8]) -> Option<usize> {
    let [0x1f, 0x8b, 8, flags, ..] = *bytes.first_chunk::<HEADER_LEN>()? else {
        return None;
    };
    if flags & RESERVED != 0 {
        return None;
    }
    let mut len = HEADER_LEN;
    if flags & HAS_EXTRA != 0 {
        let extra = bytes.get(len..)?.first_chunk::<2>()?;
        len += 2 + usize::from(u16::from_le_bytes(*extra));
    }
    for field in [HAS_NAME, HAS_COMMENT] {
        if flags & field != 0 {
            let mut text = bytes.get(len..)?.iter().take(MAX_TEXT_LEN + 1);
            len += 1 + text.position(|byte| *byte == 0)?;
        }
    }
    if flags & HAS_HEADER_CRC != 0 {
        let stated = bytes.get(len..)?.first_chunk::<2>()?;
        let mut crc = Crc::new();
        crc.update(&bytes[..len]);
        if crc.sum() as u16 != u16::from_le_bytes(*stated) {
            return None;
        }
        len += 2;
    }
    (len <= bytes.len()).then_some(len)
}
