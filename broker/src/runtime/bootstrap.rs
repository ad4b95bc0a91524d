//! What must happen on the disk before any core serves: recovery, seen from the runtime.
//!
//! The first core runs it with its own disk driver while the listeners are bound and nobody is
//! accepted yet. The runtime knows nothing of what is recovered.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use leveret_storage::io::{IoResult, Op, OpId};
use leveret_storage::types::Now;

use super::clock::Clock;
use super::disk::{Disk, DmaBuf, DmaPool};
use super::driver::{begin_watch, end_watch};
use super::medium::TrueLevel;
use super::ring::SharedRing;
use super::tag::Kind;
use super::wake::Notify;

/// What a bootstrap machine is made with.
pub struct BootSetup {
    /// Cores of this run.
    pub cores: u16,
    /// Buffers for its operations.
    pub pool: DmaPool,
    /// What the data directory's file system can promise.
    pub level: TrueLevel,
    /// When it starts.
    pub now: Now,
}

/// A machine that emits operations and hears completions until it can say what each core starts
/// from.
pub trait Bootstrap {
    /// What one core starts from.
    type Recovered: Send;

    /// The next operation; `None` until a completion is handled.
    fn poll_op(&mut self) -> Option<(OpId, Op<DmaBuf>)>;
    /// An operation ended.
    fn handle_completion(&mut self, op: OpId, result: IoResult<DmaBuf>, now: Now);
    /// Once it is over: one value per core, in their order, or a line for people saying why the
    /// broker must not serve. `None` while operations are outstanding.
    fn poll_finished(&mut self) -> Option<Result<Vec<Self::Recovered>, String>>;
}

/// Runs the machine to its end; `Ok(None)` if `stopped` became true first. All its operations
/// have ended when this returns.
pub(super) async fn run<T: Bootstrap>(
    mut machine: T,
    disk: &Disk,
    ring: &SharedRing,
    notify: &Rc<Notify>,
    clock: &mut Clock,
    stopped: impl Fn() -> bool,
) -> Result<Option<Vec<T::Recovered>>, String> {
    let mut result = None;
    loop {
        while let Some((op, outcome)) = disk.take_done() {
            machine.handle_completion(op, outcome, clock.now());
        }
        if result.is_none() && !stopped() {
            while let Some((id, op)) = machine.poll_op() {
                disk.start(id, op);
            }
            result = machine.poll_finished();
        }
        if disk.outstanding() == 0 {
            match result {
                Some(result) => return result.map(Some),
                None if stopped() => return Ok(None),
                None => return Err("recovery waits for nothing: this is a defect".to_owned()),
            }
        }
        let waited = wait(disk, ring, notify).await;
        waited.map_err(|error| format!("the core's ring is broken: {error}"))?;
    }
}

/// Waits for a completion: in the ring while it has all that is outstanding, else in glommio.
async fn wait(disk: &Disk, ring: &SharedRing, notify: &Rc<Notify>) -> io::Result<()> {
    disk.queue()?;
    if disk.needs_reactor() {
        disk.reactor_runs();
        begin_watch(ring)?;
        if !ring.borrow_mut().has_work() && !disk.has_work() {
            notify.wait(None).await;
        }
        end_watch(ring)?;
    } else if !disk.has_work() {
        ring.borrow_mut().wait(None)?;
    }
    let mut completions = VecDeque::new();
    ring.borrow_mut().harvest(&mut completions, usize::MAX)?;
    for done in completions {
        // Nothing is accepted yet, and a wake says only that a stop may have been asked for.
        if let (Kind::Disk, slot) = done.of() {
            disk.handle_completion(slot, done.result);
        }
    }
    Ok(())
}
