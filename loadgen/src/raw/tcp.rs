//! Loopback TCP: bytes per second of one connection, and small round trips.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::Timed;
use crate::cpus;
use crate::latency::Latencies;

/// Bytes of one write and one read of the stream.
const CHUNK: usize = 256 * 1024;
/// Bytes of one round trip, each way.
const SMALL: usize = 1024;

/// Figures of loopback.
pub(super) struct Loopback {
    pub(super) bytes_per_second: f64,
    pub(super) round_trip: Timed,
}

/// Streams for `duration`, then plays ping-pong for half as long. The two ends are on different
/// CPUs where there are two, as broker and load are.
pub(super) fn measure(duration: Duration) -> io::Result<Loopback> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (first, second) = cpus::apart(1);
    std::thread::scope(|scope| {
        let far_end = scope.spawn(move || -> io::Result<()> {
            cpus::pin(&first);
            swallow(&listener.accept()?.0)?;
            echo(&listener.accept()?.0)
        });
        let near_end = scope.spawn(move || -> io::Result<Loopback> {
            cpus::pin(&second);
            let bytes_per_second = stream(&connect(address)?, duration)?;
            let round_trip = ping(&connect(address)?, duration / 2)?;
            Ok(Loopback {
                bytes_per_second,
                round_trip,
            })
        });
        let figures = near_end
            .join()
            .expect("a measuring thread does not panic")?;
        far_end.join().expect("a measuring thread does not panic")?;
        Ok(figures)
    })
}

fn connect(address: std::net::SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads to the end, then says with one byte that it was all there.
fn swallow(mut stream: &TcpStream) -> io::Result<()> {
    let mut buf = vec![0; CHUNK];
    while stream.read(&mut buf)? > 0 {}
    stream.write_all(&[1])
}

fn stream(mut stream: &TcpStream, duration: Duration) -> io::Result<f64> {
    let buf = vec![7; CHUNK];
    let begin = Instant::now();
    let mut bytes = 0_u64;
    while begin.elapsed() < duration {
        stream.write_all(&buf)?;
        bytes += CHUNK as u64;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_exact(&mut [0])?;
    Ok(bytes as f64 / begin.elapsed().as_secs_f64())
}

fn echo(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buf = [0; SMALL];
    loop {
        match stream.read_exact(&mut buf) {
            Ok(()) => stream.write_all(&buf)?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn ping(mut stream: &TcpStream, duration: Duration) -> io::Result<Timed> {
    let mut buf = [0; SMALL];
    let mut latencies = Latencies::default();
    let begin = Instant::now();
    while begin.elapsed() < duration {
        let sent = Instant::now();
        stream.write_all(&buf)?;
        stream.read_exact(&mut buf)?;
        latencies.record(sent.elapsed(), 1);
    }
    Timed::new(latencies)
        .ok_or_else(|| io::Error::other("the duration was too short for one round trip"))
}
