//! One core without a kernel: a store, or a shard over one, its device and its time.

use bytes::{Bytes, BytesMut};
use leveret_engine::shard::{RequestId, Shard, ShardEvent, ShardSettings};
use leveret_engine::topology::{
    Command, TopicCommand, TopicEntry, Topology, TopologyEntry, TopologySettings,
};
use leveret_storage::format::superblock::Geometry;
use leveret_storage::io::{IoResult, Op, OpId};
use leveret_storage::recovery::{Recovered, RecoveredCore, RecoveryConfig, Summary, recover};
use leveret_storage::store::{Event, LogSettings, NewEntry, Store, StoreConfig};
use leveret_storage::types::{Level, LogId, LogKind, Mono, Now, SlotId, Term, WallMs};

use crate::device::{Asks, Device, Pool};

/// A ring of 64 MiB.
pub(crate) fn recovery_config() -> RecoveryConfig {
    RecoveryConfig {
        geometry: Geometry {
            file_bytes: 8 << 20,
            files: 8,
            max_commit_bytes: 1 << 20,
            in_flight: 4,
        },
        salt: 7,
        ..RecoveryConfig::default()
    }
}

/// As a broker's, but that a run of any length stays small, and that rings are not filled with
/// zeros first.
fn store_config() -> StoreConfig {
    StoreConfig {
        prefill: false,
        tail_cache_bytes: 16 << 20,
        ..StoreConfig::default()
    }
}

/// Core 0 of what the device holds.
pub(crate) fn recovered(device: &mut Device) -> RecoveredCore {
    whole(device).cores.remove(0)
}

/// What recovering it takes.
pub(crate) fn summarized(device: &mut Device) -> Summary {
    whole(device).summary
}

fn whole(device: &mut Device) -> Recovered {
    let task = recover(recovery_config(), device.pool());
    device.drive(task).expect("an intact device recovers")
}

fn start() -> Now {
    Now {
        mono: Mono(1),
        wall: WallMs(1_700_000_000_000),
    }
}

/// Time that a turn takes, as far as the store sees.
const TURN_NS: u64 = 100_000;

fn turn_later(now: Now) -> Now {
    let mono = now.mono.after(TURN_NS);
    let ms = mono.0 / 1_000_000 - now.mono.0 / 1_000_000;
    Now {
        mono,
        wall: WallMs(now.wall.0 + ms as i64),
    }
}

/// A store and its device.
pub(crate) struct StoreCore {
    pub(crate) device: Device,
    store: Store<Pool>,
    now: Now,
}

struct StoreAsks<'a>(&'a mut Store<Pool>, Now);

impl Asks for StoreAsks<'_> {
    fn poll_op(&mut self) -> Option<(OpId, Op<Vec<u8>>)> {
        self.0.poll_op()
    }

    fn handle_completion(&mut self, id: OpId, result: IoResult<Vec<u8>>) {
        self.0.handle_completion(id, result, self.1);
    }
}

impl StoreCore {
    /// A first start with topic logs 1 to `logs`.
    pub(crate) fn new(logs: u64) -> Self {
        let mut device = Device::default();
        let recovered = recovered(&mut device);
        let mut store = Store::open(store_config(), device.pool(), recovered, start());
        for log in 1..=logs {
            store.create_log(
                LogId(log),
                SlotId(0),
                LogKind::Topic,
                LogSettings::default(),
            );
        }
        let mut core = Self {
            device,
            store,
            now: start(),
        };
        core.turn();
        core
    }

    /// Takes an entry of one record in, as durable as can be.
    pub(crate) fn append(&mut self, log: u64, bytes: Bytes) {
        let frontiers = self.store.frontiers(LogId(log)).expect("the log exists");
        let entry = NewEntry {
            term: Term(0),
            time: self.now.wall,
            first_offset: frontiers.ordered.1,
            offsets: 1,
            max_timestamp: self.now.wall.0,
            bytes,
            sum: None,
        };
        let appended = self
            .store
            .append(LogId(log), entry, Level::Synced, self.now);
        if let Err(error) = appended {
            panic!("no room after a turn: {error}; {:?}", self.store.stats());
        }
    }

    /// Operations and completions until there are no more, then what is due, and time passes.
    pub(crate) fn turn(&mut self) {
        self.device.serve(&mut StoreAsks(&mut self.store, self.now));
        while let Some(event) = self.store.poll_event() {
            match event {
                Event::Stopped { reason, .. } | Event::Fatal(reason) => panic!("{reason}"),
                // As of a partition with a few idempotent producers. Without it the journal would
                // have to keep the start of every entry.
                Event::SnapshotWanted { log } => {
                    self.store
                        .put_snapshot(log, Bytes::from_static(&[7; 200]), None);
                }
                _ => {}
            }
        }
        self.now = turn_later(self.now);
        if self
            .store
            .poll_timeout()
            .is_some_and(|at| at <= self.now.mono)
        {
            self.store.handle_timeout(self.now);
        }
    }

    /// Whether everything that the log took in is durable.
    pub(crate) fn is_durable(&self, log: u64) -> bool {
        let frontiers = self.store.frontiers(LogId(log)).expect("the log exists");
        frontiers.durable == frontiers.ordered
    }
}

/// A shard and its device.
pub(crate) struct ShardCore {
    device: Device,
    pub(crate) shard: Shard<Pool>,
    pub(crate) now: Now,
    next_request: u64,
}

struct ShardAsks<'a>(&'a mut Shard<Pool>, Now);

impl Asks for ShardAsks<'_> {
    fn poll_op(&mut self) -> Option<(OpId, Op<Vec<u8>>)> {
        self.0.poll_op()
    }

    fn handle_completion(&mut self, id: OpId, result: IoResult<Vec<u8>>) {
        self.0.handle_completion(id, result, self.1);
    }
}

impl ShardCore {
    /// A first start with one topic, whose partitions are logs 1 to `partitions`. What is written
    /// is forgotten: reads are of the tail.
    pub(crate) fn new(partitions: u32) -> Self {
        let mut device = Device::default();
        let recovered = whole(&mut device);
        let topology = Topology::recovered(&recovered, TopologySettings::default());
        let topology = topology.expect("a first start");
        let recovered = recovered.cores.into_iter().next().expect("one core");
        let pool = device.pool();
        let settings = ShardSettings::default();
        let shard = Shard::open(
            settings,
            store_config(),
            pool,
            recovered,
            &topology,
            start(),
        );
        let mut core = Self {
            device,
            shard: shard.expect("a first start"),
            now: start(),
            next_request: 0,
        };
        core.create(partitions);
        core.device.forget();
        core
    }

    fn create(&mut self, partitions: u32) {
        let command = Command::Topic(TopicCommand::Create {
            name: "bench".parse().expect("a name"),
            partitions,
            config: Vec::new(),
        });
        let request = self.request();
        self.shard.submit(request, &command, self.now);
        self.turn();
        let (_, change) = self.shard.poll_change().expect("an answer");
        let TopologyEntry::Topic(TopicEntry::Created(topic)) = change else {
            panic!("{change:?}");
        };
        for (log, slot) in topic.logs() {
            self.shard.install(log, slot, &topic.config);
        }
        self.turn();
    }

    pub(crate) fn request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    pub(crate) fn produce(&mut self, log: u64, batch: BytesMut) {
        let request = self.request();
        self.shard
            .produce(request, LogId(log), batch, Level::Synced, self.now);
    }

    /// Operations and completions until there are no more, then what is due, and time passes.
    pub(crate) fn turn(&mut self) {
        self.device.serve(&mut ShardAsks(&mut self.shard, self.now));
        while let Some(event) = self.shard.poll_event() {
            assert!(matches!(event, ShardEvent::Flushed), "{event:?}");
        }
        self.now = turn_later(self.now);
        // Replies that nobody has taken are due as well.
        if self
            .shard
            .poll_timeout()
            .is_some_and(|at| at <= self.now.mono)
        {
            self.shard.handle_timeout(self.now);
        }
    }
}
