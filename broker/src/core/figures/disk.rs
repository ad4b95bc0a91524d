//! Segments, and the file system that they are on.

use leveret_storage::io::BufPool;

use super::{Figure, Glance, family};

family! { [P: BufPool] of: &Glance<'_, P>;
    Figure::counter("leveret_segment_written_bytes", "Bytes written to segments")
        => of.stats.store.segment_bytes;
    Figure::gauge("leveret_disk_full", "1 while producing is refused for want of disk space")
        => u64::from(of.stats.store.disk.is_short());
    Figure::counter(
        "leveret_disk_refusals",
        "Disk operations refused for want of space, to be tried again",
    ) => of.stats.store.space_refusals;
}
