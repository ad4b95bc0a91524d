//! `leveret consume`: records of a topic on standard output.
//!
//! Where to start and, with `--until-end`, where to stop is asked once, before reading; so a
//! wrong offset is told before anything is printed. Whoever follows a whole topic also reads the
//! partitions that it gets meanwhile, from their beginning.

mod base64;
mod print;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::{self, BufWriter, Write};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use leveret_client::tokio::TopicMetadata;
use leveret_client::{
    Admin, Client, ConsumedBatch, Consumer, ConsumerOptions, Offset, OffsetSpec, OutOfRange,
    PartitionId,
};

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use self::print::Printer;
use super::args::ConsumeArgs;
use super::failure::Failure;
use super::output::counted;
use super::remote::{about_topic, connect_with, options, tell_trouble};
use super::start::StartAt;

/// How long a broker may be away while it is followed.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a topic that is followed is asked whether it has grown.
const GROWTH_CHECK: Duration = Duration::from_secs(10);

/// What is left to read.
struct Reading {
    topic: String,
    metadata: TopicMetadata,
    /// The whole topic is followed: partitions that it gets belong to it.
    grows: bool,
    /// Partitions with the offset at which each is done; `None` follows.
    open: BTreeMap<PartitionId, Option<Offset>>,
    /// Records that may still be printed.
    left: Option<u64>,
    printed: u64,
}

pub(super) async fn run(args: ConsumeArgs) -> Result<(), Failure> {
    let mut options = options(&args.server);
    if !args.until_end {
        options.retry_timeout = PATIENCE;
    }
    let client = connect_with(options).await?;
    let (mut consumer, mut reading) = prepare(&client, &args).await?;
    let mut printer = Printer::new(BufWriter::with_capacity(64 * 1024, io::stdout()), args.json);
    tokio::select! {
        outcome = read(&client, &mut consumer, &mut reading, &mut printer) => outcome?,
        () = tell_trouble(&client) => unreachable!("it has no end"),
        _ = tokio::signal::ctrl_c() => {}
    }
    printer.flush()?;
    eprintln!(
        "read {} of {}",
        counted(reading.printed, "record"),
        reading.topic
    );
    Ok(())
}

/// Looks up starts and ends, and assigns what there is to read.
async fn prepare(client: &Client, args: &ConsumeArgs) -> Result<(Consumer, Reading), Failure> {
    let admin = client.admin();
    let found = admin.metadata(&args.topic).await;
    let metadata = found.map_err(|error| about_topic(&args.topic, &error))?;
    let mut consumer = client.consumer(ConsumerOptions {
        // Retention may remove what was the beginning a moment ago.
        out_of_range: if args.from == StartAt::Beginning {
            OutOfRange::Earliest
        } else {
            OutOfRange::Fail
        },
        ..ConsumerOptions::default()
    });
    let chosen = chosen(args, &metadata)?;
    let mut reading = Reading {
        topic: args.topic.clone(),
        metadata: metadata.clone(),
        grows: args.partition.is_none() && !args.until_end,
        open: BTreeMap::new(),
        left: args.count,
        printed: 0,
    };
    for partition in chosen {
        let end = offset(&admin, &metadata, partition, OffsetSpec::Latest).await?;
        let start = start(&admin, &metadata, partition, args.from, end).await?;
        if args.until_end && start >= end {
            continue;
        }
        consumer
            .assign(
                &args.topic,
                &[partition],
                leveret_client::StartAt::Offset(start),
            )
            .await?;
        reading
            .open
            .insert(partition, args.until_end.then_some(end));
    }
    Ok((consumer, reading))
}

/// The partitions to read.
fn chosen(args: &ConsumeArgs, metadata: &TopicMetadata) -> Result<Vec<PartitionId>, Failure> {
    let last = metadata.partitions.saturating_sub(1);
    match args.partition {
        Some(number) if number > last => Err(Failure::new(
            format!("topic `{}` has no partition {number}", args.topic),
            format!("its partitions are 0 to {last}"),
        )),
        Some(number) => Ok(vec![PartitionId(number)]),
        None if last > 0 && matches!(args.from, StartAt::Offset(_)) => Err(Failure::new(
            "an offset belongs to one partition, and the topic has several",
            format!("name one with --partition, 0 to {last}"),
        )),
        None => Ok((0..=last).map(PartitionId).collect()),
    }
}

async fn start(
    admin: &Admin,
    metadata: &TopicMetadata,
    partition: PartitionId,
    from: StartAt,
    end: Offset,
) -> Result<Offset, Failure> {
    match from {
        StartAt::Beginning => offset(admin, metadata, partition, OffsetSpec::Earliest).await,
        StartAt::End => Ok(end),
        StartAt::Time(millis) => {
            offset(admin, metadata, partition, OffsetSpec::Timestamp(millis)).await
        }
        StartAt::Offset(wanted) => {
            let first = offset(admin, metadata, partition, OffsetSpec::Earliest).await?;
            if (first.0..=end.0).contains(&wanted) {
                return Ok(Offset(wanted));
            }
            let remedy = if first == end {
                format!("it is empty, and its next record gets the offset {end}")
            } else {
                format!("its records have the offsets {first} to {}", end.0 - 1)
            };
            Err(Failure::new(
                format!("partition {partition} has no offset {wanted}"),
                remedy,
            ))
        }
    }
}

async fn offset(
    admin: &Admin,
    metadata: &TopicMetadata,
    partition: PartitionId,
    spec: OffsetSpec,
) -> Result<Offset, Failure> {
    Ok(admin
        .list_offsets(metadata.topic_id, partition, spec)
        .await?
        .offset)
}

async fn read(
    client: &Client,
    consumer: &mut Consumer,
    reading: &mut Reading,
    printer: &mut Printer<impl Write>,
) -> Result<(), Failure> {
    let mut growth = interval_at(Instant::now() + GROWTH_CHECK, GROWTH_CHECK);
    growth.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !reading.is_done() {
        let batch = tokio::select! {
            batch = next_batch(consumer, printer) => batch?,
            _ = growth.tick(), if reading.grows => {
                read_new_partitions(client, consumer, reading).await?;
                continue;
            }
        };
        let partition = batch.partition;
        reading.print(&batch, printer)?;
        if reading.has_finished(&batch) {
            reading.open.remove(&partition);
            consumer.unassign(&reading.topic, partition)?;
        }
    }
    Ok(())
}

/// Goes on with what the topic has got since it was looked at. That it cannot be looked at now, or
/// was created again, is for the reading itself to meet.
async fn read_new_partitions(
    client: &Client,
    consumer: &mut Consumer,
    reading: &mut Reading,
) -> Result<(), Failure> {
    let Ok(found) = client.admin().metadata(&reading.topic).await else {
        return Ok(());
    };
    let before = reading.metadata.partitions;
    if found.topic_id != reading.metadata.topic_id || found.partitions <= before {
        return Ok(());
    }
    let new: Vec<_> = (before..found.partitions).map(PartitionId).collect();
    let beginning = leveret_client::StartAt::Beginning;
    consumer.assign(&reading.topic, &new, beginning).await?;
    reading
        .open
        .extend(new.iter().map(|number| (*number, None)));
    reading.metadata = found;
    Ok(())
}

/// The next batch. Nothing is held back while waiting for it.
async fn next_batch(
    consumer: &mut Consumer,
    printer: &mut Printer<impl Write>,
) -> Result<ConsumedBatch, Failure> {
    let mut next = pin!(consumer.next_batch());
    let now = poll_fn(|context| {
        Poll::Ready(match next.as_mut().poll(context) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        })
    });
    if let Some(outcome) = now.await {
        return Ok(outcome?);
    }
    printer.flush()?;
    Ok(next.await?)
}

impl Reading {
    fn is_done(&self) -> bool {
        self.open.is_empty() || self.left == Some(0)
    }

    /// Prints the records of the batch that were asked for.
    fn print(
        &mut self,
        batch: &ConsumedBatch,
        printer: &mut Printer<impl Write>,
    ) -> Result<(), Failure> {
        let until = self.open.get(&batch.partition).copied().flatten();
        for record in batch.records.iter() {
            let record = record.map_err(|error| {
                Failure::new(
                    format!(
                        "partition {}: a record cannot be read: {error}",
                        batch.partition
                    ),
                    "run `leveret verify` on the broker's data directory",
                )
            })?;
            let at = Offset(u64::try_from(record.offset).unwrap_or(0));
            if at < batch.from || until.is_some_and(|until| at >= until) {
                continue;
            }
            if self.left == Some(0) {
                return Ok(());
            }
            printer.print(batch.partition.0, &record)?;
            self.left = self.left.map(|left| left - 1);
            self.printed += 1;
        }
        Ok(())
    }

    /// Whether the batch was the last that its partition has to give.
    fn has_finished(&self, batch: &ConsumedBatch) -> bool {
        let next = u64::try_from(batch.records.header().next_offset()).unwrap_or(u64::MAX);
        let until = self.open.get(&batch.partition).copied().flatten();
        until.is_some_and(|until| next >= until.0)
    }
}
