//! A whole broker with its HTTP server, asked over loopback. `compat/http/run` asks for more, with
//! load and with garbage.

mod topics;
mod troubles;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use leveret_broker::config::Settings;
use leveret_broker::runtime::{Exit, RuntimeError, StopHandle};
use leveret_broker::server;
use socket2::{Domain, Socket, Type};

struct Broker {
    http: SocketAddr,
    native: SocketAddr,
    stop: StopHandle,
    thread: JoinHandle<Result<Exit, RuntimeError>>,
    dir: PathBuf,
}

fn settings(name: &str, http: &str) -> (Settings, PathBuf) {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("http-{name}"));
    let _fresh = std::fs::remove_dir_all(&dir);
    let mut settings = Settings::default();
    let assignments = [
        format!("data={}", dir.display()),
        format!("http.listen={http}"),
        "native.listen=127.0.0.1:0".to_owned(),
        "kafka.listen=off".to_owned(),
        "cores=1".to_owned(),
        "journal.bytes=16 MiB".to_owned(),
        "disk.floor.bytes=0".to_owned(),
    ];
    for assignment in assignments {
        settings.apply_assignment(&assignment).expect("valid");
    }
    (settings, dir)
}

impl Broker {
    fn start(name: &str) -> Self {
        let (settings, dir) = settings(name, "127.0.0.1:0");
        Self::start_on(settings, dir)
    }

    fn start_on(settings: Settings, dir: PathBuf) -> Self {
        let stop = StopHandle::new().unwrap();
        let handle = stop.clone();
        let (told, ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            server::serve(&settings, &handle, None, |ready, http| {
                told.send((ready.addrs[0].cores[0], http)).unwrap();
            })
        });
        let told = ready.recv_timeout(Duration::from_secs(20));
        let (native, http) = told.expect("it starts");
        Self {
            http: http.expect("HTTP is on"),
            native,
            stop,
            thread,
            dir,
        }
    }

    /// Status line and body.
    fn ask(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // What the server did not read of a refused request may end in a reset behind its answer.
        let _reset = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.lines().next().expect("a status line");
        (status.to_owned(), body.to_owned())
    }

    fn get(&self, path: &str) -> (String, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    fn status(&self) -> serde_json::Value {
        let (code, json) = self.get("/api/v1/status");
        assert_eq!(code, OK);
        serde_json::from_str(&json).expect("JSON")
    }

    fn end(self) -> PathBuf {
        self.stop.stop();
        let ended = self.thread.join().expect("no panic");
        assert!(ended.expect("a clean end").served);
        self.dir
    }
}

const OK: &str = "HTTP/1.1 200 OK";

#[test]
fn health_metrics_and_status_are_served_until_the_stop() {
    let broker = Broker::start("served");
    for (path, expected) in [("/health/live", "live\n"), ("/health/ready", "ready\n")] {
        assert_eq!(broker.get(path), (OK.to_owned(), expected.to_owned()));
    }
    let (status, metrics) = broker.get("/metrics");
    assert_eq!(status, OK);
    for line in [
        "# TYPE leveret_produced_records_total counter",
        "leveret_produced_records_total{core=\"0\"} 0",
        "leveret_memory_budget_bytes{core=\"0\",pool=\"requests\"} 67108864",
        "leveret_fetch_lag_records_bucket{core=\"0\",le=\"0\"} 0",
    ] {
        assert!(
            metrics.lines().any(|l| l == line),
            "no {line} in\n{metrics}"
        );
    }
    let (status, json) = broker.get("/api/v1/status");
    assert_eq!(status, OK);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let journal = json["cores"][0]["journal_size"].as_u64();
    assert!(journal.is_some_and(|size| size <= 16 << 20), "{journal:?}");
    assert_eq!(json["topics"], serde_json::json!([]));
    assert!(broker.get("/nowhere").0.contains(" 404 "));
    let put = broker.ask("PUT /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
    assert!(put.0.contains(" 405 "), "{put:?}");
    let long = "A: b\r\n".repeat(5000);
    let long = broker.ask(&format!("GET / HTTP/1.1\r\nHost: x\r\n{long}\r\n"));
    assert!(long.0.contains(" 431 "), "{long:?}");

    broker.stop.stop();
    assert!(
        broker
            .thread
            .join()
            .expect("no panic")
            .expect("a clean end")
            .served
    );
    assert!(
        TcpStream::connect(broker.http).is_err(),
        "it ends with the broker"
    );
    std::fs::remove_dir_all(&broker.dir).unwrap();
}

#[test]
fn slow_readers_and_silent_ones_delay_nobody() {
    let broker = Broker::start("slow");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let address = broker.native.to_string();
        let client = leveret_client::Client::connect(address).await.unwrap();
        let topic = leveret_client::NewTopic::new("wide", 5000);
        client.admin().create_topic(&topic).await.unwrap();
    });
    let slow = |request: &str| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&broker.http.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let status = "GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n";
    let readers: Vec<_> = (0..60).map(|_| slow(status)).collect();
    let began = Instant::now();
    let (code, json) = broker.get("/api/v1/status");
    assert_eq!(code, OK);
    assert!(json.len() > 300_000, "more than the kernel keeps for them");
    let taken = began.elapsed();
    assert!(
        taken < Duration::from_secs(3),
        "{taken:?} beside slow readers"
    );
    let silent: Vec<_> = (0..100).map(|_| slow("GET /")).collect();
    let began = Instant::now();
    assert_eq!(broker.get("/health/live").0, OK);
    let taken = began.elapsed();
    assert!(
        taken < Duration::from_secs(2),
        "{taken:?} beside silent ones"
    );
    drop((readers, silent));
    broker.stop.stop();
    let ended = broker.thread.join().expect("no panic");
    assert!(ended.expect("a clean end").served);
    std::fs::remove_dir_all(&broker.dir).unwrap();
}

#[test]
fn a_taken_port_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let (settings, dir) = settings("taken", &addr.to_string());
    let stop = StopHandle::new().unwrap();
    let refused = server::serve(&settings, &stop, None, |_, _| panic!("never ready"));
    let words = refused.expect_err("the port is taken").to_string();
    assert!(
        words.contains(&format!("the http protocol on {addr}")),
        "{words}"
    );
    assert!(words.contains("--http"), "{words}");
    std::fs::remove_dir_all(dir).unwrap();
}
