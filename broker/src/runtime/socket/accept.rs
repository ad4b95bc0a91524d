//! Accepting: connections in, bounded by the connection limit and by descriptors.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use io_uring::{opcode, types::Fd};
use leveret_storage::types::Now;

use super::conn::Conn;
use super::{ACCEPT_BACKOFF, Slot, Sockets};
use crate::core::boundary::{Behaviour, ConnId};
use crate::runtime::ring::Done;
use crate::runtime::tag::{Kind, tag};

impl Sockets {
    /// Lets the kernel accept on every listener, unless that pauses or has ended.
    pub(super) fn arm_accepts(&mut self) -> io::Result<()> {
        if !self.accepting || self.accept_again.is_some() {
            return Ok(());
        }
        for (index, accepting) in (0..).zip(&mut self.listeners) {
            if accepting.armed {
                continue;
            }
            accepting.armed = true;
            let fd = Fd(accepting.listener.socket.as_raw_fd());
            let entry = opcode::AcceptMulti::new(fd)
                .flags(libc::SOCK_CLOEXEC)
                .build();
            #[expect(unsafe_code, reason = "queues an operation")]
            // SAFETY: it points to nothing.
            unsafe {
                self.ring
                    .borrow_mut()
                    .push(&entry.user_data(tag(Kind::Accept, index)))?;
            }
        }
        Ok(())
    }

    /// Takes a new connection in, or pauses accepting where there are no descriptors left.
    pub(super) fn accepted<B: Behaviour>(
        &mut self,
        behaviour: &mut B,
        index: u32,
        done: Done,
        now: Now,
    ) -> io::Result<()> {
        let accepting = &mut self.listeners[index as usize];
        accepting.armed = done.more();
        let protocol = accepting.listener.protocol;
        if done.result >= 0 {
            #[expect(unsafe_code, reason = "owns the descriptor just accepted")]
            // SAFETY: the kernel made it for us alone.
            let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(done.result) });
            if self.live() >= self.limit {
                self.refuse();
            } else if let Ok(peer) = stream.peer_addr() {
                // Without it replies wait for acknowledgements; a peer that is gone has none.
                let _gone = stream.set_nodelay(true);
                self.refusing = false;
                let id = self.insert(Conn::new(stream, protocol));
                behaviour.handle_accept(id, protocol, peer, now);
                self.want_receive(id.slot);
            }
        } else if self.accepting {
            let error = io::Error::from_raw_os_error(-done.result);
            if matches!(
                -done.result,
                libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS
            ) {
                tracing::warn!(%error, "cannot accept connections for the moment");
                self.accept_again = Some(now.mono.after(ACCEPT_BACKOFF));
            }
        }
        self.arm_accepts()
    }

    /// Counts a connection that is closed because too many are open.
    pub(in crate::runtime) fn refuse(&mut self) {
        self.refused += 1;
        if !std::mem::replace(&mut self.refusing, true) {
            tracing::warn!(
                limit = self.limit,
                "connections are refused: too many are open"
            );
        }
    }

    pub(super) fn insert(&mut self, conn: Conn) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                conn: None,
            });
            u32::try_from(self.slots.len() - 1).expect("bounded by the connection limit")
        });
        let entry = &mut self.slots[slot as usize];
        entry.conn = Some(conn);
        ConnId {
            slot,
            generation: entry.generation,
        }
    }
}
