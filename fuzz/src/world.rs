//! One core of the broker on a disk in memory, driven without a runtime: bytes in, bytes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use leveret_broker::core::boundary::{Action, Behaviour, ConnId, Protocol};
use leveret_broker::core::{Core, CoreSettings, KafkaBroker, KafkaSettings, Ports};
use leveret_engine::shard::{Shard, ShardSettings};
use leveret_engine::topology::{TopicSettings, Topology, TopologySettings};
use leveret_storage::class::Classes;
use leveret_storage::recovery::{RecoveryConfig, recover};
use leveret_storage::store::StoreConfig;
use leveret_storage::types::{CoreId, Level, Mono, Now, WallMs};

use leveret_testkit::disk::{Disk, Pool};

/// Longest batch that is taken, bytes.
pub(crate) const MAX_BATCH: usize = 64 << 10;
/// Budget of requests under way, bytes.
pub(crate) const REQUESTS: usize = 256 << 10;
/// Budget of one connection's answers, bytes.
pub(crate) const RESPONSES: usize = 128 << 10;
/// Budget of the newest records, bytes.
pub(crate) const CACHE: usize = 64 << 10;

#[derive(Default)]
struct Conn {
    /// Sent by the peer, not delivered yet.
    waiting: Vec<u8>,
    paused: bool,
    /// A body that is being received into place, and how much is missing.
    into: Option<(BytesMut, usize)>,
    open: bool,
    out: Vec<u8>,
}

/// See the module.
pub(crate) struct World {
    core: Core<Pool>,
    /// What the core has written.
    pub(crate) disk: Disk,
    now: Mono,
    conns: BTreeMap<ConnId, Conn>,
    slots: u32,
}

/// A ring that is small, so that it laps, and settings to match.
fn recovery_config() -> RecoveryConfig {
    let mut config = RecoveryConfig {
        salt: 77,
        segment_bytes: 64 << 10,
        span_bytes: 4 << 10,
        cache_bytes: 64 << 10,
        segment_threshold: 16 << 10,
        ..RecoveryConfig::default()
    };
    config.geometry.file_bytes = 128 << 10;
    config.geometry.files = 4;
    config.geometry.max_commit_bytes = 96 << 10;
    config.geometry.in_flight = 2;
    config
}

fn store_config() -> StoreConfig {
    StoreConfig {
        max_commit_bytes: 96 << 10,
        commits_in_flight: 2,
        classes: Classes::default().with_bulk_from(24 << 10),
        write_behind_bytes: 12 << 10,
        backlog_bytes: 48 << 10,
        copy_forward_bytes: 4 << 10,
        span_bytes: 4 << 10,
        max_entry_bytes: MAX_BATCH,
        tail_cache_bytes: CACHE,
        span_cache_bytes: 32 << 10,
        index_cache_bytes: 4 << 10,
        read_bytes: 32 << 10,
        reads_in_flight_bytes: 32 << 10,
        inline_snapshot_bytes: 512,
        ..StoreConfig::default()
    }
}

impl World {
    /// Recovers what is on the disk and starts a core over it.
    ///
    /// # Errors
    /// What keeps it from starting, told as recovery tells it.
    pub(crate) fn start(mut disk: Disk) -> Result<Self, String> {
        let recovered = disk.drive(recover(recovery_config(), Pool));
        let recovered = recovered.ok_or("recovery waits for nothing and has not ended")?;
        let recovered = recovered.map_err(|error| error.to_string())?;
        let topics = TopologySettings {
            partitions_per_topic: 16,
            partitions: 500,
            defaults: TopicSettings {
                max_message_bytes: MAX_BATCH as u32,
                max_message_limit: MAX_BATCH as u32,
                segment_bytes: 64 << 10,
                retention_ms: None,
                ..TopicSettings::default()
            },
        };
        let topology =
            Topology::recovered(&recovered, topics).map_err(|error| error.to_string())?;
        let now = Mono(1);
        let shard = ShardSettings {
            topics: topics.defaults,
            ..ShardSettings::default()
        };
        let core = recovered.cores.into_iter().next().expect("one core");
        let shard = Shard::open(shard, store_config(), Pool, core, &topology, at(now))
            .map_err(|error| error.to_string())?;
        let settings = CoreSettings {
            cores: 1,
            cpu: 0,
            max_batch_bytes: MAX_BATCH as u32,
            request_bytes: REQUESTS,
            response_bytes: RESPONSES,
            answers_bytes: 8 * RESPONSES,
            // Little, so that peers often stand in line.
            slice: 4 << 10,
            cache_bytes: CACHE,
            hello_ns: 10_000_000_000,
            idle_ns: 600_000_000_000,
            hello_max: 1000,
            kafka: KafkaSettings {
                brokers: Arc::from([KafkaBroker {
                    node: 1,
                    host: "127.0.0.1".to_owned(),
                    port: 9092,
                }]),
                auto_create: true,
                auto_create_limit: 16,
                partitions: 1,
                request_bytes: 128 << 10,
                config: Arc::from([]),
            },
            ports: Ports::default(),
            data_dir: Arc::from("memory"),
            true_level: Level::Synced,
        };
        let mut world = Self {
            core: Core::new(CoreId(0), settings, shard, topology, at(now)),
            disk,
            now,
            conns: BTreeMap::new(),
            slots: 0,
        };
        world.turn();
        Ok(world)
    }

    /// A new connection.
    pub(crate) fn connect(&mut self, protocol: Protocol) -> ConnId {
        let conn = ConnId {
            slot: self.slots,
            generation: 1,
        };
        self.slots += 1;
        let open = Conn {
            open: true,
            ..Conn::default()
        };
        self.conns.insert(conn, open);
        let peer = "127.0.0.1:9".parse().expect("an address");
        self.core.handle_accept(conn, protocol, peer, at(self.now));
        self.turn();
        conn
    }

    /// The peer sends bytes, which arrive in pieces of `piece`.
    pub(crate) fn send(&mut self, conn: ConnId, bytes: &[u8], piece: usize) {
        for bytes in bytes.chunks(piece.max(1)) {
            self.conn(conn).waiting.extend_from_slice(bytes);
            self.turn();
        }
    }

    /// The peer goes.
    pub(crate) fn hang_up(&mut self, conn: ConnId) {
        if self.conn(conn).open {
            self.conn(conn).open = false;
            self.core.handle_disconnected(conn, at(self.now));
            self.turn();
        }
        self.conns.remove(&conn);
    }

    /// What the connection was sent so far, and whether it is still open.
    pub(crate) fn received(&mut self, conn: ConnId) -> (Vec<u8>, bool) {
        let conn = self.conn(conn);
        (std::mem::take(&mut conn.out), conn.open)
    }

    /// Lets time pass, with everything that is due in it.
    pub(crate) fn pass(&mut self, nanoseconds: u64) {
        let until = self.now.after(nanoseconds);
        for _ in 0..1000 {
            match self.core.poll_timeout() {
                Some(due) if due <= until => self.now = self.now.max(due),
                _ => break,
            }
            self.core.handle_timeout(at(self.now));
            self.turn();
        }
        self.now = until;
    }

    fn conn(&mut self, conn: ConnId) -> &mut Conn {
        self.conns.get_mut(&conn).expect("a connection of ours")
    }

    /// Carries out what the core asks for, and delivers what waits, until nothing is left.
    fn turn(&mut self) {
        loop {
            while let Some(action) = self.core.poll_action() {
                self.carry_out(action);
            }
            let deliverable = self
                .conns
                .iter_mut()
                .find(|(_, conn)| conn.open && !conn.paused && !conn.waiting.is_empty());
            let now = at(self.now);
            let Some((&id, conn)) = deliverable else {
                if self.core.poll_timeout().is_none_or(|due| due > self.now) {
                    return;
                }
                self.core.handle_timeout(now);
                continue;
            };
            match conn.into.take() {
                Some((mut body, missing)) => {
                    let len = missing.min(conn.waiting.len());
                    body.extend_from_slice(&conn.waiting[..len]);
                    conn.waiting.drain(..len);
                    if len == missing {
                        self.core.handle_body(id, body, now);
                    } else {
                        conn.into = Some((body, missing - len));
                    }
                }
                None => {
                    let bytes = std::mem::take(&mut conn.waiting);
                    let (first, rest) = bytes.split_at(bytes.len().min(16 << 10));
                    conn.waiting = rest.to_vec();
                    self.core.handle_received(id, first, now);
                }
            }
        }
    }

    fn carry_out(&mut self, action: Action<Vec<u8>, <Core<Pool> as Behaviour>::Message>) {
        let now = at(self.now);
        match action {
            Action::Disk(id, op) => {
                let result = self.disk.run(op);
                self.core.handle_completion(id, result, now);
            }
            Action::Send { conn: id, bytes } => {
                if let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.open) {
                    conn.out.extend_from_slice(&bytes);
                    self.core.handle_sent(id, bytes.len(), now);
                }
            }
            Action::Receive { conn, into, len } => {
                if let Some(conn) = self.conns.get_mut(&conn) {
                    assert!(into.capacity() >= into.len() + len, "no room for a body");
                    conn.into = Some((into, len));
                }
            }
            Action::Await { conn: id, .. } => {
                // As where there is no room below the core.
                self.core.handle_there(id, false, now);
            }
            // As where nobody can tell.
            Action::Measure(_) => {}
            Action::Pause(conn) => self.set_paused(conn, true),
            Action::Resume(conn) => self.set_paused(conn, false),
            // Whatever is sent is taken at once.
            Action::MeasureTaken(id) => self.core.handle_taken(id, 0, false, now),
            Action::Close(id) | Action::Drop(id) => {
                if let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.open) {
                    conn.open = false;
                    self.core.handle_disconnected(id, now);
                }
            }
            Action::Mesh { .. } | Action::HandOver { .. } => {
                panic!("something for another core where there is one")
            }
            Action::Fatal(line) => panic!("the core ends on a disk without faults: {line}"),
            Action::Stopped => {}
        }
    }

    fn set_paused(&mut self, conn: ConnId, paused: bool) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.paused = paused;
        }
    }
}

fn at(mono: Mono) -> Now {
    Now {
        mono,
        wall: WallMs(1_700_000_000_000 + (mono.0 / 1_000_000) as i64),
    }
}
