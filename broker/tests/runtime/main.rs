//! The runtime under a toy behaviour: real sockets on loopback, real files, one and two cores.

mod beside;
mod boot;
mod disk;
mod hand_over;
mod measure;
mod net;
mod toy;

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use leveret_broker::core::boundary::Protocol;
use leveret_broker::runtime::{
    CpuChoice, Desk, Exit, ListenerConfig, ListenerCores, Ready, RuntimeConfig, RuntimeError,
    StopHandle, run,
};

use leveret_storage::types::CoreId;

use boot::Script;
use toy::Toy;

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(future)
}

/// A directory of one test, removed at the end.
pub(crate) struct TestDir(PathBuf);

impl TestDir {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("runtime-{name}"));
        let _fresh = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// One core if the machine has no second.
pub(crate) fn up_to(cores: usize) -> usize {
    cores.min(std::thread::available_parallelism().map_or(1, usize::from))
}

pub(crate) fn config(dir: &TestDir, cores: usize) -> RuntimeConfig {
    let mut config = RuntimeConfig::new(dir.path().to_owned());
    config.cpus = CpuChoice::First(up_to(cores));
    config.handle_signals = false;
    config.listeners = vec![ListenerConfig {
        protocol: Protocol::Native,
        addr: "127.0.0.1:0".parse().unwrap(),
        cores: ListenerCores::Share,
        flag: "--native",
    }];
    config
}

/// A running toy broker.
pub(crate) struct Broker {
    pub(crate) ready: Ready,
    pub(crate) desk: Desk<u32, (CoreId, u32)>,
    stop: StopHandle,
    thread: JoinHandle<Result<Exit, RuntimeError>>,
}

impl Broker {
    pub(crate) fn start(config: RuntimeConfig) -> Self {
        let stop = StopHandle::new().unwrap();
        let (told, ready) = mpsc::channel();
        let (gave, desk) = mpsc::channel();
        let handle = stop.clone();
        let thread = std::thread::spawn(move || {
            let (outcomes, _unread) = mpsc::channel();
            run(
                &config,
                &handle,
                |setup| Script::new(setup, Vec::new(), outcomes),
                Toy::new,
                |desk| {
                    gave.send(desk).unwrap();
                    Ok(())
                },
                |ready| told.send(ready.clone()).unwrap(),
            )
        });
        let ready = ready
            .recv_timeout(Duration::from_secs(10))
            .expect("the broker starts");
        let desk = desk.recv().expect("it is given before");
        Self {
            ready,
            desk,
            stop,
            thread,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.ready.addrs[0].cores[0]
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    pub(crate) fn stop(self) -> Exit {
        self.stop.stop();
        self.thread.join().expect("no panic").expect("a clean end")
    }
}
