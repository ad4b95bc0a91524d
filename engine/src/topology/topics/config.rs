//! What can be set per topic, declared as [`settings`](crate::settings) are: a topic's own choices over the
//! broker's defaults.
//!
//! Settings of Kafka's that have no effect here are kept and shown, so that its tools work; a value that
//! promises what is not built is refused, never stored for show.

mod declared;
#[cfg(test)]
mod tests;

use leveret_storage::types::Level;

pub use declared::{TOPIC_SETTINGS, TopicKey, TopicSettings};

use crate::settings::{Choices, Entry, Held, InvalidConfig, Setting, StoredValue, Values};

/// One topic setting, as it was declared.
pub type TopicSetting = Setting<TopicSettings>;

/// What was set for one topic. Anything else is as the broker's defaults have it.
pub type TopicConfig = Choices<TopicSettings>;

/// One line of a topic's configuration.
pub type ConfigEntry = Entry<TopicSettings>;

/// Whose time a record carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// What its producer wrote.
    #[default]
    Create,
    /// When the broker appended it: the batch is stamped.
    LogAppend,
}

impl Values for TopicSettings {
    type Key = TopicKey;

    const CALLED: &'static str = "topic setting";

    fn declared() -> &'static [TopicSetting] {
        TOPIC_SETTINGS
    }

    /// Kafka refuses bounds that leave no time between them, and so does its use here.
    fn fit(choices: &TopicConfig) -> Result<(), InvalidConfig> {
        let (least, most) = (TopicKey::MinCompactionLagMs, TopicKey::MaxCompactionLagMs);
        match (choices.get(least), choices.get(most)) {
            (Some(low), Some(high)) if low.number() > high.number() => {
                let reason = format!("{} is only {}", most.setting().name, high.number());
                let low = low.number().to_string();
                Err(InvalidConfig::bad(least.setting(), &low, reason))
            }
            _ => Ok(()),
        }
    }

    fn bound(&mut self, defaults: &Self) {
        self.max_message_bytes = self.max_message_bytes.min(defaults.max_message_limit);
    }
}

impl TopicKey {
    /// Its declaration.
    #[must_use]
    pub fn setting(self) -> &'static TopicSetting {
        TopicSetting::of(self)
    }
}

/// In the order of its words, from the weakest on.
impl Held for Level {
    fn stored(&self) -> StoredValue {
        StoredValue::Number(match self {
            Self::Memory => 0,
            Self::Written => 1,
            Self::Synced => 2,
        })
    }

    fn of(value: &StoredValue) -> Self {
        match value.number() {
            0 => Self::Memory,
            1 => Self::Written,
            _ => Self::Synced,
        }
    }
}

impl Held for TimestampType {
    fn stored(&self) -> StoredValue {
        StoredValue::Number(match self {
            Self::Create => 0,
            Self::LogAppend => 1,
        })
    }

    fn of(value: &StoredValue) -> Self {
        match value.number() {
            0 => Self::Create,
            _ => Self::LogAppend,
        }
    }
}

/// Whether a topic may go from one durability to another.
pub(super) fn check_durability(before: Level, after: Level) -> Result<(), InvalidConfig> {
    let in_memory = |level| level == Level::Memory;
    if in_memory(before) == in_memory(after) {
        return Ok(());
    }
    let setting = TopicKey::Durability.setting();
    let word = |level: Level| setting.form.text(&level.stored());
    let reason = format!(
        "the topic is {}, and stays at memory, or away from it, for its life; create another",
        word(before)
    );
    Err(InvalidConfig::bad(setting, &word(after), reason))
}
