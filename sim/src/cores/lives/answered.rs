//! What clients are answered, held against what must be true.

use leveret_storage::types::{Level, LogId};

use super::asked::{Asked, Batch, Fetched, Reading, Refusal, Reply, Wait};
use super::topics::{Change, partition_of};
use super::{DialogueId, Lives};
use crate::clients::ledger::Hold;
use crate::violation::{Kind, Violation};

impl Lives<'_> {
    /// Hears every client, and what became of its connection.
    pub(super) fn hear(&mut self) -> Result<(), Violation> {
        let all: Vec<DialogueId> = self.dialogues.keys().copied().collect();
        for id in all {
            let Some(dialogue) = self.dialogues.get_mut(&id) else {
                continue;
            };
            for (asked, reply) in dialogue.hear(&mut self.world)? {
                self.trace.say(format_args!(
                    "{:>12} {id} {asked:.300?} is answered {reply:.300?}",
                    self.world.now().mono.0
                ));
                self.take(id, asked, reply)?;
            }
            if self
                .dialogues
                .get(&id)
                .is_some_and(|t| !self.world.is_open(t.conn))
            {
                self.lose(id)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, id: DialogueId, asked: Asked, reply: Reply) -> Result<(), Violation> {
        self.counters.answers += 1;
        match (asked, reply) {
            (Asked::Hello(_), Reply::Hello) => Ok(()),
            (Asked::ProducerId(producer), Reply::ProducerId(reply)) => {
                self.take_id(id, producer, reply)
            }
            (
                Asked::Produce {
                    producer,
                    level,
                    batches,
                },
                Reply::Produced(results),
            ) => {
                same_count(batches.len(), results.len())?;
                for (batch, result) in batches.into_iter().zip(results) {
                    self.produced(id, producer, level, &batch, result)?;
                }
                Ok(())
            }
            (Asked::Fetch(readings, wait), Reply::Fetched(results)) => {
                same_count(readings.len(), results.len())?;
                self.fetched(id, readings, wait, results)
            }
            (Asked::Change(topic, change), Reply::Changed(result)) => {
                self.changed(id, topic, change, result)
            }
            (Asked::Subscribe(_), Reply::Subscribed) => Ok(()),
            (Asked::Subscribe(log), Reply::Pushed(result)) => self.pushed(id, log, result),
            (
                Asked::Look {
                    topic,
                    version,
                    what: _,
                },
                Reply::Seen(Ok(seen)),
            ) => self.topics[topic].look(topic, version, seen),
            (
                Asked::Hello(_) | Asked::Look { .. },
                Reply::Changed(Err(Refusal::Stopping)) | Reply::Seen(Err(Refusal::Stopping)),
            ) if self.may_refuse(id) => Ok(()),
            (asked, reply) => {
                let what = format!("{asked:?} was answered {reply:?}");
                Err(Violation::new(Kind::WrongData, what))
            }
        }
    }

    /// Whether the broker may refuse what that client asks because it stops: not if it was under way.
    fn may_refuse(&self, id: DialogueId) -> bool {
        self.stopping
            && self
                .dialogues
                .get(&id)
                .is_none_or(|dialogue| !dialogue.owed)
    }

    fn take_id(
        &mut self,
        dialogue: DialogueId,
        producer: usize,
        reply: Result<i64, Refusal>,
    ) -> Result<(), Violation> {
        self.producers[producer].asked = false;
        match reply {
            Ok(id) if self.ids.insert(id) => {
                self.producers[producer].id.get_or_insert(id);
                Ok(())
            }
            Ok(id) => {
                let what = format!("producer id {id} was given twice");
                Err(Violation::new(Kind::WrongData, what))
            }
            Err(Refusal::Again) => Ok(()),
            Err(Refusal::Stopping) if self.may_refuse(dialogue) => Ok(()),
            Err(error) => {
                let what = format!("a producer gets no id: {error:?}");
                Err(Violation::new(Kind::WrongData, what))
            }
        }
    }

    /// Somebody was told that there is no such partition.
    fn unknown(&self, log: LogId) -> Result<(), Violation> {
        let (topic, partition) = partition_of(log);
        if !self.topics[topic].has(partition) {
            return Ok(());
        }
        let what = format!("partition {partition} of topic {topic}, which is there, is not known");
        Err(Violation::new(Kind::Lost, what))
    }

    fn produced(
        &mut self,
        id: DialogueId,
        producer: usize,
        level: Level,
        batch: &Batch,
        result: Result<u64, Refusal>,
    ) -> Result<(), Violation> {
        let key = batch.key;
        let (topic, _) = partition_of(key.log);
        if self.topics[topic].may_be_gone() {
            return Ok(());
        }
        let stops = self.may_refuse(id);
        let sender = self.senders.get_mut(&(producer, key.log));
        match result {
            Ok(base) => {
                self.counters.acknowledged += 1;
                match level {
                    Level::Memory => {}
                    Level::Written => self.ledger.hold(key, base, Hold::UntilPowerCut)?,
                    Level::Synced => self.ledger.place(key, base)?,
                }
                // No protocol says of an answer whether its batch was there already.
                let in_order = sender.is_none_or(|sender| {
                    sender.acknowledge(key) || sender.acknowledge_again(key, true)
                });
                if in_order {
                    return Ok(());
                }
                let what = format!("{key:?} was acknowledged before an earlier batch");
                Err(Violation::new(Kind::Frontier, what))
            }
            Err(Refusal::Again) => {
                self.refuse(producer, key.log);
                Ok(())
            }
            Err(Refusal::Stopping) if stops => {
                self.refuse(producer, key.log);
                Ok(())
            }
            Err(Refusal::OutOfOrder) if sender.is_none_or(|sender| sender.is_refused()) => {
                self.refuse(producer, key.log);
                Ok(())
            }
            // Nobody knows whether it is there: it is sent again over another connection, behind all that is
            // under way on this one.
            Err(Refusal::TimedOut) => {
                self.hang_up(id);
                Ok(())
            }
            Err(Refusal::Unknown) => self.unknown(key.log),
            Err(error) => {
                let what = format!("{key:?} was answered {error:?}");
                Err(Violation::new(Kind::MachineState, what))
            }
        }
    }

    fn refuse(&mut self, producer: usize, log: LogId) {
        self.counters.refusals += 1;
        let pause = self.rng.magnitude(1_000_000, 200_000_000);
        let coming = self.rng.below(3) as usize;
        let again_at = self.world.now().mono.after(pause);
        if let Some(sender) = self.senders.get_mut(&(producer, log)) {
            sender.refuse(again_at, coming);
        }
    }

    fn fetched(
        &mut self,
        id: DialogueId,
        readings: Vec<Reading>,
        wait: Wait,
        results: Vec<Result<Fetched, Refusal>>,
    ) -> Result<(), Violation> {
        let alone = readings.len() == 1;
        let mut further = Vec::new();
        for (mut reading, result) in readings.into_iter().zip(results) {
            let log = reading.log;
            let (topic, _) = partition_of(log);
            if self.topics[topic].may_be_gone() {
                continue;
            }
            let fetched = match result {
                Ok(fetched) => fetched,
                Err(Refusal::Unknown) => {
                    self.unknown(log)?;
                    continue;
                }
                Err(Refusal::Stopping) if self.may_refuse(id) => continue,
                Err(error) => {
                    let what = format!("{log:?} from {}: {error:?}", reading.scan.next);
                    return Err(Violation::new(Kind::ReadFailed, what));
                }
            };
            let before = reading.scan.next;
            let records = [fetched.records];
            if wait == Wait::ForRecords {
                self.ledger.see(log, &records)?;
                continue;
            }
            self.ledger.scan(log, &mut reading.scan, &records)?;
            self.counters.entries_read += 1;
            let next = reading.scan.next;
            if next >= fetched.high_watermark {
                self.ledger.finish(log, &reading.scan, reading.end)?;
                continue;
            }
            if next == before && alone && !self.stopping {
                let what = format!("a fetch of {log:?} from {before} gives nothing");
                return Err(Violation::new(Kind::ReadFailed, what));
            }
            further.push(reading);
        }
        if !further.is_empty() && !self.stopping {
            self.ask(id, Asked::Fetch(further, Wait::Not));
        }
        Ok(())
    }

    /// A subscription is pushed all there is, from the beginning, in order.
    fn pushed(
        &mut self,
        id: DialogueId,
        log: LogId,
        result: Result<Fetched, Refusal>,
    ) -> Result<(), Violation> {
        let (topic, _) = partition_of(log);
        if self.topics[topic].may_be_gone() {
            return Ok(());
        }
        match result {
            Ok(pushed) => {
                self.counters.pushes += 1;
                let scan = self.subscribed.entry(id).or_default();
                self.ledger.scan(log, scan, &[pushed.records])
            }
            Err(Refusal::Unknown) => self.unknown(log),
            Err(Refusal::Stopping) if self.stopping => Ok(()),
            Err(error) => {
                let what = format!("a subscription to {log:?} ends: {error:?}");
                Err(Violation::new(Kind::ReadFailed, what))
            }
        }
    }

    fn changed(
        &mut self,
        id: DialogueId,
        topic: usize,
        change: Change,
        result: Result<(), Refusal>,
    ) -> Result<(), Violation> {
        match result {
            Ok(()) => self.topics[topic].end(true),
            Err(Refusal::Again) => self.topics[topic].end(false),
            Err(Refusal::Stopping) if self.may_refuse(id) => self.topics[topic].end(false),
            Err(error) => {
                let what = format!("{change:?} of topic {topic} was answered {error:?}");
                return Err(Violation::new(Kind::WrongData, what));
            }
        }
        match change {
            Change::Delete if result.is_ok() => {
                self.counters.drops += 1;
                self.forget(topic);
            }
            _ => self.counters.alterations += u64::from(result.is_ok()),
        }
        // Whatever core is asked next knows.
        self.look_everywhere(topic);
        Ok(())
    }
}

fn same_count(asked: usize, answered: usize) -> Result<(), Violation> {
    if asked == answered {
        return Ok(());
    }
    let what = format!("{asked} lines were asked for, {answered} came");
    Err(Violation::new(Kind::WrongData, what))
}
