//! What every protocol does, once: it finds topics and partitions, appends, reads, looks offsets up, changes
//! topics, gives producer ids out, asks those who decide about groups.
//!
//! All of it begins with [`Known::authorize`], the only place where it is decided who may do what. What it allowed is
//! an [`Allowed`], which only what stands here makes: an [`AllowedPartition`] is had of an [`AllowedTopic`], and that of
//! a look-up that asks first. Protocols translate: what they were asked into these, and refusals into their own words.

mod authorize;
mod find;
mod groups;
mod producer_ids;
mod records;
#[cfg(test)]
mod tests;
mod topics;

pub(super) use authorize::Named;
pub(super) use authorize::{Operation, Principal, Refused, Resource, Rules};
pub(super) use find::{AllowedPartition, AllowedTopic, Unfound};
pub(super) use groups::AllowedGroup;
pub(super) use records::FetchBounds;

use std::ops::Deref;

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

/// What whoever asked for it may do, or may do something with. It is made below this module only, behind
/// [`Known::authorize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowed<T>(T);

impl<T> Deref for Allowed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Allowed<T> {
    pub(super) fn into_inner(self) -> T {
        self.0
    }
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
