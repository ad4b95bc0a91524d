//! The server over a core that says what a test wants.

mod toy;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Instant;

use super::guests::UNDISTURBED;
use super::listen::HEAD_DEADLINE;
use super::*;
use crate::runtime::manned;

struct Bench {
    server: HttpServer,
    /// What the core says; while it is nothing the core stands still.
    says: Arc<Mutex<Option<Insight>>>,
}

impl Bench {
    fn new(undisturbed: Duration) -> Self {
        let says = Arc::new(Mutex::new(Some(Insight::Alive)));
        let stop = StopHandle::new().unwrap();
        let addr = "127.0.0.1:0".parse().unwrap();
        let server = HttpServer::start_with(addr, manned(&says), stop, undisturbed).unwrap();
        server.serving(Ports::default());
        Self { server, says }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.server.addr()).unwrap()
    }

    /// Whether the broker is live, and what is said of it; `None` if there is no answer in time.
    fn live(&self, time: Duration) -> Option<(bool, String)> {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(time)).unwrap();
        stream
            .write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let live = head.starts_with("HTTP/1.1 200 ");
        assert!(live || head.starts_with("HTTP/1.1 503 "), "{head}");
        Some((live, body.to_owned()))
    }
}

#[test]
fn a_core_that_serves_nobody_is_not_live_and_is_named() {
    let bench = Bench::new(UNDISTURBED);
    let time = Duration::from_secs(10);
    assert_eq!(bench.live(time), Some((true, "live\n".to_owned())));
    let say = |insight| *bench.says.lock().unwrap() = insight;
    say(Some(Insight::Starved(12_300_000_000)));
    let (live, words) = bench.live(time).expect("an answer");
    assert!(!live && words.contains("core 0"), "{words}");
    assert!(words.contains("waited for memory for 12 s"), "{words}");
    // It does not even turn.
    say(None);
    let (live, words) = bench.live(time).expect("an answer");
    assert!(
        !live && words.contains("core 0 did not answer within 2s"),
        "{words}"
    );
    say(Some(Insight::Alive));
    assert_eq!(bench.live(time), Some((true, "live\n".to_owned())));
}

#[test]
fn who_is_slow_gives_way_and_without_that_rule_the_next_one_waits() {
    // How long after the first slow one came the next is answered.
    let answered_after = |undisturbed| {
        let bench = Bench::new(undisturbed);
        let began = Instant::now();
        let slow: Vec<_> = (0..130)
            .map(|_| {
                let mut stream = bench.connect();
                stream.write_all(b"GET /").unwrap();
                stream
            })
            .collect();
        let answer = bench.live(Duration::from_secs(60));
        assert!(answer.is_some(), "no answer after {:?}", began.elapsed());
        drop(slow);
        began.elapsed()
    };
    // The control: as long as nobody gives way, whoever comes waits until the slow ones are too late by
    // themselves.
    let waited = answered_after(Duration::from_secs(120));
    assert!(
        waited >= HEAD_DEADLINE,
        "answered after {waited:?}: this test shows nothing"
    );
    // A busy machine may take its time, but not always.
    let soon = (0..10).any(|_| answered_after(UNDISTURBED) < HEAD_DEADLINE);
    assert!(soon, "nobody gives way");
}
