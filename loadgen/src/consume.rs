//! The reading side: subscriptions or long polls for all partitions, every record looked at.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leveret_client::{Offset, PartitionId};
use leveret_record::{MAX_RECORDS_LEN, batches, records};
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::payload::Stamp;
use crate::protocol::{Connection, FetchLimits, Wanted};
use crate::recorder::Recorder;
use crate::tally::Tally;
use crate::target::Target;

/// Bytes at a time, and how long the broker may wait for any.
const FETCH: FetchLimits = FetchLimits {
    bytes: 4 << 20,
    wait_ms: 500,
};

/// What counts as arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// A fetch's round trip, or the wait for a push, for as many messages as it brought.
    RoundTrip,
    /// From each message's intended time until it was read here.
    Intended,
}

/// A partition, and where reading it starts and ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    partition: PartitionId,
    from: Offset,
    /// First offset that is not read; endless if `None`.
    until: Option<Offset>,
}

/// Everything that the tasks of one reading side share.
struct Reader {
    connection: Connection,
    recorder: Rc<Recorder>,
    clock: Clock,
    tally: Rc<RefCell<Tally>>,
}

/// All that comes after what each partition holds now.
///
/// # Errors
/// If the broker does not say.
pub(crate) async fn what_comes(target: &Target) -> Result<Vec<Range>, Failure> {
    let mut ranges = Vec::new();
    for partition in (0..u32::from(target.partitions())).map(PartitionId) {
        let from = target.session.end(partition).await?;
        ranges.push(Range {
            partition,
            from,
            until: None,
        });
    }
    Ok(ranges)
}

/// The same ranges, each ending with what its partition holds now.
///
/// # Errors
/// If the broker does not say.
pub(crate) async fn until_now(
    target: &Target,
    mut ranges: Vec<Range>,
) -> Result<Vec<Range>, Failure> {
    for range in &mut ranges {
        range.until = Some(target.session.end(range.partition).await?);
    }
    Ok(ranges)
}

/// Reads these ranges to their ends, over `connections` connections.
///
/// # Errors
/// The first fetch that failed, or batch that was not whole and sound.
pub(crate) async fn read(
    target: &Target,
    ranges: Vec<Range>,
    connections: u16,
    clock: Clock,
    recorder: &Rc<Recorder>,
    tally: &Rc<RefCell<Tally>>,
) -> Result<(), Failure> {
    let shares = share(ranges, connections.into(), target.feed_partitions());
    let mut readers = Vec::new();
    for number in 0..usize::from(connections) {
        let own = shares.iter().filter(|(_, reader)| *reader == number);
        let partitions = own.flat_map(|(ranges, _)| ranges.iter().map(|range| range.partition));
        readers.push(Rc::new(Reader {
            connection: target.connect(partitions).await?,
            recorder: Rc::clone(recorder),
            clock,
            tally: Rc::clone(tally),
        }));
    }
    let mut tasks = JoinSet::new();
    for (together, reader) in shares {
        tasks.spawn_local(Rc::clone(&readers[reader]).read_ranges(together));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a reading task does not panic")?;
    }
    Ok(())
}

/// Which ranges are read together, at most so many, and by which reader.
fn share(ranges: Vec<Range>, readers: usize, most: usize) -> Vec<(Vec<Range>, usize)> {
    let mut shares = vec![Vec::new(); readers];
    for (range, reader) in ranges.into_iter().zip((0..readers).cycle()) {
        shares[reader].push(range);
    }
    let mut together = Vec::new();
    for (reader, share) in shares.iter().enumerate() {
        together.extend(share.chunks(most).map(|ranges| (ranges.to_vec(), reader)));
    }
    together
}

fn wanted(ranges: &[Range]) -> Vec<Wanted> {
    let wanted = ranges.iter().map(|range| Wanted {
        partition: range.partition,
        from: range.from,
    });
    wanted.collect()
}

impl Range {
    fn is_read(&self) -> bool {
        self.until.is_some_and(|until| self.from >= until)
    }
}

impl Reader {
    async fn read_ranges(self: Rc<Self>, mut ranges: Vec<Range>) -> Result<(), Failure> {
        ranges.retain(|range| !range.is_read());
        if ranges.is_empty() {
            return Ok(());
        }
        let mut feed = self.connection.feed(&wanted(&ranges), FETCH).await?;
        loop {
            ranges.retain(|range| !range.is_read());
            if ranges.is_empty() {
                return Ok(());
            }
            // Brokers serve them in this order until a fetch is full: each is the first in turn.
            ranges.rotate_left(1);
            let sent = Instant::now();
            for (partition, batches) in feed.next(|| wanted(&ranges)).await? {
                // What nobody asked for is not looked at.
                if let Some(range) = ranges.iter_mut().find(|r| r.partition == partition) {
                    self.take(range, sent, batches)?;
                }
            }
        }
    }

    /// Looks at every record of the batches and moves the range behind them.
    fn take(&self, range: &mut Range, sent: Instant, payload: Bytes) -> Result<(), Failure> {
        let mut count = 0;
        let damaged = |error| {
            Failure::new(
                format!("a batch that was read is damaged: {error}"),
                "stop the broker and run `leveret verify` on its data directory",
            )
        };
        let mut tally = self.tally.borrow_mut();
        for batch in batches(&payload) {
            let (header, batch) = batch.map_err(damaged)?;
            // Checks the CRC too.
            for record in records(batch, MAX_RECORDS_LEN).map_err(damaged)?.iter() {
                let record = record.map_err(damaged)?;
                let offset = Offset(u64::try_from(record.offset).unwrap_or(0));
                if offset < range.from || range.until.is_some_and(|until| offset >= until) {
                    continue;
                }
                count += 1;
                let Some(stamp) = record.value.and_then(Stamp::read) else {
                    continue;
                };
                tally.read(stamp);
                if self.clock == Clock::Intended {
                    let intended = self.recorder.start + Duration::from_nanos(stamp.intended_nanos);
                    self.recorder.arrived(intended, 1);
                }
            }
            let next = u64::try_from(header.next_offset()).unwrap_or(0);
            range.from = range.from.max(Offset(next));
        }
        if self.clock == Clock::RoundTrip && count > 0 {
            self.recorder.arrived(sent, count);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_has_a_reader_with_as_many_as_may_be() {
        let ranges = |count| {
            (0..count)
                .map(|number| Range {
                    partition: PartitionId(number),
                    from: Offset(0),
                    until: None,
                })
                .collect::<Vec<_>>()
        };
        let numbers = |(together, reader): &(Vec<Range>, usize)| {
            let numbers: Vec<_> = together.iter().map(|r| r.partition.0).collect();
            (numbers, *reader)
        };
        let all: Vec<_> = share(ranges(3), 2, 512).iter().map(numbers).collect();
        assert_eq!(all, [(vec![0, 2], 0), (vec![1], 1)]);
        let few: Vec<_> = share(ranges(5), 2, 2).iter().map(numbers).collect();
        assert_eq!(few, [(vec![0, 2], 0), (vec![4], 0), (vec![1, 3], 1)]);
        assert_eq!(share(ranges(1), 4, usize::MAX).len(), 1);
    }
}
