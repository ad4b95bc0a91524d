//! The reading side: one long poll under way per partition, every record looked at.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leveret_client::tokio::FetchPartition;
use leveret_client::{Connection, Offset, OffsetSpec, PartitionId, TopicId};
use leveret_record::{DecompressLimit, batches, records};
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::payload::Stamp;
use crate::recorder::Recorder;
use crate::tally::Tally;
use crate::target::Target;

/// Bytes asked for at a time.
const FETCH_BYTES: u32 = 4 << 20;
/// How long the broker may wait for records, milliseconds.
const LONG_POLL_MS: u32 = 500;

/// What counts as arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// A fetch's round trip, for as many messages as it brought.
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
    topic_id: TopicId,
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
    for partition in (0..u32::from(target.partitions)).map(PartitionId) {
        let from = high_watermark(target, partition).await?;
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
        range.until = Some(high_watermark(target, range.partition).await?);
    }
    Ok(ranges)
}

async fn high_watermark(target: &Target, partition: PartitionId) -> Result<Offset, Failure> {
    let admin = target.client().admin();
    let found = admin
        .list_offsets(target.topic_id, partition, OffsetSpec::Latest)
        .await?;
    Ok(found.offset)
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
    let mut readers = Vec::new();
    for _ in 0..connections {
        readers.push(Rc::new(Reader {
            connection: target.connect().await?,
            topic_id: target.topic_id,
            recorder: Rc::clone(recorder),
            clock,
            tally: Rc::clone(tally),
        }));
    }
    let mut tasks = JoinSet::new();
    for (range, reader) in ranges.into_iter().zip(readers.iter().cycle()) {
        tasks.spawn_local(Rc::clone(reader).read_range(range));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a reading task does not panic")?;
    }
    Ok(())
}

impl Reader {
    async fn read_range(self: Rc<Self>, mut range: Range) -> Result<(), Failure> {
        while range.until.is_none_or(|until| range.from < until) {
            let sent = Instant::now();
            let wanted = [FetchPartition {
                partition: range.partition,
                offset: range.from,
                max_bytes: FETCH_BYTES,
            }];
            let pending = self
                .connection
                .fetch(self.topic_id, &wanted, FETCH_BYTES, 1, LONG_POLL_MS)
                .await?;
            for (partition, payload) in pending.await?.partitions {
                if let Some(code) = partition.error {
                    return Err(Failure::new(
                        format!("reading failed: {code}"),
                        code.remedy(),
                    ));
                }
                self.take(&mut range, sent, payload)?;
            }
        }
        Ok(())
    }

    /// Looks at every record of a fetch's batches and moves the range behind them.
    fn take(&self, range: &mut Range, sent: Instant, payload: Bytes) -> Result<(), Failure> {
        let mut count = 0;
        let damaged = |error| {
            Failure::new(
                format!("a batch is not sound: {error}"),
                "run `leveret verify` on the broker's data",
            )
        };
        let mut tally = self.tally.borrow_mut();
        for batch in batches(&payload) {
            let (header, batch) = batch.map_err(damaged)?;
            // Checks the CRC too.
            for record in records(batch, DecompressLimit::default())
                .map_err(damaged)?
                .iter()
            {
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
