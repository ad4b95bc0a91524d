//! What an operator can set: every setting is declared once, in `settings.rs`, with its name,
//! default, bounds and prose. The configuration file, `leveret serve --set`, `--help` and the table
//! in `docs/operations.md` all come from that declaration.
//!
//! What this refuses to do: it reads no file, no environment and no clock (the command line hands
//! it text), it does not know what a setting is used for, and it never guesses: an unknown key, a
//! value out of bounds or of the wrong form is an error that says what would have been right.

mod file;
mod kafka;
mod nearest;
mod reference;
mod settings;
mod value;

pub use kafka::kafka_config;
pub use reference::{markdown_table, plain_list, topic_markdown_table, topic_plain_list, wrapped};
pub use settings::{SETTINGS, Setting, Settings};
pub use value::{
    Advertise, AutoSize, ByteSize, CpuList, Listen, LogFilter, LogFormat, SettingValue,
};

#[cfg(test)]
mod tests;

/// Why settings could not be taken; each variant names the key where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not TOML.
    #[error("not valid TOML: {0}")]
    Syntax(String),
    /// No setting has that name.
    #[error("unknown setting `{key}`{}", suggestion(nearest))]
    UnknownKey {
        /// What was written, with dots.
        key: String,
        /// The declared name that looks most like it, if one does.
        nearest: Option<&'static str>,
    },
    /// The value has not the setting's form, or is out of its bounds.
    #[error("`{key}` cannot be `{value}`: {reason}")]
    BadValue {
        /// The setting.
        key: &'static str,
        /// What was written.
        value: String,
        /// What would be right.
        reason: String,
    },
    /// `--set` without an equals sign.
    #[error("`{0}` is not KEY=VALUE, as in `--set message.max.bytes='2 MiB'`")]
    NotAnAssignment(String),
}

fn suggestion(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!("; did you mean `{name}`?"),
        None => "; no setting is named like it".to_owned(),
    }
}

impl Settings {
    /// Takes the settings of a configuration file over these.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong; settings before it have been taken.
    pub fn apply_toml(&mut self, text: &str) -> Result<(), ConfigError> {
        for (key, value) in file::assignments(text)? {
            self.set(&key, &value)?;
        }
        Ok(())
    }

    /// Takes one `KEY=VALUE`, as `--set` has it.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn apply_assignment(&mut self, assignment: &str) -> Result<(), ConfigError> {
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(ConfigError::NotAnAssignment(assignment.to_owned()));
        };
        self.set(key.trim(), value.trim())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            let names = SETTINGS.iter().map(|setting| setting.key);
            return Err(ConfigError::UnknownKey {
                key: key.to_owned(),
                nearest: nearest::nearest(key, names),
            });
        };
        (setting.assign)(self, value).map_err(|reason| ConfigError::BadValue {
            key: setting.key,
            value: value.to_owned(),
            reason,
        })?;
        self.configured.insert(setting.key);
        Ok(())
    }

    /// The largest `max.message.bytes` that a topic may have, which is also the longest batch
    /// that any connection takes.
    #[must_use]
    pub fn largest_message(&self) -> u32 {
        let largest = self.topic_message_max_bytes.max(self.message_max_bytes);
        u32::try_from(largest.0).expect("128 MiB at most")
    }
}
