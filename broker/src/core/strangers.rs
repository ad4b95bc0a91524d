//! Peers that speak another protocol than the port's: they are told in their own, and the log says
//! what was seen and where that is served.

use std::collections::BTreeMap;
use std::sync::Arc;

use leveret_storage::io::BufPool;
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

/// How often each kind of stranger came, by the port's protocol. Few keys: nothing of it is the
/// peers' to choose.
#[derive(Debug, Default)]
pub(super) struct Strangers(BTreeMap<(&'static str, Speech), u64>);

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

/// What a port serves, in words.
fn served(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Native => Speech::Native.name(),
        Protocol::Kafka => Speech::Kafka.name(),
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
        let seen = self
            .strangers
            .0
            .entry((protocol.name(), heard))
            .or_default();
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
        self.end(conn);
        true
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
    }
}
