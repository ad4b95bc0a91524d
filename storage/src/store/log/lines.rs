//! The lines in which a log can stand, each at most once.

/// A line of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Those with entries to place.
    Ready,
    /// Those that owe the ring records.
    Control,
    /// Those that want a bulk write.
    Bulk,
    /// Those to write behind,
    Behind,
    /// and to close the segment with that.
    Closing,
    /// Those with unflushed entries.
    Dirty,
    /// Those whose frontiers moved, for whoever hears events.
    Frontier,
    /// Those of level `memory` with entries.
    Volatile,
}

/// Where a log stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing(u8);

impl Standing {
    /// Whether it stands in the line.
    pub(crate) fn is_in(self, line: Line) -> bool {
        self.0 & line.bit() != 0
    }

    /// It stands in the line from now on; whether it did not before, and so is to be put there.
    pub(crate) fn enter(&mut self, line: Line) -> bool {
        let new = !self.is_in(line);
        self.0 |= line.bit();
        new
    }

    /// It stands there no longer; whether it did.
    pub(crate) fn leave(&mut self, line: Line) -> bool {
        let was = self.is_in(line);
        self.0 &= !line.bit();
        was
    }
}

impl Line {
    fn bit(self) -> u8 {
        1 << self as u8
    }
}
