//! Which messages were read, and what is wrong with them.

use serde::Serialize;

use crate::payload::Stamp;

/// What a run lost, repeated or mixed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    /// Acknowledged and never read.
    pub(crate) lost: u64,
    /// Read again.
    pub(crate) duplicated: u64,
    /// Read after a later message of its stream.
    pub(crate) out_of_order: u64,
}

/// Ticks off messages as they are read: one bit for each.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    streams: Vec<Stream>,
    faults: Faults,
    distinct: u64,
}

#[derive(Debug, Default)]
struct Stream {
    seen: Vec<u64>,
    /// One more than the highest number read.
    next: u64,
}

/// Numbers beyond the highest one read so far that are believed. Streams are dense, so a larger
/// leap is no message of ours, and must not make the bitmap huge.
const LEAP: u64 = 1 << 32;

impl Tally {
    /// Ticks off one message.
    pub(crate) fn read(&mut self, stamp: Stamp) {
        let index = usize::from(stamp.stream.0);
        if index >= self.streams.len() {
            self.streams.resize_with(index + 1, Stream::default);
        }
        let stream = &mut self.streams[index];
        if stamp.number >= stream.next + LEAP {
            self.faults.out_of_order += 1;
            return;
        }
        let (word, bit) = ((stamp.number / 64) as usize, 1 << (stamp.number % 64));
        if word >= stream.seen.len() {
            stream.seen.resize(word + 1, 0);
        }
        if stream.seen[word] & bit != 0 {
            self.faults.duplicated += 1;
            return;
        }
        stream.seen[word] |= bit;
        self.distinct += 1;
        if stamp.number < stream.next {
            self.faults.out_of_order += 1;
        } else {
            stream.next = stamp.number + 1;
        }
    }

    /// Different messages read so far.
    pub(crate) fn distinct(&self) -> u64 {
        self.distinct
    }

    /// The faults, if `acknowledged` holds for each stream how many of its messages were: the
    /// first so many, for streams are sent in order.
    pub(crate) fn faults(&self, acknowledged: &[u64]) -> Faults {
        let missing = |(index, count): (usize, &u64)| {
            let seen = self
                .streams
                .get(index)
                .map_or(&[][..], |stream| &stream.seen);
            count - ones_below(seen, *count)
        };
        let lost = acknowledged.iter().enumerate().map(missing).sum();
        Faults {
            lost,
            ..self.faults
        }
    }
}

/// Set bits among the first `count`.
fn ones_below(words: &[u64], count: u64) -> u64 {
    let whole = (count / 64) as usize;
    let full: u64 = words
        .iter()
        .take(whole)
        .map(|word| u64::from(word.count_ones()))
        .sum();
    let mask = (1 << (count % 64)) - 1;
    full + words
        .get(whole)
        .map_or(0, |word| u64::from((word & mask).count_ones()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::StreamId;

    fn read(tally: &mut Tally, stream: u16, number: u64) {
        tally.read(Stamp {
            stream: StreamId(stream),
            number,
            intended_nanos: 0,
        });
    }

    #[test]
    fn a_whole_stream_has_no_faults() {
        let mut tally = Tally::default();
        (0..200).for_each(|n| read(&mut tally, 3, n));
        assert_eq!(tally.faults(&[0, 0, 0, 200]), Faults::default());
        assert_eq!(tally.distinct(), 200);
    }

    #[test]
    fn each_fault_is_counted() {
        let mut tally = Tally::default();
        for number in [0, 1, 3, 2, 2, 70] {
            read(&mut tally, 0, number);
        }
        let faults = tally.faults(&[72, 5]);
        assert_eq!(
            faults,
            Faults {
                lost: 67 + 5,
                duplicated: 1,
                out_of_order: 1
            }
        );
    }

    #[test]
    fn a_foreign_number_does_not_make_the_bitmap_huge() {
        let mut tally = Tally::default();
        read(&mut tally, 0, (1 << 48) - 1);
        assert_eq!(tally.faults(&[0]).out_of_order, 1);
    }
}
