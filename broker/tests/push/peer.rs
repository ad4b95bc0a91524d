//! The far ends of connections: what they have sent and not been read, were sent and have not taken.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// A connection's far end.
#[derive(Default)]
pub(super) struct Peer {
    pub(super) out: Vec<u8>,
    /// Given to send and not taken by the peer.
    pub(super) queue: VecDeque<Bytes>,
    /// It takes nothing.
    pub(super) stalled: bool,
    pub(super) received: Vec<u8>,
    /// Sent and not taken by the core.
    pub(super) offered: Vec<u8>,
    /// The core does not take anything.
    pub(super) paused: bool,
    /// The body that is being received, and what is missing of it.
    pub(super) into: Option<(BytesMut, usize)>,
    /// What its core wants to be told of.
    pub(super) awaited: Option<usize>,
    /// It sends no more.
    pub(super) finished: Finished,
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
