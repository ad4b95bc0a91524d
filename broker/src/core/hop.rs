//! What cores ask of each other, and the way there and back.
//!
//! Any core takes any request and forwards what another one owns. A request leaves only with its
//! slot reserved in `pending`, and what comes in is always taken, so
//! cores cannot wait for each other in a ring.

use bytes::BytesMut;
use leveret_engine::EngineError;
use leveret_engine::shard::{
    FetchSpec, FetchedPartition, OffsetSpec, Reply, RequestId, Watch, WatchId, Watched,
};
use leveret_engine::topology::{Command, TopicCommand, TopologyEntry};
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{CoreId, Level, LogId, Now};

use super::boundary::Action;
use super::installs::InstallNumber;
use super::kafka::Missed;
use super::pending::{Slot, Timed, Waiting};
use super::status::{CoreReport, PartitionReport};
use super::{Core, ForeignFetch};

/// A topic of more partitions than this is refused, or costs no more to place than so many.
const MOST_PLACED: u32 = 10_000;

/// What one core tells another.
#[derive(Debug)]
pub enum Message {
    /// Carry this out and send the answer back for this slot.
    Call(Slot, Call),
    /// The answer to a call of yours.
    Answer(Slot, Answer),
    /// A fetch of mine that you have need not wait for more: the asker has enough.
    Hurry(Slot),
    /// Nobody wants the answer to that fetch any more.
    Cancel(Slot),
    /// Watch one of your partitions for me.
    Watch(Watcher, Watch),
    /// I want no answer to that watch any more.
    Unwatch(Watcher),
    /// The answer to the watch that you gave this number.
    Watched(u64, Result<Watched, EngineError>),
    /// A durable change of the topology; from core 0.
    Install(InstallNumber, TopologyEntry),
    /// The change is in force here; to core 0.
    Installed(InstallNumber),
    /// A Kafka client asked me for what is not here; to core 0, which tells people.
    Missed(Missed),
    /// This core stops and has no request of its own under way any more.
    Drained,
}

/// Who watches: a core, and its number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watcher {
    /// The core that asks.
    pub core: CoreId,
    /// Its number for it, below 2^48.
    pub number: u64,
}

impl Watcher {
    const NUMBER_BITS: u32 = 48;

    /// What the engine of the core that is asked calls it.
    pub(super) fn id(self) -> WatchId {
        assert!(
            self.number >> Self::NUMBER_BITS == 0,
            "watches are counted from 0"
        );
        WatchId(u64::from(self.core.0) << Self::NUMBER_BITS | self.number)
    }

    /// Whom that name was made for.
    fn of(WatchId(id): WatchId) -> Self {
        Self {
            core: CoreId((id >> Self::NUMBER_BITS) as u16),
            number: id & ((1 << Self::NUMBER_BITS) - 1),
        }
    }
}

/// A request to the core that owns what it concerns.
#[derive(Debug)]
pub enum Call {
    /// Append a batch.
    Produce {
        /// To this log.
        log: LogId,
        /// Exactly one record batch, not validated yet.
        batch: BytesMut,
        /// Weakest level that satisfies the asker.
        level: Level,
    },
    /// Read partitions of that core.
    Fetch(FetchSpec),
    /// Look up an offset.
    Offset {
        /// In this log.
        log: LogId,
        /// What to look for.
        spec: OffsetSpec,
    },
    /// Change the topology; only core 0 does.
    Change(Command),
    /// Tell where these logs of that core stand.
    Describe(Vec<LogId>),
    /// Tell how that core is.
    Status,
}

impl Call {
    /// What it costs to carry it out and to answer it, beside the bytes of what it carries, in the
    /// units of [`slices`](super::slices).
    pub(super) fn work(&self) -> usize {
        match self {
            Self::Produce { batch, .. } => 1024 + batch.len() / 16,
            Self::Offset { .. } => 512,
            Self::Fetch(spec) => 128 * spec.partitions.len(),
            Self::Describe(logs) => 128 * logs.len(),
            Self::Change(Command::Topic(TopicCommand::Create { partitions, .. })) => {
                4096 + 16 * (*partitions).min(MOST_PLACED) as usize
            }
            Self::Change(_) | Self::Status => 4096,
        }
    }

    /// Whether and how its time until the answer is counted.
    pub(super) fn timed(&self, now: Now) -> Option<Timed> {
        match self {
            Self::Produce { .. } => Some(Timed::Produce(now.mono)),
            Self::Fetch(_) => Some(Timed::Fetch(now.mono)),
            _ => None,
        }
    }
}

/// What came of a call.
#[derive(Debug)]
pub enum Answer {
    /// The engine's.
    Engine(Reply),
    /// To [`Call::Describe`], in the order asked.
    Described(Vec<PartitionReport>),
    /// To [`Call::Status`].
    Status(Box<CoreReport>),
}

impl<P: BufPool> Core<P> {
    /// Has `owner` carry out `call` for whoever is `waiting`; the answer arrives at
    /// [`Core::answered`].
    pub(super) fn ask(&mut self, owner: CoreId, call: Call, waiting: Waiting, now: Now) {
        let slot = self.pending.add_timed(waiting, call.timed(now));
        self.dispatch_call(owner, slot, call, now);
    }

    /// As [`Core::ask`], for a slot that is reserved already.
    pub(super) fn dispatch_call(&mut self, owner: CoreId, slot: Slot, call: Call, now: Now) {
        self.slices.charge(call.work());
        if owner == self.id {
            self.carry_out(slot, call, now);
        } else {
            self.send(owner, Message::Call(slot, call));
        }
    }

    /// Carries out a call on this core; `slot` is where its answer goes.
    fn carry_out(&mut self, slot: Slot, call: Call, now: Now) {
        let request = RequestId(slot.0);
        match call {
            Call::Produce { log, batch, level } => {
                self.shard.produce(request, log, batch, level, now);
            }
            Call::Fetch(spec) => self.shard.fetch(request, spec, now),
            Call::Offset { log, spec } => self.shard.list_offsets(request, log, spec, now),
            Call::Change(command) => self.shard.submit(request, &command, now),
            Call::Describe(logs) => {
                let reports = logs.iter().map(|log| self.describe(*log)).collect();
                self.answered(slot, Answer::Described(reports), now);
            }
            Call::Status => {
                let report = Box::new(self.report(now));
                self.answered(slot, Answer::Status(report), now);
            }
        }
    }

    /// Takes another core's message.
    pub(super) fn take_message(&mut self, from: CoreId, message: Message, now: Now) {
        match message {
            Message::Call(asked, call) => {
                let slot = self.pending.add(Waiting::Peer {
                    core: from,
                    slot: asked,
                });
                if matches!(call, Call::Fetch(_)) {
                    self.foreign_fetches.insert(
                        ForeignFetch {
                            core: from,
                            slot: asked,
                        },
                        slot,
                    );
                }
                self.carry_out(slot, call, now);
            }
            Message::Answer(slot, answer) => self.answered(slot, answer, now),
            Message::Hurry(_) if self.shard.breaks(Mutation::NeverHurried) => {}
            Message::Hurry(slot) => {
                if let Some(own) = self.foreign_fetches.get(&ForeignFetch { core: from, slot }) {
                    self.shard.finish_fetch(RequestId(own.0));
                }
            }
            Message::Cancel(slot) => {
                let foreign = ForeignFetch { core: from, slot };
                if let Some(own) = self.foreign_fetches.remove(&foreign) {
                    self.shard.cancel(RequestId(own.0));
                    self.pending.take(own);
                }
            }
            Message::Watch(watcher, watch) => self.shard.watch(watcher.id(), watch, now),
            Message::Unwatch(watcher) => self.shard.unwatch(watcher.id()),
            Message::Watched(number, answer) => self.watched(number, answer, now),
            Message::Missed(missed) => self.tell_missed(missed),
            Message::Install(number, entry) => self.install(number, entry, now),
            Message::Installed(number) => self.installed(number, from, now),
            Message::Drained => self.stop.drained(from),
        }
    }

    /// An answer is there: it goes to whoever waits in that slot, if anybody still does.
    pub(super) fn answered(&mut self, slot: Slot, answer: Answer, now: Now) {
        let Some((waiting, timed)) = self.pending.take_timed(slot) else {
            if let Answer::Engine(Reply::Fetched(fetched)) = answer {
                let read = fetched.iter().map(FetchedPartition::read);
                self.thrown_away += read.sum::<usize>() as u64;
            }
            return;
        };
        if let Some(timed) = timed {
            let failed = matches!(answer, Answer::Engine(Reply::Failed(_)));
            self.latencies.note(timed, failed, now.mono);
        }
        match waiting {
            Waiting::Kafka(waiting) => self.kafka_answered(&waiting, answer, now),
            Waiting::Peer { core, slot } => {
                self.foreign_fetches.remove(&ForeignFetch { core, slot });
                self.send(core, Message::Answer(slot, answer));
            }
            Waiting::Part { gather, part } => self.gathered(gather, part, answer, now),
            Waiting::Native {
                conn,
                correlation,
                permit,
                ..
            } => {
                self.give_back_permit(conn, permit, now);
                self.native_answered(conn, correlation, answer, now);
            }
        }
    }

    /// The engine's replies go their ways.
    pub(super) fn take_replies(&mut self, now: Now) {
        while let Some((request, reply)) = self.shard.poll_reply() {
            self.answered(Slot(request.0), Answer::Engine(reply), now);
        }
    }

    /// The engine's answers to watches go to the cores that asked; those to this core's own may
    /// begin further ones, as far as their connections have room.
    pub(super) fn take_watched_logs(&mut self, now: Now) {
        while let Some((id, answer)) = self.shard.poll_watched() {
            let Watcher { core, number } = Watcher::of(id);
            if core == self.id {
                self.watched(number, answer, now);
            } else {
                self.send(core, Message::Watched(number, answer));
            }
        }
    }

    /// Every core but this one.
    pub(super) fn others(&self) -> impl Iterator<Item = CoreId> + use<P> {
        let own = self.id;
        (0..self.cores).map(CoreId).filter(move |core| *core != own)
    }

    pub(super) fn send(&mut self, to: CoreId, message: Message) {
        let action = Action::Mesh { to, message };
        match self.shard.breaks(Mutation::HopsOvertake) {
            true => self.actions.push_front(action),
            false => self.actions.push_back(action),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_is_found_by_its_name_again() {
        for (core, number) in [(0, 0), (3, 7), (u16::MAX, (1 << 48) - 1)] {
            let core = CoreId(core);
            let watcher = Watcher { core, number };
            assert_eq!(Watcher::of(watcher.id()), watcher);
        }
    }

    #[test]
    #[should_panic(expected = "counted from 0")]
    fn a_number_that_would_be_taken_for_another_core_is_none() {
        let core = CoreId(0);
        let number = 1 << 48;
        let _ = Watcher { core, number }.id();
    }
}
