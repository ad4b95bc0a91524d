//! Commands to machines other than partitions: decided, appended, and answered when they are
//! durable.

use bytes::Bytes;
use leveret_storage::io::BufPool;
use leveret_storage::store::{AppendError, Frontiers, NewEntry};
use leveret_storage::types::{EntryMeta, Level, LogId, Now};

use super::super::log::frontiers_of;
use super::super::reply::{Reply, RequestId};
use super::super::{Replies, Shard};
use super::tenants::Listed;
use super::{Ask, Asked, Hosted, Line, Waiting};
use crate::error::EngineError;
use crate::machine::{Decides, Machine};

/// A machine whose every decision is an entry.
pub(in crate::shard) trait Served:
    Decides<Decision = <Self as Machine>::Entry>
{
    /// What its log is called in messages.
    const NAME: &'static str;
    /// Whether its answers wait until somebody asks for them, and are none of [`Shard::poll_reply`].
    const ASKED_FOR: bool = false;

    /// The bytes that stand in the log; `None` for what is not to outlive the run: it stands in no log, and
    /// is answered when all that was decided before it is durable.
    fn encode(entry: &Self::Entry) -> Option<Bytes>;

    /// What is told to whoever asked.
    fn answer(entry: Self::Entry) -> Reply;
}

/// A command to a machine.
pub(in crate::shard) struct Order<M: Decides> {
    pub(in crate::shard) request: RequestId,
    pub(in crate::shard) log: LogId,
    pub(in crate::shard) command: M::Command,
}

impl<M: Served> Hosted<M> {
    /// Answers whose entries the frontiers have passed leave, unless they wait to be asked for.
    pub(super) fn answer(&mut self, frontiers: &Frontiers, replies: &mut Replies) {
        if M::ASKED_FOR {
            return;
        }
        while let Some((request, entry)) = self.release(frontiers) {
            replies.push_back((request, M::answer(entry)));
        }
    }
}

impl<M: Listed, P: BufPool> Ask<P> for Order<M>
where
    Asked: From<Self>,
{
    const LINE: Line = Line::Control;

    fn carry_out(self, shard: &mut Shard<P>, now: Now) -> Result<(), Self> {
        let Some(hosted) = shard.hosted.machine_mut::<M>(self.log) else {
            shard.fail(self.request, EngineError::UnknownLog);
            return Ok(());
        };
        let entry = match hosted.machine.decide(&self.command, now.wall) {
            Ok(entry) => entry,
            Err(refusal) => {
                shard.fail(self.request, refusal.into());
                return Ok(());
            }
        };
        let ordered = frontiers_of(&shard.store, self.log).ordered;
        let until = match M::encode(&entry) {
            Some(bytes) => {
                let new = NewEntry {
                    term: hosted.term,
                    time: now.wall,
                    first_offset: ordered.1,
                    offsets: 0,
                    max_timestamp: i64::MIN,
                    bytes,
                    sum: None,
                };
                let what = (new, &entry);
                match hosted.append(&mut shard.store, self.log, what, Level::Synced, now) {
                    Ok(meta) => (meta.ordinal.plus(1), meta.next_offset()),
                    Err(AppendError::Full) => return Err(self),
                    Err(error) => {
                        let error = refused::<M>(error);
                        shard.fail(self.request, error);
                        return Ok(());
                    }
                }
            }
            None => {
                let meta = EntryMeta {
                    ordinal: ordered.0,
                    term: hosted.term,
                    time: now.wall,
                    first_offset: ordered.1,
                    offsets: 0,
                    max_timestamp: i64::MIN,
                    len: 0,
                };
                hosted.machine.apply(&meta, &entry);
                ordered
            }
        };
        hosted.wait(Waiting {
            request: self.request,
            level: Level::Synced,
            until,
            then: entry,
        });
        if hosted.waiting() == 1 {
            // What stands in no log has no frontier event of its own.
            shard.release(self.log);
        }
        Ok(())
    }
}

/// What an append was refused for.
fn refused<M: Served>(error: AppendError) -> EngineError {
    match error {
        AppendError::Full => EngineError::Overloaded,
        AppendError::DiskFloor => EngineError::DiskFull,
        AppendError::Stopped | AppendError::TooLarge | AppendError::UnknownLog => {
            let reason = format!("the {}'s log takes no entries: {error}", M::NAME);
            EngineError::LogStopped { reason }
        }
    }
}
