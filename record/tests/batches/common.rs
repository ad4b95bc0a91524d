//! Records as the tests mean them, and how our builder and reader see them.

use bytes::{Bytes, BytesMut};
use leveret_record::{
    BatchBuilder, BatchError, Compression, Header, MAX_RECORDS_LEN, ProducerStamp, records,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A header's key and value.
pub(crate) type OwnHeader = (String, Option<Vec<u8>>);

/// A record with owned parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnRecord {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<OwnHeader>,
}

/// One to thirty records: null, empty, short, and long enough for several blocks of snappy
/// and LZ4; timestamps in no order; header names that repeat.
pub(crate) fn any_records() -> impl Strategy<Value = Vec<OwnRecord>> {
    let short = || vec(any::<u8>(), 0..40);
    let long = (any::<u8>(), 1_000..60_000usize, any::<u8>()).prop_map(|(seed, len, step)| {
        (0..len)
            .map(|i| seed.wrapping_add((i / 7) as u8).wrapping_mul(step | 1))
            .collect::<Vec<u8>>()
    });
    let value = prop_oneof![8 => short(), 1 => long];
    let header = ("[a-c]{0,2}", option::of(short()));
    let record = (
        -1..2_000_000_000_000i64,
        option::of(short()),
        option::of(value),
        vec(header, 0..5),
    )
        .prop_map(|(timestamp, key, value, headers)| OwnRecord {
            timestamp,
            key,
            value,
            headers,
        });
    vec(record, 1..30)
}

/// A producer that is idempotent or not.
pub(crate) fn any_producer() -> impl Strategy<Value = Option<ProducerStamp>> {
    option::of(
        (0..=i64::MAX, 0..=i16::MAX, 0..=i32::MAX).prop_map(|(id, epoch, base_sequence)| {
            ProducerStamp {
                id,
                epoch,
                base_sequence,
            }
        }),
    )
}

/// Any of the five codecs.
pub(crate) fn any_codec() -> impl Strategy<Value = Compression> {
    prop::sample::select(&Compression::ALL[..])
}

/// Our batch of these records.
pub(crate) fn build(
    codec: Compression,
    producer: Option<ProducerStamp>,
    own_records: &[OwnRecord],
) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    if let Some(stamp) = producer {
        builder.set_producer(stamp);
    }
    for record in own_records {
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|(key, value)| Header {
                key: key.as_bytes(),
                value: value.as_deref(),
            })
            .collect();
        builder
            .push(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            )
            .expect("the record is small");
    }
    builder.finish()
}

/// The records that our reader finds in `batch`.
pub(crate) fn read(batch: &[u8]) -> Result<Vec<(i64, OwnRecord)>, BatchError> {
    let own = |bytes: &[u8]| bytes.to_vec();
    records(batch, MAX_RECORDS_LEN)?
        .iter()
        .map(|record| {
            let record = record?;
            let headers = record.headers.iter().map(|header| {
                let key = String::from_utf8(own(header.key)).expect("tests use UTF-8");
                (key, header.value.map(own))
            });
            let own_record = OwnRecord {
                timestamp: record.timestamp,
                key: record.key.map(own),
                value: record.value.map(own),
                headers: headers.collect(),
            };
            Ok((record.offset, own_record))
        })
        .collect()
}

/// `batch` with another payload behind its header, and with the length and CRC of that.
pub(crate) fn with_payload(batch: &[u8], payload: &[u8]) -> BytesMut {
    let mut forged = BytesMut::from(&batch[..leveret_record::HEADER_LEN]);
    forged.extend_from_slice(payload);
    let length = (forged.len() - leveret_record::FRAME_LEN) as i32;
    forged[8..12].copy_from_slice(&length.to_be_bytes());
    seal(&mut forged);
    forged
}

/// Makes the CRC of `batch` true again.
pub(crate) fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}
