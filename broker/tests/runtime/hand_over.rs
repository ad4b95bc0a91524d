//! Connections that name a core to be served by, over real sockets.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leveret_broker::runtime::{DriverInsight, ListenerCores};
use leveret_storage::types::CoreId;
use socket2::SockRef;

use super::net::{call, pattern, receive};
use super::toy::{CONNECTIONS, ECHO, GATE, NAME, PING, STALL, STALLED};
use super::{Broker, TestDir, block_on, config, up_to};

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    frame.extend(payload);
    frame
}

/// Connects to the listener of core 0 alone, if the cores listen apart.
fn connect(broker: &Broker, core: usize) -> TcpStream {
    let stream = TcpStream::connect(broker.ready.addrs[0].cores[core]).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
}

/// What core `core` counts: connections of its behaviour, and of its loop.
fn counts(broker: &Broker, core: u16) -> (u32, DriverInsight) {
    let answered = block_on(broker.desk.ask(CoreId(core), CONNECTIONS)).unwrap();
    (answered.answer.1, answered.driver)
}

/// Waits until no core has a connection.
fn wait_until_empty(broker: &Broker) {
    let left = || -> u32 {
        (0..broker.desk.cores())
            .map(|core| counts(broker, core).0)
            .sum()
    };
    let soon = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        left() == 0
    });
    assert!(soon, "{} connections are left", left());
}

/// The inodes of the broker's ends of established connections.
fn inodes(addr: SocketAddr) -> BTreeSet<String> {
    let local = format!(":{:04X}", addr.port());
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let lines = table.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (
            fields[1].to_owned(),
            fields[3].to_owned(),
            fields[9].to_owned(),
        )
    });
    lines
        // Before it is accepted it has none.
        .filter(|(at, state, inode)| at.ends_with(&local) && state == "01" && inode != "0")
        .map(|(_, _, inode)| inode)
        .collect()
}

/// Which of those sockets this process has open.
fn open_sockets(inodes: &BTreeSet<String>) -> usize {
    let named = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = named.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let open: BTreeSet<String> = targets
        .map(|target| target.to_string_lossy().into_owned())
        .collect();
    inodes
        .iter()
        .filter(|inode| open.contains(&format!("socket:[{inode}]")))
        .count()
}

/// One connection that names `to` and has `body` and more echoed. `cuts` are how many bytes each
/// of the first writes has. Returns who served it and whether it was handed over.
fn echo(broker: &Broker, to: u8, body: &[u8], cuts: &[usize]) -> (u8, bool) {
    let mut stream = broker.connect();
    let mut bytes = frame(NAME, &[to]);
    for n in 0..20u32 {
        bytes.extend(frame(ECHO, &n.to_le_bytes()));
    }
    bytes.extend(frame(ECHO, body));
    bytes.extend(frame(ECHO, b"after"));
    let mut writer = stream.try_clone().unwrap();
    let cuts = cuts.to_vec();
    let sender = std::thread::spawn(move || {
        let mut rest = &bytes[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            writer.write_all(now).unwrap();
            rest = later;
        }
        writer.write_all(rest).unwrap();
    });
    let (kind, served) = receive(&mut stream);
    assert_eq!(kind, NAME);
    for n in 0..20u32 {
        assert_eq!(receive(&mut stream), (ECHO, n.to_le_bytes().to_vec()));
    }
    let (kind, echoed) = receive(&mut stream);
    assert!(kind == ECHO && echoed == body, "{} bytes", body.len());
    assert_eq!(receive(&mut stream), (ECHO, b"after".to_vec()));
    sender.join().unwrap();
    // The other core still knows the way back.
    assert_eq!(call(&mut stream, PING, b"!")[1..], *b"!");
    (served[0], served[1] == 1)
}

#[test]
fn a_thousand_connections_go_where_they_want_with_every_byte_that_they_sent() {
    let dir = TestDir::new("hand-over");
    let broker = Broker::start(config(&dir, 2));
    let cores = u8::try_from(up_to(2)).unwrap();
    let large = pattern(1 << 20, 5);
    let small = pattern(3000, 9);
    let mut moved = 0;
    for round in 0..1000usize {
        let to = u8::try_from(round).unwrap_or(u8::MAX) % cores;
        // All at once; byte by byte; in the middle of the first frame, at its end, and beyond it.
        let cuts = match round % 5 {
            0 => vec![],
            1 => vec![1; 60],
            2 => vec![round % 6 + 1, 7],
            3 => vec![6],
            _ => vec![6 + round % 100, 1, 1],
        };
        let body = if round % 4 == 0 { &large } else { &small };
        let (served, handed_over) = echo(&broker, to, body, &cuts);
        assert_eq!(served, to, "round {round}");
        moved += u64::from(handed_over);
    }
    let counted: u64 = (0..u16::from(cores))
        .map(|core| counts(&broker, core).1.handed_over)
        .sum();
    assert_eq!(counted, moved);
    if cores > 1 {
        assert!((300..700).contains(&moved), "the kernel spreads: {moved}");
    }
    wait_until_empty(&broker);
    broker.stop();
}

#[test]
fn a_connection_that_names_no_core_or_none_that_is_there_stays() {
    let dir = TestDir::new("hand-over-not");
    let broker = Broker::start(config(&dir, 2));
    let mut served = BTreeSet::new();
    for round in 0..200 {
        let mut stream = broker.connect();
        if round % 2 == 0 {
            // Not the first frame any more.
            assert_eq!(call(&mut stream, ECHO, b"x"), b"x");
        }
        let none = if round % 2 == 0 { 1 } else { 200 };
        let answer = call(&mut stream, NAME, &[none]);
        assert_eq!(answer[1], 0, "it was handed over");
        served.insert((none, answer[0]));
    }
    assert_eq!(served.len(), 2 * up_to(2), "the kernel spreads: {served:?}");
    assert_eq!(counts(&broker, 0).1.handed_over, 0);
    broker.stop();
}

#[test]
fn who_goes_in_the_middle_of_it_leaves_nothing_behind() {
    let dir = TestDir::new("hand-over-gone");
    let broker = Broker::start(config(&dir, 2));
    let cores = u8::try_from(up_to(2)).unwrap();
    let mut seen = BTreeSet::new();
    for round in 0..40usize {
        let mut streams: Vec<TcpStream> = (0..25).map(|_| broker.connect()).collect();
        // Those of the round before may still be going.
        let accepted = (0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            let there = inodes(broker.addr());
            let enough = there.len() >= streams.len();
            seen.extend(there);
            enough
        });
        assert!(accepted, "they are accepted");
        for (n, stream) in streams.iter_mut().enumerate() {
            let to = u8::try_from(n).unwrap() % cores;
            let mut bytes = frame(NAME, &[to]);
            bytes.extend(frame(ECHO, &pattern(40_000, n)));
            // Whole, in the middle of the first frame, at its end, in the middle of the body.
            let len = [bytes.len(), 3, 6, 20_000][(n + round) % 4];
            stream.write_all(&bytes[..len]).unwrap();
            if round % 2 == 0 {
                // Closing is a reset then, and not an end.
                SockRef::from(&*stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
            }
        }
        if round % 3 == 0 {
            std::thread::sleep(Duration::from_micros(200 * round as u64));
        }
    }
    wait_until_empty(&broker);
    assert!(seen.len() >= 1000, "{}", seen.len());
    assert_eq!(open_sockets(&seen), 0);
    // The control: one that is there is seen.
    let mut kept = broker.connect();
    assert_eq!(call(&mut kept, ECHO, b"there"), b"there");
    let there = inodes(broker.addr());
    assert_eq!(open_sockets(&there), 1);
    drop(kept);
    let (served, _) = echo(&broker, cores - 1, b"still", &[]);
    assert_eq!(served, cores - 1);
    broker.stop();
}

#[test]
fn a_core_that_is_full_gives_back_and_the_caps_hold() {
    let dir = TestDir::new("hand-over-full");
    let mut config = config(&dir, 2);
    if up_to(2) == 1 {
        return;
    }
    config.max_connections = 8;
    config.listeners[0].cores = ListenerCores::Apart;
    let broker = Broker::start(config);
    let name = |to| {
        let mut stream = connect(&broker, 0);
        let answer = call(&mut stream, NAME, &[to]);
        (stream, (answer[0], answer[1]))
    };
    let mut there: Vec<TcpStream> = (0..4)
        .map(|_| {
            let (stream, served) = name(1);
            assert_eq!(served, (1, 1));
            stream
        })
        .collect();
    let mut back: Vec<TcpStream> = (0..4)
        .map(|_| {
            let (mut stream, served) = name(1);
            assert_eq!(served, (0, 1), "it comes back");
            assert_eq!(call(&mut stream, ECHO, b"served"), b"served");
            stream
        })
        .collect();
    assert_eq!(counts(&broker, 0).0, 4);
    assert_eq!(counts(&broker, 1).0, 4);
    assert_eq!(counts(&broker, 1).1.handed_over, 4);
    assert_eq!(counts(&broker, 0).1.handed_over, 0, "none of another core");
    let mut refused = connect(&broker, 0);
    assert_eq!(refused.read(&mut [0]).unwrap_or(0), 0, "closed at once");
    assert_eq!(counts(&broker, 0).1.refused, 1);
    // Room on both sides again.
    drop((there.pop(), back.pop()));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(name(1).1, (1, 1));
    broker.stop();
}

#[test]
fn a_core_that_takes_no_messages_is_not_waited_for() {
    let dir = TestDir::new("hand-over-stall");
    let mut config = config(&dir, 2);
    if up_to(2) == 1 {
        return;
    }
    config.listeners[0].cores = ListenerCores::Apart;
    let broker = Broker::start(config);
    let mut asleep = connect(&broker, 1);
    let gate = GATE.lock().unwrap();
    asleep.write_all(&frame(STALL, &[])).unwrap();
    while !STALLED.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    // More than a ring between cores holds.
    let mut pinging = connect(&broker, 0);
    for n in 0..3000u32 {
        pinging.write_all(&frame(PING, &n.to_le_bytes())).unwrap();
    }
    // What it was sent before the answer to this is on its way, or waits for room.
    assert_eq!(call(&mut pinging, ECHO, b"sent"), b"sent");
    let mut stream = connect(&broker, 0);
    let mut bytes = frame(NAME, &[1]);
    bytes.extend(frame(ECHO, &pattern(50_000, 1)));
    stream.write_all(&bytes).unwrap();
    assert_eq!(receive(&mut stream), (NAME, vec![0, 0]), "it stays");
    assert!(receive(&mut stream).1 == pattern(50_000, 1));
    drop(gate);
    for n in 0..3000u32 {
        assert_eq!(receive(&mut pinging).1[1..], n.to_le_bytes());
    }
    assert_eq!(receive(&mut asleep).0, STALL);
    assert_eq!(call(&mut connect(&broker, 0), NAME, &[1]), [1, 1]);
    broker.stop();
}

#[test]
fn a_stop_in_the_middle_closes_every_connection() {
    for round in 0..5u64 {
        let dir = TestDir::new(&format!("hand-over-stop-{round}"));
        let broker = Broker::start(config(&dir, 2));
        let addr = broker.addr();
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        let clients = std::thread::spawn(move || {
            let mut streams = Vec::new();
            while !seen.load(Ordering::Relaxed) && streams.len() < 2000 {
                let Ok(mut stream) = TcpStream::connect(addr) else {
                    break;
                };
                let to = u8::try_from(streams.len() % up_to(2)).unwrap();
                let _refused = stream.write_all(&frame(NAME, &[to]));
                streams.push(stream);
            }
            streams
        });
        std::thread::sleep(Duration::from_millis(5 + 4 * round));
        let ends = inodes(addr);
        assert!(broker.stop().served);
        over.store(true, Ordering::Relaxed);
        for mut stream in clients.join().unwrap() {
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            let mut rest = Vec::new();
            if let Err(error) = stream.read_to_end(&mut rest) {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
            }
        }
        assert_eq!(open_sockets(&ends), 0);
    }
}
