//! Records cut into pieces at any place, against the walk over all of them at once and against
//! the reader.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{
    BatchBuilder, Compression, HEADER_LEN, Header, MAX_RECORDS_LEN, parse_header, records,
};

/// What a walk saw, or why it stopped.
type Seen = Result<Vec<(i32, i64)>, BatchError>;

#[derive(Default)]
struct All(Vec<(i32, i64)>);

impl Visit for All {
    fn record(&mut self, offset_delta: i32, timestamp: i64) {
        self.0.push((offset_delta, timestamp));
    }
}

fn walk_of(header: &BatchHeader) -> BatchWalk {
    BatchWalk::begin(
        header,
        Deltas::Dense,
        MAX_RECORDS_LEN,
        &mut Pieces::default(),
    )
    .unwrap()
}

/// Walks `payload`, uncompressed, in pieces that end where `cuts` say.
fn in_pieces(header: &BatchHeader, payload: &[u8], cuts: &[usize]) -> Seen {
    let mut walk = walk_of(header);
    let mut all = All::default();
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
    cuts.extend([0, payload.len()]);
    cuts.sort_unstable();
    for ends in cuts.windows(2) {
        let piece = &payload[ends[0]..ends[1]];
        walk.seen += piece.len();
        walk.piece(piece, &mut all)?;
    }
    walk.end()?;
    Ok(all.0)
}

fn batch(values: &[(i64, Vec<u8>)], codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    for (time, value) in values {
        let header = Header {
            key: b"key",
            value: value.first().map(|_| &value[..1]),
        };
        let headers = &[header, header][..value.len() % 3];
        let key = value.get(..2);
        builder.push(*time, key, Some(value), headers).unwrap();
    }
    builder.finish().to_vec()
}

fn any_values() -> impl Strategy<Value = Vec<(i64, Vec<u8>)>> {
    vec((-9_000..9_000i64, vec(any::<u8>(), 0..90)), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn cuts_change_nothing(
        values in any_values(),
        cuts in vec(any::<usize>(), 0..30),
        damage in vec((any::<usize>(), any::<u8>()), 0..3),
    ) {
        let mut batch = batch(&values, Compression::None);
        for (at, byte) in damage {
            let at = HEADER_LEN + at % (batch.len() - HEADER_LEN);
            batch[at] = byte;
        }
        let header = parse_header(&batch).unwrap();
        let payload = &batch[HEADER_LEN..];
        let whole = in_pieces(&header, payload, &[]);
        let every: Vec<_> = (0..payload.len()).collect();
        for cuts in [&cuts[..], &every] {
            let cut = in_pieces(&header, payload, cuts);
            prop_assert_eq!(cut.is_ok(), whole.is_ok(), "{:?} {:?}", cut, whole);
            if let (Ok(cut), Ok(whole)) = (&cut, &whole) {
                prop_assert_eq!(cut, whole);
            }
        }
    }

    #[test]
    fn compressed_or_not_it_sees_what_the_reader_reads(
        values in any_values(),
        codec in prop::sample::select(&Compression::ALL[..]),
        long in 0..700_000usize,
    ) {
        let mut values = values;
        // Long enough for several pieces, and a record that goes on in several.
        values[0].1 = (0..long).map(|at| (at / 9 * 7) as u8).collect();
        let batch = batch(&values, codec);
        let header = parse_header(&batch).unwrap();
        let mut pieces = Pieces::default();
        let mut walk =
            BatchWalk::begin(&header, Deltas::Dense, MAX_RECORDS_LEN, &mut pieces).unwrap();
        let mut all = All::default();
        let mut steps = 0;
        let mut done = 0;
        while walk.step(&mut pieces, &batch[HEADER_LEN..], &mut all).unwrap() == Progress::More {
            steps += 1;
            prop_assert!(pieces.done() - done <= crate::MAX_PIECE_LEN + (384 << 10));
            done = pieces.done();
        }
        prop_assert!(steps >= long >> 18);
        let set = records(&batch, MAX_RECORDS_LEN).unwrap();
        let read: Vec<_> = set
            .iter()
            .map(|record| record.unwrap())
            .map(|record| (record.offset as i32, record.timestamp))
            .collect();
        prop_assert_eq!(all.0, read);
    }
}

#[test]
fn pieces_serve_one_batch_after_another_of_any_codec() {
    let mut pieces = Pieces::default();
    for turn in 0..3 {
        for codec in Compression::ALL {
            let batch = batch(&[(turn, vec![1; 1000]), (9, vec![2; 50])], codec);
            let header = parse_header(&batch).unwrap();
            let mut walk =
                BatchWalk::begin(&header, Deltas::Dense, MAX_RECORDS_LEN, &mut pieces).unwrap();
            let mut times = Times::default();
            // Every other walk is given up after a step.
            let payload = &batch[HEADER_LEN..];
            walk.step(&mut pieces, payload, &mut times).unwrap();
            if turn != 1 {
                while walk.step(&mut pieces, payload, &mut times).unwrap() == Progress::More {}
                let expected = Times {
                    max: 9,
                    max_at: 1,
                    min: turn,
                };
                assert_eq!(times, expected, "{codec}");
            }
        }
    }
}
