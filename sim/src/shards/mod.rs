//! The same crashes one floor up: the engine's shards with idempotent producers, fetches and the
//! topology's own log.
//!
//! Acknowledged batches are where they were acknowledged, once, after every crash; a batch that is
//! sent again gets its first offset; a topic that was acknowledged exists, as it was acknowledged
//! last or as somebody wanted it since, until it is deleted. What nobody could read is refused, what
//! a header says is true, and who waits at the high watermark is not kept waiting. What storage
//! promises in detail is the business of [`crate::world`].

mod replies;
mod topics;

use std::collections::BTreeMap;

use leveret_engine::shard::{
    FetchPartition, FetchSpec, FetchWork, Reply, RequestId, Shard, ShardEvent, ShardSettings,
};
use leveret_engine::topology::{
    TOPOLOGY_LOG, TopicName, TopicSettings, Topology, TopologySettings,
};
use leveret_storage::types::{Level, LogId, Mono, Now, Offset, WallMs};

use crate::clients::ledger::{BatchKey, Ledger, Scan};
use crate::clients::liars::unreadable;
use crate::clients::sender::{Sender, Sent, Taste};
use crate::counters::Counters;
use crate::disk::{Client, Crash, Disk, SimPool};
use crate::plan::{PATIENCE, Plan, WALL};
use crate::recovering::{Ground, Interrupt};
use crate::rng::Rng;
use crate::trace::{Trace, describe};
use crate::violation::{Kind, Violation};
use crate::world::STORM;
use replies::PRODUCERS;
use topics::{Going, Known};

/// What producers send.
const TASTE: Taste = Taste {
    levels: &[Level::Synced, Level::Synced, Level::Written, Level::Memory],
    values: &[40, 300, 3_000],
};

/// What a request was for.
#[derive(Debug)]
enum Asked {
    Produce(usize, BatchKey, Level),
    /// A batch that has to be refused.
    Lie(LogId),
    Read(LogId, Scan),
    /// From an offset that an acknowledgement told.
    Tail(LogId, Offset),
    Create(TopicName),
    Alter(TopicName),
    Delete(TopicName),
}

impl Asked {
    /// The partition that it concerns alone.
    fn log(&self) -> Option<LogId> {
        match self {
            Self::Produce(_, key, _) => Some(key.log),
            Self::Lie(log) | Self::Read(log, _) | Self::Tail(log, _) => Some(*log),
            Self::Create(_) | Self::Alter(_) | Self::Delete(_) => None,
        }
    }
}

/// Shards of one seed, and their clients.
pub struct ShardWorld {
    rng: Rng,
    plan: Plan,
    disk: Disk,
    /// What happened so far.
    pub counters: Counters,
    /// Hears everything.
    pub trace: Trace,
    now: Mono,
    at_this_instant: u64,
    shards: Vec<Shard<SimPool>>,
    homes: BTreeMap<LogId, usize>,
    asked: BTreeMap<RequestId, Asked>,
    requests: u64,
    ledger: Ledger,
    senders: BTreeMap<usize, Sender>,
    /// Ids of producers that were given away.
    producers: i64,
    /// Topics whose creation was acknowledged.
    topics: BTreeMap<TopicName, Known>,
    /// What is to be deleted, and is deleted.
    going: Going,
    cores: usize,
    flushed: usize,
}

impl ShardWorld {
    /// A new device, nothing running.
    #[must_use]
    pub fn new(mut rng: Rng, plan: Plan, trace: Trace) -> Self {
        let disk = Disk::new(rng.fork());
        Self {
            rng,
            plan,
            disk,
            counters: Counters::default(),
            trace,
            now: Mono(1),
            at_this_instant: 0,
            shards: Vec::new(),
            homes: BTreeMap::new(),
            asked: BTreeMap::new(),
            requests: 0,
            ledger: Ledger::default(),
            senders: BTreeMap::new(),
            producers: PRODUCERS,
            topics: BTreeMap::new(),
            going: Going::default(),
            cores: 0,
            flushed: 0,
        }
    }

    /// Adds what the device counted.
    pub fn count_disk(&mut self) {
        self.counters.add_disk(&self.disk.counters);
    }

    /// Runs the seed.
    ///
    /// # Errors
    /// A broken promise.
    pub fn live_on(&mut self) -> Result<(), Violation> {
        for _ in 0..self.plan.lives {
            let cores = self.rng.between(1, self.plan.cores) as usize;
            while !self.start(cores)? {
                self.counters.crashes_during_recovery += 1;
                self.crash();
            }
            self.work()?;
            match self.rng.below(6) {
                0 => self.settle()?,
                1 => self.stop()?,
                _ => {}
            }
            self.crash();
        }
        while !self.start(1)? {
            self.crash();
        }
        self.settle()?;
        self.read_everything()?;
        self.settle()
    }

    fn now(&self) -> Now {
        Now {
            mono: self.now,
            wall: WallMs(WALL + (self.now.0 / 1_000_000) as i64),
        }
    }

    /// Recovers and opens the shards; false if recovery was interrupted.
    fn start(&mut self, cores: usize) -> Result<bool, Violation> {
        let interrupt = self.rng.chance(1, 5);
        let interrupt = interrupt.then(|| Interrupt::After(self.rng.magnitude(1, 300)));
        let salt = self.rng.next_u64();
        self.disk.change_speed();
        let ground = Ground {
            disk: &mut self.disk,
            trace: &mut self.trace,
            now: &mut self.now,
            config: self.plan.recovery(cores, salt),
            device_fails: self.plan.device_fails(),
        };
        let Some(recovered) = ground.recover(interrupt)? else {
            return Ok(false);
        };
        self.counters.recoveries += 1;
        self.counters.core_count_changes += u64::from(self.cores != 0 && self.cores != cores);
        self.cores = cores;
        self.homes.clear();
        let now = self.now();
        // Mostly so little may wait for space that producers are refused when the journal is full.
        let defaults = ShardSettings::default();
        let patient = self.rng.chance(1, 4);
        let (most, longest) = (
            self.rng.between(1, 6),
            self.rng.magnitude(1_000_000, 1 << 33),
        );
        let settings = ShardSettings {
            parked_requests: if patient {
                defaults.parked_requests
            } else {
                most as usize
            },
            parked_ns: if patient { defaults.parked_ns } else { longest },
            // So few that readers stand in line.
            woken: most as usize,
            topics: TopicSettings {
                segment_bytes: 64 << 10,
                ..TopicSettings::default()
            },
            ..defaults
        };
        let lost = |e: &dyn std::fmt::Display| Violation::new(Kind::Lost, e.to_string());
        let topics = TopologySettings {
            defaults: settings.topics,
            ..TopologySettings::default()
        };
        let topology = Topology::recovered(&recovered, topics).map_err(|error| lost(&error))?;
        let found = recovered.cores.iter().flat_map(|core| &core.logs);
        let found: Vec<LogId> = found.map(|log| log.id).collect();
        for core in recovered.cores {
            let (config, pool) = (self.plan.store.clone(), SimPool::default());
            let shard = Shard::open(settings, config, pool, core, &topology, now);
            let shard = shard.map_err(|e| Violation::new(Kind::MachineState, e.to_string()))?;
            self.shards.push(shard);
        }
        self.meet_topics(&topology, &found)?;
        self.read_everything()?;
        self.pump()?;
        Ok(true)
    }

    /// Every topic is there, with its partitions on the cores of their slots, and of what was deleted
    /// nothing.
    fn meet_topics(&mut self, topology: &Topology, found: &[LogId]) -> Result<(), Violation> {
        for topic in topology.topics() {
            let core = |slot| usize::from(topology.homes().core(slot).0);
            let logs = topic.logs().map(|(log, slot)| (log, core(slot)));
            self.homes.extend(logs);
        }
        self.check_deletions()?;
        self.check_topics()?;
        self.check_orphans(topology, found)
    }

    fn crash(&mut self) {
        if !self.shards.is_empty() {
            self.note_ordered();
        }
        for shard in self.shards.drain(..) {
            let stats = shard.stats().store;
            self.counters.journal_laps += stats.laps;
            self.counters.full_rings += stats.full;
            self.counters.extents += stats.extents;
            self.counters.extents_with_tails += stats.extents_with_tail;
            self.counters.copy_forwards += stats.copy_forwards;
            self.counters.commits += stats.commits;
        }
        self.asked.clear();
        for sender in self.senders.values_mut() {
            sender.disconnect(&mut self.rng);
        }
        let crash = match self.rng.below(3) {
            0 => Crash::Kill,
            _ => Crash::Power,
        };
        self.counters.crashes += 1;
        match crash {
            Crash::Power => self.counters.power_cuts += 1,
            _ => self.counters.kills += 1,
        }
        self.trace
            .say(format_args!("{:>12} ==== {crash:?} ====", self.now.0));
        self.disk.crash(crash);
        self.flushed = 0;
    }

    fn ask(&mut self, asked: Asked) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.trace
            .say(format_args!("{:>12} {request:?} {asked:?}", self.now.0));
        self.asked.insert(request, asked);
        request
    }

    fn work(&mut self) -> Result<(), Violation> {
        for _ in 0..self.rng.between(1, self.plan.actions) {
            match self.rng.below(20) {
                0 if self.topics.len() < 4 => self.create_topic(),
                1..4 => self.read_one(),
                4 => self.pass(self.now.after(100_000_000))?,
                5 | 6 if !self.topics.is_empty() => self.alter_topic(),
                7 if !self.topics.is_empty() => self.delete_topic(),
                8 => self.lie(),
                _ => self.produce_some(),
            }
            self.pump()?;
            for _ in 0..self.rng.magnitude(1, 60) {
                if !self.step()? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn produce_some(&mut self) {
        if self.senders.is_empty() {
            return self.create_topic();
        }
        let at = self.rng.below(self.senders.len() as u64) as usize;
        let timestamp = self.now().wall.0;
        let sender = self.senders.values_mut().nth(at).expect("counted");
        if self.rng.chance(1, self.plan.turnover) {
            self.producers += 1;
            sender.succeed(self.producers);
        }
        for _ in 0..self.rng.between(1, 4) {
            sender.make(&mut self.rng, timestamp, &mut self.ledger, &TASTE);
            self.counters.appends += 1;
        }
    }

    /// Somebody sends what nobody could read.
    fn lie(&mut self) {
        let Some(log) = self.pick_partition() else {
            return;
        };
        let now = self.now();
        let batch = unreadable(&mut self.rng, now.wall.0);
        let request = self.ask(Asked::Lie(log));
        self.shards[self.homes[&log]].produce(request, log, batch, Level::Written, now);
    }

    /// Hands to the shards whatever producers may send.
    fn send(&mut self) {
        let all: Vec<usize> = self.senders.keys().copied().collect();
        for at in all {
            let sender = |world: &mut Self| world.senders.get_mut(&at)?.send(world.now);
            while let Some(Sent { key, bytes, level }) = sender(self) {
                let request = self.ask(Asked::Produce(at, key, level));
                let now = self.now();
                let shard = &mut self.shards[self.homes[&key.log]];
                shard.produce(request, key.log, bytes, level, now);
                // What comes next may come when something else has happened.
                if self.disk.next_completion().is_some() && self.rng.chance(1, 3) {
                    break;
                }
            }
        }
    }

    fn partitions(&self) -> Vec<LogId> {
        let logs = self.homes.keys().copied();
        logs.filter(|log| *log != TOPOLOGY_LOG).collect()
    }

    fn pick_partition(&mut self) -> Option<LogId> {
        let logs = self.partitions();
        (!logs.is_empty()).then(|| *self.rng.pick(&logs))
    }

    fn read_one(&mut self) {
        if let Some(log) = self.pick_partition() {
            self.read_on(log, Scan::default());
        }
    }

    fn read_everything(&mut self) -> Result<(), Violation> {
        for log in self.partitions() {
            self.read_on(log, Scan::default());
        }
        self.pump()
    }

    fn read_on(&mut self, log: LogId, scan: Scan) {
        let offset = Offset(scan.next);
        let max_bytes = self.rng.magnitude(100, 50_000) as usize;
        let request = self.ask(Asked::Read(log, scan));
        let spec = FetchSpec {
            partitions: vec![FetchPartition {
                log,
                offset,
                max_bytes,
            }],
            max_bytes,
            min_bytes: 0,
            max_wait: 0,
            work: FetchWork::Read,
        };
        let now = self.now();
        self.shards[self.homes[&log]].fetch(request, spec, now);
    }

    /// Reads on from an offset that was acknowledged, as whoever follows his own record does.
    fn follow(&mut self, log: LogId, from: Offset) {
        let request = self.ask(Asked::Tail(log, from));
        let partition = FetchPartition {
            log,
            offset: from,
            max_bytes: 10_000,
        };
        let spec = FetchSpec {
            partitions: vec![partition],
            max_bytes: 10_000,
            min_bytes: 1,
            max_wait: self.rng.magnitude(1, 1_000_000_000),
            work: FetchWork::Read,
        };
        let now = self.now();
        self.shards[self.homes[&log]].fetch(request, spec, now);
    }

    fn settle(&mut self) -> Result<(), Violation> {
        let until = self.now.after(PATIENCE);
        loop {
            self.pump()?;
            if self.asked.is_empty() && self.senders.values().all(Sender::is_done) {
                return Ok(());
            }
            if !self.step()? || self.now > until {
                let what = format!("{} requests are never answered", self.asked.len());
                return Err(Violation::new(Kind::Stuck, what));
            }
        }
    }

    fn stop(&mut self) -> Result<(), Violation> {
        let now = self.now();
        for shard in &mut self.shards {
            shard.begin_stop(now);
        }
        let until = self.now.after(PATIENCE);
        self.drain_all()?;
        while self.flushed < self.shards.len() {
            if !self.turn()? || self.now > until {
                return Err(Violation::new(Kind::Stuck, "the stop does not finish"));
            }
        }
        self.counters.clean_stops += 1;
        Ok(())
    }

    fn pass(&mut self, until: Mono) -> Result<(), Violation> {
        while self.now < until && self.step()? {}
        self.now = self.now.max(until);
        Ok(())
    }

    /// The next thing happens, and clients go on. False if nothing ever will.
    fn step(&mut self) -> Result<bool, Violation> {
        let moved = self.turn()?;
        self.pump()?;
        Ok(moved)
    }

    fn turn(&mut self) -> Result<bool, Violation> {
        let deadline = self.shards.iter().filter_map(Shard::poll_timeout).min();
        let completion = self.disk.next_completion();
        let now = self.now;
        let senders = self.senders.values().filter_map(Sender::again_at);
        let sender = senders.filter(|at| *at > now).min();
        let Some(at) = [deadline, completion, sender].into_iter().flatten().min() else {
            return Ok(false);
        };
        if at > self.now {
            self.now = at;
            self.at_this_instant = 0;
        }
        self.count_step()?;
        let now = self.now();
        self.trace.note([self.now.0, 0, 0]);
        if completion.is_some_and(|completion| completion <= self.now) {
            let done = self.disk.complete().expect("due");
            self.trace.note([done.id.0, u64::from(done.client.0), 1]);
            let shard = &mut self.shards[usize::from(done.client.0)];
            shard.handle_completion(done.id, done.result, now);
        } else {
            for shard in &mut self.shards {
                if shard.poll_timeout().is_some_and(|at| at <= now.mono) {
                    shard.handle_timeout(now);
                }
            }
        }
        self.drain_all()?;
        self.check_readers()?;
        Ok(true)
    }

    /// Lets clients send, and carries everything on until it is quiet.
    fn pump(&mut self) -> Result<(), Violation> {
        self.send();
        self.drain_all()
    }

    /// Something happens without time passing; too much of it is a violation.
    fn count_step(&mut self) -> Result<(), Violation> {
        self.at_this_instant += 1;
        if self.at_this_instant > STORM {
            let what = "busy for ever without time passing";
            return Err(Violation::new(Kind::Stuck, what));
        }
        Ok(())
    }

    fn drain_all(&mut self) -> Result<(), Violation> {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for core in 0..self.shards.len() {
                while let Some((id, op)) = self.shards[core].poll_op() {
                    self.count_step()?;
                    self.trace.say(format_args!(
                        "{:>12} core {core} {id:?} {}",
                        self.now.0,
                        describe(&op)
                    ));
                    self.disk.submit(self.now, Client(core as u16), id, op);
                    quiet = false;
                }
                while let Some((request, reply)) = self.shards[core].poll_reply() {
                    self.count_step()?;
                    self.handle_reply(request, reply)?;
                    quiet = false;
                }
                while let Some((request, entry)) = self.shards[core].poll_change() {
                    self.count_step()?;
                    self.handle_reply(request, Reply::Topology(entry))?;
                    quiet = false;
                }
                while let Some(event) = self.shards[core].poll_event() {
                    quiet = false;
                    match event {
                        ShardEvent::Flushed => self.flushed += 1,
                        other => return Err(Violation::new(Kind::Stuck, format!("{other:?}"))),
                    }
                }
            }
        }
        Ok(())
    }
}
