//! What may be written into a complete batch, with a new checksum: another producer identity when
//! the batch is sent again, the broker's time when a topic wants that, and the true max timestamp
//! when the producer stated another. It looks at no record. Whether the broker has the batch
//! already is for the caller to know.

use crate::header::{
    ATTRIBUTES_AT, BASE_SEQUENCE_AT, CRC_AT, CRC_FROM, LAST_OFFSET_DELTA_AT, MAX_TIMESTAMP_AT,
    PRODUCER_EPOCH_AT, PRODUCER_ID_AT, RECORD_COUNT_AT,
};
use crate::{BatchError, BatchHeader, ProducerStamp, split_first};

/// Writes another producer and sequence into `batch`, exactly one whole batch, in place.
///
/// # Errors
/// As [`split_first`]: the bytes are no batch. They are as before then.
///
/// # Panics
/// On a negative id, epoch or sequence.
pub fn restamp(batch: &mut [u8], stamp: ProducerStamp) -> Result<(), BatchError> {
    assert!(
        stamp.id >= 0 && stamp.epoch >= 0 && stamp.base_sequence >= 0,
        "a producer stamp has no negative part"
    );
    let len = split_first(batch)?.1.len();
    let batch = &mut batch[..len];
    batch[PRODUCER_ID_AT..PRODUCER_EPOCH_AT].copy_from_slice(&stamp.id.to_be_bytes());
    batch[PRODUCER_EPOCH_AT..BASE_SEQUENCE_AT].copy_from_slice(&stamp.epoch.to_be_bytes());
    batch[BASE_SEQUENCE_AT..RECORD_COUNT_AT].copy_from_slice(&stamp.base_sequence.to_be_bytes());
    seal(batch);
    Ok(())
}

/// Makes `time`, in milliseconds, the timestamp of every record of `batch`: sets the log append
/// time flag and the max timestamp, in place and in the `header` that was parsed of it. The base
/// timestamp stays, which readers of such a batch do not look at.
///
/// # Panics
/// If `batch` is not exactly the batch of `header`: only validated batches are stamped.
pub fn stamp_append_time(batch: &mut [u8], header: &mut BatchHeader, time: i64) {
    assert_eq!(batch.len(), header.total_len(), "the header's own batch");
    header.attributes = header.attributes.log_append_time();
    header.max_timestamp = time;
    batch[ATTRIBUTES_AT..LAST_OFFSET_DELTA_AT]
        .copy_from_slice(&header.attributes.bits().to_be_bytes());
    batch[MAX_TIMESTAMP_AT..PRODUCER_ID_AT].copy_from_slice(&time.to_be_bytes());
    header.crc = seal(batch);
}

/// Makes `max` the max timestamp of `batch`, in place and in the `header` that was parsed of it,
/// where a producer stated another one. Whether there was anything to repair.
///
/// # Panics
/// If `batch` is not exactly the batch of `header`.
pub fn repair_max_timestamp(batch: &mut [u8], header: &mut BatchHeader, max: i64) -> bool {
    assert_eq!(batch.len(), header.total_len(), "the header's own batch");
    if header.max_timestamp == max {
        return false;
    }
    header.max_timestamp = max;
    batch[MAX_TIMESTAMP_AT..PRODUCER_ID_AT].copy_from_slice(&max.to_be_bytes());
    header.crc = seal(batch);
    true
}

/// Writes the checksum of what the batch holds now.
fn seal(batch: &mut [u8]) -> u32 {
    let crc = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchBuilder, Compression, HEADER_LEN, MAX_RECORDS_LEN, records, verify};

    #[test]
    fn a_restamped_batch_is_the_batch_built_with_that_stamp() {
        let stamp = ProducerStamp {
            id: 7,
            epoch: 3,
            base_sequence: i32::MAX,
        };
        let mut builder = BatchBuilder::new(Compression::None);
        let mut build = |stamp: Option<ProducerStamp>| {
            stamp
                .into_iter()
                .for_each(|stamp| builder.set_producer(stamp));
            builder.push(5, Some(b"key"), Some(b"value"), &[]).unwrap();
            builder.finish().to_vec()
        };
        let mut batch = build(None);
        restamp(&mut batch, stamp).unwrap();
        assert_eq!(verify(&batch).unwrap().base_sequence, i32::MAX);
        assert_eq!(batch, build(Some(stamp)));
    }

    #[test]
    fn the_brokers_time_is_that_of_every_record() {
        for compression in [Compression::None, Compression::Zstd] {
            let mut builder = BatchBuilder::new(compression);
            // One record of the past, one of a clock far ahead.
            builder.push(5, Some(b"key"), Some(b"value"), &[]).unwrap();
            builder.push(9_000, None, Some(b"value"), &[]).unwrap();
            let mut batch = builder.finish().to_vec();
            let before = batch.clone();
            let mut header = verify(&batch).unwrap();
            stamp_append_time(&mut batch, &mut header, 77);
            assert_eq!(
                verify(&batch).unwrap(),
                header,
                "checksum and header are true"
            );
            assert_eq!(header.latest_timestamp(), 77);
            let set = records(&batch, MAX_RECORDS_LEN).unwrap();
            let times: Vec<_> = set.iter().map(|record| record.unwrap().timestamp).collect();
            assert_eq!(times, [77, 77]);
            // Nothing else has changed, and without the stamp the times are the producer's.
            assert_eq!(batch[HEADER_LEN..], before[HEADER_LEN..]);
            let set = records(&before, MAX_RECORDS_LEN).unwrap();
            let times: Vec<_> = set.iter().map(|record| record.unwrap().timestamp).collect();
            assert_eq!(times, [5, 9_000]);
        }
    }

    #[test]
    fn what_is_no_batch_stays_as_it_was() {
        let stamp = ProducerStamp {
            id: 0,
            epoch: 0,
            base_sequence: 0,
        };
        let mut bytes = [0xab; 70];
        assert!(restamp(&mut bytes, stamp).is_err());
        assert_eq!(bytes, [0xab; 70]);
    }
}
