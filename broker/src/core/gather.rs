//! Requests that several cores answer: one part each, joined here in the order asked.
//!
//! A fetch over several cores is complete when one of them has records: the others are hurried,
//! which makes them answer with what they have, after reads that are under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use leveret_engine::shard::{FetchedPartition, Reply, RequestId};
use leveret_engine::topology::Topic;
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, LogId, Now};
use leveret_wire::native::{CorrelationId, ErrorCode, PartitionId};

use super::Core;
use super::boundary::ConnId;
use super::hop::{Answer, Call, Message};
use super::pending::{Slot, Waiting};
use super::status::{CoreReport, PartitionReport};

/// One request whose parts come from several cores.
pub(super) struct Gather {
    conn: ConnId,
    correlation: CorrelationId,
    missing: Vec<(CoreId, Slot)>,
    /// All parts have been asked for; before that a part that is there already completes nothing.
    asked: bool,
    /// There are records: no part needs to wait for more.
    enough: bool,
    /// The missing parts were told so.
    hurried: bool,
    what: Gathering,
}

/// What is gathered, and what of it is there.
pub(super) enum Gathering {
    /// Records, in the order of the request.
    Fetch(Vec<FetchedPart>),
    /// Where the partitions of these topics stand.
    Describe {
        topics: Vec<Arc<Topic>>,
        with_config: bool,
        reports: BTreeMap<LogId, PartitionReport>,
    },
    /// How each core is.
    Status(Vec<CoreReport>),
}

/// One partition of a fetch.
#[derive(Default)]
pub(super) struct FetchedPart {
    pub(super) partition: PartitionId,
    /// `None` if there is no such partition: then `error` says so.
    pub(super) log: Option<LogId>,
    pub(super) error: Option<ErrorCode>,
    pub(super) fetched: Option<FetchedPartition>,
}

impl<P: BufPool> Core<P> {
    /// Begins to gather for a client. Ask for each part with [`Core::ask_part`], then call
    /// [`Core::all_asked`] once.
    pub(super) fn gather(
        &mut self,
        conn: ConnId,
        correlation: CorrelationId,
        what: Gathering,
    ) -> usize {
        let session = self
            .sessions
            .get(conn)
            .expect("a request comes from a connection");
        session.waiting += 1;
        let fetch = matches!(what, Gathering::Fetch(_));
        let gather = self.gathers.insert(Gather {
            conn,
            correlation,
            missing: Vec::new(),
            asked: false,
            enough: false,
            hurried: false,
            what,
        });
        if fetch && let Some(session) = self.sessions.get(conn) {
            session.fetches.push(gather);
        }
        self.bound_peer(conn);
        gather
    }

    pub(super) fn ask_part(&mut self, gather: usize, owner: CoreId, call: Call, now: Now) {
        // In place before the call: this core may answer while it is asked.
        let slot = self.pending.add(Waiting::Part { gather, owner });
        self.gathers[gather].missing.push((owner, slot));
        self.dispatch_call(owner, slot, call, now);
    }

    /// One core's part is there.
    pub(super) fn gathered(&mut self, key: usize, owner: CoreId, answer: Answer, now: Now) {
        let gather = &mut self.gathers[key];
        gather.missing.retain(|(core, _)| *core != owner);
        let enough = &mut gather.enough;
        match (&mut gather.what, answer) {
            (Gathering::Fetch(parts), Answer::Engine(Reply::Fetched(fetched))) => {
                for one in fetched {
                    *enough |= one
                        .result
                        .as_ref()
                        .map_or(true, |records| !records.is_empty());
                    let part = parts.iter_mut().find(|part| part.log == Some(one.log));
                    part.expect("a core answers what it was asked").fetched = Some(one);
                }
            }
            (Gathering::Fetch(_), Answer::Engine(Reply::Failed(error))) => {
                let (conn, correlation) = (gather.conn, gather.correlation);
                self.cancel_gather(key);
                self.respond_engine_error(conn, correlation, &error);
                return self.request_done(conn, now);
            }
            (Gathering::Describe { reports, .. }, Answer::Described(described)) => {
                reports.extend(described.into_iter().map(|report| (report.log, report)));
            }
            (Gathering::Status(reports), Answer::Status(report)) => reports.push(*report),
            (_, answer) => unreachable!("no part of this request: {answer:?}"),
        }
        if gather.asked {
            self.go_on_gathering(key, now);
        }
    }

    /// Every part has been asked for.
    pub(super) fn all_asked(&mut self, key: usize, now: Now) {
        self.gathers[key].asked = true;
        self.go_on_gathering(key, now);
    }

    fn go_on_gathering(&mut self, key: usize, now: Now) {
        if self.gathers[key].enough {
            self.hurry(key);
        }
        if self.gathers[key].missing.is_empty() {
            self.finish_gathering(key, now);
        }
    }

    fn hurry(&mut self, key: usize) {
        let gather = &mut self.gathers[key];
        if std::mem::replace(&mut gather.hurried, true) {
            return;
        }
        for (core, slot) in gather.missing.clone() {
            if core == self.id {
                self.shard.finish_fetch(RequestId(slot.0));
            } else {
                self.send(core, Message::Hurry(slot));
            }
        }
    }

    /// Answers the client: no part is missing.
    fn finish_gathering(&mut self, key: usize, now: Now) {
        let Gather {
            conn,
            correlation,
            what,
            ..
        } = self.gathers.remove(key);
        if let Some(session) = self.sessions.get(conn) {
            session.fetches.retain(|fetch| *fetch != key);
        }
        match what {
            Gathering::Fetch(parts) => self.respond_fetched(conn, correlation, parts),
            Gathering::Describe {
                topics,
                with_config,
                reports,
            } => {
                self.respond_described(conn, correlation, &topics, with_config, &reports);
            }
            Gathering::Status(reports) => self.respond_status(conn, correlation, reports, now),
        }
        self.request_done(conn, now);
    }

    /// Nobody wants the fetch any more.
    pub(super) fn cancel_gather(&mut self, key: usize) {
        let Gather { conn, missing, .. } = self.gathers.remove(key);
        if let Some(session) = self.sessions.get(conn) {
            session.fetches.retain(|fetch| *fetch != key);
        }
        for (core, slot) in missing {
            self.pending.take(slot);
            if core == self.id {
                self.shard.cancel(RequestId(slot.0));
            } else {
                self.send(core, Message::Cancel(slot));
            }
        }
    }

    /// Every fetch answers with what it has.
    pub(super) fn hurry_all(&mut self) {
        let keys: Vec<usize> = self.gathers.iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.hurry(key));
    }
}
