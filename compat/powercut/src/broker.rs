//! The broker under test: a child process that is started, waited for and killed.

use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a start may take, recovery included.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How to start a broker.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The `leveret` binary.
    pub(crate) program: PathBuf,
    /// Its data directory.
    pub(crate) data: PathBuf,
    /// Where it listens, the same over all starts so that producers find it again.
    pub(crate) address: SocketAddr,
    /// Receives what it writes to stderr, one start after the other.
    pub(crate) log: PathBuf,
}

/// A running broker.
#[derive(Debug)]
pub(crate) struct Broker {
    child: Child,
}

/// A loopback address that nobody uses at the moment.
///
/// # Errors
/// When no port can be had.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

impl Launch {
    /// Starts the broker and waits for its ready line.
    ///
    /// # Errors
    /// When it ends, or is not ready in time; says where its log is.
    pub(crate) fn start(&self, cores: u32) -> io::Result<Broker> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let mut child = Command::new(&self.program)
            .arg("serve")
            .arg("--data")
            .arg(&self.data)
            .args([
                "--native",
                &self.address.to_string(),
                "--kafka",
                "off",
                "--http",
                "off",
            ])
            .args(["--cores", &cores.to_string()])
            // The smallest ring, so that it laps within a run.
            .args(["--set", "journal.bytes=16 MiB"])
            .args(["--set", "segment.bytes=4 MiB"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let stdout = child.stdout.take().expect("piped");
        let (tell, ready) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            // The receiver gives up after a while, which is no concern of this thread.
            let _late = tell.send(read.map(|_| line));
        });
        let line = ready.recv_timeout(READY_WITHIN);
        if matches!(&line, Ok(Ok(line)) if line.starts_with("ready ")) {
            return Ok(Broker { child });
        }
        child.kill()?;
        let status = child.wait()?;
        Err(io::Error::other(format!(
            "the broker did not become ready ({status}); its log is {}",
            self.log.display()
        )))
    }
}

impl Drop for Broker {
    /// No broker outlives the check, however that ends.
    fn drop(&mut self) {
        // It may be gone already, which is as well.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Broker {
    /// Sends SIGKILL; the process is gone only after [`Broker::reap`].
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// Waits for the end of a killed process.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub(crate) fn reap(&mut self) -> io::Result<()> {
        self.child.wait().map(drop)
    }

    /// Whether it ended by itself.
    #[must_use]
    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }
}

/// `leveret verify` on the data directory of a stopped broker.
///
/// # Errors
/// When it cannot be run, or finds an error; says what it said.
pub(crate) fn verify(program: &Path, data: &Path) -> io::Result<()> {
    let output = Command::new(program).arg("verify").arg(data).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "leveret verify: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}
