//! Connections in, each with its bounds: one request, so many bytes of it, so much time.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Served;
use super::routes::{self, Length};

/// Connections at a time; others wait in the kernel's backlog until one of them ends.
const CONNECTIONS: usize = 128;
/// Connections that the kernel keeps waiting.
const BACKLOG: i32 = 64;
/// Bytes of a request's head; hyper's least.
const HEAD: usize = 8192;
/// Headers of a request.
const HEADERS: usize = 64;
/// How long a request's head may take to come.
const HEAD_DEADLINE: Duration = Duration::from_secs(3);
/// Scrapes at a time: each has a few dozen kilobytes for a core.
const SCRAPES: usize = 16;
/// Statuses at a time: one of many topics has megabytes.
const STATUSES: usize = 2;
/// How long a connection may last: request, answer and the peer's reading of it.
const DEADLINE: Duration = Duration::from_secs(15);
/// Pause after an accept that failed, for lack of descriptors for one.
const BACKOFF: Duration = Duration::from_millis(100);

/// A listener that a broker started after this one finds free.
pub(super) fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, served: Arc<Served>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let long = Arc::new(LongAnswers {
        scrapes: Arc::new(Semaphore::new(SCRAPES)),
        statuses: Arc::new(Semaphore::new(STATUSES)),
    });
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let (served, long) = (Arc::clone(&served), Arc::clone(&long));
                tokio::task::spawn_local(async move {
                    // A peer that takes too long is cut off: what it gets is what it has got.
                    let _late =
                        tokio::time::timeout(DEADLINE, connection(stream, served, long)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept an HTTP connection for the moment");
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }
}

/// Places for answers that take memory until they have been read.
struct LongAnswers {
    scrapes: Arc<Semaphore>,
    statuses: Arc<Semaphore>,
}

async fn connection(stream: TcpStream, served: Arc<Served>, long: Arc<LongAnswers>) {
    // Held until the connection ends, and with it the answer's memory.
    let held: Cell<Option<OwnedSemaphorePermit>> = Cell::new(None);
    let (served, long, held) = (&served, &long, &held);
    let answer = service_fn(move |request: Request<Incoming>| async move {
        let places = match routes::length(request.uri().path()) {
            Length::Short => None,
            Length::Scrape => Some(&long.scrapes),
            Length::Status => Some(&long.statuses),
        };
        if let Some(places) = places {
            let place = Arc::clone(places).acquire_owned().await;
            held.set(Some(place.expect("the semaphore is never closed")));
        }
        Ok::<_, Infallible>(routes::answer(&request, served).await)
    });
    let outcome = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .keep_alive(false)
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = outcome {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}
