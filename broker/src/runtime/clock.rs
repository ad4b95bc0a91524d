//! The one place that reads clocks. A core takes the time once per turn.
//!
//! The wall clock given out never runs backwards and follows a jump of the system's clock (a
//! step by an administrator, a resumed machine) at a bounded rate, so that deadlines in entries
//! do not all expire at once. It does not discipline the system's clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use leveret_storage::types::{Mono, Now, WallMs};

/// A difference beyond this is a jump, below it is ordinary slewing by the system.
const JUMP_MS: i64 = 500;

/// Monotonic time since a start that all cores share.
#[derive(Clone, Copy)]
pub(super) struct MonoClock(Instant);

impl MonoClock {
    /// A clock that begins now.
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub(super) fn now(&self) -> Mono {
        Mono(u64::try_from(self.0.elapsed().as_nanos()).expect("less than 584 years"))
    }
}

/// Both clocks of one core.
pub(super) struct Clock {
    mono: MonoClock,
    wall: Wall,
}

impl Clock {
    /// Begins at the system's wall clock.
    pub(super) fn new(mono: MonoClock) -> Self {
        let wall = Wall::new(mono.now(), system_wall());
        Self { mono, wall }
    }

    /// Reads both clocks.
    pub(super) fn now(&mut self) -> Now {
        let mono = self.mono.now();
        let wall = self.wall.read(mono, system_wall());
        Now {
            mono,
            wall: WallMs(wall),
        }
    }

    /// Reads the monotonic clock only.
    pub(super) fn mono(&self) -> Mono {
        self.mono.now()
    }
}

/// The CPU time that this thread has used, nanoseconds. A system call.
pub(super) fn thread_cpu() -> u64 {
    cpu_time(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// The CPU time that all threads of the process have used, nanoseconds. A system call.
pub(super) fn process_cpu() -> u64 {
    cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn cpu_time(of: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    #[expect(
        unsafe_code,
        reason = "clock_gettime(2) of a clock that std does not read"
    )]
    // SAFETY: it fills the time given; the clock exists for every thread.
    unsafe {
        libc::clock_gettime(of, &raw mut time);
    }
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}

fn system_wall() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The arithmetic of the bounded wall clock, apart from the clocks themselves.
struct Wall {
    /// The monotonic time of `given`.
    at: Mono,
    /// What was given out last.
    given: i64,
    jumping: bool,
}

impl Wall {
    fn new(at: Mono, wall: i64) -> Self {
        Self {
            at,
            given: wall,
            jumping: false,
        }
    }

    /// The time to give out when the system says `system`: within half the elapsed time of what
    /// monotonic time predicts, unless the two agree anyway.
    fn read(&mut self, at: Mono, system: i64) -> i64 {
        let elapsed = i64::try_from(at.since(self.at) / 1_000_000).unwrap_or(i64::MAX);
        let expected = self.given.saturating_add(elapsed);
        let off = system.saturating_sub(expected);
        if off.abs() <= JUMP_MS {
            if self.jumping {
                tracing::info!("the wall clock given to records has caught up with the system's");
            }
            self.jumping = false;
            // Not moving `at` when no millisecond passed keeps the fractions.
            if system > self.given {
                (self.at, self.given) = (at, system);
            }
            return self.given;
        }
        if !self.jumping {
            self.jumping = true;
            tracing::warn!(
                milliseconds = off,
                "the wall clock jumped; records follow it at half speed, never backwards"
            );
        }
        let step = off.clamp(-(elapsed / 2), elapsed / 2);
        if elapsed > 1 {
            (self.at, self.given) = (at, expected + step);
        }
        self.given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(ms: u64) -> Mono {
        Mono(ms * 1_000_000)
    }

    #[test]
    fn ordinary_time_is_the_systems() {
        let mut wall = Wall::new(after(0), 1_000);
        assert_eq!(wall.read(after(10), 1_010), 1_010);
        assert_eq!(wall.read(after(20), 1_015), 1_015, "slewing is followed");
        assert_eq!(wall.read(after(21), 1_014), 1_015, "but never backwards");
    }

    #[test]
    fn a_forward_jump_is_followed_at_one_and_a_half() {
        let mut wall = Wall::new(after(0), 1_000);
        assert_eq!(wall.read(after(100), 101_100), 1_150);
        let mut given = 0;
        for ms in (200..400_000).step_by(100) {
            given = wall.read(after(ms), 101_000 + i64::try_from(ms).unwrap());
        }
        assert_eq!(given, 101_000 + 399_900, "it arrives");
    }

    #[test]
    fn a_backward_jump_slows_the_clock_and_never_turns_it() {
        let mut wall = Wall::new(after(0), 1_000_000);
        let mut last = 1_000_000;
        for ms in (100..4_000_000).step_by(100) {
            let given = wall.read(after(ms), i64::try_from(ms).unwrap());
            assert!(given >= last);
            last = given;
        }
        assert_eq!(last, 3_999_900);
    }
}
