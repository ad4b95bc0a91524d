//! What lies between the bytes of a socket and those of a protocol: nothing, which is where TLS has its place.
//!
//! All that is received goes through [`Transport::inward`] before it is looked for frames, all that is sent through
//! [`Transport::outward`] after it was encoded. (What is received straight into place lies where it is to stay: a
//! transport that changes bytes asks for none of that, and gives long frames in pieces.)

use bytes::Bytes;

use crate::core::boundary::Action;
use crate::core::session::Session;

/// How the bytes of a connection travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) enum Transport {
    /// As they are.
    #[default]
    Plain,
}

impl Transport {
    /// Received bytes, as their protocol has them.
    pub(super) fn inward<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Plain => bytes,
        }
    }

    /// Bytes of a protocol, as they are to be sent.
    fn outward(&mut self, bytes: Bytes) -> Bytes {
        match self {
            Self::Plain => bytes,
        }
    }
}

impl Session {
    /// Gives bytes to the driver to send, after all that was given before.
    pub(in crate::core) fn outgoing<Buf, Message>(&mut self, bytes: Bytes) -> Action<Buf, Message> {
        Action::Send {
            conn: self.conn,
            bytes: self.transport.outward(bytes),
        }
    }
}
