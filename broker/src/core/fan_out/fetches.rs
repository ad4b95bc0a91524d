//! How the fan-out of a fetch goes on: what it asks for next, when it has to wait for
//! [memory](crate::core::reading), and when no part needs to wait for more. The bounds of a fetch, whatever
//! the protocol, are [`Spread`]'s. Where one core has counted enough for it the others are hurried, which
//! makes them answer with what they have.

use leveret_engine::shard::FetchedPartition;
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;

use super::{FanOut, FanOutKey, Job, Joint, Request, Stage};
use crate::core::Core;
use crate::core::account::Grant;
use crate::core::boundary::ConnId;
use crate::core::hop::{FetchRecords, Listed};
use crate::core::reading::Lack;
use crate::core::spread::{Ask, Next, Spread};

/// About what a fetch keeps until it is answered, and for each of its partitions, bytes.
const FETCH_WEIGHT: (usize, usize) = (512, 256);

/// How a fetch goes on.
pub(in crate::core) struct Fetching {
    pub(in crate::core) spread: Spread,
    /// Bytes that are set aside for what it reads.
    aside: usize,
    haste: Haste,
    /// Parts below this one were told to hurry, if they are missing.
    hurried: usize,
}

/// Whether the parts that are missing need to wait for more records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    /// They do.
    None,
    /// They do not: there are enough.
    Enough,
    /// Likewise, and they are being told.
    Told,
}

impl Fetching {
    fn new(spread: Spread) -> Self {
        Self {
            spread,
            aside: 0,
            haste: Haste::None,
            hurried: 0,
        }
    }
}

impl Joint<FetchRecords> for Fetching {
    /// A partition, for its line.
    type Piece = FetchedPartition;

    fn take(
        &mut self,
        part: usize,
        fetched: Vec<FetchedPartition>,
        give: &mut dyn FnMut(usize, FetchedPartition),
    ) -> usize {
        let taken = self.spread.take(part, fetched, give);
        if taken.enough && self.haste == Haste::None {
            self.haste = Haste::Enough;
        }
        taken.thrown_away
    }

    fn make_haste(&mut self) {
        self.spread.hurry();
        if self.haste == Haste::None {
            self.haste = Haste::Enough;
        }
    }

    fn amend(&self, FetchRecords(spec): &mut FetchRecords) {
        if self.haste != Haste::None {
            spec.max_wait = 0;
        }
    }

    fn begins<P: BufPool>(core: &mut Core<P>, key: FanOutKey<FetchRecords>) {
        let fan_out = core.fan_out_of(key);
        let (conn, weight) = (fan_out.conn, fan_out.weight());
        if let Some(session) = core.sessions.get(conn) {
            session.fetches.push(key);
        }
        core.keep_fetch(conn, weight);
    }

    fn ask_first<P: BufPool>(core: &mut Core<P>, key: FanOutKey<FetchRecords>, now: Now) {
        core.begin_fetch(key, now);
    }

    fn ask_on<P: BufPool>(core: &mut Core<P>, key: FanOutKey<FetchRecords>, now: Now) -> bool {
        core.fetch_on(key, now)
    }

    fn goes_on<P: BufPool>(core: &mut Core<P>, key: FanOutKey<FetchRecords>, now: Now) {
        if core.fan_out_of(key).joint.haste == Haste::Enough {
            core.hurry_parts(key, now);
        }
    }

    fn goes_on_in_turn<P: BufPool>(core: &mut Core<P>, key: FanOutKey<FetchRecords>, now: Now) {
        if core.fan_out_of(key).joint.haste != Haste::None {
            core.hurry_parts(key, now);
        }
    }

    fn ends<P: BufPool>(
        core: &mut Core<P>,
        key: FanOutKey<FetchRecords>,
        fan_out: &FanOut<P, FetchRecords>,
    ) {
        let conn = fan_out.conn;
        if let Some(session) = core.sessions.get(conn) {
            session.fetches.retain(|fetch| *fetch != key);
        }
        core.drop_fetch(conn, fan_out.weight());
        core.give_back(conn, fan_out.joint.aside);
        if matches!(fan_out.stage, Stage::Queued(_)) {
            core.leave_queue(conn, key);
        }
    }
}

impl<P: BufPool> FanOut<P, FetchRecords> {
    /// About what a fetch keeps until it is answered, bytes; the same from its beginning to its end.
    fn weight(&self) -> usize {
        FETCH_WEIGHT.0 + self.what.lines() * FETCH_WEIGHT.1
    }
}

impl<P: BufPool> Core<P> {
    /// Has a fetch carried out, all of it.
    pub(in crate::core) fn fan_out_fetch(
        &mut self,
        request: Request,
        spread: Spread,
        what: Box<dyn Job<P, FetchRecords>>,
        now: Now,
    ) {
        self.carry_out(request, Fetching::new(spread), what, now);
    }

    /// Asks for what a fetch begins with: records, where there is memory for them.
    fn begin_fetch(&mut self, fan_out: FanOutKey<FetchRecords>, now: Now) {
        let FanOut { conn, joint, .. } = self.fan_out_of(fan_out);
        let conn = *conn;
        let asks = match joint.spread.begin(now.mono) {
            Next::Nothing => Vec::new(),
            Next::Ask(asks) => asks,
            Next::Read(need) => match self.set_aside(conn, need) {
                Ok(grant) => self.read_granted(fan_out, grant),
                Err(_) => self.spread_of(fan_out).count_first(now.mono),
            },
        };
        self.ask_all(fan_out, asks, now);
    }

    fn spread_of(&mut self, fan_out: FanOutKey<FetchRecords>) -> &mut Spread {
        &mut self.fan_out_of(fan_out).joint.spread
    }

    fn read_granted(&mut self, fan_out: FanOutKey<FetchRecords>, grant: Grant) -> Vec<Ask> {
        let joint = &mut self.fan_out_of(fan_out).joint;
        joint.aside = grant.aside;
        joint.spread.read(grant.bytes)
    }

    fn ask_all(&mut self, fan_out: FanOutKey<FetchRecords>, asks: Vec<Ask>, now: Now) {
        for (owner, spec) in asks {
            self.ask_part(fan_out, owner, FetchRecords(spec), now);
        }
    }

    /// Asks on for a fetch that is not complete. Whether something is under way then, or the fan-out is over.
    fn fetch_on(&mut self, key: FanOutKey<FetchRecords>, now: Now) -> bool {
        let last = self.stop.begun();
        let FanOut { conn, joint, .. } = self.fan_out_of(key);
        let conn = *conn;
        let next = joint.spread.go_on(last, now.mono);
        if joint.spread.counts() {
            // It holds nothing, and neither does it while it waits.
            let aside = std::mem::take(&mut joint.aside);
            self.give_back(conn, aside);
        }
        let asks = match next {
            Next::Nothing => return false,
            Next::Ask(asks) => asks,
            Next::Read(need) => match self.set_aside(conn, need) {
                Ok(grant) => self.read_granted(key, grant),
                Err(_) if last => return false,
                Err(_) => {
                    self.fan_out_of(key).stage = Stage::Queued(need);
                    self.queue_for_memory(conn, key, now.mono);
                    return true;
                }
            },
        };
        self.ask_next(key, asks, now);
        true
    }

    fn ask_next(&mut self, key: FanOutKey<FetchRecords>, asks: Vec<Ask>, now: Now) {
        let fan_out = self.fan_out_of(key);
        fan_out.stage = Stage::Asking;
        fan_out.joint.haste = Haste::None;
        fan_out.joint.hurried = fan_out.parts.len();
        self.ask_all(key, asks, now);
        self.all_asked(key, now);
    }

    /// A fetch that has waited for memory reads, if there is some at last.
    ///
    /// # Errors
    /// Why it does not.
    pub(in crate::core) fn reads_from_queue(
        &mut self,
        key: FanOutKey<FetchRecords>,
        now: Now,
    ) -> Result<(), Lack> {
        let FanOut { conn, stage, .. } = *self.fan_out_of(key);
        let Stage::Queued(need) = stage else {
            unreachable!("{stage:?}: who is queued waits");
        };
        let grant = self.set_aside(conn, need)?;
        self.leave_queue(conn, key);
        let asks = self.read_granted(key, grant);
        self.ask_next(key, asks, now);
        Ok(())
    }

    /// A fetch that waits for memory waits no longer: it is answered without records.
    pub(in crate::core) fn read_no_more(&mut self, key: FanOutKey<FetchRecords>, now: Now) {
        let Some(FanOut { conn, stage, .. }) = self.families.fetch.fan_outs.get(key.number) else {
            return;
        };
        if matches!(stage, Stage::Queued(_)) {
            self.leave_queue(*conn, key);
            self.spread_of(key).end();
            self.fan_out_of(key).stage = Stage::Asked;
            self.go_on_joining(key, now);
        }
    }

    fn leave_queue(&mut self, conn: ConnId, key: FanOutKey<FetchRecords>) {
        if let Some(session) = self.sessions.get(conn) {
            session.queued.retain(|(queued, _)| *queued != key);
        }
    }

    /// The fetch waits for nothing more: it is answered with what there is.
    pub(in crate::core) fn hurry(&mut self, key: FanOutKey<FetchRecords>, now: Now) {
        self.fan_out_of(key).joint.make_haste();
        self.hurry_parts(key, now);
    }

    /// Tells the parts that are missing that they need not wait, as far as the slice goes.
    fn hurry_parts(&mut self, key: FanOutKey<FetchRecords>, now: Now) {
        let fan_out = self.fan_out_of(key);
        fan_out.joint.haste = Haste::Told;
        let lines = fan_out.lines_of_part();
        loop {
            let fan_out = self.fan_out_of(key);
            let hurried = fan_out.joint.hurried;
            let Some(part) = fan_out.parts.get(hurried).copied() else {
                return;
            };
            if let Some((core, slot)) = part {
                if !self.slices.has_room(now.mono) {
                    return self.go_on_later(FetchRecords::id(key), now);
                }
                self.slices.charge_lines(lines);
                self.hurry_fetch(core, slot);
            }
            self.fan_out_of(key).joint.hurried = hurried + 1;
        }
    }

    /// Nobody wants the fetch any more: it is forgotten now, or when the turn of so long a one comes.
    pub(in crate::core) fn give_up_fetch(&mut self, key: FanOutKey<FetchRecords>, now: Now) {
        let fan_out = self.fan_out_of(key);
        match fan_out.is_long() {
            true => {
                fan_out.stage = Stage::GivenUp;
                self.go_on_later(FetchRecords::id(key), now);
            }
            false => self.cancel_fan_out(key, now),
        }
    }

    /// Every fetch answers with what it has.
    pub(in crate::core) fn hurry_all(&mut self, now: Now) {
        let keys = self.families.fetch.fan_outs.iter();
        let keys: Vec<_> = keys.map(|(key, _)| FanOutKey::new(key)).collect();
        for key in keys {
            self.hurry(key, now);
            self.read_no_more(key, now);
        }
    }
}
