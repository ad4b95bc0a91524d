//! The far ends of connections: what they have sent and not been read, were sent and have not taken.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use leveret_broker::core::boundary::Inflow;
use leveret_storage::types::Mono;

/// A connection's far end.
#[derive(Default)]
pub(super) struct Peer {
    pub(super) out: Vec<u8>,
    /// Given to send and not taken by the peer.
    pub(super) queue: VecDeque<Bytes>,
    /// Bytes that it has taken so far.
    pub(super) took: u64,
    /// It takes nothing.
    pub(super) stalled: bool,
    pub(super) received: Vec<u8>,
    /// Sent and not taken by the core.
    pub(super) offered: Vec<u8>,
    /// Bytes that it has ever sent, and when the last of them.
    pub(super) came: u64,
    pub(super) came_last: Mono,
    /// The core does not take anything.
    pub(super) paused: bool,
    /// The body that is being received, and what is missing of it.
    pub(super) into: Option<(BytesMut, usize)>,
    /// What its core wants to be told of.
    pub(super) awaited: Option<usize>,
    /// It sends no more.
    pub(super) finished: Finished,
}

impl Peer {
    pub(super) fn send(&mut self, bytes: &[u8], now: Mono) {
        self.offered.extend_from_slice(bytes);
        self.came += bytes.len() as u64;
        self.came_last = now;
    }

    pub(super) fn inflow(&self, now: Mono) -> Inflow {
        Inflow {
            bytes: self.came,
            quiet: now.since(self.came_last),
        }
    }
}

/// How far the end of what a peer sends has come.
#[derive(Default, PartialEq)]
pub(super) enum Finished {
    #[default]
    No,
    Yes,
    /// The core knows, and has not received all.
    Seen,
    Told,
}
