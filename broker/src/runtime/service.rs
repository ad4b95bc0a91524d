//! What a service manager (systemd with `Type=notify`) wants to hear: that the broker serves,
//! that it stops, and regularly that every core still turns. One datagram each, to the socket
//! that `NOTIFY_SOCKET` names (sd_notify(3)); without it nobody is told anything.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use leveret_storage::types::Mono;

use super::shared::Shared;
use std::sync::atomic::Ordering;

/// Tells the service manager, if there is one.
pub(super) struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often to say that all is well, nanoseconds.
    every: Option<u64>,
    next: Mono,
    /// The cores' turns when that was said last.
    turns: Vec<u64>,
    refused: bool,
}

impl ServiceManager {
    /// As the environment says. A manager that cannot be told is no reason not to serve.
    pub(super) fn from_environment(cores: usize) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let socket = variable("NOTIFY_SOCKET").and_then(|path| match connect(&path) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%error, "NOTIFY_SOCKET cannot be used");
                None
            }
        });
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let every = number("WATCHDOG_USEC").filter(|usec| for_us && *usec > 0);
        Self {
            socket,
            // Three times in the interval, so that one may be late.
            every: every.map(|usec| usec.saturating_mul(1000) / 3),
            next: Mono(0),
            turns: vec![0; cores],
            refused: false,
        }
    }

    /// Every core accepts connections.
    pub(super) fn ready(&mut self) {
        let pid = std::process::id();
        self.tell(&format!("READY=1\nMAINPID={pid}\nSTATUS=serving\n"));
    }

    /// The graceful stop has begun.
    pub(super) fn stopping(&mut self) {
        self.tell("STOPPING=1\nSTATUS=stopping\n");
    }

    /// Says that all is well if that is due and true: every core has moved since it was said
    /// last, or has no reason to.
    pub(super) fn vouch(&mut self, shared: &Shared, now: Mono) {
        let Some(every) = self.every.filter(|_| now >= self.next) else {
            return;
        };
        let turns = |core: &super::wake::CoreSignal| core.turns.load(Ordering::Relaxed);
        let well = shared
            .signals
            .iter()
            .zip(&self.turns)
            .all(|(core, before)| turns(core) != *before || !core.is_overdue(now.0));
        if !well {
            return;
        }
        self.next = now.after(every);
        for (core, before) in shared.signals.iter().zip(&mut self.turns) {
            *before = turns(core);
        }
        self.tell("WATCHDOG=1\n");
    }

    fn tell(&mut self, what: &str) {
        let Some((socket, address)) = &self.socket else {
            return;
        };
        match socket.send_to_addr(what.as_bytes(), address) {
            Ok(_) => self.refused = false,
            Err(error) => {
                if !std::mem::replace(&mut self.refused, true) {
                    tracing::warn!(%error, "the service manager cannot be told: {}", what.trim());
                }
            }
        }
    }
}

/// A path, or with `@` before it a name in the abstract namespace.
fn connect(path: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager(name: &str, every: Option<u64>) -> (ServiceManager, UnixDatagram) {
        let name = format!("leveret-test-{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let heard = UnixDatagram::bind_addr(&address).unwrap();
        heard.set_nonblocking(true).unwrap();
        let manager = ServiceManager {
            socket: Some(connect(OsStr::new(&format!("@{name}"))).unwrap()),
            every,
            next: Mono(0),
            turns: vec![0; 2],
            refused: false,
        };
        (manager, heard)
    }

    fn hear(socket: &UnixDatagram) -> Option<String> {
        let mut buffer = [0; 256];
        let len = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..len].to_vec()).unwrap())
    }

    #[test]
    fn readiness_and_stop_are_told_by_their_words() {
        let (mut manager, heard) = manager("words", None);
        manager.ready();
        assert!(hear(&heard).unwrap().starts_with("READY=1\n"));
        manager.stopping();
        assert!(hear(&heard).unwrap().starts_with("STOPPING=1\n"));
        drop(heard);
        manager.ready();
        assert!(manager.refused, "a manager that is gone is no error");
    }

    #[test]
    fn a_core_that_stands_still_is_not_vouched_for() {
        let (mut manager, heard) = manager("vouch", Some(10));
        let shared = Shared::new(2).unwrap();
        let asleep = |core: usize| shared.signals[core].prepare_sleep(u64::MAX);
        (0..2).for_each(asleep);
        manager.vouch(&shared, Mono(1));
        assert_eq!(hear(&heard).as_deref(), Some("WATCHDOG=1\n"), "both sleep");
        manager.vouch(&shared, Mono(5));
        assert_eq!(hear(&heard), None, "not due");
        shared.signals[0].begin_turn();
        manager.vouch(&shared, Mono(11));
        assert_eq!(hear(&heard).as_deref(), Some("WATCHDOG=1\n"), "it moved");
        manager.vouch(&shared, Mono(22));
        assert_eq!(hear(&heard), None, "the same turn for a whole interval");
        asleep(0);
        manager.vouch(&shared, Mono(23));
        assert_eq!(hear(&heard).as_deref(), Some("WATCHDOG=1\n"), "well again");
    }
}
