//! Two cores on one disk in memory, driven without a runtime: frames in, frames out.

mod steps;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::BytesMut;
use leveret_broker::core::boundary::{Action, Behaviour, ConnId, Protocol};
use leveret_broker::core::hop::Message;
use leveret_broker::core::observe::{Insight, Question};
use leveret_broker::core::{Core, CoreSettings, KafkaBroker, KafkaSettings, Ports, SLICE};
use leveret_engine::shard::{Shard, ShardSettings};
use leveret_engine::topology::{TopicSettings, Topology, TopologySettings};
use leveret_record::{BatchBuilder, Compression};
use leveret_storage::recovery::{RecoveryConfig, recover};
use leveret_storage::store::StoreConfig;
use leveret_storage::types::{CoreId, Level, Mono, Now, WallMs};
use leveret_testkit::device::Device;
use leveret_testkit::disk::Pool;
use leveret_wire::native::{
    CorrelationId, CreateTopic, Encoder, FrameHeader, FrameLimits, Hello, Items, Kind, Offset,
    PartitionId, Produce, Request, Response, Subscribe, SubscribePartition, TopicId,
};

use super::came::Came;
use super::peer::{Finished, Peer};

/// Longest batch, bytes.
pub(crate) const MAX_BATCH: usize = 64 << 10;
/// Most bytes of answers that a connection may have unsent.
pub(crate) const RESPONSES: usize = 256 << 10;
/// Bytes that requests may hold.
const REQUESTS: usize = 4 << 20;
const CORES: u16 = 2;
/// Waiting readers that a core looks at in a turn, where it does work in slices.
pub(crate) const WOKEN: usize = 256;

/// See the module.
pub(crate) struct World {
    cores: Vec<Core<Pool>>,
    /// The disk under both cores; what waits for it is told apart by the core.
    pub(crate) disk: Device<usize>,
    mesh: VecDeque<(u16, CoreId, Message)>,
    peers: BTreeMap<(usize, ConnId), Peer>,
    /// Those that their core closed.
    closed: BTreeMap<(usize, ConnId), Peer>,
    now: Mono,
    slots: u32,
}

/// A core's number and its connection.
pub(crate) type Conn = (usize, ConnId);

fn settings(slice: usize, auto_create: bool, request_bytes: usize) -> CoreSettings {
    CoreSettings {
        cores: CORES,
        cpu: 0,
        max_batch_bytes: MAX_BATCH as u32,
        request_bytes,
        response_bytes: RESPONSES,
        answers_bytes: 8 * RESPONSES,
        slice,
        cache_bytes: 1 << 20,
        hello_ns: 10_000_000_000,
        idle_ns: 600_000_000_000,
        hello_max: 1000,
        kafka: KafkaSettings {
            brokers: Arc::from([KafkaBroker {
                node: 1,
                host: "127.0.0.1".to_owned(),
                port: 9092,
            }]),
            auto_create,
            auto_create_limit: 16,
            partitions: 1,
            request_bytes: 4 << 20,
            config: Arc::from([]),
        },
        ports: Ports::default(),
        data_dir: Arc::from("memory"),
        true_level: Level::Synced,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_slice(SLICE)
    }

    /// With cores that do so much work before they look at others.
    pub(crate) fn with_slice(slice: usize) -> Self {
        Self::with(slice, false)
    }

    /// Likewise, and topics are made when somebody asks for them, or not.
    pub(crate) fn with(slice: usize, auto_create: bool) -> Self {
        Self::with_settings(|| settings(slice, auto_create, REQUESTS))
    }

    /// With cores of which something is set otherwise.
    pub(crate) fn with_changed(change: impl Fn(&mut CoreSettings)) -> Self {
        Self::with_settings(|| {
            let mut settings = settings(SLICE, false, REQUESTS);
            change(&mut settings);
            settings
        })
    }

    /// With cores that have so much memory for requests.
    pub(crate) fn with_memory(request_bytes: usize) -> Self {
        Self::with_settings(|| settings(SLICE, false, request_bytes))
    }

    /// With cores that may hold so many bytes of answers.
    pub(crate) fn with_answers(answers_bytes: usize) -> Self {
        Self::with_settings(|| CoreSettings {
            answers_bytes,
            ..settings(SLICE, false, REQUESTS)
        })
    }

    fn with_settings(settings: impl Fn() -> CoreSettings) -> Self {
        let woken = match settings().slice {
            usize::MAX => usize::MAX,
            _ => WOKEN,
        };
        let mut config = RecoveryConfig {
            cores: CORES,
            ..RecoveryConfig::default()
        };
        config.geometry.file_bytes = 1 << 20;
        config.geometry.files = 4;
        config.geometry.max_commit_bytes = 256 << 10;
        let mut disk = Device::default();
        let mut recovery = recover(config, Pool);
        let recovered = loop {
            if let Some(result) = recovery.poll_result() {
                break result.expect("an empty disk");
            }
            let (id, op) = recovery.poll_op().expect("it waits for its reads only");
            recovery.handle_completion(id, disk.run(op));
        };
        let topics = TopologySettings {
            defaults: TopicSettings {
                max_message_bytes: MAX_BATCH as u32,
                ..TopicSettings::default()
            },
            ..TopologySettings::default()
        };
        let topology = Topology::recovered(&recovered, topics).expect("empty");
        let now = Mono(1);
        let cores = (0..CORES).zip(recovered.cores).map(|(id, core)| {
            let store = StoreConfig {
                max_commit_bytes: 256 << 10,
                prefill: false,
                ..StoreConfig::default()
            };
            let shard = ShardSettings {
                woken,
                ..ShardSettings::default()
            };
            let shard = Shard::open(shard, store, Pool, core, &topology, at(now));
            let shard = shard.expect("an empty shard");
            Core::new(CoreId(id), settings(), shard, topology.clone(), at(now))
        });
        let mut world = Self {
            cores: cores.collect(),
            disk,
            mesh: VecDeque::new(),
            peers: BTreeMap::new(),
            closed: BTreeMap::new(),
            now,
            slots: 0,
        };
        world.turn();
        world
    }

    /// The cores, for a test of the crate itself to set what nobody else can.
    #[allow(dead_code, reason = "only tests of the crate itself need it")]
    pub(crate) fn cores_mut(&mut self) -> impl Iterator<Item = &mut Core<Pool>> {
        self.cores.iter_mut()
    }

    /// A connection of that core that has said hello.
    pub(crate) fn connect(&mut self, core: usize) -> Conn {
        let conn = self.connect_silent(core, Protocol::Native);
        let hello = Request::Hello(Hello {
            min_version: 1,
            max_version: 1,
            client_name: "test",
            client_version: "1",
            core: None,
        });
        self.ask(conn, 0, &hello);
        self.came(conn);
        conn
    }

    /// A connection of that core that has said nothing.
    pub(crate) fn connect_silent(&mut self, core: usize, protocol: Protocol) -> Conn {
        let id = ConnId {
            slot: self.slots,
            generation: 1,
        };
        self.slots += 1;
        self.peers.insert((core, id), Peer::default());
        let peer = "127.0.0.1:9".parse().expect("an address");
        self.cores[core].handle_accept(id, protocol, peer, at(self.now));
        self.turn();
        (core, id)
    }

    /// The peer sends bytes, which are taken as far as the core lets them in.
    pub(crate) fn offer(&mut self, conn: Conn, bytes: &[u8]) {
        let peer = self.peers.get_mut(&conn).expect("open");
        peer.send(bytes, self.now);
        self.turn();
    }

    /// Whether the core takes nothing of the connection.
    pub(crate) fn is_paused(&self, conn: Conn) -> bool {
        self.peers[&conn].paused
    }

    /// The peer sends no more, and goes on reading.
    pub(crate) fn finish(&mut self, conn: Conn) {
        self.peers.get_mut(&conn).expect("open").finished = Finished::Yes;
        self.turn();
    }

    pub(crate) fn is_open(&self, conn: Conn) -> bool {
        self.peers.contains_key(&conn)
    }

    /// Lets time pass, with everything that is due in it.
    pub(crate) fn pass(&mut self, nanoseconds: u64) {
        let until = self.now.after(nanoseconds);
        loop {
            let timeouts = self.cores.iter().filter_map(Behaviour::poll_timeout);
            let Some(due) = timeouts.min().filter(|due| *due <= until) else {
                break;
            };
            self.now = self.now.max(due);
            for core in 0..self.cores.len() {
                if self.cores[core]
                    .poll_timeout()
                    .is_some_and(|at| at <= self.now)
                {
                    self.cores[core].handle_timeout(at(self.now));
                    self.turn();
                }
            }
        }
        self.now = until;
    }

    /// What the core tells somebody who asks.
    pub(crate) fn tell(&mut self, core: usize, question: Question) -> Insight {
        self.cores[core].observe(question, at(self.now))
    }

    pub(crate) fn hang_up(&mut self, conn: Conn) {
        self.peers.remove(&conn);
        self.cores[conn.0].handle_disconnected(conn.1, at(self.now));
        self.turn();
    }

    pub(crate) fn ask(&mut self, conn: Conn, correlation: u64, request: &Request<'_>) {
        self.send(conn, correlation, request, &[]);
    }

    /// A request in a frame.
    pub(crate) fn frame(correlation: u64, request: &Request<'_>) -> Vec<u8> {
        let mut frame = BytesMut::new();
        Encoder::new().request(&mut frame, CorrelationId(correlation), request, 0);
        frame.to_vec()
    }

    fn send(&mut self, conn: Conn, correlation: u64, request: &Request<'_>, payload: &[u8]) {
        let mut frame = BytesMut::new();
        Encoder::new().request(
            &mut frame,
            CorrelationId(correlation),
            request,
            payload.len(),
        );
        frame.extend_from_slice(payload);
        for piece in frame.chunks(16 << 10) {
            self.cores[conn.0].handle_received(conn.1, piece, at(self.now));
            self.turn();
        }
    }

    /// The frames that the peer has taken.
    pub(crate) fn came(&mut self, conn: Conn) -> Vec<Came> {
        let peer = self.peers.get_mut(&conn);
        let peer = peer.or(self.closed.get_mut(&conn)).expect("known");
        peer.received.append(&mut peer.out);
        let limits = FrameLimits::for_responses(64 << 20);
        let mut frames = Vec::new();
        let mut rest = &peer.received[..];
        while let Some(header) = FrameHeader::parse(rest, &limits).expect("frames") {
            if header.frame_len() > rest.len() {
                break;
            }
            frames.push(Came {
                kind: Kind::from_u16(header.kind).expect("a known kind"),
                correlation: header.correlation.0,
                header: rest[header.header_range()].to_vec(),
                payload: rest[header.payload_range()].to_vec(),
            });
            rest = &rest[header.frame_len()..];
        }
        peer.received = rest.to_vec();
        frames
    }

    /// What the peer has taken, whatever it is.
    pub(crate) fn bytes(&mut self, conn: Conn) -> Vec<u8> {
        let peer = self.peers.get_mut(&conn);
        let peer = peer.or(self.closed.get_mut(&conn)).expect("known");
        std::mem::take(&mut peer.out)
    }

    /// The request for a topic at the broker's defaults.
    pub(crate) fn create_frame(name: &str, partitions: u32) -> Vec<u8> {
        let create = CreateTopic {
            name,
            partitions,
            level: None,
            retention_bytes: None,
            retention_ms: None,
            config: Vec::new(),
        };
        Self::frame(1, &Request::CreateTopic(create))
    }

    /// A topic whose partitions live on both cores in turn.
    pub(crate) fn create(&mut self, name: &str, partitions: u32) -> TopicId {
        let conn = self.connect(0);
        self.offer(conn, &Self::create_frame(name, partitions));
        let came = self.came(conn);
        let Ok(Response::CreateTopic(created)) = came[0].response() else {
            panic!("{came:?}");
        };
        self.hang_up(conn);
        created.topic_id
    }

    pub(crate) fn delete(&mut self, name: &str) {
        let conn = self.connect(0);
        self.ask(conn, 1, &Request::DeleteTopic(name));
        assert_eq!(self.came(conn)[0].kind, Kind::DeleteTopicOk);
        self.hang_up(conn);
    }

    /// Appends a batch of one record of that many bytes, and waits for nothing.
    pub(crate) fn produce(&mut self, topic_id: TopicId, partition: u32, len: usize) -> Conn {
        self.produce_within(topic_id, partition, len, 0)
    }

    /// Likewise, and is told so if that takes longer than so many milliseconds.
    pub(crate) fn produce_within(
        &mut self,
        topic_id: TopicId,
        partition: u32,
        len: usize,
        timeout_ms: u32,
    ) -> Conn {
        let conn = self.connect(1);
        // A body above 16 KiB is received into place.
        let frame = Self::produce_frame(topic_id, partition, len, timeout_ms);
        self.offer(conn, &frame);
        conn
    }

    /// The request for that.
    pub(crate) fn produce_frame(
        topic_id: TopicId,
        partition: u32,
        len: usize,
        timeout_ms: u32,
    ) -> Vec<u8> {
        let produce = Produce {
            topic_id,
            partition: PartitionId(partition),
            level: None,
            timeout_ms,
        };
        let mut builder = BatchBuilder::new(Compression::None);
        let value = vec![b'v'; len];
        builder.push(1, None, Some(&value), &[]).expect("small");
        let batch = builder.finish();
        let mut frame = BytesMut::new();
        let request = Request::Produce(produce);
        Encoder::new().request(&mut frame, CorrelationId(1), &request, batch.len());
        frame.extend_from_slice(&batch);
        frame.to_vec()
    }

    pub(crate) fn subscribe(
        &mut self,
        conn: Conn,
        correlation: u64,
        credit: u64,
        partitions: &[SubscribePartition],
    ) {
        let subscribe = Subscribe {
            credit,
            partitions: Items::from(partitions),
        };
        self.ask(conn, correlation, &Request::Subscribe(subscribe));
    }

    pub(crate) fn stop(&mut self) {
        for core in 0..self.cores.len() {
            self.cores[core].handle_stop(at(self.now));
            self.turn();
        }
    }

    /// Everything that can happen without time passing.
    pub(crate) fn turn(&mut self) {
        loop {
            let mut busy = false;
            for core in 0..self.cores.len() {
                while let Some(action) = self.cores[core].poll_action() {
                    busy = true;
                    self.carry_out(core, action);
                }
            }
            while let Some((core, id, result)) = self.disk.complete() {
                busy = true;
                self.cores[core].handle_completion(id, result, at(self.now));
            }
            if let Some((from, to, message)) = self.mesh.pop_front() {
                busy = true;
                let core = &mut self.cores[usize::from(to.0)];
                core.handle_mesh(CoreId(from), message, at(self.now));
            }
            let waiting = self.peers.iter_mut();
            let mut waiting = waiting.filter(|(_, peer)| !peer.stalled && !peer.queue.is_empty());
            if let Some((&(core, conn), peer)) = waiting.next() {
                busy = true;
                let bytes = peer.queue.pop_front().expect("not empty");
                peer.out.extend_from_slice(&bytes);
                peer.took += bytes.len() as u64;
                self.cores[core].handle_sent(conn, bytes.len(), at(self.now));
            }
            busy |= self.deliver() || self.tell_there() || self.tell_ends() || self.fire_timers();
            if !busy {
                return;
            }
        }
    }

    /// Calls a core that has something due. Whether there was one.
    fn fire_timers(&mut self) -> bool {
        let now = self.now;
        let due = |core: &Core<Pool>| core.poll_timeout().is_some_and(|at| at <= now);
        let core = self.cores.iter_mut().find(|core| due(core));
        let Some(core) = core else { return false };
        core.handle_timeout(at(now));
        true
    }

    /// Gives a core what one of its peers has sent. Whether there was something.
    fn deliver(&mut self) -> bool {
        let mut peers = self.peers.iter_mut();
        let waits = |peer: &Peer| !peer.paused && !peer.offered.is_empty();
        let Some((&(core, conn), peer)) = peers.find(|(_, peer)| waits(peer)) else {
            return false;
        };
        let now = at(self.now);
        let most = peer.into.as_ref().map_or(16 << 10, |(_, missing)| *missing);
        let len = most.min(peer.offered.len());
        let bytes: Vec<u8> = peer.offered.drain(..len).collect();
        match peer.into.take() {
            None => self.cores[core].handle_received(conn, &bytes, now),
            Some((mut body, missing)) => {
                body.extend_from_slice(&bytes);
                if len == missing {
                    self.cores[core].handle_body(conn, body, now);
                } else {
                    peer.into = Some((body, missing - len));
                }
            }
        }
        true
    }

    /// Tells a core that what it awaits is there, or will not be. Whether there was something.
    fn tell_there(&mut self) -> bool {
        for (&(core, conn), peer) in &mut self.peers {
            let ends = peer.finished != Finished::No;
            let there = |len: &mut usize| ends || peer.offered.len() >= *len;
            let Some(len) = peer.awaited.take_if(there) else {
                continue;
            };
            let whole = peer.offered.len() >= len;
            self.cores[core].handle_there(conn, whole, at(self.now));
            return true;
        }
        false
    }

    /// Tells a core that a peer sends no more. Whether there was one.
    fn tell_ends(&mut self) -> bool {
        for (&(core, conn), peer) in &mut self.peers {
            let rest = !peer.offered.is_empty();
            match peer.finished {
                Finished::Yes if rest => {
                    peer.finished = Finished::Seen;
                    self.cores[core].handle_input_closes(conn, at(self.now));
                }
                Finished::Yes | Finished::Seen if !rest => {
                    peer.finished = Finished::Told;
                    self.cores[core].handle_input_ended(conn, at(self.now));
                }
                _ => continue,
            }
            return true;
        }
        false
    }

    fn carry_out(&mut self, core: usize, action: Action<Vec<u8>, Message>) {
        match action {
            Action::Disk(id, op) => self.disk.submit(core, id, op),
            Action::Send { conn, bytes } => {
                if let Some(peer) = self.peers.get_mut(&(core, conn)) {
                    peer.queue.push_back(bytes);
                }
            }
            Action::Mesh { to, message } => {
                let from = u16::try_from(core).expect("few");
                self.mesh.push_back((from, to, message));
            }
            Action::Await { conn, len } => {
                let peer = self.peers.get_mut(&(core, conn));
                peer.expect("open").awaited = Some(len);
            }
            Action::Measure(conn) => {
                let peer = self.peers.get(&(core, conn));
                if let Some(inflow) = peer.map(|peer| peer.inflow(self.now)) {
                    self.cores[core].handle_inflow(conn, inflow, at(self.now));
                }
            }
            Action::Pause(conn) => self.set_paused((core, conn), true),
            Action::Resume(conn) => self.set_paused((core, conn), false),
            Action::Receive { conn, into, len } => {
                let peer = self.peers.get_mut(&(core, conn));
                peer.expect("open").into = Some((into, len));
            }
            Action::MeasureTaken(conn) => {
                if let Some(peer) = self.peers.get(&(core, conn)) {
                    let (took, more) = (peer.took, !peer.queue.is_empty());
                    self.cores[core].handle_taken(conn, took, more, at(self.now));
                }
            }
            Action::Close(conn) => {
                if let Some(peer) = self.peers.get_mut(&(core, conn))
                    && !peer.stalled
                {
                    let last = std::mem::take(&mut peer.queue);
                    last.iter()
                        .for_each(|bytes| peer.out.extend_from_slice(bytes));
                }
                self.end((core, conn));
            }
            Action::Drop(conn) => self.end((core, conn)),
            Action::Stopped => {}
            Action::HandOver { .. } | Action::Fatal(_) => {
                panic!("not in these tests: {action:?}")
            }
        }
    }
}

pub(crate) fn partition(topic: TopicId, partition: u32, offset: u64) -> SubscribePartition {
    SubscribePartition {
        topic_id: topic,
        partition: PartitionId(partition),
        offset: Offset(offset),
        max_bytes: 1 << 20,
    }
}

fn at(mono: Mono) -> Now {
    Now {
        mono,
        wall: WallMs(1_700_000_000_000 + (mono.0 / 1_000_000) as i64),
    }
}
