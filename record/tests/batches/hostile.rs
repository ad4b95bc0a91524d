//! Bytes that nobody honest sent: no parser panics, and what passes all checks is coherent.
//! The CRC stops nearly every damaged batch at the door, so damage is sealed with a true
//! CRC here, which an attacker can do as well.

use bytes::Bytes;
use leveret_record::{
    BatchError, Compression, HEADER_LEN, RecordSet, batches, frame_len, murmur2, parse_header,
    records, validate_produce, validate_records, varint,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::{any_codec, any_records, build, seal, with_payload};

const MAX_LEN: usize = 1 << 20;
const LIMIT: usize = 1 << 20;

/// Every public reader on the same bytes.
fn read_everything(bytes: &[u8]) {
    let _ = frame_len(bytes);
    let _ = parse_header(bytes).map(|header| {
        let _ = (
            header.total_len(),
            header.next_offset(),
            header.next_sequence(),
        );
        let _ = (header.latest_timestamp(), header.is_idempotent());
    });
    let _ = murmur2(bytes);
    let _ = (
        varint::read_i32(&mut &bytes[..]),
        varint::read_i64(&mut &bytes[..]),
    );
    let walked: usize = batches(bytes).flatten().map(|(_, batch)| batch.len()).sum();
    assert!(walked <= bytes.len());

    let accepted = validate_produce(bytes, MAX_LEN);
    let deep = validate_records(bytes, LIMIT);
    if let Ok(set) = records(bytes, LIMIT) {
        let mut read = 0;
        for record in set.iter().flatten() {
            assert_eq!(record.headers.len(), record.headers.iter().count());
            read += 1;
        }
        assert!(read <= set.header().record_count);
        if let (Ok(_), Ok(times)) = (&accepted, &deep) {
            assert_eq!(read, set.header().record_count);
            assert_eq!(read - 1, set.header().last_offset_delta);
            let read: Vec<_> = set
                .iter()
                .flatten()
                .map(|record| record.timestamp)
                .collect();
            assert_eq!(read.iter().max(), Some(&times.max));
            assert_eq!(
                read.iter().position(|time| *time == times.max),
                Some(times.max_at as usize)
            );
        }
    } else {
        assert!(deep.is_err(), "the walk lets in what nobody reads");
    }
    if let Ok(set) = RecordSet::from_bytes(Bytes::copy_from_slice(bytes), LIMIT) {
        for record in set.records().flatten() {
            assert_eq!(record.headers().len(), record.headers().iter().count());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..300)) {
        read_everything(&bytes);
    }

    #[test]
    fn any_header_and_any_payload(
        mut bytes in vec(any::<u8>(), HEADER_LEN..200),
        codec in 0..8u8,
        few in any::<bool>(),
    ) {
        let length = bytes.len() as i32 - 12;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        bytes[22] = codec;
        if few {
            // Small enough to be believed.
            bytes[23..27].copy_from_slice(&3i32.to_be_bytes());
            bytes[57..61].copy_from_slice(&4i32.to_be_bytes());
        }
        seal(&mut bytes);
        read_everything(&bytes);
    }

    #[test]
    fn any_damage_under_a_true_crc(
        codec in any_codec(),
        written in any_records(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut batch = build(codec, None, &written).to_vec();
        for (at, byte) in damage {
            let at = at.index(batch.len());
            batch[at] = byte;
        }
        read_everything(&batch);
        batch[16] = 2;
        let length = batch.len() as i32 - 12;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        seal(&mut batch);
        read_everything(&batch);

        let payload = &batch[HEADER_LEN..];
        let cut = &payload[..cut.index(payload.len())];
        read_everything(&with_payload(&batch, cut));
    }

    #[test]
    fn damage_without_a_true_crc_is_always_found(
        codec in any_codec(),
        written in any_records(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let mut batch = build(codec, None, &written).to_vec();
        prop_assert!(validate_produce(&batch, 8 << 20).is_ok());
        let at = 17 + at.index(batch.len() - 17);
        batch[at] ^= flip;
        prop_assert!(validate_produce(&batch, 8 << 20).is_err());
    }
}

#[test]
fn a_bomb_of_each_codec_is_refused_at_the_limit() {
    let mut builder = leveret_record::BatchBuilder::new(Compression::None);
    builder.push(0, None, Some(&vec![0; 8 << 20]), &[]).unwrap();
    let plain_len = builder.len() - HEADER_LEN;
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let mut builder = leveret_record::BatchBuilder::new(codec);
        builder.push(0, None, Some(&vec![0; 8 << 20]), &[]).unwrap();
        let bomb = builder.finish();
        assert!(bomb.len() < plain_len / 15, "{codec} shrinks zeros");
        for limit in [0, 1, 1 << 20, plain_len - 1] {
            let too_large = BatchError::DecompressedTooLarge { limit };
            assert_eq!(records(&bomb, limit).unwrap_err(), too_large, "{codec}");
            assert_eq!(validate_records(&bomb, limit), Err(too_large), "{codec}");
        }
        assert!(records(&bomb, plain_len).is_ok(), "{codec}");
        assert!(validate_records(&bomb, plain_len).is_ok(), "{codec}");
    }
}
