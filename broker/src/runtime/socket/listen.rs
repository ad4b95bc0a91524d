//! Opening the listeners: one socket per core and address, so that the kernel spreads
//! connections. It accepts nothing: that begins with the core, after recovery.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol as Transport, Socket, TcpKeepalive, Type};

use crate::core::boundary::Protocol;
use crate::runtime::RuntimeError;

/// Connections that the kernel keeps ready per listener.
const BACKLOG: i32 = 1024;

/// The kernel tears a dead process's rings down in the background, and they hold its listeners:
/// a broker that is started right after kill -9 finds its own port taken for a moment.
const PREDECESSOR: Duration = Duration::from_secs(1);
/// How often it looks whether the port is free meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// When a peer that says nothing has vanished.
#[derive(Clone, Copy, Debug)]
struct Vanished {
    /// It acknowledges nothing for so long: neither what it was sent, nor the kernel's question whether it is
    /// there. Or it takes nothing of what waits for it.
    after: Duration,
    /// After so long without a word the kernel asks whether it is there,
    ask_after: Duration,
    /// and then again.
    ask_every: Duration,
}

const VANISHED: Vanished = Vanished {
    after: Duration::from_secs(300),
    ask_after: Duration::from_secs(60),
    ask_every: Duration::from_secs(20),
};

/// What the kernel keeps of one connection that it has not sent, bytes; what is on its way to the peer is not
/// among them. Of each peer that does not read it would take megabytes, which no budget counts, and copy
/// them for hundreds of such in one turn.
const UNSENT: u32 = 1 << 20;

/// An address to listen on.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// The protocol that is served there.
    pub protocol: Protocol,
    /// Where; port 0 lets the kernel choose one.
    pub addr: SocketAddr,
    /// Which cores answer there.
    pub cores: ListenerCores,
    /// The flag that changes the address, for the message when it is taken.
    pub flag: &'static str,
}

/// How a listener's connections find a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerCores {
    /// All cores listen on one port, and the kernel spreads connections.
    Share,
    /// Core `i` alone listens on the `i`-th port from the address's on (or, for port 0, on a port
    /// of its own), so that a client reaches the core that it means.
    Apart,
}

/// Where a listener came to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundAddr {
    /// The protocol that is served there.
    pub protocol: Protocol,
    /// The true address of each core, all equal if they share it.
    pub cores: Vec<SocketAddr>,
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
    pub(in crate::runtime) addrs: Vec<BoundAddr>,
}

/// Binds every address once per core.
pub(in crate::runtime) fn bind_all(
    configs: &[ListenerConfig],
    cores: usize,
) -> Result<Bound, RuntimeError> {
    let mut per_core: Vec<Vec<Listener>> = (0..cores).map(|_| Vec::new()).collect();
    let mut addrs = Vec::new();
    for config in configs {
        let protocol = config.protocol;
        let mut bound = BoundAddr {
            protocol,
            cores: Vec::with_capacity(cores),
        };
        for (addr, sharers) in shares(config, cores) {
            let failed = |source| RuntimeError::Listen {
                protocol: protocol.name(),
                addr,
                flag: config.flag,
                source,
            };
            let (sockets, addr) = bind_patiently(addr, sharers).map_err(failed)?;
            for socket in sockets {
                per_core[bound.cores.len()].push(Listener { socket, protocol });
                bound.cores.push(addr);
            }
        }
        addrs.push(bound);
    }
    Ok(Bound { per_core, addrs })
}

/// The addresses of a listener, each with the number of cores that share it, in the cores' order.
fn shares(config: &ListenerConfig, cores: usize) -> Vec<(SocketAddr, usize)> {
    let own = |core| {
        let mut addr = config.addr;
        if addr.port() != 0 {
            // Beyond the last port nothing can be bound; the error names the address.
            addr.set_port(addr.port().saturating_add(core));
        }
        (addr, 1)
    };
    match config.cores {
        ListenerCores::Share => vec![(config.addr, cores)],
        ListenerCores::Apart => (0u16..).map(own).take(cores).collect(),
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
        VANISHED.notice(&socket)?;
        socket.set_tcp_notsent_lowat(UNSENT)?;
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

impl Vanished {
    /// Lets the kernel notice it. What a listener has of this its connections inherit.
    fn notice(&self, socket: &Socket) -> io::Result<()> {
        let questions = (self.after - self.ask_after).as_secs() / self.ask_every.as_secs();
        let keepalive = TcpKeepalive::new()
            .with_time(self.ask_after)
            .with_interval(self.ask_every)
            .with_retries(u32::try_from(questions).expect("few"));
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(self.after))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use socket2::SockRef;

    use super::*;

    fn native(addr: SocketAddr) -> [ListenerConfig; 1] {
        [ListenerConfig {
            protocol: Protocol::Native,
            addr,
            cores: ListenerCores::Share,
            flag: "--native",
        }]
    }

    #[test]
    fn cores_apart_have_a_port_each() {
        let [mut config] = native("127.0.0.1:0".parse().unwrap());
        config.cores = ListenerCores::Apart;
        let bound = bind_all(&[config.clone()], 2).unwrap();
        let [first, second] = bound.addrs[0].cores[..] else {
            panic!("{:?}", bound.addrs)
        };
        assert_ne!(first.port(), second.port());
        config.addr.set_port(20000);
        let ports = shares(&config, 3);
        assert_eq!(
            ports
                .iter()
                .map(|(addr, n)| (addr.port(), *n))
                .collect::<Vec<_>>(),
            [(20000, 1), (20001, 1), (20002, 1)]
        );
    }

    #[test]
    fn cores_share_a_port_and_a_second_broker_does_not() {
        let any = "127.0.0.1:0".parse().unwrap();
        let bound = bind_all(&native(any), 2).unwrap();
        assert_eq!(bound.per_core.len(), 2);
        let addr = bound.addrs[0].cores[1];
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
    fn of_every_connection_the_kernel_keeps_no_more_than_a_write_unsent() {
        let bound = bind_all(&native("127.0.0.1:0".parse().unwrap()), 1).unwrap();
        let _peer = TcpStream::connect(bound.addrs[0].cores[0]).unwrap();
        let (accepted, _) = bound.per_core[0][0].socket.accept().unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let _plain_peer = TcpStream::connect(other.local_addr().unwrap()).unwrap();
        let (plain, _) = other.accept().unwrap();
        let limit = |stream: &TcpStream| SockRef::from(stream).tcp_notsent_lowat().unwrap();
        assert_eq!(limit(&accepted), UNSENT);
        assert_ne!(limit(&plain), UNSENT, "else this test shows nothing");
    }

    #[test]
    fn of_every_connection_the_kernel_notices_that_its_peer_has_vanished() {
        let bound = bind_all(&native("127.0.0.1:0".parse().unwrap()), 1).unwrap();
        let _peer = TcpStream::connect(bound.addrs[0].cores[0]).unwrap();
        let (accepted, _) = bound.per_core[0][0].socket.accept().unwrap();
        let watched = |stream: &TcpStream| {
            let socket = SockRef::from(stream);
            let times = (socket.tcp_keepalive_time(), socket.tcp_user_timeout());
            (
                socket.keepalive().unwrap(),
                times.0.unwrap(),
                times.1.unwrap(),
            )
        };
        let set = (true, VANISHED.ask_after, Some(VANISHED.after));
        assert_eq!(watched(&accepted), set);
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let plain = TcpStream::connect(other.local_addr().unwrap()).unwrap();
        let (keepalive, _, gone) = watched(&plain);
        assert_eq!(
            (keepalive, gone),
            (false, None),
            "else this test shows nothing"
        );
    }

    /// Two peers of a network of their own, of which the wire is cut: no FIN comes, and no RST. Times are
    /// shorter than a broker's, which the test above sees.
    #[test]
    fn a_peer_that_has_vanished_is_noticed_whether_something_waits_for_it_or_not() {
        let shown = std::thread::spawn(|| {
            #[expect(unsafe_code, reason = "the standard library has it not")]
            // SAFETY: it changes what network this thread is in, which ends afterwards.
            let apart = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
            apart && set_loopback("up") && {
                cut_wire();
                true
            }
        });
        if !shown.join().unwrap() {
            eprintln!("skipped: this needs root and `ip` of iproute2");
        }
    }

    fn set_loopback(state: &str) -> bool {
        let mut command = std::process::Command::new("ip");
        let status = command.args(["link", "set", "lo", state]).status();
        status.is_ok_and(|status| status.success())
    }

    fn cut_wire() {
        let listener = socket("127.0.0.1:0".parse().unwrap(), false).unwrap();
        listener
            .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
            .unwrap();
        listener.listen(4).unwrap();
        let second = Duration::from_secs(1);
        let soon = Vanished {
            after: 3 * second,
            ask_after: second,
            ask_every: second,
        };
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        let accept = |watched: bool| {
            if watched {
                soon.notice(&listener).unwrap();
            }
            let peer = TcpStream::connect(addr).unwrap();
            let (ours, _) = listener.accept().unwrap();
            ours.set_read_timeout(Some(10 * second)).unwrap();
            (TcpStream::from(ours), peer)
        };
        let (mut plain, _there) = accept(false);
        let (mut silent, _vanished) = accept(true);
        let (mut sent_to, _vanished_too) = accept(true);
        assert!(set_loopback("down"));
        sent_to.write_all(b"an answer").unwrap();
        let ends = |stream: &mut TcpStream| stream.read(&mut [0; 8]).unwrap_err().kind();
        for stream in [&mut silent, &mut sent_to] {
            let began = Instant::now();
            assert_eq!(ends(stream), io::ErrorKind::TimedOut);
            assert!(began.elapsed() < 8 * second);
        }
        assert_eq!(
            ends(&mut plain),
            io::ErrorKind::WouldBlock,
            "nobody looks after it"
        );
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
        assert_eq!(bound.addrs[0].cores, [addr]);
        gone.join().unwrap();
    }
}
