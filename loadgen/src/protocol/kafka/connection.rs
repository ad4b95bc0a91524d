//! One pipelined connection: requests leave in the order of the calls, answers come in the same
//! order (Kafka protocol guide, "Network").
//!
//! Everything is on one thread: a task reads, a task writes, both end with the connection.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::super::REQUEST_TIMEOUT;
use crate::failure::Failure;

/// Longest answer that is taken: twice the longest batch that a Leveret broker can be set to take.
const LONGEST_ANSWER: usize = 256 << 20;
/// Bytes of the receive buffer while no long answer is coming.
const RECEIVE: usize = 64 << 10;
/// Payloads up to this length are copied beside their header: cheaper than a slice of their own in
/// the vectored write.
const COPY_LEN: usize = 2048;
/// Slices of one vectored write.
const SLICES: usize = 64;

/// A connection; closed when dropped.
pub(super) struct Pipe {
    shared: Rc<Shared>,
    tasks: [AbortHandle; 2],
}

struct Shared {
    state: RefCell<State>,
    /// The writer has something to do.
    queued: Notify,
}

#[derive(Default)]
struct State {
    /// Encoded headers and small payloads behind the last chunk.
    tail: BytesMut,
    /// Chunks that wait for the writer.
    chunks: VecDeque<Bytes>,
    /// Who waits for an answer, in the order of the requests.
    waiting: VecDeque<(i32, oneshot::Sender<Result<Bytes, Failure>>)>,
    next_correlation: i32,
    failure: Option<Failure>,
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Pipe {
    /// Connects to a broker.
    ///
    /// # Errors
    /// If nobody listens there.
    pub(super) async fn open(address: &str) -> Result<Self, Failure> {
        let refused = |reason: String| {
            Failure::new(
                format!("cannot connect to {address}: {reason}"),
                "start a broker that listens there, or correct the address",
            )
        };
        let socket = timeout(REQUEST_TIMEOUT, TcpStream::connect(address))
            .await
            .map_err(|_| refused("no answer in time".to_owned()))?
            .map_err(|error| refused(error.to_string()))?;
        socket
            .set_nodelay(true)
            .map_err(|error| refused(error.to_string()))?;
        let (reader, writer) = socket.into_split();
        let shared = Rc::new(Shared {
            state: RefCell::default(),
            queued: Notify::new(),
        });
        let (reading, writing) = (Rc::clone(&shared), Rc::clone(&shared));
        let reader = tokio::task::spawn_local(async move {
            let reason = reading.read(reader).await;
            reading.fail(reason);
        });
        let writer = tokio::task::spawn_local(async move {
            let reason = writing.write(writer).await;
            writing.fail(reason);
        });
        Ok(Self {
            shared,
            tasks: [reader.abort_handle(), writer.abort_handle()],
        })
    }

    /// Sends what `encode` writes for that correlation id, and `payload` behind it; returns the
    /// answer's body. Everything until the request is queued happens when this is first polled.
    ///
    /// # Errors
    /// Why the connection failed.
    pub(super) async fn call(
        &self,
        payload: Bytes,
        encode: impl FnOnce(&mut BytesMut, i32),
    ) -> Result<Bytes, Failure> {
        let answer = {
            let state = &mut *self.shared.state.borrow_mut();
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            state.queue(payload, encode)
        };
        self.shared.queued.notify_one();
        answer
            .await
            .unwrap_or_else(|_| Err(lost("it was closed here")))
    }
}

impl State {
    fn queue(
        &mut self,
        payload: Bytes,
        encode: impl FnOnce(&mut BytesMut, i32),
    ) -> oneshot::Receiver<Result<Bytes, Failure>> {
        let correlation = self.next_correlation;
        self.next_correlation = correlation.wrapping_add(1);
        encode(&mut self.tail, correlation);
        if payload.len() <= COPY_LEN {
            self.tail.extend_from_slice(&payload);
        } else {
            self.flush_tail();
            self.chunks.push_back(payload);
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.push_back((correlation, sender));
        receiver
    }

    fn flush_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
    }

    /// Gives an answer, without its length, to whom it belongs.
    fn deliver(&mut self, mut answer: Bytes) -> Result<(), Failure> {
        let Ok(correlation) = answer.try_get_i32() else {
            return Err(lost("it sent an answer without a header"));
        };
        match self.waiting.pop_front() {
            Some((expected, sender)) if expected == correlation => {
                // Who does not wait any more does not want it.
                drop(sender.send(Ok(answer)));
                Ok(())
            }
            Some(other) => {
                self.waiting.push_front(other);
                Err(lost("it answered out of order"))
            }
            None => Err(lost("it answered what nobody asked")),
        }
    }
}

impl Shared {
    /// Tells everybody who waits, and who will.
    fn fail(&self, reason: Failure) {
        let waiting = {
            let state = &mut *self.state.borrow_mut();
            if state.failure.is_some() {
                return;
            }
            state.failure = Some(reason.clone());
            state.chunks.clear();
            std::mem::take(&mut state.waiting)
        };
        for (_, sender) in waiting {
            drop(sender.send(Err(reason.clone())));
        }
    }

    /// Reads until the connection fails, and says why it did.
    async fn read(&self, mut socket: impl AsyncRead + Unpin) -> Failure {
        let mut buffer = BytesMut::with_capacity(RECEIVE);
        loop {
            let missing = loop {
                match next_answer(&mut buffer) {
                    Ok(Next::Answer(answer)) => {
                        if let Err(reason) = self.state.borrow_mut().deliver(answer) {
                            return reason;
                        }
                    }
                    Ok(Next::Missing(missing)) => break missing,
                    Err(reason) => return reason,
                }
            };
            buffer.reserve(missing.max(RECEIVE));
            match timeout(REQUEST_TIMEOUT, socket.read_buf(&mut buffer)).await {
                Ok(Ok(0)) => return lost("the broker closed it"),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return lost(&error.to_string()),
                Err(_) if self.state.borrow().waiting.is_empty() => {}
                Err(_) => return lost("no answer within a minute"),
            }
        }
    }

    /// Writes until the connection fails, and says why it did.
    async fn write(&self, mut socket: impl AsyncWrite + Unpin) -> Failure {
        let mut chunks = VecDeque::new();
        loop {
            {
                let state = &mut *self.state.borrow_mut();
                state.flush_tail();
                chunks.append(&mut state.chunks);
            }
            if chunks.is_empty() {
                self.queued.notified().await;
                continue;
            }
            if let Err(error) = write_some(&mut socket, &mut chunks).await {
                return lost(&error.to_string());
            }
        }
    }
}

/// One vectored write; what it wrote is taken from the front.
async fn write_some(
    socket: &mut (impl AsyncWrite + Unpin),
    chunks: &mut VecDeque<Bytes>,
) -> std::io::Result<()> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let mut count = 0;
    for (slice, chunk) in slices.iter_mut().zip(chunks.iter()) {
        *slice = IoSlice::new(chunk);
        count += 1;
    }
    let mut written = socket.write_vectored(&slices[..count]).await?;
    if written == 0 {
        return Err(std::io::ErrorKind::WriteZero.into());
    }
    while let Some(first) = chunks.front_mut() {
        if written < first.len() {
            first.advance(written);
            break;
        }
        written -= first.len();
        chunks.pop_front();
    }
    Ok(())
}

/// What stands at the front of the buffer.
enum Next {
    /// A whole answer, taken from it; without its length.
    Answer(Bytes),
    /// So many bytes are missing yet.
    Missing(usize),
}

fn next_answer(buffer: &mut BytesMut) -> Result<Next, Failure> {
    let Some(prefix) = buffer.first_chunk() else {
        return Ok(Next::Missing(4 - buffer.len()));
    };
    let len = usize::try_from(i32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
    if len > LONGEST_ANSWER {
        return Err(lost(
            "it announced an answer that is too long: no Kafka listener",
        ));
    }
    if buffer.len() < 4 + len {
        return Ok(Next::Missing(4 + len - buffer.len()));
    }
    buffer.advance(4);
    Ok(Next::Answer(buffer.split_to(len).freeze()))
}

fn lost(why: &str) -> Failure {
    Failure::new(
        format!("connection lost: {why}"),
        "see whether the broker is running and the address is its Kafka listener's",
    )
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    fn answer(correlation: i32, body: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        out.put_i32(4 + body.len() as i32);
        out.put_i32(correlation);
        out.put_slice(body);
        out
    }

    #[test]
    fn answers_are_cut_out_wherever_the_bytes_are_torn() {
        let mut all = answer(0, b"first");
        all.extend_from_slice(&answer(1, b""));
        for cut in 0..all.len() {
            let mut buffer = BytesMut::from(&all[..cut]);
            let mut found = 0;
            for part in [&all[cut..], &[]] {
                while let Next::Answer(answer) = next_answer(&mut buffer).expect("sound") {
                    assert_eq!(answer.len(), [4 + 5, 4][found]);
                    found += 1;
                }
                buffer.extend_from_slice(part);
            }
            assert_eq!(found, 2);
        }
        let mut absurd = BytesMut::from(&b"HTTP/1.1 400 Bad Request"[..]);
        assert!(next_answer(&mut absurd).is_err());
    }

    #[test]
    fn an_answer_goes_to_the_oldest_request_only() {
        let mut state = State::default();
        let mut first = state.queue(Bytes::new(), |_, correlation| assert_eq!(correlation, 0));
        let mut second = state.queue(Bytes::new(), |_, correlation| assert_eq!(correlation, 1));
        let body = |answer: BytesMut| answer.freeze().slice(4..);
        assert!(state.deliver(body(answer(1, b"early"))).is_err());
        state.deliver(body(answer(0, b"one"))).expect("in order");
        state.deliver(body(answer(1, b"two"))).expect("in order");
        assert!(state.deliver(body(answer(2, b"unasked"))).is_err());
        assert!(state.deliver(Bytes::from_static(b"xyz")).is_err());
        let got = |receiver: &mut oneshot::Receiver<_>| {
            let answer: Result<Bytes, Failure> = receiver.try_recv().expect("delivered");
            answer.expect("an answer")
        };
        assert_eq!(got(&mut first), "one");
        assert_eq!(got(&mut second), "two");
    }

    #[test]
    fn small_payloads_travel_with_their_headers_and_large_ones_beside_them() {
        let mut state = State::default();
        let large = Bytes::from(vec![7; COPY_LEN + 1]);
        drop(state.queue(Bytes::from_static(b"small"), |out, _| {
            out.put_slice(b"head ")
        }));
        drop(state.queue(large.clone(), |out, _| out.put_slice(b" head2")));
        state.flush_tail();
        assert_eq!(state.chunks.len(), 2);
        assert_eq!(state.chunks[0], "head small head2");
        assert_eq!(state.chunks[1].as_ptr(), large.as_ptr(), "not copied");
    }
}
