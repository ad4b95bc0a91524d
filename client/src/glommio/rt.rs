//! What the driver needs of its runtime, from glommio and, where that has none that will do,
//! from here.

use std::cell::{RefCell, RefMut};
use std::future::Future;
use std::time::Duration;

use ::glommio::timer::Timer;

pub(super) use super::pace::Pace;
pub(super) use super::socket::{COPY_LEN, Reader, Writer, connect};
pub(super) use super::sync::{Mutex, Notify, mpsc, oneshot};
/// A pointer that several tasks hold.
pub(super) use std::rc::Rc as Ptr;
pub(super) use std::time::Instant;

/// What several tasks change, each for a moment; never held while one waits.
#[derive(Debug, Default)]
pub(super) struct Lock<T>(RefCell<T>);

impl<T> Lock<T> {
    pub(super) fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    pub(super) fn lock(&self) -> RefMut<'_, T> {
        self.0.borrow_mut()
    }
}

/// Runs a task beside the caller, to its end or the executor's.
pub(super) fn spawn(task: impl Future<Output = ()> + 'static) {
    ::glommio::spawn_local(task).detach();
}

pub(super) async fn sleep(wait: Duration) {
    Timer::new(wait).await;
}

pub(super) async fn sleep_until(instant: Instant) {
    sleep(instant.saturating_duration_since(Instant::now())).await;
}
