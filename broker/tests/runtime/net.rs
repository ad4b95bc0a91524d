//! Sockets, mesh and stop.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use leveret_storage::types::CoreId;

use super::toy::{AWAIT, CLOSE, CLOSE_LATER, CONNECTIONS, ECHO, GIVEN_UP, PAUSE, PING, WRITE};
use super::{Broker, TestDir, block_on, config, up_to};

fn send(stream: &mut TcpStream, kind: u8, payload: &[u8]) {
    let mut frame = vec![kind];
    frame.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    frame.extend(payload);
    stream.write_all(&frame).unwrap();
}

pub(super) fn receive(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut header = [0; 5];
    stream.read_exact(&mut header).expect("an answer");
    let mut payload = vec![0; u32::from_le_bytes(header[1..].try_into().unwrap()) as usize];
    stream.read_exact(&mut payload).expect("all of the answer");
    (header[0], payload)
}

pub(super) fn call(stream: &mut TcpStream, kind: u8, payload: &[u8]) -> Vec<u8> {
    send(stream, kind, payload);
    let (answered, payload) = receive(stream);
    assert_eq!(answered, kind);
    payload
}

/// Bytes that differ at every position that a mistake could confuse.
pub(super) fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len)
        .map(|n| u8::try_from((n * 7 + n / 251 + seed) % 256).unwrap())
        .collect()
}

#[test]
fn small_and_large_frames_come_back_on_one_and_two_cores() {
    for cores in [1, 2] {
        let dir = TestDir::new(&format!("echo-{cores}"));
        let broker = Broker::start(config(&dir, cores));
        assert_eq!(broker.ready.cpus.len(), up_to(cores));
        let mut stream = broker.connect();
        for len in [0, 1, 100, 16_384, 16_385, 300_000, 9_000_000] {
            let payload = pattern(len, len);
            let mut writer = stream.try_clone().unwrap();
            let sent = payload.clone();
            let sender = std::thread::spawn(move || send(&mut writer, ECHO, &sent));
            let (kind, answer) = receive(&mut stream);
            sender.join().unwrap();
            assert_eq!(kind, ECHO);
            assert!(answer == payload, "{len} bytes come back as sent");
        }
        assert!(broker.stop().served);
    }
}

#[test]
fn frames_pipelined_in_one_write_come_back_in_order() {
    let dir = TestDir::new("pipeline");
    let broker = Broker::start(config(&dir, 2));
    let mut stream = broker.connect();
    let mut bytes = Vec::new();
    for n in 0..2000u32 {
        bytes.extend([ECHO]);
        bytes.extend(4u32.to_le_bytes());
        bytes.extend(n.to_le_bytes());
    }
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
    for n in 0..2000u32 {
        assert_eq!(receive(&mut stream), (ECHO, n.to_le_bytes().to_vec()));
    }
    sender.join().unwrap();
    broker.stop();
}

#[test]
fn two_hundred_connections_are_served_and_ping_the_other_core() {
    let dir = TestDir::new("many");
    let broker = Broker::start(config(&dir, 2));
    let mut streams: Vec<TcpStream> = (0..200).map(|_| broker.connect()).collect();
    for round in 0..5u8 {
        for (n, stream) in streams.iter_mut().enumerate() {
            send(stream, PING, &[u8::try_from(n).unwrap(), round]);
        }
        let mut answered_by = std::collections::BTreeSet::new();
        for (n, stream) in streams.iter_mut().enumerate() {
            let (kind, answer) = receive(stream);
            assert_eq!(kind, PING);
            answered_by.insert(answer[0]);
            assert_eq!(answer[1..], [u8::try_from(n).unwrap(), round]);
        }
        assert_eq!(
            answered_by.len(),
            up_to(2),
            "every core has a listener and answers"
        );
    }
    // Half of them go without a word, the others still work.
    streams.truncate(100);
    for stream in &mut streams {
        assert_eq!(call(stream, ECHO, b"still"), b"still");
    }
    broker.stop();
}

#[test]
fn a_flood_over_the_mesh_loses_nothing() {
    const COUNT: u32 = 20_000;
    let dir = TestDir::new("flood");
    let broker = Broker::start(config(&dir, 2));
    let mut stream = broker.connect();
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        for n in 0..COUNT {
            bytes.extend([PING]);
            bytes.extend(4u32.to_le_bytes());
            bytes.extend(n.to_le_bytes());
        }
        writer.write_all(&bytes).unwrap();
    });
    for n in 0..COUNT {
        assert_eq!(receive(&mut stream).1[1..], n.to_le_bytes());
    }
    sender.join().unwrap();
    broker.stop();
}

#[test]
fn a_peer_that_finished_sending_gets_its_answers() {
    let dir = TestDir::new("half");
    let broker = Broker::start(config(&dir, 1));
    let mut stream = broker.connect();
    let payload = pattern(2_000_000, 1);
    let mut writer = stream.try_clone().unwrap();
    let sent = payload.clone();
    let sender = std::thread::spawn(move || {
        send(&mut writer, ECHO, &sent);
        writer.shutdown(Shutdown::Write).unwrap();
    });
    assert!(receive(&mut stream).1 == payload);
    sender.join().unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "and then the end");
    broker.stop();
}

#[test]
fn a_closing_core_flushes_and_hears_the_peer_out() {
    let dir = TestDir::new("close");
    let broker = Broker::start(config(&dir, 1));
    let mut stream = broker.connect();
    send(&mut stream, CLOSE, &pattern(3_000_000, 2));
    // Unread input must not turn the last words into a reset.
    let _refused = stream.write_all(&pattern(100_000, 3));
    let (kind, answer) = receive(&mut stream);
    assert_eq!(kind, CLOSE);
    assert!(answer == pattern(3_000_000, 2));
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    broker.stop();
}

#[test]
fn a_paused_connection_is_not_read_and_resumes() {
    let dir = TestDir::new("pause");
    let broker = Broker::start(config(&dir, 1));
    let mut stream = broker.connect();
    let mut other = broker.connect();
    let begun = Instant::now();
    send(&mut stream, PAUSE, &1_500u32.to_le_bytes());
    // More than socket buffers hold: the peer feels the pause.
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        send(&mut writer, ECHO, &pattern(20_000_000, 4));
        begun.elapsed()
    });
    assert_eq!(call(&mut other, ECHO, b"meanwhile"), b"meanwhile");
    assert!(
        begun.elapsed() < Duration::from_millis(1_400),
        "others are not held up"
    );
    assert_eq!(receive(&mut stream).0, PAUSE);
    assert!(begun.elapsed() >= Duration::from_millis(1_500));
    assert!(receive(&mut stream).1 == pattern(20_000_000, 4));
    assert!(
        sender.join().unwrap() >= Duration::from_millis(1_500),
        "the writer was held up"
    );
    broker.stop();
}

/// A connection that the broker does not read for a minute, with bytes that wait for it.
fn paused(broker: &Broker) -> TcpStream {
    let mut stream = broker.connect();
    assert_eq!(call(&mut stream, ECHO, b"open"), b"open");
    send(&mut stream, PAUSE, &60_000u32.to_le_bytes());
    // The pause is in force once another connection, which came later, was served.
    assert_eq!(call(&mut broker.connect(), ECHO, b"later"), b"later");
    send(&mut stream, ECHO, b"unread");
    stream
}

#[test]
fn the_end_of_a_paused_connection_is_seen_and_what_it_sent_is_answered() {
    let dir = TestDir::new("paused-fin");
    let broker = Broker::start(config(&dir, 1));
    let begun = Instant::now();
    let mut stream = paused(&broker);
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&mut stream), (PAUSE, Vec::new()));
    assert_eq!(receive(&mut stream), (ECHO, b"unread".to_vec()));
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "and then the end");
    assert!(begun.elapsed() < Duration::from_secs(10));
    broker.stop();
}

#[test]
fn a_reset_of_a_paused_connection_ends_it_at_once() {
    let dir = TestDir::new("paused-rst");
    let broker = Broker::start(config(&dir, 1));
    let streams: Vec<TcpStream> = (0..3).map(|_| paused(&broker)).collect();
    let open = || {
        block_on(broker.desk.ask(CoreId(0), CONNECTIONS))
            .unwrap()
            .answer
            .1
    };
    assert!(open() >= 3, "they are paused and open");
    for stream in streams {
        // Closed with a reset instead of an end.
        let now = Some(Duration::ZERO);
        socket2::SockRef::from(&stream).set_linger(now).unwrap();
        drop(stream);
    }
    let begun = Instant::now();
    while open() > 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{} are open",
            open()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    broker.stop();
}

/// The peer goes on holding the connection, whose grace is a second; the other one's body is wanted.
#[test]
fn a_body_comes_back_as_soon_as_its_connection_is_closed() {
    let dir = TestDir::new("given-up");
    let broker = Broker::start(config(&dir, 1));
    let mut head = vec![ECHO];
    head.extend(300_000_u32.to_le_bytes());
    head.extend([7; 100_000]);
    let mut streams = [broker.connect(), broker.connect()];
    send(&mut streams[0], CLOSE_LATER, &300_u32.to_le_bytes());
    for stream in &mut streams {
        stream.write_all(&head).unwrap();
    }
    let ask = |question| {
        block_on(broker.desk.ask(CoreId(0), question))
            .unwrap()
            .answer
            .1
    };
    assert_eq!(ask(GIVEN_UP), 0);
    let begun = Instant::now();
    while ask(GIVEN_UP) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((ask(GIVEN_UP), ask(CONNECTIONS)), (1, 2), "it is heard out");
    streams[1].write_all(&[7; 200_000]).unwrap();
    assert_eq!(receive(&mut streams[1]), (ECHO, vec![7; 300_000]));
    broker.stop();
}

/// A frame of so many bytes, and a connection on which nothing is read until all of it has come.
fn awaiting(broker: &Broker, len: usize) -> (TcpStream, Vec<u8>) {
    let mut stream = broker.connect();
    assert_eq!(call(&mut stream, ECHO, b"open"), b"open");
    let mut frame = vec![ECHO];
    frame.extend(u32::try_from(len - 5).expect("small").to_le_bytes());
    frame.resize(len, 7);
    await_bytes(broker, &mut stream, len);
    (stream, frame)
}

fn await_bytes(broker: &Broker, stream: &mut TcpStream, len: usize) {
    let awaited = u32::try_from(len).expect("small").to_le_bytes();
    send(stream, AWAIT, &awaited);
    // They are awaited once another connection, which came later, was served.
    assert_eq!(call(&mut broker.connect(), ECHO, b"later"), b"later");
}

#[test]
fn what_is_awaited_is_told_of_when_all_of_it_has_come_and_is_received_then() {
    let dir = TestDir::new("awaited");
    let broker = Broker::start(config(&dir, 1));
    for len in [20_000, 128 << 10] {
        let (mut stream, frame) = awaiting(&broker, len);
        for _ in 0..2 {
            let (first, last) = frame.split_at(frame.len() - 1);
            stream.write_all(first).unwrap();
            let soon = Some(Duration::from_millis(200));
            stream.set_read_timeout(soon).unwrap();
            let early = stream.read(&mut [0]).map_err(|error| error.kind());
            assert_eq!(early, Err(ErrorKind::WouldBlock), "one byte is missing");
            stream.set_read_timeout(None).unwrap();
            stream.write_all(last).unwrap();
            assert_eq!(receive(&mut stream), (AWAIT, vec![1]));
            assert_eq!(receive(&mut stream), (ECHO, frame[5..].to_vec()));
            // And once more on the same connection.
            await_bytes(&broker, &mut stream, len);
        }
    }
    broker.stop();
}

#[test]
fn what_is_awaited_of_a_peer_that_ends_is_told_of_and_leaves_nothing() {
    let dir = TestDir::new("awaited-end");
    let broker = Broker::start(config(&dir, 1));
    let (mut stream, frame) = awaiting(&broker, 50_000);
    stream.write_all(&frame[..30_000]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&mut stream), (AWAIT, vec![0]));
    let resets: Vec<TcpStream> = (0..3).map(|_| awaiting(&broker, 50_000).0).collect();
    for stream in resets {
        let now = Some(Duration::ZERO);
        socket2::SockRef::from(&stream).set_linger(now).unwrap();
    }
    drop(stream);
    let begun = Instant::now();
    let open = || block_on(broker.desk.ask(CoreId(0), CONNECTIONS)).unwrap();
    while open().answer.1 > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "some are open");
        std::thread::sleep(Duration::from_millis(5));
    }
    broker.stop();
}

#[test]
fn durable_writes_from_many_connections_are_answered() {
    let dir = TestDir::new("writes");
    let broker = Broker::start(config(&dir, 2));
    let mut streams: Vec<TcpStream> = (0..16).map(|_| broker.connect()).collect();
    for _ in 0..20 {
        for stream in &mut streams {
            send(stream, WRITE, &[]);
        }
        for stream in &mut streams {
            assert_eq!(receive(stream), (WRITE, Vec::new()));
        }
    }
    assert!(broker.stop().served);
}

#[test]
fn a_stop_ends_soon_although_connections_are_open_and_idle_cores_sleep() {
    let dir = TestDir::new("stop");
    let broker = Broker::start(config(&dir, 2));
    let mut stream = broker.connect();
    assert_eq!(call(&mut stream, ECHO, b"x"), b"x");
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    let exit = broker.stop();
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert!(exit.turns < 1_000, "idle cores sleep: {exit:?}");
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn connections_above_the_limit_are_closed_and_the_others_live() {
    let dir = TestDir::new("limit");
    let mut config = config(&dir, 1);
    config.max_connections = 4;
    let broker = Broker::start(config);
    let mut kept: Vec<TcpStream> = (0..4).map(|_| broker.connect()).collect();
    for stream in &mut kept {
        assert_eq!(call(stream, ECHO, b"in"), b"in");
    }
    let mut refused = broker.connect();
    assert_eq!(refused.read(&mut [0]).unwrap_or(0), 0, "closed at once");
    drop(kept.pop());
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(
        call(&mut broker.connect(), ECHO, b"room again"),
        b"room again"
    );
    broker.stop();
}
