//! When nobody asks for more, everything is answered, those that wait for what is there have got
//! it, and nothing is held for those that are gone.

use leveret_storage::types::LogId;

use super::Lives;
use super::asked::Asked;
use super::dialogue::{Dialogue, Ending, waits};
use super::topics::partition_of;
use crate::clients::sender::Sender;
use crate::plan::PATIENCE;
use crate::violation::{Kind, Violation};

/// How long what nobody waits for may go on, nanoseconds: a batch may wait for journal space.
const LONG: u64 = 20_000_000_000;
/// How soon records come to whoever waits for them, nanoseconds.
const SOON: u64 = 5_000_000_000;

impl Lives<'_> {
    /// Waits for quiet, and looks whether it is.
    pub(super) fn rest(&mut self) -> Result<(), Violation> {
        for dialogue in self.dialogues.values_mut() {
            dialogue.stalled = false;
            self.world.stall(dialogue.conn, false);
        }
        // Native producers have to know what topics are called, whoever was to tell them.
        self.look_at_everything();
        // Who holds memory with a half is closed when others want it.
        self.until(PATIENCE, "everything is answered", |lives| {
            let mut open = lives.dialogues.values().flat_map(Dialogue::open);
            let senders = lives.senders.iter();
            let mut sending = senders.filter(|((producer, log), sender)| {
                let sends = lives.producers[*producer].dialogue.is_some();
                let (topic, partition) = partition_of(*log);
                sends && lives.topics[topic].has(partition) && !Sender::is_done(sender)
            });
            open.all(waits) && sending.next().is_none()
        })?;
        let until = self.now().after(SOON);
        while self.turn(until)? {}
        self.check_waiting()?;
        for dialogue in self.dialogues.values_mut() {
            dialogue.ending = Ending::AnyTime;
            self.world.reset(dialogue.conn);
        }
        for conn in self.strangers.drain(..) {
            self.world.reset(conn);
        }
        let gone = |lives: &Self| lives.dialogues.is_empty();
        self.until(SOON, "connections that were reset are gone", gone)?;
        self.check_nothing_is_held()
    }

    /// Who waits for records that are there has been answered.
    fn check_waiting(&self) -> Result<(), Violation> {
        for (id, dialogue) in &self.dialogues {
            for asked in dialogue.open() {
                match asked {
                    Asked::Fetch(readings, _) => {
                        let mut readings = readings.iter();
                        readings.try_for_each(|r| self.check_has(r.log, r.scan.next))?;
                    }
                    Asked::Subscribe(log) => {
                        let pushed = self.subscribed.get(id);
                        self.check_has(*log, pushed.map_or(0, |scan| scan.next))?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Somebody waits for what comes from that offset on: there is nothing.
    fn check_has(&self, log: LogId, next: u64) -> Result<(), Violation> {
        let (topic, partition) = partition_of(log);
        let end = self.ledger.end(log);
        if !self.topics[topic].has(partition) || next >= end {
            return Ok(());
        }
        let what = format!("who waits for {log} from {next} on has not got what is there to {end}");
        Err(Violation::new(Kind::Stuck, what))
    }

    /// All connections are gone, and with them everything that was under way or held for them.
    fn check_nothing_is_held(&mut self) -> Result<(), Violation> {
        let until = self.now().after(LONG);
        loop {
            let held = self.world.held();
            if held.is_empty() {
                return Ok(());
            }
            if !self.turn(until)? {
                let what = format!("everybody is gone, and this is held: {held}");
                return Err(Violation::new(Kind::Stuck, what));
            }
        }
    }
}
