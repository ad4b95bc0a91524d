//! What a core knows of one connection whatever it speaks, and the slots that connections live in.
//!
//! What only one protocol keeps of a connection is that protocol's, in [`Session::state`].

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use leveret_storage::types::Mono;

use super::account::{Standing, Weight};
use super::boundary::{ConnId, Protocol};
use super::fan_out::FanOutKey;
use super::hop::{AskGroup, FanOutId, FetchRecords};
use super::net::{Input, Pauses, Transport};
use super::ops::Principal;
use super::pace::{Collecting, Pace, Steady};
use super::protocol::ProtocolState;
use super::spread::Need;
use super::unread::Mark;

/// Whether a connection is among those that could say hello and have not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hello {
    /// It is, since it came into their list with that number.
    Awaited(u64),
    /// It has said something that waits for us.
    HeldUp,
    /// It has said hello, or is not counted any more.
    Over,
}

/// What is known of the rest of a long frame of which the beginning was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    #[default]
    Unknown,
    /// It can be received at once, or as much of it as a long one has to have sent.
    There,
    /// It will not come whole before some of it is received.
    Partial,
}

/// A frame that is being received into place.
#[derive(Debug)]
pub(super) struct Large {
    /// Of the whole frame, bytes.
    pub(super) len: usize,
    /// How far its permits go.
    pub(super) held: usize,
    /// What is there, while the next piece waits for its permit.
    pub(super) partial: Option<BytesMut>,
    pub(super) pace: Pace,
}

/// One connection.
pub(super) struct Session {
    pub(super) conn: ConnId,
    /// How its bytes travel.
    pub(super) transport: Transport,
    /// What its protocol keeps of it.
    pub(super) state: ProtocolState,
    /// Who asks by it.
    pub(super) principal: Principal,
    /// Where it comes from, for people.
    pub(super) peer: Option<SocketAddr>,
    /// What its client calls itself, for people; empty if it does not say.
    pub(super) client: Box<str>,
    /// The peer has proved to speak the protocol.
    pub(super) greeted: bool,
    /// Since when the peer could say hello.
    pub(super) hello_since: Mono,
    /// When anything of it came, or it took anything, or was answered, last.
    pub(super) touched: Mono,
    /// It stays with this core, whatever core it names.
    pub(super) stays: bool,
    hello: Hello,
    /// The last response has been given to send; whatever arrives is dropped.
    pub(super) closing: bool,
    /// Why it is not read, if it is not.
    pub(super) pauses: Pauses,
    pub(super) input: Input,
    /// Received and not yet looked at: a partial frame, or what came while blocked.
    pub(super) rx: BytesMut,
    pub(super) rest: Rest,
    pub(super) large: Option<Large>,
    /// How it has kept up with what it sends in pieces.
    pub(super) steady: Steady,
    /// What is awaited of it, while it is.
    pub(super) collecting: Option<Collecting>,
    /// Encoded in this turn and not yet given to the driver.
    pub(super) out: BytesMut,
    /// Bytes of answers that are complete and not sent: given to the driver, or waiting for
    /// their turn.
    pub(super) unsent: usize,
    /// Bytes that its waiting fetches keep.
    pub(super) kept: usize,
    /// Bytes that are set aside for what is being read for it.
    pub(super) aside: usize,
    /// What the core has counted of all that.
    pub(super) weighed: (Standing, Weight),
    /// Fan-outs of its fetches that wait for memory to read, and since when; the first reads first.
    pub(super) queued: VecDeque<(FanOutKey<FetchRecords>, Mono)>,
    /// It stands in the core's line of those that want to read, for so much at least.
    pub(super) stands: Option<Need>,
    /// How it was found when the core had many answers.
    pub(super) mark: Option<Mark>,
    /// Bytes of answers that the peer was sent so far.
    pub(super) sent: u64,
    /// Requests that wait for their answers.
    pub(super) waiting: usize,
    /// The fan-out of the one that has not asked for all of its parts.
    pub(super) asking: Option<FanOutId>,
    /// Fan-outs of fetches among them, which nobody needs once the connection is gone.
    pub(super) fetches: Vec<FanOutKey<FetchRecords>>,
    /// Calls among them that wait for other members of a group, likewise.
    pub(super) group_calls: Vec<FanOutKey<AskGroup>>,
}

impl Session {
    fn new(conn: ConnId, protocol: Protocol, now: Mono) -> Self {
        Self {
            conn,
            transport: Transport::default(),
            state: ProtocolState::new(protocol),
            principal: Principal::default(),
            peer: None,
            client: Box::default(),
            greeted: false,
            hello_since: now,
            touched: now,
            stays: false,
            hello: Hello::HeldUp,
            closing: false,
            pauses: Pauses::default(),
            input: Input::default(),
            rx: BytesMut::new(),
            rest: Rest::default(),
            large: None,
            steady: Steady::default(),
            collecting: None,
            out: BytesMut::new(),
            unsent: 0,
            kept: 0,
            aside: 0,
            weighed: <(Standing, Weight)>::default(),
            queued: VecDeque::new(),
            stands: None,
            mark: None,
            sent: 0,
            waiting: 0,
            asking: None,
            fetches: Vec::new(),
            group_calls: Vec::new(),
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.state.protocol()
    }

    /// The peer in words: where it comes from and, if its client has said so, what that calls itself.
    pub(super) fn who(&self) -> String {
        let peer = self.peer.map(|peer| peer.to_string());
        let peer = peer.as_deref().unwrap_or("unknown");
        match &*self.client {
            "" => peer.to_owned(),
            client => format!("{peer} ({})", client.escape_debug()),
        }
    }

    /// Whether no further fetch may be under way.
    pub(super) fn has_fetches_enough(&self) -> bool {
        self.fetches.len() >= self.protocol().fetches()
    }

    /// Takes what was encoded and not yet given to the driver.
    pub(super) fn take_out(&mut self) -> Bytes {
        let bytes = self.out.split().freeze();
        self.unsent += bytes.len();
        bytes
    }
}

/// Longest name of a client that is kept, characters.
pub(super) const NAME: usize = 60;

/// A client's own name for what it is, short enough to keep.
pub(super) fn short(name: &str) -> Box<str> {
    let end = name
        .char_indices()
        .nth(NAME)
        .map_or(name.len(), |(at, _)| at);
    Box::from(&name[..end])
}

/// The connections of one core, by slot.
#[derive(Default)]
pub(super) struct Sessions {
    slots: Vec<Option<Box<Session>>>,
    /// Of each slot: whether somebody will look if its connection is idle.
    looked_after: Vec<bool>,
    open: usize,
    /// Connections that could say hello and have not.
    greeting: usize,
    /// Those, the longest silent first, and some that have said it or gone meanwhile.
    silent: VecDeque<(ConnId, u64)>,
    /// Entries of that list so far.
    listed: u64,
}

impl Sessions {
    pub(super) fn open(&mut self, conn: ConnId, protocol: Protocol, now: Mono) -> &mut Session {
        let slot = conn.slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
            self.looked_after.resize(slot + 1, false);
        }
        let old = self.slots[slot].replace(Box::new(Session::new(conn, protocol, now)));
        assert!(
            old.is_none(),
            "the driver reused the slot of an open connection"
        );
        self.open += 1;
        self.await_hello(conn);
        self.get(conn).expect("just opened")
    }

    /// It is the connection's turn to say hello, if it has not.
    pub(super) fn await_hello(&mut self, conn: ConnId) {
        let number = self.listed;
        let session = self.get(conn).filter(|s| s.hello == Hello::HeldUp);
        let Some(session) = session else { return };
        session.hello = Hello::Awaited(number);
        self.listed += 1;
        self.greeting += 1;
        // No more are kept than are counted, plus those that a slow one is in front of.
        if self.silent.len() > 2 * self.greeting {
            let mut silent = std::mem::take(&mut self.silent);
            silent.retain(|entry| self.is_awaited(*entry));
            self.silent = silent;
        }
        self.silent.push_back((conn, number));
    }

    /// What the connection has said waits for us.
    pub(super) fn hold_up_hello(&mut self, conn: ConnId) {
        self.uncount(conn, Hello::HeldUp);
    }

    /// The connection has said hello, in its protocol's way. Whether it had not before.
    pub(super) fn greeted(&mut self, conn: ConnId) -> bool {
        let session = self.get(conn);
        let first = session.is_some_and(|s| !std::mem::replace(&mut s.greeted, true));
        self.uncount(conn, Hello::Over);
        first
    }

    /// The connection's client calls itself so; no more of it is kept than people want to read.
    pub(super) fn name_client(&mut self, conn: ConnId, name: &str) {
        if let Some(session) = self.get(conn) {
            session.client = short(name);
        }
    }

    /// The connection is none of those that could say hello and have not.
    fn uncount(&mut self, conn: ConnId, why: Hello) {
        let Some(session) = self.get(conn) else {
            return;
        };
        match session.hello {
            Hello::Awaited(_) => {
                session.hello = why;
                self.greeting -= 1;
            }
            Hello::HeldUp => session.hello = why,
            Hello::Over => {}
        }
    }

    /// How many connections could say hello and have not.
    pub(super) fn greeting(&self) -> usize {
        self.greeting
    }

    /// Takes the one of them that has been silent longest out of their number.
    pub(super) fn oldest_greeting(&mut self) -> Option<ConnId> {
        while let Some((conn, number)) = self.silent.pop_front() {
            if self.is_awaited((conn, number)) {
                self.uncount(conn, Hello::Over);
                return Some(conn);
            }
        }
        None
    }

    fn is_awaited(&mut self, (conn, number): (ConnId, u64)) -> bool {
        let session = self.get(conn);
        session.is_some_and(|session| session.hello == Hello::Awaited(number))
    }

    /// Somebody will look after the slot from now on, or no more. Whether somebody did before.
    pub(super) fn look_after(&mut self, slot: u32, whether: bool) -> bool {
        std::mem::replace(&mut self.looked_after[slot as usize], whether)
    }

    /// Slots that there are, taken or not.
    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("slots have numbers")
    }

    /// The session in that slot.
    pub(super) fn in_slot(&mut self, slot: u32) -> Option<&mut Session> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    /// The session of a connection that is still there.
    pub(super) fn get(&mut self, conn: ConnId) -> Option<&mut Session> {
        let session = self.slots.get_mut(conn.slot as usize)?.as_deref_mut()?;
        (session.conn == conn).then_some(session)
    }

    /// What is spoken on a connection that is still there.
    pub(super) fn protocol(&mut self, conn: ConnId) -> Option<Protocol> {
        self.get(conn).map(|session| session.protocol())
    }

    /// All sessions, in no order, to look at.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter().flatten().map(AsRef::as_ref)
    }

    pub(super) fn close(&mut self, conn: ConnId) -> Option<Box<Session>> {
        self.get(conn)?;
        self.uncount(conn, Hello::Over);
        self.open -= 1;
        self.slots[conn.slot as usize].take()
    }

    pub(super) fn len(&self) -> usize {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(slot: u32) -> ConnId {
        ConnId {
            slot,
            generation: 0,
        }
    }

    #[test]
    fn the_oldest_that_said_no_hello_is_found_and_counted_once() {
        let mut sessions = Sessions::default();
        for slot in 0..4 {
            sessions.open(conn(slot), Protocol::Native, Mono(0));
        }
        sessions.greeted(conn(0));
        sessions.greeted(conn(0));
        sessions.close(conn(1));
        assert_eq!(sessions.greeting(), 2);
        assert_eq!(sessions.oldest_greeting(), Some(conn(2)));
        assert_eq!(sessions.greeting(), 1);
        sessions.close(conn(2));
        assert_eq!(sessions.greeting(), 1, "it was not counted any more");
        assert_eq!(sessions.oldest_greeting(), Some(conn(3)));
        assert_eq!((sessions.greeting(), sessions.oldest_greeting()), (0, None));
        assert_eq!(sessions.len(), 2);
    }

    #[test]
    fn a_client_is_told_by_its_address_and_a_short_printable_name() {
        let mut sessions = Sessions::default();
        sessions.open(conn(0), Protocol::Kafka, Mono(0)).peer = "127.0.0.1:9".parse().ok();
        assert!(sessions.greeted(conn(0)) && !sessions.greeted(conn(0)));
        let who = |sessions: &mut Sessions| sessions.get(conn(0)).expect("open").who();
        assert_eq!(who(&mut sessions), "127.0.0.1:9");
        sessions.name_client(conn(0), "a\n\u{1b}[2J");
        assert_eq!(who(&mut sessions), "127.0.0.1:9 (a\\n\\u{1b}[2J)");
        sessions.name_client(conn(0), &"\u{e9}".repeat(30_000));
        let session = sessions.get(conn(0)).expect("open");
        assert_eq!(session.client.chars().count(), NAME);
    }

    #[test]
    fn who_waits_for_us_is_not_silent_and_is_the_latest_when_it_goes_on() {
        let mut sessions = Sessions::default();
        for slot in 0..3 {
            sessions.open(conn(slot), Protocol::Kafka, Mono(0));
        }
        sessions.hold_up_hello(conn(0));
        sessions.hold_up_hello(conn(0));
        assert_eq!(sessions.greeting(), 2);
        sessions.await_hello(conn(0));
        sessions.await_hello(conn(0));
        assert_eq!(sessions.greeting(), 3);
        sessions.hold_up_hello(conn(2));
        sessions.greeted(conn(2));
        sessions.await_hello(conn(2));
        assert_eq!(sessions.oldest_greeting(), Some(conn(1)));
        assert_eq!(sessions.oldest_greeting(), Some(conn(0)));
        assert_eq!((sessions.greeting(), sessions.oldest_greeting()), (0, None));
    }

    #[test]
    fn who_came_is_forgotten_behind_a_slow_one_too() {
        let mut sessions = Sessions::default();
        sessions.open(conn(0), Protocol::Native, Mono(0));
        for generation in 0..1000 {
            let quick = ConnId {
                slot: 1,
                generation,
            };
            sessions.open(quick, Protocol::Kafka, Mono(0));
            sessions.close(quick);
        }
        assert!(sessions.silent.len() < 8, "{}", sessions.silent.len());
        assert_eq!(sessions.oldest_greeting(), Some(conn(0)));
    }
}
