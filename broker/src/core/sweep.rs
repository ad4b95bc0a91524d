//! Produces that have waited too long are looked for once a second, and given up.
//!
//! All that wait are looked at, which are thousands where many producers wait together: in
//! [slices](super::slices), so many of them in a turn. What comes while a sweep is under way is looked
//! at by the next one.

use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};

use super::Core;
use super::fan_out::{FanOut, FanOutKey};
use super::hop::AppendBatch;

/// How long after one sweep the next one begins, nanoseconds.
const EVERY: u64 = 1_000_000_000;
/// So many are looked at before it is asked again whether there is room.
const PIECE: usize = 64;
/// What it costs to look at one, in the units of slices.
const LOOK: usize = 16;
/// What it costs to give one up.
const GIVE_UP: usize = 2048;

/// How far looking has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing that waits has a deadline.
    #[default]
    Idle,
    /// The next sweep begins then.
    At(Mono),
    /// Produces that one answer completes, from this place on; since when.
    Single(usize, Mono),
    /// Those that several answers complete, from this place on; since when.
    FanOuts(usize, Mono),
}

/// The sweep of one core.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    stage: Stage,
    /// Something has a deadline that the sweep under way may not have seen, or was too early for.
    again: bool,
}

impl Sweep {
    /// Something waits from now on that has a deadline.
    pub(super) fn expect(&mut self, now: Mono) {
        match self.stage {
            Stage::Idle => self.stage = Stage::At(now.after(EVERY)),
            Stage::At(_) => {}
            Stage::Single(..) | Stage::FanOuts(..) => self.again = true,
        }
    }

    /// When it goes on.
    pub(super) fn due(&self) -> Option<Mono> {
        match self.stage {
            Stage::Idle => None,
            Stage::At(at) | Stage::Single(_, at) | Stage::FanOuts(_, at) => Some(at),
        }
    }
}

impl<P: BufPool> Core<P> {
    /// Goes on with a sweep that is due, as far as the slice goes.
    pub(super) fn sweep(&mut self, now: Now) {
        if self.sweep.due().is_none_or(|at| at > now.mono) {
            return;
        }
        while self.slices.has_room(now.mono) {
            self.slices.charge(PIECE * LOOK);
            self.sweep.stage = match self.sweep.stage {
                Stage::Idle => return,
                Stage::At(at) if at > now.mono => return,
                Stage::At(at) => {
                    self.sweep.again = false;
                    Stage::Single(0, at)
                }
                Stage::Single(from, at) => match self.sweep_single(from, now) {
                    Some(next) => Stage::Single(next, at),
                    None => Stage::FanOuts(0, at),
                },
                Stage::FanOuts(from, at) => match self.sweep_fan_outs(from, now) {
                    Some(next) => Stage::FanOuts(next, at),
                    None if self.sweep.again => Stage::At(now.mono.after(EVERY)),
                    None => Stage::Idle,
                },
            };
        }
    }

    /// Looks at the next of those that one answer completes. Where to go on, if there are more.
    fn sweep_single(&mut self, from: usize, now: Now) -> Option<usize> {
        let to = (from + PIECE).min(self.families.append.slots.places());
        for place in from..to {
            let Some((slot, deadline)) = self.append_deadline(place) else {
                continue;
            };
            if self.is_over(deadline, now) {
                self.give_up_append(slot, now);
            }
        }
        (to < self.families.append.slots.places()).then_some(to)
    }

    /// Looks at the next of those that several answers complete. Where to go on, if there are more.
    fn sweep_fan_outs(&mut self, from: usize, now: Now) -> Option<usize> {
        let to = (from + PIECE).min(self.families.append.fan_outs.capacity());
        for key in from..to {
            let Some(deadline) = self
                .families
                .append
                .fan_outs
                .get(key)
                .and_then(FanOut::deadline)
            else {
                continue;
            };
            if self.is_over(deadline, now) {
                self.give_up_fan_out(FanOutKey::<AppendBatch>::new(key), now);
            }
        }
        (to < self.families.append.fan_outs.capacity()).then_some(to)
    }

    /// Whether something has waited too long, and is to be given up; what has not is for another sweep.
    fn is_over(&mut self, deadline: Mono, now: Now) -> bool {
        let over = deadline <= now.mono;
        match over {
            true => self.slices.charge(GIVE_UP),
            false => self.sweep.again = true,
        }
        over
    }
}
