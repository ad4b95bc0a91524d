//! One thing after the other, to see what a core does in one turn.

use leveret_broker::core::boundary::Behaviour;
use leveret_broker::core::observe::{Insight, Question};
use leveret_storage::types::{CoreId, Now};

use super::{Conn, World, at};

impl World {
    /// A core receives bytes, and its wishes are carried out; nothing else happens.
    pub(crate) fn hand(&mut self, conn: Conn, bytes: &[u8]) {
        self.cores[conn.0].handle_received(conn.1, bytes, at(self.now));
        self.drive(conn.0);
    }

    /// A core receives a long frame as it asks for it, piece by piece; nothing else happens.
    pub(crate) fn hand_long(&mut self, conn: Conn, frame: &[u8]) {
        let peer = self.peers.get_mut(&conn).expect("open");
        peer.offered.extend_from_slice(frame);
        while self.deliver() {
            self.drive(conn.0);
        }
    }

    /// A peer is gone, and its core knows; nothing else happens.
    pub(crate) fn vanish(&mut self, conn: Conn) {
        self.peers.remove(&conn);
        self.cores[conn.0].handle_disconnected(conn.1, at(self.now));
        self.drive(conn.0);
    }

    /// From now on the peer takes nothing, or everything again.
    pub(crate) fn stall(&mut self, conn: Conn, stalled: bool) {
        self.peers.get_mut(&conn).expect("open").stalled = stalled;
        self.turn();
    }

    /// Bytes that the peer has not taken.
    pub(crate) fn queued(&self, conn: Conn) -> usize {
        self.peers[&conn]
            .queue
            .iter()
            .map(|bytes| bytes.len())
            .sum()
    }

    /// A peer that takes nothing by itself takes so many bytes at most.
    pub(crate) fn take(&mut self, conn: Conn, mut most: usize) {
        while most > 0 {
            let Some(peer) = self.peers.get_mut(&conn) else {
                return;
            };
            let Some(first) = peer.queue.front_mut() else {
                return;
            };
            let bytes = first.split_to(most.min(first.len()));
            if first.is_empty() {
                peer.queue.pop_front();
            }
            most -= bytes.len();
            peer.out.extend_from_slice(&bytes);
            peer.took += bytes.len() as u64;
            self.cores[conn.0].handle_sent(conn.1, bytes.len(), at(self.now));
            self.turn();
        }
    }

    /// Time passes, and nobody looks.
    pub(crate) fn sleep(&mut self, nanoseconds: u64) {
        self.now = self.now.after(nanoseconds);
    }

    /// The next turn of a core: time has passed by a nanosecond, and what is due is done.
    pub(crate) fn tick(&mut self, core: usize) {
        self.now = self.now.after(1);
        if self.cores[core]
            .poll_timeout()
            .is_some_and(|due| due <= self.now)
        {
            self.cores[core].handle_timeout(at(self.now));
        }
        self.drive(core);
    }

    pub(super) fn drive(&mut self, core: usize) {
        while let Some(action) = self.cores[core].poll_action() {
            self.carry_out(core, action);
        }
    }

    /// The disk carries out what cores wait for; nothing else happens.
    pub(crate) fn write_all(&mut self) {
        while let Some((core, id, result)) = self.disk.complete_held() {
            self.cores[core].handle_completion(id, result, at(self.now));
            self.drive(core);
        }
    }

    /// Cores hear what they told each other; nothing else happens.
    pub(crate) fn exchange(&mut self) {
        for (from, to, message) in std::mem::take(&mut self.mesh) {
            let core = usize::from(to.0);
            self.cores[core].handle_mesh(CoreId(from), message, at(self.now));
            self.drive(core);
        }
    }

    /// Partitions that are on a core.
    pub(crate) fn partitions(&mut self, core: usize) -> usize {
        let Insight::Core(insight) = self.tell(core, Question::Core) else {
            panic!("no answer to the question");
        };
        insight.count("leveret_partitions", None).unwrap() as usize
    }

    /// Messages between cores that are under way.
    pub(crate) fn mesh_len(&self) -> usize {
        self.mesh.len()
    }

    /// What the cores are told the time is.
    #[allow(dead_code, reason = "only tests of the crate itself need it")]
    pub(crate) fn time(&self) -> Now {
        at(self.now)
    }

    /// The core has closed it, with what its peer has taken.
    pub(super) fn end(&mut self, conn: Conn) {
        if let Some(peer) = self.peers.remove(&conn) {
            self.closed.insert(conn, peer);
            self.cores[conn.0].handle_disconnected(conn.1, at(self.now));
        }
    }

    pub(super) fn set_paused(&mut self, conn: Conn, paused: bool) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.paused = paused;
        }
    }
}
