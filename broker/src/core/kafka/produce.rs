//! Produce: one batch per partition to the cores that own them, one answer for all.

use std::borrow::Cow;
use std::ops::Range;

use leveret_engine::EngineError;
use leveret_engine::shard::Produced;
use leveret_record::{Compression, parse_header};
use leveret_storage::io::BufPool;
use leveret_storage::types::{Level, Now};
use leveret_wire::kafka::{
    ErrorCode, ProduceRequest, ProduceResponse, ProducedPartition, TopicGroup, TopicRef,
};

use super::api::{Api, Frame, Incoming, Read};
use super::changes::TWICE;
use super::single::Single;
use super::topics::{Asked, place, resolve};
use super::{Asker, Known, errors};
use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::fan_out::Job;
use crate::core::hop::AppendBatch;
use crate::core::net::frames::detach;
use crate::core::once::{Mention, Mentions};
use crate::core::ops::{AllowedPartition, Operation};

/// The first version that carries batches of today's format; earlier ones are answered only.
const FIRST_VERSION: i16 = 3;
/// The first version whose consumers know zstd.
const ZSTD_VERSION: i16 = 7;

pub(super) struct Produce;

/// A produce before its batches are cut out of the frame.
pub(super) enum ProduceOutline {
    /// To one partition that there is.
    Single(Single),
    Parts(Plan),
}

impl Api for Produce {
    type Request<'a> = ProduceRequest<'a>;
    type Outline = ProduceOutline;
    // As long as the broker's own bound allows.
    const LONGEST: usize = usize::MAX;
    const CARRIES_RECORDS: bool = true;

    fn outline(read: &Read<'_, Self>, known: &Known<'_>) -> ProduceOutline {
        match single(read, known) {
            Some(single) => ProduceOutline::Single(single),
            None => ProduceOutline::Parts(plan(read, known)),
        }
    }

    fn is_answered(outline: &ProduceOutline) -> bool {
        let acks = match outline {
            ProduceOutline::Single(single) => single.acks,
            ProduceOutline::Parts(plan) => plan.acks,
        };
        acks != 0
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, outline) = (request.asker, request.outline);
        match outline {
            ProduceOutline::Single(single) => {
                core.produce_single(asker, single, request.frame, now)
            }
            ProduceOutline::Parts(plan) => core.produce_parts(asker, plan, request.frame, now),
        }
    }
}

/// A produce to several partitions, or to none that there is: where each batch lies and where it goes.
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

/// Where a batch lies in the frame, and where it goes.
pub(super) struct Batch {
    pub(super) place: AllowedPartition,
    pub(super) at: Range<usize>,
}

/// A batch to append, for the line of that number.
struct Append {
    line: usize,
    batch: Batch,
}

/// What became of one partition.
pub(super) struct Line {
    index: i32,
    error: ErrorCode,
    base_offset: i64,
    log_start_offset: i64,
    append_time: i64,
    message: Option<String>,
}

/// A produce whose batches are on their way.
struct Producing {
    asker: Asker,
    topics: Vec<AskedTopic>,
    lines: Vec<Line>,
    /// The line of each part.
    parts: Vec<usize>,
}

impl Line {
    pub(super) fn refused(index: i32, error: ErrorCode, message: Option<String>) -> Self {
        Self {
            index,
            error,
            base_offset: -1,
            log_start_offset: -1,
            append_time: -1,
            message,
        }
    }

    /// What came of its batch.
    pub(super) fn take(&mut self, reply: Result<Produced, EngineError>) {
        match reply {
            Ok(produced) => {
                self.error = ErrorCode::None;
                self.base_offset = offset(produced.base_offset.0);
                self.log_start_offset = offset(produced.start_offset.0);
                self.append_time = produced.append_time.unwrap_or(-1);
                self.message = None;
            }
            Err(error) => {
                self.error = errors::code(&error);
                self.message = Some(error.to_string());
            }
        }
    }

    /// As the answer has it.
    pub(super) fn told(&self) -> ProducedPartition<'_> {
        ProducedPartition {
            index: self.index,
            error: self.error,
            base_offset: self.base_offset,
            log_append_time_ms: self.append_time,
            log_start_offset: self.log_start_offset,
            record_errors: &[],
            error_message: self.message.as_deref().map(Cow::Borrowed),
        }
    }
}

impl<P: BufPool> Job<P, AppendBatch> for Producing {
    fn take(&mut self, part: usize, reply: Result<Produced, EngineError>) {
        self.lines[self.parts[part]].take(reply);
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        let asker = self.asker;
        if asker.turn.is_none() {
            return core.end_if_refused(asker.conn, &self.lines);
        }
        let topics = self.topics.iter().map(|topic| TopicGroup {
            topic: topic.asked.reference(),
            partitions: topic.partitions,
        });
        let response = ProduceResponse {
            topics: &topics.collect::<Vec<_>>(),
            partitions: &self.lines.iter().map(Line::told).collect::<Vec<_>>(),
            throttle_time_ms: 0,
        };
        core.kafka_respond(asker, &response);
    }
}

impl Plan {
    /// Nothing is appended where a partition has more than one batch.
    fn append_once(&mut self) {
        let mut mentions = Mentions::of(self.appends.iter().map(|append| append.batch.place.log()));
        if mentions.repeated().is_none() {
            return;
        }
        let lines = &mut self.lines;
        self.appends.retain(|append| {
            let only = mentions.next(&append.batch.place.log()) == Mention::Only;
            if !only {
                let line = &mut lines[append.line];
                line.error = ErrorCode::InvalidRequest;
                line.message = Some(TWICE.to_owned());
            }
            only
        });
    }
}

/// What a request asks of one partition, if that is all and it can be had.
fn single(read: &Read<'_, Produce>, known: &Known<'_>) -> Option<Single> {
    let Read {
        request,
        version,
        frame,
    } = read;
    if request.topics.len() != 1 || refusal(request, *version).is_some() {
        return None;
    }
    let asked = request.topics.iter().next()?;
    if asked.partitions.len() != 1 {
        return None;
    }
    let partition = asked.partitions.iter().next()?;
    let TopicRef::Name(name) = asked.topic else {
        return None;
    };
    let topic = known.topic_named(name, Operation::Write).ok()?;
    let index = u32::try_from(partition.index).ok()?;
    let place = known.place(&topic, index)?;
    let at = admitted(partition.records, *version, frame).ok()?;
    Some(Single {
        acks: request.acks,
        timeout_ms: timeout_of(request),
        topic,
        index: partition.index,
        batch: Batch { place, at },
    })
}

/// Where everything goes, before the frame is taken apart.
fn plan(read: &Read<'_, Produce>, known: &Known<'_>) -> Plan {
    let Read {
        request,
        version,
        frame,
    } = read;
    let mut plan = Plan {
        acks: request.acks,
        timeout_ms: timeout_of(request),
        topics: Vec::with_capacity(request.topics.len()),
        lines: Vec::with_capacity(request.topics.len()),
        appends: Vec::with_capacity(request.topics.len()),
    };
    let whole = refusal(request, *version);
    for asked_topic in request.topics {
        let (asked, topic) = resolve(known, asked_topic.topic, Operation::Write);
        for partition in asked_topic.partitions {
            let found = match whole {
                Some(refused) => Err(refused),
                None => place(known, &topic, partition.index)
                    .map_err(|error| (error, ""))
                    .and_then(|at| Ok((at, admitted(partition.records, *version, frame)?))),
            };
            let line = plan.lines.len();
            let (error, message) = match found {
                Ok((place, at)) => {
                    let batch = Batch { place, at };
                    plan.appends.push(Append { line, batch });
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

/// How long the client waits, milliseconds; 0: without end.
fn timeout_of(request: &ProduceRequest<'_>) -> u32 {
    u32::try_from(request.timeout_ms).unwrap_or(0)
}

impl<P: BufPool> Core<P> {
    /// Sends the batches of a frame to their owners.
    fn produce_parts(&mut self, asker: Asker, plan: Plan, frame: Frame, now: Now) {
        let level = level_of(plan.acks);
        let deadline = self.give_up_at(plan.timeout_ms, now);
        let producing = Producing {
            asker,
            topics: plan.topics,
            lines: plan.lines,
            parts: plan.appends.iter().map(|append| append.line).collect(),
        };
        let fan_out = self.begin_fan_out(asker.until(deadline), (), Box::new(producing));
        let mut frame = frame.bytes;
        let (mut cut, whole) = (0, frame.len());
        for append in plan.appends {
            let Batch { place, at } = append.batch;
            let mut batch = frame.split_to(at.end - cut);
            let batch = batch.split_off(at.start - cut);
            cut = at.end;
            let batch = detach(batch, whole);
            self.ask_part(fan_out, place.owner(), place.append(batch, level), now);
        }
        self.all_asked(fan_out, now);
    }

    /// Whoever wants no answers hears of a failure by the end of the connection.
    pub(super) fn end_if_refused(&mut self, conn: ConnId, lines: &[Line]) {
        if lines.iter().any(|line| line.error != ErrorCode::None) {
            self.kafka_end(conn, "a produce with acks=0 failed");
        }
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
pub(super) fn level_of(acks: i16) -> Level {
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
