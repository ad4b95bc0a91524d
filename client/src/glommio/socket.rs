//! One socket, read by one task and written by another, closed when both have ended.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use ::glommio::net::TcpStream;
use bytes::{Bytes, BytesMut};
use futures_io::{AsyncRead, AsyncWrite};

use super::pace::Pace;

/// Payloads up to this length are copied beside their header: glommio has no vectored write, so
/// a slice of its own costs a system call.
pub(super) const COPY_LEN: usize = 32 * 1024;

/// Most bytes of one receive.
const RECEIVE_LEN: usize = 128 * 1024;

/// Full receives in a row after which others have their turn: while there is more to receive, no
/// receive waits.
const FULL_RECEIVES: u32 = 8;

/// Connects, without delays for small writes.
pub(super) async fn connect(address: &str) -> io::Result<(Reader, Writer)> {
    let socket = connect_any(address).await?;
    socket.set_nodelay(true)?;
    let shared = Rc::new(RefCell::new(socket));
    let reader = Reader {
        socket: Socket(Rc::clone(&shared)),
        received: vec![0; RECEIVE_LEN].into_boxed_slice(),
        full: 0,
        pace: Pace::new(),
    };
    Ok((reader, Writer(Socket(shared))))
}

/// Tries each address in turn; says what became of the last.
async fn connect_any(address: &str) -> io::Result<TcpStream> {
    let mut outcome = Err(io::Error::new(
        io::ErrorKind::NotFound,
        "the name has no address",
    ));
    for address in look_up(address).await? {
        outcome = TcpStream::connect(address).await.map_err(io::Error::from);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// The addresses of `host:port`; a name is looked up by the executor's helper threads.
async fn look_up(address: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = address.parse() {
        return Ok(vec![address]);
    }
    let name = address.to_owned();
    let looked_up = move || name.to_socket_addrs().map(Iterator::collect);
    ::glommio::executor().spawn_blocking(looked_up).await
}

/// One side's hold on a socket, which closes with the second.
struct Socket(Rc<RefCell<TcpStream>>);

impl Socket {
    /// Polls the socket for one side; the other side's waker stays where it is.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        side: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        side(Pin::new(&mut *self.0.borrow_mut()), cx)
    }
}

/// The receiving side of a socket.
pub(super) struct Reader {
    socket: Socket,
    /// Where glommio receives into: it wants bytes that have a value.
    received: Box<[u8]>,
    full: u32,
    pace: Pace,
}

impl Reader {
    /// Receives into what `space` has reserved; 0 at the end of the stream.
    pub(super) async fn read(&mut self, space: &mut BytesMut) -> io::Result<usize> {
        self.pace.pay().await;
        let room = (space.capacity() - space.len()).min(RECEIVE_LEN);
        let (socket, received) = (&self.socket, &mut self.received[..room]);
        let len =
            poll_fn(|cx| socket.poll(cx, |socket, cx| socket.poll_read(cx, received))).await?;
        space.extend_from_slice(&self.received[..len]);
        self.full = if len == room { self.full + 1 } else { 0 };
        if self.full == FULL_RECEIVES {
            self.full = 0;
            self.pace.owe();
        }
        Ok(len)
    }
}

/// The sending side of a socket.
pub(super) struct Writer(Socket);

impl Writer {
    /// Sends from the front of `chunks`; returns how many bytes went.
    pub(super) async fn write(&mut self, chunks: &VecDeque<Bytes>) -> io::Result<usize> {
        let Some(chunk) = chunks.front() else {
            return Ok(0);
        };
        poll_fn(|cx| self.0.poll(cx, |socket, cx| socket.poll_write(cx, chunk))).await
    }
}
