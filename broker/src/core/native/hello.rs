//! The handshake: one protocol version is agreed on, or the connection ends; and the core that
//! the client names is given the connection to serve.

use leveret_storage::io::BufPool;
use leveret_storage::types::CoreId;
use leveret_wire::native::{ErrorCode, Hello, HelloOk, Kind, PROTOCOL_VERSION, Request, Response};

use super::Asker;
use super::session::Expect;
use crate::core::Core;
use crate::core::boundary::{Action, ConnId};
use crate::core::net::Pause;

impl<P: BufPool> Core<P> {
    /// Whether the connection leaves for the core that its first frame, a `Hello`, names. The
    /// frame is kept then, to go along.
    pub(super) fn hands_over(&mut self, conn: ConnId, frame: &[u8], head: &[u8]) -> bool {
        let (own, cores) = (self.id.0, self.cores);
        let stopping = self.stop.begun();
        let first = self.expects(conn) == Some(Expect::Hello);
        let Some(session) = self.sessions.get(conn) else {
            return false;
        };
        if !first || session.stays || session.closing || stopping {
            return false;
        }
        // What cannot be read is refused by whoever has the connection.
        let Ok(Request::Hello(hello)) = Request::decode(Kind::Hello.as_u16(), head) else {
            return false;
        };
        let Some(to) = hello.core.filter(|core| *core != own && *core < cores) else {
            return false;
        };
        let session = self.sessions.get(conn).expect("just seen");
        assert!(
            session.rx.is_empty(),
            "what is looked at was taken out of it"
        );
        session.rx.extend_from_slice(frame);
        self.sessions.greeted(conn);
        self.block(conn, Pause::Departure);
        let to = CoreId(to);
        self.actions.push_back(Action::HandOver { conn, to });
        true
    }

    pub(super) fn hello(&mut self, asker: Asker, hello: &Hello<'_>) {
        let Asker {
            conn, correlation, ..
        } = asker;
        if !(hello.min_version..=hello.max_version).contains(&PROTOCOL_VERSION) {
            let message = format!(
                "the broker speaks version {PROTOCOL_VERSION}, the client {} to {}",
                hello.min_version, hello.max_version
            );
            return self.refuse_frame(conn, correlation, ErrorCode::UnsupportedVersion, &message);
        }
        self.sessions.name_client(conn, hello.client_name);
        let peer = self.sessions.get(conn).map(|session| session.who());
        tracing::debug!(
            core = self.id.0,
            peer,
            version = hello.client_version,
            "hello"
        );
        if let Some(state) = self.native_state(conn) {
            state.expect = Expect::Request;
        }
        self.sessions.greeted(conn);
        let limits = self.frame_limits();
        let ok = HelloOk {
            version: PROTOCOL_VERSION,
            server_version: env!("CARGO_PKG_VERSION"),
            max_frame_len: limits.max_frame_len,
            max_batch_len: self.settings.max_batch_bytes,
            core: self.id.0,
            cores: self.cores,
        };
        self.respond(conn, correlation, &Response::Hello(ok));
    }
}
