//! Passes through the reactor, for tasks that could otherwise go on for long.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use ::glommio::timer::Timer;

/// Remembers that a task has done enough to let the reactor look first.
#[derive(Debug)]
pub(super) struct Pace {
    owed: Cell<bool>,
}

impl Pace {
    /// Nothing is owed yet.
    pub(super) fn new() -> Self {
        Self {
            owed: Cell::new(false),
        }
    }

    /// The next [`pay`](Self::pay) lets the reactor look.
    pub(super) fn owe(&self) {
        self.owed.set(true);
    }

    /// Others have had their turn meanwhile.
    pub(super) fn forgive(&self) {
        self.owed.set(false);
    }

    /// Lets the reactor and other tasks have their turn, if it is owed.
    pub(super) async fn pay(&self) {
        if self.owed.replace(false) {
            pass_through_reactor().await;
        }
    }
}

/// Waits for a timer that is over by the time when the reactor looks: as long as a task merely
/// yields it can run, and the reactor looks only when none can.
async fn pass_through_reactor() {
    const SOON: Duration = Duration::from_nanos(500);
    let mut timer: Option<Timer> = None;
    poll_fn(|cx| {
        if timer.is_some() {
            return Poll::Ready(());
        }
        let mut armed = Timer::new(SOON);
        let over = Instant::now() + SOON;
        if Pin::new(&mut armed).poll(cx).is_pending() {
            while Instant::now() < over {
                std::hint::spin_loop();
            }
            timer = Some(armed);
            return Poll::Pending;
        }
        // The thread was held up meanwhile, by more than a pass costs.
        Poll::Ready(())
    })
    .await;
}
