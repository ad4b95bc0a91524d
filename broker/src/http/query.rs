//! What stands behind the question mark: `topics=orders,pay*`. There is no other parameter, and one that is
//! misspelt is said, not passed over: its answer would be that of everything.

use thiserror::Error;

use crate::core::observe::{Chosen, InvalidChoice};

/// Characters of an unknown parameter's name that are told back.
const MOST_SHOWN: usize = 40;

/// Why a query cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum BadQuery {
    /// What stands there as topics names none.
    #[error("topics: {0}")]
    Topics(#[from] InvalidChoice),
    /// There is no parameter of that name, of which this is the beginning.
    #[error("there is no query parameter `{0}`; there is `topics`, as in ?topics=orders,pay*")]
    Unknown(String),
}

/// The topics that a query chooses; `None` if it names no parameter `topics`. One that is there several
/// times is one list.
///
/// # Errors
/// [`BadQuery`].
pub(super) fn chosen(query: &str) -> Result<Option<Chosen>, BadQuery> {
    let mut lists = Vec::new();
    for parameter in query.split('&').filter(|one| !one.is_empty()) {
        match parameter.split_once('=').unwrap_or((parameter, "")) {
            ("topics" | "topic", list) => lists.push(decoded(list)),
            (name, _) => {
                let start = decoded(name).chars().take(MOST_SHOWN).collect();
                return Err(BadQuery::Unknown(start));
            }
        }
    }
    match lists.is_empty() {
        true => Ok(None),
        false => Ok(Some(lists.join(",").parse()?)),
    }
}

/// A value as it was before it was put into a query. What is no UTF-8 becomes what no name has.
fn decoded(value: &str) -> String {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut bytes = value.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        match (first, rest) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, rest @ ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    out.push((high << 4 | low) as u8);
                    bytes = rest;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(*first),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(query: &str, text: &str) {
        assert_eq!(chosen(query), Ok(Some(text.parse().unwrap())), "{query}");
    }

    #[test]
    fn a_choice_is_found_however_it_is_written() {
        assert_eq!(chosen(""), Ok(None));
        assert_eq!(chosen("&"), Ok(None));
        is("topics=orders,pay*", "orders,pay*");
        is("&topics=orders%2Cpay%2a&", "orders,pay*");
        is("topics=orders&topics=pay*", "orders,pay*");
        is("topic=orders", "orders");
        is("topics=a,+b", "a,b");
    }

    #[test]
    fn what_chooses_nothing_is_said() {
        for query in [
            "topics",
            "topics=",
            "topics=%",
            "topics=%zz",
            "topics=%ff",
            "topics=a%+1",
        ] {
            let refused = matches!(chosen(query), Err(BadQuery::Topics(_)));
            assert!(refused, "{query}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_refused_by_its_name() {
        for (query, name) in [
            ("TOPICS=a", "TOPICS"),
            ("topics=a&format=text", "format"),
            ("topic%73=a", "topics"),
            ("x", "x"),
            ("=a", ""),
            (&"y".repeat(1000), &"y".repeat(40)),
        ] {
            let unknown = BadQuery::Unknown(name.to_owned());
            assert_eq!(chosen(query), Err(unknown), "{query}");
        }
        let said = chosen("TOPICS=a").expect_err("unknown").to_string();
        assert_eq!(
            said,
            "there is no query parameter `TOPICS`; there is `topics`, as in ?topics=orders,pay*"
        );
    }
}
