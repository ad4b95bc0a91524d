//! What found the journal full waits here for space: in a bounded line, for a bounded time,
//! whichever machine it is for. The machine has not decided about it yet.

use std::collections::VecDeque;

use leveret_storage::io::BufPool;
use leveret_storage::types::{LogId, Mono, Now};

use super::super::Shard;
use super::super::reply::RequestId;
use super::super::room::Room;
use super::Asked;
use crate::error::EngineError;

/// Requests that are refused in one call because they have waited too long for space.
const GIVEN_UP: usize = 256;

/// Which line waits: nobody overtakes another of his own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Line {
    /// What may make space, or is short: it goes before data.
    Control,
    /// What is appended to partitions.
    Data,
}

impl Line {
    const ALL: [Self; 2] = [Self::Control, Self::Data];
}

/// A request to a machine.
pub(in crate::shard) trait Ask<P: BufPool>: Into<Asked> {
    const LINE: Line;

    /// Decides, appends and applies, or answers why not; gives itself back if the journal has no room.
    ///
    /// # Errors
    /// The request, of which nothing has happened.
    fn carry_out(self, shard: &mut Shard<P>, now: Now) -> Result<(), Self>;
}

/// The lines, each in a room of its own.
pub(in crate::shard) struct Parked([Waiters; 2]);

struct Waiters {
    line: VecDeque<(Mono, Asked)>,
    room: Room,
}

impl Waiters {
    fn pop(&mut self) -> Option<(Mono, Asked)> {
        let first = self.line.pop_front()?;
        self.room.leave(first.1.len());
        Some(first)
    }

    fn next_deadline(&self) -> Option<Mono> {
        self.line.front().map(|(deadline, _)| *deadline)
    }
}

impl Parked {
    /// Each line in a room that `room` makes.
    pub(in crate::shard) fn new(room: impl Fn() -> Room) -> Self {
        Self(Line::ALL.map(|_| Waiters {
            line: VecDeque::new(),
            room: room(),
        }))
    }

    /// Takes a request at the end of its line, to be given up at `deadline`; gives it back if there is no
    /// room.
    fn push(&mut self, asked: Asked, deadline: Mono) -> Result<(), Asked> {
        let waiters = &mut self.0[asked.line() as usize];
        if !waiters.room.enter(asked.len()) {
            return Err(asked);
        }
        waiters.line.push_back((deadline, asked));
        Ok(())
    }

    /// The head of its line, which has just left it, found the journal full again.
    fn put_back(&mut self, deadline: Mono, asked: Asked) {
        let waiters = &mut self.0[asked.line() as usize];
        let enters = waiters.room.enter(asked.len());
        assert!(enters, "its own room is free");
        waiters.line.push_front((deadline, asked));
    }

    /// The head of a line leaves it.
    fn pop(&mut self, line: Line) -> Option<(Mono, Asked)> {
        self.0[line as usize].pop()
    }

    /// The next that has waited too long leaves its line.
    fn pop_late(&mut self, now: Mono) -> Option<Asked> {
        let late = |waiters: &&mut Waiters| waiters.next_deadline().is_some_and(|at| at <= now);
        let (_, asked) = self.0.iter_mut().find(late)?.pop()?;
        Some(asked)
    }

    /// Those that wait for this log leave their lines.
    fn take_of(&mut self, log: LogId) -> Vec<RequestId> {
        let mut requests = Vec::new();
        for Waiters { line, room } in &mut self.0 {
            line.retain(|(_, asked)| {
                let (request, of) = asked.place();
                if of == log {
                    room.leave(asked.len());
                    requests.push(request);
                }
                of != log
            });
        }
        requests
    }

    pub(in crate::shard) fn next_deadline(&self) -> Option<Mono> {
        let deadlines = self.0.iter().map(Waiters::next_deadline);
        deadlines.flatten().min()
    }

    pub(in crate::shard) fn len(&self) -> usize {
        self.0.iter().map(|waiters| waiters.line.len()).sum()
    }

    pub(in crate::shard) fn is_empty(&self, line: Line) -> bool {
        self.0[line as usize].line.is_empty()
    }
}

impl<P: BufPool> Shard<P> {
    /// Carries a request out, or puts it into the line of those that wait for space.
    pub(in crate::shard) fn carry_out_or_park<A: Ask<P>>(&mut self, asked: A, now: Now) {
        // Nobody overtakes those who wait for space: batches of a producer stay in order, and changes.
        let refused = match self.parked.is_empty(A::LINE) {
            true => asked.carry_out(self, now),
            false => Err(asked),
        };
        if let Err(asked) = refused {
            self.park(asked, now);
        }
    }

    /// Puts a request into the line of those that wait for space.
    pub(in crate::shard) fn park<A: Ask<P>>(&mut self, asked: A, now: Now) {
        let deadline = now.mono.after(self.settings.parked_ns);
        if let Err(asked) = self.parked.push(asked.into(), deadline) {
            self.overloaded(&asked);
        }
    }

    /// There is room in the journal again, for some at least.
    pub(in crate::shard) fn retry_parked(&mut self, now: Now) {
        for line in Line::ALL {
            while let Some((deadline, asked)) = self.parked.pop(line) {
                if let Err(asked) = asked.carry_out(self, now) {
                    self.parked.put_back(deadline, asked);
                    break;
                }
            }
        }
    }

    /// Refuses those who waited for space too long, a slice of them: the rest is due at once.
    pub(in crate::shard) fn give_up_parked(&mut self, now: Now) {
        for _ in 0..GIVEN_UP {
            let Some(asked) = self.parked.pop_late(now.mono) else {
                return;
            };
            self.overloaded(&asked);
        }
    }

    /// Refuses all that wait for space.
    pub(in crate::shard) fn refuse_parked(&mut self, error: &EngineError) {
        for line in Line::ALL {
            while let Some((_, asked)) = self.parked.pop(line) {
                self.fail(asked.place().0, error.clone());
            }
        }
    }

    /// Refuses those that wait for space in this log.
    pub(in crate::shard) fn refuse_parked_of(&mut self, log: LogId, error: &EngineError) {
        for request in self.parked.take_of(log) {
            self.fail(request, error.clone());
        }
    }

    pub(in crate::shard) fn overloaded(&mut self, asked: &Asked) {
        if let Asked::Produce(produce) = asked {
            self.note_refusal(produce.log, &produce.header);
        }
        self.fail(asked.place().0, EngineError::Overloaded);
    }
}
