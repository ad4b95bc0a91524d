//! Compares what was acknowledged with what can be consumed.

use std::collections::BTreeMap;

use crate::load::{Place, line};

/// What the comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Verdict {
    /// Acknowledged records that are not where they were said to be.
    pub(crate) lost: u64,
    /// Records that are there more than once.
    pub(crate) duplicated: u64,
    /// Records of a producer that come before an earlier one of it in the same partition.
    pub(crate) out_of_order: u64,
    /// Offsets that are missing or come twice.
    pub(crate) gaps: u64,
    /// Records that nobody sent.
    pub(crate) foreign: u64,
}

impl Verdict {
    /// Whether everything is as promised.
    #[must_use]
    pub(crate) fn is_clean(self) -> bool {
        self == Self::default()
    }
}

/// Checks `consumed` (in order per partition) against the places acknowledged to each producer,
/// of which producer `p` has sent `sent[p]` records in all.
#[must_use]
pub(crate) fn check(
    acknowledged: &[Vec<Place>],
    sent: &[u64],
    consumed: &[(Place, String)],
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut by_place = BTreeMap::new();
    let mut seen = BTreeMap::new();
    let mut newest = BTreeMap::new();
    let mut next_offset = BTreeMap::new();
    for (place, value) in consumed {
        let next = next_offset.entry(place.partition).or_insert(0);
        verdict.gaps += u64::from(*next != place.offset);
        *next = place.offset + 1;
        by_place.insert(*place, value.as_str());
        let Some((producer, number)) = parse(value, sent) else {
            verdict.foreign += 1;
            continue;
        };
        verdict.duplicated += u64::from(seen.insert((producer, number), *place).is_some());
        let newest = newest.entry((producer, place.partition)).or_insert(number);
        verdict.out_of_order += u64::from(number < *newest);
        *newest = number.max(*newest);
    }
    for (producer, places) in acknowledged.iter().enumerate() {
        for (number, place) in places.iter().enumerate() {
            let wanted = line(producer, number as u64);
            verdict.lost += u64::from(by_place.get(place) != Some(&wanted.as_str()));
        }
    }
    verdict
}

/// Which record a value is, if it is one that was sent.
fn parse(value: &str, sent: &[u64]) -> Option<(usize, u64)> {
    let mut parts = value.split('-');
    let producer: usize = parts.next()?.parse().ok()?;
    let number: u64 = parts.next()?.parse().ok()?;
    let known = sent.get(producer).is_some_and(|&sent| number < sent);
    (known && line(producer, number) == value).then_some((producer, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: u64) -> Place {
        Place {
            partition: 0,
            offset,
        }
    }

    fn of(numbers: &[u64]) -> Vec<(Place, String)> {
        let numbered = numbers.iter().zip(0..);
        numbered
            .map(|(&number, offset)| (place(offset), line(0, number)))
            .collect()
    }

    #[test]
    fn each_kind_of_damage_is_counted_as_what_it_is() {
        let acknowledged = vec![vec![place(0), place(1)]];
        let verdict = |consumed: &[(Place, String)]| check(&acknowledged, &[5], consumed);
        assert!(verdict(&of(&[0, 1, 2])).is_clean());
        assert_eq!(verdict(&of(&[0])).lost, 1);
        assert_eq!(verdict(&of(&[0, 1, 1])).duplicated, 1);
        assert_eq!(verdict(&of(&[0, 1, 3, 2])).out_of_order, 1);
        assert_eq!(verdict(&of(&[0, 1, 9])).foreign, 1);
        let mut gap = of(&[0, 1, 2]);
        gap[2].0 = place(3);
        assert_eq!(verdict(&gap).gaps, 1);
    }
}
