//! One connection's sockets-side state: what is in the kernel's hands, what waits to be sent,
//! and how far its end has come. It decides nothing about protocols and calls nobody.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;

use bytes::{Buf, Bytes, BytesMut};
use io_uring::{opcode, squeue, types::Fd};

use crate::core::boundary::{Inflow, Protocol};
use crate::runtime::ring::{BUFFER, GROUP};
use crate::runtime::tag::Kind;

/// Chunks of one vectored write at most. With more than some dozens, copying them dominates.
const CHUNKS: usize = 64;
/// Bytes of one write at most: the kernel copies them at once. With a quarter of it, a reader of what is
/// stored costs the kernel nearly twice the CPU.
const WRITE: usize = 1 << 20;
/// The same for a peer that has not been sent [much](MUCH): what the kernel keeps for it may be memory that nobody
/// has used, and a megabyte of that takes 5 ms of CPU where the machine is itself a guest.
const FIRST_WRITES: usize = 256 << 10;
/// After so many bytes a peer takes what it is sent, and the kernel uses the same memory again.
const MUCH: u64 = 16 << 20;
/// Do not try at once but wait until the socket is readable (io_uring_recv(2)).
const POLL_FIRST: u16 = 1;

/// Where `struct tcp_info` (linux/tcp.h) has its `tcpi_last_data_recv`, four bytes of milliseconds, and its
/// `tcpi_bytes_received`, eight bytes; and how far it is wanted.
const LAST_DATA_RECV: usize = 52;
const BYTES_RECEIVED: usize = 128;
const INFO: usize = BYTES_RECEIVED + 8;

/// How far a connection's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Both ways are in use.
    Open,
    /// Closed by the core; what was given to send is leaving, what comes is dropped.
    Flushing,
    /// Our side is shut down; bytes that still come are dropped, so that the peer gets to read
    /// our last words instead of a reset.
    Lingering,
    /// Shut down both ways; waits for the kernel to give its operations back.
    Ending,
}

/// What the kernel is receiving into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiving {
    Nothing,
    /// A provided buffer.
    Buffer,
    /// The body's own memory.
    Body,
    /// The same, and it was asked to give that back.
    GivingUp,
}

/// Whether the kernel looks out for the end of what the peer sends, while nothing is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    Off,
    On,
    /// The end was seen; it would be seen again at once.
    Done,
}

/// Bytes that the kernel is to hold before the core is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Nothing,
    /// The kernel is to be asked; it had `had` when it was looked last.
    Wanted(Look),
    /// It looks out for them.
    Asked(Look),
    /// It was asked too early: the next look-out is for later.
    Resting(Look),
}

/// A look-out for so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    len: usize,
    /// What the kernel had when it was looked last.
    had: usize,
    /// Look-outs since more had come.
    vain: u32,
}

/// So many look-outs in vain, one after the other with a [rest](super::REST) between, and the bytes are taken not
/// to come. What is lost on the way comes after 200 ms at least.
const VAIN: u32 = 40;

/// What has become of a look-out for awaited bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// All of them are there.
    Whole,
    /// They go on coming: it was too early, and the kernel is asked again.
    More,
    /// Nothing has come since the last look-out: the kernel is to be asked again after a rest.
    Nothing,
    /// They will not come: the peer has sent its last, or the kernel has no room for more.
    Partial,
}

/// A socket also looks readable while its window is smaller than a segment (tcp(7), SO_RCVLOWAT), so there has to
/// be room for one beyond what is awaited; the largest are those of the loopback device.
const SEGMENT: usize = 64 << 10;

/// A body that is received straight into place.
struct Body {
    into: BytesMut,
    missing: usize,
}

/// The vectored write in the kernel's hands. Boxed: the kernel reads it until completion.
struct Vectored {
    chunks: [libc::iovec; CHUNKS],
    header: libc::msghdr,
}

/// One connection.
pub(super) struct Conn {
    stream: TcpStream,
    /// What is spoken.
    pub(super) protocol: Protocol,
    pub(super) stage: Stage,
    pub(super) paused: bool,
    /// The peer has finished sending.
    pub(super) peer_done: bool,
    /// Listed to be looked at when receives are armed.
    pub(super) listed_to_receive: bool,
    /// Listed to be looked at when sends are started.
    pub(super) listed_to_send: bool,
    receiving: Receiving,
    watch: Watch,
    awaited: Awaited,
    /// The last receive emptied the socket.
    drained: bool,
    body: Option<Body>,
    sending: bool,
    queue: VecDeque<Bytes>,
    /// Bytes given to send that the kernel has not taken.
    pub(super) unsent: usize,
    /// Bytes that the kernel has taken so far.
    sent: u64,
    vectored: Option<Box<Vectored>>,
}

impl Conn {
    pub(super) fn new(stream: TcpStream, protocol: Protocol) -> Self {
        Self {
            stream,
            protocol,
            stage: Stage::Open,
            paused: false,
            peer_done: false,
            listed_to_receive: false,
            listed_to_send: false,
            receiving: Receiving::Nothing,
            watch: Watch::Off,
            awaited: Awaited::Nothing,
            drained: false,
            body: None,
            sending: false,
            queue: VecDeque::new(),
            unsent: 0,
            sent: 0,
            vectored: None,
        }
    }

    /// Whether the kernel holds no operation of this connection.
    pub(super) fn is_quiet(&self) -> bool {
        let looks_out = self.watch == Watch::On || matches!(self.awaited, Awaited::Asked(_));
        self.receiving == Receiving::Nothing && !looks_out && !self.sending
    }

    /// Whether a body is being received into place.
    pub(super) fn expects_body(&self) -> bool {
        self.body.is_some()
    }

    /// The socket of a connection of which the kernel holds nothing; it is not closed.
    pub(super) fn into_stream(self) -> TcpStream {
        assert!(self.is_quiet(), "the kernel uses what would be dropped");
        self.stream
    }

    pub(super) fn has_to_send(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        self.unsent += bytes.len();
        self.queue.push_back(bytes);
    }

    /// Lets the next bytes be received into `into`.
    ///
    /// # Panics
    /// If a body is under way already, `into` has not the room, or a receive is in the kernel's
    /// hands, whose bytes would belong to the body.
    pub(super) fn expect_body(&mut self, into: BytesMut, missing: usize) {
        assert!(self.body.is_none(), "one body at a time");
        assert_eq!(
            self.receiving,
            Receiving::Nothing,
            "a body is asked for between receives"
        );
        assert!(
            into.capacity() - into.len() >= missing,
            "the core made room for the body"
        );
        self.body = Some(Body { into, missing });
    }

    /// The next receive, if none is in the kernel's hands and one is wanted, and its bytes at most.
    pub(super) fn next_receive(&mut self) -> Option<(squeue::Entry, usize)> {
        let wanted = match self.stage {
            Stage::Open => !self.paused && !self.peer_done,
            Stage::Flushing | Stage::Lingering => !self.peer_done,
            Stage::Ending => false,
        };
        if !wanted || self.receiving != Receiving::Nothing {
            return None;
        }
        let fd = Fd(self.stream.as_raw_fd());
        if let Some(body) = self.body.as_mut().filter(|_| self.stage == Stage::Open) {
            self.receiving = Receiving::Body;
            let into = body.into.spare_capacity_mut().as_mut_ptr().cast::<u8>();
            let len = u32::try_from(body.missing).unwrap_or(u32::MAX);
            let receive = opcode::Recv::new(fd, into, len).flags(libc::MSG_WAITALL);
            return Some((receive.build(), body.missing));
        }
        self.receiving = Receiving::Buffer;
        let poll_first = if self.drained { POLL_FIRST } else { 0 };
        let len = u32::try_from(BUFFER).expect("16 KiB");
        let receive = opcode::Recv::new(fd, std::ptr::null_mut(), len);
        let receive = receive.buf_group(GROUP).ioprio(poll_first).build();
        Some((receive.flags(squeue::Flags::BUFFER_SELECT), BUFFER))
    }

    /// Lets the kernel keep what comes until it has so many bytes, which are received afterwards.
    ///
    /// # Panics
    /// If the connection is not paused, or some are awaited already.
    pub(super) fn await_bytes(&mut self, len: usize) {
        assert!(self.paused, "what is awaited is not received");
        assert_eq!(self.awaited, Awaited::Nothing, "one frame at a time");
        self.awaited = Awaited::Wanted(Look {
            len,
            had: 0,
            vain: 0,
        });
    }

    /// The next look-out on a connection of which nothing is being received: for what is awaited, or for
    /// the peer's end, which the former shows, too.
    pub(super) fn next_look_out(&mut self) -> Option<(squeue::Entry, Kind)> {
        let blind = self.paused && !self.peer_done && self.receiving == Receiving::Nothing;
        if self.stage != Stage::Open || !blind {
            return None;
        }
        let (events, kind) = match self.awaited {
            Awaited::Wanted(look) => {
                if look.had == 0 {
                    // Room is counted with what the kernel takes beside the bytes, a quarter at most.
                    self.set_low_water(look.len + look.len / 4 + 2 * SEGMENT);
                    self.set_low_water(look.len);
                }
                self.awaited = Awaited::Asked(look);
                (libc::POLLIN | libc::POLLRDHUP, Kind::Await)
            }
            // It stays in the kernel's hands when the connection is no longer paused: queued once.
            Awaited::Nothing if self.watch == Watch::Off => {
                self.watch = Watch::On;
                (libc::POLLRDHUP, Kind::Watch)
            }
            Awaited::Nothing | Awaited::Asked(_) | Awaited::Resting(_) => return None,
        };
        let events = u32::try_from(events).expect("flags");
        let poll = opcode::PollAdd::new(Fd(self.stream.as_raw_fd()), events);
        Some((poll.build(), kind))
    }

    /// The kernel gave the look-out for awaited bytes back, because of the peer's end (`ends`) or of them.
    pub(super) fn end_await(&mut self, ends: bool) -> Came {
        let was = std::mem::replace(&mut self.awaited, Awaited::Nothing);
        let Awaited::Asked(look) = was else {
            panic!("a look-out completes once");
        };
        let holds = self.holds();
        let goes_on = holds < look.len && !ends && self.stage == Stage::Open;
        if goes_on && holds > look.had {
            self.awaited = Awaited::Wanted(Look {
                had: holds,
                vain: 0,
                ..look
            });
            return Came::More;
        }
        if goes_on && look.vain < VAIN {
            let vain = look.vain + 1;
            self.awaited = Awaited::Resting(Look { vain, ..look });
            return Came::Nothing;
        }
        self.set_low_water(1);
        match holds >= look.len {
            true => Came::Whole,
            false => Came::Partial,
        }
    }

    /// The rest after a look-out in vain is over.
    pub(super) fn end_rest(&mut self) {
        if let Awaited::Resting(look) = self.awaited {
            self.awaited = Awaited::Wanted(look);
        }
    }

    /// Makes the socket readable, for a look-out, only when it has so many bytes. Where that cannot be
    /// set it is readable sooner, and what it [holds](Self::holds) tells.
    fn set_low_water(&self, bytes: usize) {
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        self.set_option(libc::SO_RCVLOWAT, bytes);
    }

    /// Sets an option that the standard library has not, where the kernel allows that.
    fn set_option<T: Copy>(&self, option: libc::c_int, value: T) {
        let size = libc::socklen_t::try_from(size_of_val(&value)).expect("some bytes");
        #[expect(unsafe_code, reason = "an option that the standard library has not")]
        // SAFETY: the option is a plain value of that size, which the call only reads.
        let _otherwise_as_before = unsafe {
            let value = std::ptr::from_ref(&value).cast();
            let fd = self.stream.as_raw_fd();
            libc::setsockopt(fd, libc::SOL_SOCKET, option, value, size)
        };
    }

    /// Bytes that the kernel has received and not given away.
    fn holds(&self) -> usize {
        self.count(libc::FIONREAD)
    }

    /// Bytes that the peer has taken, and whether the kernel has more that it could take.
    pub(super) fn taken(&self) -> (u64, bool) {
        let left = self.count(libc::TIOCOUTQ) as u64;
        (self.sent.saturating_sub(left), left > 0)
    }

    /// What the kernel answers if it is asked for a number of bytes.
    fn count(&self, what: libc::Ioctl) -> usize {
        let mut bytes: libc::c_int = 0;
        #[expect(unsafe_code, reason = "asks the kernel")]
        // SAFETY: the call writes one number of that size.
        let asked = unsafe { libc::ioctl(self.stream.as_raw_fd(), what, &mut bytes) };
        usize::try_from(bytes)
            .ok()
            .filter(|_| asked == 0)
            .unwrap_or(0)
    }

    /// What has come of the peer, as the kernel counts it (tcp(7), `TCP_INFO`); nothing if it does not tell.
    pub(super) fn inflow(&self) -> Option<Inflow> {
        let mut info = [0_u8; INFO];
        let mut len = libc::socklen_t::try_from(INFO).expect("some bytes");
        #[expect(unsafe_code, reason = "asks the kernel")]
        // SAFETY: the call writes no more bytes than it is told that there are.
        let asked = unsafe {
            let (into, fd) = (info.as_mut_ptr().cast(), self.stream.as_raw_fd());
            libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, into, &raw mut len)
        };
        if asked != 0 || usize::try_from(len).ok()? < INFO {
            return None;
        }
        let quiet_ms = info[LAST_DATA_RECV..].first_chunk()?;
        let bytes = info[BYTES_RECEIVED..].first_chunk()?;
        Some(Inflow {
            bytes: u64::from_ne_bytes(*bytes),
            quiet: u64::from(u32::from_ne_bytes(*quiet_ms)) * 1_000_000,
        })
    }

    /// Has the kernel forget what the peer has not taken, once the connection ends: else it would keep that for
    /// minutes, for a peer that reads nothing.
    pub(super) fn forget_unread(&self) {
        let at_once = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        self.set_option(libc::SO_LINGER, at_once);
    }

    /// The kernel gave the look-out back.
    pub(super) fn end_watch(&mut self) {
        assert_eq!(self.watch, Watch::On, "a look-out completes once");
        self.watch = Watch::Done;
    }

    /// Whether the kernel is to be asked to give back the memory of a body that nobody wants any more, as the
    /// connection is being closed.
    pub(super) fn gives_up_body(&mut self) -> bool {
        let gives_up = self.receiving == Receiving::Body && self.is_closed();
        if gives_up {
            self.receiving = Receiving::GivingUp;
        }
        gives_up
    }

    /// What is there of a body that nobody wants any more, if the kernel does not hold it.
    pub(super) fn take_unwanted(&mut self) -> Option<BytesMut> {
        let held = matches!(self.receiving, Receiving::Body | Receiving::GivingUp);
        let wanted = held || !self.is_closed();
        self.body.take_if(|_| !wanted).map(|body| body.into)
    }

    /// Whether the core has closed it, and the peer is still there.
    fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Flushing | Stage::Lingering)
    }

    /// The kernel gave the receive back. True if it was one into the body.
    pub(super) fn end_receive(&mut self, socket_has_more: bool) -> bool {
        let was = std::mem::replace(&mut self.receiving, Receiving::Nothing);
        assert_ne!(was, Receiving::Nothing, "a receive completes once");
        self.drained = !socket_has_more;
        was == Receiving::Body
    }

    /// So many bytes of the body arrived; the body if that was all of it.
    pub(super) fn advance_body(&mut self, received: usize) -> Option<BytesMut> {
        let body = self.body.as_mut().expect("a body under way");
        assert!(
            received <= body.missing,
            "the kernel receives no more than asked for"
        );
        let filled = body.into.len() + received;
        #[expect(unsafe_code, reason = "the kernel filled these bytes")]
        // SAFETY: the receive was given this spare capacity and reported so many bytes in it.
        unsafe {
            body.into.set_len(filled);
        }
        body.missing -= received;
        if body.missing > 0 {
            return None;
        }
        self.body.take().map(|body| body.into)
    }

    /// What the next write costs, in bytes that are copied; 0 if there is none.
    pub(super) fn next_cost(&self) -> usize {
        let (most, times) = self.next_writes();
        match self.sending {
            true => 0,
            false => self.unsent.min(most) * times,
        }
    }

    /// Bytes of the next writes at most, and how many times as much as others they cost.
    fn next_writes(&self) -> (usize, usize) {
        match self.sent < MUCH {
            true => (FIRST_WRITES, 4),
            false => (WRITE, 1),
        }
    }

    /// The next write, if none is in the kernel's hands and something waits.
    pub(super) fn next_send(&mut self) -> Option<squeue::Entry> {
        if self.sending || self.queue.is_empty() || self.stage == Stage::Ending {
            return None;
        }
        self.sending = true;
        let (most, _) = self.next_writes();
        let fd = Fd(self.stream.as_raw_fd());
        if self.queue.len() == 1 {
            let only = &self.queue[0];
            let len = only.len().min(most);
            let send = opcode::Send::new(fd, only.as_ptr(), len as u32);
            return Some(send.flags(libc::MSG_NOSIGNAL).build());
        }
        let vectored = self.vectored.get_or_insert_with(Vectored::boxed);
        let header = vectored.point_at(self.queue.iter(), most);
        let flags = u32::try_from(libc::MSG_NOSIGNAL).expect("a flag");
        let send = opcode::SendMsg::new(fd, header).flags(flags);
        Some(send.build())
    }

    /// The kernel gave the write back, having taken so many bytes.
    pub(super) fn end_send(&mut self, mut sent: usize) {
        assert!(std::mem::take(&mut self.sending), "a send completes once");
        self.unsent -= sent;
        self.sent += sent as u64;
        while sent > 0 {
            let front = self
                .queue
                .front_mut()
                .expect("the kernel sends no more than was given");
            if sent < front.len() {
                front.advance(sent);
                return;
            }
            sent -= front.len();
            self.queue.pop_front();
        }
    }

    /// Tells the peer that nothing more follows. It may be gone already.
    pub(super) fn shut_write(&self) {
        let _gone = self.stream.shutdown(Shutdown::Write);
    }

    /// Makes the kernel give back what it holds, and forgets what waits.
    pub(super) fn end(&mut self) {
        self.stage = Stage::Ending;
        if self.is_quiet() {
            self.queue.clear();
        } else {
            let _gone = self.stream.shutdown(Shutdown::Both);
        }
    }
}

impl Vectored {
    fn boxed() -> Box<Self> {
        let empty = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        #[expect(unsafe_code, reason = "msghdr has private padding on some targets")]
        // SAFETY: plain old data, valid when zero.
        let header = unsafe { std::mem::zeroed() };
        Box::new(Self {
            chunks: [empty; CHUNKS],
            header,
        })
    }

    /// Points at the first chunks, which must outlive the write, and so many bytes of them.
    fn point_at<'a>(
        &mut self,
        chunks: impl Iterator<Item = &'a Bytes>,
        most: usize,
    ) -> *const libc::msghdr {
        let (mut count, mut bytes) = (0, 0);
        for (slot, chunk) in self.chunks.iter_mut().zip(chunks) {
            if bytes == most {
                break;
            }
            slot.iov_base = chunk.as_ptr().cast_mut().cast();
            slot.iov_len = chunk.len().min(most - bytes);
            bytes += slot.iov_len;
            count += 1;
        }
        self.header.msg_iov = self.chunks.as_mut_ptr();
        self.header.msg_iovlen = count;
        &raw const self.header
    }
}

#[cfg(test)]
mod tests;
