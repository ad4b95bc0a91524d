//! Record batches: every reader of them, each codec.

use leveret_record::{
    BatchBuilder, Compression, HEADER_LEN, Header, MAX_PIECE_LEN, ProducerStamp, batches,
    parse_header, records, restamp, validate_produce, validate_records, verify,
};
use leveret_sim::rng::Rng;

use crate::Target;
use crate::allocator::{peak_of, within};

const LIMIT: usize = 256 << 10;
/// Bytes of a decoder's own state, whatever the input, and of errors' texts. As in
/// `record/tests/allocation.rs`; zstd's own allocations are not counted here.
const CODEC_STATE: usize = 200 << 10;
const MAX_LEN: usize = 1 << 20;
/// The header of snappy-java's framing and the length of its first block.
const SNAPPY_FRAMING: usize = 16 + 4;

pub(crate) struct Batches;

fn seed(codec: Compression, count: i64, value: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    for number in 0..count {
        let header = Header {
            key: b"trace",
            value: (number % 2 == 0).then_some(&b"abc"[..]),
        };
        let value = vec![b'v'; value];
        let key = number.to_be_bytes();
        let key = (number % 3 != 0).then_some(&key[..]);
        builder
            .push(1_000 + number, key, Some(&value), &[header])
            .expect("a small batch");
    }
    if count % 2 == 0 {
        builder.set_producer(ProducerStamp {
            id: 7,
            epoch: 0,
            base_sequence: 3,
        });
    }
    builder.finish().to_vec()
}

/// Makes length and checksum true again.
fn seal(batch: &mut [u8]) {
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

impl Target for Batches {
    fn name(&self) -> &'static str {
        "batch"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let codecs = [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ];
        let sizes = [(1, 0), (5, 40), (40, 300)];
        let all = codecs
            .iter()
            .flat_map(|codec| sizes.map(|(count, value)| seed(*codec, count, value)));
        let mut all: Vec<_> = all.collect();
        // Snappy without Java's framing, as librdkafka sends it: the only block of a framed batch.
        let bare = seed(Compression::Snappy, 40, 300);
        let mut bare = [&bare[..HEADER_LEN], &bare[HEADER_LEN + SNAPPY_FRAMING..]].concat();
        seal(&mut bare);
        all.push(bare);
        all
    }

    fn repair(&self, rng: &mut Rng, input: &mut Vec<u8>) {
        if input.len() < HEADER_LEN || rng.chance(1, 8) {
            return;
        }
        input[16] = 2;
        seal(input);
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let (outcome, peak) = peak_of(|| {
            let produced = validate_produce(input, MAX_LEN);
            batches(input).for_each(drop);
            let verified = verify(input).is_ok();
            let checked = validate_records(input, LIMIT);
            let read = records(input, LIMIT).and_then(|set| {
                let mut latest = i64::MIN;
                let mut count = 0;
                for record in &set {
                    let record = record?;
                    assert_eq!(record.headers.len(), record.headers.iter().count());
                    latest = latest.max(record.timestamp);
                    count += 1;
                }
                Ok((latest, count))
            });
            (produced, verified, checked, read)
        });
        // A piece of the walk, zstd's blocks, and a window as long as the limit.
        within(
            peak,
            LIMIT + LIMIT / 2 + CODEC_STATE + MAX_PIECE_LEN + (256 << 10),
        )?;
        let (produced, verified, checked, read) = outcome;
        if let Ok(times) = &checked {
            // What the door lets in every reader reads, whole, and as the walk saw it.
            let count = parse_header(input).map(|header| header.record_count);
            let expected = count.map(|count| (times.max, count));
            if read != expected {
                return Err(format!("the walk saw {expected:?}, the reader {read:?}"));
            }
        }
        let outcome = (produced.err(), verified, checked.err(), read.err());
        let mut again = input.to_vec();
        let stamp = ProducerStamp {
            id: 1,
            epoch: 1,
            base_sequence: 1,
        };
        let stamped = restamp(&mut again, stamp).is_ok();
        if stamped && verify(input).is_ok() && verify(&again).is_err() {
            return Err("a batch with a new stamp has a wrong checksum".to_owned());
        }
        Ok(format!("{outcome:?} {stamped}"))
    }
}
