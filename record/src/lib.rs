//! Record batch v2: parse, validate, assign, read and build.
//!
//! A *record batch* is the unit that producers send, the log stores and consumers fetch,
//! byte for byte the same everywhere. This crate is the only one that knows its layout
//! (Kafka protocol guide, "Record Batch"):
//!
//! ```text
//! @0  base offset            i64   set by the broker, outside the CRC
//! @8  length                 i32   bytes after this field
//! @12 partition leader epoch i32   set by the broker, outside the CRC
//! @16 magic                  i8    always 2
//! @17 CRC-32C                u32   over byte 21 to the end
//! @21 attributes             i16   bits 0-2 compression, 3 append time, 4 transactional,
//!                                  5 control, 6 delete horizon
//! @23 last offset delta      i32
//! @27 base timestamp         i64   milliseconds since the Unix epoch
//! @35 max timestamp          i64
//! @43 producer id            i64   -1: none
//! @51 producer epoch         i16
//! @53 base sequence          i32
//! @57 record count           i32
//! @61 records                      compressed as a whole, if at all
//! ```
//!
//! All integers are big-endian; those inside a record are zigzag varints.
//!
//! What it refuses to do: it never reads magic 0 or 1, never re-encodes a batch, keeps no
//! state between batches, and knows no offset but the one in front of it: which offset
//! comes next, whether a sequence is a duplicate and what an error is called on the wire
//! are other crates' business. It imports nothing else of Leveret.
//!
//! Input is never trusted: no byte string makes a function here panic, and none makes it
//! allocate beyond the limit that its caller declared, [`MAX_RECORDS_LEN`] at most.

mod attributes;
mod builder;
mod codec;
mod error;
mod header;
mod partitioner;
mod pieces;
mod record;
mod restamp;
mod sequence;
mod set;
mod validate;
pub mod varint;
mod walk;

pub use attributes::{Attributes, Compression};
pub use builder::{BatchBuilder, BuildError, MAX_RECORDS_LEN, ProducerStamp};
pub use error::{BatchError, BatchErrorKind};
pub use header::{
    BatchHeader, Batches, CRC_FROM, FRAME_LEN, HEADER_LEN, MAGIC, NO_PRODUCER_ID, NO_SEQUENCE,
    NO_TIMESTAMP, assign, batches, frame_len, parse_header, split_first,
};
pub use partitioner::{murmur2, partition_for_key};
pub use pieces::{MAX_PIECE_LEN, Pieces};
pub use record::{Header, Headers, HeadersIter, MIN_RECORD_LEN, RecordIter, RecordRef};
pub use restamp::{repair_max_timestamp, restamp, stamp_append_time};
pub use sequence::{advance_sequence, next_sequence};
pub use set::{Record, RecordSet, records};
pub use validate::{
    BatchSum, validate_frame, validate_header, validate_produce, validate_records, verify,
};
pub use walk::{BatchWalk, Deltas, Progress, Times, Visit};
