//! Faults that the device has on purpose: requests that fail, requests that only seem to succeed,
//! and a disk that is full. Also notes whether anybody tried again what had failed.
//!
//! It decides nothing about time or power, and touches no bytes.

use std::collections::{BTreeMap, BTreeSet};

use libc::c_int;

/// What kind of file or directory a request concerns, by the names that the broker gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Class {
    /// `*.jnl`, as far as it is not filled with zeros ahead of need.
    Journal,
    /// A write of nothing but zeros to `*.jnl`.
    Fill,
    /// `*.log`
    Segment,
    /// `*.idx`
    Index,
    /// `*.snap`
    Snapshot,
    /// `superblock`
    Superblock,
    /// Any directory.
    Directory,
    /// Anything else: the lock, a probe.
    Other,
}

impl Class {
    /// The class of a file's name.
    #[must_use]
    pub(crate) fn of_file(name: &str) -> Self {
        match name.rsplit_once('.') {
            Some((_, "jnl")) => Self::Journal,
            Some((_, "log")) => Self::Segment,
            Some((_, "idx")) => Self::Index,
            Some((_, "snap")) => Self::Snapshot,
            _ if name == "superblock" => Self::Superblock,
            _ => Self::Other,
        }
    }
}

/// A request that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Action {
    /// A write, durable or not.
    Write,
    /// fsync or fdatasync, of a directory too.
    Sync,
    /// A read.
    Read,
    /// The making of a file or directory.
    Create,
}

/// What becomes of a request that a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It fails with this error; of a write, half may have been done.
    Fail(c_int),
    /// It is answered as if it had been done. The negative control of every other check.
    Ignore,
}

/// Meets some requests: the first `skip` go well, the next `times` do not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) action: Action,
    pub(crate) class: Class,
    pub(crate) outcome: Outcome,
    pub(crate) skip: u64,
    pub(crate) times: u64,
}

/// Space before anybody limits it, bytes.
const AMPLE: u64 = 64 << 30;

/// The faults of one device.
#[derive(Debug)]
pub(crate) struct Faults {
    plan: Vec<Fault>,
    classes: BTreeMap<u64, Class>,
    capacity: u64,
    met: u64,
    tried_again: u64,
    failed_syncs: BTreeSet<u64>,
    failed_writes: Vec<(u64, u64, u64)>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            plan: Vec::new(),
            classes: BTreeMap::new(),
            capacity: AMPLE,
            met: 0,
            tried_again: 0,
            failed_syncs: BTreeSet::new(),
            failed_writes: Vec::new(),
        }
    }
}

impl Faults {
    /// From now on requests meet this fault, too.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.plan.push(fault);
    }

    /// The device is repaired, and as large as before.
    pub(crate) fn clear(&mut self) {
        self.plan.clear();
        self.capacity = AMPLE;
    }

    /// Bytes that all files together may have.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Sets the bytes that all files together may have.
    pub(crate) fn set_capacity(&mut self, bytes: u64) {
        self.capacity = bytes;
    }

    /// Requests that met a fault so far.
    pub(crate) fn met(&self) -> u64 {
        self.met
    }

    /// Syncs of a file after a failed sync of it, and writes over a failed write; not over one that
    /// was refused for want of space, which leaves nothing in doubt.
    pub(crate) fn tried_again(&self) -> u64 {
        self.tried_again
    }

    /// Those who might have tried again are gone.
    pub(crate) fn forget_failures(&mut self) {
        self.failed_syncs.clear();
        self.failed_writes.clear();
    }

    /// A file or directory has this number and class.
    pub(crate) fn know(&mut self, number: u64, class: Class) {
        self.classes.insert(number, class);
    }

    fn class(&self, number: u64) -> Class {
        // The root is never made.
        *self.classes.get(&number).unwrap_or(&Class::Directory)
    }

    /// What becomes of an action on a node, if a fault meets it.
    pub(crate) fn meet(&mut self, action: Action, number: u64) -> Option<Outcome> {
        self.meet_class(action, self.class(number))
    }

    /// The same for a class, where the node has no number yet.
    pub(crate) fn meet_class(&mut self, action: Action, class: Class) -> Option<Outcome> {
        let concerns = |fault: &&mut Fault| fault.action == action && fault.class == class;
        let fault = self.plan.iter_mut().find(concerns)?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times = fault.times.checked_sub(1)?;
        self.met += 1;
        Some(fault.outcome)
    }

    /// What becomes of a write.
    pub(crate) fn meet_write(&mut self, number: u64, pos: u64, data: &[u8]) -> Option<Outcome> {
        let end = pos + data.len() as u64;
        let over = |&(file, from, to): &(u64, u64, u64)| file == number && from < end && pos < to;
        self.tried_again += u64::from(self.failed_writes.iter().any(over));
        let mut class = self.class(number);
        if class == Class::Journal && data.iter().all(|byte| *byte == 0) {
            class = Class::Fill;
        }
        let outcome = self.meet_class(Action::Write, class);
        if let Some(Outcome::Fail(error)) = outcome
            && class != Class::Fill
            && error != libc::ENOSPC
        {
            self.failed_writes.push((number, pos, end));
        }
        outcome
    }

    /// What becomes of a sync.
    pub(crate) fn meet_sync(&mut self, number: u64) -> Option<Outcome> {
        self.tried_again += u64::from(self.failed_syncs.contains(&number));
        let outcome = self.meet(Action::Sync, number);
        if let Some(Outcome::Fail(_)) = outcome {
            self.failed_syncs.insert(number);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(action: Action, class: Class) -> Faults {
        let mut faults = Faults::default();
        faults.know(7, Class::of_file("0000000000000001-00000001.log"));
        faults.know(8, Class::of_file("00000001-0000-0000.jnl"));
        faults.add(Fault {
            action,
            class,
            outcome: Outcome::Fail(libc::EIO),
            skip: 1,
            times: 1,
        });
        faults
    }

    #[test]
    fn a_fault_meets_what_it_names_after_those_it_skips_and_no_more() {
        let mut faults = faults(Action::Read, Class::Segment);
        assert_eq!(faults.meet(Action::Read, 8), None);
        assert_eq!(faults.meet(Action::Read, 7), None);
        assert_eq!(faults.meet(Action::Read, 7), Some(Outcome::Fail(libc::EIO)));
        assert_eq!(faults.meet(Action::Read, 7), None);
        assert_eq!(faults.met(), 1);
    }

    #[test]
    fn trying_again_is_seen() {
        let mut broken = faults(Action::Sync, Class::Segment);
        for _ in 0..2 {
            broken.meet_sync(7);
        }
        assert_eq!(broken.tried_again(), 0);
        broken.meet_sync(8);
        assert_eq!(broken.tried_again(), 0);
        broken.meet_sync(7);
        assert_eq!(broken.tried_again(), 1);
        broken.forget_failures();
        broken.meet_sync(7);
        assert_eq!(broken.tried_again(), 1);
        let mut broken = faults(Action::Write, Class::Segment);
        for pos in [0, 4096, 8192] {
            broken.meet_write(7, pos, &[1; 4096]);
        }
        assert_eq!(broken.tried_again(), 0);
        broken.meet_write(7, 4096, &[1; 4096]);
        assert_eq!(broken.tried_again(), 1);
    }

    #[test]
    fn what_was_refused_for_want_of_space_may_be_written_again_and_not_synced_again() {
        let mut full = faults(Action::Write, Class::Segment);
        full.plan[0].outcome = Outcome::Fail(libc::ENOSPC);
        for _ in 0..3 {
            full.meet_write(7, 0, &[1; 4096]);
        }
        assert_eq!((full.met(), full.tried_again()), (1, 0));
        let mut full = faults(Action::Sync, Class::Segment);
        full.plan[0].outcome = Outcome::Fail(libc::ENOSPC);
        for _ in 0..3 {
            full.meet_sync(7);
        }
        assert_eq!((full.met(), full.tried_again()), (1, 1));
    }

    #[test]
    fn zeros_ahead_of_need_are_a_class_of_their_own() {
        let mut faults = faults(Action::Write, Class::Journal);
        for _ in 0..3 {
            assert_eq!(faults.meet_write(8, 0, &[0; 4096]), None);
        }
        assert_eq!(faults.meet_write(8, 0, &[1; 4096]), None);
        assert!(faults.meet_write(8, 0, &[1; 4096]).is_some());
    }
}
