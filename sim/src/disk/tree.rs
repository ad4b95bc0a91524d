//! Directories: which names a running system sees, which the device surely has, and the changes
//! between, each of which a power cut may lose on its own.

use std::collections::{BTreeMap, BTreeSet};

use super::inode::Stamp;

/// A file by number, whatever its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InodeId(pub u64);

/// A directory by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirId(pub u64);

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A file.
    File(InodeId),
    /// A directory.
    Dir(DirId),
}

/// One change to a directory; a rename is one change and happens whole or not at all.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new name.
    Link {
        /// The name.
        name: String,
        /// What it stands for.
        node: Node,
    },
    /// A name that goes.
    Unlink {
        /// The name.
        name: String,
    },
    /// A name that becomes another, replacing what that stood for.
    Rename {
        /// The old name.
        from: String,
        /// The new one.
        to: String,
        /// What both stand for.
        node: Node,
    },
}

type Names = BTreeMap<String, Node>;

/// The files and directories that some name may lead to from a directory on, now or after a power cut.
#[must_use]
pub fn reachable(
    root: DirId,
    all: &BTreeMap<DirId, Directory>,
) -> (BTreeSet<InodeId>, BTreeSet<DirId>) {
    let (mut files, mut dirs) = (BTreeSet::new(), BTreeSet::from([root]));
    let mut open = vec![root];
    while let Some(dir) = open.pop() {
        for node in all[&dir].nodes() {
            match node {
                Node::File(id) => {
                    files.insert(id);
                }
                Node::Dir(id) => {
                    if dirs.insert(id) {
                        open.push(id);
                    }
                }
            }
        }
    }
    (files, dirs)
}

/// One directory.
#[derive(Debug, Default)]
pub struct Directory {
    volatile: Names,
    durable: Names,
    pending: Vec<(Stamp, Change)>,
}

fn apply(names: &mut Names, change: &Change) {
    match change {
        Change::Link { name, node } => {
            names.insert(name.clone(), *node);
        }
        Change::Unlink { name } => {
            names.remove(name);
        }
        Change::Rename { from, to, node } => {
            if names.get(from) == Some(node) {
                names.remove(from);
            }
            names.insert(to.clone(), *node);
        }
    }
}

impl Directory {
    /// The names that a running system sees, in order.
    #[must_use]
    pub fn names(&self) -> &BTreeMap<String, Node> {
        &self.volatile
    }

    /// A change that a running system sees from now on.
    pub fn change(&mut self, change: Change, stamp: Stamp) {
        apply(&mut self.volatile, &change);
        self.pending.push((stamp, change));
    }

    /// A completed directory sync.
    pub fn sync(&mut self, issued: Stamp) {
        let covered = self.pending.partition_point(|&(stamp, _)| stamp <= issued);
        for (_, change) in self.pending.drain(..covered) {
            apply(&mut self.durable, &change);
        }
    }

    /// The power goes: `keep` decides each change that was not synced.
    pub fn cut(&mut self, mut keep: impl FnMut() -> bool) {
        for (_, change) in std::mem::take(&mut self.pending) {
            if keep() {
                apply(&mut self.durable, &change);
            }
        }
        self.volatile.clone_from(&self.durable);
    }

    /// Everything that this directory keeps alive, by a name seen now or one that a power cut may
    /// bring back.
    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        let pending = self.pending.iter().filter_map(|(_, change)| match change {
            Change::Link { node, .. } | Change::Rename { node, .. } => Some(*node),
            Change::Unlink { .. } => None,
        });
        self.volatile
            .values()
            .chain(self.durable.values())
            .copied()
            .chain(pending)
    }
}
