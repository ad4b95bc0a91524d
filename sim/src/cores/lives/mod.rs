//! Brokers of one to four cores that crash, stop and start again, each time with another number of cores, on
//! one disk that loses and tears what was not made durable, under clients of both protocols.
//!
//! Clients connect, hang up, reset and pause, send halves, pipeline, name another core, produce at every level
//! (idempotent or not), read, wait for records, subscribe, and make, alter and delete topics. An oracle per kind of object
//! knows what must be true: `topics` of topics and their settings, the ledger of partitions. What one core has
//! acknowledged every core knows at once; what is under way is answered, and when it is quiet nothing is held.

mod acts;
mod answered;
mod asked;
mod dialogue;
mod ends;
mod kafka;
mod native;
mod quiet;
mod topics;

use std::collections::{BTreeMap, BTreeSet};

use leveret_broker::core::boundary::Protocol;
use leveret_engine::shard::ShardSettings;
use leveret_engine::topology::TopicSettings;
use leveret_storage::types::{LogId, Mono};

use super::{Conn, Setup, World};
use crate::clients::ledger::{Ledger, Scan};
use crate::clients::sender::Sender;
use crate::counters::Counters;
use crate::plan::Plan;
use crate::recovering::Interrupt;
use crate::rng::Rng;
use crate::trace::Trace;
use crate::violation::{Kind, Violation};
use asked::Asked;
use dialogue::{Dialogue, Ending};
use topics::Topic;

/// How often a broker is started.
const LIVES: (u64, u64) = (4, 8);
/// Things that clients do in a life, at most.
const ACTS: u64 = 40;
/// What may happen between two of them, at most.
const STEPS: u64 = 300;
/// Longest time between two of them, nanoseconds.
const IDLE: u64 = 100_000_000;
/// Longest batch, bytes.
const MAX_BATCH: u32 = 64 << 10;

/// Producers that are idempotent; behind them is one that is not.
const NUMBERED: usize = 2;

/// Names a connection of a client.
type DialogueId = u64;

/// Somebody who produces.
#[derive(Debug)]
struct Producer {
    /// Its id, once it was given one, with which it numbers its batches and sends again what may be lost.
    id: Option<i64>,
    /// Somebody asked for that.
    asked: bool,
    dialogue: Option<DialogueId>,
    /// What the ledger calls it on its present connection, if it has no id.
    number: i64,
    /// Batches that it made so, by partition.
    made: BTreeMap<LogId, i32>,
}

/// See the module.
struct Lives<'a> {
    rng: Rng,
    plan: Plan,
    trace: &'a mut Trace,
    counters: &'a mut Counters,
    world: World,
    topics: Vec<Topic>,
    ledger: Ledger,
    producers: Vec<Producer>,
    /// By producer and partition.
    senders: BTreeMap<(usize, LogId), Sender>,
    /// Those that send no more, as somebody wants their topic deleted.
    retired: BTreeSet<(usize, LogId)>,
    /// Ids that producers were given, ever.
    ids: BTreeSet<i64>,
    dialogues: BTreeMap<DialogueId, Dialogue>,
    dialogues_so_far: DialogueId,
    /// What each subscription was pushed, by its connection.
    subscribed: BTreeMap<DialogueId, Scan>,
    /// Connections that keep to no protocol to its end.
    strangers: Vec<Conn>,
    /// Numbers below 0 that producers without an id were called.
    unnumbered: i64,
    /// The broker was told to stop.
    stopping: bool,
}

/// Lets brokers live and die.
///
/// # Errors
/// A broken promise.
pub fn run(
    mut rng: Rng,
    plan: Plan,
    counters: &mut Counters,
    trace: &mut Trace,
) -> Result<(), Violation> {
    let producer = |_| Producer {
        id: None,
        asked: false,
        dialogue: None,
        number: 0,
        made: BTreeMap::new(),
    };
    let world = World::off(rng.fork());
    let mut lives = Lives {
        rng,
        plan,
        trace,
        counters,
        world,
        topics: Vec::new(),
        ledger: Ledger::default(),
        producers: (0..=NUMBERED).map(producer).collect(),
        senders: BTreeMap::new(),
        retired: BTreeSet::new(),
        ids: BTreeSet::new(),
        dialogues: BTreeMap::new(),
        dialogues_so_far: 0,
        subscribed: BTreeMap::new(),
        strangers: Vec::new(),
        unnumbered: 0,
        stopping: false,
    };
    let done = lives.live_on();
    lives.counters.handed_over += lives.world.moved();
    lives.counters.add_disk(&lives.world.disk.counters);
    done
}

impl Lives<'_> {
    fn live_on(&mut self) -> Result<(), Violation> {
        let lives = self.rng.between(LIVES.0, LIVES.1);
        let mut before = 0;
        for life in 1..=lives {
            let last = life == lives;
            let cores = self.begin()?;
            self.counters.recoveries += 1;
            self.counters.core_count_changes += u64::from(before != 0 && before != cores);
            before = cores;
            self.look_at_everything();
            if last || self.rng.chance(2, 3) {
                self.read_everything();
            }
            if !last {
                self.work()?;
            }
            match self.rng.below(6) {
                _ if last => self.rest()?,
                0 | 1 => self.rest()?,
                2 => self.stop()?,
                _ => {}
            }
            self.crash()?;
        }
        Ok(())
    }

    /// Starts a broker, through as many crashes of recovery as chance wants. How many cores it has.
    fn begin(&mut self) -> Result<usize, Violation> {
        let cores = self.rng.between(1, 4) as usize;
        loop {
            let setup = self.draw_setup(cores as u16);
            let interrupt = self.rng.chance(1, 5);
            let interrupt = interrupt.then(|| Interrupt::After(self.rng.magnitude(1, 300)));
            let salt = self.rng.next_u64();
            self.world.disk.change_speed();
            if self.world.start(&setup, salt, interrupt, self.trace)? {
                return Ok(cores);
            }
            self.counters.crashes_during_recovery += 1;
            self.crash()?;
        }
    }

    fn draw_setup(&mut self, cores: u16) -> Setup {
        let rng = &mut self.rng;
        // Mostly so little may wait for journal space that producers are refused.
        let defaults = ShardSettings::default();
        let patient = rng.chance(1, 4);
        let shard = ShardSettings {
            parked_requests: match patient {
                true => defaults.parked_requests,
                false => rng.between(1, 6) as usize,
            },
            parked_ns: match patient {
                true => defaults.parked_ns,
                false => rng.magnitude(1_000_000, 1 << 33),
            },
            woken: rng.between(1, 6) as usize,
            topics: TopicSettings {
                segment_bytes: 64 << 10,
                max_message_bytes: MAX_BATCH,
                ..TopicSettings::default()
            },
            ..defaults
        };
        Setup {
            max_batch_bytes: MAX_BATCH,
            request_bytes: *rng.pick(&[256 << 10, 1 << 20]),
            // Clients are silent for as long as it takes.
            hello_ns: 10_000_000_000,
            idle_ns: u64::MAX >> 8,
            mesh_ns: *rng.pick(&[0, 20_000, 2_000_000]),
            shard,
            store: self.plan.store.clone(),
            recovery: self.plan.recovery(usize::from(cores), 0),
            ..Setup::new(0, cores)
        }
    }

    fn now(&self) -> Mono {
        self.world.now().mono
    }

    fn work(&mut self) -> Result<(), Violation> {
        for _ in 0..self.rng.between(1, ACTS) {
            self.act();
            let until = self.now().after(IDLE);
            for _ in 0..self.rng.magnitude(1, STEPS) {
                if !self.turn(until)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The next thing happens that does until then, and clients hear of it and go on. False if nothing does.
    fn turn(&mut self, until: Mono) -> Result<bool, Violation> {
        if !self.world.step() {
            let resent = self.senders.values().filter_map(Sender::again_at);
            let resent = resent.filter(|at| *at > self.now());
            let due = self.world.next_due().into_iter().chain(resent).min();
            let Some(due) = due.filter(|due| *due <= until) else {
                return Ok(false);
            };
            self.world.advance(due);
            self.trace.note([due.0, 0, 0]);
        }
        if self.world.has_news() {
            self.hear()?;
        }
        self.send();
        Ok(true)
    }

    /// Everything happens until `done`.
    fn until(
        &mut self,
        patience: u64,
        what: &str,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<(), Violation> {
        let patience = self.now().after(patience);
        while !done(self) {
            if !self.turn(patience)? {
                let what = format!("it never comes to be that {what}; {}", self.open());
                return Err(Violation::new(Kind::Stuck, what));
            }
        }
        Ok(())
    }

    /// What is not answered, and whose batches are not acknowledged.
    fn open(&self) -> String {
        let dialogues = self.dialogues.iter().map(|(id, dialogue)| {
            let open: Vec<_> = dialogue.open().collect();
            format!(
                "{id} {:?} {:?} {open:.300?}; ",
                dialogue.protocol, dialogue.ending
            )
        });
        let senders = self.senders.iter().filter(|(_, sender)| !sender.is_done());
        let senders = senders.map(|((producer, log), _)| {
            let dialogue = self.producers[*producer].dialogue;
            format!("producer {producer} to {log} over {dialogue:?}; ")
        });
        dialogues.chain(senders).collect()
    }

    /// A new connection of a client, accepted by some core.
    fn connect(&mut self, protocol: Protocol) -> DialogueId {
        let core = self.rng.below(self.world.cores() as u64) as usize;
        self.connect_at(core, protocol)
    }

    fn connect_at(&mut self, core: usize, protocol: Protocol) -> DialogueId {
        let conn = self.world.connect(core, protocol);
        self.dialogues_so_far += 1;
        let id = self.dialogues_so_far;
        self.dialogues.insert(id, Dialogue::new(conn, protocol));
        let named = self.rng.chance(1, 2);
        let named = named.then(|| self.rng.below(5) as u16);
        self.ask(id, Asked::Hello(named));
        id
    }

    fn ask(&mut self, id: DialogueId, asked: Asked) {
        let Some(dialogue) = self
            .dialogues
            .get_mut(&id)
            .filter(|dialogue| dialogue.may_ask())
        else {
            return;
        };
        self.trace.say(format_args!(
            "{:>12} {id} {:?} asks {asked:.300?}",
            self.world.now().mono.0,
            dialogue.protocol
        ));
        self.trace.note([id, self.world.now().mono.0, 1]);
        self.counters.requests += 1;
        dialogue.ask(&mut self.world, &self.topics, asked);
    }

    /// A client ends a connection at once.
    fn hang_up(&mut self, id: DialogueId) {
        if let Some(dialogue) = self.dialogues.get_mut(&id) {
            dialogue.ending = Ending::AnyTime;
            self.world.reset(dialogue.conn);
        }
    }
}
