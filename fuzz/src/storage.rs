//! Everything that recovery and `leveret verify` read: damaged files of a broker that was
//! stopped, with and without checksums that fit.
//!
//! Recovery refuses or succeeds, and never panics; after it has succeeded a core runs over it and
//! is asked for everything. The input is the position and bytes of changes, so that a small file
//! keeps a case.

use std::cell::RefCell;

use leveret_broker::core::boundary::Protocol;
use leveret_sim::rng::Rng;
use leveret_storage::format::commit::COMMIT_HEADER;
use leveret_storage::io::{BLOCK, FileName};
use leveret_storage::verify::Verify;

use crate::Target;
use crate::allocator::{peak_of, within};
use crate::session::{hello, prepared, produce, requests};
use crate::world::World;
use leveret_testkit::blind::Blind;
use leveret_testkit::disk::{Disk, Pool};

/// Beside the files, once for what is read and once for what is written anew: caches and a core.
const BESIDE: usize = 8 << 20;

pub(crate) struct Recovery {
    /// A stopped broker's disk with every kind of file but snapshots.
    disk: Disk,
    topic: u64,
    /// Its files, superblock first.
    names: Vec<FileName>,
    /// Where the whole commits of each journal begin.
    commits: RefCell<Vec<(FileName, usize)>>,
}

impl Recovery {
    pub(crate) fn new() -> Self {
        let (mut world, topic) = prepared();
        let conn = world.connect(Protocol::Native);
        world.send(conn, &hello(), usize::MAX);
        for len in [100, 3_000, 30_000, 50_000, 50_000, 200, 10, 45_000, 10] {
            world.send(conn, &produce(topic, len), usize::MAX);
            world.pass(100_000_000);
        }
        let disk = world.disk.clone();
        let names = disk.files.keys().copied().collect();
        let commits = RefCell::new(whole_commits(&disk));
        Self {
            disk,
            topic,
            names,
            commits,
        }
    }

    fn class(file: FileName) -> u8 {
        match file {
            FileName::Superblock => 0,
            FileName::Journal { .. } => 1,
            FileName::Segment { .. } => 2,
            FileName::Index { .. } => 3,
            FileName::Snapshot { .. } => 4,
        }
    }

    /// The disk with the input's changes: for each, class of file, which of them, position,
    /// whether checksums are made to fit, and a byte.
    fn damaged(&self, input: &[u8]) -> (Disk, usize) {
        let mut disk = self.disk.clone();
        let mut changes = 0;
        for change in input.chunks_exact(8).take(8) {
            let class = change[0] % 5;
            let of_class: Vec<_> = self
                .names
                .iter()
                .filter(|n| Self::class(**n) == class)
                .collect();
            if of_class.is_empty() {
                continue;
            }
            let name = *of_class[usize::from(change[1]) % of_class.len()];
            let Some(content) = disk.files.get_mut(&name) else {
                continue;
            };
            if content.is_empty() {
                continue;
            }
            let span = u32::from_le_bytes(change[2..6].try_into().expect("four bytes")) as usize;
            match change[6] % 8 {
                0 => content.truncate(span % content.len() / BLOCK * BLOCK),
                1 => {
                    disk.files.remove(&name);
                }
                how => {
                    let used = content.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
                    let at = span % used;
                    content[at] = if how < 5 {
                        content[at] ^ (1 << (change[7] % 8))
                    } else {
                        change[7]
                    };
                    if how % 2 == 0 {
                        self.seal(name, content, at);
                    }
                }
            }
            changes += 1;
        }
        (disk, changes)
    }

    /// Makes the checksums over `at` fit again.
    fn seal(&self, name: FileName, content: &mut [u8], at: usize) {
        match name {
            FileName::Superblock => {
                let slot = &mut content[at / BLOCK * BLOCK..];
                seal_at(slot, 0..60, 60);
            }
            FileName::Journal { .. } => {
                let commits = self.commits.borrow();
                let before = commits
                    .iter()
                    .filter(|(file, pos)| *file == name && *pos <= at);
                if let Some((_, pos)) = before.max_by_key(|(_, pos)| *pos) {
                    seal_commit(&mut content[*pos..]);
                }
            }
            FileName::Index { .. } => {
                let block = &mut content[at / BLOCK * BLOCK..][..BLOCK];
                block[44..48].fill(0);
                let crc = crc32c::crc32c(block);
                block[44..48].copy_from_slice(&crc.to_le_bytes());
            }
            // A segment's checksums stand in the index; a snapshot has no seed here.
            FileName::Segment { .. } | FileName::Snapshot { .. } => {}
        }
    }
}

fn seal_at(block: &mut [u8], covered: std::ops::Range<usize>, at: usize) {
    let crc = crc32c::crc32c(&block[covered]);
    block[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

/// Body length, body checksum, four reserved bytes and the header's checksum end the header.
fn seal_commit(commit: &mut [u8]) {
    let body = word(commit, COMMIT_HEADER - 16);
    if let Some(body) = commit.get(COMMIT_HEADER..COMMIT_HEADER.saturating_add(body)) {
        let crc = crc32c::crc32c(body);
        commit[COMMIT_HEADER - 12..COMMIT_HEADER - 8].copy_from_slice(&crc.to_le_bytes());
    }
    seal_at(commit, 0..COMMIT_HEADER - 4, COMMIT_HEADER - 4);
}

fn whole_commits(disk: &Disk) -> Vec<(FileName, usize)> {
    let mut found = Vec::new();
    for (name, content) in &disk.files {
        if !matches!(name, FileName::Journal { .. }) {
            continue;
        }
        for (number, block) in content.chunks_exact(BLOCK).enumerate() {
            let crc = crc32c::crc32c(&block[..COMMIT_HEADER - 4]) as usize;
            if block[0] != 0 && crc == word(block, COMMIT_HEADER - 4) {
                found.push((*name, number * BLOCK));
            }
        }
    }
    found
}

impl Target for Recovery {
    fn name(&self) -> &'static str {
        "recovery"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = vec![Vec::new()];
        for class in 0..4 {
            for how in 0..8 {
                for at in [0u32, 20, 61, 70, 100, 4096, 9000, 40_000] {
                    let mut change = vec![class, 0];
                    change.extend_from_slice(&at.to_le_bytes());
                    change.extend_from_slice(&[how, 3]);
                    seeds.push(change);
                }
            }
        }
        seeds
    }

    fn repair(&self, _: &mut Rng, _: &mut Vec<u8>) {}

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let (disk, changes) = self.damaged(input);
        let bound = 3 * disk.files.values().map(Vec::len).sum::<usize>() + BESIDE;
        let mut offline = disk.clone();
        let (report, peak) = peak_of(|| offline.drive(Verify::new(Pool, Blind)));
        within(peak, bound)?;
        let report = report.ok_or("the check waits for nothing and has not ended")?;
        let ((started, answered), peak) = peak_of(|| {
            let mut world = match World::start(disk) {
                Ok(world) => world,
                Err(refusal) => return (Err(refusal), 0),
            };
            let conn = world.connect(Protocol::Native);
            for frame in requests(self.topic) {
                world.send(conn, &frame, usize::MAX);
            }
            world.pass(100_000_000);
            (Ok(()), world.received(conn).0.len())
        });
        within(peak, bound)?;
        if changes == 0 && (report.errors > 0 || started.is_err() || answered == 0) {
            return Err(format!(
                "an undamaged disk: {started:?}, {:?}",
                report.findings
            ));
        }
        let finding = report.findings.first().map(|finding| finding.what.clone());
        Ok(format!("{started:?} {finding:?}"))
    }
}
