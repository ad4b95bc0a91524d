//! One connection: handshake, correlation, pipelining.
//!
//! It turns requests into bytes and frames into (request's token, frame). It does not retry,
//! does not reconnect and does not know what a response means beyond `HelloOk`.

use bytes::BytesMut;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_wire::native::{
    CorrelationId, Encoder, Hello, Kind, PROTOCOL_VERSION, Request, Response,
};
use thiserror::Error as ThisError;

use super::Frame;
use crate::{Error, Result};

/// How a session behaves.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// What the client calls itself; for the broker's log.
    pub client_name: String,
    /// Most requests without a response.
    pub max_in_flight: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            client_name: "leveret-client".into(),
            max_in_flight: 16 * 1024,
        }
    }
}

/// The bound on requests without a response is reached: send again after one has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[error("too many requests are in flight")]
pub struct TooManyInFlight;

/// What the broker said in its handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The broker's version.
    pub server_version: String,
    /// Longest record batch that it takes, in bytes.
    pub max_batch_len: u32,
    /// Core that serves this connection.
    pub core: u16,
    /// How many cores there are.
    pub cores: u16,
}

/// The state of the handshake.
#[derive(Debug)]
enum State {
    ExpectHello,
    Open(ServerHello),
    Closed,
}

/// A session that keeps a `T` for every request until its response comes.
pub struct Session<T> {
    state: State,
    encoder: Encoder,
    in_flight: HashMap<u64, Waiting<T>, FixedState>,
    next_correlation: u64,
    max_in_flight: usize,
}

/// A request without its last response.
struct Waiting<T> {
    token: T,
    /// Several frames may answer it.
    subscription: bool,
}

/// Correlation of the handshake; requests count from the next.
const HELLO: u64 = 0;

impl<T> Session<T> {
    /// A session whose first frame is appended to `out`.
    pub fn new(options: &SessionOptions, out: &mut BytesMut) -> Self {
        Self::on_core(options, None, out)
    }

    /// The same, asking the broker to have it served by `core`; the answer says which core does.
    pub fn on_core(options: &SessionOptions, core: Option<u16>, out: &mut BytesMut) -> Self {
        let mut encoder = Encoder::new();
        let hello = Request::Hello(Hello {
            min_version: PROTOCOL_VERSION,
            max_version: PROTOCOL_VERSION,
            client_name: &options.client_name,
            client_version: env!("CARGO_PKG_VERSION"),
            core,
        });
        encoder.request(out, CorrelationId(HELLO), &hello, 0);
        Self {
            state: State::ExpectHello,
            encoder,
            in_flight: HashMap::with_hasher(FixedState::default()),
            next_correlation: HELLO + 1,
            max_in_flight: options.max_in_flight,
        }
    }

    /// What the broker said of itself; `None` before it did and after the end.
    #[must_use]
    pub fn server(&self) -> Option<&ServerHello> {
        match &self.state {
            State::Open(server) => Some(server),
            State::ExpectHello | State::Closed => None,
        }
    }

    /// Requests without a response.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether another request may be sent.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.in_flight.len() < self.max_in_flight
    }

    /// Appends a request to `out`; the caller sends `payload_len` bytes after it. The token comes
    /// back with the response, or from [`close`](Self::close). Returns the request's correlation.
    ///
    /// # Errors
    /// [`TooManyInFlight`], with nothing changed.
    ///
    /// # Panics
    /// If the session is closed, or `payload_len` is too long for a frame.
    pub fn request(
        &mut self,
        out: &mut BytesMut,
        request: &Request<'_>,
        payload_len: usize,
        token: T,
    ) -> Result<CorrelationId, TooManyInFlight> {
        assert!(!matches!(self.state, State::Closed), "request after close");
        if !self.has_room() {
            return Err(TooManyInFlight);
        }
        let correlation = self.next_correlation;
        self.next_correlation += 1;
        self.encoder
            .request(out, CorrelationId(correlation), request, payload_len);
        let waiting = Waiting {
            token,
            subscription: matches!(request, Request::Subscribe(_)),
        };
        let previous = self.in_flight.insert(correlation, waiting);
        assert!(previous.is_none(), "correlations are not used twice");
        Ok(CorrelationId(correlation))
    }

    /// Appends to `out` what concerns the subscription of that correlation: `Credit`,
    /// `Unsubscribe`. Nothing, if it has ended.
    ///
    /// # Panics
    /// If the session is closed.
    pub fn follow_up(
        &mut self,
        out: &mut BytesMut,
        correlation: CorrelationId,
        request: &Request<'_>,
    ) {
        assert!(!matches!(self.state, State::Closed), "request after close");
        if self.in_flight.contains_key(&correlation.0) {
            self.encoder.request(out, correlation, request, 0);
        }
    }

    /// The token of the subscription that a frame belongs to and that goes on after it; `None` if
    /// the frame is for [`handle_frame`](Self::handle_frame).
    ///
    /// # Errors
    /// The broker pushed what nobody subscribed to; the caller closes the connection.
    pub fn subscriber(&self, frame: &Frame) -> Result<Option<&T>> {
        if !Kind::from_u16(frame.kind).is_some_and(Kind::goes_on) {
            return Ok(None);
        }
        match self.in_flight.get(&frame.correlation.0) {
            Some(waiting) if waiting.subscription => Ok(Some(&waiting.token)),
            _ => Err(Error::protocol(format_args!(
                "a push for {}, which is no subscription",
                frame.correlation
            ))),
        }
    }

    /// Takes a frame from the broker. Returns the token that it answers and the frame, or `None`
    /// for the handshake.
    ///
    /// # Errors
    /// The broker refused the handshake, or sent what answers nothing; the caller closes the
    /// connection.
    pub fn handle_frame(&mut self, frame: Frame) -> Result<Option<(T, Frame)>> {
        if frame.correlation == CorrelationId(HELLO) {
            self.handle_hello(&frame)?;
            return Ok(None);
        }
        if matches!(self.state, State::ExpectHello) {
            return Err(Error::protocol("a response before the handshake"));
        }
        match self.in_flight.remove(&frame.correlation.0) {
            Some(waiting) => Ok(Some((waiting.token, frame))),
            None => Err(Error::protocol(format_args!(
                "a response to request {}, which is not in flight",
                frame.correlation
            ))),
        }
    }

    /// Ends the session and gives back the tokens of all requests without a response, oldest
    /// first.
    pub fn close(&mut self) -> Vec<T> {
        self.state = State::Closed;
        let mut left: Vec<(u64, Waiting<T>)> = self.in_flight.drain().collect();
        left.sort_unstable_by_key(|(correlation, _)| *correlation);
        let tokens = left.into_iter().map(|(_, waiting)| waiting.token);
        tokens.collect()
    }

    fn handle_hello(&mut self, frame: &Frame) -> Result<()> {
        let Response::Hello(hello) = frame.response()? else {
            return Err(Error::protocol("the handshake was answered otherwise"));
        };
        if !matches!(self.state, State::ExpectHello) {
            return Err(Error::protocol("a second handshake"));
        }
        if hello.version != PROTOCOL_VERSION {
            return Err(Error::protocol(format_args!(
                "version {} was chosen, {PROTOCOL_VERSION} was offered",
                hello.version
            )));
        }
        self.state = State::Open(ServerHello {
            server_version: hello.server_version.to_owned(),
            max_batch_len: hello.max_batch_len,
            core: hello.core,
            cores: hello.cores,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
