//! The producers of a partition as bytes.
//!
//! Sealed (see `codec`) with kind 2, version 1; the body, little-endian:
//!
//! ```text
//! count u32, then per producer, from the longest silent on:
//!   producer id   i64
//!   epoch         i16
//!   last ordinal  u64   entry of its last batch; grows from producer to producer
//!   last time     i64   when that entry was decided, milliseconds
//!   batches       u8    1 to 5, oldest first, each:
//!     first sequence i32
//!     last sequence  i32
//!     base offset    u64
//!     timestamp      i64   largest of the batch, milliseconds
//! ```

use bytes::Bytes;
use leveret_storage::types::{Offset, Ordinal, WallMs};

use super::WINDOW;
use super::producers::{Appended, Producer, Producers, Window};
use crate::codec::{DecodeError, Reader, Writer};

/// Kind number of a sealed producer snapshot.
const KIND: u16 = 2;
const VERSION: u16 = 1;
const PRODUCER_LEN: usize = 27;
const BATCH_LEN: usize = 24;

pub(super) fn encode(producers: &Producers) -> Bytes {
    let capacity = 4 + producers.len() * (PRODUCER_LEN + WINDOW * BATCH_LEN);
    let mut writer = Writer::new(KIND, VERSION, capacity);
    writer.count(producers.len());
    for (id, producer) in producers.iter() {
        writer.i64(id);
        writer.i16(producer.epoch);
        writer.u64(producer.last_ordinal.0);
        writer.i64(producer.last_time.0);
        let batches = producer.window.as_slice();
        writer.u8(u8::try_from(batches.len()).expect("a window is short"));
        for batch in batches {
            writer.i32(batch.first_sequence);
            writer.i32(batch.last_sequence);
            writer.u64(batch.base_offset.0);
            writer.i64(batch.timestamp);
        }
    }
    writer.seal()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Producers, DecodeError> {
    let (_, mut reader) = Reader::open_as(bytes, KIND, VERSION..=VERSION)?;
    let mut producers = Producers::default();
    for _ in 0..reader.count(PRODUCER_LEN + BATCH_LEN, "producers")? {
        let id = reader.i64("producer id")?;
        if id < 0 || producers.contains(id) {
            return Err(DecodeError::Invalid("producer id"));
        }
        let epoch = reader.i16("epoch")?;
        let last_ordinal = Ordinal(reader.u64("last ordinal")?);
        if producers
            .newest_ordinal()
            .is_some_and(|newest| newest >= last_ordinal)
        {
            return Err(DecodeError::Invalid("last ordinal"));
        }
        let last_time = WallMs(reader.i64("last time")?);
        let window = decode_window(&mut reader)?;
        producers.insert(
            id,
            Producer {
                epoch,
                last_ordinal,
                last_time,
                window,
            },
        );
    }
    reader.end()?;
    Ok(producers)
}

fn decode_window(reader: &mut Reader<'_>) -> Result<Window, DecodeError> {
    let count = usize::from(reader.u8("batches")?);
    if !(1..=WINDOW).contains(&count) {
        return Err(DecodeError::Invalid("batches"));
    }
    let mut window = Window::of(decode_batch(reader)?);
    for _ in 1..count {
        window.push(decode_batch(reader)?);
    }
    Ok(window)
}

fn decode_batch(reader: &mut Reader<'_>) -> Result<Appended, DecodeError> {
    let batch = Appended {
        first_sequence: reader.i32("first sequence")?,
        last_sequence: reader.i32("last sequence")?,
        base_offset: Offset(reader.u64("base offset")?),
        timestamp: reader.i64("timestamp")?,
    };
    if batch.first_sequence < 0 || batch.last_sequence < 0 {
        return Err(DecodeError::Invalid("sequence"));
    }
    // The offset after the batch has to exist as well.
    if i64::try_from(batch.base_offset.0).is_err() {
        return Err(DecodeError::Invalid("base offset"));
    }
    Ok(batch)
}
