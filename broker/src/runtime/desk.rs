//! Where a thread that is no core asks cores, so that its work never runs in a core's turn.
//!
//! The core pays one load per turn to see whether somebody asks. It takes one question per turn,
//! and never waits for the asker: a lock that the asker holds is tried again next turn. What a
//! question means is the behaviour's business.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

use leveret_storage::types::CoreId;
use tokio::sync::oneshot;

use super::cpus;
use super::turns::Turns;
use super::wake::CoreSignal;

/// Questions that one core may have waiting.
const MOST_WAITING: usize = 256;

/// A core's answer, and what its loop has to add.
#[derive(Clone, Debug)]
pub struct Answered<A> {
    /// How the loop of that core is.
    pub driver: DriverInsight,
    /// What the behaviour said.
    pub answer: A,
}

/// The loop of one core in numbers, since it began.
#[derive(Clone, Debug)]
pub struct DriverInsight {
    /// Its turns: how many, how long, how much of the time.
    pub turns: Turns,
    /// How often the watchdog had to wake it.
    pub stalls: u64,
    /// Connections refused because too many were open.
    pub refused: u64,
    /// Connections that other cores accepted and handed over to this one.
    pub handed_over: u64,
    /// Bytes of answers that wait to be sent.
    pub unsent: usize,
    /// Disk operations under way.
    pub disk_operations: usize,
}

/// Why a core did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Too many questions wait there already.
    #[error("too many questions wait for this core")]
    Busy,
    /// It has ended, or ended while the question waited.
    #[error("the core has stopped")]
    Stopped,
}

struct Asked<Q, A> {
    question: Q,
    reply: oneshot::Sender<Answered<A>>,
}

struct Seat<Q, A> {
    signal: Arc<CoreSignal>,
    /// There is something in `questions`.
    waiting: AtomicBool,
    /// `None` once the core has ended.
    questions: Mutex<Option<VecDeque<Asked<Q, A>>>>,
}

/// Asks the cores of one run; clones are the same desk.
pub struct Desk<Q, A>(Arc<Room<Q, A>>);

struct Room<Q, A> {
    seats: Vec<Seat<Q, A>>,
    /// Where threads that are no core should run.
    beside: libc::cpu_set_t,
}

impl<Q, A> Clone for Desk<Q, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q: Send, A: Send> Desk<Q, A> {
    pub(super) fn new(signals: &[Arc<CoreSignal>], beside: libc::cpu_set_t) -> Self {
        let seat = |signal: &Arc<CoreSignal>| Seat {
            signal: Arc::clone(signal),
            waiting: AtomicBool::new(false),
            questions: Mutex::new(Some(VecDeque::new())),
        };
        let seats = signals.iter().map(seat).collect();
        Self(Arc::new(Room { seats, beside }))
    }

    /// How many cores there are.
    #[must_use]
    pub fn cores(&self) -> u16 {
        u16::try_from(self.0.seats.len()).expect("at most 256 cores")
    }

    /// Asks a core. Waits until it answers, so give it a deadline: before it serves it does not.
    ///
    /// # Errors
    /// [`AskError`].
    ///
    /// # Panics
    /// If there is no such core.
    pub async fn ask(&self, core: CoreId, question: Q) -> Result<Answered<A>, AskError> {
        let seat = &self.0.seats[usize::from(core.0)];
        let (reply, answer) = oneshot::channel();
        {
            let mut questions = seat.questions.lock().expect("nobody panics here");
            let questions = questions.as_mut().ok_or(AskError::Stopped)?;
            // Those whose askers gave up need no answer.
            questions.retain(|asked| !asked.reply.is_closed());
            if questions.len() >= MOST_WAITING {
                return Err(AskError::Busy);
            }
            questions.push_back(Asked { question, reply });
            seat.waiting.store(true, Ordering::Release);
        }
        seat.signal.wake_if_asleep();
        answer.await.map_err(|_| AskError::Stopped)
    }

    /// Puts the calling thread on the CPUs that no core is pinned to, where there are some, and
    /// behind the cores' threads where there are none.
    ///
    /// # Errors
    /// If the kernel refuses; the thread then runs where it ran.
    pub fn step_aside(&self) -> io::Result<()> {
        cpus::run_on(&self.0.beside)
    }

    /// Whether somebody asks this core.
    pub(super) fn is_asked(&self, core: usize) -> bool {
        self.0.seats[core].waiting.load(Ordering::Acquire)
    }

    /// Answers one question of this core, if one is there.
    pub(super) fn answer(&self, core: usize, answer: impl FnOnce(Q) -> Answered<A>) {
        let seat = &self.0.seats[core];
        let asked = match seat.questions.try_lock() {
            Ok(mut questions) => {
                let questions = questions.as_mut().expect("the core has not ended");
                let asked = questions.pop_front();
                seat.waiting.store(!questions.is_empty(), Ordering::Release);
                asked
            }
            // The asker is about to wake us.
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(_)) => unreachable!("nobody panics here"),
        };
        if let Some(asked) = asked
            && !asked.reply.is_closed()
        {
            // It may have given up just now.
            let _gone = asked.reply.send(answer(asked.question));
        }
    }

    /// The core has ended: whoever asks or has asked is told so.
    pub(super) fn close(&self, core: usize) {
        let mut questions = self.0.seats[core].questions.lock();
        *questions.as_deref_mut().expect("nobody panics here") = None;
    }
}

/// A desk of one core for tests: a thread that says what it is given to say, and does not turn while
/// that is nothing. It ends when nobody else has `says`.
#[cfg(test)]
pub(crate) fn manned<Q, A>(says: &Arc<Mutex<Option<A>>>) -> Desk<Q, A>
where
    Q: Send + 'static,
    A: Clone + Send + 'static,
{
    let desk = tests::desk();
    let (core, says) = (desk.clone(), Arc::downgrade(says));
    std::thread::spawn(move || {
        while let Some(says) = says.upgrade() {
            if let Some(answer) = says.lock().expect("nobody panics here").clone() {
                core.answer(0, |_question| tests::answered(answer));
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    });
    desk
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::shared::Shared;

    pub(super) fn desk<Q: Send, A: Send>() -> Desk<Q, A> {
        let shared = Shared::new(1).unwrap();
        Desk::new(&shared.signals, cpus::for_workers(&[]).unwrap())
    }

    pub(super) fn answered<A>(answer: A) -> Answered<A> {
        Answered {
            driver: DriverInsight {
                turns: Turns::default(),
                stalls: 0,
                refused: 0,
                handed_over: 0,
                unsent: 0,
                disk_operations: 0,
            },
            answer,
        }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    }

    #[test]
    fn a_question_is_answered_by_the_core_and_not_after_its_end() {
        let (desk, core) = (desk::<u32, u32>(), CoreId(0));
        runtime().block_on(async {
            let asker = desk.clone();
            let asked = tokio::spawn(async move { asker.ask(core, 20).await });
            tokio::task::yield_now().await;
            assert!(desk.is_asked(0));
            desk.answer(0, |question| answered(question + 1));
            assert!(!desk.is_asked(0));
            assert_eq!(asked.await.unwrap().map(|a| a.answer), Ok(21));
            let asker = desk.clone();
            let late = tokio::spawn(async move { asker.ask(core, 20).await });
            tokio::task::yield_now().await;
            desk.close(0);
            assert_eq!(
                late.await.unwrap().map(|a| a.answer),
                Err(AskError::Stopped)
            );
            let after = desk.ask(core, 1).await.map(|a| a.answer);
            assert_eq!(after, Err(AskError::Stopped));
        });
    }

    #[test]
    fn who_gave_up_is_not_answered_and_takes_no_room() {
        let (desk, core) = (desk::<u32, u32>(), CoreId(0));
        runtime().block_on(async {
            for _ in 0..2 * MOST_WAITING {
                let asker = desk.clone();
                let asked = tokio::spawn(async move { asker.ask(core, 1).await });
                tokio::task::yield_now().await;
                asked.abort();
                let _aborted = asked.await;
            }
            let mut answers = 0;
            while desk.is_asked(0) {
                desk.answer(0, |question| {
                    answers += 1;
                    answered(question)
                });
            }
            assert_eq!(answers, 0);
            let mut waiting = Vec::new();
            for _ in 0..=MOST_WAITING {
                let asker = desk.clone();
                waiting.push(tokio::spawn(async move { asker.ask(core, 1).await }));
            }
            tokio::task::yield_now().await;
            let refused = waiting.pop().unwrap().await.unwrap();
            assert_eq!(refused.map(|a| a.answer), Err(AskError::Busy));
        });
    }
}
