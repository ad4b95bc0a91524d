//! Where a core meets the world: what it hears and what it asks for.
//!
//! A core is plain, single-threaded, deterministic code: it opens no socket and no file, reads no
//! clock and never waits. The runtime (glommio and our own ring) and the simulator both
//! drive it through [`Behaviour`]; neither knows what a request is. The simulator ends, stops and starts
//! whole brokers of it over a disk that crashes, and looks at [what a core holds](super::UnderWay) when
//! it is quiet.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use leveret_storage::io::{BufPool, IoResult, Op, OpId};
use leveret_storage::types::{CoreId, Mono, Now};

pub use super::protocol::Protocol;

/// Names a connection of one core; never reused while anything of the old one is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// Dense slot number, reused.
    pub slot: u32,
    /// Counts the uses of the slot.
    pub generation: u32,
}

/// What has come of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inflow {
    /// Bytes since its beginning, whether they were received or lie below the driver.
    pub bytes: u64,
    /// How long ago the last of them came, nanoseconds.
    pub quiet: u64,
}

/// The buffer type of a behaviour's pool.
pub type BufOf<B> = <<B as Behaviour>::Pool as BufPool>::Buf;

/// What a core asks of its driver. The driver carries actions out in the order given per
/// connection and per target core; disk operations are unordered.
#[derive(Debug)]
pub enum Action<Buf, Message> {
    /// Carry out a storage operation and answer with [`Behaviour::handle_completion`].
    Disk(OpId, Op<Buf>),
    /// Append to the connection's outgoing bytes. The driver puts consecutive chunks into one vectored write
    /// and reports progress by [`Behaviour::handle_sent`].
    Send {
        /// The connection.
        conn: ConnId,
        /// Bytes to send after everything given before.
        bytes: Bytes,
    },
    /// The next `len` bytes of the connection belong at the end of `into` (capacity is there):
    /// receive them straight into place and hand the buffer back by [`Behaviour::handle_body`].
    /// It concerns the bytes after those received so far; on a paused connection it waits for
    /// [`Action::Resume`], which follows.
    Receive {
        /// The connection.
        conn: ConnId,
        /// What is already there of the body.
        into: BytesMut,
        /// How many bytes are missing.
        len: usize,
    },
    /// Tell by [`Behaviour::handle_there`] when so many more bytes of the paused connection have come and
    /// can be received at once. Nothing of it is delivered before.
    Await {
        /// The connection.
        conn: ConnId,
        /// How many bytes, some dozens of KiB at most: whatever lies below the driver keeps them.
        len: usize,
    },
    /// Tell by [`Behaviour::handle_inflow`] what has come of the connection, be it received or not.
    Measure(ConnId),
    /// Stop receiving from the connection (no permit for more); bytes already on their way up
    /// may still be delivered.
    Pause(ConnId),
    /// Receive again.
    Resume(ConnId),
    /// Close the connection once what was given to send has left, or after a short grace.
    /// [`Behaviour::handle_disconnected`] follows.
    Close(ConnId),
    /// End the connection at once; what was given to send and its peer has not taken is thrown away, wherever it
    /// lies. [`Behaviour::handle_disconnected`] follows.
    Drop(ConnId),
    /// Tell by [`Behaviour::handle_taken`] what the connection's peer has taken, unless it has ended.
    MeasureTaken(ConnId),
    /// Let another core serve the connection, if that can be done at once; otherwise it stays.
    /// [`Behaviour::handle_departed`] or [`Behaviour::handle_stayed`] follows, before anything
    /// else is heard of the connection; neither, if it has ended meanwhile. Until then the
    /// connection is paused and nothing was ever given to send.
    HandOver {
        /// The connection.
        conn: ConnId,
        /// The core that is to serve it; never the sender itself.
        to: CoreId,
    },
    /// Deliver a message to another core, in order, never lost while the process lives.
    Mesh {
        /// Receiving core; never the sender itself.
        to: CoreId,
        /// The message.
        message: Message,
    },
    /// The process must end now, non-zero, with this line: going on could lie.
    Fatal(String),
    /// This core has finished its graceful stop; nothing is outstanding.
    Stopped,
}

/// One core's logic, as its driver sees it.
pub trait Behaviour {
    /// Staging buffers for the device.
    type Pool: BufPool;
    /// What cores tell each other.
    type Message: Send + 'static;
    /// What an outside thread may ask a core about itself.
    type Question: Send + 'static;
    /// What it then hears.
    type Insight: Send + 'static;

    /// A connection was accepted; its first bytes follow.
    fn handle_accept(&mut self, conn: ConnId, protocol: Protocol, peer: SocketAddr, now: Now);
    /// Bytes arrived; all of them are consumed.
    fn handle_received(&mut self, conn: ConnId, bytes: &[u8], now: Now);
    /// A body asked for by [`Action::Receive`] is complete; or, after [`Action::Close`], what there is of it
    /// in the buffer, which nobody fills any more, so that its memory comes back at once.
    fn handle_body(&mut self, conn: ConnId, body: BytesMut, now: Now);
    /// What [`Action::Await`] asked for can be received, or, if it is not `whole`, will not be: the peer
    /// has sent its last, or there is no room for it below.
    fn handle_there(&mut self, conn: ConnId, whole: bool, now: Now) {
        let _nothing_was_awaited = (conn, whole, now);
    }
    /// What [`Action::Measure`] asked for; nothing if the connection is gone.
    fn handle_inflow(&mut self, conn: ConnId, inflow: Inflow, now: Now) {
        let _nothing_was_asked = (conn, inflow, now);
    }
    /// So many more bytes of the connection left for the peer.
    fn handle_sent(&mut self, conn: ConnId, bytes: usize, now: Now);
    /// [`Action::MeasureTaken`] asked for it: of what [left](Behaviour::handle_sent), the peer itself has taken so many
    /// bytes since the connection began, and there is more that it could take, or not.
    fn handle_taken(&mut self, conn: ConnId, bytes: u64, more: bool, now: Now) {
        let _nobody_asked = (conn, bytes, more, now);
    }
    /// The peer has sent its last; what of it was not received yet still follows. Only heard of a
    /// paused connection, of which nothing can be received.
    fn handle_input_closes(&mut self, conn: ConnId, now: Now) {
        let _nothing_waits_for_it = (conn, now);
    }
    /// Nothing more will be received, while the peer may still take what it is sent. It is the
    /// behaviour's to [close](Action::Close) the connection then.
    fn handle_input_ended(&mut self, conn: ConnId, now: Now);
    /// The connection is gone (peer, error, or our own close). Nothing more of it follows.
    fn handle_disconnected(&mut self, conn: ConnId, now: Now);
    /// The connection leaves for the core that [`Action::HandOver`] named; nothing more of it
    /// follows here. What was received and not used goes with it, in order.
    fn handle_departed(&mut self, conn: ConnId, now: Now) -> BytesMut;
    /// The connection could not be handed over and is this core's to serve.
    fn handle_stayed(&mut self, conn: ConnId, now: Now);
    /// A connection that another core handed over is this core's to serve, or one of its own
    /// comes back because the other had no room. Its first bytes are those that the core which it
    /// left had [received](Behaviour::handle_departed); it is not handed over again.
    fn handle_arrived(
        &mut self,
        conn: ConnId,
        protocol: Protocol,
        peer: SocketAddr,
        received: &[u8],
        now: Now,
    );
    /// A disk operation ended.
    fn handle_completion(&mut self, op: OpId, result: IoResult<BufOf<Self>>, now: Now)
    where
        Self: Sized;
    /// Another core's message.
    fn handle_mesh(&mut self, from: CoreId, message: Self::Message, now: Now);
    /// Time has passed; called at or after [`Behaviour::poll_timeout`].
    fn handle_timeout(&mut self, now: Now);
    /// The most CPU time that one turn of the driver's loop has taken, nanoseconds; told at the
    /// beginning of every turn.
    fn handle_longest_turn(&mut self, cpu: u64) {
        let _nobody_asks = cpu;
    }
    /// Answer an outside thread at once. Nothing changes by it that anybody could notice, and it
    /// costs no more than handling a request.
    fn observe(&mut self, question: Self::Question, now: Now) -> Self::Insight;
    /// Begin a graceful stop: refuse new work, finish and make durable what was accepted, then
    /// [`Action::Stopped`].
    fn handle_stop(&mut self, now: Now);
    /// What to do next; `None` until something is handled again.
    fn poll_action(&mut self) -> Option<Action<BufOf<Self>, Self::Message>>
    where
        Self: Sized;
    /// When [`Behaviour::handle_timeout`] is wanted next.
    fn poll_timeout(&self) -> Option<Mono>;
}
