//! The journal, and what gives its space back.

use leveret_storage::io::BufPool;

use super::{Figure, Form, Glance, Kind, family};

family! { [P: BufPool] of: &Glance<'_, P>;
    Figure::gauge("leveret_journal_used_bytes", "Bytes of the journal that are still needed")
        .key("journal_used")
        .column("JOURNAL", Form::SizeOf("journal_size"))
        => of.stats.store.ring_used;
    Figure::gauge("leveret_journal_size_bytes", "Bytes that the journal has room for")
        .key("journal_size")
        => of.stats.store.ring_total;
    Figure::metric(
        Kind::Times(14, 35),
        "leveret_commit_duration_seconds",
        "From a journal commit's issue to the device's answer",
    ) => of.core.shard.commit_times();
    Figure::counter("leveret_journal_commits", "Commits of the journal")
        => of.stats.store.commits;
    Figure::counter("leveret_journal_written_bytes", "Bytes of journal commits")
        => of.stats.store.journal_bytes;
    Figure::counter(
        "leveret_journal_full",
        "Appends that found the journal full and had to wait",
    ) => of.stats.store.full;
    Figure::counter(
        "leveret_journal_laps",
        "Times that the journal began again at its first file",
    ) => of.stats.store.laps;
    Figure::counter(
        "leveret_reclaim_write_behinds",
        "Partitions' segments written to give journal space back",
    ) => of.stats.store.write_behinds;
    Figure::counter(
        "leveret_reclaim_copies",
        "Runs of old records copied forward in the journal",
    ) => of.stats.store.copy_forwards;
    Figure::counter(
        "leveret_reclaim_padded_segments",
        "Segments closed padded to give journal space back",
    ) => of.stats.store.padded_closes;
}
