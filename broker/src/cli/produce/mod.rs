//! `leveret produce`: lines of standard input become records, exactly once and in order.
//!
//! Three parts in step: a thread reads lines, this loop hands them to the client's idempotent
//! producer, and [`acks`] takes the acknowledgements in the order of the input. Each waits when
//! the next one is behind, so that memory stays bounded however long the input is.

mod acks;
mod lines;
mod progress;

use std::cell::{Cell, OnceCell};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use bytes::Bytes;
use leveret_client::{Client, ErrorCode, NewTopic, Producer, ProducerOptions, ProducerRecord};
use tokio::sync::mpsc;

use self::acks::Sent;
use super::args::ProduceArgs;
use super::failure::Failure;
use super::output::counted;
use super::remote::{about_topic, options, patiently};

/// Records that may be without acknowledgement; their bytes are bounded by the producer's buffer.
const UNACKNOWLEDGED: usize = 1 << 18;

/// How far the command has come.
struct Tally {
    begin: Instant,
    sent: Cell<u64>,
    acknowledged: Cell<u64>,
    /// Once there is one: it knows what keeps records waiting.
    producer: OnceCell<Producer>,
}

pub(super) async fn run(args: ProduceArgs) -> Result<(), Failure> {
    let typed = io::stdin().is_terminal();
    let tally = Tally {
        begin: Instant::now(),
        sent: Cell::new(0),
        acknowledged: Cell::new(0),
        producer: OnceCell::new(),
    };
    let work = async {
        let client = reach(&args).await?;
        if typed {
            eprintln!("type records, one per line; Ctrl-D ends");
        }
        let (queue, deliveries) = mpsc::channel(UNACKNOWLEDGED);
        let sending = send_lines(&args, &client, typed, queue, &tally);
        let taking = acks::take(deliveries, args.json, &tally);
        tokio::try_join!(sending, taking).map(drop)
    };
    tokio::select! {
        outcome = work => outcome?,
        () = progress::report(&tally, typed) => unreachable!("progress has no end"),
        _ = tokio::signal::ctrl_c() => return Err(interrupted(&tally)),
    }
    let acknowledged = tally.acknowledged.get();
    let seconds = tally.begin.elapsed().as_secs_f64();
    eprintln!(
        "appended {} to {} in {seconds:.2} s",
        counted(acknowledged, "record"),
        args.topic
    );
    Ok(())
}

fn interrupted(tally: &Tally) -> Failure {
    let acknowledged = tally.acknowledged.get();
    let open = tally.sent.get() - acknowledged;
    Failure::Interrupted(format!(
        "interrupted; {} acknowledged, {open} sent without an acknowledgement",
        counted(acknowledged, "record")
    ))
}

/// Connects, waiting for a broker that is not there yet, and creates the topic if that was asked
/// for.
async fn reach(args: &ProduceArgs) -> Result<Client, Failure> {
    let mut options = options(&args.server);
    options.retry_timeout = args.timeout;
    let client = Client::lazy(options);
    let begin = Instant::now();
    let mut told = false;
    loop {
        let address = &client.options().address;
        let error = match patiently(address, create_if_missing(&client, args)).await {
            Ok(()) => return Ok(client),
            Err(error) if error.is_retriable() && begin.elapsed() < args.timeout => error,
            Err(error) => return Err(about_topic(&args.topic, &error)),
        };
        if !told {
            let seconds = args.timeout.as_secs();
            eprintln!(
                "{error}; trying again for up to {seconds} s ({})",
                error.remedy()
            );
            told = true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn create_if_missing(client: &Client, args: &ProduceArgs) -> leveret_client::Result<()> {
    let Some(partitions) = args.partitions else {
        return client.connection().await.map(drop);
    };
    match client
        .admin()
        .create_topic(&NewTopic::new(&args.topic, partitions))
        .await
    {
        Err(error) if error.code() == Some(ErrorCode::TopicExists) => Ok(()),
        outcome => outcome.map(drop),
    }
}

async fn send_lines(
    args: &ProduceArgs,
    client: &Client,
    typed: bool,
    queue: mpsc::Sender<Sent>,
    tally: &Tally,
) -> Result<(), Failure> {
    let mut settings = ProducerOptions {
        delivery_timeout: args.timeout,
        buffer_bytes: usize::try_from(args.buffer).unwrap_or(usize::MAX),
        ..ProducerOptions::default()
    };
    if typed {
        // A person who types sees each line acknowledged; to wait for the next would win nothing.
        settings.linger = Duration::ZERO;
    }
    let producer = tally.producer.get_or_init(|| client.producer(settings));
    let separator = args.key_separator.as_ref().map(|text| text.as_bytes());
    let mut chunks = lines::read_in_background(io::stdin());
    let mut number = 0;
    while let Some(chunk) = chunks.recv().await {
        let lines = chunk.map_err(|error| {
            Failure::new(
                format!("cannot read standard input: {error}"),
                format!("{number} lines were read before"),
            )
        })?;
        for line in lines {
            number += 1;
            let sent = send_line(args, producer, separator, line, number).await?;
            tally.sent.set(number);
            if queue.send(sent).await.is_err() {
                // Acknowledgements have failed, and say so themselves.
                return Ok(());
            }
        }
    }
    // Dropping the queue lets the acknowledgements end; the producer must outlive them.
    drop(queue);
    // Each failure is told with its line by whoever takes the acknowledgements.
    let _ = producer.flush().await;
    Ok(())
}

async fn send_line(
    args: &ProduceArgs,
    producer: &Producer,
    separator: Option<&[u8]>,
    line: Bytes,
    number: u64,
) -> Result<Sent, Failure> {
    let (key, value) = divide(line, separator);
    let record = ProducerRecord {
        key,
        value: Some(value),
        ..ProducerRecord::default()
    };
    match producer.send(&args.topic, record).await {
        Ok(delivery) => Ok(Sent {
            line: number,
            delivery,
        }),
        Err(error) if error.code() == Some(ErrorCode::UnknownTopic) => Err(Failure::new(
            format!("there is no topic `{}`", args.topic),
            "add --partitions N to create it",
        )),
        Err(error) => Err(Failure::new(
            format!("line {number}: {error}"),
            error.remedy(),
        )),
    }
}

/// Key and value of a line. Without a separator, or where it does not occur, there is no key.
fn divide(line: Bytes, separator: Option<&[u8]>) -> (Option<Bytes>, Bytes) {
    let at = separator.filter(|s| !s.is_empty()).and_then(|s| {
        let place = line.windows(s.len()).position(|window| window == s)?;
        Some((place, place + s.len()))
    });
    match at {
        Some((begin, end)) => (Some(line.slice(..begin)), line.slice(end..)),
        None => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_divides() {
        let line = Bytes::from_static(b"user::7::x");
        let divided = divide(line.clone(), Some(b"::"));
        assert_eq!(divided, (Some("user".into()), "7::x".into()));
        assert_eq!(divide(line.clone(), Some(b"|")), (None, line.clone()));
        assert_eq!(divide(line.clone(), None), (None, line));
        assert_eq!(divide(":".into(), Some(b":")), (Some("".into()), "".into()));
        assert_eq!(divide("".into(), Some(b":")), (None, "".into()));
    }
}
