//! Figures rather than verdicts; run by hand, in release:
//! `cargo test --release -p leveret-broker --test runtime -- --ignored --nocapture measure`.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::{Duration, Instant};

use leveret_broker::runtime::CpuChoice;

use super::toy::{ECHO, PING, WRITE};
use super::{Broker, TestDir, config};

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    frame.extend(payload);
    frame
}

/// What the client does while it waits. A spinning one takes a CPU from the kernel's disk
/// workers, which complete durable writes.
#[derive(Clone, Copy, PartialEq)]
enum Client {
    Spins,
    Sleeps,
}

fn round_trips(
    stream: &mut TcpStream,
    client: Client,
    frame: &[u8],
    count: usize,
) -> Vec<Duration> {
    stream.set_nonblocking(client == Client::Spins).unwrap();
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        stream.write_all(frame).unwrap();
        let mut header = [0; 5];
        read(stream, &mut header);
        let len = u32::from_le_bytes(header[1..].try_into().unwrap());
        read(stream, &mut vec![0; len as usize]);
        times.push(begun.elapsed());
    }
    stream.set_nonblocking(false).unwrap();
    times
}

fn read(stream: &mut TcpStream, mut into: &mut [u8]) {
    while !into.is_empty() {
        match stream.read(into) {
            Ok(0) => panic!("the broker hung up"),
            Ok(n) => into = &mut into[n..],
            Err(e) if e.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(e) => panic!("{e}"),
        }
    }
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |q: f64| times[((times.len() - 1) as f64 * q) as usize].as_nanos() as f64 / 1e3;
    let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
    println!(
        "{what}: p50 {p50:.1} µs, p99 {p99:.1}, p99.9 {p999:.1}, max {:.1}",
        at(1.0)
    );
}

#[test]
#[ignore = "prints figures"]
fn measure_round_trips() {
    for (spin, name) in [(0, "sleeping core"), (50, "core spinning 50 µs")] {
        let dir = TestDir::new(&format!("measure-echo-{spin}"));
        let mut config = config(&dir, 1);
        config.cpus = CpuChoice::List(vec![0]);
        config.idle_spin = Duration::from_micros(spin);
        let broker = Broker::start(config);
        let mut stream = broker.connect();
        let echo = frame(ECHO, &[1; 100]);
        round_trips(&mut stream, Client::Spins, &echo, 2_000);
        let times = round_trips(&mut stream, Client::Spins, &echo, 50_000);
        report(&format!("echo of 100 bytes, {name}"), times);
        println!("{:?}", broker.stop());
    }
    let dir = TestDir::new("measure-mesh");
    let broker = Broker::start(config(&dir, 2));
    let mut stream = broker.connect();
    let ping = frame(PING, &[1; 100]);
    let times = round_trips(&mut stream, Client::Sleeps, &ping, 20_000);
    report("ping of the other core and back, both sleeping", times);
    broker.stop();
}

#[test]
#[ignore = "prints figures"]
fn measure_echo_throughput() {
    let dir = TestDir::new("measure-throughput");
    let mut config = config(&dir, 1);
    config.cpus = CpuChoice::List(vec![0]);
    let broker = Broker::start(config);
    for connections in [1, 4, 32] {
        const DEPTH: usize = 16;
        let per_connection = 400_000 / connections / DEPTH;
        let echo = frame(ECHO, &[1; 100]).repeat(DEPTH);
        let begun = Instant::now();
        let mut streams: Vec<TcpStream> = (0..connections).map(|_| broker.connect()).collect();
        let mut answer = vec![0; echo.len()];
        for _ in 0..per_connection {
            for stream in &mut streams {
                stream.write_all(&echo).unwrap();
            }
            for stream in &mut streams {
                stream.read_exact(&mut answer).unwrap();
            }
        }
        let rate = (per_connection * connections * DEPTH) as f64 / begun.elapsed().as_secs_f64();
        println!("{connections} connections, {DEPTH} echoes in flight each: {rate:.0}/s");
    }
    println!("{:?}", broker.stop());
}

#[test]
#[ignore = "prints figures"]
fn measure_durable_writes() {
    const COUNT: usize = 5_000;
    let dir = TestDir::new("measure-write");
    let mut config = config(&dir, 1);
    config.cpus = CpuChoice::List(vec![0]);
    let broker = Broker::start(config);
    let mut stream = broker.connect();
    let write = frame(WRITE, &[]);
    round_trips(&mut stream, Client::Sleeps, &write, 500);
    let raw_path = dir.path().join("raw");
    std::fs::write(&raw_path, vec![1; 1 << 20]).unwrap();
    let raw = std::fs::OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_DIRECT | libc::O_DSYNC)
        .open(&raw_path)
        .unwrap();
    let memory = vec![7u8; 3 * 4096];
    let aligned = memory.as_ptr().align_offset(4096);
    for round in 0..3 {
        let through = round_trips(&mut stream, Client::Sleeps, &write, COUNT);
        report(
            &format!("4 KiB durable through TCP, driver and disk, {round}"),
            through,
        );
        let write = |_| {
            let begun = Instant::now();
            raw.write_all_at(&memory[aligned..aligned + 4096], 0)
                .unwrap();
            begun.elapsed()
        };
        report(
            &format!("4 KiB durable, raw pwrite, {round}"),
            (0..COUNT).map(write).collect(),
        );
    }
    println!("{:?}", broker.stop());
}
