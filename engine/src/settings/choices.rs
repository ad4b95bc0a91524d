//! What was set for one object, over the broker's defaults.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Bearing, DefaultValue, Setting, StoredValue, Values};
use crate::codec::{DecodeError, Reader, Writer};

/// Fewest bytes of a choice in an entry.
const CHOICE_LEN: usize = 4;

/// What was set for one object. Anything else is as the broker's defaults have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices<V: Values>(BTreeMap<V::Key, StoredValue>);

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// It was set for the object itself.
    Own,
    /// It is this setting of the broker.
    Broker(&'static str),
    /// It is built in.
    BuiltIn,
}

/// One line of an object's configuration.
#[derive(Clone, Debug)]
pub struct Entry<V: Values> {
    /// Which setting.
    pub setting: &'static Setting<V>,
    /// The value in force.
    pub value: String,
    /// Where that comes from.
    pub source: ConfigSource,
    /// The value that it would have if it were unset.
    pub default: String,
}

/// Why an object cannot be configured so. The asker's to solve.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidConfig {
    /// There is no such setting.
    #[error("there is no {called} `{key}`; there are {known}")]
    UnknownKey {
        /// What settings of that kind are called.
        called: &'static str,
        /// What was asked for, shortened.
        key: String,
        /// The names that there are.
        known: String,
    },
    /// A setting is set twice, or set and unset.
    #[error("the {called} `{key}` is named twice")]
    Twice {
        /// What settings of that kind are called.
        called: &'static str,
        /// Its name.
        key: &'static str,
    },
    /// The setting has no such value, or the object cannot take it.
    #[error("the {called} `{key}` cannot be `{value}`: {reason}")]
    BadValue {
        /// What settings of that kind are called.
        called: &'static str,
        /// Its name.
        key: &'static str,
        /// What was asked for, shortened.
        value: String,
        /// What would be right.
        reason: String,
    },
}

impl InvalidConfig {
    pub(super) fn unknown<V: Values>(name: &str) -> Self {
        let known: Vec<_> = V::declared().iter().map(|setting| setting.name).collect();
        Self::UnknownKey {
            called: V::CALLED,
            key: shortened(name),
            known: known.join(", "),
        }
    }

    /// A value that a setting cannot have.
    pub(crate) fn bad<V: Values>(setting: &Setting<V>, value: &str, reason: String) -> Self {
        Self::BadValue {
            called: V::CALLED,
            key: setting.name,
            value: shortened(value),
            reason,
        }
    }
}

impl<V: Values> Default for Choices<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V: Values> Choices<V> {
    /// These choices with some settings set and some unset, held against the declared bounds and the
    /// broker's `defaults`.
    ///
    /// # Errors
    /// [`InvalidConfig`] for the first that cannot be; nothing is changed then.
    pub fn changed<S: AsRef<str>>(
        &self,
        set: &[(S, S)],
        unset: &[S],
        defaults: &V,
    ) -> Result<Self, InvalidConfig> {
        let mut choices = self.clone();
        let mut named = Vec::with_capacity(V::declared().len());
        let mut once = |name: &S| {
            let setting = Setting::<V>::called(name.as_ref())?;
            if named.contains(&setting.key) {
                let (called, key) = (V::CALLED, setting.name);
                return Err(InvalidConfig::Twice { called, key });
            }
            named.push(setting.key);
            Ok(setting)
        };
        for (name, text) in set {
            let setting = once(name)?;
            let value = setting.parse(text.as_ref(), defaults)?;
            choices.0.insert(setting.key, value);
        }
        for name in unset {
            choices.0.remove(&once(name)?.key);
        }
        V::fit(&choices)?;
        Ok(choices)
    }

    /// What is in force, given the broker's defaults.
    #[must_use]
    pub fn over(&self, defaults: &V) -> V {
        let mut values = defaults.clone();
        for (key, value) in &self.0 {
            if let Bearing::Field(field) = &Setting::<V>::of(*key).bearing {
                (field.put)(&mut values, value);
            }
        }
        values.bound(defaults);
        values
    }

    /// Every setting with the value in force, by name.
    #[must_use]
    pub fn entries(&self, defaults: &V) -> Vec<Entry<V>> {
        let values = self.over(defaults);
        let line = |setting: &'static Setting<V>| {
            let (source, default) = match setting.default {
                DefaultValue::Broker(name) => {
                    let default = setting.in_force(defaults);
                    let default = default.expect("what has a default there is in force");
                    (ConfigSource::Broker(name), default)
                }
                DefaultValue::Fixed(text) => (ConfigSource::BuiltIn, text.to_owned()),
            };
            let own = self.0.get(&setting.key);
            let kept = own.map(|value| setting.form.text(value));
            let value = setting.in_force(&values).or(kept);
            Entry {
                setting,
                value: value.unwrap_or_else(|| default.clone()),
                source: own.map_or(source, |_| ConfigSource::Own),
                default,
            }
        };
        V::declared().iter().map(line).collect()
    }

    /// What was set as that, if anything was.
    pub(crate) fn get(&self, key: V::Key) -> Option<&StoredValue> {
        self.0.get(&key)
    }

    /// Whether nothing was set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes that they take in an entry, about.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |value: &StoredValue| match value {
            StoredValue::Number(_) => 10,
            StoredValue::Text(text) => CHOICE_LEN + text.len(),
        };
        self.0.values().map(bytes).sum()
    }

    /// A count, then number and value of each, by key.
    pub(crate) fn put(&self, writer: &mut Writer) {
        writer.count(self.0.len());
        for (key, value) in &self.0 {
            writer.u16(Setting::<V>::of(*key).number);
            match value {
                StoredValue::Number(value) => writer.i64(*value),
                StoredValue::Text(text) => writer.str(text),
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut choices = Self::default();
        for _ in 0..reader.count(CHOICE_LEN, "settings")? {
            let setting = Setting::<V>::numbered(reader.u16("setting")?);
            let setting = setting.ok_or(DecodeError::Invalid("setting"))?;
            let value = match setting.form.is_text() {
                true => StoredValue::Text(reader.str("value of a setting")?.into()),
                false => StoredValue::Number(reader.i64("value of a setting")?),
            };
            let last = choices.0.last_key_value().map(|(last, _)| *last);
            if last >= Some(setting.key) || !setting.form.admits(&value) {
                return Err(DecodeError::Invalid("settings"));
            }
            choices.0.insert(setting.key, value);
        }
        Ok(choices)
    }
}

/// A peer's text, short enough for an error message.
fn shortened(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}
