//! One core's behaviour: sessions, routing between cores, and the engine's machines, joined.
//!
//! In the order of a request's way: [`boundary`] says what drives a core, `net` makes frames
//! of received bytes as far as `permits` go, `native` and `kafka` make calls of frames, [`hop`] brings a call to the core
//! that owns what it concerns and its answer back, `fan_out` joins the answers of several cores,
//! and the protocol encodes what goes out. It refuses to touch the kernel, to read a clock and to
//! wait.

mod account;
mod ailing;
mod answers;
pub mod boundary;
mod check;
mod chosen;
mod deadlines;
mod fan_out;
pub mod figures;
pub mod hop;
mod installs;
mod kafka;
mod latencies;
mod meter;
mod native;
mod net;
pub mod observe;
mod once;
mod ops;
mod pace;
mod pending;
mod permits;
mod places;
mod protocol;
#[cfg(test)]
#[allow(dead_code, reason = "tests of this crate need a part of it")]
#[path = "../../tests/push"]
mod push {
    //! The world that sessions are tested in.

    mod came;
    mod peer;
    pub(super) mod world;
}
mod reading;
mod session;
mod slices;
mod spread;
pub mod status;
mod stop;
mod strangers;
mod sweep;
#[cfg(test)]
mod toy;
mod unread;

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::BytesMut;
use leveret_engine::shard::{Shard, ShardEvent};
use leveret_engine::topology::{ProducerIds, Topology};
use leveret_storage::io::{BufPool, IoResult, OpId};
use leveret_storage::store::DiskSpace;
use leveret_storage::types::{CoreId, Mono, Now};
use leveret_wire::native::Encoder;

use ailing::Ailing;
use answers::Answers;
use boundary::{Action, Behaviour, BufOf, ConnId, Inflow, Protocol};
pub use check::UnderWay;
use deadlines::Deadlines;
use hop::{AskGroup, Families, FetchRecords, Foreign, Message, Unmade, WatchedLogs};
use installs::{Installing, Installs};
pub use kafka::{BrokerSetting, KafkaBroker, KafkaSettings};
use latencies::Latencies;
use meter::{Meter, Totals};
use native::Subscriptions;
use observe::{Insight, Question};
use ops::Rules;
use permits::Permits;
use session::Sessions;
pub use slices::SLICE;
use slices::Slices;
pub use status::CoreSettings;
use stop::Stop;
pub use strangers::Ports;
use strangers::Strangers;
use sweep::Sweep;
use unread::Unread;

/// One core: everything that its thread owns.
pub struct Core<P: BufPool> {
    id: CoreId,
    cores: u16,
    settings: CoreSettings,
    shard: Shard<P>,
    topology: Topology,
    rules: Rules,
    installs: Installs,
    installing: Installing,
    producer_ids: ProducerIds,
    sessions: Sessions,
    families: Families<P>,
    foreign_fetches: Foreign<FetchRecords>,
    foreign_group_calls: Foreign<AskGroup>,
    unmade: Unmade,
    watched_logs: WatchedLogs,
    subscriptions: Subscriptions,
    permits: Permits,
    slices: Slices,
    answers: Answers,
    unread: Unread,
    deadlines: Deadlines<net::Due>,
    sweep: Sweep,
    actions: VecDeque<Action<P::Buf, Message>>,
    /// Connections with encoded responses that the driver has not been given yet.
    unflushed: Vec<ConnId>,
    encoder: Encoder,
    /// Small frames are copied here, many to an allocation, and small answers made.
    arena: BytesMut,
    /// Small frames of records on their way to their logs, likewise.
    records: BytesMut,
    meter: Meter,
    latencies: Latencies,
    /// Connections closed because too many had not said hello.
    hello_evictions: u64,
    strangers: Strangers,
    /// Connections closed because a body came too slowly while others waited.
    slow_bodies: u64,
    /// Connections closed because they were idle.
    idle_closed: u64,
    /// Bytes of batches that were read for fetches and are in no answer.
    thrown_away: u64,
    /// Connections ever accepted.
    accepted: u64,
    missing: kafka::Missing,
    ailing: Ailing,
    /// The most CPU time that a turn of the driver's loop took, nanoseconds.
    longest_turn: u64,
    stop: Stop,
    started: Mono,
}

impl<P: BufPool> Core<P> {
    /// A core of `settings.cores` over its shard, which was opened with the same topology.
    #[must_use]
    pub fn new(
        id: CoreId,
        settings: CoreSettings,
        shard: Shard<P>,
        topology: Topology,
        now: Now,
    ) -> Self {
        let cores = settings.cores;
        let mut core = Self {
            id,
            cores,
            shard,
            topology,
            rules: Rules::default(),
            installs: Installs::new(cores),
            installing: Installing::default(),
            producer_ids: ProducerIds::default(),
            sessions: Sessions::default(),
            families: Families::default(),
            foreign_fetches: Foreign::default(),
            foreign_group_calls: Foreign::default(),
            unmade: Unmade::new(),
            watched_logs: WatchedLogs::default(),
            subscriptions: Subscriptions::default(),
            permits: Permits::new(settings.request_bytes),
            slices: Slices::new(settings.slice),
            answers: Answers::new(settings.answers_bytes, settings.response_bytes),
            unread: Unread::default(),
            deadlines: Deadlines::default(),
            sweep: Sweep::default(),
            actions: VecDeque::new(),
            unflushed: Vec::new(),
            encoder: Encoder::new(),
            arena: BytesMut::new(),
            records: BytesMut::new(),
            meter: Meter::new(now.mono),
            latencies: Latencies::default(),
            hello_evictions: 0,
            strangers: Strangers::default(),
            slow_bodies: 0,
            idle_closed: 0,
            thrown_away: 0,
            accepted: 0,
            missing: kafka::Missing::default(),
            ailing: Ailing::default(),
            longest_turn: 0,
            stop: Stop::new(cores),
            started: now.mono,
            settings,
        };
        core.name_cluster(now);
        core
    }

    /// After anything was handled: what the engine has to say goes its way.
    fn end_event(&mut self, now: Now) {
        if self.meter.due(now.mono) {
            self.meter.note(Totals::of(&self.shard.stats()), now.mono);
        }
        let mut served = false;
        loop {
            self.go_on_installing(now);
            self.take_replies(now);
            self.take_watched_logs(now);
            if self.serve_readers(now) {
                continue;
            }
            // Who gets a permit goes on at once, one in any case, the others as far as this event's
            // slice goes: the rest when time is asked for next, which is now.
            if (served && !self.slices.has_room(now.mono)) || !self.serve_waiting(now) {
                break;
            }
            served = true;
        }
        self.slices.end_event();
        self.look_after_unread(now);
        debug_assert!(
            self.permits.is_live(),
            "who waits for a permit waits for something: {:?}",
            self.permits
        );
        while let Some(event) = self.shard.poll_event() {
            match event {
                ShardEvent::LogStopped { log, reason } => self.note_stopped(log, &reason),
                ShardEvent::Damaged {
                    log,
                    offset,
                    reason,
                } => self.note_damage(log, offset, &reason),
                ShardEvent::DiskShort { space, reason } => tracing::error!(
                    core = self.id.0,
                    "{}: producing is refused, reading and deleting go on, and producing resumes \
                     by itself when there is space: {reason}",
                    match space {
                        DiskSpace::AtFloor => "the disk is at its floor",
                        DiskSpace::Full | DiskSpace::HasRoom => "the disk is full",
                    }
                ),
                ShardEvent::DiskHasRoom => {
                    tracing::info!(
                        core = self.id.0,
                        "the disk has room again: producing resumes"
                    );
                    self.name_cluster(now);
                }
                ShardEvent::Flushed => {
                    self.say_journal("all is durable");
                    self.actions.push_back(Action::Stopped);
                }
                ShardEvent::Fatal(reason) => self.actions.push_back(Action::Fatal(reason)),
            }
        }
        self.go_on_stopping(now);
    }
}

impl<P: BufPool> Behaviour for Core<P> {
    type Pool = P;
    type Message = Message;
    type Question = Question;
    type Insight = Insight;

    fn handle_accept(&mut self, conn: ConnId, protocol: Protocol, peer: SocketAddr, now: Now) {
        self.accept(conn, protocol, peer, now);
        self.end_event(now);
    }

    fn handle_received(&mut self, conn: ConnId, bytes: &[u8], now: Now) {
        self.receive(conn, bytes, now);
        self.end_event(now);
    }

    fn handle_body(&mut self, conn: ConnId, body: BytesMut, now: Now) {
        self.receive_body(conn, body, now);
        self.end_event(now);
    }

    fn handle_there(&mut self, conn: ConnId, whole: bool, now: Now) {
        self.rest_is_there(conn, whole, now);
        self.end_event(now);
    }

    fn handle_inflow(&mut self, conn: ConnId, inflow: Inflow, now: Now) {
        self.judge_body(conn, inflow, now.mono);
        self.end_event(now);
    }

    fn handle_sent(&mut self, conn: ConnId, bytes: usize, now: Now) {
        self.sent(conn, bytes, now);
        self.end_event(now);
    }

    fn handle_taken(&mut self, conn: ConnId, bytes: u64, more: bool, now: Now) {
        self.peer_has_taken(conn, bytes, more, now);
        self.end_event(now);
    }

    fn handle_input_closes(&mut self, conn: ConnId, now: Now) {
        self.input_closes(conn, now);
        self.end_event(now);
    }

    fn handle_input_ended(&mut self, conn: ConnId, now: Now) {
        self.input_ended(conn, now);
        self.end_event(now);
    }

    fn handle_disconnected(&mut self, conn: ConnId, now: Now) {
        self.disconnected(conn, now);
        self.end_event(now);
    }

    fn handle_departed(&mut self, conn: ConnId, now: Now) -> BytesMut {
        let received = self.depart(conn);
        self.end_event(now);
        received
    }

    fn handle_stayed(&mut self, conn: ConnId, now: Now) {
        self.stay(conn, now);
        self.end_event(now);
    }

    fn handle_arrived(
        &mut self,
        conn: ConnId,
        protocol: Protocol,
        peer: SocketAddr,
        received: &[u8],
        now: Now,
    ) {
        self.arrive(conn, protocol, peer, received, now);
        self.end_event(now);
    }

    fn handle_completion(&mut self, op: OpId, result: IoResult<BufOf<Self>>, now: Now) {
        self.shard.handle_completion(op, result, now);
        self.end_event(now);
    }

    fn handle_mesh(&mut self, from: CoreId, message: Message, now: Now) {
        self.take_message(from, message, now);
        self.end_event(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.shard.handle_timeout(now);
        self.slices.begin_line(now.mono);
        // Those that have no room are due at once: the next turn begins with them.
        while self.slices.has_room(now.mono)
            && let Some(due) = self.deadlines.due(now.mono)
        {
            self.slices.charge_deadline();
            self.deadline_passed(due, now);
        }
        self.sweep(now);
        self.review_bodies(now.mono);
        self.serve_line(now);
        self.end_event(now);
    }

    fn handle_longest_turn(&mut self, cpu: u64) {
        self.longest_turn = cpu;
    }

    fn observe(&mut self, question: Question, now: Now) -> Insight {
        self.tell(question, now)
    }

    fn handle_stop(&mut self, now: Now) {
        self.begin_stop(now);
        self.end_event(now);
    }

    fn poll_action(&mut self) -> Option<Action<P::Buf, Message>> {
        while let Some(conn) = self.unflushed.pop() {
            self.flush(conn);
        }
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        self.shard.poll_op().map(|(id, op)| Action::Disk(id, op))
    }

    fn poll_timeout(&self) -> Option<Mono> {
        let own = [
            self.deadlines.next(),
            self.sweep.due(),
            self.stop.deadline(),
            self.permits.review_due(),
        ];
        let now = [self.slices.waiting_since(), self.permits.due_since()];
        own.into_iter()
            .chain(now)
            .chain([self.shard.poll_timeout()])
            .flatten()
            .min()
    }
}
