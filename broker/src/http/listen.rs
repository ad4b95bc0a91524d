//! Connections in, each with its bounds: one request, so many bytes of it, so much time.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use leveret_wire::speech::Speech;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;

use super::Served;
use super::guests::Guest;
use super::routes::{self, Front};

/// Connections that the kernel keeps waiting.
const BACKLOG: i32 = 64;
/// Bytes of a request's head; hyper's least.
const HEAD: usize = 8192;
/// Headers of a request.
const HEADERS: usize = 64;
/// How long a request's head may take to come.
pub(super) const HEAD_DEADLINE: Duration = Duration::from_secs(3);
/// Bytes of an answer that the kernel keeps for a reader: what else a slow one holds is counted.
const SEND_BUFFER: usize = 64 << 10;
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
    let front = Rc::new(Front::new(served));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let guest = front.guests.enter().await;
                let front = Rc::clone(&front);
                tokio::task::spawn_local(async move {
                    tokio::select! {
                        () = connection(stream, &front, &guest) => {}
                        // A peer that takes too long, or has to give way, is cut off: what it
                        // gets is what it has got.
                        () = tokio::time::sleep(DEADLINE) => {}
                        () = guest.is_cut() => {}
                    }
                    front.guests.leave(&guest);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept an HTTP connection for the moment");
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }
}

/// Whether what came first is another protocol's, or nothing in time; then the connection can end.
async fn was_turned_away(stream: &TcpStream, front: &Front) -> bool {
    let mut first = [0; 16];
    let Ok(Ok(seen)) = tokio::time::timeout(HEAD_DEADLINE, stream.peek(&mut first)).await else {
        return true;
    };
    let heard = Speech::of_request(&first[..seen]).filter(|heard| *heard != Speech::Http);
    let (Some(heard), Some(ports)) = (heard, front.ports()) else {
        return false;
    };
    let sentence = ports.sentence(Speech::Http.name(), heard);
    if front.count(heard).is_power_of_two() {
        let peer = stream.peer_addr().map(|peer| peer.to_string());
        let peer = peer.as_deref().unwrap_or("unknown");
        tracing::warn!(port = "http", peer, "another protocol: {sentence}");
    }
    // What was said is taken first: an end with unread bytes would lose the answer.
    let mut taken = [0; 4096];
    let _taken = stream.try_read(&mut taken);
    let _told = stream.try_write(&heard.farewell(&sentence));
    true
}

async fn connection(stream: TcpStream, front: &Front, guest: &Rc<Guest>) {
    if let Err(error) = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER) {
        tracing::debug!(%error, "an HTTP connection keeps its send buffer");
    }
    if was_turned_away(&stream, front).await {
        return;
    }
    let answer = service_fn(move |request: Request<Incoming>| async move {
        Ok::<_, Infallible>(routes::answer(&request, front, guest).await)
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
