//! An ordered map of which a moment can be kept while the map goes on changing.
//!
//! Its values stand on shelves, each with a bounded number of them. To keep a moment is to hold the
//! shelves as they are: a shelf that somebody holds is copied when it changes, and no other is. So
//! a machine with hundreds of thousands of objects hands out its state piece by piece, and neither
//! that nor a change meanwhile takes a long turn.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Values on a shelf, at most.
const FULL: usize = 128;

/// What of a shelf its neighbour takes over rather than leave it so empty.
const SCANTY: usize = FULL / 4;

type Shelf<K, V> = Arc<Vec<(K, V)>>;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Shelves<K, V> {
    /// By a key that is no greater than those on the shelf, and greater than those before it. None is empty.
    shelves: BTreeMap<K, Shelf<K, V>>,
}

impl<K, V> Default for Shelves<K, V> {
    fn default() -> Self {
        Self {
            shelves: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Copy, V: Clone> Shelves<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let (_, shelf) = self.shelves.range(..=key).next_back()?;
        let at = find(shelf, key).ok()?;
        Some(&shelf[at].1)
    }

    /// All values by key.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        let shelves = self.shelves.values();
        shelves.flat_map(|shelf| shelf.iter().map(|(_, value)| value))
    }

    /// Keys and values by key, from the one after `after` on.
    pub(crate) fn after(&self, after: Option<K>) -> impl Iterator<Item = (&K, &V)> {
        let begin = after.and_then(|key| self.shelves.range(..=key).next_back());
        let (shelves, skipped) = match begin.zip(after) {
            Some(((begin, shelf), after)) => {
                let skipped = shelf.partition_point(|(key, _)| *key <= after);
                (self.shelves.range(*begin..), skipped)
            }
            None => (self.shelves.range(..), 0),
        };
        let entries = shelves.flat_map(|(_, shelf)| shelf.iter()).skip(skipped);
        entries.map(|(key, value)| (key, value))
    }

    /// All values by key as they are now, whatever becomes of the map meanwhile.
    pub(crate) fn keep(&self) -> impl Iterator<Item = V> + use<K, V> {
        let shelves: Vec<Shelf<K, V>> = self.shelves.values().cloned().collect();
        shelves.into_iter().flat_map(|shelf| {
            (0..shelf.len()).map(move |at| {
                let (_, value) = &shelf[at];
                value.clone()
            })
        })
    }

    /// The value that was there before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let begin = match self.shelves.range(..=key).next_back() {
            Some((begin, _)) => *begin,
            None => {
                let first = self.shelves.pop_first();
                let first = first.map_or_else(Shelf::default, |(_, shelf)| shelf);
                self.shelves.insert(key, first);
                key
            }
        };
        let shelf = self.shelves.get_mut(&begin).expect("just found");
        let at = match find(shelf, &key) {
            Ok(at) => {
                let (_, before) = &mut Arc::make_mut(shelf)[at];
                return Some(std::mem::replace(before, value));
            }
            Err(at) => at,
        };
        if shelf.len() < FULL {
            Arc::make_mut(shelf).insert(at, (key, value));
            return None;
        }
        // What comes in order fills shelf after shelf; what comes between halves one.
        let mut rest = match at {
            FULL => Vec::new(),
            _ => Arc::make_mut(shelf).split_off(FULL / 2),
        };
        match at.checked_sub(FULL - rest.len()) {
            Some(at) => rest.insert(at, (key, value)),
            None => Arc::make_mut(shelf).insert(at, (key, value)),
        }
        self.shelves.insert(rest[0].0, Arc::new(rest));
        None
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (begin, shelf) = self.shelves.range_mut(..=key).next_back()?;
        let (begin, at) = (*begin, find(shelf, key).ok()?);
        let (_, value) = Arc::make_mut(shelf).remove(at);
        if shelf.is_empty() {
            self.shelves.remove(&begin);
        } else if shelf.len() < SCANTY {
            let before = self.shelves.range(..begin).next_back();
            let first = before.map(|(before, _)| *before);
            self.join(begin);
            first.into_iter().for_each(|first| self.join(first));
        }
        Some(value)
    }

    /// A shelf takes over what the next one has, if both together are few.
    fn join(&mut self, begin: K) {
        let mut from = self.shelves.range(begin..);
        let (Some((_, shelf)), Some((next, rest))) = (from.next(), from.next()) else {
            return;
        };
        if shelf.len() + rest.len() > FULL / 2 {
            return;
        }
        let next = *next;
        let rest = self.shelves.remove(&next).expect("just found");
        let shelf = self.shelves.get_mut(&begin).expect("just found");
        Arc::make_mut(shelf).extend(rest.iter().cloned());
    }
}

fn find<K: Ord, V>(shelf: &[(K, V)], key: &K) -> Result<usize, usize> {
    shelf.binary_search_by(|(other, _)| other.cmp(key))
}

impl<K: Ord + Copy, V: Clone> std::ops::Index<&K> for Shelves<K, V> {
    type Output = V;

    /// # Panics
    /// If there is none.
    fn index(&self, key: &K) -> &V {
        self.get(key).expect("it is there")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It is a map, and what was kept of it stays.
        #[test]
        fn it_is_a_map_and_what_was_kept_stays(
            ops in prop::collection::vec((0u32..900, 0u8..8), 0..3000),
            ascending in any::<bool>(),
            keep_at in 0usize..3000,
        ) {
            let (mut shelves, mut map) = (Shelves::default(), BTreeMap::new());
            let mut kept = None;
            for (n, (key, what)) in ops.into_iter().enumerate() {
                if n == keep_at {
                    kept = Some((shelves.keep(), map.clone()));
                }
                // Kept pieces go out while others come.
                if let Some((values, map)) = kept.as_mut() && n % 3 == 0 {
                    prop_assert_eq!(values.next(), map.pop_first().map(|(_, value)| value));
                }
                let key = if ascending && what < 5 { n as u32 } else { key };
                match what {
                    0..5 => prop_assert_eq!(shelves.insert(key, n), map.insert(key, n)),
                    _ => prop_assert_eq!(shelves.remove(&key), map.remove(&key)),
                }
                prop_assert_eq!(shelves.get(&key), map.get(&key));
            }
            prop_assert!(shelves.values().eq(map.values()));
            if let Some((values, map)) = kept {
                prop_assert!(values.eq(map.into_values()));
            }
            let lens: Vec<usize> = shelves.shelves.values().map(|shelf| shelf.len()).collect();
            prop_assert!(lens.iter().all(|len| (1..=FULL).contains(len)));
        }
    }

    #[test]
    fn to_keep_a_moment_copies_no_value_and_a_change_one_shelf() {
        let values: Vec<Arc<u32>> = (0..10_000).map(Arc::new).collect();
        let mut shelves = Shelves::default();
        for value in &values {
            shelves.insert(**value, Arc::clone(value));
        }
        let held = |most: usize| {
            let more = values
                .iter()
                .filter(|value| Arc::strong_count(value) > most);
            more.count()
        };
        let mut kept = shelves.keep();
        assert_eq!(held(2), 0, "none is copied");
        shelves.remove(&5_000);
        shelves.insert(5_001, Arc::new(0));
        assert!((1..=FULL).contains(&held(2)), "{}", held(2));
        // A shelf that nobody holds is not copied: the first was handed out.
        let first: Vec<_> = kept.by_ref().take(FULL + 1).collect();
        drop(first);
        let before = held(2);
        shelves.remove(&3);
        assert_eq!(held(2), before);
        assert!(kept.map(|value| *value).eq(FULL as u32 + 1..10_000));
    }

    #[test]
    fn few_values_are_on_few_shelves() {
        let mut shelves = Shelves::default();
        for key in 0..100_000u32 {
            shelves.insert(key, ());
        }
        assert!(shelves.shelves.len() < 800);
        for key in (0..100_000).filter(|key| key % 200 > 0) {
            shelves.remove(&key);
        }
        let shelves = shelves.shelves.len();
        assert!(shelves < 500 / (SCANTY / 2), "{shelves} for 500");
    }
}
