//! How lives end: connections that are lost, crashes, and stops that are let finish.

use super::asked::Asked;
use super::dialogue::Ending;
use super::{DialogueId, Lives};
use crate::disk::Crash;
use crate::violation::{Kind, Violation};

/// How long requests under way have when a broker stops, nanoseconds: what the broker allows itself.
const STOP: u64 = 2_000_000_000;
/// How long cores may be told to stop one after the other, in steps.
const APART: u64 = 60;

impl Lives<'_> {
    /// A connection is gone.
    ///
    /// # Errors
    /// If the broker had no reason to end it.
    pub(super) fn lose(&mut self, id: DialogueId) -> Result<(), Violation> {
        let dialogue = self.dialogues.remove(&id).expect("it was looked at");
        let may = match dialogue.ending {
            Ending::Never => false,
            Ending::HungUp => dialogue
                .open()
                .all(|asked| matches!(asked, Asked::Subscribe(_))),
            Ending::AnyTime => true,
        };
        self.subscribed.remove(&id);
        let owed = dialogue.owed && dialogue.open().next().is_some();
        if self.world.cores() > 0 && (owed || !may && !self.stopping) {
            let open: Vec<_> = dialogue.open().collect();
            let what = format!("a connection is closed without reason, open: {open:.600?}");
            return Err(Violation::new(Kind::Stuck, what));
        }
        for asked in dialogue.give_up() {
            if let Asked::ProducerId(producer) = asked {
                self.producers[producer].asked = false;
            }
        }
        for producer in 0..self.producers.len() {
            if self.producers[producer].dialogue != Some(id) {
                continue;
            }
            self.producers[producer].dialogue = None;
            let own = |of: usize| of == producer;
            for ((of, _), sender) in &mut self.senders {
                if own(*of) {
                    sender.disconnect(&mut self.rng);
                }
            }
        }
        Ok(())
    }

    /// The process dies, in whatever way.
    pub(super) fn crash(&mut self) -> Result<(), Violation> {
        let crash = match self.rng.below(10) {
            0..6 => Crash::Power,
            6..9 => Crash::Kill,
            _ => Crash::System,
        };
        self.counters.crashes += 1;
        match crash {
            Crash::Power => self.counters.power_cuts += 1,
            Crash::Kill => self.counters.kills += 1,
            Crash::System => self.counters.system_crashes += 1,
        }
        self.trace
            .say(format_args!("{:>12} ==== {crash:?} ====", self.now().0));
        self.world.crash(crash);
        self.hear()?;
        assert!(self.dialogues.is_empty(), "each was lost");
        self.world.forget_peers();
        self.strangers.clear();
        self.topics.iter_mut().for_each(super::Topic::crash);
        if crash == Crash::Power {
            self.ledger.cut_power();
        }
        self.stopping = false;
        Ok(())
    }

    /// A graceful stop, to its end: what was under way is answered, no core flushes before the others have
    /// nothing more to ask of it, and it takes no longer than it may.
    pub(super) fn stop(&mut self) -> Result<(), Violation> {
        // Sometimes nobody asks for more from here on, and all that has been asked has come to its core.
        let silent = self.rng.chance(1, 2);
        while silent && self.world.step() {
            self.hear()?;
        }
        self.stopping = true;
        for dialogue in self.dialogues.values_mut() {
            let never = dialogue.ending == Ending::Never && !dialogue.stalled;
            dialogue.owed = silent && never && self.world.has_come(dialogue.conn);
        }
        let late = self.now().after(STOP);
        for core in 0..self.world.cores() {
            let until = self.now().after(STOP / 20);
            for _ in 0..self.rng.below(APART) {
                self.turn(until)?;
            }
            self.world.stop_core(core);
        }
        let tidy = self.plan.store.tidy_ns;
        let patience = self.now().after(STOP + tidy);
        while !self.world.has_stopped() {
            if let Some(what) = self.world.asked_too_late() {
                return Err(Violation::new(Kind::Stuck, what));
            }
            if self.now() >= late {
                // What waits for space in the journal waits longer than a stop does.
                self.dialogues
                    .values_mut()
                    .for_each(|dialogue| dialogue.owed = false);
            }
            if !self.turn(patience)? {
                let what = "the stop does not finish in time";
                return Err(Violation::new(Kind::Stuck, what));
            }
        }
        self.counters.clean_stops += 1;
        Ok(())
    }
}
