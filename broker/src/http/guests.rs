//! The connections that are being served, the longest first, and what each holds. Places and memory
//! are bounded, and a slow connection gives way to a new one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Connections at a time.
const PLACES: usize = 128;
/// How long a connection has its place for sure; an answer takes a few milliseconds.
pub(super) const UNDISTURBED: Duration = Duration::from_secs(1);
/// Bytes of long answers that slow readers keep in memory; one answer may be longer.
const HELD: usize = 64 << 20;

/// A connection.
pub(super) struct Guest {
    since: Instant,
    /// The long answer that it is reading.
    answer: RefCell<Option<Bytes>>,
    /// Raised when it has to go.
    cut: Notify,
}

impl Guest {
    /// Waits until it has to give way.
    pub(super) async fn is_cut(&self) {
        self.cut.notified().await;
    }
}

/// All of them.
pub(super) struct Guests {
    present: RefCell<VecDeque<Rc<Guest>>>,
    left: Notify,
    undisturbed: Duration,
}

impl Guests {
    /// Nobody, and how long whoever comes has a place for sure.
    pub(super) fn new(undisturbed: Duration) -> Self {
        Self {
            present: RefCell::default(),
            left: Notify::new(),
            undisturbed,
        }
    }

    /// A place for one more. When there is none, whoever has been there longest gives way, but not
    /// while it is to be undisturbed.
    pub(super) async fn enter(&self) -> Rc<Guest> {
        loop {
            // Registered before the look, so that nobody leaves unseen.
            let left = self.left.notified();
            let Some(oldest) = self.longest_if_full() else {
                break;
            };
            let until = oldest.since + self.undisturbed;
            if Instant::now() >= until {
                self.cut(&oldest);
                break;
            }
            // Either way there is a place, or one to be had.
            let _late = timeout_at(until, left).await;
        }
        let guest = Rc::new(Guest {
            since: Instant::now(),
            answer: RefCell::default(),
            cut: Notify::new(),
        });
        self.present.borrow_mut().push_back(Rc::clone(&guest));
        guest
    }

    fn longest_if_full(&self) -> Option<Rc<Guest>> {
        let present = self.present.borrow();
        let full = present.len() >= PLACES;
        present.front().filter(|_| full).map(Rc::clone)
    }

    /// The connection has ended.
    pub(super) fn leave(&self, guest: &Rc<Guest>) {
        let mut present = self.present.borrow_mut();
        present.retain(|other| !Rc::ptr_eq(other, guest));
        self.left.notify_one();
    }

    /// The connection is given a long answer to read. Those that have been reading others longest
    /// give way while there are too many bytes.
    pub(super) fn reads(&self, guest: &Rc<Guest>, answer: &Bytes) {
        *guest.answer.borrow_mut() = Some(answer.clone());
        while self.held() > HELD {
            let others = |other: &&Rc<Guest>| {
                let theirs = other.answer.borrow();
                let theirs = theirs.as_ref();
                theirs.is_some_and(|theirs| theirs.as_ptr() != answer.as_ptr())
            };
            let slowest = self.present.borrow().iter().find(others).map(Rc::clone);
            let Some(slowest) = slowest else { return };
            self.cut(&slowest);
        }
    }

    /// Bytes of different answers that are being read; what several read is there once.
    fn held(&self) -> usize {
        let present = self.present.borrow();
        let answers = present
            .iter()
            .filter_map(|guest| guest.answer.borrow().clone());
        let mut answers: Vec<_> = answers.map(|a| (a.as_ptr(), a.len())).collect();
        answers.sort_unstable();
        answers.dedup();
        answers.iter().map(|(_, len)| len).sum()
    }

    fn cut(&self, guest: &Rc<Guest>) {
        guest.cut.notify_one();
        guest.answer.borrow_mut().take();
        self.leave(guest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(test);
    }

    fn goes(guest: &Guest) -> impl Future<Output = bool> {
        let soon = tokio::time::timeout(Duration::from_millis(10), guest.is_cut());
        async { soon.await.is_ok() }
    }

    #[test]
    fn who_has_been_there_longest_gives_way_after_a_second() {
        run(async {
            let guests = Guests::new(UNDISTURBED);
            let mut present = Vec::new();
            for _ in 0..PLACES {
                present.push(guests.enter().await);
            }
            let began = Instant::now();
            let _next = guests.enter().await;
            assert!(
                began.elapsed() >= UNDISTURBED - Duration::from_millis(200),
                "not before its time"
            );
            assert!(goes(&present[0]).await);
            assert!(!goes(&present[1]).await);
            let began = Instant::now();
            guests.leave(&present[1]);
            let _another = guests.enter().await;
            assert!(began.elapsed() < UNDISTURBED / 2, "a place was free");
        });
    }

    #[test]
    fn slow_readers_hold_a_bounded_number_of_bytes() {
        run(async {
            let guests = Guests::new(UNDISTURBED);
            let answer = || Bytes::from(vec![0; HELD / 2]);
            let shared = answer();
            let mut present = Vec::new();
            for _ in 0..10 {
                let guest = guests.enter().await;
                guests.reads(&guest, &shared);
                present.push(guest);
            }
            assert_eq!(guests.held(), HELD / 2, "they read the same one");
            for _ in 0..5 {
                let guest = guests.enter().await;
                guests.reads(&guest, &answer());
                assert!(guests.held() <= HELD);
            }
            assert!(goes(&present[0]).await);
            let large = Bytes::from(vec![0; HELD + 1]);
            let guest = guests.enter().await;
            guests.reads(&guest, &large);
            assert!(!goes(&guest).await, "one may be longer");
        });
    }
}
