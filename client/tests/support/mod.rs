//! A broker in memory, made of wire types: enough of one to produce to and consume from, and
//! able to misbehave on request.

mod subscriptions;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use leveret_client::core::{Frame, FrameBuffer};
use leveret_record::{assign, batches, next_sequence, verify};
use leveret_wire::native::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use subscriptions::Subscriptions;

/// Ways to misbehave, each counted down per produce request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Every so many produce requests: append, then cut the connection without an answer.
    pub(crate) cut_after_append: u64,
    /// Every so many produce requests: cut the connection without appending.
    pub(crate) cut_before_append: u64,
    /// Every so many produce requests: refuse with `Overloaded`.
    pub(crate) overload: u64,
    /// Every so many produce requests: forget the producer's sequences.
    pub(crate) lose_sequences: u64,
    /// Never answer a produce request.
    pub(crate) silent: bool,
    /// Every so many pushes: cut the connection within the push.
    pub(crate) cut_pushes: u64,
    /// Treat every batch as new: the negative control for idempotence.
    pub(crate) append_duplicates: bool,
}

pub(crate) struct FakeBroker {
    pub(crate) address: String,
    pub(crate) state: Arc<Mutex<State>>,
    /// Its thread ends when this goes.
    _running: oneshot::Sender<()>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) faults: Faults,
    pub(crate) produces: u64,
    pub(crate) connections: u64,
    /// Connections that are open now.
    pub(crate) open: u64,
    pub(crate) duplicates: u64,
    pub(crate) producers: i64,
    pub(crate) pushes: u64,
    pub(crate) pushed_bytes: usize,
    topics: BTreeMap<String, TopicId>,
    partitions: BTreeMap<(TopicId, PartitionId), Log>,
    counts: BTreeMap<TopicId, u32>,
    /// Cores that there are, if not one; partition `n` is owned by core `n` modulo their number.
    pub(crate) cores: u16,
    /// Connections are served by core 0 whatever core they name.
    pub(crate) stay: bool,
    /// For each batch appended, its partition and the core of the connection that it came by.
    pub(crate) came_by: Vec<(u32, u16)>,
    /// By core, how many connections it serves or served.
    pub(crate) served: BTreeMap<u16, u64>,
    next_topic: u64,
}

#[derive(Default)]
struct Log {
    batches: Vec<(u64, u64, Bytes)>,
    end: u64,
    start: u64,
    sequences: BTreeMap<i64, Vec<(i32, i32, u64)>>,
}

enum Verdict {
    Answer(Response<'static>, Bytes),
    Silence,
    Cut,
}

impl FakeBroker {
    /// On a thread of its own, whatever runs the client.
    pub(crate) async fn start(faults: Faults) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State {
            faults,
            ..State::default()
        }));
        let accepted = Arc::clone(&state);
        let (running, stop) = oneshot::channel();
        std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap().block_on(async move {
                tokio::spawn(accept(listener, accepted));
                drop(stop.await);
            });
        });
        Self {
            address,
            state,
            _running: running,
        }
    }

    pub(crate) fn create_topic(&self, name: &str, partitions: u32) -> TopicId {
        self.state.lock().unwrap().create(name, partitions)
    }

    /// Every value of a partition, in order.
    pub(crate) fn values(&self, topic: TopicId, partition: u32) -> Vec<Vec<u8>> {
        let state = self.state.lock().unwrap();
        let mut values = Vec::new();
        for (_, _, batch) in &state.partitions[&(topic, PartitionId(partition))].batches {
            for record in &leveret_record::records(batch, leveret_record::MAX_RECORDS_LEN).unwrap()
            {
                values.push(record.unwrap().value.unwrap_or_default().to_vec());
            }
        }
        values
    }

    /// Drops the first batches of a partition, as retention does.
    pub(crate) fn trim(&self, topic: TopicId, partition: u32) {
        let mut state = self.state.lock().unwrap();
        let log = state
            .partitions
            .get_mut(&(topic, PartitionId(partition)))
            .unwrap();
        let (_, next, _) = log.batches.remove(0);
        log.start = next;
    }

    /// Flips a bit of a stored batch.
    pub(crate) fn damage(&self, topic: TopicId, partition: u32) {
        let mut state = self.state.lock().unwrap();
        let log = state
            .partitions
            .get_mut(&(topic, PartitionId(partition)))
            .unwrap();
        let mut bytes = log.batches[0].2.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        log.batches[0].2 = bytes.into();
    }
}

impl State {
    fn create(&mut self, name: &str, partitions: u32) -> TopicId {
        self.next_topic += 1;
        let id = TopicId(self.next_topic);
        self.topics.insert(name.to_owned(), id);
        self.grow(id, partitions);
        id
    }

    fn grow(&mut self, id: TopicId, partitions: u32) {
        let before = self.counts.insert(id, partitions).unwrap_or(0);
        for number in before..partitions {
            self.partitions
                .insert((id, PartitionId(number)), Log::default());
        }
    }

    /// `core` serves the connection; a `Hello` may change that.
    fn handle(&mut self, frame: &Frame, core: &mut u16) -> Verdict {
        let cores = self.cores.max(1);
        let request = Request::decode(frame.kind, &frame.header).unwrap();
        let response = match request {
            Request::Hello(hello) => {
                let named = hello.core.filter(|core| !self.stay && *core < cores);
                *core = named.unwrap_or(0);
                *self.served.entry(*core).or_default() += 1;
                Response::Hello(HelloOk {
                    version: PROTOCOL_VERSION,
                    server_version: "fake",
                    max_frame_len: 1 << 21,
                    max_batch_len: 1 << 20,
                    core: *core,
                    cores,
                })
            }
            Request::Ping => Response::Pong,
            Request::CreateTopic(create) if self.topics.contains_key(create.name) => {
                error(ErrorCode::TopicExists)
            }
            Request::CreateTopic(create) => Response::CreateTopic(CreateTopicOk {
                topic_id: self.create(create.name, create.partitions),
                partitions: create.partitions,
            }),
            Request::AlterTopic(alter) => match (self.topics.get(alter.name), alter.partitions) {
                (Some(id), Some(partitions)) => {
                    let (topic_id, partitions) = (*id, partitions);
                    self.grow(topic_id, partitions);
                    Response::AlterTopic(AlterTopicOk {
                        topic_id,
                        partitions,
                    })
                }
                _ => error(ErrorCode::InvalidRequest),
            },
            Request::Metadata(name) => match self.topics.get(name) {
                Some(id) => Response::Metadata(MetadataOk {
                    topic_id: *id,
                    partitions: self.counts[id],
                    level: Level::Synced,
                    cores: (0..self.counts[id]).map(|n| n as u16 % cores).collect(),
                }),
                None => error(ErrorCode::UnknownTopic),
            },
            Request::InitProducer => {
                self.producers += 1;
                Response::InitProducer(InitProducerOk {
                    producer_id: ProducerId(self.producers),
                    producer_epoch: 0,
                })
            }
            Request::Produce(produce) => return self.produce(&produce, &frame.payload, *core),
            Request::ListOffsets(list) => self.list_offsets(&list),
            _ => error(ErrorCode::InvalidRequest),
        };
        Verdict::Answer(response, Bytes::new())
    }

    fn produce(&mut self, produce: &Produce, payload: &Bytes, core: u16) -> Verdict {
        self.produces += 1;
        let faults = self.faults;
        let due = |every: u64| every > 0 && self.produces.is_multiple_of(every);
        let (before, after) = (due(faults.cut_before_append), due(faults.cut_after_append));
        let (overload, lose) = (due(faults.overload), due(faults.lose_sequences));
        if faults.silent {
            return Verdict::Silence;
        }
        if before {
            return Verdict::Cut;
        }
        if overload {
            return Verdict::Answer(error(ErrorCode::Overloaded), Bytes::new());
        }
        let Some(log) = self
            .partitions
            .get_mut(&(produce.topic_id, produce.partition))
        else {
            return Verdict::Answer(error(ErrorCode::UnknownTopic), Bytes::new());
        };
        if lose {
            for windows in log.sequences.values_mut() {
                windows.truncate(1);
            }
        }
        let response = match log.append(payload, faults.append_duplicates) {
            Ok(produced) => {
                self.came_by.push((produce.partition.0, core));
                self.duplicates += u64::from(produced.duplicate);
                Response::Produce(produced)
            }
            Err(code) => error(code),
        };
        if after {
            return Verdict::Cut;
        }
        Verdict::Answer(response, Bytes::new())
    }

    fn list_offsets(&self, list: &ListOffsets) -> Response<'static> {
        let log = &self.partitions[&(list.topic_id, list.partition)];
        let records = || {
            self.partitions[&(list.topic_id, list.partition)]
                .batches
                .iter()
                .flat_map(|(_, _, batch)| {
                    let set =
                        leveret_record::records(batch, leveret_record::MAX_RECORDS_LEN).unwrap();
                    set.iter()
                        .map(Result::unwrap)
                        .map(|record| (record.timestamp, record.offset as u64))
                        .collect::<Vec<_>>()
                })
        };
        let offset = match list.spec {
            OffsetSpec::Earliest => log.start,
            OffsetSpec::Latest => log.end,
            OffsetSpec::MaxTimestamp => records()
                .max_by_key(|(timestamp, offset)| (*timestamp, std::cmp::Reverse(*offset)))
                .map_or(log.end, |(_, offset)| offset),
            OffsetSpec::Timestamp(at) => records()
                .find(|(timestamp, _)| *timestamp >= at)
                .map_or(log.end, |(_, offset)| offset),
        };
        Response::ListOffsets(ListOffsetsOk {
            offset: Offset(offset),
            timestamp: None,
        })
    }
}

impl Log {
    fn append(&mut self, batch: &Bytes, append_duplicates: bool) -> Result<ProduceOk, ErrorCode> {
        assert_eq!(batches(batch).count(), 1, "one batch per produce");
        let header = verify(batch).map_err(|_| ErrorCode::CorruptBatch)?;
        let (first, last) = (header.base_sequence, header.last_sequence());
        let window = self.sequences.entry(header.producer_id).or_default();
        let known = window
            .iter()
            .find(|(from, to, _)| (*from, *to) == (first, last));
        if let Some((_, _, offset)) = known.filter(|_| !append_duplicates) {
            return Ok(ProduceOk {
                base_offset: Offset(*offset),
                log_start_offset: Offset(self.start),
                duplicate: true,
                append_time: None,
            });
        }
        if let Some((_, to, _)) = window.last()
            && next_sequence(*to) != first
            && !append_duplicates
        {
            return Err(ErrorCode::OutOfOrderSequence);
        }
        let base = self.end;
        window.push((first, last, base));
        if window.len() > 5 {
            window.remove(0);
        }
        let mut bytes = batch.to_vec();
        assign(&mut bytes, base as i64, 0);
        self.end += header.record_count as u64;
        self.batches.push((base, self.end, bytes.into()));
        Ok(ProduceOk {
            base_offset: Offset(base),
            log_start_offset: Offset(self.start),
            duplicate: false,
            append_time: None,
        })
    }
}

fn error(code: ErrorCode) -> Response<'static> {
    Response::Error(ErrorResponse::new(code, "as asked for"))
}

async fn accept(listener: std::net::TcpListener, state: Arc<Mutex<State>>) {
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((socket, _)) = listener.accept().await {
        {
            let mut state = state.lock().unwrap();
            state.connections += 1;
            state.open += 1;
        }
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            serve(socket, &state).await;
            state.lock().unwrap().open -= 1;
        });
    }
}

async fn serve(mut socket: TcpStream, state: &Mutex<State>) {
    let mut buffer = FrameBuffer::new(FrameLimits::for_requests(1 << 20));
    let mut encoder = Encoder::new();
    let mut core = 0;
    let mut subscriptions = Subscriptions::default();
    loop {
        let mut out = BytesMut::new();
        while let Some(frame) = buffer.next_frame().unwrap() {
            if subscriptions.take(&frame, &mut encoder, &mut out) {
                continue;
            }
            let verdict = state.lock().unwrap().handle(&frame, &mut core);
            match verdict {
                Verdict::Answer(response, payload) => {
                    encoder.response(&mut out, frame.correlation, &response, payload.len());
                    out.extend_from_slice(&payload);
                }
                Verdict::Silence => {}
                Verdict::Cut => return,
            }
        }
        if !subscriptions.push(state, &mut encoder, &mut out) {
            // The last push does not arrive whole.
            out.truncate(out.len() - 1);
            let _ = socket.write_all(&out).await;
            return;
        }
        if socket.write_all(&out).await.is_err() {
            return;
        }
        // Now and then it looks whether there is something to push.
        let pause = Duration::from_millis(2);
        let read = socket.read_buf(buffer.space());
        if let Ok(Ok(0) | Err(_)) = tokio::time::timeout(pause, read).await {
            return;
        }
    }
}
