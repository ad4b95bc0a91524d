//! What the driver needs of its runtime, from tokio.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::sync::{Mutex as StdMutex, MutexGuard, PoisonError};

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::net::TcpStream;
use ::tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
pub(super) use ::tokio::sync::{Mutex, Notify, mpsc, oneshot};
pub(super) use ::tokio::time::{Instant, sleep, sleep_until};
use bytes::{Bytes, BytesMut};

/// A pointer that several tasks hold.
pub(super) use std::sync::Arc as Ptr;

/// Payloads up to this length are copied beside their header: cheaper than a slice of their own
/// in the vectored write.
pub(super) const COPY_LEN: usize = 2048;

/// Slices handed to one vectored write.
const MAX_SLICES: usize = 64;

/// What several tasks change, each for a moment; never held while one waits.
#[derive(Debug, Default)]
pub(super) struct Lock<T>(StdMutex<T>);

impl<T> Lock<T> {
    pub(super) fn new(value: T) -> Self {
        Self(StdMutex::new(value))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        // A panic while it was held is a bug of ours; its invariants are checked by assertions.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a task beside the caller, to its end.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(::tokio::spawn(task));
}

/// Lets the runtime look at sockets and timers where a task could go on for long: tokio has
/// other threads or its own budget for that.
#[derive(Debug)]
pub(super) struct Pace;

impl Pace {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn owe(&self) {}

    pub(super) fn forgive(&self) {}

    pub(super) async fn pay(&self) {}
}

/// Connects, without delays for small writes.
pub(super) async fn connect(address: &str) -> io::Result<(Reader, Writer)> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (reader, writer) = socket.into_split();
    Ok((Reader(reader), Writer(writer)))
}

/// The receiving side of a socket.
pub(super) struct Reader(OwnedReadHalf);

impl Reader {
    /// Receives into what `space` has reserved; 0 at the end of the stream.
    pub(super) async fn read(&mut self, space: &mut BytesMut) -> io::Result<usize> {
        self.0.read_buf(space).await
    }
}

/// The sending side of a socket.
pub(super) struct Writer(OwnedWriteHalf);

impl Writer {
    /// Sends from the front of `chunks`; returns how many bytes went.
    pub(super) async fn write(&mut self, chunks: &VecDeque<Bytes>) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut filled = 0;
        for (slice, chunk) in slices.iter_mut().zip(chunks) {
            *slice = IoSlice::new(chunk);
            filled += 1;
        }
        self.0.write_vectored(&slices[..filled]).await
    }
}
