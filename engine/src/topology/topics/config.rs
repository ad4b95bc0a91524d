//! What can be set per topic: one declaration per setting, and a topic's own choices over the
//! broker's defaults.
//!
//! A topic stores only what was set for it ([`TopicConfig`]), so that a changed default reaches
//! every topic that did not choose otherwise; [`TopicSettings`] is what comes of both. Settings of
//! Kafka's that have no effect here are kept and shown, so that its tools work; a value that
//! promises what is not built is refused, never stored for show.

mod declared;
mod form;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use leveret_storage::types::Level;
use thiserror::Error;

pub use declared::TOPIC_SETTINGS;
pub(super) use form::StoredValue;
pub use form::ValueForm;

/// Whose time a record carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// What its producer wrote.
    #[default]
    Create,
    /// When the broker appended it: the batch is stamped.
    LogAppend,
}

/// How a topic's records are kept: its own choices over the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// The strongest promise that an acknowledgement can make; a request may ask for less.
    pub level: Level,
    /// Bytes per partition above which the oldest segments go; `None` keeps all.
    pub retention_bytes: Option<u64>,
    /// Milliseconds after which records may go; `None` keeps all.
    pub retention_ms: Option<u64>,
    /// A segment is closed before it grows beyond this, bytes.
    pub segment_bytes: u64,
    /// A segment is closed at this age, milliseconds.
    pub segment_ms: u64,
    /// Largest batch that is taken, bytes.
    pub max_message_bytes: u32,
    /// The most that any topic may choose as that, bytes: connections take no longer frame. The
    /// broker's own, the same for all topics.
    pub max_message_limit: u32,
    /// Whose time records carry.
    pub timestamps: TimestampType,
    /// How far a record's own time may lie behind the broker's, milliseconds.
    pub timestamp_before_max_ms: u64,
    /// How far a record's own time may lie ahead of the broker's, milliseconds.
    pub timestamp_after_max_ms: u64,
}

impl Default for TopicSettings {
    /// `synced`, all is kept, segments of 1 GiB or a week, batches of 1 MiB or what a topic
    /// chooses up to 16 MiB, the producer's time, at most an hour ahead.
    fn default() -> Self {
        Self {
            level: Level::Synced,
            retention_bytes: None,
            retention_ms: None,
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3600 * 1000,
            max_message_bytes: 1 << 20,
            max_message_limit: 16 << 20,
            timestamps: TimestampType::Create,
            timestamp_before_max_ms: i64::MAX as u64,
            timestamp_after_max_ms: 3_600_000,
        }
    }
}

/// Names a setting in a topic's entry; a number is never given to another setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum TopicKey {
    /// `retention.ms`
    RetentionMs = 1,
    /// `retention.bytes`
    RetentionBytes = 2,
    /// `segment.ms`
    SegmentMs = 3,
    /// `segment.bytes`
    SegmentBytes = 4,
    /// `max.message.bytes`
    MaxMessageBytes = 5,
    /// `message.timestamp.type`
    TimestampType = 6,
    /// `durability`
    Durability = 7,
    /// `cleanup.policy`
    CleanupPolicy = 8,
    /// `compression.gzip.level`
    CompressionGzipLevel = 9,
    /// `compression.lz4.level`
    CompressionLz4Level = 10,
    /// `compression.type`
    CompressionType = 11,
    /// `compression.zstd.level`
    CompressionZstdLevel = 12,
    /// `delete.retention.ms`
    DeleteRetentionMs = 13,
    /// `file.delete.delay.ms`
    FileDeleteDelayMs = 14,
    /// `flush.messages`
    FlushMessages = 15,
    /// `flush.ms`
    FlushMs = 16,
    /// `follower.replication.throttled.replicas`
    FollowerThrottled = 17,
    /// `index.interval.bytes`
    IndexIntervalBytes = 18,
    /// `leader.replication.throttled.replicas`
    LeaderThrottled = 19,
    /// `local.retention.bytes`
    LocalRetentionBytes = 20,
    /// `local.retention.ms`
    LocalRetentionMs = 21,
    /// `max.compaction.lag.ms`
    MaxCompactionLagMs = 22,
    /// `message.timestamp.after.max.ms`
    TimestampAfterMaxMs = 23,
    /// `message.timestamp.before.max.ms`
    TimestampBeforeMaxMs = 24,
    /// `min.cleanable.dirty.ratio`
    MinCleanableDirtyRatio = 25,
    /// `min.compaction.lag.ms`
    MinCompactionLagMs = 26,
    /// `min.insync.replicas`
    MinInsyncReplicas = 27,
    /// `preallocate`
    Preallocate = 28,
    /// `remote.log.copy.disable`
    RemoteLogCopyDisable = 29,
    /// `remote.log.delete.on.disable`
    RemoteLogDeleteOnDisable = 30,
    /// `remote.storage.enable`
    RemoteStorageEnable = 31,
    /// `segment.index.bytes`
    SegmentIndexBytes = 32,
    /// `segment.jitter.ms`
    SegmentJitterMs = 33,
    /// `unclean.leader.election.enable`
    UncleanLeaderElection = 34,
}

/// One setting, as it was declared.
#[derive(Debug)]
pub struct TopicSetting {
    /// Its number.
    pub key: TopicKey,
    /// Its dotted name.
    pub name: &'static str,
    /// What values look like.
    pub form: ValueForm,
    /// What it is where nobody has set it.
    pub default: DefaultValue,
    /// Whether anything comes of it; else it is kept for Kafka's tools.
    pub effect: bool,
    /// What it does.
    pub prose: &'static str,
}

/// What a setting is where nobody has set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// The value of this setting of the broker.
    Broker(&'static str),
    /// This text.
    Fixed(&'static str),
}

/// Why a topic cannot be configured so. The asker's to solve.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidConfig {
    /// There is no such setting.
    #[error("there is no topic setting `{key}`; there are {}", known())]
    UnknownKey {
        /// What was asked for, shortened.
        key: String,
    },
    /// A setting is set twice, or set and unset.
    #[error("the topic setting `{key}` is named twice")]
    Twice {
        /// Its name.
        key: &'static str,
    },
    /// The setting has no such value, or the topic cannot take it.
    #[error("the topic setting `{key}` cannot be `{value}`: {reason}")]
    BadValue {
        /// Its name.
        key: &'static str,
        /// What was asked for, shortened.
        value: String,
        /// What would be right.
        reason: String,
    },
}

impl TopicKey {
    /// The setting of that name.
    ///
    /// # Errors
    /// [`InvalidConfig::UnknownKey`].
    pub fn named(name: &str) -> Result<Self, InvalidConfig> {
        let setting = TOPIC_SETTINGS.iter().find(|setting| setting.name == name);
        setting
            .map(|setting| setting.key)
            .ok_or_else(|| InvalidConfig::UnknownKey {
                key: shortened(name),
            })
    }

    /// The setting of that number.
    pub(super) fn numbered(number: u16) -> Option<Self> {
        let mut keys = TOPIC_SETTINGS.iter().map(|setting| setting.key);
        keys.find(|key| *key as u16 == number)
    }

    /// Whether a value is words between commas, of which one may be added or taken away.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Self::CleanupPolicy | Self::FollowerThrottled | Self::LeaderThrottled
        )
    }

    /// Its declaration.
    ///
    /// # Panics
    /// Never: every key is declared.
    #[must_use]
    pub fn setting(self) -> &'static TopicSetting {
        let found = TOPIC_SETTINGS.iter().find(|setting| setting.key == self);
        found.expect("every key is declared")
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// It was set for this topic.
    Topic,
    /// It is this setting of the broker.
    Broker(&'static str),
    /// It is built in.
    BuiltIn,
}

/// One line of a topic's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Which setting.
    pub key: TopicKey,
    /// The value in force.
    pub value: String,
    /// Where that comes from.
    pub source: ConfigSource,
    /// The value that it would have if it were unset.
    pub default: String,
}

/// What was set for one topic. Anything else is as the broker's defaults have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicConfig(pub(super) BTreeMap<TopicKey, StoredValue>);

impl TopicConfig {
    /// This configuration with some settings set and some unset, held against the declared
    /// bounds and the broker's `defaults`.
    ///
    /// # Errors
    /// [`InvalidConfig`] for the first that cannot be; nothing is changed then.
    pub fn changed<S: AsRef<str>>(
        &self,
        set: &[(S, S)],
        unset: &[S],
        defaults: &TopicSettings,
    ) -> Result<Self, InvalidConfig> {
        let mut values = self.0.clone();
        let mut named = Vec::with_capacity(TOPIC_SETTINGS.len());
        let mut once = |key: TopicKey| match named.contains(&key) {
            true => Err(InvalidConfig::Twice {
                key: key.setting().name,
            }),
            false => {
                named.push(key);
                Ok(key)
            }
        };
        for (key, value) in set {
            let key = once(TopicKey::named(key.as_ref())?)?;
            values.insert(key, parse(key, value.as_ref(), defaults)?);
        }
        for key in unset {
            values.remove(&once(TopicKey::named(key.as_ref())?)?);
        }
        let config = Self(values);
        config.check_lags()?;
        Ok(config)
    }

    /// What is in force, given the broker's defaults.
    #[must_use]
    pub fn over(&self, defaults: &TopicSettings) -> TopicSettings {
        let mut settings = *defaults;
        for (key, value) in &self.0 {
            if let StoredValue::Number(value) = value {
                put(&mut settings, *key, *value);
            }
        }
        // The broker's own bound may have been lowered since.
        settings.max_message_bytes = settings.max_message_bytes.min(defaults.max_message_limit);
        settings
    }

    /// Every setting with the value in force, by name.
    #[must_use]
    pub fn entries(&self, defaults: &TopicSettings) -> Vec<ConfigEntry> {
        let settings = self.over(defaults);
        let line = |setting: &TopicSetting| {
            let shown = |settings| {
                let value = get(settings, setting.key).map(StoredValue::Number);
                value.map(|value| setting.form.text(&value))
            };
            let (source, default) = match setting.default {
                DefaultValue::Broker(name) => {
                    let default = shown(defaults).expect("what has a default there is in force");
                    (ConfigSource::Broker(name), default)
                }
                DefaultValue::Fixed(text) => (ConfigSource::BuiltIn, text.to_owned()),
            };
            let own = self.0.get(&setting.key);
            let kept = own.map(|value| setting.form.text(value));
            ConfigEntry {
                key: setting.key,
                value: shown(&settings).or(kept).unwrap_or_else(|| default.clone()),
                source: own.map_or(source, |_| ConfigSource::Topic),
                default,
            }
        };
        TOPIC_SETTINGS.iter().map(line).collect()
    }

    /// Kafka refuses bounds that leave no time between them, and so does its use here.
    fn check_lags(&self) -> Result<(), InvalidConfig> {
        let (least, most) = (TopicKey::MinCompactionLagMs, TopicKey::MaxCompactionLagMs);
        match (self.0.get(&least), self.0.get(&most)) {
            (Some(StoredValue::Number(low)), Some(StoredValue::Number(high))) if low > high => {
                Err(InvalidConfig::BadValue {
                    key: least.setting().name,
                    value: low.to_string(),
                    reason: format!("{} is only {high}", most.setting().name),
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether nothing was set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a topic may go from one durability to another.
pub(super) fn check_durability(before: Level, after: Level) -> Result<(), InvalidConfig> {
    let in_memory = |level| level == Level::Memory;
    if in_memory(before) == in_memory(after) {
        return Ok(());
    }
    let setting = TopicKey::Durability.setting();
    let word = |level| setting.form.text(&StoredValue::Number(level_code(level)));
    Err(InvalidConfig::BadValue {
        key: setting.name,
        value: word(after),
        reason: format!(
            "the topic is {}, and stays at memory, or away from it, for its life; create another",
            word(before)
        ),
    })
}

fn parse(
    key: TopicKey,
    text: &str,
    defaults: &TopicSettings,
) -> Result<StoredValue, InvalidConfig> {
    let setting = key.setting();
    let refused = |reason: String| InvalidConfig::BadValue {
        key: setting.name,
        value: shortened(text),
        reason,
    };
    let compacts = key == TopicKey::CleanupPolicy && text.contains("compact");
    let value = setting.form.parse(text).filter(|_| !compacts);
    let value = value.ok_or_else(|| match compacts {
        true => refused("compaction is not built yet; the only policy is delete".to_owned()),
        false => refused(format!("{} {}", setting.form.kind(), setting.form.bounds())),
    })?;
    match unkept(key, &value, defaults) {
        Some(reason) => Err(refused(reason)),
        None => Ok(value),
    }
}

/// Why a value that Kafka takes is refused: it promises what is not built, or more than the
/// broker takes.
fn unkept(key: TopicKey, value: &StoredValue, defaults: &TopicSettings) -> Option<String> {
    let StoredValue::Number(value) = *value else {
        return None;
    };
    let most = i64::from(defaults.max_message_limit);
    match key {
        TopicKey::MaxMessageBytes if value > most => Some(format!(
            "the broker's topic.message.max.bytes is {most}, and no topic can go above it"
        )),
        TopicKey::CompressionType if value != 0 => {
            let reason = "batches are kept as their producer compressed them; use producer";
            Some(reason.to_owned())
        }
        TopicKey::MinInsyncReplicas if value > 1 => {
            let reason = "there is one replica of each record, and replication is not built yet";
            Some(reason.to_owned())
        }
        TopicKey::RemoteStorageEnable if value == 1 => {
            let reason = "records are kept on this machine only; tiered storage is not built yet";
            Some(reason.to_owned())
        }
        _ => None,
    }
}

/// The value in force of a setting that has an effect.
fn get(settings: &TopicSettings, key: TopicKey) -> Option<i64> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Some(match key {
        TopicKey::RetentionMs => settings.retention_ms.map_or(-1, number),
        TopicKey::RetentionBytes => settings.retention_bytes.map_or(-1, number),
        TopicKey::SegmentMs => number(settings.segment_ms),
        TopicKey::SegmentBytes => number(settings.segment_bytes),
        TopicKey::MaxMessageBytes => i64::from(settings.max_message_bytes),
        TopicKey::TimestampType => match settings.timestamps {
            TimestampType::Create => 0,
            TimestampType::LogAppend => 1,
        },
        TopicKey::TimestampBeforeMaxMs => number(settings.timestamp_before_max_ms),
        TopicKey::TimestampAfterMaxMs => number(settings.timestamp_after_max_ms),
        TopicKey::Durability => level_code(settings.level),
        TopicKey::CleanupPolicy => 0,
        _ => return None,
    })
}

fn level_code(level: Level) -> i64 {
    match level {
        Level::Memory => 0,
        Level::Written => 1,
        Level::Synced => 2,
    }
}

/// Stores a value that its form admits.
fn put(settings: &mut TopicSettings, key: TopicKey, value: i64) {
    let number = || u64::try_from(value).expect("the form admits no other negative number");
    let limit = || (value != -1).then(number);
    match key {
        TopicKey::RetentionMs => settings.retention_ms = limit(),
        TopicKey::RetentionBytes => settings.retention_bytes = limit(),
        TopicKey::SegmentMs => settings.segment_ms = number(),
        TopicKey::SegmentBytes => settings.segment_bytes = number(),
        TopicKey::MaxMessageBytes => {
            settings.max_message_bytes = u32::try_from(value).expect("bounded by the form");
        }
        TopicKey::TimestampType => {
            settings.timestamps = match value {
                0 => TimestampType::Create,
                _ => TimestampType::LogAppend,
            };
        }
        TopicKey::TimestampBeforeMaxMs => settings.timestamp_before_max_ms = number(),
        TopicKey::TimestampAfterMaxMs => settings.timestamp_after_max_ms = number(),
        TopicKey::Durability => {
            settings.level = match value {
                0 => Level::Memory,
                1 => Level::Written,
                _ => Level::Synced,
            };
        }
        // The policy has one value, and the rest has no effect.
        _ => {}
    }
}

fn known() -> String {
    let names: Vec<_> = TOPIC_SETTINGS.iter().map(|setting| setting.name).collect();
    names.join(", ")
}

/// A peer's text, short enough for an error message.
fn shortened(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}
