//! Random bytes anywhere never panic recovery or the check, and never make them loop.

use proptest::prelude::*;

use super::blind::Blind;
use super::disk::Pool;
use super::journals::open;
use super::rings::{Ring, disk, point};
use crate::format::commit::{COMMIT_HEADER, CommitHeader, seal};
use crate::recovery::{Driven, RecoveryError};
use crate::types::LogId;
use crate::verify::Verify;

fn base() -> super::disk::Disk {
    let mut disk = disk(2);
    for core in 0..2 {
        let mut ring = Ring::new(1, core);
        for log in 0..2 {
            let log = LogId(u64::from(core) * 2 + log);
            ring.checkpoint(log, &point(0));
            for ordinal in 0..6 {
                ring.entry(log, ordinal, 900).commit(&mut disk);
            }
        }
    }
    disk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes_in_any_file_never_panic(
        file in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 1..5000),
    ) {
        let mut disk = base();
        let names: Vec<_> = disk.files.keys().copied().collect();
        let content = disk.files.get_mut(file.get(&names)).unwrap();
        let at = at.index(content.len());
        let len = noise.len().min(content.len() - at);
        content[at..at + len].copy_from_slice(&noise[..len]);
        let report = disk.drive(Verify::new(Pool, Blind)).unwrap();
        if let Err(error) = open(&mut disk, 3) {
            prop_assert!(matches!(error, RecoveryError::Corruption { .. }), "{error}");
            prop_assert!(report.errors > 0, "verify saw nothing, but: {error}");
        }
    }

    /// The same under valid checksums: a commit whose records are noise.
    #[test]
    fn random_bytes_under_a_valid_checksum_never_panic(
        at in 0_usize..4000,
        noise in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let mut disk = base();
        let file = Ring::new(1, 0).file(0);
        let commit = &mut disk.files.get_mut(&file).unwrap()[..4096];
        let header = CommitHeader::decode(commit, |_| true).unwrap();
        let body_len = header.body_len as usize;
        let at = at % body_len;
        let len = noise.len().min(body_len - at);
        commit[COMMIT_HEADER + at..][..len].copy_from_slice(&noise[..len]);
        seal(commit, &header);
        let mut verify = Verify::new(Pool, Blind);
        while let Some((id, op)) = verify.poll_op() {
            let result = disk.run(op);
            verify.handle_completion(id, result);
        }
        prop_assert!(verify.poll_result().is_some());
        let _ = open(&mut disk, 1);
    }
}
