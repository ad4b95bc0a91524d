//! One test for each way in which a batch is refused: a good batch, one field changed, the
//! CRC made true again, and exactly that error. The same batch unchanged passes each time.

use bytes::BytesMut;
use leveret_record::{
    BatchBuilder, BatchError, BatchErrorKind, Compression, MAX_RECORDS_LEN, ProducerStamp, batches,
    parse_header, records, validate_produce, validate_records, verify,
};

use crate::common::{seal, with_payload};

const MAX_LEN: usize = 4_096;
const LIMIT: usize = MAX_RECORDS_LEN;

/// Two records of a producer.
fn good() -> BytesMut {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.set_producer(ProducerStamp {
        id: 5,
        epoch: 0,
        base_sequence: 10,
    });
    builder.push(100, Some(b"k"), Some(b"v"), &[]).unwrap();
    builder.push(200, None, Some(b"value"), &[]).unwrap();
    let batch = BytesMut::from(&builder.finish()[..]);
    assert!(validate_produce(&batch, MAX_LEN).is_ok());
    validate_records(&batch, LIMIT).unwrap();
    batch
}

/// The good batch with `bytes` written at `at`, under a true CRC.
fn with(at: usize, bytes: &[u8]) -> BytesMut {
    let mut batch = good();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    seal(&mut batch);
    batch
}

fn refusal(batch: &[u8]) -> BatchError {
    validate_produce(batch, MAX_LEN).unwrap_err()
}

#[test]
fn truncated_at_every_length() {
    let batch = good();
    for present in 0..batch.len() {
        let needed = match present {
            0..12 => 12,
            12..61 => 61,
            _ => batch.len(),
        };
        let expected = BatchError::Truncated { needed, present };
        assert_eq!(refusal(&batch[..present]), expected);
        assert_eq!(expected.kind(), BatchErrorKind::Corrupt);
    }
}

#[test]
fn a_length_below_the_header() {
    for length in [48, 0, -1, i32::MIN] {
        let batch = with(8, &length.to_be_bytes());
        assert_eq!(refusal(&batch), BatchError::BadLength { length });
    }
}

#[test]
fn one_byte_too_large_even_when_cut() {
    let batch = good();
    let (len, max) = (batch.len(), batch.len() - 1);
    let expected = BatchError::TooLarge { len, max };
    assert_eq!(expected.kind(), BatchErrorKind::TooLarge);
    assert_eq!(validate_produce(&batch, max), Err(expected.clone()));
    assert_eq!(validate_produce(&batch[..20], max), Err(expected));
    assert!(validate_produce(&batch, len).is_ok());
}

#[test]
fn more_than_one_batch_and_bytes_behind_it() {
    let batch = good();
    let twice = [&batch[..], &batch[..]].concat();
    assert_eq!(refusal(&twice), BatchError::MoreThanOneBatch);
    let longer = [&batch[..], &[0; 3]].concat();
    assert_eq!(refusal(&longer), BatchError::TrailingBytes { extra: 3 });
}

#[test]
fn another_magic() {
    for found in [0i8, 1, 3, -1] {
        let batch = with(16, &found.to_be_bytes());
        assert_eq!(refusal(&batch), BatchError::BadMagic { found });
        assert_eq!(refusal(&batch).kind(), BatchErrorKind::UnsupportedFormat);
    }
}

#[test]
fn a_wrong_crc_names_both() {
    let mut batch = good();
    let found = verify(&batch).unwrap().crc;
    batch[20] ^= 1;
    let expected = found ^ 1;
    assert_eq!(refusal(&batch), BatchError::BadCrc { expected, found });
}

#[test]
fn counts_that_do_not_fit() {
    let count = |count: i32, last_offset_delta: i32| {
        let mut batch = with(57, &count.to_be_bytes());
        batch[23..27].copy_from_slice(&last_offset_delta.to_be_bytes());
        seal(&mut batch);
        refusal(&batch)
    };
    let negative = |count, last_offset_delta| BatchError::NegativeCount {
        count,
        last_offset_delta,
    };
    assert_eq!(count(-1, 1), negative(-1, 1));
    assert_eq!(count(2, -1), negative(2, -1));
    assert_eq!(count(0, 0), BatchError::NoRecords);
    for (records, delta) in [(1, 1), (3, 1), (i32::MAX, 1), (1, i32::MAX)] {
        assert_eq!(
            count(records, delta),
            BatchError::CountMismatch {
                count: records,
                last_offset_delta: delta
            }
        );
    }
    let len = good().len() - 61;
    let many = (len / 7) as i32 + 1;
    assert_eq!(
        count(many, many - 1),
        BatchError::CountExceedsBytes { count: many, len }
    );
}

#[test]
fn attributes_that_no_producer_sets() {
    let attributes = |bits: i16| refusal(&with(21, &bits.to_be_bytes()));
    for code in 5..8 {
        let unknown = BatchError::UnknownCompression { code };
        assert_eq!(attributes(i16::from(code)), unknown);
        assert_eq!(unknown.kind(), BatchErrorKind::UnsupportedCompression);
    }
    assert_eq!(attributes(1 << 3), BatchError::LogAppendTime);
    assert_eq!(attributes(1 << 5), BatchError::ControlBatch);
    for bits in [1 << 6, 1 << 7, i16::MIN] {
        assert_eq!(attributes(bits), BatchError::ReservedAttributes { bits });
    }
    // Transactional is a producer's to set.
    assert!(validate_produce(&with(21, &(1i16 << 4).to_be_bytes()), MAX_LEN).is_ok());
}

#[test]
fn timestamps_out_of_range() {
    let timestamps = |base: i64, max: i64| {
        let batch = with(27, &[base.to_be_bytes(), max.to_be_bytes()].concat());
        validate_produce(&batch, MAX_LEN).unwrap();
        validate_records(&batch, LIMIT).map(|times| (times.min, times.max, times.max_at))
    };
    // Two records, 100 ms apart, whatever the header says, before 1970 as well as after.
    for max in [200, 100, 99, -1, i64::MIN, i64::MAX] {
        assert_eq!(timestamps(100, max), Ok((100, 200, 1)));
    }
    assert_eq!(timestamps(-5_000, 0), Ok((-5_000, -4_900, 1)));
    assert_eq!(timestamps(i64::MIN, 0), Ok((i64::MIN, i64::MIN + 100, 1)));
    // -1 is no time.
    assert_eq!(timestamps(-1, 0), Ok((99, 99, 1)));
    let (base, max) = (i64::MAX - 99, i64::MAX);
    let refused = BatchError::BadTimestamp { base, max };
    assert_eq!(refused.kind(), BatchErrorKind::InvalidTimestamp);
    assert_eq!(timestamps(base, max), Err(refused));
}

#[test]
fn producers_that_are_half_stated() {
    let producer = |id: i64, epoch: i16, sequence: i32, attributes: i16| {
        let mut batch = with(43, &id.to_be_bytes());
        batch[51..53].copy_from_slice(&epoch.to_be_bytes());
        batch[53..57].copy_from_slice(&sequence.to_be_bytes());
        batch[21..23].copy_from_slice(&attributes.to_be_bytes());
        seal(&mut batch);
        validate_produce(&batch, MAX_LEN)
    };
    let transactional = 1 << 4;
    for (id, epoch, sequence, attributes) in [
        (5, -1, 0, 0),
        (5, 0, -1, 0),
        (-2, 0, 0, 0),
        (-1, -1, -1, transactional),
    ] {
        assert_eq!(
            producer(id, epoch, sequence, attributes),
            Err(BatchError::BadProducer {
                id,
                epoch,
                sequence
            })
        );
    }
    assert!(producer(-1, -1, -1, 0).is_ok());
    // Sarama says sequence 0 where it has no producer id.
    assert!(producer(-1, -1, 0, 0).is_ok());
    assert!(producer(5, 0, 0, transactional).is_ok());
}

/// The deep check on a batch of one record with these bytes, and the cheap one passing.
fn deep_refusal(record: &[u8]) -> BatchError {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(100, None, None, &[]).unwrap();
    let batch = with_payload(&builder.finish(), record);
    assert!(validate_produce(&batch, MAX_LEN).is_ok());
    validate_records(&batch, LIMIT).unwrap_err()
}

#[test]
fn records_that_are_no_records() {
    // Length, attributes, timestamp delta, offset delta, key, value, header count.
    let good = [12, 0, 0, 0, 1, 1, 0];
    let batch = |record: &[u8]| {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(100, None, None, &[]).unwrap();
        with_payload(&builder.finish(), record)
    };
    validate_records(&batch(&good), LIMIT).unwrap();

    let bad_length = BatchError::BadRecordLength { index: 0 };
    let bad_varint = BatchError::BadVarint { index: 0 };
    // Longer and shorter than its contents; negative; null key of -2; a header count that
    // is not there; a header with a null key.
    assert_eq!(deep_refusal(&[14, 0, 0, 0, 1, 1, 0, 0]), bad_length);
    assert_eq!(deep_refusal(&[10, 0, 0, 0, 1, 1, 0]), bad_varint);
    assert_eq!(deep_refusal(&[1, 0, 0, 0, 1, 1, 0]), bad_length);
    assert_eq!(deep_refusal(&[12, 0, 0, 0, 3, 1, 0]), bad_length);
    assert_eq!(deep_refusal(&[12, 0, 0, 0, 1, 1, 2]), bad_varint);
    assert_eq!(deep_refusal(&[16, 0, 0, 0, 1, 1, 2, 1, 1]), bad_length);
    assert_eq!(deep_refusal(&[16, 0, 0, 0, 1, 1, 2, 0, 1, 0]), {
        BatchError::TrailingRecordBytes { extra: 1 }
    });
    // A value of 2^31 - 1 bytes, and an overlong zero.
    let huge = [20, 0, 0, 0, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0];
    assert_eq!(deep_refusal(&huge), bad_length);
    assert_eq!(deep_refusal(&[14, 0, 0x80, 0, 0, 1, 1, 0]), bad_varint);
    // Offset delta 1 where the only one is 0.
    let delta = BatchError::BadOffsetDelta { index: 0, delta: 1 };
    assert_eq!(deep_refusal(&[12, 0, 0, 2, 1, 1, 0]), delta);
    // Cut off within the record.
    let cut = BatchError::RecordsCut { index: 0, count: 1 };
    assert_eq!(deep_refusal(&[14, 0, 0, 0, 1, 4, b'a']), cut);
}

#[test]
fn offsets_that_repeat_or_leave_gaps() {
    let deltas = |first: u8, second: u8| {
        let record = |delta: u8| [12, 0, 0, delta << 1, 1, 1, 0];
        with_payload(&good(), &[record(first), record(second)].concat())
    };
    validate_records(&deltas(0, 1), LIMIT).unwrap();
    for (first, second, index, delta) in [(0, 0, 1, 0), (1, 0, 0, 1), (0, 2, 1, 2)] {
        assert_eq!(
            validate_records(&deltas(first, second), LIMIT),
            Err(BatchError::BadOffsetDelta { index, delta })
        );
    }
    // A reader accepts less: offsets that stand still, and one above the batch's last.
    for (first, second, delta) in [(1, 1, 1), (1, 0, 0), (0, 2, 2)] {
        let batch = deltas(first, second);
        let set = records(&batch, LIMIT).unwrap();
        let second = set.iter().nth(1).unwrap();
        assert_eq!(second, Err(BatchError::BadOffsetDelta { index: 1, delta }));
    }
    // But after compaction there are gaps.
    let mut compacted = deltas(1, 2);
    compacted[23..27].copy_from_slice(&4i32.to_be_bytes());
    seal(&mut compacted);
    let set = records(&compacted, LIMIT).unwrap();
    let offsets: Vec<_> = set.iter().map(|record| record.unwrap().offset).collect();
    assert_eq!(offsets, [1, 2]);
    assert_eq!(set.header().last_offset(), 4);
}

#[test]
fn an_iterator_ends_after_its_error() {
    let mut batch = good();
    // The first record's key length.
    batch[65] = 0xff;
    seal(&mut batch);
    let set = records(&batch, LIMIT).unwrap();
    let read: Vec<_> = set.iter().collect();
    assert_eq!(read.len(), 1);
    assert!(read[0].is_err());
}

#[test]
fn compressed_records_that_are_too_few_for_the_count() {
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(codec);
        builder.push(0, None, Some(&[b'x'; 100]), &[]).unwrap();
        let mut batch = builder.finish().to_vec();
        let len = records(&batch, LIMIT).unwrap().encoded().len();
        let count = (len / 7) as i32 + 1;
        batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        batch[57..61].copy_from_slice(&count.to_be_bytes());
        seal(&mut batch);
        assert_eq!(
            records(&batch, LIMIT).unwrap_err(),
            BatchError::CountExceedsBytes { count, len },
            "{codec}"
        );
    }
}

#[test]
fn append_time_is_the_time_of_every_record() {
    let batch = with(21, &(1i16 << 3).to_be_bytes());
    let set = records(&batch, LIMIT).unwrap();
    let times: Vec<_> = set.iter().map(|record| record.unwrap().timestamp).collect();
    assert_eq!(times, [200, 200]);
}

#[test]
fn compressed_bytes_of_another_codec() {
    for written in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let mut builder = BatchBuilder::new(written);
        builder.push(0, None, Some(&[b'x'; 500]), &[]).unwrap();
        let batch = builder.finish();
        for codec in Compression::ALL {
            if codec == written || codec == Compression::None {
                continue;
            }
            let mut relabelled = batch.to_vec();
            relabelled[22] = leveret_record::Attributes::from(codec).bits() as u8;
            seal(&mut relabelled);
            assert_eq!(
                records(&relabelled, LIMIT).unwrap_err(),
                BatchError::BadCompression { codec },
                "written as {written}"
            );
        }
    }
}

#[test]
fn a_walk_over_garbage_ends() {
    let garbage = [0xff; 100];
    assert_eq!(batches(&garbage).count(), 1);
    assert!(parse_header(&garbage).is_err());
}
