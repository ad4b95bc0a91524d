//! The handshake: one protocol version is agreed on, or the connection ends.

use leveret_storage::io::BufPool;
use leveret_wire::native::{ErrorCode, Hello, HelloOk, PROTOCOL_VERSION, Response};

use super::{Asker, NativeTalk};
use crate::core::Core;
use crate::core::session::Talk;

impl<P: BufPool> Core<P> {
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
        tracing::debug!(
            core = self.id.0,
            client = hello.client_name,
            version = hello.client_version,
            "hello"
        );
        if let Some(session) = self.sessions.get(conn) {
            session.talk = Talk::Native(NativeTalk::ExpectRequest);
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
