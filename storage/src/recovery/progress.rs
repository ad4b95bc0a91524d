//! Recovery as its driver sees it: operations, a result, and how far it is.

use std::cell::Cell;
use std::rc::Rc;

use super::task::{Driven, Task, Traffic};
use super::{Recovered, RecoveryConfig, RecoveryError, run};
use crate::io::{BufPool, IoResult, Op, OpId};

/// What recovery is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Looks for the end of a journal; counted in journals.
    #[default]
    Finding,
    /// Reads what is live in a journal; counted in bytes of it.
    Reading,
    /// Writes the new generation; counted in logs.
    Writing,
}

/// How far recovery is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it is about.
    pub phase: Phase,
    /// So much of that is done.
    pub done: u64,
    /// Of so much.
    pub total: u64,
}

/// Where recovery writes down how far it is.
#[derive(Clone, Default)]
pub(super) struct Watch {
    progress: Rc<Cell<Progress>>,
    need: Rc<Cell<u64>>,
}

impl Watch {
    pub(super) fn begin(&self, phase: Phase, done: u64, total: u64) {
        self.progress.set(Progress { phase, done, total });
    }

    pub(super) fn advance(&self, by: u64) {
        let progress = self.progress.get();
        let done = progress.done + by;
        self.progress.set(Progress { done, ..progress });
    }

    /// The start takes at most so many bytes of the file system.
    pub(super) fn set_need(&self, bytes: u64) {
        self.need.set(bytes);
    }

    pub(super) fn need(&self) -> u64 {
        self.need.get()
    }
}

/// Recovery as a machine that a driver turns until it has its result.
pub struct Recovery<P: BufPool> {
    task: Task<P, Result<Recovered, RecoveryError>>,
    watch: Watch,
}

/// Starts recovery of a data directory, which may be empty.
pub fn recover<P: BufPool + 'static>(config: RecoveryConfig, pool: P) -> Recovery<P> {
    let watch = Watch::default();
    let shared = watch.clone();
    Recovery {
        task: Task::new(pool, move |io| run(config, io, shared)),
        watch,
    }
}

impl<P: BufPool + 'static> Recovery<P> {
    /// As [`Driven::poll_op`].
    pub fn poll_op(&mut self) -> Option<(OpId, Op<P::Buf>)> {
        self.task.poll_op()
    }

    /// As [`Driven::handle_completion`].
    pub fn handle_completion(&mut self, id: OpId, result: IoResult<P::Buf>) {
        self.task.handle_completion(id, result);
    }

    /// As [`Driven::poll_result`].
    pub fn poll_result(&mut self) -> Option<Result<Recovered, RecoveryError>> {
        self.task.poll_result()
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.watch.progress.get()
    }

    /// What it has moved so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.task.traffic()
    }
}

impl<P: BufPool + 'static> Driven<P> for Recovery<P> {
    type Output = Result<Recovered, RecoveryError>;

    fn poll_op(&mut self) -> Option<(OpId, Op<P::Buf>)> {
        Self::poll_op(self)
    }

    fn handle_completion(&mut self, id: OpId, result: IoResult<P::Buf>) {
        Self::handle_completion(self, id, result);
    }

    fn poll_result(&mut self) -> Option<Self::Output> {
        Self::poll_result(self)
    }
}
