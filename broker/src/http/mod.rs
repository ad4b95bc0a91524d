//! Health, metrics and status over HTTP, for operators and their tools. Everything can only be
//! read; nothing changes by a request.
//!
//! It runs on a thread of its own beside the cores and asks them through the runtime's
//! [`Desk`], so that a scrape costs a core no more than a few requests, however the answer is
//! written out. What a client can hold here is bounded: connections, bytes of a request and of its
//! answer, time; and a slow one gives way to others.
//!
//! In the order of a request: `listen` takes connections, whose places are in `guests`; `routes`
//! finds what answers a path, and `query` what it is asked for; `ask` asks the cores, and `topics`
//! asks them about topics; `metrics` and `status` write what they said.

mod ask;
mod fresh;
mod guests;
mod listen;
mod metrics;
mod process;
mod query;
mod routes;
mod status;
#[cfg(test)]
mod tests;
mod topics;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::core::Ports;
use crate::core::observe::{Insight, Question};
use crate::runtime::{Desk, RuntimeError, StopHandle};

/// Where the broker's cores are asked.
pub type CoreDesk = Desk<Question, Insight>;

/// What is served, and the state that is not the cores'.
pub(crate) struct Served {
    desk: CoreDesk,
    stop: StopHandle,
    serving: AtomicBool,
    /// Where other protocols are served, once that is known.
    ports: OnceLock<Ports>,
    /// How long a connection has its place for sure.
    undisturbed: Duration,
}

/// A running HTTP server. It ends when this is dropped.
pub struct HttpServer {
    addr: SocketAddr,
    served: Arc<Served>,
    /// Hangs up to end the thread.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Listens, and serves from a thread of its own, which inherits the caller's signal mask.
    ///
    /// # Errors
    /// [`RuntimeError::Listen`] if the address cannot be had.
    pub fn start(addr: SocketAddr, desk: CoreDesk, stop: StopHandle) -> Result<Self, RuntimeError> {
        Self::start_with(addr, desk, stop, guests::UNDISTURBED)
    }

    fn start_with(
        addr: SocketAddr,
        desk: CoreDesk,
        stop: StopHandle,
        undisturbed: Duration,
    ) -> Result<Self, RuntimeError> {
        let refused = |source| RuntimeError::Listen {
            protocol: "http",
            addr,
            flag: "--http",
            source,
        };
        let listener = listen::bind(addr).map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let served = Arc::new(Served {
            desk,
            stop,
            serving: AtomicBool::new(false),
            ports: OnceLock::new(),
            undisturbed,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| RuntimeError::Call {
                call: "epoll or eventfd for HTTP",
                source,
            })?;
        let (end, ended) = oneshot::channel();
        let for_thread = Arc::clone(&served);
        let thread = std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || {
                if let Err(error) = run(&runtime, listener, for_thread, ended) {
                    tracing::error!(%error, "HTTP is not served any more");
                }
            })?;
        Ok(Self {
            addr: bound,
            served,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Where it listens, with its true port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every core accepts connections from now on, at these ports.
    pub fn serving(&self, ports: Ports) {
        // Told once; another time would tell the same.
        let _told = self.served.ports.set(ports);
        self.served.serving.store(true, Ordering::Release);
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // Its panic is on stderr already.
            let _panicked = thread.join();
        }
    }
}

fn run(
    runtime: &tokio::runtime::Runtime,
    listener: std::net::TcpListener,
    served: Arc<Served>,
    ended: oneshot::Receiver<()>,
) -> io::Result<()> {
    if let Err(error) = served.desk.step_aside() {
        tracing::debug!(%error, "the HTTP thread stays where it is");
    }
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(runtime, async {
        tokio::select! {
            result = listen::serve(listener, served) => result,
            _hung_up = ended => Ok(()),
        }
    })
}
