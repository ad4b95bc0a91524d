//! A run's course: always as a hash, so that two runs of a seed can be compared, and on request
//! as text.

use std::fmt;

use leveret_storage::io::Op;
use leveret_storage::store::Event;

use crate::disk::SimBuf;

/// Hears everything that happens.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    printing: bool,
}

impl Trace {
    /// Begins; `printing` says whether people read along on stderr.
    #[must_use]
    pub fn new(printing: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            printing,
        }
    }

    /// Something happened that these numbers tell apart from all else that could have.
    pub fn note(&mut self, numbers: [u64; 3]) {
        for number in numbers {
            self.hash = (self.hash ^ number)
                .wrapping_mul(0x0100_0000_01b3)
                .rotate_left(23);
        }
    }

    /// For people only.
    pub fn say(&self, text: fmt::Arguments<'_>) {
        if self.printing {
            eprintln!("{text}");
        }
    }

    /// The course so far as a number.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

/// An event in words, without the bytes of a read.
#[must_use]
pub fn in_words(event: &Event) -> String {
    match event {
        Event::ReadDone {
            token,
            result: Ok(data),
        } => format!("{token:?} gives {} bytes", data.bytes),
        other => format!("{other:?}"),
    }
}

/// An operation in words, without its bytes.
#[must_use]
pub fn describe(op: &Op<SimBuf>) -> String {
    match op {
        Op::Write {
            file,
            pos,
            buf,
            durable,
        } => {
            let durable = if *durable { ", durable" } else { "" };
            format!("write {file} {pos}+{}{durable}", buf.len())
        }
        other => format!("{other:?}"),
    }
}
