//! Requests that several answers complete: one part each, joined here.
//!
//! However many parts there are, they are asked for as far as the [slice](super::slices) goes, and
//! the rest in the next turns; later requests of the connection wait for that.
//!
//! What the parts are and what they become together is the protocol's, in [`Gathering`]; the
//! bounds of a fetch, whatever the protocol, are [`Spread`]'s. Where one core has counted enough
//! for it the others are hurried, which makes them answer with what they have.

mod fetches;

use std::collections::VecDeque;

use leveret_engine::EngineError;
use leveret_engine::shard::{Reply, RequestId};
use leveret_storage::io::BufPool;
use leveret_storage::mutation::Mutation;
use leveret_storage::types::{CoreId, Mono, Now};

use super::Core;
use super::boundary::{Action, ConnId};
use super::hop::{Answer, Call, Message};
use super::kafka::{KafkaOperation, Known};
use super::native::NativeGathering;
use super::pending::{Slot, Waiting};
use super::session::Blocked;
use super::slices::MANY_LINES;
use super::spread::{MOST, Need, Spread};

/// One request whose parts are asked for one by one.
pub(super) struct Gather<P> {
    conn: ConnId,
    /// Bytes that come back when it is answered.
    permit: usize,
    /// When it is answered without the parts that are missing then.
    deadline: Option<Mono>,
    /// Who owes each part, and where its answer arrives; `None` once it is there.
    parts: Vec<Option<(CoreId, Slot)>>,
    missing: usize,
    /// Parts that are still to be asked for, in their order.
    later: VecDeque<(CoreId, Call)>,
    stage: Stage,
    /// There are records: no part needs to wait for more.
    enough: bool,
    /// Parts below this one were told so, if they are missing.
    hurried: usize,
    /// Of a fetch: how it goes on.
    spread: Option<Box<Spread>>,
    /// Bytes that are set aside for what it reads.
    aside: usize,
    what: Gathering<P>,
}

/// How far asking for parts has come. Only when all are asked for, parts that are there complete it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What the request names is being looked up.
    LookingUp,
    Asking,
    /// All parts are asked for, or stand in `later`.
    Asked,
    /// It waits for memory to read.
    Queued(Need),
    /// It is to be answered with what is there.
    Answering,
    /// Nobody wants it any more.
    GivenUp,
}

/// What is gathered, and what of it is there.
pub(super) enum Gathering<P> {
    Native(NativeGathering),
    Kafka(KafkaOperation<P>),
}

/// What a part that has arrived means for the others.
pub(super) enum Progress {
    /// Nothing.
    GoOn,
    /// They need not wait for more records.
    Enough,
    /// They are no longer wanted: the whole request fails so.
    Failed(EngineError),
}

/// About what a fetch keeps until it is answered, and for each of its partitions, bytes.
pub(super) const FETCH_WEIGHT: (usize, usize) = (512, 256);
impl<P> Gather<P> {
    /// When it is answered without the parts that are missing then.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.deadline
    }

    /// What it is in its connection's queue for.
    pub(super) fn waits_for(&self) -> Option<Need> {
        match self.stage {
            Stage::Queued(need) => Some(need),
            _ => None,
        }
    }

    /// The parts that are not there, and where each arrives.
    pub(super) fn missing_parts(&self) -> impl Iterator<Item = (u32, Slot)> {
        let parts = (0..).zip(&self.parts);
        parts.filter_map(|(part, missing)| Some((part, missing.as_ref()?.1)))
    }
}

impl<P: BufPool> Gathering<P> {
    /// About what a fetch keeps until it is answered, bytes; the same from its beginning to its end.
    fn weight(&self) -> usize {
        let partitions = match self {
            Self::Native(what) => what.partitions(),
            Self::Kafka(what) => what.partitions(),
        };
        FETCH_WEIGHT.0 + partitions * FETCH_WEIGHT.1
    }

    /// Bytes of batches that are there.
    fn read(&self) -> usize {
        match self {
            Self::Native(what) => what.read(),
            Self::Kafka(what) => what.read(),
        }
    }

    /// About how many lines its answer has.
    fn lines(&self) -> usize {
        match self {
            Self::Native(what) => what.partitions(),
            Self::Kafka(what) => what.partitions(),
        }
    }

    /// How many lines one of its parts answers at most.
    fn lines_of_part(&self) -> usize {
        self.lines().clamp(1, MOST)
    }

    /// Whether it is too much to answer, or to give up, in whatever turn that comes to pass.
    fn is_long(&self) -> bool {
        self.lines() > MANY_LINES
    }

    /// Whether nobody needs the answer once the connection is gone.
    fn is_fetch(&self) -> bool {
        match self {
            Self::Native(what) => what.is_fetch(),
            Self::Kafka(what) => what.is_fetch(),
        }
    }
}

impl<P: BufPool> Core<P> {
    /// Begins to gather for a client. Ask for each part with [`Core::ask_part`], then call
    /// [`Core::all_asked`] once.
    pub(super) fn gather(
        &mut self,
        conn: ConnId,
        permit: usize,
        deadline: Option<Mono>,
        what: Gathering<P>,
    ) -> usize {
        let session = self
            .sessions
            .get(conn)
            .expect("a request comes from a connection");
        session.waiting += 1;
        let fetch = what.is_fetch();
        let gather = self.gathers.insert(Gather {
            conn,
            permit,
            deadline,
            parts: Vec::new(),
            missing: 0,
            later: VecDeque::new(),
            stage: Stage::Asking,
            enough: false,
            hurried: 0,
            spread: None,
            aside: 0,
            what,
        });
        if fetch {
            session.fetches.push(gather);
            let weight = self.gathers[gather].what.weight();
            self.keep_fetch(conn, weight);
        }
        self.weigh(conn);
        gather
    }

    /// Has a fetch carried out, all of it; [`Core::all_asked`] is not called.
    pub(super) fn gather_fetch(&mut self, gather: usize, spread: Spread, now: Now) {
        self.gathers[gather].spread = Some(Box::new(spread));
        self.gather_in_slices(gather, now);
    }

    /// Looks up all that a request names, and answers it; [`Core::all_asked`] is not called.
    pub(super) fn gather_in_slices(&mut self, gather: usize, now: Now) {
        self.gathers[gather].stage = Stage::LookingUp;
        match self.look_up(gather, now) {
            true => self.end_looking_up(gather, now),
            false => self.hold_back(gather, now),
        }
    }

    /// Looks up what a request names, as far as the slice goes. Whether that was all.
    fn look_up(&mut self, gather: usize, now: Now) -> bool {
        let Gather { spread, what, .. } = &mut self.gathers[gather];
        let known = Known {
            topology: &self.topology,
            kafka: &self.settings.kafka,
            wall: now.wall,
        };
        while self.slices.has_room(now.mono) {
            let cost = match what {
                Gathering::Native(what) => what.look_up(&self.topology),
                Gathering::Kafka(what) => what.operation.look_up(spread.as_deref_mut(), &known),
            };
            match cost {
                Some(cost) => self.slices.charge(cost),
                None => return true,
            }
        }
        false
    }

    /// All that the request names was looked up: what it fetches is asked for.
    fn end_looking_up(&mut self, gather: usize, now: Now) {
        self.gathers[gather].stage = Stage::Asking;
        self.begin_fetch(gather, now);
        let calls = match &mut self.gathers[gather].what {
            Gathering::Native(what) => what.calls(),
            Gathering::Kafka(what) => what.operation.calls(&self.settings.kafka),
        };
        // In one piece, as there may be tens of thousands.
        self.gathers[gather].later.extend(calls);
        self.all_asked(gather, now);
        self.ask_as_far(gather, now);
    }

    /// Asks for what stands in `later`, and stands in line for what the slice does not suffice for.
    fn ask_as_far(&mut self, gather: usize, now: Now) {
        while let Some(Gather { later, .. }) = self.gathers.get_mut(gather) {
            let Some((owner, call)) = later.pop_front() else {
                return;
            };
            if !self.slices.has_room(now.mono) {
                self.gathers[gather].later.push_front((owner, call));
                return self.hold_back(gather, now);
            }
            self.ask_part_now(gather, owner, call, now);
        }
    }

    /// Asks for the next part, now or later; parts are numbered from 0 in the order asked.
    pub(super) fn ask_part(&mut self, gather: usize, owner: CoreId, call: Call, now: Now) {
        let room = self.slices.has_room(now.mono);
        let later = &mut self.gathers[gather].later;
        if room && later.is_empty() {
            return self.ask_part_now(gather, owner, call, now);
        }
        later.push_back((owner, call));
        if later.len() == 1 {
            self.hold_back(gather, now);
        }
    }

    /// The gather goes on with its next slice, and later requests of its connection behind it.
    fn hold_back(&mut self, gather: usize, now: Now) {
        let conn = self.gathers[gather].conn;
        if let Some(session) = self.sessions.get(conn) {
            session.asking = Some(gather);
        }
        self.block(conn, Blocked::Asks);
        self.gather_later(gather, now);
    }

    /// Goes on with a gather that stood in line, as far as the slice goes. It may have ended, and its
    /// key be another's: then there is nothing to do, or somewhat earlier.
    pub(super) fn go_on_in_turn(&mut self, gather: usize, now: Now) {
        match self.gathers.get(gather).map(|gather| gather.stage) {
            None | Some(Stage::Queued(_)) => {}
            Some(Stage::GivenUp) => self.cancel_gather(gather, now),
            Some(Stage::Answering) => self.finish_gathering(gather, now),
            Some(Stage::Asking | Stage::Asked) => {
                if self.gathers[gather].enough {
                    self.hurry_parts(gather, now);
                }
                self.ask_more(gather, now);
            }
            Some(Stage::LookingUp) => match self.look_up(gather, now) {
                true => {
                    self.end_looking_up(gather, now);
                    // Who waits for records from here on does not hold later requests up.
                    self.ask_more(gather, now);
                }
                false => self.gather_later(gather, now),
            },
        }
    }

    /// Asks for more of the parts that are still to be asked for.
    fn ask_more(&mut self, gather: usize, now: Now) {
        while let Some(Gather { later, enough, .. }) = self.gathers.get_mut(gather) {
            if later.is_empty() {
                return self.let_go_on(gather, now);
            }
            if !self.slices.has_room(now.mono) {
                return self.gather_later(gather, now);
            }
            let enough = *enough;
            let (owner, mut call) = later.pop_front().expect("just seen");
            if let Call::Fetch(spec) = &mut call
                && enough
            {
                spec.max_wait = 0;
            }
            self.ask_part_now(gather, owner, call, now);
        }
    }

    /// All parts of a gather have been asked for at last.
    fn let_go_on(&mut self, gather: usize, now: Now) {
        let Gather { conn, stage, .. } = self.gathers[gather];
        if stage == Stage::LookingUp {
            return;
        }
        if let Some(session) = self.sessions.get(conn)
            && session.asking == Some(gather)
        {
            session.asking = None;
        }
        if stage == Stage::Asked {
            self.go_on_gathering(gather, now);
        }
        self.unblock(conn, Blocked::Asks, now);
    }

    fn ask_part_now(&mut self, gather: usize, owner: CoreId, call: Call, now: Now) {
        // In place before the call: this core may answer while it is asked.
        let parts = self.gathers[gather].parts.len();
        let part = u32::try_from(parts).expect("parts of a request are bounded by its bytes");
        let slot = self
            .pending
            .add_timed(Waiting::Part { gather, part }, call.timed(now));
        let gathering = &mut self.gathers[gather];
        gathering.parts.push(Some((owner, slot)));
        gathering.missing += 1;
        self.dispatch_call(owner, slot, call, now);
    }

    /// A part is there.
    pub(super) fn gathered(&mut self, key: usize, part: u32, answer: Answer, now: Now) {
        let gather = &mut self.gathers[key];
        gather.parts[part as usize] = None;
        gather.missing -= 1;
        let progress = match (&mut gather.spread, answer) {
            (Some(spread), Answer::Engine(Reply::Fetched(fetched))) => {
                let what = &mut gather.what;
                let taken = spread.take(part as usize, fetched, |line, one| match what {
                    Gathering::Native(what) => what.fetched(line, one),
                    Gathering::Kafka(what) => what.fetched(line, one),
                });
                self.thrown_away += taken.thrown_away as u64;
                match taken.enough {
                    true => Progress::Enough,
                    false => Progress::GoOn,
                }
            }
            (_, answer) => match &mut gather.what {
                Gathering::Native(what) => what.take(answer),
                Gathering::Kafka(what) => what.take(part as usize, answer),
            },
        };
        match progress {
            Progress::GoOn => {}
            Progress::Enough => gather.enough = true,
            Progress::Failed(error) => {
                let conn = gather.conn;
                let what = self.drop_gather(key, now);
                self.thrown_away += what.read() as u64;
                match what {
                    Gathering::Native(what) => self.native_gather_failed(conn, &what, &error),
                    Gathering::Kafka(_) => unreachable!("each partition fails by itself"),
                }
                return self.request_done(conn, now);
            }
        }
        if self.gathers[key].stage == Stage::Asked {
            self.go_on_gathering(key, now);
        }
    }

    /// Every part has been asked for.
    pub(super) fn all_asked(&mut self, key: usize, now: Now) {
        let conn = self.gathers[key].conn;
        let nobody_waits = self.has_hung_up(conn) || self.keeps_too_much(conn);
        let gather = &mut self.gathers[key];
        gather.stage = Stage::Asked;
        gather.enough |= nobody_waits;
        if let Some(spread) = gather.spread.as_mut().filter(|_| nobody_waits) {
            spread.hurry();
        }
        self.go_on_gathering(key, now);
    }

    fn go_on_gathering(&mut self, key: usize, now: Now) {
        let Gather {
            enough, hurried, ..
        } = self.gathers[key];
        if enough && hurried == 0 {
            self.hurry_parts(key, now);
        }
        let Gather { missing, later, .. } = &self.gathers[key];
        if *missing == 0 && later.is_empty() && !self.ask_on(key, now) {
            let begins = match &mut self.gathers[key].what {
                Gathering::Native(what) => what.begins_answer(),
                Gathering::Kafka(what) => what.operation.begins_answer(),
            };
            match begins {
                true => self.gather_in_slices(key, now),
                false => self.answer_in_turn(key, now),
            }
        }
    }

    /// Answers the client now, or when the turn of so long an answer comes.
    fn answer_in_turn(&mut self, key: usize, now: Now) {
        let gather = &mut self.gathers[key];
        if !gather.what.is_long() {
            return self.finish_gathering(key, now);
        }
        if gather.stage != Stage::GivenUp {
            (gather.stage, gather.deadline) = (Stage::Answering, None);
        }
        self.gather_later(key, now);
    }

    /// The fetch waits for nothing more: it is answered with what there is.
    pub(super) fn hurry(&mut self, key: usize, now: Now) {
        let gather = &mut self.gathers[key];
        if let Some(spread) = &mut gather.spread {
            spread.hurry();
        }
        gather.enough = true;
        self.hurry_parts(key, now);
    }

    /// Tells the parts that are missing that they need not wait, as far as the slice goes.
    fn hurry_parts(&mut self, key: usize, now: Now) {
        let gather = &mut self.gathers[key];
        let lines = gather.what.lines_of_part();
        while let Some(part) = gather.parts.get(gather.hurried) {
            let Some((core, slot)) = *part else {
                gather.hurried += 1;
                continue;
            };
            if !self.slices.has_room(now.mono) {
                return self.gather_later(key, now);
            }
            gather.hurried += 1;
            self.slices.charge_lines(lines);
            if core == self.id {
                self.shard.finish_fetch(RequestId(slot.0));
            } else {
                let message = Message::Hurry(slot);
                self.actions.push_back(Action::Mesh { to: core, message });
            }
        }
    }

    /// Answers the client with what is there, which is everything unless a time-out passed.
    fn finish_gathering(&mut self, key: usize, now: Now) {
        let conn = self.gathers[key].conn;
        match self.drop_gather(key, now) {
            Gathering::Native(what) => self.native_gathered(conn, what, now),
            Gathering::Kafka(what) => self.kafka_finish(conn, what, now),
        }
        self.request_done(conn, now);
    }

    /// A request whose time-out has passed is answered without what is missing.
    pub(super) fn give_up_gather(&mut self, key: usize, now: Now) {
        // Only a produce has one.
        (0..self.gathers[key].missing).for_each(|_| self.latencies.gave_up());
        self.answer_in_turn(key, now);
    }

    /// Nobody wants the fetch any more: it is forgotten now, or when the turn of so long a one comes.
    pub(super) fn give_up_fetch(&mut self, key: usize, now: Now) {
        let gather = &mut self.gathers[key];
        match gather.what.is_long() {
            true => {
                gather.stage = Stage::GivenUp;
                self.gather_later(key, now);
            }
            false => self.cancel_gather(key, now),
        }
    }

    /// Forgets a gather that nobody wants, part after part as far as the slice goes.
    fn cancel_gather(&mut self, key: usize, now: Now) {
        let lines = self.gathers[key].what.lines_of_part();
        while let Some(part) = self.gathers[key].parts.last().copied() {
            let Some((core, slot)) = part else {
                self.gathers[key].parts.pop();
                continue;
            };
            if !self.slices.has_room(now.mono) {
                self.gathers[key].stage = Stage::GivenUp;
                return self.gather_later(key, now);
            }
            self.slices.charge_lines(lines);
            self.gathers[key].parts.pop();
            self.gathers[key].missing -= 1;
            let fetch = self.gathers[key].what.is_fetch();
            self.cancel_part(core, slot, fetch);
        }
        let what = self.drop_gather(key, now);
        self.thrown_away += what.read() as u64;
    }

    fn cancel_part(&mut self, core: CoreId, slot: Slot, fetch: bool) {
        self.pending.take(slot);
        if core == self.id {
            self.shard.cancel(RequestId(slot.0));
        } else if fetch && !self.shard.breaks(Mutation::NeverCancelled) {
            self.send(core, Message::Cancel(slot));
        }
    }

    /// Forgets a gather, whatever is missing; the permit comes back.
    fn drop_gather(&mut self, key: usize, now: Now) -> Gathering<P> {
        let gather = self.gathers.remove(key);
        if let Some(session) = self.sessions.get(gather.conn) {
            session.fetches.retain(|fetch| *fetch != key);
            session.asking = session.asking.filter(|asking| *asking != key);
        }
        let fetch = gather.what.is_fetch();
        if fetch {
            self.drop_fetch(gather.conn, gather.what.weight());
            self.give_back(gather.conn, gather.aside);
        }
        if matches!(gather.stage, Stage::Queued(_)) {
            self.leave_queue(gather.conn, key);
        }
        for (core, slot) in gather.parts.into_iter().flatten() {
            self.cancel_part(core, slot, fetch);
        }
        self.give_back_permit(gather.conn, gather.permit, now);
        gather.what
    }

    /// Every fetch answers with what it has.
    pub(super) fn hurry_all(&mut self, now: Now) {
        let keys: Vec<usize> = self.gathers.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.hurry(key, now);
            self.read_no_more(key, now);
        }
    }
}
