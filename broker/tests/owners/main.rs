//! A whole broker on two cores: a connection is served by the core that its first frame names,
//! and what is pipelined behind that frame takes effect once and in order.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::BytesMut;
use leveret_broker::config::Settings;
use leveret_broker::runtime::{Exit, RuntimeError, StopHandle};
use leveret_broker::server;
use leveret_client::core::{Frame, FrameBuffer};
use leveret_client::{
    Client, ClientOptions, Compression, ConsumerOptions, NewTopic, PartitionId, ProducerOptions,
    ProducerRecord, StartAt, TopicId,
};
use leveret_record::BatchBuilder;
use leveret_wire::native::{
    CorrelationId, Encoder, FrameLimits, Hello, PROTOCOL_VERSION, Produce, Request, Response,
};

struct Broker {
    native: SocketAddr,
    http: SocketAddr,
    cores: u16,
    stop: StopHandle,
    thread: JoinHandle<Result<Exit, RuntimeError>>,
    dir: PathBuf,
}

impl Broker {
    fn start(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("owners-{name}"));
        let _fresh = std::fs::remove_dir_all(&dir);
        // A machine of one core has nothing to hand over, and the rest holds as well.
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get().min(2));
        let mut settings = Settings::default();
        for assignment in [
            format!("data={}", dir.display()),
            "http.listen=127.0.0.1:0".to_owned(),
            "native.listen=127.0.0.1:0".to_owned(),
            "kafka.listen=off".to_owned(),
            format!("cores={cores}"),
            "journal.bytes=16 MiB".to_owned(),
            "disk.floor.bytes=0".to_owned(),
        ] {
            settings.apply_assignment(&assignment).expect("valid");
        }
        let stop = StopHandle::new().unwrap();
        let handle = stop.clone();
        let (told, ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            server::serve(&settings, &handle, None, |ready, http| {
                told.send((ready.addrs[0].cores[0], http)).unwrap();
            })
        });
        // Long: a machine that is short of CPU may take its time.
        let (native, http) = ready.recv_timeout(Duration::from_secs(120)).expect("ready");
        Self {
            native,
            http: http.expect("HTTP is on"),
            cores: u16::try_from(cores).unwrap(),
            stop,
            thread,
            dir,
        }
    }

    /// The sum over all cores of a metric.
    fn metric(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let lines = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with('{'))
        });
        let values = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
        let values: Vec<u64> = values.collect();
        assert_eq!(values.len(), usize::from(self.cores), "{name}");
        values.iter().sum()
    }

    fn client(&self) -> ClientOptions {
        ClientOptions::new(self.native.to_string())
    }

    fn end(self) {
        self.stop.stop();
        let ended = self.thread.join().expect("no panic").expect("a clean end");
        assert!(ended.served);
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

fn hello(core: Option<u16>) -> Request<'static> {
    Request::Hello(Hello {
        min_version: PROTOCOL_VERSION,
        max_version: PROTOCOL_VERSION,
        client_name: "test",
        client_version: "0",
        core,
    })
}

/// A connection that is spoken to byte by byte.
struct Raw {
    stream: TcpStream,
    buffer: FrameBuffer,
}

impl Raw {
    fn connect(broker: &Broker) -> Self {
        let stream = TcpStream::connect(broker.native).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(120)))
            .unwrap();
        Self {
            stream,
            buffer: FrameBuffer::new(FrameLimits::for_responses(1 << 20)),
        }
    }

    fn receive(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.buffer.next_frame().unwrap() {
                return frame;
            }
            let mut chunk = [0; 4096];
            let len = self.stream.read(&mut chunk).expect("an answer");
            assert!(len > 0, "the connection was closed");
            self.buffer.space().extend_from_slice(&chunk[..len]);
        }
    }

    /// The core that serves it, as `HelloOk` says.
    fn served(&mut self) -> u16 {
        let frame = self.receive();
        match frame.response().unwrap() {
            Response::Hello(ok) => ok.core,
            other => panic!("{other:?}"),
        }
    }
}

/// Bytes that tell where they come from.
fn value(round: usize, number: usize, len: usize) -> Vec<u8> {
    let mut value = format!("{round} {number} ").into_bytes();
    let start = value.len();
    value.extend((start..len).map(|n| (n * 31 + round + number) as u8));
    value
}

fn batch(value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(0, None, Some(value), &[]).unwrap();
    builder.finish().to_vec()
}

/// A new topic with two partitions, and whose they are.
fn create_topic(broker: &Broker) -> (TopicId, Vec<u16>) {
    block_on(async {
        let client = Client::with_options(broker.client()).await.unwrap();
        let admin = client.admin();
        admin.create_topic(&NewTopic::new("t", 2)).await.unwrap();
        let metadata = admin.metadata("t").await.unwrap();
        (metadata.topic_id, metadata.cores)
    })
}

/// Every value of a partition.
async fn values(client: &Client, partition: u32, count: usize) -> Vec<Vec<u8>> {
    let mut consumer = client.consumer(ConsumerOptions::default());
    let partitions = [PartitionId(partition)];
    consumer
        .assign("t", &partitions, StartAt::Beginning)
        .await
        .unwrap();
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let record = consumer.next().await.unwrap().record;
        values.push(record.value.unwrap().to_vec());
    }
    values
}

#[test]
fn what_is_pipelined_behind_the_hello_is_done_once_and_in_order() {
    let broker = Broker::start("pipelined");
    let (topic_id, _) = create_topic(&broker);
    let mut expected = Vec::new();
    for round in 0..120usize {
        let core = u16::try_from(round).unwrap() % broker.cores;
        let mut bytes = BytesMut::new();
        let mut encoder = Encoder::new();
        encoder.request(&mut bytes, CorrelationId(0), &hello(Some(core)), 0);
        let hello_len = bytes.len();
        let lens = [1_000_000, 100, 20_000, 7, 16_300];
        let large = usize::from(round % 6 != 0);
        for (number, len) in lens.iter().enumerate().skip(large) {
            let value = value(round, number, *len);
            let payload = batch(&value);
            let request = Request::Produce(Produce {
                topic_id,
                partition: PartitionId(0),
                level: None,
                timeout_ms: 0,
            });
            let correlation = CorrelationId(number as u64 + 1);
            encoder.request(&mut bytes, correlation, &request, payload.len());
            bytes.extend_from_slice(&payload);
            expected.push(value);
        }
        let mut raw = Raw::connect(&broker);
        let mut writer = raw.stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            // All at once; byte by byte; the first frame alone, or with a little of the next.
            let ends: Vec<usize> = match round % 4 {
                0 => vec![],
                1 => (1..hello_len + 40).collect(),
                2 => vec![hello_len],
                _ => vec![hello_len / 2, hello_len + round],
            };
            let mut sent = 0;
            for end in ends {
                writer.write_all(&bytes[sent..end]).unwrap();
                sent = end;
            }
            writer.write_all(&bytes[sent..]).unwrap();
        });
        assert_eq!(raw.served(), core, "round {round}");
        for _ in large..lens.len() {
            let frame = raw.receive();
            let Response::Produce(produced) = frame.response().unwrap() else {
                panic!("{frame:?}");
            };
            let before = expected.len() - (lens.len() - large);
            let number = frame.correlation.0 as usize - 1 - large;
            assert_eq!(produced.base_offset.0 as usize, before + number);
        }
        sender.join().unwrap();
    }
    let read = block_on(async {
        let client = Client::with_options(broker.client()).await.unwrap();
        values(&client, 0, expected.len()).await
    });
    assert!(read == expected);
    broker.end();
}

#[test]
fn connections_are_counted_where_they_are_served() {
    let broker = Broker::start("counted");
    let silent = TcpStream::connect(broker.native).unwrap();
    let mut kept = Vec::new();
    for round in 0..40u16 {
        // Every second names no core, or one that is not there: it stays.
        let core = match round % 4 {
            0 => Some(round / 4 % broker.cores),
            1 => None,
            2 => Some((round / 4 + 1) % broker.cores),
            _ => Some(broker.cores + round),
        };
        let mut raw = Raw::connect(&broker);
        let mut bytes = BytesMut::new();
        Encoder::new().request(&mut bytes, CorrelationId(0), &hello(core), 0);
        raw.stream.write_all(&bytes).unwrap();
        let served = raw.served();
        if let Some(core) = core.filter(|core| *core < broker.cores) {
            assert_eq!(served, core);
        }
        // A second one is refused, and changes nothing.
        let mut bytes = BytesMut::new();
        let other = (served + 1) % broker.cores;
        Encoder::new().request(&mut bytes, CorrelationId(7), &hello(Some(other)), 0);
        raw.stream.write_all(&bytes).unwrap();
        let refused = raw.receive();
        assert!(matches!(refused.response(), Err(e) if e.code().is_some()));
        kept.push(raw);
    }
    assert_eq!(broker.metric("leveret_connections"), 41);
    assert_eq!(broker.metric("leveret_connections_greeting"), 1);
    assert_eq!(broker.metric("leveret_connections_accepted_total"), 41);
    let handed_over = broker.metric("leveret_connections_handed_over_total");
    assert!(handed_over <= 20, "{handed_over} although 20 named none");
    assert!(handed_over > 0 || broker.cores == 1);
    drop((silent, kept));
    let gone = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        broker.metric("leveret_connections") == 0
    });
    assert!(gone);
    broker.end();
}

#[test]
fn a_producer_reaches_each_partition_by_its_owner() {
    let broker = Broker::start("producer");
    let (_, owners) = create_topic(&broker);
    if broker.cores == 2 {
        assert_ne!(owners[0], owners[1], "placed apart");
    }
    for per_core in [true, false] {
        let before = broker.metric("leveret_connections_accepted_total");
        block_on(async {
            let client = Client::with_options(ClientOptions {
                connection_per_core: per_core,
                ..broker.client()
            });
            let client = client.await.unwrap();
            let producer = client.producer(ProducerOptions {
                max_batch_bytes: 1000,
                ..ProducerOptions::default()
            });
            let mut expected = [Vec::new(), Vec::new()];
            for number in 0..4000usize {
                let record = ProducerRecord {
                    partition: Some(PartitionId(number as u32 % 2)),
                    ..ProducerRecord::value(value(0, number, 40))
                };
                drop(producer.send("t", record).await.unwrap());
                expected[number % 2].push(value(0, number, 40));
            }
            producer.flush().await.unwrap();
            // The client's own, the producer's first, and one to the other core.
            let opened = broker.metric("leveret_connections_accepted_total") - before;
            let other = u64::from(per_core && broker.cores == 2);
            assert_eq!(opened, 2 + other);
            for (partition, expected) in (0..).zip(expected) {
                let read = values(&client, partition, 2000 * (2 - usize::from(per_core))).await;
                assert!(
                    read[read.len() - 2000..] == expected,
                    "partition {partition}"
                );
            }
        });
    }
    broker.end();
}
