//! A producer's connections: the first, and one for each core that owns what it sends.
//!
//! Which there are, and what goes over which, is decided by [`Routes`]; this opens them and knows
//! of each whether it is silent. They end together: when one has failed, all are left.

use std::time::Duration;

use bytes::Bytes;
use leveret_wire::native::Request;

use super::client::Client;
use super::connection::Connection;
use super::rt::{Instant, mpsc};
use crate::core::{Frame, RequestId, Route, Routes};
use crate::{Error, Result};

/// Bits of an answer's number that say which link it came by.
const LINK_BITS: u32 = 16;

/// See the module.
pub(super) struct Links {
    client: Client,
    routes: Routes,
    /// The first connection is the first; at most one more for each core.
    links: Vec<Link>,
}

struct Link {
    connection: Connection,
    in_flight: usize,
    /// When it last was not silent.
    progress: Instant,
}

impl Links {
    pub(super) fn new(client: &Client, first: Connection) -> Self {
        Self {
            routes: Routes::new(first.server(), client.options().connection_per_core),
            client: client.clone(),
            links: vec![Link::new(first)],
        }
    }

    /// Sends a request about what `core` owns, if it is about any core's, over the connection that
    /// is the nearest; its answer goes to `queue`, with a number for [`answered`](Self::answered).
    pub(super) async fn send(
        &mut self,
        core: Option<u16>,
        request: &Request<'_>,
        payload: Bytes,
        queue: &mpsc::UnboundedSender<(u64, Result<Frame>)>,
        id: RequestId,
    ) -> Result<()> {
        let index = self.choose(core).await;
        let link = &mut self.links[index];
        let number = id.0 << LINK_BITS | index as u64;
        link.connection
            .send_numbered(request, payload, queue, number)
            .await?;
        if link.in_flight == 0 {
            link.progress = Instant::now();
        }
        link.in_flight += 1;
        Ok(())
    }

    /// The request that an answer with this number is to.
    pub(super) fn answered(&mut self, number: u64) -> RequestId {
        let index = usize::try_from(number % (1 << LINK_BITS)).expect("16 bits");
        let link = &mut self.links[index];
        link.in_flight -= 1;
        link.progress = Instant::now();
        RequestId(number >> LINK_BITS)
    }

    /// Why a connection has failed, if one has.
    pub(super) fn failure(&self) -> Option<Error> {
        self.links.iter().find_map(|link| link.connection.failure())
    }

    /// When one that has requests in flight will have been silent for too long.
    pub(super) fn silent_at(&self) -> Option<Instant> {
        let patience: Duration = self.client.options().request_timeout;
        let waiting = self.links.iter().filter(|link| link.in_flight > 0);
        waiting.map(|link| link.progress + patience).min()
    }

    async fn choose(&mut self, core: Option<u16>) -> usize {
        loop {
            match self.routes.route(core) {
                Route::First => return 0,
                Route::Core(core) => {
                    let served = |link: &Link| link.connection.server().core == core;
                    let found = self.links.iter().position(served);
                    return found.expect("a route leads to an open connection");
                }
                Route::Open(core) => self.open(core).await,
            }
        }
    }

    /// Opens the connection to a core. If there is none to be had, the first does, and shows
    /// itself whether the broker is there.
    async fn open(&mut self, core: u16) {
        let opened = self.client.open_connection_for(Some(core)).await;
        let server = opened.as_ref().ok().map(Connection::server);
        let there = self.routes.handle_opened(core, server);
        match opened {
            Ok(connection) if there => self.links.push(Link::new(connection)),
            Ok(_) => tracing::debug!(core, "the broker serves the connection on another core"),
            Err(error) => tracing::debug!(core, %error, "no connection to the core"),
        }
    }
}

impl Link {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            in_flight: 0,
            progress: Instant::now(),
        }
    }
}
