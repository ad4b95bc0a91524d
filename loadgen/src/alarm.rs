//! Waiting for a moment with the kernel's own precision.
//!
//! tokio's timers have a grain of a millisecond. Keeping the CPU busy instead would be exact, but
//! takes it from the kernel's workers that complete the broker's durable writes there: measured,
//! that put several milliseconds into the broker's 90th percentile.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// Less than this ahead a sleep would end too late.
const TOO_SHORT: Duration = Duration::from_micros(2);

/// A timer of one task.
pub(crate) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// A timer that is not set. Must be made within the runtime.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types that may give their descriptor away; OwnedFd does not"
        )]
        AsyncFd::new(timer).map(Self)
    }

    /// Sleeps until that moment.
    ///
    /// # Errors
    /// The kernel's refusal to set the timer or to tell that it has ended.
    pub(crate) async fn sleep_until(&self, moment: Instant) -> io::Result<()> {
        let ahead = moment.saturating_duration_since(Instant::now());
        if ahead < TOO_SHORT {
            // Others of this thread still get their turn.
            tokio::task::yield_now().await;
            return Ok(());
        }
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(ahead.subsec_nanos()),
            },
        };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.0.readable().await?;
            let mut expirations = [0u8; 8];
            match rustix::io::read(self.0.get_ref(), &mut expirations) {
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                ended => {
                    ready.clear_ready();
                    return ended.map(drop).map_err(io::Error::from);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn it_sleeps_until_then_and_not_longer_than_a_timer_of_milliseconds_would() {
        let alarm = Alarm::new().unwrap();
        for ahead in [0, 1, 50, 300, 1_500] {
            let moment = Instant::now() + Duration::from_micros(ahead);
            alarm.sleep_until(moment).await.unwrap();
            assert!(moment.elapsed() < Duration::from_secs(1));
            assert!(Instant::now() + TOO_SHORT >= moment, "{ahead} µs ahead");
        }
    }
}
