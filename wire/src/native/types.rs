//! Ids and levels as types that cannot be mixed up.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// Names one topic for ever; a topic that is deleted and created again gets another one.
    TopicId(u64)
);
id!(
    /// Number of a partition within its topic, dense from 0.
    PartitionId(u32)
);
id!(
    /// Offset of a record within its partition, dense from 0, at most `i64::MAX`.
    Offset(u64)
);
id!(
    /// Chosen by the client for each request of a connection and given back with its response.
    CorrelationId(u64)
);
id!(
    /// Names an idempotent producer; -1 in a batch stands for none.
    ProducerId(i64)
);

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The device has it; survives a power cut.
    Synced,
    /// Handed to the device without a flush; survives any process or OS crash that does not cut
    /// the device's power.
    Written,
    /// Held in memory; survives nothing.
    Memory,
}

impl Level {
    /// The word for it on the command line, in configuration and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Written => "written",
            Self::Memory => "memory",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
