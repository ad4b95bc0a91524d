//! Subscribe, Credit, Unsubscribe: records are pushed as they become visible, while credit lasts.
//!
//! For each partition one watch is under way at the core that owns it (or the partition waits in
//! line): it stands while there is nothing, and its answer is the push. What a stalled reader can
//! make this core hold is what a fetch may hold, `memory.response.bytes` of the connection.

use leveret_engine::EngineError;
use leveret_engine::shard::Watched;
use leveret_engine::topology::TopicId;
use leveret_storage::io::BufPool;
use leveret_storage::types::{LogId, Now, Offset};
use leveret_wire::native::{
    self as wire, CorrelationId, ErrorCode, MAX_SUBSCRIPTIONS, Push, Response, Subscribe,
    SubscribePartition,
};

use super::session::NativeState;
use super::subscriptions::{Cursor, Room, Subscription};
use super::{Asker, Native, errors};
use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::hop::{NextRecords, StreamNumber, WatchPartition};
use crate::core::net::Pause;
use crate::core::once::Mentions;
use crate::core::ops::Operation;
use crate::core::protocol::Listed;
use crate::core::reading::Lack;
use crate::core::spread::Need;

/// What the watch of a cursor is called, which is what the cursor is.
type WatchNumber = StreamNumber<WatchPartition>;

/// Whether a read has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    Yes,
    /// Nothing is to be read, or its bounds allow no more.
    No,
    /// It would, but the core has no memory for it.
    LacksMemory(Need),
}

impl<P: BufPool> Core<P> {
    pub(super) fn subscribe(&mut self, asker: Asker, subscribe: &Subscribe<'_>, now: Now) {
        let Asker {
            conn, correlation, ..
        } = asker;
        if self.end_subscription(conn, correlation) {
            let message = "a subscription with this correlation stood already; both have ended";
            return self.refuse(asker, ErrorCode::InvalidRequest, message, now);
        }
        let state = self.native_state(conn).expect("it was looked at");
        if state.subscribed.keys.len() >= MAX_SUBSCRIPTIONS {
            let message = format!("a connection has at most {MAX_SUBSCRIPTIONS} subscriptions");
            return self.refuse(asker, ErrorCode::InvalidRequest, &message, now);
        }
        let named = subscribe.partitions.iter();
        let named = named.map(|asked| (asked.topic_id.0, asked.partition.0));
        if let Some((_, partition)) = Mentions::of(named).repeated() {
            let message = format!("partition {partition} of a topic is asked for twice");
            return self.refuse(asker, ErrorCode::InvalidRequest, &message, now);
        }
        let subscription = Subscription::new(conn, correlation, subscribe.credit);
        let key = self.subscriptions.insert(subscription);
        if let Some(state) = self.native_state(conn) {
            state.subscribed.keys.push(key);
        }
        self.respond(conn, correlation, &Response::Subscribed);
        for (index, partition) in (0..).zip(subscribe.partitions.iter()) {
            self.begin_cursor(key, index, partition, now);
        }
    }

    /// A malformed Credit ends its subscription; so does one too many.
    pub(super) fn credit(&mut self, asker: Asker, bytes: u64, now: Now) {
        let Some(key) = self.subscription(asker.conn, asker.correlation) else {
            return;
        };
        if self.subscriptions.get(key).add_credit(bytes) {
            self.push_subscribed(asker.conn, now);
            return;
        }
        self.end_subscription(asker.conn, asker.correlation);
        let (code, message) = (ErrorCode::InvalidRequest, "more credit than its bound");
        self.respond_error(asker.conn, asker.correlation, code, message);
    }

    pub(super) fn unsubscribe(&mut self, asker: Asker) {
        if self.end_subscription(asker.conn, asker.correlation) {
            self.respond(asker.conn, asker.correlation, &Response::Unsubscribed);
        }
    }

    /// Ends a subscription without a word. Whether there was one.
    pub(super) fn end_subscription(&mut self, conn: ConnId, correlation: CorrelationId) -> bool {
        let key = self.subscription(conn, correlation);
        if let Some(key) = key {
            self.drop_subscription(key);
        }
        key.is_some()
    }

    /// Nobody wants what this subscription would still bring.
    pub(super) fn drop_subscription(&mut self, key: usize) {
        let subscription = self.subscriptions.remove(key);
        let mut reserved = 0;
        for number in subscription.cursors {
            if let Some(cursor) = self.subscriptions.end_cursor(number) {
                reserved += cursor.reserved;
                self.close_stream(cursor.owner, WatchNumber::new(number));
            }
        }
        if let Some(state) = self.native_state(subscription.conn) {
            state.subscribed.keys.retain(|other| *other != key);
        }
        self.give_back(subscription.conn, reserved);
        self.weigh(subscription.conn);
    }

    /// Every subscription hears that the broker stops.
    pub(super) fn end_subscriptions(&mut self) {
        for key in self.subscriptions.keys() {
            let subscription = self.subscriptions.get(key);
            let (conn, correlation) = (subscription.conn, subscription.correlation);
            self.drop_subscription(key);
            self.respond_error(
                conn,
                correlation,
                ErrorCode::Stopping,
                "the broker is stopping",
            );
        }
    }

    /// The watch of a cursor was answered.
    pub(in crate::core) fn watched(
        &mut self,
        number: WatchNumber,
        answer: Result<Watched, EngineError>,
        now: Now,
    ) {
        let number = number.number;
        let Some(cursor) = self.subscriptions.cursor(number) else {
            return;
        };
        let reserved = std::mem::take(&mut cursor.reserved);
        let key = cursor.subscription;
        let subscription = self.subscriptions.get(key);
        let conn = subscription.conn;
        subscription.release(reserved);
        self.give_back(conn, reserved);
        match answer {
            Ok(watched) => self.take_watched(number, watched, reserved > 0, now),
            Err(error) => self.end_partition(number, &error),
        }
        self.push_subscribed(conn, now);
    }

    /// Begins reads for the connection's ready partitions, in turns, as far as credit, room and
    /// memory go. Whether it is memory that lacks.
    pub(super) fn push_subscribed(&mut self, conn: ConnId, now: Now) -> bool {
        let Some(state) = self.native_state(conn) else {
            return false;
        };
        let subscriptions = state.subscribed.keys.len();
        let mut passed = 0;
        while passed < subscriptions {
            let Some(NativeState { subscribed, .. }) = self.native_state(conn) else {
                return false;
            };
            let turn = subscribed.turn % subscriptions;
            let key = subscribed.keys[turn];
            let begun = self.begin_read(conn, key, now);
            if let Begun::LacksMemory(need) = begun {
                // Its turn comes again.
                self.stand_to_read(conn, need);
                return true;
            }
            if let Some(state) = self.native_state(conn) {
                state.subscribed.turn = turn + 1;
            }
            match begun {
                Begun::Yes => passed = 0,
                Begun::No | Begun::LacksMemory(_) => passed += 1,
            }
        }
        self.weigh(conn);
        false
    }

    /// Longest batch that the topic of a log takes, bytes.
    fn max_batch_of(&self, log: LogId) -> usize {
        let topic = self.topology.partition_of(log).map(|(topic, _)| topic);
        let settings = topic.map(|topic| self.topology.settings_of(topic));
        settings.map_or(self.settings.max_batch_bytes, |settings| {
            settings.max_message_bytes
        }) as usize
    }

    /// Begins a read for the first ready partition of a subscription, if it may.
    fn begin_read(&mut self, conn: ConnId, key: usize, now: Now) -> Begun {
        let Some(number) = self.subscriptions.get(key).ready.front().copied() else {
            return Begun::No;
        };
        let room = self.room(conn);
        let cursor = *self.subscriptions.cursor(number).expect("ready ones live");
        let max_batch = self.max_batch_of(cursor.log);
        let subscription = self.subscriptions.get(key);
        let Some(bytes) = subscription.allowance(&cursor, room, max_batch) else {
            return Begun::No;
        };
        let need = Need {
            bytes,
            whole: max_batch,
        };
        let grant = match self.set_aside(conn, need) {
            Ok(grant) => grant,
            Err(Lack::Memory) => return Begun::LacksMemory(need),
            Err(Lack::Room) => return Begun::No,
        };
        let subscription = self.subscriptions.get(key);
        subscription.ready.pop_front();
        subscription.reserve(grant.aside);
        let cursor = self.subscriptions.cursor(number).expect("just seen");
        cursor.reserved = grant.aside;
        cursor.since = now.mono;
        let next = NextRecords {
            from: cursor.next,
            max_bytes: grant.bytes,
            stand: false,
        };
        let owner = cursor.owner;
        self.give_credit(owner, WatchNumber::new(number), next, now);
        Begun::Yes
    }

    /// What may be given to the peer beside what is unsent and what is being read.
    fn room(&mut self, conn: ConnId) -> Room {
        let answers = &self.answers;
        match self.sessions.get(conn) {
            // While its requests wait for the peer, pushes do, too: else they would keep it full.
            Some(session) if !session.closing && !session.pauses.by(Pause::Peer) => Room {
                bytes: answers.room(session),
                idle: session.unread() == 0,
            },
            _ => Room {
                bytes: 0,
                idle: false,
            },
        }
    }

    fn begin_cursor(&mut self, key: usize, index: u32, asked: SubscribePartition, now: Now) {
        let topic = TopicId(asked.topic_id.0);
        let conn = self.subscriptions.get(key).conn;
        let known = self.known(conn, now);
        let (log, owner) = match known.partition(topic, asked.partition.0, Operation::Read) {
            Ok(place) => (place.log(), place.owner()),
            Err(why) => return self.push_end(key, end_of(index, errors::unfound(&why))),
        };
        let cursor = Cursor {
            subscription: key,
            index,
            topic,
            log,
            owner,
            next: Offset(asked.offset.0),
            since: now.mono,
            max_bytes: asked.max_bytes as usize,
            reserved: 0,
        };
        let number = WatchNumber::new(self.subscriptions.add_cursor(cursor));
        self.open_stream(owner, number, WatchPartition(log), cursor.standing(), now);
    }

    /// What a watch brought is pushed; then the cursor stands again, or gets into line.
    fn take_watched(&mut self, number: u64, watched: Watched, reserved: bool, now: Now) {
        let cursor = *self.subscriptions.cursor(number).expect("just seen");
        let (more, next) = (watched.has_more(), watched.next);
        let bytes = watched.records.len();
        if bytes > 0 {
            let conn = self.subscriptions.get(cursor.subscription).conn;
            let room = self.room(conn);
            let subscription = self.subscriptions.get(cursor.subscription);
            if !reserved && subscription.available().min(room.bytes) == 0 {
                // Nothing was set aside for the end of a log that grew: it is read again when
                // there is credit.
                subscription.ready.push_back(number);
                return;
            }
            subscription.charge(bytes);
            self.latencies.note_fetch(cursor.since, now.mono);
            let correlation = subscription.correlation;
            let push = Push {
                index: cursor.index,
                error: None,
                high_watermark: wire::Offset(watched.records.high_watermark.0),
                log_start_offset: wire::Offset(watched.records.start_offset.0),
            };
            let batches = watched.records.batches;
            self.respond_with(conn, correlation, &Response::Push(push), batches);
            self.subscriptions.cursor(number).expect("just seen").next = next;
        }
        if more {
            let subscription = self.subscriptions.get(cursor.subscription);
            subscription.ready.push_back(number);
        } else {
            self.stand(number, now);
        }
    }

    /// A partition cannot be read on.
    fn end_partition(&mut self, number: u64, error: &EngineError) {
        let cursor = self.subscriptions.end_cursor(number).expect("just seen");
        let code = match error {
            EngineError::UnknownLog if self.topology.topic(cursor.topic).is_none() => {
                ErrorCode::UnknownTopic
            }
            error => errors::code(error),
        };
        let mut end = end_of(cursor.index, code);
        if let EngineError::OffsetOutOfRange {
            start,
            high_watermark,
            ..
        } = error
        {
            end.log_start_offset = wire::Offset(start.0);
            end.high_watermark = wire::Offset(high_watermark.0);
        }
        self.push_end(cursor.subscription, end);
    }

    fn push_end(&mut self, key: usize, end: Push) {
        let subscription = self.subscriptions.get(key);
        let (conn, correlation) = (subscription.conn, subscription.correlation);
        self.respond(conn, correlation, &Response::Push(end));
    }

    /// The cursor waits for its log to have something at its offset.
    fn stand(&mut self, number: u64, now: Now) {
        let cursor = self.subscriptions.cursor(number).expect("just seen");
        cursor.since = now.mono;
        let (owner, next) = (cursor.owner, cursor.standing());
        self.give_credit(owner, WatchNumber::new(number), next, now);
    }

    fn subscription(&mut self, conn: ConnId, correlation: CorrelationId) -> Option<usize> {
        let keys = &Native::own(&mut self.sessions.get(conn)?.state)?
            .subscribed
            .keys;
        self.subscriptions.find(keys, correlation)
    }
}

/// A partition's end, when nothing is known of its offsets.
fn end_of(index: u32, code: ErrorCode) -> Push {
    Push {
        index,
        error: Some(code),
        high_watermark: wire::Offset(0),
        log_start_offset: wire::Offset(0),
    }
}
