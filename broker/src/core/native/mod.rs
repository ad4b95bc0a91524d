//! Native requests: what each asks of the engine, and how its answer is said.
//!
//! A file per family of requests; `errors` translates the engine's refusals, `respond` encodes.
//! Nothing here decides: it decodes, routes and encodes.

mod data;
mod errors;
mod fetch;
mod hello;
mod listing;
mod push;
mod respond;
mod session;
mod status;
mod subscriptions;
mod topics;

use bytes::BytesMut;
use leveret_engine::topology::TopicId;
use leveret_storage::io::BufPool;
use leveret_storage::types::{Level, Now};
use leveret_wire::native as wire;
use leveret_wire::native::{CorrelationId, ErrorCode, FrameHeader, Request};

use super::Core;
use super::boundary::ConnId;
use super::fan_out::Request as FanOutRequest;
use super::ops::{AllowedPartition, AllowedTopic, Operation, Refused, Unfound};
use super::protocol::Listed;
use session::Expect;

pub(super) use session::Native;
pub(super) use subscriptions::Subscriptions;

/// Whose request it is, and what comes back with its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    conn: ConnId,
    correlation: CorrelationId,
    permit: usize,
}

impl From<Asker> for FanOutRequest {
    fn from(asker: Asker) -> Self {
        Self {
            conn: asker.conn,
            permit: asker.permit,
            deadline: None,
        }
    }
}

impl<P: BufPool> Core<P> {
    /// Takes one frame whose payload holds `permit` bytes of the budget.
    fn dispatch(
        &mut self,
        conn: ConnId,
        frame: &FrameHeader,
        head: &[u8],
        payload: BytesMut,
        permit: usize,
        now: Now,
    ) {
        let mut asker = Asker {
            conn,
            correlation: frame.correlation,
            permit,
        };
        let request = match Request::decode(frame.kind, head) {
            Ok(request) => request,
            Err(error) => {
                let code = match error {
                    wire::DecodeError::Kind(_) => ErrorCode::UnsupportedVersion,
                    _ => ErrorCode::InvalidRequest,
                };
                // The answer is the last frame of its correlation.
                self.end_subscription(conn, frame.correlation);
                return self.refuse(asker, code, &error.to_string(), now);
            }
        };
        if !matches!(request, Request::Produce(_)) {
            // Of such a frame nothing is kept.
            self.give_back_early(conn, &mut asker.permit, now);
        }
        let session = self.sessions.get(conn).filter(|session| !session.closing);
        let Some(state) = session.and_then(|session| Native::own(&mut session.state)) else {
            return self.give_back_permit(conn, asker.permit, now);
        };
        match (state.expect, &request) {
            (Expect::Hello, Request::Hello(hello)) => return self.hello(asker, hello),
            (Expect::Hello, _) => {
                let message = "the first frame must be Hello";
                self.give_back_permit(conn, asker.permit, now);
                return self.refuse_frame(conn, frame.correlation, ErrorCode::BadFrame, message);
            }
            (Expect::Request, _) => {}
        }
        // A stop has ended all subscriptions; what still comes for one is not answered.
        let of_subscription = matches!(request, Request::Credit(_) | Request::Unsubscribe);
        if self.stop.begun() && !of_subscription {
            return self.refuse(asker, ErrorCode::Stopping, "the broker is stopping", now);
        }
        match request {
            Request::Produce(produce) => self.produce(asker, &produce, payload, now),
            Request::Fetch(fetch) => self.fetch(asker, &fetch, now),
            Request::Subscribe(subscribe) => self.subscribe(asker, &subscribe, now),
            Request::Credit(bytes) => self.credit(asker, bytes, now),
            Request::Unsubscribe => self.unsubscribe(asker),
            Request::ListOffsets(lookup) => self.list_offsets(asker, &lookup, now),
            Request::InitProducer => self.init_producer(asker, now),
            Request::Metadata(name) => self.metadata(asker, name, now),
            Request::CreateTopic(create) => self.create_topic(asker, &create, now),
            Request::AlterTopic(alter) => self.alter_topic(asker, &alter, now),
            Request::DeleteTopic(name) => self.delete_topic(asker, name, now),
            Request::ListTopics => self.list_topics(asker, now),
            Request::DescribeTopics(names) => self.describe_topics(asker, &names, now),
            Request::Status => self.ask_status(asker, now),
            Request::Ping => self.respond(conn, frame.correlation, &wire::Response::Pong),
            Request::Hello(_) => {
                self.refuse(
                    asker,
                    ErrorCode::InvalidRequest,
                    "hello was said already",
                    now,
                );
            }
        }
    }

    /// The topic of that id, to do that with it, or the asker hears why it is not had.
    fn topic(
        &mut self,
        asker: Asker,
        id: wire::TopicId,
        operation: Operation,
        now: Now,
    ) -> Option<AllowedTopic> {
        let found = self.known(asker.conn, now).topic(TopicId(id.0), operation);
        let missing = || format!("there is no topic with id {id}");
        self.or_refuse(asker, found, missing, now)
    }

    /// The topic of that name, likewise.
    fn topic_named(
        &mut self,
        asker: Asker,
        name: &str,
        operation: Operation,
        now: Now,
    ) -> Option<AllowedTopic> {
        let found = self.known(asker.conn, now).topic_named(name, operation);
        self.or_refuse(asker, found, || no_topic(name), now)
    }

    /// A partition, likewise.
    fn partition(
        &mut self,
        asker: Asker,
        (topic, partition): (wire::TopicId, wire::PartitionId),
        operation: Operation,
        now: Now,
    ) -> Option<AllowedPartition> {
        let known = self.known(asker.conn, now);
        let found = known.partition(TopicId(topic.0), partition.0, operation);
        let missing = match &found {
            Err(Unfound::NoPartition) => format!("topic {topic} has no partition {partition}"),
            Err(_) => format!("there is no topic with id {topic}"),
            Ok(_) => String::new(),
        };
        self.or_refuse(asker, found, || missing, now)
    }

    /// What was found, or the asker hears why it is not had.
    fn or_refuse<T>(
        &mut self,
        asker: Asker,
        found: Result<T, Unfound>,
        missing: impl FnOnce() -> String,
        now: Now,
    ) -> Option<T> {
        let why = match found {
            Ok(found) => return Some(found),
            Err(why) => why,
        };
        let message = match &why {
            Unfound::Refused(refused) => refused.to_string(),
            Unfound::NoTopic | Unfound::NoPartition => missing(),
        };
        self.refuse(asker, errors::unfound(&why), &message, now);
        None
    }

    /// The asker hears that it may not do that.
    fn refuse_not_allowed(&mut self, asker: Asker, refused: &Refused, now: Now) {
        self.refuse(asker, ErrorCode::NotAllowed, &refused.to_string(), now);
    }
}

fn no_topic(name: &str) -> String {
    format!("there is no topic `{name}`")
}

fn level_in(level: wire::Level) -> Level {
    match level {
        wire::Level::Synced => Level::Synced,
        wire::Level::Written => Level::Written,
        wire::Level::Memory => Level::Memory,
    }
}

fn level_out(level: Level) -> wire::Level {
    match level {
        Level::Synced => wire::Level::Synced,
        Level::Written => wire::Level::Written,
        Level::Memory => wire::Level::Memory,
    }
}
