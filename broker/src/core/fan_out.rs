//! Requests that fan out: each is asked of several cores, or of one core in several parts, and the answers
//! are joined here.
//!
//! However many parts there are, they are asked for as far as the [slice](super::slices) goes, and
//! the rest in the next turns; later requests of the connection wait for that.
//!
//! All parts of a request are of one family of calls. What they are and what they become together is the
//! request's, a [`Job`]; how a family's answers are joined, and what happens meanwhile, is the
//! family's [`Joint`].

mod fetches;
mod group_calls;
mod job;

use std::collections::VecDeque;

use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Mono, Now};

use super::Core;
use super::boundary::ConnId;
use super::hop::{Family, Listed, Outstanding};
use super::net::Pause;
use super::ops::{Known, Principal};
use super::pending::{Of, Part, Slot, Waiting};
use super::slices::MANY_LINES;
use super::spread::{MOST, Need};

pub(super) use fetches::Fetching;
pub(super) use job::{Job, Joint};

/// Names a request among those of its family that several answers complete.
pub(super) type FanOutKey<F> = Of<F, usize>;

/// One request whose parts are asked for one by one.
pub(super) struct FanOut<P, F: Family> {
    conn: ConnId,
    /// Who asks.
    principal: Principal,
    /// Bytes that come back when it is answered.
    permit: usize,
    /// When it is answered without the parts that are missing then.
    deadline: Option<Mono>,
    /// Who owes each part, and where its answer arrives; `None` once it is there.
    parts: Vec<Option<(CoreId, Slot<F>)>>,
    missing: usize,
    /// Parts that are still to be asked for, in their order.
    later: VecDeque<(CoreId, F)>,
    stage: Stage,
    joint: F::Joint,
    what: Box<dyn Job<P, F>>,
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

/// The request that a fan-out is for, and what comes back with its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) conn: ConnId,
    /// Bytes of the budget for requests.
    pub(super) permit: usize,
    /// When it is answered without the parts that are missing then.
    pub(super) deadline: Option<Mono>,
}

impl<P: BufPool, F: Family> FanOut<P, F> {
    /// The connection that it is for.
    pub(super) fn conn(&self) -> ConnId {
        self.conn
    }

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
    fn missing_parts(&self) -> impl Iterator<Item = (u32, Slot<F>)> {
        let parts = (0..).zip(&self.parts);
        parts.filter_map(|(part, missing)| Some((part, missing.as_ref()?.1)))
    }

    /// How many lines one of its parts answers at most.
    fn lines_of_part(&self) -> usize {
        self.what.lines().clamp(1, MOST)
    }

    /// Whether it is too much to answer, or to give up, in whatever turn that comes to pass.
    fn is_long(&self) -> bool {
        self.what.lines() > MANY_LINES
    }
}

impl<P: BufPool> Core<P> {
    fn fan_out_of<F: Listed>(&mut self, key: FanOutKey<F>) -> &mut FanOut<P, F> {
        &mut F::of_mut(&mut self.families).fan_outs[key.number]
    }

    /// Begins a fan-out for a client. Ask for each part with [`Core::ask_part`], then call
    /// [`Core::all_asked`] once. Later requests of the connection wait for what the job says, and for nothing
    /// else.
    pub(super) fn begin_fan_out<F: Listed>(
        &mut self,
        request: Request,
        joint: F::Joint,
        what: Box<dyn Job<P, F>>,
    ) -> FanOutKey<F> {
        let Request {
            conn,
            permit,
            deadline,
        } = request;
        let session = self.sessions.get(conn);
        let session = session.expect("a request comes from a connection");
        session.waiting += 1;
        let principal = session.principal;
        let blocks = what.blocks();
        let fan_out = FanOut {
            conn,
            principal,
            permit,
            deadline,
            parts: Vec::new(),
            missing: 0,
            later: VecDeque::new(),
            stage: Stage::Asking,
            joint,
            what,
        };
        let fan_outs = &mut F::of_mut(&mut self.families).fan_outs;
        let key = FanOutKey::new(fan_outs.insert(fan_out));
        F::Joint::begins(self, key);
        self.weigh(conn);
        if let Some(why) = blocks {
            self.block(conn, why);
        }
        key
    }

    /// Carries out a request, all of it: looks it up, asks for what it needs, answers.
    pub(super) fn carry_out<F: Listed>(
        &mut self,
        request: Request,
        joint: F::Joint,
        what: Box<dyn Job<P, F>>,
        now: Now,
    ) {
        let key = self.begin_fan_out(request, joint, what);
        self.look_up_in_slices(key, now);
    }

    /// Looks up all that a request names, and answers it.
    fn look_up_in_slices<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        self.fan_out_of(key).stage = Stage::LookingUp;
        match self.look_up(key, now) {
            true => self.end_looking_up(key, now),
            false => self.hold_back(key, now),
        }
    }

    /// Looks up what a request names, as far as the slice goes. Whether that was all.
    fn look_up<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) -> bool {
        while self.slices.has_room(now.mono) {
            let (what, joint, known) = self.job(key, now);
            match what.look_up(joint, &known) {
                Some(cost) => self.slices.charge(cost),
                None => return true,
            }
        }
        false
    }

    /// All that the request names was looked up: what it needs is asked for.
    fn end_looking_up<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        let fan_out = self.fan_out_of(key);
        fan_out.stage = Stage::Asking;
        if fan_out.what.lets_bytes_go() {
            let (conn, permit) = (fan_out.conn, std::mem::take(&mut fan_out.permit));
            self.give_back_permit(conn, permit, now);
        }
        F::Joint::ask_first(self, key, now);
        let (what, _, known) = self.job(key, now);
        // In one piece, as there may be tens of thousands.
        let calls = what.calls(&known);
        self.fan_out_of(key).later.extend(calls);
        self.all_asked(key, now);
        self.ask_as_far(key, now);
    }

    /// A request, and what it looks things up in.
    fn job<F: Listed>(
        &mut self,
        key: FanOutKey<F>,
        now: Now,
    ) -> (&mut dyn Job<P, F>, &mut F::Joint, Known<'_>) {
        let fan_out = &mut F::of_mut(&mut self.families).fan_outs[key.number];
        let known = Known {
            principal: &fan_out.principal,
            rules: &self.rules,
            topology: &self.topology,
            kafka: &self.settings.kafka,
            wall: now.wall,
        };
        (&mut *fan_out.what, &mut fan_out.joint, known)
    }

    /// Asks for what stands in `later`, and stands in line for what the slice does not suffice for.
    fn ask_as_far<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        while let Some(fan_out) = F::of_mut(&mut self.families).fan_outs.get_mut(key.number) {
            let Some((owner, call)) = fan_out.later.pop_front() else {
                return;
            };
            if !self.slices.has_room(now.mono) {
                fan_out.later.push_front((owner, call));
                return self.hold_back(key, now);
            }
            self.ask_part_now(key, owner, call, now);
        }
    }

    /// Asks for the next part, now or later; parts are numbered from 0 in the order asked.
    pub(super) fn ask_part<F: Listed>(
        &mut self,
        key: FanOutKey<F>,
        owner: CoreId,
        call: F,
        now: Now,
    ) {
        let room = self.slices.has_room(now.mono);
        let later = &mut self.fan_out_of(key).later;
        if room && later.is_empty() {
            return self.ask_part_now(key, owner, call, now);
        }
        later.push_back((owner, call));
        if later.len() == 1 {
            self.hold_back(key, now);
        }
    }

    /// The fan-out goes on with its next slice, and later requests of its connection behind it.
    fn hold_back<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        let conn = self.fan_out_of(key).conn;
        if let Some(session) = self.sessions.get(conn) {
            session.asking = Some(F::id(key));
        }
        self.block(conn, Pause::Asks);
        self.go_on_later(F::id(key), now);
    }

    /// Goes on with a fan-out that stood in line, as far as the slice goes. It may have ended, and its key be
    /// another's: then there is nothing to do, or somewhat earlier.
    pub(super) fn go_on_with<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        let fan_out = F::of(&self.families).fan_outs.get(key.number);
        match fan_out.map(|fan_out| fan_out.stage) {
            None | Some(Stage::Queued(_)) => {}
            Some(Stage::GivenUp) => self.cancel_fan_out(key, now),
            Some(Stage::Answering) => self.finish_fan_out(key, now),
            Some(Stage::Asking | Stage::Asked) => {
                F::Joint::goes_on_in_turn(self, key, now);
                self.ask_more(key, now);
            }
            Some(Stage::LookingUp) => match self.look_up(key, now) {
                true => {
                    self.end_looking_up(key, now);
                    // Who waits for records from here on does not hold later requests up.
                    self.ask_more(key, now);
                }
                false => self.go_on_later(F::id(key), now),
            },
        }
    }

    /// Asks for more of the parts that are still to be asked for.
    fn ask_more<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        while let Some(fan_out) = F::of_mut(&mut self.families).fan_outs.get_mut(key.number) {
            if fan_out.later.is_empty() {
                return self.let_go_on(key, now);
            }
            if !self.slices.has_room(now.mono) {
                return self.go_on_later(F::id(key), now);
            }
            let (owner, mut call) = fan_out.later.pop_front().expect("just seen");
            fan_out.joint.amend(&mut call);
            self.ask_part_now(key, owner, call, now);
        }
    }

    /// All parts of a fan-out have been asked for at last.
    fn let_go_on<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        let FanOut { conn, stage, .. } = *self.fan_out_of(key);
        if stage == Stage::LookingUp {
            return;
        }
        if let Some(session) = self.sessions.get(conn)
            && session.asking == Some(F::id(key))
        {
            session.asking = None;
        }
        if stage == Stage::Asked {
            self.go_on_joining(key, now);
        }
        self.asks_no_more(conn, now);
    }

    fn ask_part_now<F: Listed>(&mut self, key: FanOutKey<F>, owner: CoreId, call: F, now: Now) {
        // In place before the call: this core may answer while it is asked.
        let Outstanding { slots, fan_outs } = F::of_mut(&mut self.families);
        let fan_out = &mut fan_outs[key.number];
        let number = u32::try_from(fan_out.parts.len());
        let number = number.expect("parts of a request are bounded by its bytes");
        let part = Part {
            fan_out: key,
            number,
        };
        let slot = slots.add(Waiting::Part(part), now.mono);
        fan_out.parts.push(Some((owner, slot)));
        fan_out.missing += 1;
        self.dispatch_call(owner, slot, call, now);
    }

    /// A part is there.
    pub(super) fn join_part<F: Listed>(
        &mut self,
        key: FanOutKey<F>,
        part: u32,
        reply: F::Reply,
        now: Now,
    ) {
        let fan_out = self.fan_out_of(key);
        fan_out.parts[part as usize] = None;
        fan_out.missing -= 1;
        let FanOut { joint, what, .. } = fan_out;
        let mut give = |place, piece| what.take(place, piece);
        let thrown_away = joint.take(part as usize, reply, &mut give);
        self.thrown_away += thrown_away as u64;
        if self.fan_out_of(key).stage == Stage::Asked {
            self.go_on_joining(key, now);
        }
    }

    /// Every part has been asked for.
    pub(super) fn all_asked<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        let conn = self.fan_out_of(key).conn;
        let nobody_waits = self.has_hung_up(conn) || self.keeps_too_much(conn);
        let fan_out = self.fan_out_of(key);
        fan_out.stage = Stage::Asked;
        if nobody_waits {
            fan_out.joint.make_haste();
        }
        self.go_on_joining(key, now);
    }

    fn go_on_joining<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        F::Joint::goes_on(self, key, now);
        let FanOut { missing, later, .. } = self.fan_out_of(key);
        if *missing == 0 && later.is_empty() && !F::Joint::ask_on(self, key, now) {
            match self.fan_out_of(key).what.begins_answer() {
                true => self.look_up_in_slices(key, now),
                false => self.answer_in_turn(key, now),
            }
        }
    }

    /// Answers the client now, or when the turn of so long an answer comes.
    fn answer_in_turn<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        let fan_out = self.fan_out_of(key);
        if !fan_out.is_long() {
            return self.finish_fan_out(key, now);
        }
        if fan_out.stage != Stage::GivenUp {
            (fan_out.stage, fan_out.deadline) = (Stage::Answering, None);
        }
        self.go_on_later(F::id(key), now);
    }

    /// Answers the client with what is there, which is everything unless a time-out passed.
    fn finish_fan_out<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        let FanOut { conn, what, .. } = self.drop_fan_out(key, now);
        let blocks = what.blocks();
        what.finish(self, now);
        if let Some(why) = blocks {
            self.unblock(conn, why, now);
        }
        self.request_done(conn, now);
    }

    /// A produce whose time-out has passed is answered without what is missing.
    pub(super) fn give_up_fan_out<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        (0..self.fan_out_of(key).missing).for_each(|_| self.latencies.gave_up());
        self.answer_in_turn(key, now);
    }

    /// Forgets a fan-out that nobody wants, part after part as far as the slice goes.
    fn cancel_fan_out<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) {
        let lines = self.fan_out_of(key).lines_of_part();
        while let Some(part) = self.fan_out_of(key).parts.last().copied() {
            let Some((core, slot)) = part else {
                self.fan_out_of(key).parts.pop();
                continue;
            };
            if !self.slices.has_room(now.mono) {
                self.fan_out_of(key).stage = Stage::GivenUp;
                return self.go_on_later(F::id(key), now);
            }
            self.slices.charge_lines(lines);
            let fan_out = self.fan_out_of(key);
            fan_out.parts.pop();
            fan_out.missing -= 1;
            self.cancel_part(core, slot);
        }
        let fan_out = self.drop_fan_out(key, now);
        self.thrown_away += fan_out.what.read() as u64;
    }

    fn cancel_part<F: Listed>(&mut self, core: CoreId, slot: Slot<F>) {
        F::of_mut(&mut self.families).slots.take(slot);
        match core == self.id {
            true => self.shard.cancel(slot.request()),
            false => F::cancel_there(self, core, slot),
        }
    }

    /// Forgets a fan-out, whatever is missing; the permit comes back.
    fn drop_fan_out<F: Listed>(&mut self, key: FanOutKey<F>, now: Now) -> FanOut<P, F> {
        let fan_outs = &mut F::of_mut(&mut self.families).fan_outs;
        let mut fan_out = fan_outs.remove(key.number);
        if let Some(session) = self.sessions.get(fan_out.conn) {
            session.asking = session.asking.filter(|asking| *asking != F::id(key));
        }
        F::Joint::ends(self, key, &fan_out);
        for (core, slot) in std::mem::take(&mut fan_out.parts).into_iter().flatten() {
            self.cancel_part(core, slot);
        }
        self.give_back_permit(fan_out.conn, fan_out.permit, now);
        fan_out
    }

    /// Looks whether every part that is missing is waited for, and the other way round.
    ///
    /// # Panics
    /// If not.
    pub(super) fn check_family<F: Listed>(&self) {
        let Outstanding { slots, fan_outs } = F::of(&self.families);
        let waits = |slot, key, missing| match slots.get(slot) {
            Some(Waiting::Part(Part { fan_out, number })) => {
                (fan_out.number, *number) == (key, missing)
            }
            _ => false,
        };
        for (key, fan_out) in fan_outs {
            let mut missing = fan_out.missing_parts();
            let all = missing.all(|(part, slot)| waits(slot, key, part));
            assert!(all, "a missing part is on its way");
        }
        for (slot, waiting) in slots.iter() {
            if let Waiting::Part(Part { fan_out, number }) = waiting {
                let fan_out = fan_outs.get(fan_out.number).expect("who waits for a part");
                let missing = fan_out.missing_parts().any(|part| part == (*number, slot));
                assert!(missing, "a part on its way is missing");
            }
        }
    }
}
