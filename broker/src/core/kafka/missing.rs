//! What clients ask for that is not here. Kafka's protocol has no words for it, a closed
//! connection is all that a client sees: so the log tells it, once for each kind of client.

use std::collections::BTreeSet;

use leveret_storage::io::BufPool;
use leveret_wire::kafka::{HeaderError, api_name};

use crate::core::Core;
use crate::core::boundary::ConnId;

/// Kinds and requests that are told; what names itself otherwise each time is told no further.
const MOST: usize = 200;
/// Longest name of a kind of client, characters.
const NAME: usize = 60;
/// What a client is called that does not say what it is, as old ones do not.
const NAMELESS: &str = "one that does not name itself";

/// What has been told.
#[derive(Debug, Default)]
pub(in crate::core) struct Missing(BTreeSet<(String, i16, i16)>);

impl Missing {
    /// Whether this is to be told: it was not before.
    fn is_new(&mut self, kind: &str, key: i16, version: i16) -> bool {
        self.0.len() < MOST && self.0.insert((kind.to_owned(), key, version))
    }
}

/// A client's own name for what it is, short enough to keep.
pub(super) fn kind_of(software_name: &str) -> Option<Box<str>> {
    let kind: String = software_name.chars().take(NAME).collect();
    (!kind.is_empty()).then(|| kind.into_boxed_str())
}

impl<P: BufPool> Core<P> {
    /// A request asks for what is not here; its connection is about to be closed.
    pub(super) fn tell_missing(&mut self, conn: ConnId, error: &HeaderError) {
        let (key, version) = match *error {
            HeaderError::UnknownApi { key, version } => (key, version),
            HeaderError::UnsupportedVersion { api, version, .. } => (api.as_i16(), version),
            HeaderError::Decode(_) => return,
        };
        let talk = self.kafka_talk(conn);
        let kind = talk.and_then(|talk| talk.software.clone());
        let kind = kind.as_deref().unwrap_or(NAMELESS);
        if self.missing.is_new(kind, key, version) {
            let name = api_name(key).unwrap_or("a request that Kafka has not");
            tracing::warn!(
                core = self.id.0,
                client = ?kind,
                "a Kafka client asked for {name} (API {key}, version {version}), {}: its connection \
                 was closed. This is told once for each kind of client",
                lack(key)
            );
        }
    }
}

/// Why a request cannot be had.
fn lack(key: i16) -> &'static str {
    match key {
        8..=16 | 23 | 42 | 47 | 68 | 69 => {
            "and consumer groups are not built yet; consumers can assign partitions themselves"
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
        assert!(missing.is_new("a", 10, 3));
        assert!(!missing.is_new("a", 10, 3));
        assert!(missing.is_new("b", 10, 3) && missing.is_new("a", 11, 3));
        for number in 0..10_000 {
            missing.is_new(&number.to_string(), 10, 3);
        }
        assert_eq!(missing.0.len(), MOST);
        let long = kind_of(&"\u{e9}".repeat(30_000)).unwrap();
        assert_eq!(long.chars().count(), NAME);
        assert_eq!(kind_of(""), None);
    }

    #[test]
    fn what_is_not_built_is_said() {
        assert!(lack(10).contains("groups") && lack(28).contains("transactions"));
        assert!(lack(17).contains("authentication"));
    }
}
