//! What clients do, one thing after the other.

use bytes::Bytes;
use leveret_broker::core::boundary::Protocol;
use leveret_record::{BatchBuilder, Compression};
use leveret_storage::types::{Level, LogId};

use super::asked::{Asked, Batch, Reading, Wait, What};
use super::dialogue::{Dialogue, Ending};
use super::topics::{Change, MOST_PARTITIONS, Setup, Topic, log_of, partition_of};
use super::{DialogueId, Lives, NUMBERED};
use crate::clients::ledger::{BatchKey, Scan};
use crate::clients::sender::{Sender, Taste};
use crate::cores::kafka as request;

/// Topics that are there at a time, at most.
const TOPICS: usize = 4;
/// Milliseconds to keep records: longer than any run.
const KEPT: (u64, u64) = (1 << 30, 1 << 40);
/// What idempotent producers send.
const TASTE: Taste = Taste {
    levels: &[Level::Synced, Level::Synced, Level::Written],
    values: &[40, 300, 3_000, 8_000],
};
/// Longest values of those that are not, bytes.
const VALUES: [u64; 4] = [40, 300, 3_000, 40_000];
/// Connections that keep to no protocol, at most.
const STRANGERS: usize = 8;

impl Lives<'_> {
    pub(super) fn act(&mut self) {
        match self.rng.below(32) {
            0..3 => self.change_something(),
            3..14 => self.produce_numbered(),
            14..18 => self.produce_unnumbered(),
            18..22 => self.read_something(Wait::Not),
            22..24 => self.read_something(Wait::ForRecords),
            24 => self.look_at_something(),
            25 if self.rng.chance(1, 2) => self.subscribe(),
            25 => self.end_a_dialogue(),
            26 => self.stall_a_dialogue(),
            27..30 => self.send_a_half(),
            30 => self.end_a_stranger(),
            _ => self.idle(),
        }
    }

    /// Some time passes.
    fn idle(&mut self) {
        let until = self.now().after(self.rng.magnitude(1_000, 100_000_000));
        let due = self.world.next_due();
        self.world.advance(due.unwrap_or(until).min(until));
    }

    // What is done to topics.

    fn change_something(&mut self) {
        let there: Vec<usize> = self.sure_topics().collect();
        if there.is_empty() || (there.len() < TOPICS && self.rng.chance(1, 2)) {
            return self.create_topic();
        }
        let topic = *self.rng.pick(&there);
        let setup = self.topics[topic].there().expect("chosen so");
        let change = match self.rng.below(4) {
            0 => Change::Delete,
            1 if setup.partitions < MOST_PARTITIONS => Change::Grow(
                self.rng
                    .between(u64::from(setup.partitions) + 1, u64::from(MOST_PARTITIONS))
                    as u32,
            ),
            _ => Change::Keep(self.kept()),
        };
        let id = self.some_dialogue(None);
        self.change(id, topic, change);
    }

    fn kept(&mut self) -> Option<u64> {
        let kept = self.rng.between(KEPT.0, KEPT.1);
        self.rng.chance(2, 3).then_some(kept)
    }

    fn create_topic(&mut self) {
        self.topics.push(Topic::new());
        let topic = self.topics.len() - 1;
        let setup = Setup {
            partitions: self.rng.between(1, 4) as u32,
            kept: self.kept(),
        };
        let id = self.some_dialogue(None);
        self.change(id, topic, Change::Create(setup));
        // Whoever sends more behind it over the same connection need not wait for the answer.
        if self.dialogues[&id].protocol == Protocol::Kafka && self.rng.chance(1, 2) {
            self.produce_plainly(id, &[log_of(topic, setup.partitions - 1)]);
        }
    }

    /// Asks for a change, and looks at what came of it over the same connection at once.
    fn change(&mut self, id: DialogueId, topic: usize, change: Change) {
        if change == Change::Delete {
            let of_it = |(_, log): &(usize, LogId)| partition_of(*log).0 == topic;
            let gone: Vec<_> = self.senders.keys().copied().filter(of_it).collect();
            self.senders.retain(|key, _| !of_it(key));
            self.retired.extend(gone);
        }
        self.topics[topic].begin(change);
        self.ask(id, Asked::Change(topic, change));
        if self.rng.chance(1, 2) {
            let version = self.topics[topic].version() + 1;
            self.look(id, topic, version);
        }
    }

    fn look(&mut self, id: DialogueId, topic: usize, version: u64) {
        for what in [What::Partitions, What::Kept] {
            self.ask(
                id,
                Asked::Look {
                    topic,
                    version,
                    what,
                },
            );
        }
    }

    fn look_at_something(&mut self) {
        if self.topics.is_empty() {
            return;
        }
        let topic = self.rng.below(self.topics.len() as u64) as usize;
        self.look_everywhere(topic);
    }

    /// Looks at a topic over connections to every core, native ones and Kafka's.
    pub(super) fn look_everywhere(&mut self, topic: usize) {
        if self.stopping {
            return;
        }
        for core in 0..self.world.cores() {
            // One of them learns the topic's id.
            let protocol = match core {
                0 => Protocol::Native,
                _ => *self.rng.pick(&[Protocol::Native, Protocol::Kafka]),
            };
            let id = self.dialogue_of(core, protocol);
            let version = self.topics[topic].version();
            self.look(id, topic, version);
        }
    }

    pub(super) fn look_at_everything(&mut self) {
        for topic in 0..self.topics.len() {
            self.look_everywhere(topic);
        }
    }

    /// A topic is no more.
    pub(super) fn forget(&mut self, topic: usize) {
        for partition in 0..MOST_PARTITIONS {
            self.ledger.forget(log_of(topic, partition));
        }
    }

    fn sure_topics(&self) -> impl Iterator<Item = usize> + '_ {
        let topics = self.topics.iter().enumerate();
        topics.filter_map(|(number, topic)| topic.there().map(|_| number))
    }

    fn partitions(&self) -> Vec<LogId> {
        let logs = self.sure_topics().flat_map(|topic| {
            let setup = self.topics[topic].there().expect("it is sure");
            (0..setup.partitions).map(move |partition| log_of(topic, partition))
        });
        logs.collect()
    }

    // What is done with records.

    /// Idempotent producers make batches, which are sent as soon as they may be.
    fn produce_numbered(&mut self) {
        let producer = self.rng.below(NUMBERED as u64) as usize;
        if self.producers[producer].dialogue.is_none() {
            let protocol = *self.rng.pick(&[Protocol::Native, Protocol::Kafka]);
            let id = self.connect(protocol);
            self.producers[producer].dialogue = Some(id);
        }
        let dialogue = self.producers[producer].dialogue.expect("just seen");
        let Some(id) = self.producers[producer].id else {
            if !self.producers[producer].asked && self.dialogues[&dialogue].may_ask() {
                self.producers[producer].asked = true;
                self.ask(dialogue, Asked::ProducerId(producer));
            }
            return;
        };
        let logs = self.partitions();
        if logs.is_empty() {
            return;
        }
        let timestamp = self.world.now().wall.0;
        for _ in 0..self.rng.between(1, 3) {
            let log = *self.rng.pick(&logs);
            if self.retired.contains(&(producer, log)) {
                continue;
            }
            let first = BatchKey {
                log,
                producer: id,
                sequence: 0,
            };
            let sender = self.senders.entry((producer, log));
            let sender = sender.or_insert_with(|| Sender::new(first));
            for _ in 0..self.rng.between(1, 3) {
                sender.make(&mut self.rng, timestamp, &mut self.ledger, &TASTE);
                self.counters.appends += 1;
            }
        }
    }

    /// Whatever idempotent producers may send leaves.
    pub(super) fn send(&mut self) {
        if self.stopping {
            return;
        }
        let now = self.now();
        for producer in 0..NUMBERED {
            let Some(dialogue) = self.producers[producer].dialogue else {
                continue;
            };
            let native = match self.dialogues.get(&dialogue) {
                Some(dialogue) if dialogue.may_ask() => dialogue.protocol == Protocol::Native,
                _ => continue,
            };
            let mut by_level: [Vec<Batch>; 2] = [Vec::new(), Vec::new()];
            let mut alone = Vec::new();
            for ((of, log), sender) in &mut self.senders {
                let (topic, _) = partition_of(*log);
                let known = !native || self.topics[topic].id.is_some();
                if *of != producer || !known || !self.topics[topic].has(partition_of(*log).1) {
                    continue;
                }
                // A request has one batch of a partition.
                let mut first = !native;
                while let Some(sent) = sender.send(now) {
                    let batch = Batch {
                        key: sent.key,
                        bytes: sent.bytes.freeze(),
                    };
                    let together = usize::from(sent.level != Level::Synced);
                    match std::mem::take(&mut first) {
                        true => by_level[together].push(batch),
                        false => alone.push((sent.level, batch)),
                    }
                }
            }
            let levels = [Level::Synced, Level::Written].into_iter();
            let together = levels.zip(by_level);
            let together = together.filter(|(_, batches)| !batches.is_empty());
            let alone = alone.into_iter().map(|(level, batch)| (level, vec![batch]));
            for (level, batches) in together.chain(alone) {
                let asked = Asked::Produce {
                    producer,
                    level,
                    batches,
                };
                self.ask(dialogue, asked);
            }
        }
    }

    /// A producer that is not idempotent sends batches over one connection, one behind the other.
    fn produce_unnumbered(&mut self) {
        let producer = NUMBERED;
        let logs = self.partitions();
        if logs.is_empty() {
            return;
        }
        let id = match self.producers[producer].dialogue {
            Some(id) if self.dialogues.get(&id).is_some_and(Dialogue::may_ask) => id,
            _ => {
                let protocol = *self.rng.pick(&[Protocol::Native, Protocol::Kafka]);
                let id = self.connect(protocol);
                self.unnumbered -= 1;
                let state = &mut self.producers[producer];
                state.dialogue = Some(id);
                state.number = self.unnumbered;
                state.made.clear();
                id
            }
        };
        for _ in 0..self.rng.between(1, 5) {
            let many = self.rng.between(1, 3);
            let mut some: Vec<LogId> = (0..many).map(|_| *self.rng.pick(&logs)).collect();
            some.sort_unstable();
            some.dedup();
            self.produce_plainly(id, &some);
        }
    }

    /// Sends a batch to each of these partitions. Whoever is not the producer of that connection is one that
    /// has no other batch.
    fn produce_plainly(&mut self, id: DialogueId, logs: &[LogId]) {
        let producer = NUMBERED;
        let native = self.dialogues[&id].protocol == Protocol::Native;
        let of_it = self.producers[producer].dialogue == Some(id);
        let level = *self
            .rng
            .pick(&[Level::Synced, Level::Synced, Level::Written, Level::Memory]);
        let mut batches = Vec::new();
        for &log in logs {
            if native && self.topics[partition_of(log).0].id.is_none() {
                continue;
            }
            let (number, sequence) = match of_it {
                true => {
                    let state = &mut self.producers[producer];
                    let made = state.made.entry(log).or_insert(0);
                    *made += 1;
                    (state.number, *made - 1)
                }
                false => {
                    self.unnumbered -= 1;
                    (self.unnumbered, 0)
                }
            };
            let key = BatchKey {
                log,
                producer: number,
                sequence,
            };
            let bytes = self.batch(key);
            self.ledger.send(key, bytes.clone());
            self.counters.appends += 1;
            batches.push(Batch { key, bytes });
        }
        if batches.is_empty() {
            return;
        }
        let requests: Vec<Vec<Batch>> = match native {
            true => batches.into_iter().map(|batch| vec![batch]).collect(),
            false => vec![batches],
        };
        for batches in requests {
            self.ask(
                id,
                Asked::Produce {
                    producer,
                    level,
                    batches,
                },
            );
        }
    }

    /// A batch like no other.
    fn batch(&mut self, key: BatchKey) -> Bytes {
        let mut builder = BatchBuilder::new(Compression::None);
        let most = *self.rng.pick(&VALUES);
        let name = format!("{key:?}");
        for record in 0..self.rng.between(1, 3) {
            let mut value = vec![0; self.rng.magnitude(1, most) as usize / 2 + 1];
            self.rng.fill(&mut value);
            let timestamp = self.world.now().wall.0 + record as i64;
            let pushed = builder.push(timestamp, Some(name.as_bytes()), Some(&value), &[]);
            pushed.expect("a small record");
        }
        builder.finish()
    }

    fn read_something(&mut self, wait: Wait) {
        let logs = self.partitions();
        if logs.is_empty() {
            return;
        }
        // What is asked behind one that waits may have to wait with it.
        let id = match wait {
            Wait::Not => self.some_dialogue(None),
            Wait::ForRecords => {
                let protocol = *self.rng.pick(&[Protocol::Native, Protocol::Kafka]);
                self.connect(protocol)
            }
        };
        let native = self.dialogues[&id].protocol == Protocol::Native;
        let many = self.rng.between(1, 4);
        let first = *self.rng.pick(&logs);
        let mut some: Vec<LogId> = (1..many).map(|_| *self.rng.pick(&logs)).collect();
        some.push(first);
        some.sort_unstable();
        some.dedup();
        if native {
            let (topic, _) = partition_of(first);
            if self.topics[topic].id.is_none() {
                return;
            }
            some.retain(|log| partition_of(*log).0 == topic);
        }
        self.read(id, &some, wait);
    }

    /// Has a partition pushed.
    fn subscribe(&mut self) {
        let known = |log: &LogId| self.topics[partition_of(*log).0].id.is_some();
        let logs: Vec<LogId> = self.partitions().into_iter().filter(known).collect();
        if logs.is_empty() {
            return;
        }
        let log = *self.rng.pick(&logs);
        let id = self.connect(Protocol::Native);
        self.ask(id, Asked::Subscribe(log));
    }

    /// Reads partitions from their beginning, or waits for what comes at their end.
    fn read(&mut self, id: DialogueId, logs: &[LogId], wait: Wait) {
        let reading = |log: &LogId| {
            let end = self.ledger.end(*log);
            let next = if wait == Wait::ForRecords { end } else { 0 };
            Reading {
                log: *log,
                scan: Scan::from(next),
                end,
            }
        };
        let readings = logs.iter().map(reading).collect();
        self.ask(id, Asked::Fetch(readings, wait));
    }

    /// Reads every partition that is surely there, each over some connection.
    pub(super) fn read_everything(&mut self) {
        for log in self.partitions() {
            let id = self.some_dialogue(Some(Protocol::Kafka));
            self.read(id, &[log], Wait::Not);
        }
    }

    // What is done with connections.

    /// A connection that is good for another request: one that is there, or a new one.
    fn some_dialogue(&mut self, protocol: Option<Protocol>) -> DialogueId {
        let good = |(id, dialogue): (&DialogueId, &Dialogue)| {
            let fits = protocol.is_none_or(|protocol| dialogue.protocol == protocol);
            let free = !self.producers.iter().any(|p| p.dialogue == Some(*id));
            let never = dialogue.ending == Ending::Never && !dialogue.stalled && !dialogue.waits();
            (fits && free && never).then_some(*id)
        };
        let good: Vec<DialogueId> = self.dialogues.iter().filter_map(good).collect();
        if good.is_empty() || self.rng.chance(1, 8) {
            let protocol = protocol.unwrap_or(*self.rng.pick(&[Protocol::Native, Protocol::Kafka]));
            return self.connect(protocol);
        }
        *self.rng.pick(&good)
    }

    /// A connection that this core serves.
    fn dialogue_of(&mut self, core: usize, protocol: Protocol) -> DialogueId {
        let fits = |(id, dialogue): (&DialogueId, &Dialogue)| {
            let there = self.world.served_by(dialogue.conn) == Some(core);
            let never = dialogue.ending == Ending::Never && !dialogue.stalled && !dialogue.waits();
            (there && never && dialogue.protocol == protocol).then_some(*id)
        };
        let found = self.dialogues.iter().find_map(fits);
        found.unwrap_or_else(|| self.connect_at(core, protocol))
    }

    /// A client goes, by a reset or once all is answered that it asked.
    fn end_a_dialogue(&mut self) {
        let all: Vec<DialogueId> = self.dialogues.keys().copied().collect();
        if all.is_empty() {
            return;
        }
        let id = *self.rng.pick(&all);
        let dialogue = self.dialogues.get_mut(&id).expect("chosen");
        if dialogue.ending == Ending::Never && !dialogue.stalled && self.rng.chance(1, 2) {
            dialogue.ending = Ending::HungUp;
            self.world.finish(dialogue.conn);
            self.counters.hung_up += 1;
        } else {
            self.hang_up(id);
        }
    }

    /// A client takes nothing for a while, or takes again what it is sent.
    fn stall_a_dialogue(&mut self) {
        let all: Vec<DialogueId> = self.dialogues.keys().copied().collect();
        if all.is_empty() {
            return;
        }
        let dialogue = self.dialogues.get_mut(self.rng.pick(&all)).expect("chosen");
        if dialogue.ending == Ending::HungUp {
            return;
        }
        dialogue.stalled = !dialogue.stalled;
        // Who takes nothing may be closed for others that want memory.
        dialogue.ending = Ending::AnyTime;
        self.world.stall(dialogue.conn, dialogue.stalled);
    }

    /// Somebody sends a part of a long request.
    fn send_a_half(&mut self) {
        if self.strangers.len() >= STRANGERS {
            return self.end_a_stranger();
        }
        let core = self.rng.below(self.world.cores() as u64) as usize;
        let conn = self.world.connect(core, Protocol::Kafka);
        let len = self.rng.between(1_000, 60_000) as usize;
        let batches = [("x", 0, len), ("y", 0, len)];
        let frame = request::produce(-1, &batches);
        let part = self.rng.between(1, frame.len() as u64 - 1) as usize;
        self.world.send(conn, &frame[..part]);
        self.strangers.push(conn);
    }

    fn end_a_stranger(&mut self) {
        if self.strangers.is_empty() {
            return;
        }
        let at = self.rng.below(self.strangers.len() as u64) as usize;
        let conn = self.strangers.swap_remove(at);
        match self.rng.chance(1, 2) {
            true => self.world.reset(conn),
            false => self.world.finish(conn),
        }
    }
}
