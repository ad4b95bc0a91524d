//! Batches that were written once, one per codec, are read for ever. They were frozen after
//! the differential tests had passed. `without compression` is also what the builder has to
//! write today, byte for byte; what codecs write may change with their versions.

use crate::common::{OwnRecord, build, read};
use leveret_record::{
    Compression, MAX_RECORDS_LEN, ProducerStamp, validate_produce, validate_records,
};

fn golden(codec: Compression) -> &'static [u8] {
    match codec {
        Compression::None => include_bytes!("../golden/none.batch"),
        Compression::Gzip => include_bytes!("../golden/gzip.batch"),
        Compression::Snappy => include_bytes!("../golden/snappy.batch"),
        Compression::Lz4 => include_bytes!("../golden/lz4.batch"),
        Compression::Zstd => include_bytes!("../golden/zstd.batch"),
    }
}

const STAMP: ProducerStamp = ProducerStamp {
    id: 4_711,
    epoch: 2,
    base_sequence: i32::MAX - 1,
};

/// What is in every golden file.
fn contents() -> Vec<OwnRecord> {
    let record = |timestamp, key: Option<&[u8]>, value: Option<&[u8]>| OwnRecord {
        timestamp,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: Vec::new(),
    };
    let mut with_headers = record(1_700_000_000_500, Some(b"hare"), Some(&[b'l'; 150]));
    with_headers.headers = vec![
        ("trace".into(), Some(b"a".to_vec())),
        ("trace".into(), Some(b"b".to_vec())),
        ("empty".into(), Some(Vec::new())),
        ("null".into(), None),
    ];
    vec![
        record(1_700_000_000_000, None, Some(b"first")),
        with_headers,
        record(1_699_999_999_000, Some(b""), None),
    ]
}

#[test]
fn golden_batches_are_read() {
    for codec in Compression::ALL {
        let batch = golden(codec);
        let header = validate_produce(batch, 1 << 20).unwrap();
        assert_eq!(header.attributes.compression(), Ok(codec));
        assert_eq!(
            (
                header.producer_id,
                header.producer_epoch,
                header.base_sequence
            ),
            (STAMP.id, STAMP.epoch, STAMP.base_sequence)
        );
        assert_eq!(header.last_sequence(), 0);
        validate_records(batch, MAX_RECORDS_LEN).unwrap();
        let expected: Vec<_> = (0..).zip(contents()).collect();
        assert_eq!(read(batch).unwrap(), expected, "{codec}");
    }
}

#[test]
fn the_builder_writes_the_uncompressed_golden_batch() {
    let built = build(Compression::None, Some(STAMP), &contents());
    assert_eq!(&built[..], golden(Compression::None));
}
