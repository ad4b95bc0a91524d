//! An inspector that looks into no entry, for tests of storage, which does not know what entries
//! mean.
//!
//! Compiled by the unit tests of `storage` as their own, as `disk` is.

use leveret_storage::types::{LogId, LogKind, Offset};
use leveret_storage::verify::Inspect;

/// Finds nothing wrong with what it is shown, and counts a record each time.
#[derive(Clone, Copy, Debug)]
pub struct Blind;

impl Inspect for Blind {
    fn entries(
        &mut self,
        _: LogId,
        _: LogKind,
        _: Offset,
        _: &[u8],
    ) -> Result<u64, (usize, String)> {
        Ok(1)
    }

    fn snapshot(&mut self, _: LogId, _: LogKind, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}
