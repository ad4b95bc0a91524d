//! Sockets of the loopback device: what is awaited of them, and what their peers have taken.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use super::*;

/// Longer than a window is at first.
const LEN: usize = 127_000;

/// A paused connection of which so many bytes are awaited, and its peer.
fn awaiting(len: usize) -> (Conn, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    let peer = TcpStream::connect(address).expect("listens");
    peer.set_nodelay(true).expect("a stream");
    let (stream, _) = listener.accept().expect("connects");
    let mut conn = Conn::new(stream, Protocol::Kafka);
    conn.paused = true;
    conn.await_bytes(len);
    (conn, peer)
}

/// Sends in pieces, of which the kernel counts more than there is in them, and waits until all is there.
fn sends(peer: &mut TcpStream, conn: &Conn, len: usize) -> bool {
    peer.set_nonblocking(true).expect("a stream");
    let until = Instant::now() + Duration::from_secs(2);
    let (all, mut sent) = (conn.holds() + len, 0);
    while conn.holds() < all && Instant::now() < until {
        let piece = &[7; 1400][..1400.min(len - sent)];
        match peer.write(piece) {
            Ok(written) if written > 0 => sent += written,
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    conn.holds() == all
}

#[test]
fn there_is_room_for_all_that_is_awaited() {
    let (mut conn, mut peer) = awaiting(LEN);
    assert!(conn.next_look_out().is_some());
    assert!(sends(&mut peer, &conn, LEN));
    assert_eq!(conn.end_await(false), Came::Whole);
    // A socket that nobody made room in has not got it.
    let (conn, mut peer) = awaiting(LEN);
    assert!(!sends(&mut peer, &conn, LEN));
}

#[test]
fn what_comes_late_is_awaited_all_the_same_and_what_never_comes_is_given_up() {
    let (mut conn, mut peer) = awaiting(LEN);
    assert!(conn.next_look_out().is_some());
    assert!(sends(&mut peer, &conn, LEN / 2));
    assert_eq!(conn.end_await(false), Came::More);
    for _ in 0..2 {
        for _ in 0..VAIN {
            assert!(conn.next_look_out().is_some());
            assert_eq!(conn.end_await(false), Came::Nothing);
            assert!(conn.next_look_out().is_none(), "it rests");
            conn.end_rest();
        }
        assert!(conn.next_look_out().is_some());
        assert!(sends(&mut peer, &conn, 1000));
        assert_eq!(conn.end_await(false), Came::More);
    }
    for _ in 0..VAIN {
        assert!(conn.next_look_out().is_some());
        assert_eq!(conn.end_await(false), Came::Nothing);
        conn.end_rest();
    }
    assert!(conn.next_look_out().is_some());
    assert_eq!(conn.end_await(false), Came::Partial);
}

#[test]
fn what_a_peer_has_taken_is_known_however_much_the_kernel_has() {
    let (mut conn, mut peer) = awaiting(LEN);
    assert_eq!(conn.taken(), (0, false));
    conn.push(Bytes::from(vec![7; 100]));
    (&conn.stream).write_all(&[7; 100]).expect("a little");
    conn.sending = true;
    conn.end_send(100);
    std::io::Read::read_exact(&mut peer, &mut [0; 100]).expect("sent");
    let until = Instant::now() + Duration::from_secs(2);
    while conn.taken() != (100, false) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(conn.taken(), (100, false));
    // As much as the kernel takes for one that reads nothing.
    conn.stream.set_nonblocking(true).expect("a stream");
    let mut sent = 0;
    while let Ok(bytes) = (&conn.stream).write(&[7; 1 << 16]) {
        sent += bytes;
    }
    conn.push(Bytes::from(vec![7; sent]));
    conn.sending = true;
    conn.end_send(sent);
    std::thread::sleep(Duration::from_millis(50));
    let (taken, more) = conn.taken();
    assert!(taken < 100 + sent as u64 && more, "{taken} of {sent}");
}

#[test]
fn what_came_and_when_is_known_before_it_is_received() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let mut peer = TcpStream::connect(address).expect("it listens");
    let (stream, _) = listener.accept().expect("it came");
    let conn = Conn::new(stream, Protocol::Kafka);
    let mut sent = 0;
    for len in [1000, 500] {
        peer.write_all(&vec![7; len]).expect("there is room");
        sent += len as u64;
        std::thread::sleep(Duration::from_millis(60));
        let inflow = conn.inflow().expect("the kernel tells");
        assert_eq!(inflow.bytes, sent);
        assert!(inflow.quiet >= 40_000_000, "{inflow:?}");
    }
    // On a busy machine some time may pass between the two.
    let soon = (0..20).any(|_| {
        peer.write_all(&[7]).expect("there is room");
        conn.inflow().expect("the kernel tells").quiet < 40_000_000
    });
    assert!(soon);
}
