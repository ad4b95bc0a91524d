//! Gives the space of removed files back to the file system piece by piece.
//!
//! Freed at once, the blocks of a large file keep the device busy while every commit waits: where
//! freed blocks are discarded (`mount -o discard`) 150 ms for a gigabyte, measured. A removed file has no
//! name any more but is still open here; whatever ends the process, the system frees the rest.

use std::fs::File;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::runtime::cpus::run_on;

/// Freed at a time, bytes: the device is busy with that for 2 ms where it takes 150 for a gigabyte.
const PIECE: u64 = 16 << 20;
/// Rest between two pieces, so that commits have the device for most of the time.
const REST: Duration = Duration::from_millis(20);
/// More removed files than these, and space matters more than rest.
const MOST_WAITING: usize = 16;

/// The one thread that frees the files of a core.
pub(super) struct Reaper(Sender<File>);

impl Reaper {
    /// Starts the thread on one of these CPUs. It ends with the reaper.
    pub(super) fn start(cpus: libc::cpu_set_t) -> std::io::Result<Self> {
        let (sender, files) = channel();
        let thread = thread::Builder::new().name("reaper".to_owned());
        thread.spawn(move || {
            if let Err(error) = run_on(&cpus) {
                tracing::debug!(%error, "the reaper stays on its core's CPU");
            }
            reap(&files);
        })?;
        Ok(Self(sender))
    }

    /// Frees a file that was removed.
    pub(super) fn take(&self, file: File) {
        // Without the thread it is closed, and freed, here.
        let _closed = self.0.send(file);
    }

    /// Whether a file of so many bytes is worth it.
    pub(super) fn cares_for(len: u64) -> bool {
        len > PIECE
    }
}

fn reap(files: &Receiver<File>) {
    while let Ok(file) = files.recv() {
        let mut waiting: Vec<File> = std::iter::once(file).chain(files.try_iter()).collect();
        while let Some(file) = waiting.pop() {
            let hurry = || waiting.len() > MOST_WAITING;
            if let Err(error) = free(&file, hurry) {
                tracing::warn!(%error, "a removed file could not be freed piece by piece; the system frees it at once");
            }
            waiting.extend(files.try_iter());
        }
    }
}

/// Cuts the file down to nothing.
fn free(file: &File, hurry: impl Fn() -> bool) -> std::io::Result<()> {
    let mut left = file.metadata()?.len();
    while left > 0 {
        left = left.saturating_sub(PIECE);
        file.set_len(left)?;
        if left > 0 && !hurry() {
            thread::sleep(REST);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_removed_file_is_cut_down_piece_by_piece_and_at_once_in_a_hurry() {
        let path = std::env::temp_dir().join(format!("leveret-reaper-{}", std::process::id()));
        for (hurried, rests) in [(false, 2), (true, 0)] {
            let mut file = File::create_new(&path).unwrap();
            file.write_all(b"data").unwrap();
            file.set_len(2 * PIECE + 1).unwrap();
            fs::remove_file(&path).unwrap();
            let began = Instant::now();
            free(&file, || hurried).unwrap();
            assert_eq!(file.metadata().unwrap().len(), 0);
            assert!(began.elapsed() >= REST * rests);
        }
    }

    #[test]
    fn small_files_are_not_worth_it() {
        assert!(!Reaper::cares_for(PIECE));
        assert!(Reaper::cares_for(PIECE + 1));
    }
}
