//! "Once in a request", for every request of every protocol: what a request would do to something
//! that it names more than once is not done at all, since nobody can tell what was meant.
//!
//! Whether each mention has its line in the answer or all have one is the request's to say.

/// What a request names more than once, and whether it has been met.
#[derive(Debug)]
pub(super) struct Mentions<T>(Vec<(T, bool)>);

/// One naming of something, among all of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mention {
    /// The only one.
    Only,
    /// The first of several.
    First,
    /// A later one of several.
    Again,
}

impl<T: Ord> Mentions<T> {
    /// Of everything that a request names.
    pub(super) fn of(named: impl IntoIterator<Item = T>) -> Self {
        let mut named: Vec<(T, bool)> = named.into_iter().map(|one| (one, false)).collect();
        named.sort_unstable();
        let mut from = 0;
        let mut kept = 0;
        while from < named.len() {
            let same = named[from..]
                .iter()
                .take_while(|one| one.0 == named[from].0);
            let same = same.count();
            if same > 1 {
                named.swap(kept, from);
                kept += 1;
            }
            from += same;
        }
        named.truncate(kept);
        Self(named)
    }

    /// Which mention of `one` this is; ask in the order of the request.
    pub(super) fn next(&mut self, one: &T) -> Mention {
        match self.0.binary_search_by(|(named, _)| named.cmp(one)) {
            Err(_) => Mention::Only,
            Ok(at) => match std::mem::replace(&mut self.0[at].1, true) {
                false => Mention::First,
                true => Mention::Again,
            },
        }
    }

    /// Something that is named more than once, if anything is.
    pub(super) fn repeated(&self) -> Option<&T> {
        self.0.first().map(|(one, _)| one)
    }
}

#[cfg(test)]
mod tests {
    use super::Mention::{Again, First, Only};
    use super::*;

    #[test]
    fn each_mention_is_told_from_the_others() {
        let request = ["b", "a", "c", "b", "d", "b", "c"];
        let mut mentions = Mentions::of(request);
        let found = request.map(|one| mentions.next(&one));
        assert_eq!(found, [First, Only, First, Again, Only, Again, Again]);
        assert_eq!(mentions.repeated(), Some(&"b"));
        assert_eq!(Mentions::of(["b", "a"]).repeated(), None);
        assert_eq!(Mentions::<u8>::of([]).next(&1), Only);
    }
}
