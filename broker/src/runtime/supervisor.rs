//! The thread that called `run`: it hears signals and the cores' reports, wakes cores that stand
//! still, and holds the stop to its deadline. It never touches a core's state.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use leveret_storage::types::Mono;

use super::allocator::Surplus;
use super::clock::MonoClock;
use super::service::ServiceManager;
use super::shared::{Shared, StopHandle};
use super::{RuntimeError, fatal};

/// A core that stands still through two looks, although something is due, is woken.
const LOOK_EVERY_MS: i32 = 30;

/// What cores report.
pub(super) enum Report {
    /// Everything that can fail at the start has succeeded.
    Prepared,
    /// The core accepts connections.
    Serving,
    /// The core has ended, having served or because it could not.
    Ended(Result<(), RuntimeError>),
}

/// What SIGHUP does, on the supervisor's thread: it must be quick.
#[derive(Clone)]
pub struct Reload(Arc<dyn Fn() + Send + Sync>);

impl Reload {
    /// Calls this.
    pub fn new(call: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reload")
    }
}

/// Callbacks into the start sequence.
pub(super) struct Milestones<P, S> {
    /// All cores are prepared.
    pub(super) prepared: P,
    /// All cores serve.
    pub(super) serving: S,
}

/// Watches until every core has ended. Returns the first failure.
#[expect(
    clippy::too_many_arguments,
    reason = "the supervisor watches over all of it"
)]
pub(super) fn watch<P: FnOnce(), S: FnOnce()>(
    shared: &Shared,
    stop: &StopHandle,
    signals: Option<&Signals>,
    reload: Option<&Reload>,
    reports: &Receiver<Report>,
    clock: MonoClock,
    stop_deadline: Duration,
    milestones: Milestones<P, S>,
) -> Result<(), RuntimeError> {
    let cores = shared.signals.len();
    let mut prepared = Some(milestones.prepared);
    let mut serving = Some(milestones.serving);
    let (mut prepared_count, mut serving_count, mut ended) = (0, 0, 0);
    let mut failure = Ok(());
    let mut stop_by: Option<Mono> = None;
    let mut asked = Asked::default();
    let mut watchdog = Watchdog::new(cores);
    let mut surplus = Surplus::default();
    let mut manager = ServiceManager::from_environment(cores);
    while ended < cores {
        wait(stop, signals)?;
        let taken = signals.map_or(Ok(Taken::default()), Signals::take)?;
        if taken.reload
            && let Some(reload) = reload
        {
            (reload.0)();
        }
        if taken.stop {
            match asked.hear(clock.now()) {
                Heard::First => {
                    tracing::info!("signal received; stopping");
                    stop.stop();
                }
                Heard::Same => {}
                Heard::Again => {
                    fatal("asked to stop again: ending at once, without a graceful stop");
                }
            }
        }
        if (stop.is_requested() || shared.stopping()) && stop_by.is_none() {
            stop_by = Some(clock.now().after(nanos(stop_deadline)));
            shared.stop();
            manager.stopping();
        }
        loop {
            match reports.try_recv() {
                Ok(Report::Prepared) => prepared_count += 1,
                Ok(Report::Serving) => serving_count += 1,
                Ok(Report::Ended(result)) => {
                    ended += 1;
                    if failure.is_ok() {
                        failure = result;
                    }
                    if failure.is_err() {
                        // Dropping the callback tells the first core not to begin.
                        prepared = None;
                    }
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        if prepared_count == cores
            && let Some(go) = prepared.take()
        {
            go();
        }
        if serving_count == cores
            && let Some(ready) = serving.take()
        {
            ready();
            manager.ready();
        }
        let now = clock.now();
        if stop_by.is_some_and(|by| by < now) {
            fatal(&format!(
                "{} of {cores} cores did not stop within {stop_deadline:?}; ending without them",
                cores - ended
            ));
        }
        watchdog.look(shared, now);
        surplus.look(cores, now);
        manager.vouch(shared, now);
    }
    failure
}

/// When a signal asked for the stop first.
#[derive(Default)]
struct Asked(Option<Mono>);

/// What one more signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Stop gracefully.
    First,
    /// What was asked for already: service managers, shells and terminals send a signal to the
    /// process and to its group, or two of a kind.
    Same,
    /// Somebody does not want to wait.
    Again,
}

impl Asked {
    /// Within this time of the first signal, another one is the same, nanoseconds.
    const SAME: u64 = 1_000_000_000;

    fn hear(&mut self, now: Mono) -> Heard {
        match self.0 {
            None => {
                self.0 = Some(now);
                Heard::First
            }
            Some(first) if now.since(first) <= Self::SAME => Heard::Same,
            Some(_) => Heard::Again,
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Waits for a signal, a report, a stop request, or the next look.
fn wait(stop: &StopHandle, signals: Option<&Signals>) -> io::Result<()> {
    let interest = |fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    let signal_fd = signals.map_or(-1, |signals| signals.fd.as_raw_fd());
    let mut fds = [interest(stop.raw_fd()), interest(signal_fd)];
    #[expect(unsafe_code, reason = "poll(2) on two descriptors")]
    // SAFETY: the array and its true length; a negative descriptor is passed over.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), 2, LOOK_EVERY_MS) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted {
            Ok(())
        } else {
            Err(error)
        };
    }
    if fds[0].revents != 0 {
        drain(stop.raw_fd())?;
    }
    Ok(())
}

/// Resets an eventfd that is known to be readable.
fn drain(fd: std::os::fd::RawFd) -> io::Result<()> {
    let mut count = [0u8; 8];
    #[expect(unsafe_code, reason = "read(2) of an eventfd")]
    // SAFETY: the buffer lives through the call and has the 8 bytes that eventfd gives.
    let read = unsafe { libc::read(fd, count.as_mut_ptr().cast(), count.len()) };
    if read == 8 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Signals that have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Taken {
    /// SIGTERM or SIGINT has come.
    stop: bool,
    /// SIGHUP has come.
    reload: bool,
}

/// SIGTERM and SIGINT, and SIGHUP where it means something, taken out of the ordinary delivery for all threads started from here on.
pub(super) struct Signals {
    fd: OwnedFd,
    before: libc::sigset_t,
}

impl Signals {
    /// Blocks them on this thread, and so on those that it starts.
    pub(super) fn block(reload: bool) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "signal masks and signalfd(2)")]
        // SAFETY: sets are plain old data filled by the calls; the descriptor is ours alone.
        unsafe {
            let mut wanted: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut wanted);
            libc::sigaddset(&raw mut wanted, libc::SIGTERM);
            libc::sigaddset(&raw mut wanted, libc::SIGINT);
            if reload {
                libc::sigaddset(&raw mut wanted, libc::SIGHUP);
            }
            let blocked =
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const wanted, &raw mut before);
            if blocked != 0 {
                return Err(io::Error::from_raw_os_error(blocked));
            }
            let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
            let fd = libc::signalfd(-1, &raw const wanted, flags);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self {
                fd: OwnedFd::from_raw_fd(fd),
                before,
            })
        }
    }

    /// Takes the signals that have arrived.
    fn take(&self) -> io::Result<Taken> {
        let mut taken = Taken::default();
        let mut buffer = [0u8; size_of::<libc::signalfd_siginfo>()];
        loop {
            #[expect(unsafe_code, reason = "read(2) of a signalfd")]
            // SAFETY: the buffer lives through the call and holds one record.
            let read = unsafe {
                libc::read(
                    self.fd.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                )
            };
            if read < 0 {
                let error = io::Error::last_os_error();
                let none = error.kind() == io::ErrorKind::WouldBlock;
                return if none { Ok(taken) } else { Err(error) };
            }
            // The number is the record's first field (signalfd(2)).
            let number = i32::from_ne_bytes(*buffer.first_chunk().expect("a whole record"));
            match number {
                libc::SIGHUP => taken.reload = true,
                _ => taken.stop = true,
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "restores the signal mask")]
        // SAFETY: `before` was filled when it was taken.
        unsafe {
            libc::pthread_sigmask(
                libc::SIG_SETMASK,
                &raw const self.before,
                std::ptr::null_mut(),
            );
        }
    }
}

/// Wakes cores whose turn counter stands still although something is due: glommio parks with
/// runnable tasks when its preempt timer fires at the wrong moment. That timer is set so that it does not fire;
/// this is for what else may keep a core asleep.
struct Watchdog {
    turns: Vec<u64>,
    suspect: Vec<bool>,
}

impl Watchdog {
    fn new(cores: usize) -> Self {
        Self {
            turns: vec![0; cores],
            suspect: vec![false; cores],
        }
    }

    fn look(&mut self, shared: &Shared, now: Mono) {
        for (core, signal) in shared.signals.iter().enumerate() {
            let turns = signal.turns.load(Ordering::Relaxed);
            let still = turns == self.turns[core] && turns > 0 && signal.is_overdue(now.0);
            if still && self.suspect[core] {
                signal.stalls.fetch_add(1, Ordering::Relaxed);
                signal.wake_always();
            }
            self.suspect[core] = still;
            self.turns[core] = turns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_taken_once_and_the_mask_is_restored() {
        let raise = |signal| {
            #[expect(unsafe_code, reason = "sends a signal to this thread")]
            // SAFETY: takes no pointers.
            let sent = unsafe { libc::pthread_kill(libc::pthread_self(), signal) };
            assert_eq!(sent, 0);
        };
        let signals = Signals::block(true).unwrap();
        assert_eq!(signals.take().unwrap(), Taken::default());
        raise(libc::SIGTERM);
        raise(libc::SIGINT);
        raise(libc::SIGHUP);
        let all = Taken {
            stop: true,
            reload: true,
        };
        assert_eq!(signals.take().unwrap(), all);
        assert_eq!(signals.take().unwrap(), Taken::default());
        drop(signals);
        let again = Signals::block(true).unwrap();
        #[expect(unsafe_code, reason = "reads a signal set")]
        // SAFETY: the set was filled by `block`.
        let blocked = unsafe { libc::sigismember(&raw const again.before, libc::SIGTERM) };
        assert_eq!(blocked, 0);
    }

    #[test]
    fn a_second_signal_within_a_second_is_the_same_one() {
        let mut asked = Asked::default();
        let at = |ms: u64| Mono(5_000_000_000 + ms * 1_000_000);
        assert_eq!(asked.hear(at(0)), Heard::First);
        for ms in [0, 1, 300, 1000] {
            assert_eq!(asked.hear(at(ms)), Heard::Same, "{ms} ms later");
        }
        assert_eq!(asked.hear(at(1001)), Heard::Again);
    }

    #[test]
    fn a_core_that_stands_still_is_woken_and_an_idle_one_is_not() {
        let shared = Shared::new(2).unwrap();
        let mut watchdog = Watchdog::new(2);
        shared.signals[0].begin_turn();
        shared.signals[1].begin_turn();
        shared.signals[1].prepare_sleep(u64::MAX);
        for look in 0..3 {
            watchdog.look(&shared, Mono(look));
        }
        let stalls = |core: usize| shared.signals[core].stalls.load(Ordering::Relaxed);
        assert_eq!(stalls(0), 1, "seen twice and still in the same turn");
        assert_eq!(stalls(1), 0, "asleep without a deadline");
        shared.signals[1].prepare_sleep(10);
        for look in 11..13 {
            watchdog.look(&shared, Mono(look));
        }
        assert_eq!(stalls(1), 1, "its timer is overdue");
    }
}
