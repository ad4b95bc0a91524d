//! What the door pays for looking at the records, `walk`, and beside it what the codec's own library
//! takes to decode the same bytes into memory that is there, `decode`: one run gives the ratio.

use std::hint::black_box;
use std::io::{Read, Write};

use criterion::{BenchmarkId, Criterion, Throughput};
use leveret_record::{
    BatchHeader, BatchWalk, Compression, Deltas, HEADER_LEN, MAX_RECORDS_LEN, Pieces, Progress,
    Times, parse_header, records,
};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{COUNTS, VALUE};
use crate::input;

/// A batch of about 1 MB: the largest that clients send by default, and longer than one piece.
const LARGE: usize = 10_000;

/// A batch's records as some producer writes them.
struct Shape {
    name: &'static str,
    header: BatchHeader,
    payload: Vec<u8>,
    /// Bytes of the records.
    len: usize,
    framing: Framing,
}

/// How a codec's blocks are wrapped, where a codec's name does not say it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Usual,
    /// Snappy without Java's framing: librdkafka and Go.
    Bare,
}

/// What the codecs' libraries keep between two batches.
struct Own<'a> {
    lz4: FrameDecoder<&'a [u8]>,
    zstd: zstd_safe::DCtx<'static>,
    output: Vec<u8>,
}

impl Default for Own<'_> {
    fn default() -> Self {
        Self {
            lz4: FrameDecoder::new(&[]),
            zstd: zstd_safe::DCtx::create(),
            output: vec![0; 4 << 20],
        }
    }
}

pub(super) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    for count in COUNTS.into_iter().chain([LARGE]) {
        for shape in shapes(count) {
            let row = |what| BenchmarkId::new(format!("{what}-{count}"), shape.name);
            group.throughput(Throughput::Bytes(shape.len as u64));
            let mut pieces = Pieces::default();
            group.bench_function(row("walk"), |b| {
                b.iter(|| shape.walk(&mut pieces));
            });
            // Of what is not compressed there is nothing to decode.
            if shape.header.attributes.compression() != Ok(Compression::None) {
                let mut own = Own::default();
                assert_eq!(shape.decode(&mut own), shape.len);
                group.bench_function(row("decode"), |b| {
                    b.iter(|| shape.decode(&mut own));
                });
            }
        }
    }
    group.finish();
}

/// What our builder writes, as Java's client does, and what others do.
fn shapes(count: usize) -> Vec<Shape> {
    let usual = Compression::ALL.map(|codec| {
        let batch = input::batch(count, VALUE, codec);
        Shape {
            name: match codec {
                Compression::None => "none",
                Compression::Gzip => "gzip",
                Compression::Snappy => "snappy",
                Compression::Lz4 => "lz4",
                Compression::Zstd => "zstd",
            },
            header: parse_header(&batch).expect("a batch"),
            payload: batch[HEADER_LEN..].to_vec(),
            len: encoded(&batch).len(),
            framing: Framing::Usual,
        }
    });
    let [snappy, lz4] = [Compression::Snappy, Compression::Lz4].map(|codec| {
        let batch = input::batch(count, VALUE, codec);
        (parse_header(&batch).expect("a batch"), encoded(&batch))
    });
    let lz4_frame = |name, size, mode| Shape {
        name,
        header: lz4.0,
        payload: {
            let info = FrameInfo::new().block_size(size).block_mode(mode);
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&lz4.1).expect("memory");
            encoder.finish().expect("memory")
        },
        len: lz4.1.len(),
        framing: Framing::Usual,
    };
    let bare = snap::raw::Encoder::new().compress_vec(&snappy.1);
    let others = [
        Shape {
            name: "snappy-bare",
            header: snappy.0,
            payload: bare.expect("a short input"),
            len: snappy.1.len(),
            framing: Framing::Bare,
        },
        // kafka-python, and Go's pierrec/lz4.
        lz4_frame("lz4-linked", BlockSize::Max64KB, BlockMode::Linked),
        lz4_frame("lz4-4mb", BlockSize::Max4MB, BlockMode::Independent),
    ];
    usual.into_iter().chain(others).collect()
}

/// The records of a batch, encoded.
fn encoded(batch: &[u8]) -> Vec<u8> {
    let set = records(batch, MAX_RECORDS_LEN).expect("a batch");
    set.encoded().to_vec()
}

impl Shape {
    /// As a broker's door does it: behind the CRC, with memory that is kept.
    fn walk(&self, pieces: &mut Pieces) -> Times {
        let header = black_box(&self.header);
        let walk = BatchWalk::begin(header, Deltas::Dense, MAX_RECORDS_LEN, pieces);
        let mut walk = walk.expect("a codec");
        let mut times = Times::default();
        loop {
            let step = walk.step(pieces, black_box(&self.payload), &mut times);
            if step.expect("valid") == Progress::Done {
                return times;
            }
        }
    }

    /// As the codec's library does it at its best. How many bytes came out.
    fn decode<'a>(&'a self, own: &mut Own<'a>) -> usize {
        let payload = black_box(&self.payload[..]);
        let output = &mut own.output[..];
        match self.header.attributes.compression().expect("a codec") {
            Compression::None => payload.len(),
            Compression::Gzip => read(&mut flate2::read::GzDecoder::new(payload), output),
            Compression::Snappy if self.framing == Framing::Bare => snappy(payload, output),
            Compression::Snappy => {
                let (mut rest, mut len) = (&payload[16..], 0);
                while let Some((block, behind)) = rest.split_first_chunk::<4>() {
                    let (block, behind) = behind.split_at(u32::from_be_bytes(*block) as usize);
                    len += snappy(block, &mut output[len..]);
                    rest = behind;
                }
                len
            }
            Compression::Lz4 => {
                *own.lz4.get_mut() = payload;
                read(&mut own.lz4, output)
            }
            Compression::Zstd => own.zstd.decompress(output, payload).expect("a frame"),
        }
    }
}

fn snappy(block: &[u8], output: &mut [u8]) -> usize {
    let decoded = snap::raw::Decoder::new().decompress(block, output);
    decoded.expect("a block")
}

fn read(decoder: &mut impl Read, output: &mut [u8]) -> usize {
    let mut len = 0;
    loop {
        match decoder.read(&mut output[len..]).expect("a frame") {
            0 => return len,
            more => len += more,
        }
    }
}
