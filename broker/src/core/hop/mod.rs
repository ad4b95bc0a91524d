//! What cores ask of each other, and the way there and back.
//!
//! Any core takes any request and forwards what another one owns. A call leaves only with its
//! slot reserved, and what comes in is always taken, so
//! cores cannot wait for each other in a ring. Calls come in families, a file each: `family` says what
//! one declares, and has the list of them. What has more than one answer is a `stream`.

mod append;
mod ask_group;
mod ask_nobody;
mod change_topics;
mod create_coordinators;
mod describe;
mod family;
mod fetch;
mod find_offset;
mod foreign;
mod report;
mod reserve_ids;
mod stream;
#[cfg(test)]
mod toy;
mod watch;

use leveret_engine::EngineError;
use leveret_engine::shard::{Reply, RequestId};
use leveret_engine::topology::TopologyEntry;
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{CoreId, Now};

use super::Core;
use super::boundary::Action;
use super::installs::InstallNumber;
use super::kafka::Missed;
use super::pending::{Part, Slot, Waiting};

pub(super) use append::{AppendBatch, Producer};
pub(super) use ask_group::{AskGroup, Awaits, GroupHome, Unmade};
pub(super) use ask_nobody::AskNobody;
pub(super) use change_topics::ChangeTopics;
pub(super) use create_coordinators::CreateCoordinators;
pub(super) use describe::DescribeLogs;
use family::{Answer, Call};
pub(super) use family::{Families, Family, FanOutId, Listed, Outstanding};
use fetch::FetchNews;
pub(super) use fetch::FetchRecords;
pub(super) use find_offset::FindOffset;
pub(super) use foreign::Foreign;
pub(super) use report::ReportStatus;
pub(super) use reserve_ids::ReserveIds;
use stream::News;
pub(super) use stream::StreamNumber;
#[cfg(test)]
pub(super) use toy::CountRecords;
pub(super) use watch::{NextRecords, WatchPartition, WatchedLogs};

/// What one core tells another. It means something to cores only.
#[derive(Debug)]
pub struct Message(Content);

impl Message {
    /// Whether the core that gets it is to carry something out.
    #[must_use]
    pub fn asks(&self) -> bool {
        match &self.0 {
            Content::Call(_) => true,
            Content::Stream(news) => news.asks(),
            _ => false,
        }
    }
}

/// What a message says.
#[derive(Debug)]
pub(super) enum Content {
    /// Carry this out, and send the answer back.
    Call(Call),
    /// The answer to a call of yours.
    Answer(Answer),
    /// Of a fetch of mine that you have.
    Fetch(FetchNews),
    /// Nobody wants the answer any more to a call of mine that you have.
    CancelGroupCall(Slot<AskGroup>),
    /// Of a stream between us.
    Stream(News),
    /// A durable change of the topology; from core 0.
    Install(InstallNumber, TopologyEntry),
    /// The change is in force here; to core 0.
    Installed(InstallNumber),
    /// A Kafka client asked me for what is not here; to core 0, which tells people.
    Missed(Missed),
    /// This core stops and has no request of its own under way any more.
    Drained,
}

impl<P: BufPool> Core<P> {
    /// Has `owner` carry out a call that completes a client's request.
    pub(super) fn ask<F: Listed>(&mut self, owner: CoreId, call: F, client: F::Client, now: Now) {
        let slots = &mut F::of_mut(&mut self.families).slots;
        let slot = slots.add(Waiting::Client(client), now.mono);
        self.dispatch_call(owner, slot, call, now);
    }

    /// As [`Core::ask`], for a slot that is reserved already.
    pub(super) fn dispatch_call<F: Listed>(
        &mut self,
        owner: CoreId,
        slot: Slot<F>,
        call: F,
        now: Now,
    ) {
        self.slices.charge(call.work());
        match owner == self.id {
            true => call.carry_out(self, slot, now),
            false => self.send(owner, Content::Call(F::call(slot, call))),
        }
    }

    /// Carries out a call of another core, whose own slot for it is `asked`.
    fn carry_out_for<F: Listed>(&mut self, from: CoreId, asked: Slot<F>, call: F, now: Now) {
        let slots = &mut F::of_mut(&mut self.families).slots;
        let own = slots.add(Waiting::Peer(from, asked), now.mono);
        call.carry_out(self, own, now);
    }

    /// Takes another core's message.
    pub(super) fn take_message(&mut self, from: CoreId, message: Message, now: Now) {
        match message.0 {
            Content::Call(call) => self.take_call(from, call, now),
            Content::Answer(answer) => self.take_answer(answer, now),
            Content::Fetch(news) => self.take_fetch_news(from, news),
            Content::CancelGroupCall(asked) => self.cancel_group_call(from, asked),
            Content::Stream(news) => self.take_news(from, news, now),
            Content::Missed(missed) => self.tell_missed(missed),
            Content::Install(number, entry) => self.install(number, entry, now),
            Content::Installed(number) => self.installed(number, from, now),
            Content::Drained => self.stop.drained(from),
        }
    }

    /// An answer is there: it goes to whoever waits in that slot, if anybody still does.
    pub(super) fn answered<F: Listed>(&mut self, slot: Slot<F>, reply: F::Reply, now: Now) {
        let slots = &mut F::of_mut(&mut self.families).slots;
        let Some((waiting, since)) = slots.take(slot) else {
            self.thrown_away += F::thrown_away(&reply) as u64;
            return;
        };
        // For another core the time is counted there.
        if !matches!(waiting, Waiting::Peer(..)) {
            F::note(&mut self.latencies, since, &reply, now.mono);
        }
        match waiting {
            Waiting::Client(client) => F::answer(self, client, reply, now),
            Waiting::Part(Part { fan_out, number }) => self.join_part(fan_out, number, reply, now),
            Waiting::Peer(core, asked) => {
                F::answers_peer(self, core, asked);
                self.send(core, Content::Answer(F::reply(asked, reply)));
            }
        }
    }

    /// A call was failed by the engine, which all of its families allow for.
    fn failed<F: Listed>(&mut self, slot: Slot<F>, error: EngineError, now: Now) {
        let reply = F::failed(error).expect("the engine was asked for it");
        self.answered(slot, reply, now);
    }

    /// The engine's replies go their ways.
    pub(super) fn take_replies(&mut self, now: Now) {
        while let Some((request, reply)) = self.shard.poll_reply() {
            let RequestId(number) = request;
            match reply {
                Reply::Produced(produced) => {
                    self.answered::<AppendBatch>(Slot::new(number), Ok(produced), now);
                }
                Reply::Fetched(fetched) => {
                    self.answered::<FetchRecords>(Slot::new(number), fetched, now);
                }
                Reply::Offset(found) => {
                    self.answered::<FindOffset>(Slot::new(number), Ok(found), now);
                }
                Reply::Group(answer) => {
                    let answer = answer.map_err(EngineError::Group);
                    self.answered::<AskGroup>(Slot::new(number), answer, now);
                }
                Reply::Topology(entry) => self.changed(request, entry, now),
                Reply::Failed(error) => self.engine_failed(request, error, now),
            }
        }
    }

    /// Every core but this one.
    pub(super) fn others(&self) -> impl Iterator<Item = CoreId> + use<P> {
        let own = self.id;
        (0..self.cores).map(CoreId).filter(move |core| *core != own)
    }

    pub(super) fn send(&mut self, to: CoreId, content: Content) {
        let message = Message(content);
        let action = Action::Mesh { to, message };
        match self.shard.breaks(Mutation::HopsOvertake) {
            true => self.actions.push_front(action),
            false => self.actions.push_back(action),
        }
    }
}
