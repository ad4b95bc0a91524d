//! One partition that is read.

use std::sync::Arc;

use bytes::Bytes;
use leveret_record::batches;
use leveret_wire::native::{Offset, OffsetSpec};

use super::{OutOfRange, StartAt};
use crate::core::{Backoff, Mono};
use crate::{Error, Result};

/// Where fetching goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// To be looked up first.
    Find(OffsetSpec),
    /// At this offset.
    At(Offset),
    /// Nowhere, until a seek.
    Stopped,
}

pub(super) struct Assignment {
    pub(super) topic: Arc<str>,
    /// Tells answers to this assignment from answers to one before a seek.
    pub(super) generation: u64,
    /// Whether a request of it is in flight.
    pub(super) busy: bool,
    /// Not to be asked for before.
    pub(super) retry_at: Option<Mono>,
    pub(super) high_watermark: Option<Offset>,
    fetch_at: Position,
    /// The offset after the last record handed out.
    handed_out: Option<Offset>,
    backoff: Backoff,
}

impl Assignment {
    pub(super) fn new(topic: Arc<str>, generation: u64, start: StartAt, backoff: Backoff) -> Self {
        let fetch_at = match start {
            StartAt::Offset(offset) => Position::At(offset),
            StartAt::Beginning => Position::Find(OffsetSpec::Earliest),
            StartAt::End => Position::Find(OffsetSpec::Latest),
            StartAt::Timestamp(timestamp) => Position::Find(OffsetSpec::Timestamp(timestamp)),
        };
        Self {
            topic,
            generation,
            busy: false,
            retry_at: None,
            high_watermark: None,
            fetch_at,
            handed_out: match start {
                StartAt::Offset(offset) => Some(offset),
                _ => None,
            },
            backoff,
        }
    }

    pub(super) fn position(&self) -> Option<Offset> {
        self.handed_out
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.fetch_at == Position::Stopped
    }

    pub(super) fn wants_look_up(&self, now: Mono) -> Option<OffsetSpec> {
        match self.fetch_at {
            Position::Find(spec) if self.is_idle(now) => Some(spec),
            _ => None,
        }
    }

    pub(super) fn wants_fetch(&self, now: Mono) -> Option<Offset> {
        match self.fetch_at {
            Position::At(offset) if self.is_idle(now) => Some(offset),
            _ => None,
        }
    }

    pub(super) fn handle_offset(&mut self, offset: Offset) {
        self.worked();
        self.fetch_at = Position::At(offset);
        self.handed_out = Some(offset);
    }

    /// Cuts fetched bytes into batches, without those below the position, and moves on.
    pub(super) fn handle_batches(&mut self, bytes: &Bytes) -> Result<Vec<Bytes>> {
        self.worked();
        let Position::At(mut position) = self.fetch_at else {
            unreachable!("only a partition with a position is fetched");
        };
        let mut slices = Vec::new();
        for batch in batches(bytes) {
            let (header, batch) = batch.map_err(|error| self.damaged(error))?;
            let Ok(next) = u64::try_from(header.next_offset()) else {
                return Err(self.damaged("a negative offset"));
            };
            if next <= position.0 {
                continue;
            }
            position = Offset(next);
            slices.push(bytes.slice_ref(batch));
        }
        if slices.is_empty() && !bytes.is_empty() {
            return Err(self.damaged("batches that were not asked for"));
        }
        self.fetch_at = Position::At(position);
        Ok(slices)
    }

    pub(super) fn handed_out(&mut self, next: Offset) {
        self.handed_out = Some(next);
    }

    /// Looks for a new position, if the policy has one.
    pub(super) fn jump(&mut self, policy: OutOfRange) -> bool {
        let spec = match policy {
            OutOfRange::Fail => return false,
            OutOfRange::Earliest => OffsetSpec::Earliest,
            OutOfRange::Latest => OffsetSpec::Latest,
        };
        self.fetch_at = Position::Find(spec);
        true
    }

    pub(super) fn retry(&mut self, now: Mono) {
        self.retry_at = Some(now.after(self.backoff.next_wait()));
    }

    pub(super) fn stop(&mut self) {
        self.fetch_at = Position::Stopped;
    }

    fn is_idle(&self, now: Mono) -> bool {
        !self.busy && self.retry_at.is_none_or(|at| at <= now)
    }

    fn worked(&mut self) {
        self.retry_at = None;
        self.backoff.reset();
    }

    fn damaged(&self, reason: impl ToString) -> Error {
        Error::Protocol(format!("`{}`: {}", self.topic, reason.to_string()).into())
    }
}
