//! Records that clients append.

use leveret_storage::io::BufPool;

use super::{Figure, Form, Glance, Kind, family};

family! { [P: BufPool] of: &Glance<'_, P>;
    Figure::counter("leveret_produced_batches", "Record batches appended")
        .key("batches_in")
        => of.stats.counters.batches_in;
    Figure::counter("leveret_produced_records", "Records appended")
        .key("records_in")
        => of.stats.counters.records_in;
    Figure::counter("leveret_produced_bytes", "Bytes of record batches appended, as on the wire")
        .key("bytes_in")
        => of.stats.counters.bytes_in;
    Figure::keyed("records_in_per_second").column("RECORDS IN/S", Form::Number)
        => of.rates.records_in;
    Figure::keyed("bytes_in_per_second").column("IN/S", Form::Size)
        => of.rates.bytes_in;
    Figure::counter(
        "leveret_produce_failed",
        "Batches refused, or given up by time-out, to clients of this core",
    ) => of.core.latencies.produce_failed;
    Figure::counter(
        "leveret_produce_duplicates",
        "Batches that were repetitions of appended ones",
    ) => of.stats.duplicates;
    Figure::gauge("leveret_produce_waiting", "Batches that wait for space in the journal")
        => of.stats.parked;
    Figure::metric(
        Kind::Times(14, 35),
        "leveret_produce_duration_seconds",
        "From a batch's arrival to its acknowledgement",
    ) => &of.core.latencies.produce;
}
