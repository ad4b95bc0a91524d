//! Messages that are unique, cannot be compressed, and say who sent them, as which, and when.
//!
//! ```text
//! @0   stream and number  u64 LE   stream in the upper 16 bits, number from 0 below
//! @8   intended time      u64 LE   nanoseconds since the start of the run
//! @16  noise                       fresh for every message
//! ```

use std::collections::VecDeque;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use leveret_record::{BatchBuilder, Compression};

use crate::failure::Failure;

/// Bytes of a message before the noise.
const STAMP_LEN: usize = 16;
/// Bits of the number within its stream.
const NUMBER_BITS: u32 = 48;

/// One sequence of messages: one connection's to one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamId(pub(crate) u16);

/// What a message says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) stream: StreamId,
    /// Dense within the stream, from 0.
    pub(crate) number: u64,
    /// Nanoseconds since the start of the run.
    pub(crate) intended_nanos: u64,
}

impl Stamp {
    /// Reads it from a message; `None` if that is too short.
    pub(crate) fn read(message: &[u8]) -> Option<Self> {
        let (first, rest) = message.split_first_chunk()?;
        let word = u64::from_le_bytes(*first);
        Some(Self {
            stream: StreamId((word >> NUMBER_BITS) as u16),
            number: word & ((1 << NUMBER_BITS) - 1),
            intended_nanos: u64::from_le_bytes(*rest.first_chunk()?),
        })
    }

    fn write(self, message: &mut [u8]) {
        assert!(
            self.number < 1 << NUMBER_BITS,
            "no run has that many messages"
        );
        let word = u64::from(self.stream.0) << NUMBER_BITS | self.number;
        message[..8].copy_from_slice(&word.to_le_bytes());
        message[8..STAMP_LEN].copy_from_slice(&self.intended_nanos.to_le_bytes());
    }
}

/// Batches whose memory is kept in mind, to be used again when they are acknowledged.
const REMEMBERED: usize = 256;

/// Makes batches; one per connection, so that its buffers are reused.
pub(crate) struct BatchMaker {
    builder: BatchBuilder,
    /// The last batches, oldest first: the load is to cost no page faults.
    made: VecDeque<Bytes>,
    message: Vec<u8>,
    noise: Noise,
    start: Instant,
}

impl BatchMaker {
    /// For messages of `size` bytes, with times since `start`.
    pub(crate) fn new(size: usize, seed: u64, start: Instant) -> Self {
        let builder = BatchBuilder::new(Compression::None);
        Self {
            builder,
            made: VecDeque::new(),
            message: vec![0; size],
            noise: Noise::new(seed),
            start,
        }
    }

    /// The messages from `first` on of a stream, all meant to be sent at `intended`.
    ///
    /// # Errors
    /// If that many of that size do not fit one batch at all.
    pub(crate) fn make(
        &mut self,
        stream: StreamId,
        first: u64,
        count: u32,
        intended: Instant,
    ) -> Result<Bytes, Failure> {
        let since = intended.saturating_duration_since(self.start);
        let intended_nanos =
            u64::try_from(since.as_nanos()).expect("a run is shorter than 584 years");
        let epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let timestamp = i64::try_from(epoch).expect("the clock is not 292 million years ahead");
        if self.made.front().is_some_and(Bytes::is_unique) || self.made.len() == REMEMBERED {
            let batch = self.made.pop_front();
            self.builder.reuse(batch.expect("it was looked at"));
        }
        for number in first..first + u64::from(count) {
            self.noise.fill(&mut self.message[STAMP_LEN..]);
            Stamp {
                stream,
                number,
                intended_nanos,
            }
            .write(&mut self.message);
            self.builder
                .push(timestamp, None, Some(&self.message), &[])
                .map_err(|error| {
                    Failure::new(
                        format!("a batch of this size cannot be built: {error}"),
                        "lower --batch or --size",
                    )
                })?;
        }
        let batch = self.builder.finish();
        self.made.push_back(batch.clone());
        Ok(batch)
    }
}

/// Four xorshift generators side by side, which the compiler can keep in vector registers.
struct Noise {
    lanes: [u64; 4],
}

impl Noise {
    fn new(seed: u64) -> Self {
        let lane = |n: u64| (seed.wrapping_add(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self {
            lanes: [lane(1), lane(2), lane(3), lane(4)],
        }
    }

    fn next(&mut self) -> [u8; 32] {
        self.lanes = self.lanes.map(|mut lane| {
            lane ^= lane << 13;
            lane ^= lane >> 7;
            lane ^ lane << 17
        });
        let mut out = [0; 32];
        let [a, b, c, d] = self.lanes.map(u64::to_le_bytes);
        out[..8].copy_from_slice(&a);
        out[8..16].copy_from_slice(&b);
        out[16..24].copy_from_slice(&c);
        out[24..].copy_from_slice(&d);
        out
    }

    fn fill(&mut self, out: &mut [u8]) {
        let (blocks, tail) = out.as_chunks_mut::<32>();
        for block in blocks {
            *block = self.next();
        }
        if !tail.is_empty() {
            let last = self.next();
            tail.copy_from_slice(&last[..tail.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leveret_record::{MAX_RECORDS_LEN, records};

    use super::*;

    #[test]
    fn a_batch_says_what_went_in_and_no_two_messages_are_alike() {
        let start = Instant::now();
        let mut maker = BatchMaker::new(100, 1, start);
        let intended = start + Duration::from_nanos(77);
        let batch = maker
            .make(StreamId(9), 1 << 40, 50, intended)
            .expect("fits");
        let set = records(&batch, MAX_RECORDS_LEN).expect("valid");
        let mut noises = std::collections::BTreeSet::new();
        for (number, record) in (1 << 40..).zip(set.iter()) {
            let value = record.expect("valid").value.expect("present");
            let expected = Stamp {
                stream: StreamId(9),
                number,
                intended_nanos: 77,
            };
            assert_eq!(Stamp::read(value), Some(expected));
            assert_eq!(value.len(), 100);
            assert!(noises.insert(value[16..].to_vec()));
        }
        assert_eq!(noises.len(), 50);
        assert_eq!(Stamp::read(&[0; 15]), None);
    }
}
