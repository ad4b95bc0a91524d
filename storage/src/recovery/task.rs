//! Straight-line code over the seam to the device: an async task that emits [`Op`]s.
//!
//! [`Io`] is the handle that the code holds; [`Task`] is what a driver turns, in the same way as
//! the live store: poll an operation, hand its completion back. There is no executor and no waker:
//! a task can only wait for completions, so it is polled when one has come.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::RecoveryError;
use crate::io::{BLOCK, BufPool, Dir, FileName, IoError, IoErrorKind, IoResult, Op, OpId, Output};

/// Largest single read or write that a task asks for.
pub(crate) const CHUNK: usize = 1 << 20;

/// What a driver turns: it emits operations, hears completions, and ends with a result.
pub trait Driven<P: BufPool> {
    /// What it ends with.
    type Output;

    /// The next operation to carry out, if any.
    fn poll_op(&mut self) -> Option<(OpId, Op<P::Buf>)>;

    /// Hands back how the operation `id` ended.
    fn handle_completion(&mut self, id: OpId, result: IoResult<P::Buf>);

    /// The result, once, when it has ended. Operations may still be in flight after an error;
    /// their completions are of no interest.
    fn poll_result(&mut self) -> Option<Self::Output>;
}

/// A task that does I/O and ends with a `T`.
pub struct Task<P: BufPool, T> {
    io: Io<P>,
    future: Pin<Box<dyn Future<Output = T>>>,
    result: Option<T>,
    ended: bool,
}

impl<P: BufPool + 'static, T> Task<P, T> {
    /// Starts the task that `make` builds over the handle it is given.
    pub(crate) fn new<F>(pool: P, make: impl FnOnce(Io<P>) -> F) -> Self
    where
        F: Future<Output = T> + 'static,
    {
        let io = Io(Rc::new(RefCell::new(Queue {
            pool,
            ops: VecDeque::new(),
            done: BTreeMap::new(),
            next: 0,
            created: Vec::new(),
            traffic: Traffic::default(),
        })));
        let future = Box::pin(make(io.clone()));
        let mut task = Self {
            io,
            future,
            result: None,
            ended: false,
        };
        task.turn();
        task
    }

    /// As [`Driven::poll_op`].
    pub fn poll_op(&mut self) -> Option<(OpId, Op<P::Buf>)> {
        self.io.0.borrow_mut().ops.pop_front()
    }

    /// As [`Driven::handle_completion`].
    pub fn handle_completion(&mut self, id: OpId, result: IoResult<P::Buf>) {
        let mut queue = self.io.0.borrow_mut();
        if let Ok(Output::Read { len, .. }) = &result {
            queue.traffic.read += *len as u64;
        }
        queue.done.insert(id, result);
        drop(queue);
        self.turn();
    }

    /// What it has moved so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.io.traffic()
    }

    /// As [`Driven::poll_result`].
    pub fn poll_result(&mut self) -> Option<T> {
        self.result.take()
    }

    fn turn(&mut self) {
        if self.ended {
            return;
        }
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(result) = self.future.as_mut().poll(&mut context) {
            self.result = Some(result);
            self.ended = true;
        }
    }
}

impl<P: BufPool + 'static, T> Driven<P> for Task<P, T> {
    type Output = T;

    fn poll_op(&mut self) -> Option<(OpId, Op<P::Buf>)> {
        Self::poll_op(self)
    }

    fn handle_completion(&mut self, id: OpId, result: IoResult<P::Buf>) {
        Self::handle_completion(self, id, result);
    }

    fn poll_result(&mut self) -> Option<T> {
        Self::poll_result(self)
    }
}

/// Bytes that a task has moved between memory and the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes read.
    pub read: u64,
    /// Bytes handed over to be written.
    pub written: u64,
}

struct Queue<P: BufPool> {
    pool: P,
    ops: VecDeque<(OpId, Op<P::Buf>)>,
    done: BTreeMap<OpId, IoResult<P::Buf>>,
    next: u64,
    /// Files made, until they are part of the truth.
    created: Vec<FileName>,
    traffic: Traffic,
}

/// The handle through which a task does I/O. An operation is queued when its method is called,
/// not when the returned future is first polled: calling several before awaiting the first runs
/// them in parallel.
pub(crate) struct Io<P: BufPool>(Rc<RefCell<Queue<P>>>);

impl<P: BufPool> Clone for Io<P> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

/// An operation under way.
pub(crate) struct Call<P: BufPool> {
    io: Io<P>,
    id: OpId,
}

impl<P: BufPool> Future for Call<P> {
    type Output = IoResult<P::Buf>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.io.0.borrow_mut().done.remove(&self.id) {
            Some(result) => Poll::Ready(result),
            None => Poll::Pending,
        }
    }
}

/// What was read: at most what was asked for.
pub(crate) struct Chunk<B> {
    buf: B,
    len: usize,
}

impl<B: AsRef<[u8]>> std::ops::Deref for Chunk<B> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buf.as_ref()[..self.len]
    }
}

/// What is gone, or no file at all, is damage of that file; anything else is the device's.
fn told(file: FileName, error: IoError) -> RecoveryError {
    match error.kind {
        IoErrorKind::NotFound => RecoveryError::corrupt(file, 0, "the file is missing"),
        IoErrorKind::NotAFile => RecoveryError::corrupt(file, 0, error.message),
        IoErrorKind::Exists | IoErrorKind::NoSpace | IoErrorKind::Other => error.into(),
    }
}

fn unexpected(what: &str) -> IoError {
    IoError {
        kind: IoErrorKind::Other,
        message: format!("the driver answered {what} with another kind of output"),
    }
}

impl<P: BufPool> Io<P> {
    fn call(&self, op: Op<P::Buf>) -> Call<P> {
        let mut queue = self.0.borrow_mut();
        let id = OpId(queue.next);
        queue.next += 1;
        if let Op::Write { buf, .. } = &op {
            queue.traffic.written += buf.as_ref().len() as u64;
        }
        queue.ops.push_back((id, op));
        Call {
            io: self.clone(),
            id,
        }
    }

    /// A staging buffer of `len` bytes.
    pub(crate) fn buffer(&self, len: usize) -> P::Buf {
        self.0.borrow_mut().pool.alloc(len)
    }

    /// Carries out operations whose only output is success, a few dozen at a time in no order.
    /// When it returns, none is under way.
    pub(crate) async fn run_all(
        &self,
        ops: impl IntoIterator<Item = Op<P::Buf>>,
    ) -> Result<(), IoError> {
        let mut ops = ops.into_iter();
        loop {
            let calls: Vec<_> = ops.by_ref().take(64).map(|op| self.making(op)).collect();
            if calls.is_empty() {
                return Ok(());
            }
            let mut result = Ok(());
            for (made, call) in calls {
                result = result.and(self.note(made, call.await));
            }
            result?;
        }
    }

    /// Carries out an operation whose only output is success.
    pub(crate) async fn run(&self, op: Op<P::Buf>) -> Result<(), IoError> {
        let (made, call) = self.making(op);
        let result = call.await;
        self.note(made, result)
    }

    /// The file that the operation makes, if so, and the operation, begun.
    fn making(&self, op: Op<P::Buf>) -> (Option<FileName>, Call<P>) {
        let made = match &op {
            Op::Create { file, .. } => Some(*file),
            _ => None,
        };
        (made, self.call(op))
    }

    fn note(&self, made: Option<FileName>, result: IoResult<P::Buf>) -> Result<(), IoError> {
        if result.is_ok() {
            self.0.borrow_mut().created.extend(made);
        }
        result.map(|_| ())
    }

    /// The files made since it was last asked, in order.
    pub(crate) fn take_created(&self) -> Vec<FileName> {
        self.take_created_since(0)
    }

    /// How many [`Io::take_created`] would give.
    pub(crate) fn created(&self) -> usize {
        self.0.borrow().created.len()
    }

    /// Those of them that were made when there were so many.
    pub(crate) fn take_created_since(&self, count: usize) -> Vec<FileName> {
        self.0.borrow_mut().created.split_off(count)
    }

    /// What was moved so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.0.borrow().traffic
    }

    /// Reads up to `len` bytes (at most [`CHUNK`] by our own rule) at the block boundary `pos`.
    async fn read(&self, file: FileName, pos: u64, len: usize) -> Result<Chunk<P::Buf>, IoError> {
        assert!(pos.is_multiple_of(BLOCK as u64) && len.is_multiple_of(BLOCK));
        match self.call(Op::Read { file, pos, len }).await? {
            Output::Read { buf, len: got } => Ok(Chunk {
                buf,
                len: got.min(len),
            }),
            _ => Err(unexpected("a read")),
        }
    }

    /// Reads the bytes `pos..pos + len`, of any alignment; fewer where the file ends.
    ///
    /// # Errors
    /// Corruption when there is no such file; when the device refuses.
    pub(crate) async fn read_range(
        &self,
        file: FileName,
        pos: u64,
        len: usize,
    ) -> Result<Vec<u8>, RecoveryError> {
        let begin = crate::format::round_down(pos);
        let skip = usize::try_from(pos - begin).expect("less than a block");
        let total = crate::format::round_up(skip + len);
        let mut bytes = Vec::with_capacity(total.min(CHUNK));
        while bytes.len() < total {
            let want = (total - bytes.len()).min(CHUNK);
            let chunk = self.read(file, begin + bytes.len() as u64, want).await;
            let chunk = chunk.map_err(|error| told(file, error))?;
            bytes.extend_from_slice(&chunk);
            if chunk.len() < want {
                break;
            }
        }
        bytes.truncate(skip + len);
        bytes.drain(..skip.min(bytes.len()));
        Ok(bytes)
    }

    /// Bytes that can still be used on the file system.
    pub(crate) async fn free_space(&self) -> Result<u64, IoError> {
        match self.call(Op::FreeSpace { claim: 0 }).await? {
            Output::Free(free) => Ok(free),
            _ => Err(unexpected("a question for free space")),
        }
    }

    /// The length of a file, if it exists.
    ///
    /// # Errors
    /// Corruption when something else stands there; when the device refuses.
    pub(crate) async fn len(&self, file: FileName) -> Result<Option<u64>, RecoveryError> {
        match self.call(Op::Len(file)).await {
            Ok(Output::Len(len)) => Ok(len),
            Ok(_) => Err(unexpected("a length").into()),
            Err(error) => Err(told(file, error)),
        }
    }

    /// The names in a directory with their lengths, sorted: a driver's order must not matter.
    pub(crate) async fn list(&self, dir: Dir) -> Result<Vec<(String, u64)>, IoError> {
        match self.call(Op::List(dir)).await? {
            Output::Names(mut names) => {
                names.sort_unstable();
                Ok(names)
            }
            _ => Err(unexpected("a listing")),
        }
    }
}
