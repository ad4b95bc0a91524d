//! Waiting for whichever comes first.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::rt::{Instant, sleep, sleep_until};

/// Which of two came first, and with what.
pub(super) enum Either<A, B> {
    First(A),
    Second(B),
}

/// Waits for one of two futures and drops the other; the first, if both are there.
pub(super) async fn race<A: Future, B: Future>(a: A, b: B) -> Either<A::Output, B::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|cx| {
        if let Poll::Ready(output) = a.as_mut().poll(cx) {
            return Poll::Ready(Either::First(output));
        }
        b.as_mut().poll(cx).map(Either::Second)
    })
    .await
}

/// The time was over first.
pub(super) struct Elapsed;

/// Waits for a future for that long.
pub(super) async fn timeout<F: Future>(after: Duration, future: F) -> Result<F::Output, Elapsed> {
    match race(future, sleep(after)).await {
        Either::First(output) => Ok(output),
        Either::Second(()) => Err(Elapsed),
    }
}

/// Waits until then, or for ever.
pub(super) async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
