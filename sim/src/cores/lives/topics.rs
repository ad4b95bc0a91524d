//! Topics as clients know them: what each is, or may be where a change of it was not answered.

use leveret_storage::types::LogId;

use crate::violation::{Kind, Violation};

/// Partitions that a topic may come to have.
pub(super) const MOST_PARTITIONS: u32 = 6;
/// Where a partition's number ends in what names it here, and its topic's begins.
const PARTITION_BITS: u32 = 8;

/// How a topic is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setup {
    /// How many partitions it has.
    pub(super) partitions: u32,
    /// What its `retention.ms` is set to.
    pub(super) kept: Option<u64>,
}

/// What may be done to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Create(Setup),
    /// Sets `retention.ms`, or takes that back.
    Keep(Option<u64>),
    /// Gives it partitions, so that there are so many.
    Grow(u32),
    Delete,
}

/// What somebody was told who looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// There is none.
    Nothing,
    /// It has so many partitions, and perhaps this id.
    Partitions(u32, Option<u64>),
    /// What its `retention.ms` is set to.
    Kept(Option<u64>),
}

/// One topic; no name is used twice.
#[derive(Debug)]
pub(super) struct Topic {
    /// What it may be; `None` is that it is not there. The last is what the change makes of it that is under
    /// way.
    may_be: Vec<Option<Setup>>,
    /// A change of it is under way, or nobody heard the end of one.
    changing: bool,
    /// Counts the beginnings and the ends of changes.
    version: u64,
    /// What native clients call it, once one was told.
    pub(super) id: Option<u64>,
}

/// What names a partition in the ledger.
pub(super) fn log_of(topic: usize, partition: u32) -> LogId {
    LogId((topic as u64) << PARTITION_BITS | u64::from(partition))
}

/// The topic and the number of that partition.
pub(super) fn partition_of(log: LogId) -> (usize, u32) {
    let partition = log.0 & ((1 << PARTITION_BITS) - 1);
    ((log.0 >> PARTITION_BITS) as usize, partition as u32)
}

/// What the topic of that number is called.
pub(super) fn name_of(topic: usize) -> String {
    format!("t{topic}")
}

impl Topic {
    /// One of which nobody has asked anything.
    pub(super) fn new() -> Self {
        Self {
            may_be: vec![None],
            changing: false,
            version: 0,
            id: None,
        }
    }

    /// What it is now, if that is sure.
    pub(super) fn sure(&self) -> Option<Option<Setup>> {
        match self.may_be[..] {
            [one] if !self.changing => Some(one),
            _ => None,
        }
    }

    /// How it is set up, if it is surely there.
    pub(super) fn there(&self) -> Option<Setup> {
        self.sure().flatten()
    }

    /// Whether it surely has that partition, whatever becomes of the change that is under way.
    pub(super) fn has(&self, partition: u32) -> bool {
        let has = |setup: &Setup| partition < setup.partitions;
        self.may_be.iter().all(|may| may.as_ref().is_some_and(has))
    }

    /// Whether it may be gone, or on its way out.
    pub(super) fn may_be_gone(&self) -> bool {
        self.may_be.contains(&None)
    }

    /// Names what is the case until the next change of it begins or ends.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Somebody asks for a change of it.
    pub(super) fn begin(&mut self, change: Change) {
        let now = self.sure().expect("one change at a time");
        let then = match (change, now) {
            (Change::Create(setup), None) => Some(setup),
            (Change::Keep(kept), Some(setup)) => Some(Setup { kept, ..setup }),
            (Change::Grow(partitions), Some(setup)) => Some(Setup {
                partitions,
                ..setup
            }),
            (Change::Delete, Some(_)) => None,
            (change, now) => unreachable!("{change:?} of {now:?}"),
        };
        self.may_be.push(then);
        self.changing = true;
        self.version += 1;
    }

    /// The change was made, or was not.
    pub(super) fn end(&mut self, made: bool) {
        let which = if made { 1 } else { 0 };
        self.may_be = vec![self.may_be[which]];
        self.changing = false;
        self.version += 1;
    }

    /// Whatever was under way has come to its end with the broker: nobody knows to which.
    pub(super) fn crash(&mut self) {
        self.changing = false;
        self.version += 1;
    }

    /// Somebody who asked when it had that version was told this.
    ///
    /// # Errors
    /// If it cannot be so.
    pub(super) fn look(
        &mut self,
        number: usize,
        version: u64,
        seen: Seen,
    ) -> Result<(), Violation> {
        if let (Seen::Partitions(_, Some(id)), known) = (seen, self.id)
            && *self.id.get_or_insert(id) != id
        {
            let what = format!("topic {number} had id {known:?}, and has {id}");
            return Err(Violation::new(Kind::WrongData, what));
        }
        if version != self.version {
            return Ok(());
        }
        let fits = |setup: &Option<Setup>| match (seen, setup) {
            (Seen::Nothing, None) => true,
            (Seen::Partitions(count, _), Some(setup)) => count == setup.partitions,
            (Seen::Kept(kept), Some(setup)) => kept == setup.kept,
            _ => false,
        };
        let before = self.may_be.clone();
        if !before.iter().any(fits) {
            let kind = match (seen, before.contains(&None)) {
                (Seen::Nothing, _) => Kind::Lost,
                (_, true) if before.len() == 1 => Kind::Resurrected,
                _ => Kind::WrongData,
            };
            let what = format!("topic {number} may be {before:?}, and is told to be {seen:?}");
            return Err(Violation::new(kind, what));
        }
        if !self.changing {
            self.may_be.retain(fits);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETUP: Setup = Setup {
        partitions: 2,
        kept: None,
    };

    fn created() -> Topic {
        let mut topic = Topic::new();
        topic.begin(Change::Create(SETUP));
        topic.end(true);
        topic
    }

    #[test]
    fn what_was_answered_is_so_and_what_was_not_may_be() {
        let look = |topic: &mut Topic, seen| topic.look(0, topic.version(), seen);
        let (two, three) = (Seen::Partitions(2, None), Seen::Partitions(3, None));
        let mut topic = created();
        assert!(look(&mut topic, two).is_ok() && look(&mut topic, Seen::Nothing).is_err());
        let before = topic.version();
        topic.begin(Change::Grow(3));
        assert!(look(&mut topic, two).is_ok() && look(&mut topic, three).is_ok());
        assert_eq!(topic.sure(), None);
        assert!(
            topic.look(0, before, Seen::Nothing).is_ok(),
            "it is long ago"
        );
        topic.crash();
        assert!(look(&mut topic, three).is_ok());
        assert!(look(&mut topic, two).is_err(), "another core knew better");
        let mut topic = created();
        topic.begin(Change::Delete);
        topic.end(false);
        assert_eq!(topic.there(), Some(SETUP));
        topic.begin(Change::Delete);
        topic.end(true);
        assert!(look(&mut topic, two).is_err_and(|found| found.kind == Kind::Resurrected));
    }

    #[test]
    fn an_id_is_for_ever() {
        let mut topic = created();
        let version = topic.version();
        assert!(topic.look(0, version, Seen::Partitions(2, Some(7))).is_ok());
        assert!(
            topic
                .look(0, version, Seen::Partitions(2, Some(8)))
                .is_err()
        );
    }

    #[test]
    fn partitions_have_names_of_their_own() {
        for (topic, partition) in [(0, 0), (3, 5), (70, 255)] {
            assert_eq!(partition_of(log_of(topic, partition)), (topic, partition));
        }
    }
}
