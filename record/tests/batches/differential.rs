//! Both ways against the `kafka-protocol` crate: it reads what we write, we read what it
//! writes. The one difference that is known is allowed for by name: its records keep headers
//! in a map, so that of two with the same name only the last value survives, at the place
//! of the first.

use crate::common::{OwnHeader, OwnRecord, any_codec, any_producer, any_records, build, read};
use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as oracle;
use leveret_record::{
    Compression, MAX_RECORDS_LEN, ProducerStamp, advance_sequence, assign, validate_produce,
    validate_records,
};
use proptest::prelude::*;

const MAX_LEN: usize = 64 << 20;

fn oracle_codec(codec: Compression) -> oracle::Compression {
    match codec {
        Compression::None => oracle::Compression::None,
        Compression::Gzip => oracle::Compression::Gzip,
        Compression::Snappy => oracle::Compression::Snappy,
        Compression::Lz4 => oracle::Compression::Lz4,
        Compression::Zstd => oracle::Compression::Zstd,
    }
}

/// What a map makes of the headers.
fn without_duplicates(headers: &[OwnHeader]) -> Vec<OwnHeader> {
    let mut kept: Vec<OwnHeader> = Vec::new();
    for (key, value) in headers {
        match kept.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => old.clone_from(value),
            None => kept.push((key.clone(), value.clone())),
        }
    }
    kept
}

fn to_oracle(
    index: usize,
    base_offset: i64,
    producer: Option<ProducerStamp>,
    record: &OwnRecord,
) -> oracle::Record {
    let (producer_id, producer_epoch) = producer.map_or((-1, -1), |p| (p.id, p.epoch));
    oracle::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 4,
        producer_id,
        producer_epoch,
        timestamp_type: oracle::TimestampType::Creation,
        offset: base_offset + index as i64,
        // The oracle starts a new batch where this does not grow with the offset, and takes
        // it for a base sequence; its own "none" is any constant difference too.
        sequence: producer
            .map_or(-1, |p| p.base_sequence)
            .wrapping_add(index as i32),
        timestamp: record.timestamp,
        key: record.key.clone().map(Bytes::from),
        value: record.value.clone().map(Bytes::from),
        headers: record
            .headers
            .iter()
            .map(|(key, value)| {
                let key = StrBytes::from_string(key.clone());
                (key, value.clone().map(Bytes::from))
            })
            .collect(),
    }
}

fn from_oracle(record: &oracle::Record) -> OwnRecord {
    OwnRecord {
        timestamp: record.timestamp,
        key: record.key.as_ref().map(|key| key.to_vec()),
        value: record.value.as_ref().map(|value| value.to_vec()),
        headers: record
            .headers
            .iter()
            .map(|(key, value)| (key.to_string(), value.as_ref().map(|value| value.to_vec())))
            .collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_oracle_reads_what_we_write(
        codec in any_codec(),
        producer in any_producer(),
        base_offset in 0..i64::MAX / 2,
        written in any_records(),
    ) {
        let mut batch = build(codec, producer, &written).to_vec();
        assign(&mut batch, base_offset, 4);
        let mut bytes = Bytes::from(batch);
        let set = oracle::RecordBatchDecoder::decode(&mut bytes).unwrap();
        prop_assert!(bytes.is_empty());
        prop_assert_eq!(set.compression, oracle_codec(codec));
        prop_assert_eq!(set.records.len(), written.len());
        for (index, (theirs, ours)) in set.records.iter().zip(&written).enumerate() {
            let expected = OwnRecord {
                headers: without_duplicates(&ours.headers),
                ..ours.clone()
            };
            prop_assert_eq!(from_oracle(theirs), expected);
            prop_assert_eq!(theirs.offset, base_offset + index as i64);
            prop_assert_eq!(theirs.partition_leader_epoch, 4);
            prop_assert_eq!(theirs.producer_id, producer.map_or(-1, |p| p.id));
            prop_assert_eq!(theirs.producer_epoch, producer.map_or(-1, |p| p.epoch));
            prop_assert!(!theirs.control && !theirs.transactional && !theirs.delete_horizon);
        }
        if let Some(stamp) = producer {
            prop_assert_eq!(set.records[0].sequence, stamp.base_sequence);
        }
    }

    #[test]
    fn we_read_what_the_oracle_writes(
        codec in any_codec(),
        producer in any_producer(),
        base_offset in 0..i64::MAX / 2,
        written in any_records(),
    ) {
        let theirs: Vec<_> = written
            .iter()
            .enumerate()
            .map(|(index, record)| to_oracle(index, base_offset, producer, record))
            .collect();
        let mut bytes = BytesMut::new();
        let options = oracle::RecordEncodeOptions {
            version: 2,
            compression: oracle_codec(codec),
        };
        oracle::RecordBatchEncoder::encode(&mut bytes, &theirs, &options).unwrap();

        let header = validate_produce(&bytes, MAX_LEN).unwrap();
        validate_records(&bytes, MAX_RECORDS_LEN).unwrap();
        prop_assert_eq!(header.attributes.compression(), Ok(codec));
        prop_assert_eq!(header.base_offset, base_offset);
        prop_assert_eq!(header.partition_leader_epoch, 4);
        prop_assert_eq!(header.record_count as usize, written.len());
        prop_assert_eq!(header.base_timestamp, written.iter().map(|r| r.timestamp).min().unwrap());
        prop_assert_eq!(header.max_timestamp, written.iter().map(|r| r.timestamp).max().unwrap());
        prop_assert_eq!(header.producer_id, producer.map_or(-1, |p| p.id));
        prop_assert_eq!(header.producer_epoch, producer.map_or(-1, |p| p.epoch));
        prop_assert_eq!(header.base_sequence, producer.map_or(-1, |p| p.base_sequence));
        if let Some(stamp) = producer {
            let last = advance_sequence(stamp.base_sequence, written.len() as i32 - 1);
            prop_assert_eq!(header.last_sequence(), last);
        }
        let read = read(&bytes).unwrap();
        prop_assert_eq!(read.len(), written.len());
        for (index, ((offset, record), ours)) in read.iter().zip(&written).enumerate() {
            prop_assert_eq!(*offset, base_offset + index as i64);
            let expected = OwnRecord {
                headers: without_duplicates(&ours.headers),
                ..ours.clone()
            };
            prop_assert_eq!(record, &expected);
        }
    }

    #[test]
    fn we_read_what_we_write_with_every_duplicate(
        codec in any_codec(),
        written in any_records(),
    ) {
        let batch = build(codec, None, &written);
        validate_records(&batch, MAX_RECORDS_LEN).unwrap();
        let read: Vec<_> = read(&batch).unwrap().into_iter().map(|(_, record)| record).collect();
        prop_assert_eq!(read, written);
    }
}

#[test]
fn both_refuse_a_flipped_bit() {
    let written = [OwnRecord {
        timestamp: 1,
        key: None,
        value: Some(b"value".to_vec()),
        headers: Vec::new(),
    }];
    let batch = build(Compression::None, None, &written);
    for byte in 21..batch.len() {
        let mut flipped = batch.to_vec();
        flipped[byte] ^= 1;
        assert!(validate_produce(&flipped, MAX_LEN).is_err(), "byte {byte}");
        let theirs = oracle::RecordBatchDecoder::decode(&mut Bytes::from(flipped));
        assert!(theirs.is_err(), "byte {byte}");
    }
}
