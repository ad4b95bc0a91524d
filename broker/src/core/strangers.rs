//! Peers that speak another protocol than the port's: they are told in their own, and the log says
//! what was seen and where that is served.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use leveret_storage::io::BufPool;
use leveret_wire::speech::Speech;

use super::Core;
use super::boundary::{ConnId, Protocol};

/// Where each protocol is served, as it is written in messages.
#[derive(Clone, Debug, Default)]
pub struct Ports(BTreeMap<Speech, Arc<str>>);

/// How often each kind of stranger came, by the port's protocol; `None` spoke nothing that is known. Few keys: nothing of it is the
/// peers' to choose.
#[derive(Debug, Default)]
pub(super) struct Strangers(BTreeMap<(&'static str, Option<Speech>), u64>);

impl Ports {
    /// That protocol is served there.
    pub fn serve(&mut self, protocol: Speech, at: Arc<str>) {
        self.0.insert(protocol, at);
    }

    /// Where it is served.
    #[must_use]
    pub fn of(&self, protocol: Speech) -> Option<&str> {
        self.0.get(&protocol).map(AsRef::as_ref)
    }

    /// A sentence for both sides: what this port serves, and where what was spoken is served.
    #[must_use]
    pub fn sentence(&self, served: &str, heard: Speech) -> String {
        if heard == Speech::Tls {
            return format!(
                "this port of a Leveret broker serves {served}, and TLS was spoken: there is \
                 no TLS here yet"
            );
        }
        let name = heard.name();
        match self.of(heard) {
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
    protocol.speech().map_or(protocol.name(), Speech::name)
}

impl<P: BufPool> Core<P> {
    /// Whether what the peer said first is another protocol's. Then both sides have been told, and
    /// the connection is closing.
    pub(super) fn turn_away(&mut self, conn: ConnId, first: &[u8]) -> bool {
        let Some(session) = self.sessions.get(conn) else {
            return false;
        };
        let (protocol, peer) = (session.protocol(), session.who());
        let heard = Speech::of_request(first);
        let heard = heard.filter(|heard| Some(*heard) != protocol.speech() && !session.greeted);
        let Some(heard) = heard else {
            return false;
        };
        let sentence = self.settings.ports.sentence(served(protocol), heard);
        session.out.extend_from_slice(&heard.farewell(&sentence));
        self.note_stranger(protocol, &peer, Some(heard), &sentence);
        self.end(conn);
        true
    }

    /// What the peer said first is nothing that is known: the log says so. A sentence for the peer.
    pub(super) fn note_unknown(
        &mut self,
        conn: ConnId,
        first: &[u8],
        error: &dyn Display,
    ) -> String {
        let Some(session) = self.sessions.get(conn) else {
            return String::new();
        };
        let (protocol, peer) = (session.protocol(), session.who());
        let sentence = format!(
            "this port of a Leveret broker serves {}, and what was said first, `{}`, is no frame of it: \
             {error}",
            served(protocol),
            first[..first.len().min(SHOWN)].escape_ascii(),
        );
        self.note_stranger(protocol, &peer, None, &sentence);
        sentence
    }

    fn note_stranger(
        &mut self,
        protocol: Protocol,
        peer: &str,
        heard: Option<Speech>,
        sentence: &str,
    ) {
        let key = (protocol.name(), heard);
        let seen = self.strangers.0.entry(key).or_default();
        *seen += 1;
        // The first of a kind, then ever more seldom: a client that tries again fills no disk.
        if seen.is_power_of_two() {
            tracing::warn!(
                core = self.id.0,
                port = protocol.name(),
                peer,
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
        let mut ports = Ports::default();
        ports.serve(Speech::Kafka, "127.0.0.1:9092".into());
        let told = |heard| ports.sentence(served(Protocol::Native), heard);
        assert!(told(Speech::Kafka).ends_with("served at 127.0.0.1:9092"));
        assert!(told(Speech::Http).contains("does not serve"));
        assert!(told(Speech::Tls).contains("no TLS here yet"));
    }
}
