//! One partition that is read.

use std::sync::Arc;

use bytes::Bytes;
use leveret_record::batches;
use leveret_wire::native::{Offset, OffsetSpec};

use super::{OutOfRange, StartAt};
use crate::core::{Backoff, Mono};
use crate::{Error, Result};

/// Where reading goes on.
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
    /// The subscription that brings it, if one does.
    pub(super) subscription: Option<u64>,
    /// Not to be asked for before.
    pub(super) retry_at: Option<Mono>,
    pub(super) high_watermark: Option<Offset>,
    read_at: Position,
    /// The offset after the last record handed out.
    handed_out: Option<Offset>,
    backoff: Backoff,
}

impl Assignment {
    pub(super) fn new(topic: Arc<str>, generation: u64, start: StartAt, backoff: Backoff) -> Self {
        let read_at = match start {
            StartAt::Offset(offset) => Position::At(offset),
            StartAt::Beginning => Position::Find(OffsetSpec::Earliest),
            StartAt::End => Position::Find(OffsetSpec::Latest),
            StartAt::Timestamp(timestamp) => Position::Find(OffsetSpec::Timestamp(timestamp)),
        };
        Self {
            topic,
            generation,
            subscription: None,
            retry_at: None,
            high_watermark: None,
            read_at,
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
        self.read_at == Position::Stopped
    }

    pub(super) fn wants_look_up(&self, now: Mono) -> Option<OffsetSpec> {
        match self.read_at {
            Position::Find(spec) if self.is_due(now) => Some(spec),
            _ => None,
        }
    }

    /// The offset to subscribe from.
    pub(super) fn wants_subscription(&self, now: Mono) -> Option<Offset> {
        match self.read_at {
            Position::At(offset) if self.is_due(now) => Some(offset),
            _ => None,
        }
    }

    pub(super) fn handle_offset(&mut self, offset: Offset) {
        self.worked();
        self.read_at = Position::At(offset);
        self.handed_out = Some(offset);
    }

    /// Cuts pushed bytes into batches, without those below the position, and moves on.
    pub(super) fn handle_batches(&mut self, bytes: &Bytes) -> Result<Vec<Bytes>> {
        self.worked();
        let Position::At(mut position) = self.read_at else {
            unreachable!("only a partition with a position is subscribed to");
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
        self.read_at = Position::At(position);
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
        self.read_at = Position::Find(spec);
        true
    }

    pub(super) fn retry(&mut self, now: Mono) {
        self.retry_at = Some(now.after(self.backoff.next_wait()));
    }

    pub(super) fn stop(&mut self) {
        self.read_at = Position::Stopped;
    }

    fn is_due(&self, now: Mono) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }

    fn worked(&mut self) {
        self.retry_at = None;
        self.backoff.reset();
    }

    fn damaged(&self, reason: impl ToString) -> Error {
        Error::Protocol(format!("`{}`: {}", self.topic, reason.to_string()).into())
    }
}
