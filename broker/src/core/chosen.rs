//! Which topics a report is to name: some by their names, others by how their names begin. Written
//! `orders,pay*` over HTTP and on the command line.

use std::ops::Bound;
use std::str::FromStr;

use leveret_engine::topology::{InvalidTopicName, TopicName};

/// Partitions that one report of chosen topics names at most.
pub const MOST_PARTITIONS: usize = 1000;
/// Names and beginnings of one choice; each is a question to a core.
const MOST_PATTERNS: usize = 100;

/// Topics by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The one that is named so.
    Name(TopicName),
    /// Those whose names begin so.
    Beginning(String),
}

/// A choice of topics, by name, none of which is there twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen(Vec<Pattern>);

/// Why a text is no choice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChoice {
    /// It chooses nothing.
    #[error("it names no topic; a choice is names and beginnings of names, such as orders,pay*")]
    Empty,
    /// No topic can be named so, or have a name that begins so.
    #[error("{0}; a choice is names and beginnings of names, such as orders,pay*")]
    Name(#[from] InvalidTopicName),
    /// There are too many.
    #[error("it has more than {MOST_PATTERNS} names; a beginning such as pay* stands for many")]
    TooMany,
}

impl Pattern {
    /// Whether a topic of that name is meant.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::Name(own) => own.as_str() == name,
            Self::Beginning(own) => name.starts_with(own.as_str()),
        }
    }

    /// Where those that are meant begin in the order of names.
    pub(super) fn start(&self) -> Bound<&str> {
        Bound::Included(self.text())
    }

    fn text(&self) -> &str {
        match self {
            Self::Name(name) => name.as_str(),
            Self::Beginning(text) => text,
        }
    }

    /// Whether all that `other` means is meant.
    fn covers(&self, other: &Self) -> bool {
        match self {
            Self::Name(_) => self == other,
            Self::Beginning(own) => other.text().starts_with(own.as_str()),
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidChoice;

    fn from_str(text: &str) -> Result<Self, InvalidChoice> {
        match text.strip_suffix('*') {
            None => Ok(Self::Name(TopicName::new(text)?)),
            Some(start) => {
                // A name begins with what could be one, or with dots, which alone are none.
                if !matches!(start, "" | "." | "..") {
                    TopicName::new(start)?;
                }
                Ok(Self::Beginning(start.to_owned()))
            }
        }
    }
}

impl Chosen {
    /// All topics.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![Pattern::Beginning(String::new())])
    }

    /// Names and beginnings, in the order of names; no topic is meant by two.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.0
    }

    /// Whether a topic of that name is chosen.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.has(name))
    }
}

impl FromStr for Chosen {
    type Err = InvalidChoice;

    fn from_str(text: &str) -> Result<Self, InvalidChoice> {
        let words = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let mut patterns = Vec::new();
        for word in words {
            if patterns.len() == MOST_PATTERNS {
                return Err(InvalidChoice::TooMany);
            }
            patterns.push(word.parse()?);
        }
        // What covers another has a shorter text, so it comes before, and so does a beginning before the
        // name that is the same.
        let order = |pattern: &Pattern| {
            let is_name = matches!(pattern, Pattern::Name(_));
            (pattern.text().to_owned(), is_name)
        };
        patterns.sort_by_key(order);
        patterns.dedup_by(|later, before| before.covers(later));
        match patterns.is_empty() {
            true => Err(InvalidChoice::Empty),
            false => Ok(Self(patterns)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> Vec<String> {
        let chosen: Chosen = text.parse().expect(text);
        let told = |pattern: &Pattern| match pattern {
            Pattern::Name(name) => name.to_string(),
            Pattern::Beginning(start) => format!("{start}*"),
        };
        chosen.patterns().iter().map(told).collect()
    }

    #[test]
    fn no_topic_is_chosen_twice() {
        assert_eq!(chosen("orders,pay*"), ["orders", "pay*"]);
        assert_eq!(chosen(" b , a,b,,"), ["a", "b"]);
        assert_eq!(
            chosen("pays,pay,pay*,paid*,pa-y"),
            ["pa-y", "paid*", "pay*"]
        );
        assert_eq!(chosen("a*,ab*,abc,b,*"), ["*"]);
        assert_eq!(chosen("a*,abc,abd*,b"), ["a*", "b"]);
        assert_eq!(chosen(".*,_*"), [".*", "_*"]);
        let some: Chosen = "pay*,orders".parse().unwrap();
        let names = ["orders", "orders2", "pay", "pays", "pa"];
        assert_eq!(
            names.map(|name| some.has(name)),
            [true, false, true, true, false]
        );
        assert!(names.iter().all(|name| Chosen::all().has(name)));
    }

    #[test]
    fn what_can_choose_nothing_is_refused() {
        let wrong = ["", ",", "a b", "a*b", "*a", "**x", "**", "a *", "ä*", "a/*"];
        for text in wrong.into_iter().chain([&*"x".repeat(250)]) {
            assert!(text.parse::<Chosen>().is_err(), "{text}");
        }
        let many = |count: usize| (0..count).map(|n| format!("n{n:03}")).collect::<Vec<_>>();
        assert_eq!(
            many(101).join(",").parse::<Chosen>(),
            Err(InvalidChoice::TooMany)
        );
        assert!(many(100).join(",").parse::<Chosen>().is_ok());
        let long = format!("{}*", "x".repeat(250));
        let refused = long.parse::<Chosen>().expect_err("no name is as long");
        assert!(
            refused
                .to_string()
                .starts_with("a topic name has at most 249 characters")
        );
    }
}
