//! How a broker is, as programs are shown it: the JSON of `leveret status --json` and of
//! `/api/v1/status` is one shape, filled from the client's answers there and from the cores' here.
//! With it the sentences that say what a trouble means and what to do. It asks nobody.

use serde::{Serialize, Serializer};

pub use crate::core::observe::{Chosen, MOST_PARTITIONS};
pub use crate::core::status::TOPOLOGY;

/// The whole of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The broker's.
    pub version: String,
    /// Milliseconds since it was ready.
    pub uptime_ms: u64,
    /// Its data directory.
    pub data_dir: String,
    /// The strongest level that the file system can truly give.
    pub true_level: String,
    /// By number.
    pub cores: Vec<Core>,
    /// By name: all, or those that were chosen.
    pub topics: Vec<Topic>,
    /// Whether there are more partitions of the chosen topics than a report names
    /// ([`MOST_PARTITIONS`]); `None` if topics were not chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
    /// Partitions that take no more records.
    pub stopped_logs: Vec<StoppedLog>,
    /// Partitions of which stored bytes cannot be read.
    pub damaged_logs: Vec<DamagedLog>,
}

/// One core.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Core {
    /// Its number.
    pub core: u16,
    /// The CPU that it is pinned to.
    pub cpu: u32,
    /// What it counts, as `core/figures` declares it; in JSON each is a key of the core.
    #[serde(flatten)]
    pub figures: Figures,
    /// Whether its file system has space.
    pub disk: Disk,
}

/// A core's or a partition's figures by their keys, in the order in which they are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(pub Vec<(String, Number)>);

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Number {
    /// A total since the start, or how much there is.
    Count(u64),
    /// A mean per second over the last few seconds.
    Rate(f64),
}

impl Figures {
    /// The figure of that key, if the broker has one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Number> {
        let found = self.0.iter().find(|(of, _)| of == key);
        found.map(|(_, number)| *number)
    }
}

impl Number {
    /// Rounded to the nearest whole.
    #[must_use]
    pub fn whole(self) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Rate(rate) => rate.round() as u64,
        }
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, number)| (key, number)))
    }
}

/// Whether a core's file system has space for records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// As it was found when something was produced last.
    pub state: DiskState,
    /// What was refused, or how little is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What that means, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<&'static str>,
}

/// How much space a file system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskState {
    /// There is room.
    HasRoom,
    /// Less is free than the floor.
    AtFloor,
    /// It has refused something.
    Full,
}

impl Disk {
    /// A disk that has room.
    pub const WITH_ROOM: Self = Self {
        state: DiskState::HasRoom,
        reason: None,
        meaning: None,
    };

    /// A disk that has too little left.
    #[must_use]
    pub fn at_floor(reason: String) -> Self {
        Self {
            state: DiskState::AtFloor,
            reason: Some(reason),
            meaning: Some(
                "producing is refused, consuming and deleting go on, and producing resumes by itself: \
                 free space, delete topics or lower their retention; `disk.floor.bytes` is what is left \
                 to others",
            ),
        }
    }

    /// A disk that has refused something.
    #[must_use]
    pub fn full(reason: String) -> Self {
        Self {
            state: DiskState::Full,
            reason: Some(reason),
            meaning: Some(
                "producing is refused, consuming and deleting go on, and producing resumes by itself: \
                 free space, delete topics or lower their retention",
            ),
        }
    }
}

/// A topic, with its settings where they were asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Never used again for another topic.
    pub topic_id: u64,
    /// What its acknowledgements promise.
    pub level: String,
    /// Bytes kept of each partition; `None` for all.
    pub retention_bytes: Option<u64>,
    /// Milliseconds for which records are kept; `None` for ever.
    pub retention_ms: Option<u64>,
    /// Of the partitions that are told.
    pub records: u64,
    /// Of the partitions that are told.
    pub size_bytes: u64,
    /// By number.
    pub partitions: Vec<Partition>,
    /// Its settings; a status does not ask for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub config: Vec<Setting>,
}

/// One partition of a [`Topic`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Partition {
    /// Its number.
    pub partition: u32,
    /// The core that owns it.
    pub core: u16,
    /// The first offset that is still there.
    pub start_offset: u64,
    /// The offset after the last that can be read.
    pub high_watermark: u64,
    /// Bytes of its batches.
    pub size_bytes: u64,
    /// What it counts, if its topic was asked for by name; in JSON each is a key of the partition.
    #[serde(flatten)]
    pub figures: Figures,
    /// Whether it takes no more records.
    pub stopped: bool,
    /// What it does.
    pub state: PartitionState,
}

/// What a partition does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionState {
    /// All that it should.
    Serving,
    /// The same, but for stored records that cannot be read.
    Damaged,
    /// It takes no more records, and may be damaged as well.
    Stopped,
}

impl PartitionState {
    /// From what is known of its log.
    #[must_use]
    pub fn of(stopped: bool, damaged: bool) -> Self {
        match (stopped, damaged) {
            (true, _) => Self::Stopped,
            (false, true) => Self::Damaged,
            (false, false) => Self::Serving,
        }
    }

    /// The word for it, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Damaged => "damaged",
            Self::Stopped => "stopped",
        }
    }
}

impl Partition {
    /// Offsets that it still has.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.high_watermark.saturating_sub(self.start_offset)
    }
}

impl Topic {
    /// Counts what its partitions have together.
    #[must_use]
    pub fn counted(mut self) -> Self {
        self.records = self.partitions.iter().map(Partition::records).sum();
        self.size_bytes = self.partitions.iter().map(|p| p.size_bytes).sum();
        self
    }
}

/// One setting of a [`Topic`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// The value in force.
    pub value: String,
    /// topic, broker or built-in.
    pub source: &'static str,
    /// What it would be if it were unset.
    pub default: String,
    /// The broker's setting that is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_from: Option<String>,
}

/// A partition that takes no more records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoppedLog {
    /// Its topic; [`TOPOLOGY`] for the broker's own log of topics.
    pub topic: String,
    /// Its number.
    pub partition: u32,
    /// The core that owns it.
    pub core: u16,
    /// What failed.
    pub reason: String,
    /// What that means, and what to do.
    pub meaning: &'static str,
}

impl StoppedLog {
    /// One of that name.
    #[must_use]
    pub fn new(topic: &str, partition: u32, core: u16, reason: String) -> Self {
        let meaning = if topic == TOPOLOGY {
            "until a restart no topic can be created, altered or deleted; all else goes on. Mend the disk \
             first"
        } else {
            "it takes no more records until a restart; what it has is served. Mend the disk first"
        };
        Self {
            topic: topic.to_owned(),
            partition,
            core,
            reason,
            meaning,
        }
    }
}

/// A partition of which stored bytes cannot be read, or are not those that were written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DamagedLog {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: u32,
    /// The core that owns it.
    pub core: u16,
    /// Where the read began that met them last.
    pub offset: u64,
    /// Reads that met them since the start.
    pub reads: u64,
    /// The file, the place in it, and what does not fit.
    pub reason: String,
    /// What that means, and what to do.
    pub meaning: &'static str,
}

impl DamagedLog {
    /// What damage means, and what to do.
    pub const MEANING: &str = "readers are refused these records, all others are served and producing goes on; stop the \
         broker and run `leveret verify` to see all that is damaged";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_words_in_json_and_for_people() {
        let states = [
            PartitionState::of(false, false),
            PartitionState::of(false, true),
            PartitionState::of(true, true),
        ];
        for state in states {
            let json = serde_json::to_string(&state).expect("a word");
            assert_eq!(json, format!("\"{}\"", state.name()));
        }
        let full = serde_json::to_value(Disk::full("no space".to_owned())).expect("JSON");
        assert_eq!(
            (&full["state"], &full["reason"]),
            (&"full".into(), &"no space".into())
        );
        assert!(
            full["meaning"]
                .as_str()
                .is_some_and(|m| m.contains("free space"))
        );
        let room = serde_json::to_string(&Disk::WITH_ROOM).expect("JSON");
        assert_eq!(room, r#"{"state":"has-room"}"#);
    }
}
