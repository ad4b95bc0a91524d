//! One core's thread from its start to its end: executor, disk, sockets, bootstrap, driver, and
//! everything closed again. The loop in between is `driver`'s.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use glommio::{LocalExecutorBuilder, Placement, PoolPlacement};

use super::bootstrap::{self, BootSetup, Bootstrap};
use super::clock::{Clock, MonoClock};
use super::desk::Desk;
use super::disk::{Disk, DmaPool};
use super::driver::{Driver, Parcel, Stop, core_id};
use super::guard::AbortOnPanic;
use super::medium::TrueLevel;
use super::mesh::Mesh;
use super::ring::{Ring, SharedRing};
use super::shared::{Shared, StopHandle};
use super::socket::{BoundAddr, Listener, Sockets};
use super::supervisor::Report;
use super::turns::Turns;
use super::wake::{Ear, Notify};
use super::{CoreSetup, RuntimeConfig, RuntimeError, fatal};
use crate::core::boundary::Behaviour;

/// glommio's rings: enough for storage's bounded operations in flight.
const RING_DEPTH: usize = 128;
/// After how long glommio asks a task to make way for others, which none here needs: each runs for a moment. It must
/// not come due: an executor whose preempt timer fires just before it would run its tasks goes to sleep beside
/// them, and where nothing else wakes it, in a start above all, it never goes on.
const NO_PREEMPTION: Duration = Duration::from_secs(3600);

/// One core's share of the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of memory registered with glommio's rings.
    pub(super) io_memory: usize,
    /// Files kept open.
    pub(super) files: usize,
    /// Connections open at once.
    pub(super) connections: usize,
    /// Receive buffers.
    pub(super) buffers: u16,
    /// Idle spin.
    pub(super) spin: Duration,
}

/// What only the first core does: the bootstrap, for all.
pub(super) struct First<R, F> {
    /// Opens when all cores are prepared; hangs up if one failed.
    pub(super) gate: Receiver<()>,
    /// To each core what it starts from.
    pub(super) hand_out: Vec<Sender<R>>,
    pub(super) make_bootstrap: F,
}

/// One core before it runs.
pub(super) struct CoreThread<'a, R, M, Q, A> {
    pub(super) core: usize,
    pub(super) cpu: usize,
    /// Where the kernel's workers may run.
    pub(super) workers: &'a libc::cpu_set_t,
    pub(super) config: &'a RuntimeConfig,
    pub(super) limits: Limits,
    pub(super) level: TrueLevel,
    pub(super) listeners: Vec<Listener>,
    /// Where all of them came to listen.
    pub(super) addrs: Arc<[BoundAddr]>,
    pub(super) mesh: Mesh<Parcel<M>>,
    /// What this core starts from; hangs up if the bootstrap failed.
    pub(super) recovered: Receiver<R>,
    pub(super) report: Sender<Report>,
    pub(super) shared: &'a Shared,
    /// Where other threads ask it.
    pub(super) desk: &'a Desk<Q, A>,
    pub(super) stop: &'a StopHandle,
    pub(super) clock: MonoClock,
}

/// What a core's executor holds besides the behaviour.
struct Devices {
    ring: SharedRing,
    notify: Rc<Notify>,
    ear: Ear,
    disk: Disk,
}

impl<R, M, Q, A> CoreThread<'_, R, M, Q, A>
where
    R: Send,
    M: Send + 'static,
    Q: Send + 'static,
    A: Send + 'static,
{
    /// Runs the core to its end and reports how that was.
    pub(super) fn run<T, B, F>(
        self,
        first: Option<First<R, F>>,
        make_core: impl Fn(CoreSetup<R>) -> Result<B, String>,
    ) where
        T: Bootstrap<Recovered = R>,
        B: Behaviour<Pool = DmaPool, Message = M, Question = Q, Insight = A>,
        F: FnOnce(BootSetup) -> T,
    {
        let _guard = AbortOnPanic("a core");
        let (report, stop, signal) = (
            self.report.clone(),
            self.stop,
            &self.shared.signals[self.core],
        );
        let (desk, core) = (self.desk, self.core);
        let result = self
            .executor()
            .and_then(|executor| executor.run(self.serve(first, make_core)));
        desk.close(core);
        // An ended core does not stand still.
        signal.prepare_sleep(u64::MAX);
        tell(&report, stop, Report::Ended(result));
    }

    fn executor(&self) -> Result<glommio::LocalExecutor, RuntimeError> {
        LocalExecutorBuilder::new(Placement::Fixed(self.cpu))
            .name(&format!("core-{}", self.core))
            .io_memory(self.limits.io_memory)
            .ring_depth(RING_DEPTH)
            .preempt_timer(NO_PREEMPTION)
            .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
            .make()
            .map_err(|error| self.failed(&error))
    }

    fn failed(&self, reason: &dyn std::fmt::Display) -> RuntimeError {
        RuntimeError::Core {
            core: self.core,
            reason: reason.to_string(),
        }
    }

    async fn serve<T, B, F>(
        mut self,
        first: Option<First<R, F>>,
        make_core: impl Fn(CoreSetup<R>) -> Result<B, String>,
    ) -> Result<(), RuntimeError>
    where
        T: Bootstrap<Recovered = R>,
        B: Behaviour<Pool = DmaPool, Message = M, Question = Q, Insight = A>,
        F: FnOnce(BootSetup) -> T,
    {
        let _guard = AbortOnPanic("a core");
        let mut clock = Clock::new(self.clock);
        let devices = self.open_devices().await.map_err(|e| self.failed(&e))?;
        let sockets = self.sockets(&devices.ring);
        let signal = &self.shared.signals[self.core];
        let served = self
            .serve_with(first, make_core, sockets, &devices, &mut clock)
            .await;
        devices.disk.close().await;
        devices.ear.close(signal).await;
        served
    }

    async fn serve_with<T, B, F>(
        self,
        first: Option<First<R, F>>,
        make_core: impl Fn(CoreSetup<R>) -> Result<B, String>,
        sockets: Sockets,
        devices: &Devices,
        clock: &mut Clock,
    ) -> Result<(), RuntimeError>
    where
        T: Bootstrap<Recovered = R>,
        B: Behaviour<Pool = DmaPool, Message = M, Question = Q, Insight = A>,
        F: FnOnce(BootSetup) -> T,
    {
        tell(&self.report, self.stop, Report::Prepared);
        if let Some(first) = first {
            self.bootstrap(first, devices, clock).await?;
        }
        // The first core hangs up if the broker is not to serve; it says why.
        if let Ok(recovered) = self.recovered.recv() {
            let setup = CoreSetup {
                core: core_id(self.core),
                cores: core_id(self.shared.signals.len()).0,
                cpu: self.cpu,
                pool: devices.disk.pool(),
                level: self.level,
                addrs: Arc::clone(&self.addrs),
                recovered,
                now: clock.now(),
            };
            match make_core(setup) {
                Ok(behaviour) => self.drive(behaviour, sockets, devices, clock).await,
                Err(line) => {
                    self.shared.give_up();
                    return Err(RuntimeError::Bootstrap(line));
                }
            }
        }
        Ok(())
    }

    async fn open_devices(&self) -> io::Result<Devices> {
        let signal = &self.shared.signals[self.core];
        // First: workers that disk operations start keep the place that they begin with.
        let ring = Rc::new(RefCell::new(Ring::new(
            signal.doors(),
            self.limits.buffers,
        )?));
        if let Err(error) = ring.borrow().place_workers(self.workers) {
            tracing::debug!(%error, "the kernel's workers stay on the core's own CPU");
        }
        let notify = Rc::new(Notify::default());
        let disk = Disk::open(
            &self.config.data,
            (self.core, Arc::clone(&self.shared.claims)),
            self.limits.files,
            Rc::clone(&ring),
            Rc::clone(&notify),
            *self.workers,
        )
        .await?;
        let ear = Ear::listen(signal, Rc::clone(&notify))?;
        Ok(Devices {
            ring,
            notify,
            ear,
            disk,
        })
    }

    fn sockets(&mut self, ring: &SharedRing) -> Sockets {
        let listeners = std::mem::take(&mut self.listeners);
        Sockets::new(Rc::clone(ring), listeners, self.limits.connections)
    }

    /// Waits for all cores, recovers, and hands out. Hanging up tells the others not to begin.
    async fn bootstrap<T, F>(
        &self,
        first: First<R, F>,
        devices: &Devices,
        clock: &mut Clock,
    ) -> Result<(), RuntimeError>
    where
        T: Bootstrap<Recovered = R>,
        F: FnOnce(BootSetup) -> T,
    {
        if first.gate.recv().is_err() {
            return Ok(());
        }
        let setup = BootSetup {
            cores: core_id(self.shared.signals.len()).0,
            pool: devices.disk.pool(),
            level: self.level,
            now: clock.now(),
        };
        let machine = (first.make_bootstrap)(setup);
        let stopped = || self.shared.stopping();
        let done = bootstrap::run(
            machine,
            &devices.disk,
            &devices.ring,
            &devices.notify,
            clock,
            stopped,
        )
        .await;
        let Some(recovered) = done.map_err(RuntimeError::Bootstrap)? else {
            return Ok(());
        };
        assert_eq!(
            recovered.len(),
            first.hand_out.len(),
            "one recovered part per core"
        );
        for (core, part) in first.hand_out.iter().zip(recovered) {
            assert!(
                core.send(part).is_ok(),
                "prepared cores wait for their part"
            );
        }
        Ok(())
    }

    /// Serves. From here on a failure cannot be undone by stopping one core.
    async fn drive<B>(self, behaviour: B, sockets: Sockets, devices: &Devices, clock: &mut Clock)
    where
        B: Behaviour<Pool = DmaPool, Message = M, Question = Q, Insight = A>,
    {
        let driver = Driver {
            core: self.core,
            behaviour,
            ring: Rc::clone(&devices.ring),
            sockets,
            disk: &devices.disk,
            mesh: self.mesh,
            clock,
            notify: &devices.notify,
            shared: self.shared,
            desk: self.desk,
            turns: Turns::default(),
            spin: self.limits.spin,
            stop: Stop::default(),
            completions: VecDeque::new(),
        };
        tell(&self.report, self.stop, Report::Serving);
        if let Err(error) = driver.run().await {
            fatal(&format!("core {}: {error}", self.core));
        }
    }
}

/// Reports to the supervisor, who outlives the cores.
fn tell(report: &Sender<Report>, stop: &StopHandle, what: Report) {
    assert!(
        report.send(what).is_ok(),
        "the supervisor hears until the last core has ended"
    );
    stop.wake_supervisor();
}
