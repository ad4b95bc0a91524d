//! A disk in memory with operations under way: they are carried out in the order in which they were given, or
//! held back until the test lets them go.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};

use leveret_storage::io::{IoResult, Op, OpId};

use crate::disk::Disk;

/// See the module. Whoever gave an operation is told apart by a `C`. It is the [`Disk`] of what was carried out.
#[derive(Debug)]
pub struct Device<C> {
    disk: Disk,
    /// Nothing completes while this is set.
    pub hold: bool,
    held: VecDeque<(C, OpId, Op<Vec<u8>>)>,
}

impl<C> Default for Device<C> {
    fn default() -> Self {
        Self {
            disk: Disk::default(),
            hold: false,
            held: VecDeque::new(),
        }
    }
}

impl<C> Deref for Device<C> {
    type Target = Disk;

    fn deref(&self) -> &Disk {
        &self.disk
    }
}

impl<C> DerefMut for Device<C> {
    fn deref_mut(&mut self) -> &mut Disk {
        &mut self.disk
    }
}

impl<C> fmt::Display for Device<C> {
    /// What is under way, for a test that fails.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (_, id, op) in &self.held {
            match op {
                Op::Write { file, pos, buf, .. } => {
                    writeln!(f, "{id:?} write {file} at {pos}, {} bytes", buf.len())?;
                }
                other => writeln!(f, "{id:?} {other:?}")?,
            }
        }
        Ok(())
    }
}

impl<C> Device<C> {
    /// Takes an operation.
    pub fn submit(&mut self, from: C, id: OpId, op: Op<Vec<u8>>) {
        self.held.push_back((from, id, op));
    }

    /// Carries out the next operation, unless all are held: whose it was, and how it ended.
    pub fn complete(&mut self) -> Option<(C, OpId, IoResult<Vec<u8>>)> {
        match self.hold {
            true => None,
            false => self.complete_held(),
        }
    }

    /// The same, whether they are held or not.
    pub fn complete_held(&mut self) -> Option<(C, OpId, IoResult<Vec<u8>>)> {
        let (from, id, op) = self.held.pop_front()?;
        Some((from, id, self.disk.run(op)))
    }

    /// The process is gone: what it had under way happens no more.
    pub fn drop_held(&mut self) {
        self.held.clear();
        self.hold = false;
    }

    /// What is under way, in order.
    pub fn under_way(&self) -> impl Iterator<Item = &Op<Vec<u8>>> {
        self.held.iter().map(|(.., op)| op)
    }
}

#[cfg(test)]
mod tests {
    use leveret_storage::io::{FileName, IoErrorKind, Output};

    use super::*;

    const FILE: FileName = FileName::Superblock;

    fn create() -> Op<Vec<u8>> {
        Op::Create {
            file: FILE,
            reserve: 0,
        }
    }

    #[test]
    fn what_is_held_happens_later_or_never_and_in_order() {
        let mut device = Device::default();
        device.submit('a', OpId(1), create());
        device.submit('b', OpId(2), Op::Len(FILE));
        device.hold = true;
        assert!(device.complete().is_none());
        assert_eq!(device.under_way().count(), 2);
        device.hold = false;
        assert!(matches!(
            device.complete(),
            Some(('a', OpId(1), Ok(Output::Done)))
        ));
        let len = device.complete();
        assert!(matches!(
            len,
            Some(('b', OpId(2), Ok(Output::Len(Some(0)))))
        ));
        device.submit('a', OpId(3), Op::Remove(FILE));
        device.drop_held();
        assert!(device.complete().is_none() && device.files.contains_key(&FILE));
    }

    #[test]
    fn what_shall_fail_does_and_a_full_disk_takes_no_more() {
        let mut device = Device::default();
        let faults = &mut device.disk;
        faults.fails = Some(|op| matches!(op, Op::Sync(_)));
        faults.room = Some(0);
        let grow = Op::Resize { file: FILE, len: 1 };
        device.submit((), OpId(1), create());
        device.submit((), OpId(2), Op::Sync(FILE));
        device.submit((), OpId(3), grow);
        let ended = std::iter::from_fn(|| device.complete());
        let ended: Vec<_> = ended
            .map(|(.., result)| result.err().map(|e| e.kind))
            .collect();
        let (failed, full) = (IoErrorKind::Other, IoErrorKind::NoSpace);
        assert_eq!(ended, [None, Some(failed), Some(full)]);
    }
}
