//! What it costs to check the records of a batch, `walk`, and beside it what the codec's own
//! library takes to decode the same bytes into memory that is already there, `decode`: one run
//! gives the ratio.

use std::hint::black_box;
use std::io::{Read, Write};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use leveret_record::{
    BatchHeader, BatchWalk, Compression, Deltas, HEADER_LEN, MAX_RECORDS_LEN, Pieces, Progress,
    Times, parse_header, records,
};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{COUNTS, VALUE};
use crate::input::{self, Fill};

/// A batch of about 1 MB: the largest that clients send by default, and longer than one piece.
const LARGE: usize = 10_000;
/// Bytes of records, compressed.
const LENS: [(&str, usize); 4] = [
    ("32K", 32 << 10),
    ("256K", 256 << 10),
    ("1M", 1 << 20),
    ("8M", 8 << 20),
];

/// A batch's records as some producer writes them.
struct Shape {
    name: &'static str,
    header: BatchHeader,
    payload: Vec<u8>,
    /// Bytes of the records.
    len: usize,
    framing: Framing,
}

/// How a codec's blocks are wrapped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// As Java's client does it. Of lz4: blocks that do not refer to each other.
    Usual,
    /// Snappy without Java's framing: librdkafka and Go.
    Bare,
    /// Lz4 blocks that refer to those before.
    Linked,
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
            output: vec![0; 9 << 20],
        }
    }
}

pub(super) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    // There are many rows, and each is short.
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    for count in COUNTS.into_iter().chain([LARGE]) {
        let shape = Shape::usual(&input::batch(count, VALUE, Compression::None));
        group.throughput(Throughput::Bytes(shape.len as u64));
        let mut pieces = Pieces::default();
        group.bench_function(BenchmarkId::new(format!("walk-{count}"), shape.name), |b| {
            b.iter(|| shape.walk(&mut pieces));
        });
    }
    for (fill_name, fill) in [("4x", Fill::Quarter), ("1.5x", Fill::TwoThirds)] {
        for (len_name, len) in LENS {
            for shape in shapes(len, fill) {
                let row =
                    |what| BenchmarkId::new(format!("{what}-{fill_name}-{len_name}"), shape.name);
                group.throughput(Throughput::Bytes(shape.len as u64));
                let mut own = Own::default();
                assert_eq!(shape.decode(&mut own), shape.len);
                group.bench_function(row("decode"), |b| {
                    b.iter(|| shape.decode(&mut own));
                });
                let mut pieces = Pieces::default();
                group.bench_function(row("walk"), |b| {
                    b.iter(|| shape.walk(&mut pieces));
                });
            }
        }
    }
    group.finish();
}

/// What our builder writes, as Java's client does, and what others do.
fn shapes(len: usize, fill: Fill) -> Vec<Shape> {
    let compressed = Compression::ALL
        .into_iter()
        .filter(|codec| *codec != Compression::None);
    let mut all: Vec<_> = compressed
        .map(|codec| Shape::usual(&input::filled(len, fill, codec)))
        .collect();
    let batch = input::filled(len, fill, Compression::Snappy);
    let plain = encoded(&batch);
    let bare = snap::raw::Encoder::new().compress_vec(&plain);
    all.push(Shape {
        name: "snappy-bare",
        payload: bare.expect("a short input"),
        framing: Framing::Bare,
        ..Shape::usual(&batch)
    });
    let batch = input::filled(len, fill, Compression::Lz4);
    let lz4_frame = |name, size, framing| Shape {
        name,
        payload: {
            let mode = match framing {
                Framing::Linked => BlockMode::Linked,
                _ => BlockMode::Independent,
            };
            let info = FrameInfo::new().block_size(size).block_mode(mode);
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&plain).expect("memory");
            encoder.finish().expect("memory")
        },
        framing,
        ..Shape::usual(&batch)
    };
    // kafka-python; Go's pierrec/lz4 and lz4's own program, with buffers that no short batch pays for.
    all.push(lz4_frame("lz4-linked", BlockSize::Max64KB, Framing::Linked));
    if len >= 1 << 20 {
        all.push(lz4_frame("lz4-4mb", BlockSize::Max4MB, Framing::Usual));
        all.push(lz4_frame(
            "lz4-4mb-linked",
            BlockSize::Max4MB,
            Framing::Linked,
        ));
    }
    all
}

/// The records of a batch, encoded.
fn encoded(batch: &[u8]) -> Vec<u8> {
    let set = records(batch, MAX_RECORDS_LEN).expect("a batch");
    set.encoded().to_vec()
}

impl Shape {
    /// As our builder writes it.
    fn usual(batch: &[u8]) -> Self {
        let header = parse_header(batch).expect("a batch");
        Self {
            name: match header.attributes.compression().expect("a codec") {
                Compression::None => "none",
                Compression::Gzip => "gzip",
                Compression::Snappy => "snappy",
                Compression::Lz4 => "lz4",
                Compression::Zstd => "zstd",
            },
            header,
            payload: batch[HEADER_LEN..].to_vec(),
            len: encoded(batch).len(),
            framing: Framing::Usual,
        }
    }

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
            // Without the frame decoder's own buffers.
            Compression::Lz4 if self.framing == Framing::Usual => lz4_blocks(payload, output),
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

/// Decodes a frame of blocks that do not refer to each other, without sizes and checksums.
fn lz4_blocks(frame: &[u8], output: &mut [u8]) -> usize {
    const HEADER_LEN: usize = 7;
    let (mut rest, mut len) = (&frame[HEADER_LEN..], 0);
    while let Some((word, behind)) = rest.split_first_chunk::<4>() {
        let word = u32::from_le_bytes(*word);
        let (block, behind) = behind.split_at((word & !(1 << 31)) as usize);
        let output = &mut output[len..];
        len += match word >> 31 {
            0 if block.is_empty() => break,
            0 => lz4_flex::block::decompress_into(block, output).expect("a block"),
            _ => {
                output[..block.len()].copy_from_slice(block);
                block.len()
            }
        };
        rest = behind;
    }
    len
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
