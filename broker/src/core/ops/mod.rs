//! What every protocol does, once: it finds topics and partitions, appends, reads, looks offsets up, changes
//! topics, gives producer ids out.
//!
//! All of it begins with [`Known::authorize`], the only place where it is decided who may do what: a [`AllowedPartition`],
//! which all that concerns a partition asks for, is had of an [`AllowedTopic`] only, and that of a look-up that asks
//! first. Protocols translate: what they were asked into these, and refusals into their own words.

mod authorize;
mod find;
mod offsets;
mod producer_ids;
mod records;
#[cfg(test)]
mod tests;
mod topics;

pub(super) use authorize::{Operation, Principal, Refused, Resource, Rules};
pub(super) use find::{AllowedPartition, AllowedTopic, Unfound};
pub(super) use records::FetchBounds;

use leveret_engine::topology::Topology;
use leveret_storage::io::BufPool;
use leveret_storage::types::{Now, WallMs};

use super::Core;
use super::boundary::ConnId;
use super::kafka::KafkaSettings;

/// What requests look things up in, and who asks.
pub(super) struct Known<'a> {
    pub(super) principal: &'a Principal,
    pub(super) rules: &'a Rules,
    pub(super) topology: &'a Topology,
    pub(super) kafka: &'a KafkaSettings,
    pub(super) wall: WallMs,
}

impl<P: BufPool> Core<P> {
    /// What a request of that connection looks things up in.
    pub(super) fn known(&mut self, conn: ConnId, now: Now) -> Known<'_> {
        let session = self.sessions.get(conn);
        Known {
            principal: session.map_or(&Principal::Anonymous, |session| &session.principal),
            rules: &self.rules,
            topology: &self.topology,
            kafka: &self.settings.kafka,
            wall: now.wall,
        }
    }
}
