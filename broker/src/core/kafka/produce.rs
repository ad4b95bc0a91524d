//! Produce: one batch per partition to the cores that own them, one answer for all.

use std::borrow::Cow;
use std::ops::Range;

use bytes::BytesMut;
use leveret_engine::shard::Reply;
use leveret_record::{Compression, parse_header};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Level, LogId, Now};
use leveret_wire::kafka::{
    ErrorCode, ProduceRequest, ProduceResponse, ProducedPartition, TopicGroup,
};

use super::Asker;
use super::changes::TWICE;
use super::errors;
use super::gathered::Gathered;
use super::topics::{Asked, place, resolve};
use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::hop::Call;
use crate::core::once::{Mention, Mentions};

/// The first version that carries batches of today's format; earlier ones are answered only.
const FIRST_VERSION: i16 = 3;
/// The first version whose consumers know zstd.
const ZSTD_VERSION: i16 = 7;

/// A produce before its batches are cut out of the frame: where each lies and where it goes.
pub(super) struct Plan {
    acks: i16,
    timeout_ms: u32,
    topics: Vec<AskedTopic>,
    lines: Vec<Line>,
    appends: Vec<Append>,
}

struct AskedTopic {
    asked: Asked,
    partitions: usize,
}

/// A batch to append, for the line of that number.
struct Append {
    line: usize,
    log: LogId,
    owner: CoreId,
    batch: Range<usize>,
}

/// What became of one partition.
struct Line {
    index: i32,
    error: ErrorCode,
    base_offset: i64,
    log_start_offset: i64,
    append_time: i64,
    message: Option<String>,
}

/// A produce whose batches are on their way.
pub(super) struct Producing {
    /// Whether the client wants to hear of it.
    answers: bool,
    topics: Vec<AskedTopic>,
    lines: Vec<Line>,
    /// The line of each part.
    parts: Vec<usize>,
}

impl Line {
    fn refused(index: i32, error: ErrorCode, message: Option<String>) -> Self {
        Self {
            index,
            error,
            base_offset: -1,
            log_start_offset: -1,
            append_time: -1,
            message,
        }
    }
}

impl Producing {
    pub(super) fn take(&mut self, part: usize, reply: Reply) {
        let line = &mut self.lines[self.parts[part]];
        match reply {
            Reply::Produced(produced) => {
                line.error = ErrorCode::None;
                line.base_offset = offset(produced.base_offset.0);
                line.log_start_offset = offset(produced.start_offset.0);
                line.append_time = produced.append_time.unwrap_or(-1);
                line.message = None;
            }
            Reply::Failed(error) => {
                line.error = errors::code(&error);
                line.message = Some(error.to_string());
            }
            reply => unreachable!("no answer to a produce: {reply:?}"),
        }
    }
}

impl Plan {
    /// Nothing is appended where a partition has more than one batch.
    fn append_once(&mut self) {
        let mut mentions = Mentions::of(self.appends.iter().map(|append| append.log));
        if mentions.repeated().is_none() {
            return;
        }
        let lines = &mut self.lines;
        self.appends.retain(|append| {
            let only = mentions.next(&append.log) == Mention::Only;
            if !only {
                let line = &mut lines[append.line];
                line.error = ErrorCode::InvalidRequest;
                line.message = Some(TWICE.to_owned());
            }
            only
        });
    }
}

impl<P: BufPool> Core<P> {
    /// Where everything goes, before the frame is taken apart.
    pub(super) fn plan_produce(
        &self,
        request: &ProduceRequest<'_>,
        version: i16,
        frame: &[u8],
    ) -> Plan {
        let mut plan = Plan {
            acks: request.acks,
            timeout_ms: u32::try_from(request.timeout_ms).unwrap_or(0),
            topics: Vec::with_capacity(request.topics.len()),
            lines: Vec::new(),
            appends: Vec::new(),
        };
        let whole = refusal(request, version);
        for asked_topic in request.topics {
            let (asked, topic) = resolve(&self.topology, asked_topic.topic);
            for partition in asked_topic.partitions {
                let found = match whole {
                    Some(refused) => Err(refused),
                    None => place(&self.topology, &asked, topic.as_deref(), partition.index)
                        .map_err(|error| (error, ""))
                        .and_then(|at| Ok((at, admitted(partition.records, version, frame)?))),
                };
                let line = plan.lines.len();
                let (error, message) = match found {
                    Ok(((log, owner), batch)) => {
                        plan.appends.push(Append {
                            line,
                            log,
                            owner,
                            batch,
                        });
                        // What is said of it if its time is over before it is answered.
                        (ErrorCode::RequestTimedOut, "")
                    }
                    Err(refused) => refused,
                };
                let message = (!message.is_empty()).then(|| message.to_owned());
                plan.lines
                    .push(Line::refused(partition.index, error, message));
            }
            plan.topics.push(AskedTopic {
                asked,
                partitions: asked_topic.partitions.len(),
            });
        }
        plan.append_once();
        plan
    }

    /// Sends the batches of a frame to their owners.
    #[expect(
        clippy::too_many_arguments,
        reason = "who asks, and the frame in two parts"
    )]
    pub(super) fn kafka_produce(
        &mut self,
        conn: ConnId,
        version: i16,
        correlation: i32,
        permit: usize,
        plan: Plan,
        mut frame: BytesMut,
        now: Now,
    ) {
        let answers = plan.acks != 0;
        let asker = match answers {
            true => self.kafka_asker(conn, version, correlation, permit),
            false => Asker {
                conn,
                version,
                correlation,
                turn: 0,
                permit,
            },
        };
        let level = level_of(plan.acks);
        let deadline = self.give_up_at(plan.timeout_ms, now);
        let producing = Producing {
            answers,
            topics: plan.topics,
            lines: plan.lines,
            parts: plan.appends.iter().map(|append| append.line).collect(),
        };
        let gather = self.kafka_gather(asker, deadline, Gathered::Produce(producing));
        let (mut cut, whole) = (0, frame.len());
        for append in plan.appends {
            let (log, owner, at) = (append.log, append.owner, append.batch);
            let mut batch = frame.split_to(at.end - cut);
            let batch = batch.split_off(at.start - cut);
            cut = at.end;
            let batch = self.detach(batch, whole);
            self.ask_part(gather, owner, Call::Produce { log, batch, level }, now);
        }
        self.all_asked(gather, now);
    }

    /// Answers a produce; whoever wants no answers hears of a failure by the end of the
    /// connection.
    pub(super) fn kafka_produced(&mut self, asker: Asker, producing: &Producing) {
        if !producing.answers {
            let failed = |line: &Line| line.error != ErrorCode::None;
            if producing.lines.iter().any(failed) {
                self.kafka_end(asker.conn, "a produce with acks=0 failed");
            }
            return;
        }
        let topics = producing.topics.iter().map(|topic| TopicGroup {
            topic: topic.asked.reference(),
            partitions: topic.partitions,
        });
        let partitions = producing.lines.iter().map(|line| ProducedPartition {
            index: line.index,
            error: line.error,
            base_offset: line.base_offset,
            log_append_time_ms: line.append_time,
            log_start_offset: line.log_start_offset,
            record_errors: &[],
            error_message: line.message.as_deref().map(Cow::Borrowed),
        });
        let response = ProduceResponse {
            topics: &topics.collect::<Vec<_>>(),
            partitions: &partitions.collect::<Vec<_>>(),
            throttle_time_ms: 0,
        };
        self.kafka_respond(asker, &response);
    }
}

/// Why nothing of a request can be appended, if so.
fn refusal(request: &ProduceRequest<'_>, version: i16) -> Option<(ErrorCode, &'static str)> {
    if version < FIRST_VERSION {
        return Some((
            ErrorCode::UnsupportedVersion,
            "only record batches of version 2 are taken, which version 3 of this request brought",
        ));
    }
    if request.transactional_id.is_some() {
        return Some((ErrorCode::InvalidTxnState, "transactions are not supported"));
    }
    if !matches!(request.acks, -1..=1) {
        return Some((ErrorCode::InvalidRequiredAcks, "acks is -1, 0 or 1"));
    }
    None
}

/// Where the batch of a partition lies, if its version of the request may bring it. What is in it
/// is the engine's to judge.
fn admitted(
    records: Option<Range<usize>>,
    version: i16,
    frame: &[u8],
) -> Result<Range<usize>, (ErrorCode, &'static str)> {
    let Some(at) = records.filter(|at| !at.is_empty()) else {
        return Err((ErrorCode::InvalidRecord, "there is no batch"));
    };
    let header = parse_header(&frame[at.clone()]);
    let zstd = header.is_ok_and(|h| h.attributes.compression() == Ok(Compression::Zstd));
    if zstd && version < ZSTD_VERSION {
        // Consumers of that age could not read it.
        let message = "zstd needs version 7 of this request";
        return Err((ErrorCode::UnsupportedCompressionType, message));
    }
    Ok(at)
}

/// How durable a batch is before it is acknowledged: without replicas, "by the leader" and "by
/// all" differ in what of this machine may fail.
fn level_of(acks: i16) -> Level {
    match acks {
        0 => Level::Memory,
        1 => Level::Written,
        _ => Level::Synced,
    }
}

/// An offset as Kafka has it.
pub(super) fn offset(offset: u64) -> i64 {
    i64::try_from(offset).expect("offsets are 63 bits")
}
