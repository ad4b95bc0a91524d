//! What a protocol brings, and the list of protocols.
//!
//! A protocol is a folder here and a line in the list below. It says how long the frame is that begins with
//! these bytes, takes whole frames, has last words for a peer that took too long, and keeps what it likes of a
//! connection. What comes of a frame is a call of [`hop`](super::hop), or a [`Job`](super::fan_out::Job) where
//! several cores have to answer; a client that waits for one answer is one of the types that it declares. Nobody
//! but this file tells protocols apart.

use std::fmt;

use bytes::BytesMut;
use leveret_engine::EngineError;
use leveret_engine::shard::Produced;
use leveret_storage::io::BufPool;
use leveret_storage::types::{Mono, Now};
use leveret_wire::speech::Speech;

use super::Core;
use super::boundary::ConnId;
use super::net::frames::Look;

/// What a protocol brings.
pub(super) trait Spoken: Sized {
    /// What its port is called in messages and in the ready line.
    const NAME: &'static str;
    /// How a peer that speaks it is known on other ports, if it begins like nobody else.
    const SPEECH: Option<Speech>;
    /// Fetches of one connection that may wait or read at once.
    const FETCHES: usize = usize::MAX;

    /// What it keeps of a connection.
    type State: fmt::Debug + Default;
    /// A client that one batch is appended for.
    type Produces: fmt::Debug;
    /// A client that waits for a producer id.
    type WantsId: fmt::Debug;

    /// The frame at the start of `input`: how long it is, and what it takes of the budget; or it is refused.
    fn look<P: BufPool>(core: &mut Core<P>, conn: ConnId, input: &[u8], now: Now) -> Look;

    /// Takes a whole frame where it was received, of which `permit` bytes are held until it is given back.
    fn take<P: BufPool>(core: &mut Core<P>, conn: ConnId, frame: &[u8], permit: usize, now: Now);

    /// Takes a long frame that was received into place.
    fn take_long<P: BufPool>(
        core: &mut Core<P>,
        conn: ConnId,
        frame: BytesMut,
        permit: usize,
        now: Now,
    );

    /// Whether a long frame that is all there costs so much to read that it stands in line for that.
    fn reads_in_line(_frame: &[u8]) -> bool {
        false
    }

    /// Reads a frame that stood in line, as far as the slice goes. Whether that was all: then it is taken.
    fn read_on<P: BufPool>(_core: &mut Core<P>, _conn: ConnId, _frame: &[u8], _now: Now) -> bool {
        true
    }

    /// The peer took too long: it hears why, if there are words for it, and the connection ends.
    fn late<P: BufPool>(core: &mut Core<P>, conn: ConnId, why: &str);

    /// The connection is new, or it is the time that was given here before: a heartbeat is sent if it is due, and
    /// who has missed too many is [late](Spoken::late). When to ask next; `None` where there are no heartbeats.
    fn beat<P: BufPool>(_core: &mut Core<P>, _conn: ConnId, _now: Now) -> Option<Mono> {
        None
    }

    /// The peer has taken something: more may be given to it beside what its requests bring. Whether it is
    /// memory that lacks for that.
    fn push_on<P: BufPool>(core: &mut Core<P>, conn: ConnId, _now: Now) -> bool {
        core.weigh(conn);
        false
    }

    /// The peer has sent its last: what is given to it beside answers ends.
    fn hung_up<P: BufPool>(_core: &mut Core<P>, _conn: ConnId) {}

    /// The connection is gone, of which it kept that.
    fn gone<P: BufPool>(_core: &mut Core<P>, _state: Self::State) {}

    /// The broker stops: who is given anything beside answers hears of it.
    fn stops<P: BufPool>(_core: &mut Core<P>) {}

    /// Whether the peer waits for something beside answers, so that it is not idle.
    fn waits(_state: &Self::State) -> bool {
        false
    }

    /// Bytes of answers that the peer cannot take yet, as an earlier one goes first.
    fn held_back(_state: &Self::State) -> usize {
        0
    }

    /// What came of a client's batch is known, or, if there is no reply, its time-out has passed.
    fn produced<P: BufPool>(
        core: &mut Core<P>,
        client: Self::Produces,
        reply: Option<Result<Produced, EngineError>>,
        now: Now,
    );

    /// There is a producer id for a client, or none can be had.
    fn id_reserved<P: BufPool>(
        core: &mut Core<P>,
        client: Self::WantsId,
        id: Result<i64, EngineError>,
        now: Now,
    );
}

/// What the list gives each protocol.
pub(super) trait Listed: Spoken {
    /// What it keeps of a connection that speaks it.
    fn own(state: &mut ProtocolState) -> Option<&mut Self::State>;

    /// As a client that one batch is appended for.
    fn produces(client: Self::Produces) -> Produces;

    /// As a client that waits for a producer id.
    fn wants_id(client: Self::WantsId) -> WantsId;
}

macro_rules! protocols {
    ($($(#[doc = $doc:literal])+ $(#[cfg($cfg:meta)])? $name:ident: $spoken:ty;)+) => {
        /// Which listener a connection came in by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Protocol {
            $($(#[doc = $doc])+ $(#[cfg($cfg)])? $name,)+
        }

        impl Protocol {
            /// What it is called in messages and in the ready line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => <$spoken>::NAME,)+
                }
            }

            /// How a peer that speaks it is known on other ports, if it begins like nobody else.
            #[must_use]
            pub fn speech(self) -> Option<Speech> {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => <$spoken>::SPEECH,)+
                }
            }

            /// Fetches of one connection that may wait or read at once.
            pub(super) fn fetches(self) -> usize {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => <$spoken>::FETCHES,)+
                }
            }

            /// Whether a long frame that is all there stands in line to be read.
            pub(super) fn reads_in_line(self, frame: &[u8]) -> bool {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => <$spoken>::reads_in_line(frame),)+
                }
            }
        }

        /// What the protocol of a connection keeps of it.
        #[derive(Debug)]
        pub(super) enum ProtocolState {
            $($(#[cfg($cfg)])? $name(<$spoken as Spoken>::State),)+
        }

        impl ProtocolState {
            pub(super) fn new(protocol: Protocol) -> Self {
                match protocol {
                    $($(#[cfg($cfg)])? Protocol::$name => Self::$name(Default::default()),)+
                }
            }

            pub(super) fn protocol(&self) -> Protocol {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(_) => Protocol::$name,)+
                }
            }

            /// Whether the peer waits for something beside answers.
            pub(super) fn waits(&self) -> bool {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(state) => <$spoken>::waits(state),)+
                }
            }

            /// Bytes of answers that the peer cannot take yet.
            pub(super) fn held_back(&self) -> usize {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(state) => <$spoken>::held_back(state),)+
                }
            }

            /// The connection is gone.
            pub(super) fn gone<P: BufPool>(self, core: &mut Core<P>) {
                match self {
                    $($(#[cfg($cfg)])? Self::$name(state) => <$spoken>::gone(core, state),)+
                }
            }
        }

        /// A client that one batch is appended for, in the words of its protocol.
        #[derive(Debug)]
        pub(super) enum Produces {
            $($(#[cfg($cfg)])? $name(<$spoken as Spoken>::Produces),)+
        }

        /// A client that waits for a producer id, likewise.
        #[derive(Debug)]
        pub(super) enum WantsId {
            $($(#[cfg($cfg)])? $name(<$spoken as Spoken>::WantsId),)+
        }

        $($(#[cfg($cfg)])? impl Listed for $spoken {
            fn own(state: &mut ProtocolState) -> Option<&mut Self::State> {
                match state {
                    ProtocolState::$name(state) => Some(state),
                    _ => None,
                }
            }

            fn produces(client: Self::Produces) -> Produces {
                Produces::$name(client)
            }

            fn wants_id(client: Self::WantsId) -> WantsId {
                WantsId::$name(client)
            }
        })+

        impl<P: BufPool> Core<P> {
            /// The frame at the start of `input`.
            pub(super) fn look(
                &mut self,
                (conn, protocol): (ConnId, Protocol),
                input: &[u8],
                now: Now,
            ) -> Look {
                match protocol {
                    $($(#[cfg($cfg)])? Protocol::$name => <$spoken>::look(self, conn, input, now),)+
                }
            }

            /// Takes a whole frame where it was received.
            pub(super) fn take_whole(
                &mut self,
                (conn, protocol): (ConnId, Protocol),
                frame: &[u8],
                permit: usize,
                now: Now,
            ) {
                match protocol {
                    $($(#[cfg($cfg)])? Protocol::$name => <$spoken>::take(self, conn, frame, permit, now),)+
                }
            }

            /// Takes a long frame that was received into place.
            pub(super) fn take_long(
                &mut self,
                (conn, protocol): (ConnId, Protocol),
                frame: BytesMut,
                permit: usize,
                now: Now,
            ) {
                match protocol {
                    $($(#[cfg($cfg)])? Protocol::$name => <$spoken>::take_long(self, conn, frame, permit, now),)+
                }
            }

            /// Reads a frame that stood in line, as far as the slice goes. Whether that was all.
            pub(super) fn read_on(
                &mut self,
                (conn, protocol): (ConnId, Protocol),
                frame: &[u8],
                now: Now,
            ) -> bool {
                match protocol {
                    $($(#[cfg($cfg)])? Protocol::$name => <$spoken>::read_on(self, conn, frame, now),)+
                }
            }

            /// Ends a connection whose peer took too long, in its protocol's way.
            pub(super) fn too_late(&mut self, conn: ConnId, why: &str) {
                match self.sessions.protocol(conn) {
                    $($(#[cfg($cfg)])? Some(Protocol::$name) => <$spoken>::late(self, conn, why),)+
                    None => {}
                }
            }

            /// Looks after the heartbeat of a connection. When to do so next.
            pub(super) fn beat(&mut self, conn: ConnId, now: Now) -> Option<Mono> {
                match self.sessions.protocol(conn)? {
                    $($(#[cfg($cfg)])? Protocol::$name => <$spoken>::beat(self, conn, now),)+
                }
            }

            /// Gives the peer more beside answers, if there is any. Whether it is memory that lacks for that.
            pub(super) fn push_on(&mut self, (conn, protocol): (ConnId, Protocol), now: Now) -> bool {
                match protocol {
                    $($(#[cfg($cfg)])? Protocol::$name => <$spoken>::push_on(self, conn, now),)+
                }
            }

            /// The peer has sent its last: what it is given beside answers ends.
            pub(super) fn end_pushes(&mut self, conn: ConnId) {
                match self.sessions.protocol(conn) {
                    $($(#[cfg($cfg)])? Some(Protocol::$name) => <$spoken>::hung_up(self, conn),)+
                    None => {}
                }
            }

            /// Whoever is given anything beside answers hears that the broker stops.
            pub(super) fn end_all_pushes(&mut self) {
                $($(#[cfg($cfg)])? <$spoken>::stops(self);)+
            }

            /// What came of a client's batch is known, or, if there is no reply, its time-out has passed.
            pub(super) fn produced(
                &mut self,
                client: Produces,
                reply: Option<Result<Produced, EngineError>>,
                now: Now,
            ) {
                match client {
                    $($(#[cfg($cfg)])? Produces::$name(client) => <$spoken>::produced(self, client, reply, now),)+
                }
            }

            /// There is a producer id for a client, or none can be had.
            pub(super) fn id_reserved(&mut self, client: WantsId, id: Result<i64, EngineError>, now: Now) {
                match client {
                    $($(#[cfg($cfg)])? WantsId::$name(client) => <$spoken>::id_reserved(self, client, id, now),)+
                }
            }
        }
    };
}

protocols! {
    /// The native FlatBuffers protocol.
    Native: super::native::Native;
    /// Kafka's.
    Kafka: super::kafka::Kafka;
    /// Lines of text, there in tests only.
    #[cfg(test)]
    Toy: super::toy::Toy;
}

impl<P: BufPool> Core<P> {
    /// What the protocol of a connection that speaks `S` keeps of it.
    pub(super) fn state<S: Listed>(&mut self, conn: ConnId) -> Option<&mut S::State> {
        S::own(&mut self.sessions.get(conn)?.state)
    }
}
