//! Produces that found the journal full: they wait in line, a bounded one, for a bounded time.

use std::collections::VecDeque;

use bytes::BytesMut;
use leveret_record::BatchHeader;
use leveret_storage::types::{Level, LogId, Mono};

use super::reply::RequestId;
use super::room::Room;

/// A validated batch that is not in its log yet.
pub(super) struct ParkedProduce {
    pub(super) request: RequestId,
    pub(super) log: LogId,
    pub(super) batch: BytesMut,
    pub(super) header: BatchHeader,
    pub(super) level: Level,
}

/// The line, in its room.
pub(super) struct Parked {
    line: VecDeque<(Mono, ParkedProduce)>,
    room: Room,
}

impl Parked {
    pub(super) fn new(room: Room) -> Self {
        Self {
            line: VecDeque::new(),
            room,
        }
    }

    /// Takes a produce at the end of the line, to be given up at `deadline`; gives it back if
    /// there is no room.
    pub(super) fn push(
        &mut self,
        produce: ParkedProduce,
        deadline: Mono,
    ) -> Result<(), ParkedProduce> {
        if !self.room.enter(produce.batch.len()) {
            return Err(produce);
        }
        self.line.push_back((deadline, produce));
        Ok(())
    }

    /// The head of the line leaves it.
    pub(super) fn pop(&mut self) -> Option<(Mono, ParkedProduce)> {
        let first = self.line.pop_front()?;
        self.room.leave(first.1.batch.len());
        Some(first)
    }

    /// The head of the line, which has just left it, found the journal full again.
    pub(super) fn put_back(&mut self, deadline: Mono, produce: ParkedProduce) {
        let enters = self.room.enter(produce.batch.len());
        assert!(enters, "its own room is free");
        self.line.push_front((deadline, produce));
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.line.front().map(|(deadline, _)| *deadline)
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }
}
