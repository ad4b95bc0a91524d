//! No input makes the reader allocate beyond its declared bound. An allocator counts what is
//! live, zstd's C code included (its dev-dependency feature), and its peak is compared.

use leveret_record::{
    BatchBuilder, Compression, HEADER_LEN, MAX_PIECE_LEN, batches, records, validate_produce,
    validate_records,
};
use leveret_testkit::allocator::{self, Counting};
use proptest::collection::vec;
use proptest::prelude::*;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Most bytes that were live at once during `run`, above those before it.
fn peak_of(run: impl FnOnce()) -> usize {
    allocator::peak_of(run).1
}

const LIMIT: usize = 256 << 10;
/// Bytes of a decoder's own state, whatever the input: zstd's context (93 KiB in 1.5) is the
/// largest; gzip's window and tables are 43 KiB.
const CODEC_STATE: usize = 200 << 10;
/// Bytes of the walk's own buffers: of lz4 and snappy with what may be referred to, or a piece and
/// zstd's blocks in and out, beside a window that is bounded as the output is.
const PIECES: usize = MAX_PIECE_LEN + (256 << 10);

/// What reading a batch may take: its limit, half as much again while an output moves, one
/// decoder, and the walk's pieces.
const BOUND: usize = LIMIT + LIMIT / 2 + CODEC_STATE + PIECES;

/// Reads `batch` in every way that may allocate.
fn read(batch: &[u8]) {
    let _ = validate_produce(batch, 1 << 20);
    batches(batch).for_each(drop);
    let _ = validate_records(batch, LIMIT);
    if let Ok(set) = records(batch, LIMIT) {
        set.iter()
            .flatten()
            .for_each(|record| record.headers.iter().for_each(drop));
    }
}

/// A batch header that announces `count` records in front of `payload`.
fn forge(codec: Compression, count: i32, payload: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    builder
        .push(0, None, None, &[])
        .expect("a null record fits");
    let mut batch = builder.finish()[..HEADER_LEN].to_vec();
    batch.extend_from_slice(payload);
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    batch[57..61].copy_from_slice(&count.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn compressed(codec: Compression, value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    builder
        .push(0, None, Some(value), &[])
        .expect("the value fits");
    builder.finish()[HEADER_LEN..].to_vec()
}

#[test]
fn the_counter_counts() {
    assert!(peak_of(|| drop(std::hint::black_box(vec![1u8; 100_000]))) >= 100_000);
    assert_eq!(peak_of(|| ()), 0);
    // zstd's context is seen as well: without it the bound below would prove little.
    let batch = forge(Compression::Zstd, 1, &compressed(Compression::Zstd, b"x"));
    assert!(peak_of(|| read(&batch)) > 50_000);
}

#[test]
fn an_uncompressed_batch_is_read_without_allocating() {
    let batch = forge(
        Compression::None,
        1,
        &compressed(Compression::None, &[1; 50_000]),
    );
    assert!(validate_records(&batch, LIMIT).is_ok());
    assert_eq!(peak_of(|| read(&batch)), 0);
}

#[test]
fn a_builder_uses_the_memory_of_batches_that_are_given_back() {
    const LEN: usize = 50_000;
    let mut builder = BatchBuilder::new(Compression::None);
    let mut build = |fill: u8, given_back: Option<bytes::Bytes>| {
        if let Some(batch) = given_back {
            builder.reuse(batch);
        }
        let value = [fill; LEN];
        builder.push(0, None, Some(&value), &[]).expect("it fits");
        builder.finish()
    };
    // As many as are on their way at once; somebody else holds the first.
    let mut batches = [build(0, None), build(0, None), build(0, None)];
    let held = batches[0].clone();
    let before = held.to_vec();
    let allocated = peak_of(|| {
        for turn in 1..10 {
            let slot = &mut batches[usize::from(turn) % 3];
            let old = std::mem::take(slot);
            *slot = build(turn, Some(old));
        }
    });
    assert_eq!(held, before, "a batch that is held is not written to");
    assert!(allocated < 2 * LEN, "{allocated}");
    // The control: without giving back, every batch is new memory.
    let kept = peak_of(|| drop([build(0, None), build(0, None), build(0, None)]));
    assert!(kept > 2 * LEN, "{kept}");
}

#[test]
fn bombs_stay_within_the_bound() {
    let zeros = vec![0; 32 << 20];
    for codec in Compression::ALL {
        let bomb = forge(codec, 1, &compressed(codec, &zeros));
        let bomb = &bomb[..];
        let peak = peak_of(|| read(bomb));
        assert!(peak <= BOUND, "{codec}: {peak} > {}", BOUND);
    }
}

#[test]
fn sizes_that_only_a_header_claims_cost_nothing() {
    // Snappy: a bare block, and one in a frame, of 4 GiB - 1.
    let bare = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let framed = [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x06"[..], &bare].concat();
    // LZ4: a frame of 4 MiB blocks with a block of 2 GiB - 1; zstd: a frame of 2^60 bytes and
    // one with a window of 1 TiB; gzip: an optional field that has no end.
    let lz4 = b"\x04\x22\x4d\x18\x60\x70\x73\xff\xff\xff\x7f";
    let zstd_content = b"\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\x10\x01\0\0";
    let zstd_window = b"\x28\xb5\x2f\xfd\0\xf0\x01\0\0";
    let gzip = [&b"\x1f\x8b\x08\x08\0\0\0\0\0\0"[..], &[b'n'; 5_000]].concat();
    for (codec, payload) in [
        (Compression::Snappy, &bare[..]),
        (Compression::Snappy, &framed),
        (Compression::Lz4, lz4),
        (Compression::Zstd, zstd_content),
        (Compression::Zstd, zstd_window),
        (Compression::Gzip, &gzip),
    ] {
        let batch = forge(codec, 1, payload);
        assert!(records(&batch, LIMIT).is_err(), "{codec}");
        let peak = peak_of(|| read(&batch));
        assert!(peak <= BOUND, "{codec}: {peak}");
    }
    // And a record count of two billion.
    for codec in Compression::ALL {
        let batch = forge(codec, i32::MAX, &compressed(codec, b"value"));
        let peak = peak_of(|| read(&batch));
        assert!(peak <= BOUND, "{codec}: {peak}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_payload_stays_within_the_bound(
        codec in prop::sample::select(&Compression::ALL[..]),
        count in 1..i32::MAX,
        payload in vec(any::<u8>(), 0..500),
    ) {
        let batch = forge(codec, count, &payload);
        let peak = peak_of(|| read(&batch));
        prop_assert!(peak <= BOUND, "{peak}");
    }

    #[test]
    fn damaged_payloads_stay_within_the_bound(
        codec in prop::sample::select(&Compression::ALL[..]),
        seed in any::<u8>(),
        len in 0..200_000usize,
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let value: Vec<u8> = (0..len).map(|i| seed ^ (i / 100) as u8).collect();
        let mut payload = compressed(codec, &value);
        for (at, byte) in damage {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        let batch = forge(codec, 1, &payload);
        let peak = peak_of(|| read(&batch));
        prop_assert!(peak <= BOUND, "{peak}");
    }
}
