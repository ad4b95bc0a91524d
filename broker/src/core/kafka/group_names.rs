//! The groups that a request names, each once: what is named again has its line already. Read from the frame as it
//! goes, a few in each turn.

use std::collections::BTreeSet;

use leveret_engine::group::Name;
use leveret_wire::kafka::{CheckedFrame, Place};

use super::groups::name;

/// See the module.
pub(super) struct GroupNames {
    frame: CheckedFrame,
    rest: Place,
    met: BTreeSet<Name>,
}

impl GroupNames {
    pub(super) fn new(frame: CheckedFrame, names: Place) -> Self {
        Self {
            frame,
            rest: names,
            met: BTreeSet::new(),
        }
    }

    /// The next name, or that it is one that was met before; `None` if there is none.
    pub(super) fn next(&mut self) -> Option<Option<Name>> {
        let mut elements = self.frame.elements::<&str>(self.rest);
        let group = name(elements.next()?);
        self.rest = elements.place();
        Some(self.met.insert(group.clone()).then_some(group))
    }

    /// No name is read any more.
    pub(super) fn forget(&mut self) {
        self.frame = CheckedFrame::empty();
        self.met = BTreeSet::new();
    }
}
