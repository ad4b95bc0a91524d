//! Acknowledgements in the order of the input, printed as they come.

use std::future::poll_fn;
use std::io::{self, BufWriter, Write};
use std::pin::Pin;
use std::task::Poll;

use leveret_client::{Ack, Delivery};
use tokio::sync::mpsc;

use super::Tally;
use crate::cli::failure::Failure;

/// A line that is on its way.
pub(super) struct Sent {
    /// Its number in the input, from 1.
    pub(super) line: u64,
    pub(super) delivery: Delivery,
}

/// Takes the outcome of every line until the queue ends.
///
/// # Errors
/// The first line that was not acknowledged.
pub(super) async fn take(
    mut queue: mpsc::Receiver<Sent>,
    json: bool,
    tally: &Tally,
) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout());
    while let Some(Sent { line, mut delivery }) = next(&mut queue, &mut out).await? {
        let outcome = match ready(&mut delivery).await {
            Some(outcome) => outcome,
            None => {
                flush(&mut out)?;
                delivery.await
            }
        };
        let ack = outcome.map_err(|error| {
            let known = tally.acknowledged.get();
            let what =
                format!("line {line} was not acknowledged ({known} lines before it were): {error}");
            Failure::new(what, error.remedy())
        })?;
        tally.acknowledged.set(line);
        if json {
            print(&mut out, ack)?;
        }
    }
    flush(&mut out)
}

/// The next line that was sent. Nothing is held back while waiting for it.
async fn next(
    queue: &mut mpsc::Receiver<Sent>,
    out: &mut impl Write,
) -> Result<Option<Sent>, Failure> {
    if let Ok(sent) = queue.try_recv() {
        return Ok(Some(sent));
    }
    flush(out)?;
    Ok(queue.recv().await)
}

/// The outcome, if it is there already.
async fn ready(delivery: &mut Delivery) -> Option<leveret_client::Result<Ack>> {
    poll_fn(|context| {
        Poll::Ready(match Pin::new(&mut *delivery).poll(context) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        })
    })
    .await
}

fn print(out: &mut impl Write, ack: Ack) -> Result<(), Failure> {
    writeln!(
        out,
        "{{\"partition\":{},\"offset\":{}}}",
        ack.partition, ack.offset
    )
    .map_err(|error| Failure::output(&error))
}

fn flush(out: &mut impl Write) -> Result<(), Failure> {
    out.flush().map_err(|error| Failure::output(&error))
}
