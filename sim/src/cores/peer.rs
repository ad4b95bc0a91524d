//! A connection's far end: what it has sent that was not read, and what it was sent and has not
//! taken.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use leveret_broker::core::boundary::{ConnId, Inflow, Protocol};
use leveret_storage::types::{CoreId, Mono};

/// How the peer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Not yet.
    None,
    /// It sends no more.
    Finished,
    /// The same, and the core was told so before it had received all.
    Seen,
    /// The same, and the core has received all and knows.
    Told,
    /// It is gone.
    Reset,
}

/// A connection that one core gives another.
#[derive(Debug)]
pub(super) struct Traveller {
    /// Which it is among the peers.
    pub(super) conn: usize,
    /// What the core that it left had received of it.
    pub(super) received: BytesMut,
    /// It is on its way back.
    pub(super) returned: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Peer {
    /// The core that serves it, unless it is under way to another, and what that core calls it.
    pub(super) core: Option<usize>,
    pub(super) id: ConnId,
    pub(super) protocol: Protocol,
    /// Sent and not arrived.
    pub(super) input: VecDeque<u8>,
    /// Bytes that have arrived, and when the last of them did.
    pub(super) came: u64,
    pub(super) came_last: Mono,
    pub(super) end: End,
    /// The broker reads nothing of it.
    pub(super) paused: bool,
    /// A body that is received into place, and how much of it is missing.
    pub(super) body: Option<(BytesMut, usize)>,
    /// The broker wants to know when so much has come.
    pub(super) awaited: Option<usize>,
    /// Given to send and not taken.
    pub(super) queue: VecDeque<Bytes>,
    /// It takes nothing.
    pub(super) stalled: bool,
    /// What it has taken and nobody has read yet.
    pub(super) taken: Vec<u8>,
    /// Bytes of all that it has ever taken.
    pub(super) took: u64,
    /// The broker closes it once it has taken what there is.
    pub(super) closing: bool,
    /// It is to be served by that core.
    pub(super) moving: Option<CoreId>,
    pub(super) open: bool,
}

impl Peer {
    pub(super) fn new(core: usize, id: ConnId, protocol: Protocol) -> Self {
        Self {
            core: Some(core),
            id,
            protocol,
            input: VecDeque::new(),
            came: 0,
            came_last: Mono(0),
            end: End::None,
            paused: false,
            body: None,
            awaited: None,
            queue: VecDeque::new(),
            stalled: false,
            taken: Vec::new(),
            took: 0,
            closing: false,
            moving: None,
            open: true,
        }
    }

    /// Whether the broker would hear something of it. The end of a paused one is seen all the
    /// same if it is a reset.
    pub(super) fn may_arrive(&self) -> bool {
        let ends = matches!(self.end, End::Finished | End::Seen);
        let said = !self.input.is_empty() || ends;
        self.end == End::Reset || (said && !self.paused && !self.closing)
    }

    /// Whether the broker would be told that the peer has sent its last, of which it receives nothing.
    pub(super) fn may_be_seen_to_end(&self) -> bool {
        self.end == End::Finished && self.paused && !self.closing
    }

    /// Whether the broker would be told that what it awaits has come, or that it will not.
    pub(super) fn may_be_there(&self) -> bool {
        let ends = matches!(self.end, End::Finished | End::Seen);
        let there = |len| ends || self.input.len() >= len;
        !self.closing && self.awaited.is_some_and(there)
    }

    pub(super) fn may_take(&self) -> bool {
        !self.stalled && !self.queue.is_empty()
    }

    /// Takes one piece of what it was sent; its length.
    pub(super) fn take(&mut self) -> usize {
        let bytes = self.queue.pop_front().expect("something is there");
        self.taken.extend_from_slice(&bytes);
        self.took += bytes.len() as u64;
        bytes.len()
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.iter().map(Bytes::len).sum()
    }

    /// Moves up to `most` bytes of what it has sent; how many.
    pub(super) fn receive(&mut self, into: &mut BytesMut, most: usize) -> usize {
        let len = most.min(self.input.len());
        into.extend(self.input.drain(..len));
        self.came += len as u64;
        len
    }

    pub(super) fn inflow(&self, now: Mono) -> Inflow {
        Inflow {
            bytes: self.came,
            quiet: now.since(self.came_last),
        }
    }
}
