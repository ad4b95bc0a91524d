//! A record as a program hands it over.

use bytes::Bytes;
use leveret_wire::native::PartitionId;

/// A record to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerRecord {
    /// Where to; chosen by key or in turn if `None`.
    pub partition: Option<PartitionId>,
    /// Milliseconds since the Unix epoch; the time of sending if `None`.
    pub timestamp: Option<i64>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers, in order; names may repeat.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl ProducerRecord {
    /// A record with a value and nothing else.
    #[must_use]
    pub fn value(value: impl Into<Bytes>) -> Self {
        Self {
            value: Some(value.into()),
            ..Self::default()
        }
    }

    /// The same with a key: records of one key stay in order in one partition.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }
}
