//! What the shards answer, held against the ledger.

use leveret_engine::EngineError;
use leveret_engine::shard::{Reply, RequestId};
use leveret_engine::topology::{TopicEntry, TopologyEntry};
use leveret_storage::types::{Level, LogId, Offset};

use super::topics::Known;
use super::{Asked, ShardWorld};
use crate::clients::ledger::{BatchKey, Scan};
use crate::clients::sender::Sender;
use crate::disk::Client;
use crate::violation::{Kind, Violation};

/// Producers per partition.
pub(super) const PRODUCERS: i64 = 2;

impl ShardWorld {
    pub(super) fn handle_reply(
        &mut self,
        request: RequestId,
        reply: Reply,
    ) -> Result<(), Violation> {
        self.trace
            .say(format_args!("{:>12} {request:?} {reply:?}", self.now.0));
        self.trace.note([request.0, self.now.0, 2]);
        self.note_ordered();
        let Some(asked) = self.asked.remove(&request) else {
            let what = format!("an answer to {request:?}, never asked");
            return Err(Violation::new(Kind::WrongData, what));
        };
        if asked
            .log()
            .is_some_and(|log| !self.homes.contains_key(&log))
        {
            // Its topic was deleted meanwhile; this may have been answered before.
            return Ok(());
        }
        match (asked, reply) {
            (Asked::Lie(log), reply) => refused_lie(log, reply),
            (
                Asked::Delete(name),
                Reply::Topology(TopologyEntry::Topic(TopicEntry::Deleted(_))),
            ) => {
                self.topic_deleted(&name);
                Ok(())
            }
            (Asked::Produce(sender, key, level), reply) => {
                self.handle_produced(sender, key, level, reply)
            }
            (Asked::Tail(log, from), reply) => self.handle_followed(log, from, reply),
            (Asked::Read(log, scan), reply) => self.handle_fetched(log, scan, reply),
            (
                Asked::Create(name),
                Reply::Topology(TopologyEntry::Topic(TopicEntry::Created(topic))),
            ) => {
                for (log, slot) in topic.logs() {
                    self.install(log, slot, &topic.config);
                }
                self.topics.insert(name, Known::new(&topic));
                Ok(())
            }
            (
                Asked::Alter(name),
                Reply::Topology(TopologyEntry::Topic(TopicEntry::Altered(altered))),
            ) => self.topic_altered(&name, &altered),
            (
                Asked::Create(_) | Asked::Alter(_),
                Reply::Failed(EngineError::Overloaded | EngineError::Stopping),
            ) => Ok(()),
            (
                Asked::Delete(name),
                Reply::Failed(EngineError::Overloaded | EngineError::Stopping),
            ) => {
                self.topic_stays(&name);
                Ok(())
            }
            (Asked::Create(name) | Asked::Alter(name) | Asked::Delete(name), reply) => {
                Err(Violation::new(
                    Kind::WrongData,
                    format!("{name:?} was answered with {reply:?}"),
                ))
            }
        }
    }

    pub(super) fn add_senders(&mut self, log: LogId) {
        for producer in 0..PRODUCERS {
            let sender = Sender::new(BatchKey {
                log,
                producer,
                sequence: 0,
            });
            let last = self.senders.last_key_value();
            let at = last.map_or(0, |(at, _)| at + 1);
            self.senders.insert(at, sender);
        }
    }

    fn handle_produced(
        &mut self,
        sender: usize,
        key: BatchKey,
        level: Level,
        reply: Reply,
    ) -> Result<(), Violation> {
        let state = self
            .senders
            .get_mut(&sender)
            .expect("its partition is there");
        match reply {
            Reply::Produced(produced) => {
                let in_order =
                    state.acknowledge(key) || state.acknowledge_again(key, produced.duplicate);
                self.counters.acknowledged += 1;
                if level == Level::Synced {
                    self.ledger.place(key, produced.base_offset.0)?;
                }
                if self.flushed == 0 && self.rng.chance(1, 4) {
                    self.follow(key.log, produced.base_offset);
                }
                if in_order {
                    return Ok(());
                }
                let what = format!("{key:?} was acknowledged before an earlier batch");
                Err(Violation::new(Kind::Frontier, what))
            }
            Reply::Failed(EngineError::Overloaded | EngineError::Stopping) => {
                self.counters.refusals += 1;
                self.refuse(sender);
                Ok(())
            }
            Reply::Failed(EngineError::Append(_)) if state.is_refused() => {
                // It follows one that was refused.
                self.refuse(sender);
                Ok(())
            }
            other => Err(Violation::new(
                Kind::MachineState,
                format!("{key:?} was answered with {other:?}"),
            )),
        }
    }

    fn refuse(&mut self, sender: usize) {
        let pause = self.rng.magnitude(1_000_000, 200_000_000);
        let coming = self.rng.below(3) as usize;
        let sender = self.senders.get_mut(&sender);
        let sender = sender.expect("its partition is there");
        sender.refuse(self.now.after(pause), coming);
    }

    /// Whoever reads from an offset that an acknowledgement told, at whatever level, gets what is
    /// durable of it, if anything, and never hears that there is no such offset.
    fn handle_followed(&mut self, log: LogId, from: Offset, reply: Reply) -> Result<(), Violation> {
        let result = match reply {
            Reply::Fetched(mut partitions) if partitions.len() == 1 => partitions.remove(0).result,
            other => {
                let what = format!("a fetch of {log:?} was answered with {other:?}");
                return Err(Violation::new(Kind::ReadFailed, what));
            }
        };
        let records = result.map_err(|error| {
            let what = format!("{log:?} from {from}, which was acknowledged: {error}");
            Violation::new(Kind::ReadFailed, what)
        })?;
        self.ledger.see(log, &records.batches)
    }

    /// Who waits where something stands that is not readable yet is not kept waiting: something is
    /// under way that will make it so.
    pub(super) fn check_readers(&self) -> Result<(), Violation> {
        for asked in self.asked.values() {
            let Asked::Tail(log, from) = asked else {
                continue;
            };
            // The topic may have been deleted.
            let Some(core) = self.homes.get(log) else {
                continue;
            };
            let due = self.shards[*core].poll_timeout();
            let busy = due.is_some_and(|at| at <= self.now);
            if !busy && !self.disk.works_for(Client(*core as u16)) {
                let what = format!("{log:?} is read from {from}, which is there, and nobody syncs");
                return Err(Violation::new(Kind::Stuck, what));
            }
        }
        Ok(())
    }

    fn handle_fetched(
        &mut self,
        log: LogId,
        mut scan: Scan,
        reply: Reply,
    ) -> Result<(), Violation> {
        let partition = match reply {
            Reply::Fetched(mut partitions) if partitions.len() == 1 => partitions.remove(0),
            Reply::Failed(EngineError::Stopping) => return Ok(()),
            other => {
                let what = format!("a fetch of {log:?} was answered with {other:?}");
                return Err(Violation::new(Kind::ReadFailed, what));
            }
        };
        let records = match partition.result {
            Ok(records) => records,
            Err(error) => {
                let what = format!("{log:?} from {}: {error}", scan.next);
                return Err(Violation::new(Kind::ReadFailed, what));
            }
        };
        let before = scan.next;
        self.ledger.scan(log, &mut scan, &records.batches)?;
        self.counters.entries_read += 1;
        if scan.next >= records.high_watermark.0 {
            return self.ledger.finish(log, &scan, self.ledger.end(log));
        }
        if scan.next == before {
            let what = format!("a fetch of {log:?} from {before} gives nothing below {records:?}");
            return Err(Violation::new(Kind::ReadFailed, what));
        }
        if self.flushed == 0 {
            self.read_on(log, scan);
        }
        Ok(())
    }
}

/// What nobody could read is not taken.
fn refused_lie(log: LogId, reply: Reply) -> Result<(), Violation> {
    match reply {
        Reply::Failed(EngineError::Batch(_) | EngineError::Overloaded | EngineError::Stopping) => {
            Ok(())
        }
        other => {
            let what = format!("a batch for {log:?} that nobody could read: {other:?}");
            Err(Violation::new(Kind::WrongData, what))
        }
    }
}
