//! What a partition counts and where it stands, told of the topics that are asked for. Descriptions of
//! topics have offsets and size in places of their own, so these have no keys here.

use super::{Figure, Form, family};
use crate::core::status::PartitionReport;

family! { [] of: &PartitionReport;
    Figure::counter("leveret_partition_produced_records", "Records appended to a partition")
        .key("records_in")
        .column("RECORDS IN", Form::Number)
        => of.traffic.records_in;
    Figure::counter(
        "leveret_partition_produced_bytes",
        "Bytes of record batches appended to a partition, as on the wire",
    )
        .key("bytes_in")
        .column("IN", Form::Size)
        => of.traffic.bytes_in;
    Figure::counter("leveret_partition_fetched_records", "Offsets of a partition given to readers")
        .key("records_out")
        .column("RECORDS OUT", Form::Number)
        => of.traffic.records_out;
    Figure::counter(
        "leveret_partition_fetched_bytes",
        "Bytes of record batches of a partition given to readers",
    )
        .key("bytes_out")
        .column("OUT", Form::Size)
        => of.traffic.bytes_out;
    Figure::gauge("leveret_partition_size_bytes", "Bytes of record batches that a partition keeps")
        => of.bytes;
    Figure::gauge("leveret_partition_start_offset", "First offset of a partition that can be read")
        => of.start_offset.0;
    Figure::gauge(
        "leveret_partition_end_offset",
        "The offset after the last of a partition that can be read",
    ) => of.high_watermark.0;
}
