//! A batch that goes to the broker again under another producer identity. Changes nothing but
//! producer id, epoch, base sequence and the checksum over them; whether the broker has the
//! batch already is the caller's to know.

use crate::header::{
    ATTRIBUTES_AT, BASE_SEQUENCE_AT, CRC_AT, PRODUCER_EPOCH_AT, PRODUCER_ID_AT, RECORD_COUNT_AT,
};
use crate::{BatchError, ProducerStamp, split_first};

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
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchBuilder, Compression, verify};

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
