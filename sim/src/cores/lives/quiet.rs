//! Nobody asks for more: everything is answered, who waits for what is there has it, and nothing is held for
//! those that are gone.

use super::Lives;
use super::asked::{Asked, Wait};
use super::talk::{Ending, Talk};
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
        for talk in self.talks.values_mut() {
            talk.stalled = false;
            self.world.stall(talk.conn, false);
        }
        // Who holds memory with a half is closed when others want it.
        self.until(PATIENCE, "everything is answered", |lives| {
            let mut open = lives.talks.values().flat_map(Talk::open);
            let senders = lives.senders.iter();
            let mut sending = senders.filter(|((producer, log), sender)| {
                let sends = lives.producers[*producer].talk.is_some();
                let (topic, partition) = super::topics::partition_of(*log);
                sends && lives.topics[topic].has(partition) && !Sender::is_done(sender)
            });
            open.all(waits) && sending.next().is_none()
        })?;
        let until = self.now().after(SOON);
        while self.turn(until)? {}
        self.check_waiting()?;
        for talk in self.talks.values_mut() {
            talk.ending = Ending::AnyTime;
            self.world.reset(talk.conn);
        }
        for conn in self.strangers.drain(..) {
            self.world.reset(conn);
        }
        let gone = |lives: &Self| lives.talks.is_empty();
        self.until(SOON, "connections that were reset are gone", gone)?;
        self.check_nothing_is_held()
    }

    /// Who waits for records that are there has been answered.
    fn check_waiting(&self) -> Result<(), Violation> {
        for asked in self.talks.values().flat_map(Talk::open) {
            let Asked::Fetch(readings, _) = asked else {
                continue;
            };
            for reading in readings {
                let (topic, partition) = super::topics::partition_of(reading.log);
                let has = self.topics[topic].has(partition);
                if has && reading.scan.next < self.ledger.end(reading.log) {
                    let what = format!("who waits for what is there is not answered: {reading:?}");
                    return Err(Violation::new(Kind::Stuck, what));
                }
            }
        }
        Ok(())
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

/// Whether it may stay open.
fn waits(asked: &Asked) -> bool {
    matches!(asked, Asked::Fetch(_, Wait::ForRecords))
}
