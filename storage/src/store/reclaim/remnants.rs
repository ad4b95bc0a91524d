//! What logs have in the journal, counted.

use crate::store::log::LogState;

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

    /// The log has so many bytes in the journal from now on.
    pub(crate) fn change(&mut self, log: &mut LogState, run_bytes: u64) {
        let before = std::mem::replace(&mut log.run_bytes, run_bytes);
        self.all = self.all - before + run_bytes;
        self.logs = self.logs - u64::from(before > 0) + u64::from(run_bytes > 0);
        if self.counts(before) {
            self.bytes -= before;
        }
        if self.counts(run_bytes) {
            self.bytes += run_bytes;
        }
    }
}
