//! Keeps a second process out of a data directory: flock(2) on the directory itself, which stays
//! whatever is removed in it and goes along when it is renamed. The kernel gives it back when the
//! holder has ended, however it ended; a broker that was killed takes a moment for that, as its
//! rings give their files back last.

use std::fmt::Display;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::RuntimeError;

/// How long a holder that is ending may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A lock on a data directory, given back when this is dropped.
#[derive(Debug)]
pub struct DataLock {
    _dir: File,
}

/// With whom the directory is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// With nobody.
    Alone,
    /// With others that only read.
    Reading,
}

/// Who has the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// A process that goes on.
    Alive(u32),
    /// A process that was killed, or is exiting.
    Ending(u32),
    /// Nobody that can be seen from here: it has ended this moment, or is in another container.
    Unseen,
}

impl DataLock {
    /// For a broker, which shares the directory with nobody; `tell` is given a line for people
    /// when somebody has to be waited for.
    ///
    /// # Errors
    /// [`RuntimeError::Locked`] at once if a living process has it, and after a wait if one that
    /// is ending does not end; [`RuntimeError::DataDir`] if it cannot be opened.
    pub fn for_broker(dir: &Path, tell: impl FnOnce(&str)) -> Result<Self, RuntimeError> {
        Self::take(dir, Mode::Alone, tell)
    }

    /// For a tool that only reads; several may.
    ///
    /// # Errors
    /// As [`for_broker`](Self::for_broker).
    pub fn for_reading(dir: &Path, tell: impl FnOnce(&str)) -> Result<Self, RuntimeError> {
        Self::take(dir, Mode::Reading, tell)
    }

    fn take(dir: &Path, mode: Mode, tell: impl FnOnce(&str)) -> Result<Self, RuntimeError> {
        let failed = |source| RuntimeError::DataDir {
            path: dir.to_owned(),
            source,
        };
        let file = File::open(dir).map_err(failed)?;
        let inode = file.metadata().map_err(failed)?.ino();
        let until = Instant::now() + PATIENCE;
        let mut tell = Some(tell);
        loop {
            let locked = match mode {
                Mode::Alone => file.try_lock(),
                Mode::Reading => file.try_lock_shared(),
            };
            match locked {
                Ok(()) => return Ok(Self { _dir: file }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            let holder = Holder::find(inode);
            if matches!(holder, Holder::Alive(_)) || Instant::now() >= until {
                return Err(RuntimeError::Locked {
                    path: dir.to_owned(),
                    holder: holder.process(),
                });
            }
            if let Some(tell) = tell.take() {
                tell(&waiting(dir.display(), holder));
            }
            sleep(LOOK_EVERY);
        }
    }
}

fn waiting(dir: impl Display, holder: Holder) -> String {
    let who = match holder {
        Holder::Alive(process) | Holder::Ending(process) => {
            format!("process {process}, which is ending")
        }
        Holder::Unseen => {
            "a process that has just ended or cannot be seen from here (another container?)".into()
        }
    };
    format!("{dir} is still held by {who}; waiting for it, {PATIENCE:?} at most")
}

impl Holder {
    /// Who has a lock on the file with this number, as the kernel tells now.
    fn find(inode: u64) -> Self {
        let Some(process) = fs::read_to_string("/proc/locks")
            .ok()
            .and_then(|locks| process_with(&locks, inode))
        else {
            return Self::Unseen;
        };
        let read = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}"));
        match (read("stat"), read("status")) {
            (Ok(stat), Ok(status)) if !is_ending(&stat, &status) => Self::Alive(process),
            (Err(error), _) if error.kind() != io::ErrorKind::NotFound => Self::Alive(process),
            _ => Self::Ending(process),
        }
    }

    fn process(self) -> Option<u32> {
        match self {
            Self::Alive(process) | Self::Ending(process) => Some(process),
            Self::Unseen => None,
        }
    }
}

/// Who has a lock of flock(2) on the file with this number, by the lines of /proc/locks
/// (proc_locks(5)): `1: FLOCK  ADVISORY  WRITE 812 fe:00:131 0 EOF`. Those that wait for one have
/// `->` behind the number.
fn process_with(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        (words.next()? == "FLOCK").then_some(())?;
        let process = words.nth(2)?.parse().ok()?;
        let file = words.next()?.rsplit(':').next()?;
        (file.parse() == Ok(inode)).then_some(process)
    })
}

/// Whether a process will run no more of its program, by its `stat` and `status` (proc_pid_stat(5),
/// proc_pid_status(5)).
fn is_ending(stat: &str, status: &str) -> bool {
    /// The kernel's flag of a task that is exiting.
    const PF_EXITING: u32 = 0x4;
    /// SIGKILL in a mask of signals.
    const KILL: u64 = 1 << (9 - 1);
    // The name in parentheses may hold anything.
    let Some((_, fields)) = stat.rsplit_once(')') else {
        return false;
    };
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let gone = matches!(fields.first(), Some(&("Z" | "X" | "x")));
    let flags = fields.get(6).and_then(|flags| flags.parse::<u32>().ok());
    let pending = |line: &str| {
        let mask = line
            .strip_prefix("SigPnd:")
            .or_else(|| line.strip_prefix("ShdPnd:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    let killed = status
        .lines()
        .filter_map(pending)
        .any(|mask| mask & KILL != 0);
    gone || killed || flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("leveret-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_second_broker_is_kept_out_at_once_whatever_is_removed_or_renamed() {
        let base = dir("lock");
        let (first, second) = (base.join("first"), base.join("second"));
        fs::create_dir(&first).unwrap();
        fs::write(first.join("LOCK"), b"").unwrap();
        let held = DataLock::for_broker(&first, |_| {}).unwrap();
        fs::remove_file(first.join("LOCK")).unwrap();
        fs::rename(&first, &second).unwrap();
        let began = Instant::now();
        for refused in [
            DataLock::for_broker(&second, |_| {}),
            DataLock::for_reading(&second, |_| {}),
        ] {
            let words = refused.unwrap_err().to_string();
            assert!(words.contains("another broker"), "{words}");
            let process = format!("process {}", std::process::id());
            assert!(words.contains(&process), "{words}");
        }
        assert!(began.elapsed() < PATIENCE / 2, "a living holder is refused");
        drop(held);
        let readers = [(); 2].map(|()| DataLock::for_reading(&second, |_| {}).unwrap());
        assert!(DataLock::for_broker(&second, |_| {}).is_err(), "tools read");
        drop(readers);
        assert!(DataLock::for_broker(&second, |_| {}).is_ok());
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn a_holder_that_is_ending_is_waited_for() {
        let dir = dir("ending");
        // Taken by flock(1), which has ended, and kept by a process that goes on for a while.
        let script = "exec 9<\"$0\"; flock -x 9; echo held; exec sleep 60";
        let mut child = std::process::Command::new("bash")
            .args(["-c", script])
            .arg(&dir)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut word = [0; 5];
        let out = child.stdout.as_mut().unwrap();
        io::Read::read_exact(out, &mut word).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let waiter = {
            let dir = dir.clone();
            let tell = move |line: &str| tell.send(line.to_owned()).unwrap();
            std::thread::spawn(move || DataLock::for_broker(&dir, tell))
        };
        sleep(Duration::from_millis(200));
        assert!(!waiter.is_finished(), "it is still held");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(waiter.join().unwrap().is_ok());
        let line = told.recv().unwrap();
        assert!(line.contains("waiting"), "{line}");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_kernels_lines_are_read() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:00:131 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 8 fe:00:132 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 9 fe:00:131 0 EOF\n\
                     3: FLOCK  ADVISORY  READ  10 fe:00:131 0 EOF\n";
        assert_eq!(process_with(locks, 132), Some(8));
        assert_eq!(process_with(locks, 131), Some(10));
        assert_eq!(process_with(locks, 13), None);
        let ending = |state: &str, flags: u32, pending: &str| {
            let stat = format!("8 (a ) R b) {state} 1 8 8 0 -1 {flags} 5 0");
            is_ending(
                &stat,
                &format!("Name:\ta\nSigPnd:\t{pending}\nShdPnd:\t0\n"),
            )
        };
        assert!(!ending("R", 0x400040, "0000000000000000"));
        assert!(ending("Z", 0x400040, "0000000000000000"));
        assert!(ending("D", 0x400044, "0000000000000000"));
        assert!(ending("D", 0x400040, "0000000000000100"));
        assert!(
            !ending("S", 0x400040, "0000000000004000"),
            "asked to stop gracefully"
        );
    }
}
