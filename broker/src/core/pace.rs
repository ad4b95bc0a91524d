//! How well a body that is being received keeps up.
//!
//! A body is to arrive at the [least rate](least_rate). It may fall behind that rate for as long as
//! [those who wait](super::permits) for its memory allow, and for twice as long as its connection has kept up before.
//! Only time in which bytes arrived counts as kept up: a peer that pauses after it has sent for a while is
//! waited for, and a peer that sends much at once and then stands still has earned next to nothing. The time in
//! which the beginning of a body arrived, before it stood in line, counts as well if the beginning was slow. What a
//! connection has earned ends with it, so nobody gains by being closed.

use leveret_storage::types::Mono;

use super::boundary::Inflow;

/// The least rate of a body, bytes a second, and the seconds in which a long one is to be whole.
const LEAST_RATE: u64 = 64 << 10;
const WHOLE_IN: u64 = 16;
/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;
/// Who sends in so long what it has to send before it waits in line is slow, nanoseconds.
const SLOWLY: u64 = 2 * SECOND;

/// How fast a body of `len` bytes has to come while others wait for its bytes, bytes a second: one of a MiB or
/// less at the least rate, a longer one as much faster as it is longer, so that all of them are whole in the
/// same time.
#[must_use]
pub(super) fn least_rate(len: usize) -> u64 {
    LEAST_RATE.max(len as u64 / WHOLE_IN)
}

/// How long a connection may stand still because it has kept up with the least rate while it was looked at,
/// nanoseconds: twice as long, and a second at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steady(u64);

impl Steady {
    fn lasts(&mut self, nanos: u64) {
        self.0 = self.0.saturating_add(nanos.saturating_mul(2)).min(SECOND);
    }

    /// It has sent so many bytes in so many nanoseconds, in which it could. Who is fast has no need of what that
    /// earns.
    pub(super) fn has_sent(&mut self, bytes: usize, nanos: u64) {
        if (SLOWLY..=worth(bytes as u64, LEAST_RATE)).contains(&nanos) {
            self.lasts(nanos);
        }
    }

    /// By how much a body that has stood still for so long has passed what its connection earned.
    pub(super) fn exceeded_by(self, stood: u64) -> i64 {
        stood.cast_signed() - self.0.cast_signed()
    }
}

/// So many bytes of a request collect in the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Collecting {
    pub(super) since: Mono,
    pub(super) len: usize,
}

/// A look at what has come of a connection.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Mono,
    /// What had come of it then, bytes.
    bytes: u64,
    /// How long it might stand still from then on, nanoseconds.
    left: u64,
}

/// The pace of one body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Since when the peer could send the present piece.
    since: Mono,
    /// When the last byte of it came, as far as is known.
    last: Mono,
    looked: Option<Look>,
    /// What the peer took for the pieces before, nanoseconds.
    spent: u64,
}

impl Pace {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            since: now,
            last: now,
            looked: None,
            spent: 0,
        }
    }

    /// Since when the peer could send the present piece.
    pub(super) fn since(&self) -> Mono {
        self.since
    }

    /// How long nothing has come of it, as far as is known, nanoseconds.
    pub(super) fn stood(&self, now: Mono) -> u64 {
        now.since(self.last)
    }

    /// Whether nobody has looked since the peer could last go on: what comes first is not seen then.
    pub(super) fn is_unseen(&self) -> bool {
        self.looked.is_none()
    }

    /// The next piece is asked for.
    pub(super) fn begin_piece(&mut self, now: Mono) {
        (self.since, self.last) = (now, now);
    }

    /// The present piece is all there.
    pub(super) fn end_piece(&mut self, now: Mono) {
        self.spent += now.since(self.since);
    }

    /// The peer was kept from sending until now.
    pub(super) fn let_go_on(&mut self, now: Mono) {
        self.begin_piece(now);
        self.looked = None;
    }

    /// Whether the body has fallen behind `rate` for too long: for longer than `patience`, in nanoseconds, and
    /// what its connection has earned, which it may add to.
    pub(super) fn is_behind(
        &mut self,
        inflow: Inflow,
        rate: u64,
        patience: u64,
        steady: &mut Steady,
        now: Mono,
    ) -> bool {
        let quiet = inflow.quiet.min(now.since(self.since));
        self.last = Mono(now.0 - quiet);
        let most = |steady: &Steady| patience.saturating_add(steady.0);
        let left = match self.looked {
            // How it came before that nobody has seen.
            None => most(steady).saturating_sub(quiet),
            Some(look) => {
                let time = now.since(look.at);
                let stood = quiet.min(time);
                let went_on = time - stood;
                let worth = worth(inflow.bytes.saturating_sub(look.bytes), rate);
                if worth >= went_on {
                    steady.lasts(went_on);
                }
                let left = look.left.saturating_add(worth).saturating_sub(went_on);
                left.min(most(steady)).saturating_sub(stood)
            }
        };
        self.looked = Some(Look {
            at: now,
            bytes: inflow.bytes,
            left,
        });
        left == 0
    }

    /// What a body of `len` bytes proves of its peer, now that it is all there: as much as it is longer than one
    /// that just keeps up would have become.
    pub(super) fn proves(&self, len: usize) -> u64 {
        let least = u128::from(least_rate(len)) * u128::from(self.spent) / u128::from(SECOND);
        (len as u64).saturating_sub(u64::try_from(least).unwrap_or(u64::MAX))
    }
}

/// How long so many bytes take at that rate, nanoseconds.
fn worth(bytes: u64, rate: u64) -> u64 {
    let nanos = u128::from(bytes) * u128::from(SECOND) / u128::from(rate);
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    /// Bytes that keep up, a millisecond.
    const KEEPS_UP: u64 = 66;

    /// A peer of whose body one looks, every 5 ms as a core does and with a patience of 250 ms, when it comes to
    /// stand still.
    struct Peer {
        pace: Pace,
        steady: Steady,
        bytes: u64,
        came: u64,
        ms: u64,
    }

    impl Peer {
        fn new() -> Self {
            let mut peer = Self {
                pace: Pace::new(Mono(0)),
                steady: Steady::default(),
                bytes: 0,
                came: 0,
                ms: 0,
            };
            assert!(!peer.is_behind(u64::MAX));
            peer
        }

        fn is_behind(&mut self, patience: u64) -> bool {
            let inflow = Inflow {
                bytes: self.bytes,
                quiet: (self.ms - self.came) * MS,
            };
            let (rate, now) = (least_rate(1 << 20), Mono(self.ms * MS));
            let pace = &mut self.pace;
            pace.is_behind(inflow, rate, patience, &mut self.steady, now)
        }

        /// For so long so much comes a millisecond. After how much of it the body was behind, if it was.
        fn sends(&mut self, ms: u64, bytes: u64) -> Option<u64> {
            for passed in 0..ms {
                self.ms += 1;
                self.bytes += bytes;
                let now = Mono(self.ms * MS);
                if bytes > 0 {
                    self.came = self.ms;
                }
                let looks = self.ms.is_multiple_of(5) && self.pace.stood(now) >= 250 * MS;
                if looks && self.is_behind(250 * MS) {
                    return Some(passed + 1);
                }
            }
            None
        }
    }

    #[test]
    fn a_body_may_stand_still_twice_as_long_as_it_went_on() {
        for (went_on, stands) in [(0, 250), (100, 450), (300, 850), (3000, 1250)] {
            let mut peer = Peer::new();
            assert_eq!(peer.sends(went_on, 4 * KEEPS_UP), None);
            let stood = peer.sends(5000, 0).expect("it stands still");
            assert!(stood.abs_diff(stands) <= 10, "{stood} after {went_on}");
        }
    }

    #[test]
    fn who_pauses_and_keeps_up_all_in_all_is_never_behind() {
        let goes = |peer: &mut Peer| {
            (0..30).all(|_| peer.sends(400, 200).is_none() && peer.sends(500, 0).is_none())
        };
        assert!(goes(&mut Peer::new()));
        // The control: who pauses so before it has kept up.
        assert!(Peer::new().sends(500, 0).is_some());
    }

    #[test]
    fn what_comes_at_once_earns_nothing_and_what_comes_too_slowly_does_not_either() {
        let mut peer = Peer::new();
        assert_eq!(peer.sends(2, 200_000), None);
        assert!(peer.sends(300, 0).is_some_and(|stood| stood <= 260));
        let mut peer = Peer::new();
        let behind = peer.sends(3000, KEEPS_UP / 2);
        assert!(behind.is_some_and(|ms| ms < 1100), "{behind:?}");
    }

    #[test]
    fn who_has_sent_the_beginning_for_a_while_has_kept_up() {
        let half = 1 << 19;
        for (secs, stands) in [(0, 250), (1, 250), (3, 1250), (7, 1250), (9, 250)] {
            let mut peer = Peer::new();
            peer.steady.has_sent(half, secs * SECOND);
            let stood = peer.sends(5000, 0).expect("it stands still");
            assert!(stood.abs_diff(stands) <= 10, "{stood} after {secs}");
        }
    }

    #[test]
    fn what_is_kept_from_coming_is_not_behind() {
        let mut peer = Peer::new();
        assert_eq!(peer.sends(240, 0), None);
        peer.pace.let_go_on(Mono(peer.ms * MS));
        assert_eq!(peer.sends(240, 0), None);
        assert_eq!(peer.sends(240, 0), Some(10), "the control");
    }

    #[test]
    fn a_longer_one_has_to_come_faster_and_proves_what_it_came_faster_than_that() {
        assert_eq!(least_rate(900_000), LEAST_RATE);
        assert_eq!(least_rate(32 << 20), 2 << 20);
        for (len, secs, proves) in [
            (1 << 20, 0, 1 << 20),
            (1 << 20, 4, 3 << 18),
            (8 << 20, 16, 0),
        ] {
            let mut pace = Pace::new(Mono(0));
            pace.end_piece(Mono(secs * SECOND));
            assert_eq!(pace.proves(len), proves);
        }
    }
}
