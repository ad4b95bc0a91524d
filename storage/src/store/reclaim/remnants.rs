//! Counts what logs have in the journal.

use crate::store::log::held::Held;

/// What logs with little in the journal have there together: what copying moves once round the
/// ring. Logs with much do not count, for they are written behind.
#[derive(Debug)]
pub(crate) struct Remnants {
    bytes: u64,
    /// What all logs have there.
    all: u64,
    /// Logs that have anything there.
    logs: u64,
    /// Fewer bytes than this are little.
    little: u64,
}

impl Remnants {
    pub(crate) fn new(little: u64) -> Self {
        Self {
            bytes: 0,
            all: 0,
            logs: 0,
            little,
        }
    }

    /// What logs with little have there.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What all logs have in the journal, whether little or much.
    pub(crate) fn all(&self) -> u64 {
        self.all
    }

    /// Logs that have anything in the journal.
    pub(crate) fn logs(&self) -> u64 {
        self.logs
    }

    /// Whether a log with so many bytes in the journal has little there.
    pub(crate) fn counts(&self, run_bytes: u64) -> bool {
        run_bytes < self.little
    }

    /// A log has so many more bytes in the journal.
    pub(crate) fn add(&mut self, held: &mut Held, bytes: u64) {
        self.change(held, held.bytes() + bytes);
    }

    /// A log has so many bytes in the journal from now on.
    pub(crate) fn change(&mut self, held: &mut Held, bytes: u64) {
        let before = held.set_bytes(bytes);
        self.all = self.all - before + bytes;
        self.logs = self.logs - u64::from(before > 0) + u64::from(bytes > 0);
        if self.counts(before) {
            self.bytes -= before;
        }
        if self.counts(bytes) {
            self.bytes += bytes;
        }
    }
}
