//! What stands behind the question mark: `topics=orders,pay*`. Other parameters are passed over.

use crate::core::observe::{Chosen, InvalidChoice};

/// The topics that a query chooses; `None` if it names no parameter `topics`. One that is there several
/// times is one list.
///
/// # Errors
/// [`InvalidChoice`].
pub(super) fn chosen(query: &str) -> Result<Option<Chosen>, InvalidChoice> {
    let parameters = query
        .split('&')
        .map(|one| one.split_once('=').unwrap_or((one, "")));
    let own = parameters.filter(|(name, _)| matches!(*name, "topics" | "topic"));
    let lists: Vec<String> = own.map(|(_, list)| decoded(list)).collect();
    match lists.is_empty() {
        true => Ok(None),
        false => lists.join(",").parse().map(Some),
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
        assert_eq!(chosen("format=text&x"), Ok(None));
        is("topics=orders,pay*", "orders,pay*");
        is("a=b&topics=orders%2Cpay%2a&c", "orders,pay*");
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
            assert!(chosen(query).is_err(), "{query}");
        }
    }
}
