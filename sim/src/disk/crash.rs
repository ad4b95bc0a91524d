//! What the three kinds of crash leave behind.

use std::collections::BTreeMap;

use leveret_storage::io::Op;

use super::inode::{Fate, Inode, SECTOR, Stamp};
use super::tree::{Directory, reachable};
use super::{Disk, ROOT};
use crate::rng::Rng;

/// How a run of the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process dies; the caches of system and device live on, so that a later power cut can
    /// still lose what it wrote.
    Kill,
    /// The system dies, the device keeps its power: data stays, unsynced names and lengths may
    /// go.
    System,
    /// The power goes: everything that was not made durable is kept, lost, torn or garbled.
    Power,
}

/// How a whole write fared; a torn one decides sector by sector.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Kept,
    Lost,
    Torn,
}

/// One crash's inclination: chance alone would nearly never keep all writes but one.
struct Mood {
    rng: Rng,
    keep: u64,
    tear: u64,
    garble: u64,
    fates: BTreeMap<Stamp, (Whole, [u64; 3])>,
    garbled: u64,
}

impl Mood {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            keep: *rng.pick(&[0, 20, 50, 80, 97]),
            tear: *rng.pick(&[0, 30, 90]),
            garble: *rng.pick(&[0, 10, 40]),
            rng: rng.fork(),
            fates: BTreeMap::new(),
            garbled: 0,
        }
    }

    fn keep(&mut self) -> bool {
        self.rng.chance(self.keep, 100)
    }

    fn fate(&mut self, stamp: Stamp) -> Fate {
        let (keep, tear) = (self.keep, self.tear);
        let rng = &mut self.rng;
        let (whole, seen) = self.fates.entry(stamp).or_insert_with(|| {
            let whole = if rng.chance(tear, 100) {
                Whole::Torn
            } else if rng.chance(keep, 100) {
                Whole::Kept
            } else {
                Whole::Lost
            };
            (whole, [0; 3])
        });
        let fate = match whole {
            Whole::Kept => Fate::Kept,
            Whole::Lost => Fate::Lost,
            Whole::Torn if rng.chance(self.garble, 100) => Fate::Garbled,
            Whole::Torn if rng.chance(keep, 100) => Fate::Kept,
            Whole::Torn => Fate::Lost,
        };
        seen[fate as usize] += 1;
        self.garbled += u64::from(fate == Fate::Garbled);
        fate
    }

    fn losses(self, names: u64) -> Losses {
        let mut losses = Losses {
            garbled_sectors: self.garbled,
            names,
            ..Losses::default()
        };
        for (_, [kept, lost, garbled]) in self.fates.values() {
            let kinds = [kept, lost, garbled].iter().filter(|n| ***n > 0).count();
            if kinds > 1 || *garbled > 0 {
                losses.torn_writes += 1;
            } else if *lost > 0 {
                losses.lost_writes += 1;
            }
        }
        losses
    }
}

/// What a power cut took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Losses {
    /// Writes of which a part was kept.
    pub torn_writes: u64,
    /// Sectors left as neither old nor new.
    pub garbled_sectors: u64,
    /// Writes lost whole.
    pub lost_writes: u64,
    /// Changes to directories lost.
    pub names: u64,
}

/// The power goes: each version of each sector that is not durable is kept, lost or garbled, and
/// each change of a name and each length kept or lost, independently but with one inclination.
pub fn cut<'a>(
    rng: &mut Rng,
    inodes: impl Iterator<Item = &'a mut Inode>,
    dirs: impl Iterator<Item = &'a mut Directory>,
) -> Losses {
    let mut mood = Mood::draw(rng);
    for inode in inodes {
        let mut lengths = mood.rng.fork();
        let mut noise = mood.rng.fork();
        let keep = mood.keep;
        inode.cut(
            |stamp| mood.fate(stamp),
            |_| lengths.chance(keep, 100),
            |old, new| garble(&mut noise, old, new),
        );
    }
    let names = lose_names(&mut mood, dirs);
    mood.losses(names)
}

fn lose_names<'a>(mood: &mut Mood, dirs: impl Iterator<Item = &'a mut Directory>) -> u64 {
    let mut lost = 0;
    for dir in dirs {
        dir.cut(|| {
            let keep = mood.keep();
            lost += u64::from(!keep);
            keep
        });
    }
    lost
}

/// Leaves neither the old nor the new sector: a mixture at a byte, flipped bits, or nonsense.
fn garble(rng: &mut Rng, old: &[u8], new: &mut [u8]) {
    match rng.below(4) {
        0 => {
            let at = rng.below(SECTOR as u64) as usize;
            new[at..].copy_from_slice(&old[at..]);
        }
        1 => {
            let at = rng.below(SECTOR as u64) as usize;
            new[..at].copy_from_slice(&old[..at]);
        }
        2 => {
            for _ in 0..rng.between(1, 8) {
                let at = rng.below(SECTOR as u64) as usize;
                new[at] ^= 1 << rng.below(8);
            }
        }
        _ => rng.fill(new),
    }
}

impl Disk {
    /// Ends the running process in the given way. What was in flight may happen, wholly or in
    /// part, or not; nobody hears of it.
    pub fn crash(&mut self, crash: Crash) {
        let mut rng = self.rng.fork();
        self.end_flights(&mut rng, crash);
        match crash {
            Crash::Kill => {}
            Crash::System => self.lose_metadata(&mut rng),
            Crash::Power => self.lose(&mut rng),
        }
        self.collect();
    }

    /// Decides what became of the operations in flight. Before a power cut all writes are
    /// admitted and the cut itself tears them.
    fn end_flights(&mut self, rng: &mut Rng, crash: Crash) {
        for (_, flight) in std::mem::take(&mut self.in_flight) {
            match flight.op {
                Op::Write { pos, buf, .. } => {
                    let stamp = self.tick();
                    let inode = flight.target.and_then(|id| self.inodes.get_mut(&id));
                    let Some(inode) = inode else { continue };
                    if crash == Crash::Power || rng.chance(1, 2) {
                        inode.write(pos as usize, &buf, stamp);
                    } else if rng.chance(1, 2) {
                        admit_part(rng, inode, pos as usize, &buf, stamp);
                    }
                }
                Op::Resize { len, .. } if rng.chance(1, 2) => {
                    let stamp = self.tick();
                    if let Some(inode) = flight.target.and_then(|id| self.inodes.get_mut(&id)) {
                        inode.resize(len as usize, stamp);
                    }
                }
                op @ (Op::Create { .. }
                | Op::MakeDir(_)
                | Op::Rename { .. }
                | Op::Remove(_)
                | Op::RemoveDir(_))
                    if rng.chance(1, 2) =>
                {
                    // Nobody hears whether it worked, as in life.
                    let _unheard = self.change_names(op);
                }
                _ => {}
            }
        }
    }

    fn lose(&mut self, rng: &mut Rng) {
        let losses = cut(rng, self.inodes.values_mut(), self.dirs.values_mut());
        self.counters.torn_writes += losses.torn_writes;
        self.counters.garbled_sectors += losses.garbled_sectors;
        self.counters.lost_writes += losses.lost_writes;
        self.counters.lost_directory_entries += losses.names;
    }

    fn lose_metadata(&mut self, rng: &mut Rng) {
        let mut mood = Mood::draw(rng);
        for inode in self.inodes.values_mut() {
            inode.forget_lengths(|_| mood.keep());
        }
        self.counters.lost_directory_entries += lose_names(&mut mood, self.dirs.values_mut());
    }

    /// Forgets files and directories that no name can lead to any more.
    pub(super) fn collect(&mut self) {
        let open_files = self.in_flight.values().filter_map(|flight| flight.target);
        let (mut files, dirs) = reachable(ROOT, &self.dirs);
        files.extend(open_files);
        self.inodes.retain(|id, _| files.contains(id));
        self.dirs.retain(|id, _| dirs.contains(id));
    }
}

/// The process died amid a write: some sectors of it reached the file.
fn admit_part(rng: &mut Rng, inode: &mut Inode, pos: usize, buf: &[u8], stamp: Stamp) {
    let keep = rng.between(1, 9);
    for (at, sector) in buf.chunks_exact(SECTOR).enumerate() {
        if rng.chance(keep, 10) {
            inode.write(pos + at * SECTOR, sector, stamp);
        }
    }
}
