//! What values of a setting look like: as text, and as an entry of a log holds them.

use std::sync::Arc;

use super::Held;

/// Longest text that is a value, bytes.
const MOST_TEXT: usize = 4096;

/// What programs that type their settings take a value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// `true` or `false`.
    Boolean,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Long,
    /// A fraction.
    Double,
    /// Words between commas, of which one may be added or taken away.
    List,
    /// Any other text.
    String,
}

/// What values of a setting look like.
#[derive(Clone, Copy, Debug)]
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
    /// One of these words. An entry holds a word's place in this list: it only grows.
    Words(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A fraction from 0 to 1.
    Ratio,
    /// Text that keeps to a rule.
    Text {
        /// What it looks like.
        looks: &'static str,
        /// Whether one is such a text.
        fits: fn(&str) -> bool,
    },
}

/// A value as an entry holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredValue {
    /// A number, the place of a word, 0 or 1 of a flag, the bits of a fraction.
    Number(i64),
    /// Text of [`ValueForm::Text`].
    Text(Arc<str>),
}

impl StoredValue {
    /// The number that a value of any form but text is.
    ///
    /// # Panics
    /// If it is text.
    pub(crate) fn number(&self) -> i64 {
        match self {
            Self::Number(value) => *value,
            Self::Text(text) => unreachable!("a form that is no text admitted `{text}`"),
        }
    }
}

impl ValueForm {
    /// A whole number of these, both included.
    pub(crate) const fn number(low: i64, high: i64) -> Self {
        Self::Number {
            low,
            high,
            special: None,
        }
    }

    /// A number up to that, or -1 for "no limit".
    pub(crate) const fn limit(high: i64) -> Self {
        Self::Number {
            low: 0,
            high,
            special: Some((-1, "no limit")),
        }
    }

    /// What values are taken for where nothing else is said.
    pub(super) const fn usual_type(&self) -> ValueType {
        match self {
            Self::Number { .. } => ValueType::Long,
            Self::Words(_) | Self::Text { .. } => ValueType::String,
            Self::Flag => ValueType::Boolean,
            Self::Ratio => ValueType::Double,
        }
    }

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
            Self::Text { looks, .. } => (*looks).to_owned(),
        }
    }

    /// What kind of thing a value is, to be followed by its bounds.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Number { .. } => "it must be a number from",
            Self::Words(_) | Self::Flag => "it must be one of",
            Self::Ratio => "it must be a fraction from",
            Self::Text { .. } => "it must be",
        }
    }

    /// Whether values stand as text in an entry.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text { .. })
    }

    /// Whether a stored value is one of these.
    pub(crate) fn admits(&self, value: &StoredValue) -> bool {
        match (self, value) {
            (Self::Text { fits, .. }, StoredValue::Text(text)) => {
                text.len() <= MOST_TEXT && fits(text)
            }
            (Self::Text { .. }, StoredValue::Number(_)) | (_, StoredValue::Text(_)) => false,
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
            Self::Text { .. } => false,
        }
    }

    pub(crate) fn parse(&self, text: &str) -> Option<StoredValue> {
        let text = text.trim();
        let value = match self {
            Self::Number { .. } => StoredValue::Number(text.parse().ok()?),
            Self::Words(words) => {
                let at = words.iter().position(|word| *word == text)?;
                StoredValue::Number(i64::try_from(at).ok()?)
            }
            Self::Flag => StoredValue::Number(i64::from(flag(text)?)),
            Self::Ratio => StoredValue::Number(text.parse::<f64>().ok()?.to_bits().cast_signed()),
            Self::Text { .. } => StoredValue::Text(text.into()),
        };
        self.admits(&value).then_some(value)
    }

    /// A stored value as it would be written.
    pub(crate) fn text(&self, value: &StoredValue) -> String {
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

impl Held for u64 {
    fn stored(&self) -> StoredValue {
        StoredValue::Number(i64::try_from(*self).unwrap_or(i64::MAX))
    }

    fn of(value: &StoredValue) -> Self {
        Self::try_from(value.number()).expect("the form admits no negative number")
    }
}

impl Held for u32 {
    fn stored(&self) -> StoredValue {
        StoredValue::Number(i64::from(*self))
    }

    fn of(value: &StoredValue) -> Self {
        Self::try_from(value.number()).expect("bounded by the form")
    }
}

/// A limit, of which -1 is none.
impl Held for Option<u64> {
    fn stored(&self) -> StoredValue {
        self.map_or(StoredValue::Number(-1), |limit| limit.stored())
    }

    fn of(value: &StoredValue) -> Self {
        (value.number() != -1).then(|| u64::of(value))
    }
}
