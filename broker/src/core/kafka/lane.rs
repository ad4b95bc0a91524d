//! Answers of one connection in the order of its requests, whichever is complete first.

use std::collections::VecDeque;

use bytes::Bytes;

/// Names a request's place among those of its connection.
pub(super) type Turn = u64;

/// The answers that a connection owes, in order; `None` where one is not complete yet.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The turn of the first of them.
    next: Turn,
    owed: VecDeque<Option<Vec<Bytes>>>,
    /// Bytes of those that are complete.
    kept: usize,
}

impl Lane {
    /// The place of a further request that will be answered.
    pub(super) fn take_turn(&mut self) -> Turn {
        self.owed.push_back(None);
        self.next + self.owed.len() as u64 - 1
    }

    /// Whether nothing is owed before this turn.
    pub(super) fn is_next(&self, turn: Turn) -> bool {
        turn == self.next
    }

    /// The next answer was given to send.
    ///
    /// # Panics
    /// If none is owed.
    pub(super) fn pass(&mut self) {
        self.owed.pop_front().expect("an answer is owed");
        self.next += 1;
    }

    /// Keeps an answer that is complete before its turn.
    ///
    /// # Panics
    /// If that turn has passed, or is filled already.
    pub(super) fn keep(&mut self, turn: Turn, answer: Vec<Bytes>) {
        let place = usize::try_from(turn - self.next).expect("requests are bounded");
        self.kept += bytes_of(&answer);
        let before = self.owed[place].replace(answer);
        assert!(before.is_none(), "a request is answered once");
    }

    /// Takes the next answer if it is complete.
    pub(super) fn pop_kept(&mut self) -> Option<Vec<Bytes>> {
        let answer = self.owed.front_mut()?.take()?;
        self.kept -= bytes_of(&answer);
        self.pass();
        Some(answer)
    }

    /// Bytes of answers that wait for the turn of an earlier one.
    pub(super) fn kept(&self) -> usize {
        self.kept
    }
}

fn bytes_of(answer: &[Bytes]) -> usize {
    answer.iter().map(Bytes::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_holds_back_those_behind_it_and_no_others() {
        let mut lane = Lane::default();
        let turns = [lane.take_turn(), lane.take_turn(), lane.take_turn()];
        let answer = |text: &'static str| vec![Bytes::from_static(text.as_bytes())];
        lane.keep(turns[2], answer("c"));
        lane.keep(turns[1], answer("b"));
        assert_eq!((lane.pop_kept(), lane.kept()), (None, 2));
        assert!(lane.is_next(turns[0]) && !lane.is_next(turns[1]));
        lane.pass();
        assert_eq!(lane.pop_kept(), Some(answer("b")));
        assert_eq!(lane.pop_kept(), Some(answer("c")));
        assert_eq!((lane.pop_kept(), lane.kept()), (None, 0));
        let turn = lane.take_turn();
        assert!(lane.is_next(turn));
    }
}
