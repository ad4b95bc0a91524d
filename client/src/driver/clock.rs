//! The core's time from the runtime's clock.

use std::time::SystemTime;

use super::rt::Instant;
use crate::core::Mono;

/// Monotonic time since it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(super) fn now(self) -> Mono {
        Mono::default().after(self.start.elapsed())
    }

    /// The instant of a core's time.
    pub(super) fn instant(self, at: Mono) -> Instant {
        self.start + at.since(Mono::default())
    }
}

/// Milliseconds since the Unix epoch, for records that bring no timestamp.
pub(super) fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}
