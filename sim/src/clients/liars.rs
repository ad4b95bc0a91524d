//! Batches that do not say the truth, under true checksums: in a header's max timestamp, which the
//! broker puts right, and in what nobody could read, which it must refuse.

use bytes::{Bytes, BytesMut};
use leveret_record::{
    BatchBuilder, BatchError, Compression, FRAME_LEN, HEADER_LEN, parse_header,
    repair_max_timestamp, verify,
};

use crate::rng::Rng;

/// `batch`, or the same with another max timestamp than its records have.
pub(crate) fn misdated(batch: Bytes, rng: &mut Rng) -> Bytes {
    if !rng.chance(1, 4) {
        return batch;
    }
    let mut header = parse_header(&batch).expect("it was just built");
    let (base, max) = (header.base_timestamp, header.max_timestamp);
    let mut batch = BytesMut::from(&batch[..]);
    let wrong = *rng.pick(&[-1, base - 1, max + 1, i64::MAX]);
    repair_max_timestamp(&mut batch, &mut header, wrong);
    batch.freeze()
}

/// A batch whose header is in order and whose records are not.
pub(crate) fn unreadable(rng: &mut Rng, timestamp: i64) -> BytesMut {
    let mut builder = BatchBuilder::new(*rng.pick(&Compression::ALL));
    for _ in 0..rng.between(1, 4) {
        let mut value = vec![0; rng.magnitude(20, 300) as usize];
        rng.fill(&mut value);
        let pushed = builder.push(timestamp, None, Some(&value), &[]);
        pushed.expect("a small record");
    }
    let mut batch = BytesMut::from(&builder.finish()[..]);
    match rng.below(3) {
        // It says one record more than it has.
        0 => {
            let count = parse_header(&batch).expect("just built").record_count;
            batch[23..27].copy_from_slice(&count.to_be_bytes());
            batch[57..61].copy_from_slice(&(count + 1).to_be_bytes());
        }
        // It ends too early.
        1 => {
            batch.truncate(batch.len() - 1);
            let len = (batch.len() - FRAME_LEN) as i32;
            batch[8..12].copy_from_slice(&len.to_be_bytes());
        }
        _ => batch[HEADER_LEN..].fill(0x55),
    }
    if let Err(BatchError::BadCrc { found, .. }) = verify(&batch) {
        batch[17..21].copy_from_slice(&found.to_be_bytes());
    }
    batch
}

#[cfg(test)]
mod tests {
    use leveret_record::{MAX_RECORDS_LEN, validate_produce, validate_records};

    use super::*;

    #[test]
    fn what_is_unreadable_can_only_be_told_by_its_records() {
        for seed in 0..300 {
            let batch = unreadable(&mut Rng::new(seed), 5);
            assert!(validate_produce(&batch, 1 << 20).is_ok(), "{seed}");
            assert!(validate_records(&batch, MAX_RECORDS_LEN).is_err(), "{seed}");
        }
    }
}
