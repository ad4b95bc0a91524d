//! What the builder writes, the reader reads: every codec, nulls, empties, duplicates.

use bytes::Bytes;
use leveret_record::{
    Attributes, BatchBuilder, BatchError, Compression, Header, MAX_RECORDS_LEN, ProducerStamp,
    RecordSet, assign, batches, records, validate_produce, validate_records,
};

const MAX_LEN: usize = 1 << 20;
const LIMIT: usize = MAX_RECORDS_LEN;

fn header<'a>(key: &'a [u8], value: Option<&'a [u8]>) -> Header<'a> {
    Header { key, value }
}

/// Three records: all null, all empty, and one with duplicate headers and an older timestamp.
fn three_records(attributes: impl Into<Attributes>) -> Bytes {
    let mut builder = BatchBuilder::new(attributes);
    builder.push(1_000, None, None, &[]).unwrap();
    builder.push(1_005, Some(b""), Some(b""), &[]).unwrap();
    let headers = [
        header(b"trace", Some(b"1")),
        header(b"trace", None),
        header(b"trace", Some(b"1")),
        header(b"", Some(b"")),
    ];
    let value = [7; 300];
    builder
        .push(990, Some(b"key"), Some(&value), &headers)
        .unwrap();
    builder.finish()
}

#[test]
fn every_codec_round_trips() {
    for codec in Compression::ALL {
        let batch = three_records(codec);
        let parsed = validate_produce(&batch, MAX_LEN).unwrap();
        assert_eq!(parsed.attributes.compression(), Ok(codec));
        assert_eq!(parsed.record_count, 3);
        assert_eq!(
            (parsed.base_timestamp, parsed.max_timestamp),
            (1_000, 1_005)
        );
        assert_eq!(parsed.total_len(), batch.len());
        assert!(!parsed.is_idempotent());
        validate_records(&batch, LIMIT).unwrap();

        let set = records(&batch, LIMIT).unwrap();
        let read: Vec<_> = set.iter().collect::<Result<_, _>>().unwrap();
        assert_eq!(read.iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 2]);
        let timestamps: Vec<_> = read.iter().map(|r| r.timestamp).collect();
        assert_eq!(timestamps, [1_000, 1_005, 990]);
        assert_eq!((read[0].key, read[0].value), (None, None));
        assert_eq!(
            (read[1].key, read[1].value),
            (Some(&b""[..]), Some(&b""[..]))
        );
        assert_eq!(read[2].value, Some(&[7; 300][..]));
        assert!(read[1].headers.is_empty());
        let headers: Vec<_> = read[2].headers.iter().collect();
        assert_eq!(
            headers,
            [
                header(b"trace", Some(b"1")),
                header(b"trace", None),
                header(b"trace", Some(b"1")),
                header(b"", Some(b"")),
            ]
        );

        let shared = RecordSet::from_bytes(batch.clone(), LIMIT).unwrap();
        let owned: Vec<_> = shared.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(owned.len(), 3);
        for (owned, read) in owned.iter().zip(&read) {
            assert_eq!(owned.offset, read.offset);
            assert_eq!(owned.timestamp, read.timestamp);
            assert_eq!(owned.key.as_deref(), read.key);
            assert_eq!(owned.value.as_deref(), read.value);
            assert_eq!(owned.headers(), read.headers);
        }
    }
}

#[test]
fn a_consumer_shares_the_buffer_of_an_uncompressed_batch() {
    let batch = three_records(Compression::None);
    let set = RecordSet::from_bytes(batch.clone(), LIMIT).unwrap();
    let value = set.records().last().unwrap().unwrap().value.unwrap();
    assert!(batch.as_ptr_range().contains(&value.as_ptr()));
}

#[test]
fn assigning_moves_offsets_and_keeps_the_crc() {
    let mut batch = three_records(Compression::Zstd).to_vec();
    assign(&mut batch, 5_000_000_000, 9);
    let parsed = validate_produce(&batch, MAX_LEN).unwrap();
    assert_eq!(parsed.partition_leader_epoch, 9);
    assert_eq!(parsed.last_offset(), 5_000_000_002);
    assert_eq!(parsed.next_offset(), 5_000_000_003);
    let set = records(&batch, LIMIT).unwrap();
    let offsets: Vec<_> = set.iter().map(|r| r.unwrap().offset).collect();
    assert_eq!(offsets, [5_000_000_000, 5_000_000_001, 5_000_000_002]);
}

#[test]
fn producer_and_transaction_are_stated_once() {
    let mut builder = BatchBuilder::new(Attributes::from(Compression::None).transactional());
    builder.set_producer(ProducerStamp {
        id: 77,
        epoch: 3,
        base_sequence: i32::MAX - 1,
    });
    for _ in 0..3 {
        builder.push(0, None, Some(b"x"), &[]).unwrap();
    }
    let header = validate_produce(&builder.finish(), MAX_LEN).unwrap();
    assert!(header.is_idempotent() && header.attributes.is_transactional());
    assert_eq!((header.producer_id, header.producer_epoch), (77, 3));
    assert_eq!(header.last_sequence(), 0);
    assert_eq!(header.next_sequence(), 1);

    // Without a new stamp, the next batch must not repeat the sequences.
    builder.push(0, None, Some(b"x"), &[]).unwrap();
    assert_eq!(
        validate_produce(&builder.finish(), MAX_LEN),
        Err(BatchError::BadProducer {
            id: -1,
            epoch: -1,
            sequence: -1
        })
    );
}

#[test]
fn stated_sizes_are_true() {
    let mut builder = BatchBuilder::new(Compression::None);
    assert_eq!(builder.len(), 0);
    let value = [1; 200];
    for (i, timestamp) in [5, 90_000, -1].into_iter().enumerate() {
        builder
            .push(timestamp, Some(b"k"), Some(&value), &[header(b"h", None)])
            .unwrap();
        assert_eq!(builder.record_count(), i + 1);
    }
    let expected = builder.len();
    assert_eq!(builder.finish().len(), expected);
    assert!(builder.is_empty());
}

#[test]
fn batches_back_to_back_are_walked_until_one_is_cut() {
    let one = three_records(Compression::None);
    let two = three_records(Compression::Lz4);
    let mut bytes = [&one[..], &two[..], &one[..]].concat();
    let walked: Vec<_> = batches(&bytes).map(|b| b.unwrap().1.len()).collect();
    assert_eq!(walked, [one.len(), two.len(), one.len()]);

    bytes.pop();
    let mut walk = batches(&bytes);
    assert!(walk.next().unwrap().is_ok() && walk.next().unwrap().is_ok());
    assert_eq!(
        walk.next(),
        Some(Err(BatchError::Truncated {
            needed: one.len(),
            present: one.len() - 1
        }))
    );
    assert_eq!(walk.next(), None);
}
