use bytes::BytesMut;
use leveret_record::{BatchBuilder, Compression, assign, batches};
use leveret_storage::store::Place;
use leveret_storage::types::Ordinal;
use proptest::prelude::*;

use super::*;

/// Batches of so many records each, from offset 100 on, some of them sharing a chunk.
fn data(sizes: &[usize], per_chunk: usize) -> (ReadData, Offset) {
    let mut builder = BatchBuilder::new(Compression::None);
    let mut next = 100;
    let mut chunks: Vec<BytesMut> = Vec::new();
    for (index, records) in sizes.iter().enumerate() {
        for _ in 0..*records {
            builder.push(1, None, Some(b"value"), &[]).unwrap();
        }
        let mut batch = BytesMut::from(builder.finish());
        assign(&mut batch, next, 0);
        next += *records as i64;
        match chunks.last_mut() {
            Some(chunk) if index % per_chunk > 0 => chunk.extend_from_slice(&batch),
            _ => chunks.push(batch),
        }
    }
    let chunks: Vec<Bytes> = chunks.into_iter().map(BytesMut::freeze).collect();
    let bytes = chunks.iter().map(Bytes::len).sum();
    let data = ReadData {
        chunks,
        bytes,
        ..ReadData::default()
    };
    (data, Offset(next as u64))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn exactly_the_batches_between_the_bounds_remain(
        sizes in prop::collection::vec(1..5usize, 1..12),
        per_chunk in 1..4usize,
        from in 0..60u64,
        span in 0..12u64,
    ) {
        let (whole, end) = data(&sizes, per_chunk);
        let from = Offset((100 + from).min(end.0));
        // Storage's bound lies between batches.
        let mut until = 100;
        for records in &sizes {
            if until < from.0 + span {
                until += *records as u64;
            }
        }
        let until = Offset(until.max(from.0));
        let joined = whole.chunks.concat();
        let expected: Vec<u8> = batches(&joined)
            .map(Result::unwrap)
            .filter(|(h, _)| h.next_offset() as u64 > from.0 && h.next_offset() as u64 <= until.0)
            .flat_map(|(_, bytes)| bytes.to_vec())
            .collect();
        let trimmed = trim(whole, from, until).unwrap();
        prop_assert_eq!(trimmed.bytes, expected.len());
        prop_assert_eq!(trimmed.chunks.concat(), expected.clone());
        prop_assert!(trimmed.chunks.iter().all(|chunk| !chunk.is_empty()));
        prop_assert_eq!(trimmed.next, if expected.is_empty() { from } else { until.min(end) });
    }
}

#[test]
fn bytes_that_are_no_batches_are_an_error() {
    let (mut whole, _) = data(&[2, 2], 2);
    whole.chunks[0] = whole.chunks[0].slice(1..);
    assert!(trim(whole, Offset(102), Offset(104)).is_err());
    let (mut cut, _) = data(&[2], 1);
    cut.chunks[0].truncate(70);
    cut.bytes = 70;
    assert!(trim(cut, Offset(102), Offset(102)).is_err());
}

#[test]
fn a_reader_goes_on_behind_what_is_not_there() {
    let hole = |next| ReadData {
        next: Some(Place {
            ordinal: Ordinal(9),
            offset: Some(Offset(next)),
        }),
        ..ReadData::default()
    };
    let next = |data| trim(data, Offset(5), Offset(20)).unwrap().next;
    assert_eq!(next(hole(12)), Offset(12));
    assert_eq!(next(hole(30)), Offset(20), "not beyond what may be seen");
    assert_eq!(next(ReadData::default()), Offset(5), "the control");
}
