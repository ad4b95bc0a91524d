//! The disk in memory under a shard, and what tests see and do there beside operations.

use leveret_storage::io::{Dir, FileName, Op};
use leveret_testkit::device::Device;
pub(super) use leveret_testkit::disk::Pool;

/// One shard gives it operations.
pub(super) type Disk = Device<()>;

/// Syncs of the journal that are under way.
pub(super) fn journal_syncs(disk: &Disk) -> usize {
    let sync = |op: &&Op<_>| matches!(op, Op::Sync(FileName::Journal { .. }));
    disk.under_way().filter(sync).count()
}

/// Flips one bit in the middle of every segment; how many there are.
pub(super) fn rot_segments(disk: &mut Disk) -> usize {
    let mut rotten = 0;
    for (name, bytes) in &mut disk.files {
        if matches!(name, FileName::Segment { .. }) && !bytes.is_empty() {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            rotten += 1;
        }
    }
    rotten
}

/// Logs that have files.
pub(super) fn logs_with_files(disk: &Disk) -> usize {
    let dirs = disk.files.keys().map(|name| name.dir());
    let mut logs: Vec<Dir> = dirs.filter(|dir| matches!(dir, Dir::Log(_))).collect();
    logs.dedup();
    logs.len()
}
