//! Opening the listeners: one socket per core and address, so that the kernel spreads
//! connections. It accepts nothing: that begins with the core, after recovery.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol as Transport, Socket, Type};

use crate::core::boundary::Protocol;
use crate::runtime::RuntimeError;

/// Connections that the kernel keeps ready per listener.
const BACKLOG: i32 = 1024;

/// The kernel tears a dead process's rings down in the background, and they hold its listeners:
/// a broker that is started right after kill -9 finds its own port taken for a moment.
const PREDECESSOR: Duration = Duration::from_secs(1);
/// How often it looks whether the port is free meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// An address to listen on.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Who speaks there.
    pub protocol: Protocol,
    /// Where; port 0 lets the kernel choose one.
    pub addr: SocketAddr,
    /// The flag that changes the address, for the message when it is taken.
    pub flag: &'static str,
}

/// One core's socket of a listener.
pub(in crate::runtime) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) protocol: Protocol,
}

/// Every address bound on every core.
pub(in crate::runtime) struct Bound {
    /// Each core's sockets.
    pub(in crate::runtime) per_core: Vec<Vec<Listener>>,
    /// The addresses with their true ports.
    pub(in crate::runtime) addrs: Vec<(Protocol, SocketAddr)>,
}

/// Binds every address once per core.
pub(in crate::runtime) fn bind_all(
    configs: &[ListenerConfig],
    cores: usize,
) -> Result<Bound, RuntimeError> {
    let mut per_core: Vec<Vec<Listener>> = (0..cores).map(|_| Vec::new()).collect();
    let mut addrs = Vec::new();
    for config in configs {
        let (sockets, addr) =
            bind_patiently(config.addr, cores).map_err(|source| RuntimeError::Listen {
                protocol: name(config.protocol),
                addr: config.addr,
                flag: config.flag,
                source,
            })?;
        addrs.push((config.protocol, addr));
        for (core, socket) in per_core.iter_mut().zip(sockets) {
            core.push(Listener {
                socket,
                protocol: config.protocol,
            });
        }
    }
    Ok(Bound { per_core, addrs })
}

fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Native => "native",
    }
}

/// [`bind`], again while a predecessor's listeners may still be going away.
fn bind_patiently(addr: SocketAddr, cores: usize) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let begin = Instant::now();
    loop {
        match bind(addr, cores) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && begin.elapsed() < PREDECESSOR =>
            {
                std::thread::sleep(LOOK_AGAIN);
            }
            outcome => return outcome,
        }
    }
}

/// The first bind is exclusive: with SO_REUSEPORT alone a second broker of the same user would
/// quietly share the port.
fn bind(addr: SocketAddr, cores: usize) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let exclusive = socket(addr, false)?;
    exclusive.bind(&addr.into())?;
    exclusive.listen(1)?;
    let addr = exclusive
        .local_addr()?
        .as_socket()
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    drop(exclusive);
    let mut sockets = Vec::with_capacity(cores);
    for _ in 0..cores {
        let socket = socket(addr, true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        sockets.push(TcpListener::from(socket));
    }
    Ok((sockets, addr))
}

fn socket(addr: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(addr),
        Type::STREAM,
        Some(Transport::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(addr: SocketAddr) -> [ListenerConfig; 1] {
        [ListenerConfig {
            protocol: Protocol::Native,
            addr,
            flag: "--native",
        }]
    }

    #[test]
    fn cores_share_a_port_and_a_second_broker_does_not() {
        let any = "127.0.0.1:0".parse().unwrap();
        let bound = bind_all(&native(any), 2).unwrap();
        assert_eq!(bound.per_core.len(), 2);
        let addr = bound.addrs[0].1;
        assert_ne!(addr.port(), 0);
        let refused = match bind_all(&native(addr), 1) {
            Ok(_) => panic!("the port was shared"),
            Err(e) => e.to_string(),
        };
        assert!(
            refused.contains("native") && refused.contains("--native"),
            "{refused}"
        );
        assert!(refused.contains(&addr.to_string()), "{refused}");
    }

    #[test]
    fn a_port_that_becomes_free_in_a_moment_is_waited_for() {
        let predecessor = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = predecessor.local_addr().unwrap();
        let gone = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(predecessor);
        });
        let bound = bind_all(&native(addr), 1).unwrap();
        assert_eq!(bound.addrs[0].1, addr);
        gone.join().unwrap();
    }
}
