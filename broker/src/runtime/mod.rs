//! Everything that touches the kernel: one pinned glommio executor per core, its disk and socket
//! drivers, the mesh between cores, signals and limits.
//!
//! This is the only place that names glommio, io_uring or libc, and the only one with `unsafe`.
//! It knows no protocol, no log and no topic: it drives whatever implements
//! [`Behaviour`], and a [`Bootstrap`] before that.
//!
//! Read it in this order: [`run`] starts the threads, `driver` is the one loop of a core,
//! `socket` and `disk` carry out its actions, `mesh` and `wake` connect cores, `supervisor`
//! watches over all.

mod allocator;
mod bootstrap;
mod clock;
mod core_thread;
mod cpus;
mod data_dir;
mod desk;
mod disk;
mod driver;
mod error;
pub(crate) mod figures;
pub(crate) mod file_kind;
mod guard;
mod lock;
mod medium;
pub mod memory;
mod mesh;
mod preflight;
mod ring;
mod service;
mod shared;
mod socket;
mod supervisor;
pub mod survey;
mod tag;
mod turns;
mod wake;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use leveret_storage::types::{CoreId, Now};

use crate::core::boundary::Behaviour;
use clock::MonoClock;
use core_thread::{CoreThread, First, Limits};
use mesh::Mesh;
use shared::Shared;
use supervisor::{Milestones, Signals};

pub use bootstrap::{BootSetup, Bootstrap};
pub use cpus::CpuChoice;
pub use data_dir::Holding;
#[cfg(test)]
pub(crate) use desk::manned;
pub use desk::{Answered, AskError, Desk, DriverInsight};
pub use disk::{DmaBuf, DmaPool};
pub use error::RuntimeError;
pub use lock::DataLock;
pub use medium::{Medium, TrueLevel};
pub use preflight::Needs;
pub use shared::StopHandle;
pub use socket::{BoundAddr, ListenerConfig, ListenerCores};
pub use supervisor::Reload;
pub use turns::Turns;

/// What the runtime needs to know to start.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Where cores run.
    pub cpus: CpuChoice,
    /// The data directory; made if it is not there.
    pub data: PathBuf,
    /// What to listen on, on every core.
    pub listeners: Vec<ListenerConfig>,
    /// What limits of the process must allow.
    pub needs: Needs,
    /// Refuse to start where nothing would be durable.
    pub require_direct_io: bool,
    /// Connections that may be open at once on all cores together, as far as the limit on open
    /// files allows.
    pub max_connections: usize,
    /// Receive buffers of 16 KiB per core; rounded up to a power of two.
    pub receive_buffers: u16,
    /// How long an idle core looks for work before it sleeps; at most 50 µs, and zero unless the
    /// CPUs are the broker's own.
    pub idle_spin: Duration,
    /// How long a graceful stop may take before the process ends without it, non-zero.
    pub stop_deadline: Duration,
    /// Whether SIGTERM and SIGINT stop the broker. The calling thread must then be the first.
    pub handle_signals: bool,
    /// What SIGHUP does; `None` leaves it alone, which ends the process.
    pub reload: Option<Reload>,
}

impl RuntimeConfig {
    /// The defaults for a data directory: all CPUs, no listener, signals handled.
    #[must_use]
    pub fn new(data: PathBuf) -> Self {
        Self {
            cpus: CpuChoice::All,
            data,
            listeners: Vec::new(),
            needs: Needs::default(),
            require_direct_io: false,
            max_connections: 20_000,
            receive_buffers: 128,
            idle_spin: Duration::ZERO,
            stop_deadline: Duration::from_millis(4_500),
            handle_signals: true,
            reload: None,
        }
    }
}

/// Longest idle spin: longer ones only take the CPU from others.
const MOST_SPIN: Duration = Duration::from_micros(50);
/// Descriptors kept back for rings, eventfds, listeners and the standard streams.
const KEPT_FILES: u64 = 64;
const KEPT_FILES_PER_CORE: u64 = 16;

/// What a core's behaviour is made with.
pub struct CoreSetup<R> {
    /// Which core.
    pub core: CoreId,
    /// How many there are.
    pub cores: u16,
    /// The CPU that it is pinned to.
    pub cpu: usize,
    /// Buffers for its disk operations.
    pub pool: DmaPool,
    /// What the data directory's file system can promise.
    pub level: TrueLevel,
    /// The listeners with their true ports.
    pub addrs: Arc<[BoundAddr]>,
    /// What the bootstrap found for this core.
    pub recovered: R,
    /// When it starts.
    pub now: Now,
}

/// What is true once every core accepts connections.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The listeners with their true ports.
    pub addrs: Arc<[BoundAddr]>,
    /// The CPU of each core.
    pub cpus: Vec<usize>,
    /// What `synced` means here.
    pub medium: Medium,
}

/// How a run ended, when it ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Whether the broker had begun to serve before it was stopped.
    pub served: bool,
    /// Turns of all cores.
    pub turns: u64,
    /// How often a core had to be woken from outside because it stood still.
    pub stalls: u64,
}

/// Runs a broker until it is stopped: checks the machine, binds the listeners, runs the
/// bootstrap on the first core, makes one behaviour per core on its thread and drives it.
///
/// `beside` is called on this thread before any core begins, with the desk where other threads
/// ask cores; `ready` when every core accepts connections. A core's panic, a
/// [`Fatal`](crate::core::boundary::Action::Fatal) action, a second signal and a stop that
/// misses its deadline end the process, non-zero, with a line on stderr.
///
/// # Errors
/// Whatever keeps the broker from starting, see [`RuntimeError`].
pub fn run<T, B>(
    config: &RuntimeConfig,
    stop: &StopHandle,
    make_bootstrap: impl FnOnce(BootSetup) -> T + Send,
    make_core: impl Fn(CoreSetup<T::Recovered>) -> Result<B, String> + Send + Clone,
    beside: impl FnOnce(Desk<B::Question, B::Insight>) -> Result<(), RuntimeError>,
    ready: impl FnOnce(&Ready),
) -> Result<Exit, RuntimeError>
where
    T: Bootstrap,
    B: Behaviour<Pool = DmaPool>,
{
    let cpus = config.cpus.resolve()?;
    let cores = cpus.len();
    allocator::keep_freed_memory();
    let preflight = preflight::check(&config.data, cores, config.needs, config.require_direct_io)?;
    let bound = socket::bind_all(&config.listeners, cores)?;
    let reload = config.reload.as_ref();
    let signals = config
        .handle_signals
        .then(|| Signals::block(reload.is_some()));
    let refused = |source| RuntimeError::Call {
        call: "signalfd",
        source,
    };
    let signals = signals.transpose().map_err(refused)?;
    let limits = limits(config, preflight.files, cores, preflight.io_memory);
    let workers = cpus::for_workers(&cpus)?;
    let shared = Shared::new(cores)?;
    let desk = Desk::new(&shared.signals, workers);
    beside(desk.clone())?;
    let clock = MonoClock::start();
    let ready_now = Ready {
        addrs: bound.addrs.into(),
        cpus: cpus.clone(),
        medium: preflight.medium.clone(),
    };
    let (report, reports) = mpsc::channel();
    let (go, gate) = mpsc::channel();
    let mut served = false;
    let (hand_out, mut hand_ins): (Vec<_>, Vec<_>) = cpus.iter().map(|_| mpsc::channel()).unzip();
    let mut first = Some(First {
        gate,
        hand_out,
        make_bootstrap,
    });

    std::thread::scope(|scope| {
        let meshes = Mesh::build(cores);
        let parts = cpus
            .iter()
            .zip(bound.per_core)
            .zip(meshes)
            .zip(hand_ins.drain(..))
            .enumerate();
        for (core, (((&cpu, listeners), mesh), recovered)) in parts {
            let thread = CoreThread {
                core,
                cpu,
                workers: &workers,
                config,
                limits,
                level: preflight.medium.level,
                listeners,
                addrs: Arc::clone(&ready_now.addrs),
                mesh,
                recovered,
                report: report.clone(),
                shared: &shared,
                desk: &desk,
                stop,
                clock,
            };
            let (first, make_core) = (first.take(), make_core.clone());
            std::thread::Builder::new()
                .name(format!("core-{core}"))
                .spawn_scoped(scope, move || thread.run(first, make_core))?;
        }
        let milestones = Milestones {
            // A core that has failed meanwhile has hung up; that is reported by itself.
            prepared: move || {
                let _hung_up = go.send(());
            },
            serving: || {
                served = true;
                ready(&ready_now);
            },
        };
        let signals = signals.as_ref();
        let deadline = config.stop_deadline;
        supervisor::watch(
            &shared, stop, signals, reload, &reports, clock, deadline, milestones,
        )
    })?;
    drop(preflight.lock);
    let sum = |count: fn(&wake::CoreSignal) -> u64| shared.signals.iter().map(|s| count(s)).sum();
    Ok(Exit {
        served,
        turns: sum(|signal| signal.turns.load(Ordering::Relaxed)),
        stalls: sum(|signal| signal.stalls.load(Ordering::Relaxed)),
    })
}

/// Shares the limit on open files out: a quarter for storage, what remains for connections.
fn limits(config: &RuntimeConfig, files: u64, cores: usize, io_memory: usize) -> Limits {
    let count = u64::try_from(cores).expect("at most 256");
    let usable = files
        .saturating_sub(KEPT_FILES + KEPT_FILES_PER_CORE * count)
        .max(8 * count);
    let storage = (usable / 4).min(1024 * count);
    let share = |n: u64| {
        usize::try_from(n / count)
            .expect("a number of descriptors")
            .max(4)
    };
    let connections = share(usable - storage).min(config.max_connections.div_ceil(cores));
    if connections * cores < config.max_connections {
        tracing::info!(
            connections = connections * cores,
            "the limit on open files allows fewer connections than configured"
        );
    }
    Limits {
        io_memory,
        files: share(storage),
        connections,
        buffers: config.receive_buffers.clamp(8, 1 << 14).next_power_of_two(),
        spin: config.idle_spin.min(MOST_SPIN),
    }
}

/// Ends the process now, non-zero, with a line for people: going on could lie.
fn fatal(line: &str) -> ! {
    eprintln!("leveret: {line}");
    std::process::exit(1);
}
