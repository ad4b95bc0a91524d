//! What can be set per topic: one declaration per setting, and a topic's own choices over the
//! broker's defaults.
//!
//! A topic stores only what was set for it ([`TopicConfig`]), so that a changed default reaches
//! every topic that did not choose otherwise; [`TopicSettings`] is what comes of both. A setting
//! whose promise is not kept yet is refused, never stored for show.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use leveret_storage::types::Level;
use thiserror::Error;

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
    /// Largest batch that is taken, bytes. As a default also the most that a topic may choose:
    /// connections take no longer frame.
    pub max_message_bytes: u32,
    /// Whose time records carry.
    pub timestamps: TimestampType,
}

impl Default for TopicSettings {
    /// `synced`, all is kept, segments of 1 GiB or a week, batches of 1 MiB, the producer's time.
    fn default() -> Self {
        Self {
            level: Level::Synced,
            retention_bytes: None,
            retention_ms: None,
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3600 * 1000,
            max_message_bytes: 1 << 20,
            timestamps: TimestampType::Create,
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
}

/// What values of a setting look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueForm {
    /// A whole number between two bounds, both included.
    Number {
        /// The smallest.
        low: i64,
        /// The largest.
        high: i64,
        /// Whether -1 stands for "no limit".
        unlimited: bool,
    },
    /// One of these words; a built-in default is the first. A topic's entry holds a word's place
    /// in this list: it only grows.
    Words(&'static [&'static str]),
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
    /// The broker's setting that is its default; `None` where the default is built in.
    pub default_from: Option<&'static str>,
    /// What it does.
    pub prose: &'static str,
}

/// Every topic setting, by name.
pub static TOPIC_SETTINGS: &[TopicSetting] = &[
    TopicSetting {
        key: TopicKey::CleanupPolicy,
        name: "cleanup.policy",
        form: ValueForm::Words(&["delete"]),
        default_from: None,
        prose: "How old records go: delete removes whole segments by age and size.",
    },
    TopicSetting {
        key: TopicKey::Durability,
        name: "durability",
        form: ValueForm::Words(&["memory", "written", "synced"]),
        default_from: Some("topic.level"),
        prose: "What an acknowledgement promises. synced: the device has it (survives a power \
                cut). written: handed to the device without a flush (survives a crash of the \
                broker or the system). memory: survives nothing. A topic stays at memory, or \
                away from it, for its life.",
    },
    TopicSetting {
        key: TopicKey::MaxMessageBytes,
        name: "max.message.bytes",
        form: number(1 << 10, 128 << 20),
        default_from: Some("message.max.bytes"),
        prose: "Longest record batch that is taken, bytes as on the wire; at most the broker's \
                own message.max.bytes.",
    },
    TopicSetting {
        key: TopicKey::TimestampType,
        name: "message.timestamp.type",
        form: ValueForm::Words(&["CreateTime", "LogAppendTime"]),
        default_from: None,
        prose: "Whose time records carry: CreateTime, what the producer wrote; LogAppendTime, \
                when the broker appended the batch.",
    },
    TopicSetting {
        key: TopicKey::RetentionBytes,
        name: "retention.bytes",
        form: limit(i64::MAX),
        default_from: Some("topic.retention.bytes"),
        prose: "Bytes that each partition keeps; the oldest segments go while the rest holds as \
                much. -1 keeps all.",
    },
    TopicSetting {
        key: TopicKey::RetentionMs,
        name: "retention.ms",
        form: limit(i64::MAX),
        default_from: Some("topic.retention.time"),
        prose: "How long records are kept, milliseconds: a segment goes when its newest record is \
                older. -1 keeps them for ever.",
    },
    TopicSetting {
        key: TopicKey::SegmentBytes,
        name: "segment.bytes",
        form: number(1 << 20, 4 << 30),
        default_from: Some("segment.bytes"),
        prose: "A segment is closed before it grows beyond this, bytes. Retention removes whole \
                segments.",
    },
    TopicSetting {
        key: TopicKey::SegmentMs,
        name: "segment.ms",
        form: number(1000, i64::MAX),
        default_from: Some("segment.time"),
        prose: "A segment is closed when it is this old, milliseconds, so that retention by time \
                can remove it.",
    },
];

const fn number(low: i64, high: i64) -> ValueForm {
    ValueForm::Number {
        low,
        high,
        unlimited: false,
    }
}

const fn limit(high: i64) -> ValueForm {
    ValueForm::Number {
        low: 1,
        high,
        unlimited: true,
    }
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

impl ValueForm {
    /// What values look like, in words.
    #[must_use]
    pub fn bounds(&self) -> String {
        match self {
            Self::Number {
                low,
                high,
                unlimited,
            } => {
                let none = if *unlimited {
                    ", or -1 for no limit"
                } else {
                    ""
                };
                format!("{low} to {high}{none}")
            }
            Self::Words(words) => words.join(", "),
        }
    }

    /// The word that is a built-in default.
    #[must_use]
    pub fn first_word(&self) -> Option<&'static str> {
        match self {
            Self::Number { .. } => None,
            Self::Words(words) => words.first().copied(),
        }
    }

    /// Whether a stored value is one of these.
    pub(super) fn admits(&self, value: i64) -> bool {
        match self {
            Self::Number {
                low,
                high,
                unlimited,
            } => (*low..=*high).contains(&value) || (*unlimited && value == -1),
            Self::Words(words) => usize::try_from(value).is_ok_and(|at| at < words.len()),
        }
    }

    fn parse(&self, text: &str) -> Option<i64> {
        let value = match self {
            Self::Number { .. } => text.trim().parse().ok()?,
            Self::Words(words) => {
                let at = words.iter().position(|word| *word == text.trim())?;
                i64::try_from(at).ok()?
            }
        };
        self.admits(value).then_some(value)
    }

    fn text(&self, value: i64) -> String {
        match self {
            Self::Number { .. } => value.to_string(),
            Self::Words(words) => words[usize::try_from(value).expect("checked")].to_owned(),
        }
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
pub struct TopicConfig(pub(super) BTreeMap<TopicKey, i64>);

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
        Ok(Self(values))
    }

    /// What is in force, given the broker's defaults.
    #[must_use]
    pub fn over(&self, defaults: &TopicSettings) -> TopicSettings {
        let mut settings = *defaults;
        for (key, value) in &self.0 {
            put(&mut settings, *key, *value);
        }
        // The broker's own bound may have been lowered since.
        settings.max_message_bytes = settings.max_message_bytes.min(defaults.max_message_bytes);
        settings
    }

    /// Every setting with the value in force, by name.
    #[must_use]
    pub fn entries(&self, defaults: &TopicSettings) -> Vec<ConfigEntry> {
        let settings = self.over(defaults);
        let line = |setting: &TopicSetting| ConfigEntry {
            key: setting.key,
            value: setting.form.text(get(&settings, setting.key)),
            source: match setting.default_from {
                _ if self.0.contains_key(&setting.key) => ConfigSource::Topic,
                Some(broker) => ConfigSource::Broker(broker),
                None => ConfigSource::BuiltIn,
            },
            default: setting.form.text(get(defaults, setting.key)),
        };
        TOPIC_SETTINGS.iter().map(line).collect()
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
    let word = |level| setting.form.text(level_code(level));
    Err(InvalidConfig::BadValue {
        key: setting.name,
        value: word(after),
        reason: format!(
            "the topic is {}, and stays at memory, or away from it, for its life; create another",
            word(before)
        ),
    })
}

fn parse(key: TopicKey, text: &str, defaults: &TopicSettings) -> Result<i64, InvalidConfig> {
    let setting = key.setting();
    let refused = |reason: String| InvalidConfig::BadValue {
        key: setting.name,
        value: shortened(text),
        reason,
    };
    if key == TopicKey::CleanupPolicy && text.contains("compact") {
        let reason = "compaction is not built yet; the only policy is delete";
        return Err(refused(reason.to_owned()));
    }
    let value = setting.form.parse(text).ok_or_else(|| {
        let kind = match setting.form {
            ValueForm::Number { .. } => "it is a number from",
            ValueForm::Words(_) => "it is one of",
        };
        refused(format!("{kind} {}", setting.form.bounds()))
    })?;
    let most = i64::from(defaults.max_message_bytes);
    if key == TopicKey::MaxMessageBytes && value > most {
        return Err(refused(format!(
            "the broker's own message.max.bytes is {most}, and no topic can go above it"
        )));
    }
    Ok(value)
}

fn get(settings: &TopicSettings, key: TopicKey) -> i64 {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    match key {
        TopicKey::RetentionMs => settings.retention_ms.map_or(-1, number),
        TopicKey::RetentionBytes => settings.retention_bytes.map_or(-1, number),
        TopicKey::SegmentMs => number(settings.segment_ms),
        TopicKey::SegmentBytes => number(settings.segment_bytes),
        TopicKey::MaxMessageBytes => i64::from(settings.max_message_bytes),
        TopicKey::TimestampType => match settings.timestamps {
            TimestampType::Create => 0,
            TimestampType::LogAppend => 1,
        },
        TopicKey::Durability => level_code(settings.level),
        TopicKey::CleanupPolicy => 0,
    }
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
        TopicKey::Durability => {
            settings.level = match value {
                0 => Level::Memory,
                1 => Level::Written,
                _ => Level::Synced,
            };
        }
        // It has one value.
        TopicKey::CleanupPolicy => {}
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
