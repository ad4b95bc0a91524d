//! What clients ask for that is not here. Kafka's protocol has no words for it, a closed
//! connection is all that a client sees: so the log tells it, once for each kind of client.

use std::collections::BTreeSet;

use leveret_storage::io::BufPool;
use leveret_storage::types::CoreId;
use leveret_wire::kafka::{HeaderError, api_name};

use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::hop::Content;
use crate::core::session::short;

/// Kinds and requests that are told; what names itself otherwise each time is told no further.
const MOST: usize = 200;
/// What a client is called that does not say what it is, as old ones do not.
const NAMELESS: &str = "one that does not name itself";

/// What a kind of client asked for and is not here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::core) struct Missed {
    kind: Box<str>,
    key: i16,
    version: i16,
}

/// What has been told.
#[derive(Debug, Default)]
pub(in crate::core) struct Missing(BTreeSet<Missed>);

impl Missing {
    /// Whether this is to be told: it was not before.
    fn is_new(&mut self, missed: &Missed) -> bool {
        self.0.len() < MOST && self.0.insert(missed.clone())
    }
}

/// A client's own name for what it is, short enough to keep.
pub(super) fn kind_of(software_name: &str) -> Option<Box<str>> {
    (!software_name.is_empty()).then(|| short(software_name))
}

impl<P: BufPool> Core<P> {
    /// A request asks for what is not here; its connection is about to be closed.
    pub(super) fn tell_missing(&mut self, conn: ConnId, error: &HeaderError) {
        let (key, version) = match *error {
            HeaderError::UnknownApi { key, version } => (key, version),
            HeaderError::UnsupportedVersion { api, version, .. } => (api.as_i16(), version),
            HeaderError::Decode(_) => return,
        };
        let state = self.kafka_state(conn);
        let kind = state.and_then(|state| state.software.clone());
        let kind = kind.unwrap_or_else(|| NAMELESS.into());
        self.tell_missed(Missed { kind, key, version });
    }

    /// The first core tells people, once for all cores; the others tell it once.
    pub(in crate::core) fn tell_missed(&mut self, missed: Missed) {
        if !self.missing.is_new(&missed) {
            return;
        }
        if self.id != CoreId(0) {
            return self.send(CoreId(0), Content::Missed(missed));
        }
        let Missed { kind, key, version } = missed;
        let name = api_name(key).unwrap_or("a request that Kafka has not");
        tracing::warn!(
            client = ?kind,
            "a Kafka client asked for {name} (API {key}, version {version}), {}: its connection \
             was closed. This is told once for each kind of client",
            lack(key)
        );
    }
}

/// Why a request cannot be had.
fn lack(key: i16) -> &'static str {
    match key {
        68 | 69 => {
            "and consumer groups by KIP-848 are not built yet; those of `group.protocol=classic` are"
        }
        24..=28 | 61 | 65 | 66 => "and transactions are not built yet",
        17 | 36 | 29..=31 | 38..=41 | 50 | 51 => "and authentication is not built yet",
        76..=79 | 90..=92 => "and share groups are not built yet",
        _ => "which this broker does not have",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_once_and_names_without_end_are_not() {
        let mut missing = Missing::default();
        let mut is_new = |kind: &str, key| {
            let kind = kind.into();
            missing.is_new(&Missed {
                kind,
                key,
                version: 3,
            })
        };
        assert!(is_new("a", 10) && !is_new("a", 10));
        assert!(is_new("b", 10) && is_new("a", 11));
        for number in 0..10_000 {
            is_new(&number.to_string(), 10);
        }
        assert_eq!(missing.0.len(), MOST);
        let long = kind_of(&"\u{e9}".repeat(30_000)).unwrap();
        assert_eq!(long, short(&long));
        assert_eq!(kind_of(""), None);
    }

    #[test]
    fn what_is_not_built_is_said() {
        assert!(lack(68).contains("KIP-848") && lack(28).contains("transactions"));
        assert!(lack(17).contains("authentication"));
    }
}
