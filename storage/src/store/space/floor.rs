//! The floor: how much of the file system is left alone, and who may take of what is above it.
//!
//! Recovery says at first how much is free; otherwise every start on a disk at its floor would
//! accept something before it knows. From then on the file system is asked now and then, the sooner
//! the nearer the floor is. In between the store reckons: what is accepted, and what is set aside
//! ahead of need, is taken off at once, before the file system gives it. So a floor is not overrun
//! between two answers, however small it is.
//!
//! The floor has a least value. A start writes once more what is live in the journals before it
//! gives their blocks back; that much is left alone whatever the setting says, so that a start is
//! possible on a disk at its floor. A ring that has not got all of its blocks yet (there are more
//! cores than before, or larger journals) will take them as it goes on, whatever is appended; they
//! are left alone, too. The driver knows what all stores of the file system need for that: each
//! store tells its part when it asks, and the driver takes the parts of the others off the answer.
//! A floor of 0 leaves nothing alone.

use crate::io::{BLOCK, BufPool, IoResult, Op, Output};
use crate::recovery::at_most;
use crate::store::Store;
use crate::store::ops::Purpose;
use crate::types::Mono;

/// Of the room there was at the last answer, this part may be taken before it is asked again.
const ASK_AFTER: u64 = 8;
/// At least so much may, bytes.
const ASK_AFTER_AT_LEAST: u64 = 64 << 10;
/// What a log takes beside its bytes when they go to a segment: padding, an index, a folder.
const LOG_COST: u64 = 3 * BLOCK as u64;
/// Free space is asked for this many times less often while nothing comes in.
const IDLE_CHECKS: u64 = 30;

/// What is known of the room above the floor.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    /// Less is free than what is left alone: for people.
    low: Option<String>,
    /// The last answer, less what was taken since.
    free: Option<u64>,
    /// Taken since the last question.
    taken: u64,
    /// From so much taken on it is asked again.
    ask_after: u64,
    /// When it is asked next, if anything comes in or space is short.
    ask_at: Option<Mono>,
    /// When it is asked next though nothing happens, so that what is said of it is true.
    idle_ask_at: Option<Mono>,
    /// The answer is under way.
    asked: bool,
}

impl Floor {
    /// Why appends are refused, if they are.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.low.as_deref()
    }
}

impl<P: BufPool> Store<P> {
    /// Bytes that a start takes at most to carry over what this journal holds, with what it will of the
    /// entries that were accepted. To write a log behind takes no more than it takes off this.
    fn start_need(&self) -> u64 {
        let logs = self.reclaim.remnants.logs() + self.commits.lines.ready() as u64;
        at_most(self.journal.ring.used() + self.journal.ring.granted(), 0) + LOG_COST * logs
    }

    /// Bytes that are left alone; 0: none.
    fn left_alone(&self) -> u64 {
        match self.config.disk_floor_bytes {
            0 => 0,
            floor => floor.max(self.start_need()) + self.journal.prefill.missing(),
        }
    }

    /// So many bytes were free when recovery ended, if that is known.
    pub(crate) fn begin_floor(&mut self, free: Option<u64>) {
        if self.config.disk_floor_bytes > 0 {
            self.space.floor.free = free;
            self.judge_floor();
        }
    }

    /// Whether space may be set aside ahead of need: no more than one part in `share` of what is known
    /// to be above the floor, and none while it is short. It is taken then.
    pub(crate) fn lends(&mut self, bytes: u64, share: u64) -> bool {
        if self.space.is_short() {
            return false;
        }
        if self.config.disk_floor_bytes == 0 {
            return true;
        }
        let room = self.space.floor.free.unwrap_or(0);
        let room = room.saturating_sub(self.left_alone());
        let lends = bytes <= room / share;
        if lends {
            self.take_space(bytes);
        }
        lends
    }

    /// Bytes were accepted that the file system will have to give.
    pub(crate) fn take_space(&mut self, bytes: u64) {
        if self.config.disk_floor_bytes == 0 {
            return;
        }
        let floor = &mut self.space.floor;
        floor.free = floor.free.map(|free| free.saturating_sub(bytes));
        floor.taken += bytes;
        if floor.ask_at.is_none() || floor.taken >= floor.ask_after {
            floor.ask_at = Some(self.turn.now.mono);
            self.turn.stir();
        }
        self.judge_floor();
    }

    /// When free space is asked for though nothing else happens.
    pub(crate) fn floor_deadline(&self) -> Option<Mono> {
        let floor = &self.space.floor;
        let short = floor.ask_at.filter(|_| floor.low.is_some());
        let next = short.into_iter().chain(floor.idle_ask_at).min();
        next.filter(|_| !floor.asked && self.config.disk_floor_bytes > 0)
    }

    pub(crate) fn poll_free_space(&mut self) {
        let floor = &mut self.space.floor;
        // First when it opens.
        let idle_at = *floor.idle_ask_at.get_or_insert(self.turn.now.mono);
        let mut dates = floor.ask_at.into_iter().chain([idle_at]);
        let due = dates.any(|at| at <= self.turn.now.mono);
        if due && !floor.asked && self.config.disk_floor_bytes > 0 {
            (floor.asked, floor.taken) = (true, 0);
            let claim = self.start_need() + self.journal.prefill.missing();
            self.ops.push(Purpose::FreeSpace, Op::FreeSpace { claim });
        }
    }

    fn idle_check(&self) -> Mono {
        let rest = self.config.free_space_check_ns.saturating_mul(IDLE_CHECKS);
        self.turn.now.mono.after(rest)
    }

    pub(crate) fn free_space_known(&mut self, result: IoResult<P::Buf>) {
        let idle = self.idle_check();
        let left_alone = self.left_alone();
        let floor = &mut self.space.floor;
        floor.asked = false;
        if let Ok(Output::Free(free)) = result {
            let free = free.saturating_sub(floor.taken);
            floor.free = Some(free);
            floor.ask_after = (free.saturating_sub(left_alone) / ASK_AFTER).max(ASK_AFTER_AT_LEAST);
            // An answer, unlike what was reckoned, can end a shortage.
            floor.low = None;
        }
        floor.ask_at = Some(self.turn.now.mono.after(self.config.free_space_check_ns));
        floor.idle_ask_at = Some(idle);
        self.judge_floor();
    }

    fn judge_floor(&mut self) {
        let (left_alone, set) = (self.left_alone(), self.config.disk_floor_bytes);
        let floor = &mut self.space.floor;
        let Some(free) = floor.free.filter(|free| *free < left_alone) else {
            return;
        };
        floor.low.get_or_insert_with(|| match left_alone > set {
            true => format!(
                "{free} bytes are free, and {left_alone} are kept for the journal and for the next start, \
                 which writes once more what it holds"
            ),
            false => format!("{free} bytes are free, fewer than the floor of {set} bytes"),
        });
    }
}
