//! Who stands where: connections, their bodies, and the lines that they wait in.

use std::collections::BTreeMap;

use super::PROOF;
use crate::core::boundary::ConnId;

/// What bytes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Lane {
    /// A request that has arrived whole.
    Whole,
    /// A piece of a body that will be `whole` bytes long.
    Body { whole: usize },
}

/// What a connection has shown of how it sends bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has not yet sent enough of them to their end.
    Stranger,
    /// It has, and left none half: it would have been closed.
    Proven,
}

/// A line to wait in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole,
    Body(Standing),
}

/// A place in a line, and in the order of bodies, used once; the smaller is the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub(super) u64);

/// What a connection that waits in line wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) conn: ConnId,
    pub(super) bytes: usize,
    /// What that adds to what is spoken for: more where a body begins, nothing where it was promised then.
    pub(super) more: usize,
}

/// A body that is being received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    pub(super) place: Place,
    pub(super) held: usize,
    /// What it may have beyond that without asking.
    pub(super) promised: usize,
}

/// Bodies of connections of one standing.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// Who sends one, the eldest first.
    pub(super) bodies: BTreeMap<Place, ConnId>,
    /// Who waits to begin one, or to go on.
    pub(super) line: BTreeMap<Place, Want>,
    /// Bytes that they hold, and that they were promised beyond that.
    pub(super) held: usize,
    pub(super) promised: usize,
}

impl Crowd {
    /// The first in line.
    pub(super) fn first(&self) -> Option<(Place, Want)> {
        let first = self.line.first_key_value();
        first.map(|(place, want)| (*place, *want))
    }

    /// Whether those in line want more than that.
    pub(super) fn wants_more_than(&self, room: usize) -> bool {
        let sums = self.line.values().scan(0, |sum, want| {
            *sum += want.more;
            Some(*sum)
        });
        sums.into_iter().any(|sum| sum > room)
    }

    /// What the eldest body waits for, if it does.
    pub(super) fn eldest_wants(&self) -> Option<Want> {
        let (eldest, _) = self.bodies.first_key_value()?;
        self.line.get(eldest).copied()
    }
}

/// What is known of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) conn: ConnId,
    /// Bytes of its requests and of its body.
    pub(super) held: usize,
    /// Its place in the line.
    pub(super) waits: Option<Place>,
    /// The place in line of what it took last, if it had to wait: of a body that begins with it, too, so that
    /// it is ahead of those that came after it and have not begun.
    pub(super) waited: Option<Place>,
    pub(super) body: Option<Body>,
    /// Bytes that it has sent in bodies that came to their end, and soon.
    pub(super) proof: u64,
}

impl Account {
    pub(super) fn standing(&self) -> Standing {
        match self.proof {
            PROOF.. => Standing::Proven,
            _ => Standing::Stranger,
        }
    }

    /// Where it waits for something of that lane. While it sends a body all is for that.
    pub(super) fn line(&self, lane: Lane) -> Line {
        match lane {
            Lane::Whole if self.body.is_none() => Line::Whole,
            _ => Line::Body(self.standing()),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.held > 0 || self.waits.is_some()
    }
}
