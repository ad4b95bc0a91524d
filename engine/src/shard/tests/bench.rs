//! A shard with its device and its clock, and the batches to put into it.

use bytes::{Bytes, BytesMut};
use leveret_record::{BatchBuilder, Compression, ProducerStamp, batches, records};
use leveret_storage::class::Classes;
use leveret_storage::format::superblock::Geometry;
use leveret_storage::recovery::{self, Recovered, RecoveryConfig};
use leveret_storage::store::StoreConfig;
use leveret_storage::types::{Level, Offset, WallMs};

use super::disk::{Disk, Pool};
use super::*;
use crate::topology::{
    Command, TopicCommand, TopicEntry, Topology, TopologyEntry, TopologySettings,
};

/// One core, as a broker would run it. Partition logs of topic `t` begin at 1.
pub(super) struct Bench {
    pub(super) disk: Disk,
    pub(super) shard: Shard<Pool>,
    pub(super) now: Now,
    pub(super) settings: ShardSettings,
    pub(super) config: StoreConfig,
    next_request: u64,
    pub(super) replies: Vec<(RequestId, Reply)>,
    pub(super) events: Vec<ShardEvent>,
}

pub(super) fn tiny_store() -> StoreConfig {
    StoreConfig {
        classes: Classes::default().with_bulk_from(64 << 10),
        segment_write_bytes: 16 << 10,
        span_bytes: 2 << 10,
        prefill: false,
        disk_floor_bytes: 1 << 20,
        ..StoreConfig::default()
    }
}

impl Bench {
    /// A first start, with topic `t` of so many partitions.
    pub(super) fn new(partitions: u32, level: Level) -> Self {
        Self::with(partitions, level, ShardSettings::default(), tiny_store())
    }

    pub(super) fn with(
        partitions: u32,
        level: Level,
        settings: ShardSettings,
        config: StoreConfig,
    ) -> Self {
        let mut bench = Self::start(Disk::default(), settings, config, Now::default());
        let word = match level {
            Level::Memory => "memory",
            Level::Written => "written",
            Level::Synced => "synced",
        };
        bench.create("t", partitions, &[("durability", word)]);
        bench
    }

    /// Recovers what the disk holds and installs the topics that exist.
    pub(super) fn start(
        mut disk: Disk,
        settings: ShardSettings,
        config: StoreConfig,
        now: Now,
    ) -> Self {
        let recovered = recover(&mut disk);
        let topology = Topology::recovered(&recovered, TopologySettings::default()).unwrap();
        let core = recovered.cores.into_iter().next().unwrap();
        let shard = Shard::open(settings, config.clone(), Pool, core, &topology, now).unwrap();
        let mut bench = Self {
            disk,
            shard,
            now,
            settings,
            config,
            next_request: 0,
            replies: Vec::new(),
            events: Vec::new(),
        };
        bench.run();
        bench
    }

    /// As after `kill -9`: what was under way happens no more.
    pub(super) fn restart(self) -> Self {
        let mut disk = self.disk;
        disk.drop_held();
        Self::start(disk, self.settings, self.config, self.now)
    }

    /// Everything that can happen without time passing.
    pub(super) fn run(&mut self) {
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(
                turns < 100_000,
                "storage never comes to rest: {}",
                self.disk
            );
            while let Some((id, op)) = self.shard.poll_op() {
                turns += 1;
                assert!(turns < 100_000, "storage asks on and on: {}", self.disk);
                self.disk.submit((), id, op);
            }
            if self.shard.has_work() {
                self.shard.handle_timeout(self.now);
                continue;
            }
            let Some(((), id, result)) = self.disk.complete() else {
                break;
            };
            self.shard.handle_completion(id, result, self.now);
        }
        while let Some(reply) = self.shard.poll_reply() {
            self.replies.push(reply);
        }
        while let Some((request, entry)) = self.shard.poll_change() {
            self.replies.push((request, Reply::Topology(entry)));
        }
        while let Some(event) = self.shard.poll_event() {
            self.events.push(event);
        }
    }

    /// The device completes one operation and no more.
    pub(super) fn complete_one(&mut self) {
        self.disk.hold = false;
        let ((), id, result) = self.disk.complete().expect("an operation is under way");
        self.disk.hold = true;
        self.shard.handle_completion(id, result, self.now);
        self.run();
    }

    pub(super) fn wait_ms(&mut self, ms: u64) {
        let end = self.now.mono.after(ms * 1_000_000);
        self.run();
        let mut timeouts = 0;
        while let Some(at) = self.shard.poll_timeout().filter(|at| *at <= end) {
            timeouts += 1;
            assert!(
                timeouts < 100_000,
                "a timeout that is never satisfied: {at:?}"
            );
            self.advance_to(at.max(self.now.mono));
            self.shard.handle_timeout(self.now);
            self.run();
        }
        self.advance_to(end);
        self.run();
    }

    fn advance_to(&mut self, mono: Mono) {
        let ms = (mono.0 / 1_000_000) - (self.now.mono.0 / 1_000_000);
        self.now.wall = WallMs(self.now.wall.0 + ms as i64);
        self.now.mono = mono;
    }

    pub(super) fn request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    /// The reply to a request, if it has left; taken out.
    pub(super) fn reply(&mut self, request: RequestId) -> Option<Reply> {
        let at = self.replies.iter().position(|(id, _)| *id == request)?;
        Some(self.replies.remove(at).1)
    }

    pub(super) fn create(&mut self, name: &str, partitions: u32, config: &[(&str, &str)]) {
        let name = name.parse().unwrap();
        let command = Command::Topic(TopicCommand::Create {
            name,
            partitions,
            config: owned(config),
        });
        let Reply::Topology(TopologyEntry::Topic(TopicEntry::Created(topic))) =
            self.command(&command)
        else {
            panic!("not created");
        };
        for (log, slot) in topic.logs() {
            self.shard.install(log, slot, &topic.config);
        }
    }

    pub(super) fn command(&mut self, command: &Command) -> Reply {
        let request = self.request();
        self.shard.submit(request, command, self.now);
        self.run();
        self.reply(request).expect("a reply")
    }

    /// Sends a batch and does not wait.
    pub(super) fn send(&mut self, log: u64, batch: Bytes, level: Level) -> RequestId {
        let request = self.request();
        let batch = BytesMut::from(&batch[..]);
        self.shard
            .produce(request, LogId(log), batch, level, self.now);
        request
    }

    /// Sends a batch and waits for the reply.
    pub(super) fn produce(&mut self, log: u64, batch: Bytes) -> Reply {
        let request = self.send(log, batch, Level::Synced);
        self.run();
        self.reply(request).expect("a reply")
    }

    /// Asks and does not wait.
    pub(super) fn ask(&mut self, spec: FetchSpec) -> RequestId {
        let request = self.request();
        self.shard.fetch(request, spec, self.now);
        request
    }

    /// What a fetch of one partition gives now.
    pub(super) fn fetch(
        &mut self,
        log: u64,
        offset: u64,
        max_bytes: usize,
    ) -> Result<FetchedRecords, EngineError> {
        let request = self.ask(one(log, offset, max_bytes, 0, 0));
        self.run();
        let Some(Reply::Fetched(mut parts)) = self.reply(request) else {
            panic!("a fetch that need not wait answers");
        };
        assert_eq!(parts.len(), 1);
        parts.remove(0).result
    }

    pub(super) fn find(&mut self, log: u64, spec: OffsetSpec) -> (u64, Option<i64>) {
        let request = self.request();
        self.shard.list_offsets(request, LogId(log), spec, self.now);
        self.run();
        match self.reply(request) {
            Some(Reply::Offset(found)) => (found.offset.0, found.timestamp),
            other => panic!("{other:?}"),
        }
    }
}

/// What the disk holds.
pub(super) fn recover(disk: &mut Disk) -> Recovered {
    let config = RecoveryConfig {
        geometry: Geometry {
            file_bytes: 1 << 20,
            files: 4,
            max_commit_bytes: 256 << 10,
            in_flight: 4,
        },
        segment_threshold: 16 << 10,
        span_bytes: 2 << 10,
        ..RecoveryConfig::default()
    };
    let mut recovery = recovery::recover(config, Pool);
    loop {
        if let Some(result) = recovery.poll_result() {
            return result.expect("an intact disk recovers");
        }
        let (id, op) = recovery
            .poll_op()
            .expect("recovery waits for its reads only");
        let result = disk.run(op);
        recovery.handle_completion(id, result);
    }
}

/// A fetch of one partition.
pub(super) fn one(log: u64, offset: u64, max_bytes: usize, min: usize, wait_ms: u64) -> FetchSpec {
    FetchSpec {
        partitions: vec![part(log, offset, max_bytes)],
        max_bytes,
        min_bytes: min,
        max_wait: wait_ms * 1_000_000,
        work: FetchWork::Read,
    }
}

pub(super) fn part(log: u64, offset: u64, max_bytes: usize) -> FetchPartition {
    FetchPartition {
        log: LogId(log),
        offset: Offset(offset),
        max_bytes,
    }
}

/// A batch of these values, one millisecond apart from `timestamp` on.
pub(super) fn batch_at(timestamp: i64, values: &[&[u8]], codec: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for (n, value) in (0..).zip(values) {
        builder.push(timestamp + n, None, Some(value), &[]).unwrap();
    }
    builder.finish()
}

pub(super) fn batch(values: &[&[u8]]) -> Bytes {
    batch_at(1, values, Compression::None)
}

/// A batch of an idempotent producer.
pub(super) fn stamped(id: i64, base_sequence: i32, values: &[&[u8]]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for value in values {
        builder.push(1, None, Some(value), &[]).unwrap();
    }
    builder.set_producer(ProducerStamp {
        id,
        epoch: 0,
        base_sequence,
    });
    builder.finish()
}

pub(super) fn owned(config: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    config.iter().map(owned).collect()
}

pub(super) fn produced(reply: &Reply) -> (u64, bool) {
    match reply {
        Reply::Produced(produced) => (produced.base_offset.0, produced.duplicate),
        other => panic!("{other:?}"),
    }
}

/// Offset and value of every record.
pub(super) fn contents(records_of: &FetchedRecords) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    let joined = records_of.batches.concat();
    for batch in batches(&joined) {
        let (_, bytes) = batch.unwrap();
        for record in records(bytes, leveret_record::MAX_RECORDS_LEN)
            .unwrap()
            .iter()
        {
            let record = record.unwrap();
            all.push((record.offset as u64, record.value.unwrap().to_vec()));
        }
    }
    all
}
