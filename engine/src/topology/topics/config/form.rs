//! What values of a setting look like: as text, and as an entry of the topology's log holds them.

use std::sync::Arc;

/// Longest text that is a value, bytes.
const MOST_TEXT: usize = 4096;

/// What values of a setting look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueForm {
    /// A whole number between two bounds, both included.
    Number {
        /// The smallest.
        low: i64,
        /// The largest.
        high: i64,
        /// One number more, and what it stands for.
        special: Option<(i64, &'static str)>,
    },
    /// One of these words. A topic's entry holds a word's place in this list: it only grows.
    Words(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A fraction from 0 to 1.
    Ratio,
    /// Replicas of partitions: none, `*` for all, or pairs `PARTITION:BROKER` between commas.
    Replicas,
}

/// A value as a topic's entry holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::topology) enum StoredValue {
    /// A number, the place of a word, 0 or 1 of a flag, the bits of a fraction.
    Number(i64),
    /// Text of [`ValueForm::Replicas`].
    Text(Arc<str>),
}

impl ValueForm {
    /// What values look like, in words.
    #[must_use]
    pub fn bounds(&self) -> String {
        match self {
            Self::Number { low, high, special } => {
                let more = special.map(|(value, meaning)| format!(", or {value} for {meaning}"));
                format!("{low} to {high}{}", more.unwrap_or_default())
            }
            Self::Words(words) => words.join(", "),
            Self::Flag => "true, false".to_owned(),
            Self::Ratio => "0 to 1".to_owned(),
            Self::Replicas => "*, or PARTITION:BROKER,PARTITION:BROKER".to_owned(),
        }
    }

    /// What kind of thing a value is, to be followed by its bounds.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Number { .. } => "it is a number from",
            Self::Words(_) | Self::Flag => "it is one of",
            Self::Ratio => "it is a fraction from",
            Self::Replicas => "it is",
        }
    }

    /// Whether values stand as text in an entry.
    pub(in crate::topology) fn is_text(&self) -> bool {
        matches!(self, Self::Replicas)
    }

    /// Whether a stored value is one of these.
    pub(in crate::topology) fn admits(&self, value: &StoredValue) -> bool {
        match (self, value) {
            (Self::Replicas, StoredValue::Text(text)) => are_replicas(text),
            (Self::Replicas, StoredValue::Number(_)) | (_, StoredValue::Text(_)) => false,
            (_, StoredValue::Number(value)) => self.admits_number(*value),
        }
    }

    fn admits_number(&self, value: i64) -> bool {
        match self {
            Self::Number { low, high, special } => {
                let special = special.is_some_and(|(number, _)| number == value);
                (*low..=*high).contains(&value) || special
            }
            Self::Words(words) => usize::try_from(value).is_ok_and(|at| at < words.len()),
            Self::Flag => matches!(value, 0 | 1),
            Self::Ratio => (0.0..=1.0).contains(&ratio_of(value)),
            Self::Replicas => false,
        }
    }

    pub(super) fn parse(&self, text: &str) -> Option<StoredValue> {
        let text = text.trim();
        let value = match self {
            Self::Number { .. } => StoredValue::Number(text.parse().ok()?),
            Self::Words(words) => {
                let at = words.iter().position(|word| *word == text)?;
                StoredValue::Number(i64::try_from(at).ok()?)
            }
            Self::Flag => StoredValue::Number(i64::from(flag(text)?)),
            Self::Ratio => StoredValue::Number(text.parse::<f64>().ok()?.to_bits().cast_signed()),
            Self::Replicas => StoredValue::Text(text.into()),
        };
        self.admits(&value).then_some(value)
    }

    /// A stored value as it would be written.
    pub(super) fn text(&self, value: &StoredValue) -> String {
        match (self, value) {
            (_, StoredValue::Text(text)) => (**text).to_owned(),
            (Self::Words(words), StoredValue::Number(at)) => {
                words[usize::try_from(*at).expect("checked")].to_owned()
            }
            (Self::Flag, StoredValue::Number(value)) => (*value == 1).to_string(),
            (Self::Ratio, StoredValue::Number(bits)) => format!("{:?}", ratio_of(*bits)),
            (_, StoredValue::Number(value)) => value.to_string(),
        }
    }
}

/// As Kafka reads them: in any case of letters.
fn flag(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    match (is("true"), is("false")) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

fn ratio_of(bits: i64) -> f64 {
    f64::from_bits(bits.cast_unsigned())
}

fn are_replicas(text: &str) -> bool {
    let number = |text: &str| text.trim().parse::<u32>().is_ok();
    let pair = |pair: &str| {
        let parts = pair.split_once(':');
        parts.is_some_and(|(partition, broker)| number(partition) && number(broker))
    };
    let any = matches!(text, "" | "*") || text.split(',').all(pair);
    any && text.len() <= MOST_TEXT
}
