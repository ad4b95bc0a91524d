//! A behaviour small enough to see through: frames of `kind, length (u32 LE), payload`, each
//! answered by a frame of the same kind.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use leveret_broker::core::boundary::{Action, Behaviour, ConnId, Protocol};
use leveret_broker::runtime::{CoreSetup, DmaBuf, DmaPool};
use leveret_storage::io::{BufPool, FileName, IoResult, Op, OpId};
use leveret_storage::types::{CoreId, Generation, Mono, Now};

/// The payload comes back; above 16 KiB it is received straight into place.
pub(crate) const ECHO: u8 = b'e';
/// The payload goes to the next core and comes back with that core's number before it.
pub(crate) const PING: u8 = b'm';
/// A 4 KiB durable write to the core's file; answered when it is done.
pub(crate) const WRITE: u8 = b'w';
/// Reading pauses for as many milliseconds as the payload says (u32 LE), then answers.
pub(crate) const PAUSE: u8 = b'p';
/// Nothing is read until as many bytes as the payload says (u32 LE) have come, then answered with 1; with
/// 0 if they will not come.
pub(crate) const AWAIT: u8 = b'a';
/// Answered, then closed by the core.
pub(crate) const CLOSE: u8 = b'c';
/// Closed by the core after as many milliseconds as the payload says (u32 LE), whatever it sends then.
pub(crate) const CLOSE_LATER: u8 = b'l';
/// Names a core to be served by; answered with the number of the core that does, and 1 if the
/// connection was handed over to it.
pub(crate) const NAME: u8 = b'n';
/// Answered when nobody holds [`GATE`]; until then the core does nothing.
pub(crate) const STALL: u8 = b's';

/// Holds up cores that were told to stall.
pub(crate) static GATE: Mutex<()> = Mutex::new(());
/// One was.
pub(crate) static STALLED: AtomicBool = AtomicBool::new(false);

/// The question for the number of bodies that came back because their connections were closed.
pub(crate) const GIVEN_UP: u32 = u32::MAX - 1;
/// The question for the number of connections; any other is answered with the next number.
pub(crate) const CONNECTIONS: u32 = u32::MAX;

const HEADER: usize = 5;
const DIRECT: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) enum Message {
    Ping { conn: ConnId, payload: Vec<u8> },
    Pong { conn: ConnId, payload: Vec<u8> },
}

#[derive(Default)]
struct Conn {
    buffer: Vec<u8>,
    /// Kind of the body that is received into place.
    body: Option<u8>,
    sent: usize,
    /// Its first frame was looked at.
    begun: bool,
    /// It was closed by the core.
    closed: bool,
    /// It is about to be handed over.
    leaving: bool,
    /// It was handed over, or could not be.
    stays: bool,
    arrived: bool,
}

/// One toy core.
pub(crate) struct Toy {
    core: CoreId,
    cores: u16,
    pool: DmaPool,
    conns: BTreeMap<ConnId, Conn>,
    actions: VecDeque<Action<DmaBuf, Message>>,
    writes: BTreeMap<OpId, ConnId>,
    pauses: BTreeMap<Mono, ConnId>,
    closes: BTreeMap<Mono, ConnId>,
    /// Bodies of closed connections.
    given_up: u32,
    next_op: u64,
    opened: bool,
    stopping: bool,
    stopped: bool,
}

impl Toy {
    pub(crate) fn new(setup: CoreSetup<()>) -> Result<Self, String> {
        let mut toy = Self {
            core: setup.core,
            cores: setup.cores,
            pool: setup.pool,
            conns: BTreeMap::new(),
            actions: VecDeque::new(),
            writes: BTreeMap::new(),
            pauses: BTreeMap::new(),
            closes: BTreeMap::new(),
            given_up: 0,
            next_op: 0,
            opened: false,
            stopping: false,
            stopped: false,
        };
        let create = Op::Create {
            file: toy.file(),
            reserve: 1 << 20,
        };
        toy.start(create);
        Ok(toy)
    }

    fn file(&self) -> FileName {
        FileName::Journal {
            generation: Generation(1),
            core: self.core,
            index: 0,
        }
    }

    fn start(&mut self, op: Op<DmaBuf>) -> OpId {
        self.next_op += 1;
        self.actions.push_back(Action::Disk(OpId(self.next_op), op));
        OpId(self.next_op)
    }

    fn reply(&mut self, conn: ConnId, kind: u8, payload: &[u8]) {
        let mut header = vec![kind];
        header.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
        self.actions.push_back(Action::Send {
            conn,
            bytes: Bytes::from(header),
        });
        let bytes = Bytes::copy_from_slice(payload);
        self.actions.push_back(Action::Send { conn, bytes });
    }

    fn frame(&mut self, conn: ConnId, kind: u8, payload: Vec<u8>, now: Now) {
        match kind {
            ECHO => self.reply(conn, kind, &payload),
            PING if self.cores == 1 => self.reply(conn, kind, &with_core(self.core, &payload)),
            PING => {
                let to = CoreId((self.core.0 + 1) % self.cores);
                let message = Message::Ping { conn, payload };
                self.actions.push_back(Action::Mesh { to, message });
            }
            WRITE => {
                let mut buf = self.pool.alloc(4096);
                buf.as_mut().fill(7);
                let file = self.file();
                let id = self.start(Op::Write {
                    file,
                    pos: 0,
                    buf,
                    durable: true,
                });
                self.writes.insert(id, conn);
            }
            PAUSE => {
                let ms = u32::from_le_bytes(payload[..4].try_into().unwrap());
                self.actions.push_back(Action::Pause(conn));
                self.pauses
                    .insert(now.mono.after(u64::from(ms) * 1_000_000), conn);
            }
            CLOSE_LATER => {
                let ms = u32::from_le_bytes(payload[..4].try_into().unwrap());
                self.closes
                    .insert(now.mono.after(u64::from(ms) * 1_000_000), conn);
            }
            AWAIT => {
                let len = u32::from_le_bytes(payload[..4].try_into().unwrap()) as usize;
                self.actions.push_back(Action::Pause(conn));
                self.actions.push_back(Action::Await { conn, len });
            }
            NAME => {
                let arrived = u8::from(self.conns[&conn].arrived);
                self.reply(conn, kind, &with_core(self.core, &[arrived]));
            }
            STALL => {
                STALLED.store(true, Ordering::Release);
                drop(GATE.lock().unwrap_or_else(PoisonError::into_inner));
                self.reply(conn, kind, &[]);
            }
            CLOSE => {
                self.reply(conn, kind, &payload);
                self.actions.push_back(Action::Close(conn));
            }
            other => panic!("a frame of kind {other}"),
        }
    }

    /// Takes the whole frames that are there.
    fn look(&mut self, id: ConnId, now: Now) {
        while let Some(conn) = self.conns.get_mut(&id).filter(|c| c.buffer.len() >= HEADER) {
            let kind = conn.buffer[0];
            let len = u32::from_le_bytes(conn.buffer[1..HEADER].try_into().unwrap()) as usize;
            if conn.buffer.len() < HEADER + len {
                if len > DIRECT {
                    let mut into = BytesMut::with_capacity(len);
                    into.extend_from_slice(&conn.buffer[HEADER..]);
                    let missing = len - into.len();
                    conn.buffer.clear();
                    conn.body = Some(kind);
                    let receive = Action::Receive {
                        conn: id,
                        into,
                        len: missing,
                    };
                    self.actions.push_back(receive);
                }
                return;
            }
            let to = CoreId(u16::from(
                conn.buffer[HEADER..].first().copied().unwrap_or(0),
            ));
            let first = !std::mem::replace(&mut conn.begun, true) && !conn.stays;
            if kind == NAME && first && to != self.core && to.0 < self.cores {
                conn.leaving = true;
                self.actions.push_back(Action::Pause(id));
                self.actions.push_back(Action::HandOver { conn: id, to });
                return;
            }
            let frame: Vec<u8> = conn.buffer.drain(..HEADER + len).collect();
            self.frame(id, kind, frame[HEADER..].to_vec(), now);
        }
    }

    fn finish_if_stopping(&mut self) {
        if self.stopping && self.writes.is_empty() {
            self.stopping = false;
            self.actions.push_back(Action::Stopped);
        }
    }
}

fn with_core(core: CoreId, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(core.0).unwrap()];
    bytes.extend(payload);
    bytes
}

impl Behaviour for Toy {
    type Pool = DmaPool;
    type Message = Message;
    type Question = u32;
    type Insight = (CoreId, u32);

    fn handle_accept(&mut self, conn: ConnId, _: Protocol, peer: SocketAddr, _: Now) {
        assert!(peer.ip().is_loopback());
        assert!(
            self.conns.insert(conn, Conn::default()).is_none(),
            "ids are not reused"
        );
    }

    fn handle_received(&mut self, id: ConnId, bytes: &[u8], now: Now) {
        let conn = self.conns.get_mut(&id).expect("an accepted connection");
        assert!(conn.body.is_none(), "the body goes into place");
        assert!(!conn.leaving, "a connection that leaves is paused");
        conn.buffer.extend_from_slice(bytes);
        self.look(id, now);
    }

    fn handle_body(&mut self, id: ConnId, body: BytesMut, now: Now) {
        let conn = self.conns.get_mut(&id).expect("an accepted connection");
        let kind = conn.body.take().expect("a body was asked for");
        if conn.closed {
            self.given_up += 1;
            return;
        }
        self.frame(id, kind, body.to_vec(), now);
    }

    fn handle_there(&mut self, conn: ConnId, whole: bool, _: Now) {
        self.actions.push_back(Action::Resume(conn));
        self.reply(conn, AWAIT, &[u8::from(whole)]);
    }

    fn handle_sent(&mut self, conn: ConnId, bytes: usize, _: Now) {
        self.conns
            .get_mut(&conn)
            .expect("an accepted connection")
            .sent += bytes;
    }

    /// Of a paused connection: it is answered at once, and read to its end.
    fn handle_input_closes(&mut self, conn: ConnId, _: Now) {
        self.pauses.retain(|_, paused| *paused != conn);
        self.actions.push_back(Action::Resume(conn));
        self.reply(conn, PAUSE, &[]);
    }

    fn handle_input_ended(&mut self, conn: ConnId, _: Now) {
        self.actions.push_back(Action::Close(conn));
    }

    fn handle_disconnected(&mut self, conn: ConnId, _: Now) {
        assert!(self.conns.remove(&conn).is_some(), "disconnected once");
    }

    fn handle_departed(&mut self, conn: ConnId, _: Now) -> BytesMut {
        let conn = self.conns.remove(&conn).expect("an accepted connection");
        assert!(conn.leaving, "nobody asked for it");
        BytesMut::from(&conn.buffer[..])
    }

    fn handle_stayed(&mut self, id: ConnId, now: Now) {
        let conn = self.conns.get_mut(&id).expect("an accepted connection");
        assert!(std::mem::take(&mut conn.leaving), "nobody asked for it");
        conn.stays = true;
        self.actions.push_back(Action::Resume(id));
        self.look(id, now);
    }

    fn handle_arrived(
        &mut self,
        id: ConnId,
        protocol: Protocol,
        peer: SocketAddr,
        received: &[u8],
        now: Now,
    ) {
        assert!(received.len() <= 2 * DIRECT, "few bytes travel");
        self.handle_accept(id, protocol, peer, now);
        let conn = self.conns.get_mut(&id).expect("just inserted");
        (conn.stays, conn.arrived) = (true, true);
        if self.stopped {
            return self.actions.push_back(Action::Close(id));
        }
        self.handle_received(id, received, now);
    }

    fn handle_completion(&mut self, op: OpId, result: IoResult<DmaBuf>, _: Now) {
        result.expect("the disk works");
        self.opened = true;
        if let Some(conn) = self.writes.remove(&op) {
            self.reply(conn, WRITE, &[]);
        }
        self.finish_if_stopping();
    }

    fn handle_mesh(&mut self, from: CoreId, message: Message, _: Now) {
        match message {
            Message::Ping { conn, payload } => {
                let payload = with_core(self.core, &payload);
                let message = Message::Pong { conn, payload };
                self.actions.push_back(Action::Mesh { to: from, message });
            }
            Message::Pong { conn, payload } => self.reply(conn, PING, &payload),
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        while let Some(entry) = self.pauses.first_entry().filter(|e| *e.key() <= now.mono) {
            let conn = entry.remove();
            self.actions.push_back(Action::Resume(conn));
            self.reply(conn, PAUSE, &[]);
        }
        while let Some(entry) = self.closes.first_entry().filter(|e| *e.key() <= now.mono) {
            let id = entry.remove();
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.closed = true;
                self.actions.push_back(Action::Close(id));
            }
        }
    }

    fn observe(&mut self, question: u32, _: Now) -> (CoreId, u32) {
        let connections = u32::try_from(self.conns.len()).unwrap();
        let answer = match question {
            CONNECTIONS => connections,
            GIVEN_UP => self.given_up,
            other => other + 1,
        };
        (self.core, answer)
    }

    fn handle_stop(&mut self, _: Now) {
        (self.stopping, self.stopped) = (true, true);
        self.finish_if_stopping();
    }

    fn poll_action(&mut self) -> Option<Action<DmaBuf, Message>> {
        self.actions.pop_front()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        let pauses = self.pauses.keys().next();
        pauses
            .into_iter()
            .chain(self.closes.keys().next())
            .min()
            .copied()
    }
}
