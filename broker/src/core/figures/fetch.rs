//! Records that clients read.

use leveret_storage::io::BufPool;

use super::{Figure, Form, Glance, Kind, family};

family! { [P: BufPool] of: &Glance<'_, P>;
    Figure::counter("leveret_fetched_records", "Offsets given to readers")
        => of.stats.counters.records_out;
    Figure::counter("leveret_fetched_bytes", "Bytes of record batches given to readers")
        .key("bytes_out")
        => of.stats.counters.bytes_out;
    Figure::keyed("bytes_out_per_second").column("OUT/S", Form::Size)
        => of.rates.bytes_out;
    Figure::gauge(
        "leveret_fetch_waiting",
        "Fetches, and partitions of subscriptions, that wait for records or for a read of the disk",
    ) => of.stats.fetches;
    Figure::metric(
        Kind::Times(14, 35),
        "leveret_fetch_duration_seconds",
        "From a fetch's arrival to its answer, or from a subscription's turn to its push, the wait for records included",
    ) => &of.core.latencies.fetch;
    Figure::metric(
        Kind::Numbers(30),
        "leveret_fetch_lag_records",
        "Records between a partition's high watermark and the offset that a fetch, or a push, reads from",
    ) => of.core.shard.fetch_lag();
    Figure::counter(
        "leveret_fetch_thrown_away_bytes",
        "Bytes of batches that were read for fetches and are in no answer: the client went, or the fetch failed",
    ) => of.core.thrown_away;
}
