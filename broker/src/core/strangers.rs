//! Peers that speak another protocol than the port's: they are told in their own, and the log says
//! what was seen and where that is served.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use leveret_storage::io::BufPool;
use leveret_wire::native::{CorrelationId, ErrorCode, ErrorResponse, FrameError, Response};
use leveret_wire::speech::Speech;

use super::Core;
use super::boundary::{ConnId, Protocol};

/// Where each protocol is served, as it is written in messages; `None` where it is not.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    /// The native protocol.
    pub native: Option<Arc<str>>,
    /// Kafka's.
    pub kafka: Option<Arc<str>>,
    /// HTTP.
    pub http: Option<Arc<str>>,
}

/// How often each kind of stranger came, by the port's protocol; `None` spoke nothing that is known. Few keys: nothing of it is the
/// peers' to choose.
#[derive(Debug, Default)]
pub(super) struct Strangers(BTreeMap<(&'static str, Option<Speech>), u64>);

impl Ports {
    /// A sentence for both sides: what this port serves, and where what was spoken is served.
    #[must_use]
    pub fn sentence(&self, served: &str, heard: Speech) -> String {
        let place = match heard {
            Speech::Native => self.native.as_deref(),
            Speech::Kafka => self.kafka.as_deref(),
            Speech::Http => self.http.as_deref(),
            Speech::Tls => {
                return format!(
                    "this port of a Leveret broker serves {served}, and TLS was spoken: there is \
                     no TLS here yet"
                );
            }
            Speech::Amqp | Speech::Mqtt | Speech::Ssh => None,
        };
        let name = heard.name();
        match place {
            Some(place) => format!(
                "this port of a Leveret broker serves {served}, and {name} was spoken, which is \
                 served at {place}"
            ),
            None => format!(
                "this port of a Leveret broker serves {served}, and {name} was spoken, which this \
                 broker does not serve"
            ),
        }
    }
}

/// Bytes of what an unknown peer said that are shown.
const SHOWN: usize = 16;

/// What a port serves, in words.
fn served(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Native => Speech::Native.name(),
        Protocol::Kafka => Speech::Kafka.name(),
    }
}

impl Ports {
    /// What a peer of the native port can do whose protocol is not known.
    fn remedy(&self) -> String {
        let mut remedy = "use a client of that protocol here".to_owned();
        if let Some(kafka) = &self.kafka {
            remedy.push_str(&format!("; Kafka clients connect to {kafka}"));
        }
        if let Some(http) = &self.http {
            remedy.push_str(&format!(
                "; health, metrics and status are served over HTTP at {http}"
            ));
        }
        remedy
    }
}

impl<P: BufPool> Core<P> {
    /// Whether what the peer said first is another protocol's. Then both sides have been told, and
    /// the connection is closing.
    pub(super) fn turn_away(&mut self, conn: ConnId, first: &[u8]) -> bool {
        let Some(session) = self.sessions.get(conn) else {
            return false;
        };
        let (protocol, peer) = (session.protocol(), session.peer);
        let own = match protocol {
            Protocol::Native => Speech::Native,
            Protocol::Kafka => Speech::Kafka,
        };
        let heard = Speech::of_request(first).filter(|heard| *heard != own && !session.greeted);
        let Some(heard) = heard else {
            return false;
        };
        let sentence = self.settings.ports.sentence(served(protocol), heard);
        session.out.extend_from_slice(&heard.farewell(&sentence));
        self.note_stranger(protocol, peer, Some(heard), &sentence);
        self.end(conn);
        true
    }

    /// What the peer said first on the native port is nothing that is known: both sides are told what
    /// it was, and the connection is closing.
    pub(super) fn refuse_unknown(&mut self, conn: ConnId, first: &[u8], error: &FrameError) {
        let Some(session) = self.sessions.get(conn) else {
            return;
        };
        let (protocol, peer) = (session.protocol(), session.peer);
        let sentence = format!(
            "this port of a Leveret broker serves {}, and what was said first, `{}`, is no frame of it: \
             {error}",
            served(protocol),
            first[..first.len().min(SHOWN)].escape_ascii(),
        );
        let mut refusal = ErrorResponse::new(ErrorCode::BadFrame, sentence.as_str());
        refusal.remedy = self.settings.ports.remedy().into();
        self.respond(conn, CorrelationId(0), &Response::Error(refusal));
        self.note_stranger(protocol, peer, None, &sentence);
        self.end(conn);
    }

    fn note_stranger(
        &mut self,
        protocol: Protocol,
        peer: Option<SocketAddr>,
        heard: Option<Speech>,
        sentence: &str,
    ) {
        let key = (protocol.name(), heard);
        let seen = self.strangers.0.entry(key).or_default();
        *seen += 1;
        // The first of a kind, then ever more seldom: a client that tries again fills no disk.
        if seen.is_power_of_two() {
            let peer = peer.map(|peer| peer.to_string());
            tracing::warn!(
                core = self.id.0,
                port = protocol.name(),
                peer = peer.as_deref().unwrap_or("unknown"),
                times = *seen,
                "another protocol: {sentence}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_told_where_its_protocol_is_served() {
        let ports = Ports {
            kafka: Some("127.0.0.1:9092".into()),
            ..Ports::default()
        };
        let told = |heard| ports.sentence(served(Protocol::Native), heard);
        assert!(told(Speech::Kafka).ends_with("served at 127.0.0.1:9092"));
        assert!(told(Speech::Http).contains("does not serve"));
        assert!(told(Speech::Tls).contains("no TLS here yet"));
        let remedy = ports.remedy();
        assert!(
            remedy.contains("Kafka clients connect to 127.0.0.1:9092"),
            "{remedy}"
        );
        assert!(!remedy.contains("HTTP"), "{remedy}");
    }
}
