//! The partitions that live on a core, and those in trouble.

use leveret_storage::io::BufPool;

use super::{Figure, Form, Glance, family};

family! { [P: BufPool] of: &Glance<'_, P>;
    Figure::gauge("leveret_partitions", "Partitions that live on the core")
        .key("partitions")
        .column("PARTITIONS", Form::Number)
        => of.stats.logs;
    Figure::gauge(
        "leveret_stopped_logs",
        "Partitions that take no more records after a failed write",
    ) => of.core.ailing.stopped();
    Figure::gauge(
        "leveret_damaged_logs",
        "Partitions of which stored bytes could not be read, or were not those that were written, since the start",
    ) => of.core.ailing.damaged();
    Figure::counter("leveret_damaged_reads", "Reads that met such bytes")
        => of.core.ailing.damaged_reads();
}
