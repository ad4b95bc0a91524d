//! The names in a request that may be as many as its bytes allow: read from the frame as it goes, a few
//! in each turn, with next to nothing kept of any.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use leveret_storage::types::Mono;
use leveret_wire::kafka::{CheckedFrame, Element, Place, Uuid};

use crate::core::once::Mention;

/// A topic as a request names it: by its name, by its id, by both or by neither. Of other things than
/// topics the kind stands in place of the id.
pub(super) type Name<'a> = (Option<&'a str>, Uuid);

/// Reads the name that stands at a place, and where the next one does.
pub(super) type Read = for<'a> fn(&'a CheckedFrame, Place) -> Option<(Name<'a>, Place)>;

/// See the module.
pub(super) struct Names {
    frame: CheckedFrame,
    read: Read,
    first: Place,
    rest: Place,
    /// The names that were met, each by where it stood first.
    met: HashTable<Met>,
    hasher: FixedState,
}

struct Met {
    /// Where it begins in the frame: in 32 bits, as there may be half a million.
    at: u32,
    times: Times,
}

/// How often a name was met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    /// More often than that.
    Several,
    /// Likewise, and that was told.
    Told,
}

/// A [`Read`] for elements of one kind.
pub(super) fn read<'a, T: Element<'a>>(
    frame: &'a CheckedFrame,
    place: Place,
    name: fn(T) -> Name<'a>,
) -> Option<(Name<'a>, Place)> {
    let mut elements = frame.elements::<T>(place);
    Some((name(elements.next()?), elements.place()))
}

impl Names {
    /// Those of the array that begins at that place of the frame.
    pub(super) fn new(frame: CheckedFrame, first: Place, read: Read, now: Mono) -> Self {
        Self {
            frame,
            read,
            first,
            rest: first,
            // At once: a table of so many would take a turn to grow.
            met: HashTable::with_capacity(first.left()),
            // The time is what no peer knows to the nanosecond, so that none can name what collides.
            hasher: FixedState::with_seed(now.0),
        }
    }

    /// The next name, and whether it is met for the first time.
    pub(super) fn next_met(&mut self) -> Option<(Name<'_>, bool)> {
        let at = self.rest;
        let (name, rest) = (self.read)(&self.frame, at)?;
        self.rest = rest;
        let same = |met: &Met| name_at(&self.frame, self.read, at, met) == name;
        let hash = self.hasher.hash_one(name);
        if let Some(met) = self.met.find_mut(hash, same) {
            met.times = Times::Several;
            return Some((name, false));
        }
        let new = Met {
            at: u32::try_from(at.position()).expect("a frame below 4 GiB"),
            times: Times::Once,
        };
        let hash_of = |met: &Met| {
            self.hasher
                .hash_one(name_at(&self.frame, self.read, at, met))
        };
        self.met.insert_unique(hash, new, hash_of);
        Some((name, true))
    }

    /// The next name, of which all have been [met](Self::next_met) before and then
    /// [begun again](Self::begin_again), and which mention of several it is.
    pub(super) fn next_mentioned(&mut self) -> Option<(Name<'_>, Mention)> {
        let at = self.rest;
        let (name, rest) = (self.read)(&self.frame, at)?;
        self.rest = rest;
        let same = |met: &Met| name_at(&self.frame, self.read, at, met) == name;
        let met = self.met.find_mut(self.hasher.hash_one(name), same);
        let times = &mut met.expect("all were met").times;
        let mention = match times {
            Times::Once => Mention::Only,
            Times::Several => Mention::First,
            Times::Told => Mention::Again,
        };
        if mention == Mention::First {
            *times = Times::Told;
        }
        Some((name, mention))
    }

    /// The next name, whether it was met before or not.
    pub(super) fn next(&mut self) -> Option<Name<'_>> {
        let (name, rest) = (self.read)(&self.frame, self.rest)?;
        self.rest = rest;
        Some(name)
    }

    /// No name is read any more: the frame is let go.
    pub(super) fn forget(&mut self) {
        self.frame = CheckedFrame::empty();
        self.met = HashTable::new();
    }

    /// Where the next name stands.
    pub(super) fn place(&self) -> Place {
        self.rest
    }

    /// The request's frame.
    pub(super) fn frame(&self) -> &CheckedFrame {
        &self.frame
    }

    /// The next name is the first one.
    pub(super) fn begin_again(&mut self) {
        self.rest = self.first;
    }
}

fn name_at<'a>(frame: &'a CheckedFrame, read: Read, array: Place, met: &Met) -> Name<'a> {
    let (name, _) = read(frame, array.at(met.at as usize)).expect("it was read before");
    name
}
