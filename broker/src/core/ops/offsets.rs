//! Look an offset up.

use leveret_engine::shard::OffsetSpec;
use leveret_storage::types::CoreId;

use super::AllowedPartition;
use crate::core::hop::FindOffset;

impl AllowedPartition {
    /// What is to be asked of whom, to find an offset of the partition.
    pub(in crate::core) fn find_offset(self, spec: OffsetSpec) -> (CoreId, FindOffset) {
        let log = self.log();
        (self.owner(), FindOffset { log, spec })
    }
}
