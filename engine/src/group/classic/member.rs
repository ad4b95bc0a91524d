//! A member of a classic group, and what all of them say together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use leveret_storage::types::Mono;

use super::super::call::{Join, Name, Protocol};
use super::super::kept::{Assigned, KeptMember};
use super::super::shared::nanos;
use crate::shard::RequestId;

/// What a protocol costs beside its bytes.
const PROTOCOL: usize = 64;

/// Who is in a group, or is about to be.
#[derive(Debug)]
pub(in super::super) struct Member {
    pub(super) id: Name,
    pub(super) instance: Option<Name>,
    pub(super) client_id: Name,
    pub(super) host: Name,
    pub(super) session_ms: u32,
    pub(super) rebalance_ms: u32,
    /// Each with another name.
    pub(super) protocols: Vec<Protocol>,
    /// In the present generation, once that is stable.
    pub(super) assignment: Bytes,
    pub(super) wait: Wait,
    /// It has not been in a generation yet.
    pub(super) fresh: bool,
    /// It has asked for its assignment in this generation, or is not waited for.
    pub(super) synced: bool,
    pub(super) last_seen: Mono,
    /// When its session is looked at.
    pub(super) armed: Option<Mono>,
}

/// What a member waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    /// That the next generation begins.
    Join(RequestId),
    /// That the leader assigns.
    Sync(RequestId),
}

impl Member {
    /// One that joins with that id.
    pub(super) fn new(id: Name, join: &Join, now: Mono) -> Self {
        Self {
            id,
            instance: join.instance.clone(),
            client_id: Arc::clone(&join.client_id),
            host: Arc::clone(&join.host),
            session_ms: join.session_ms,
            rebalance_ms: join.rebalance_ms,
            protocols: once_each(&join.protocols),
            assignment: Bytes::new(),
            wait: Wait::No,
            fresh: true,
            synced: false,
            last_seen: now,
            armed: None,
        }
    }

    /// One that was in a generation before the last start.
    pub(super) fn revived(kept: &KeptMember, protocol: &Name, now: Mono) -> Self {
        Self {
            id: Arc::clone(&kept.id),
            instance: kept.instance.clone(),
            client_id: Arc::clone(&kept.client_id),
            host: Arc::clone(&kept.host),
            session_ms: kept.session_ms,
            rebalance_ms: kept.rebalance_ms,
            protocols: vec![Protocol {
                name: Arc::clone(protocol),
                subscription: kept.subscription.clone(),
                topics: kept.topics.clone(),
            }],
            assignment: kept.assignment.clone(),
            wait: Wait::No,
            fresh: false,
            synced: true,
            last_seen: now,
            armed: None,
        }
    }

    /// It says something else from now on.
    pub(super) fn update(&mut self, join: &Join) {
        self.client_id = Arc::clone(&join.client_id);
        self.host = Arc::clone(&join.host);
        self.session_ms = join.session_ms;
        self.rebalance_ms = join.rebalance_ms;
        self.protocols = once_each(&join.protocols);
    }

    /// Whether it says the same again.
    pub(super) fn says(&self, join: &Join) -> bool {
        let same =
            |(a, b): (&Protocol, &Protocol)| a.name == b.name && a.subscription == b.subscription;
        let (mine, its) = (&self.protocols, &join.protocols);
        mine.len() == its.len() && mine.iter().zip(its).all(same)
    }

    pub(super) fn protocol(&self, name: &Name) -> Option<&Protocol> {
        self.protocols
            .iter()
            .find(|protocol| protocol.name == *name)
    }

    /// What it says to whoever assigns so.
    pub(super) fn subscription(&self, name: &Name) -> Bytes {
        let protocol = self.protocol(name);
        protocol.map_or_else(Bytes::new, |protocol| protocol.subscription.clone())
    }

    /// When it has been silent for too long.
    pub(super) fn session_end(&self) -> Mono {
        self.last_seen.after(nanos(self.session_ms))
    }

    /// What a restart must not lose of it.
    pub(super) fn keep(&self, protocol: &Name, assignment: Bytes) -> KeptMember {
        let said = self.protocol(protocol);
        KeptMember {
            id: Arc::clone(&self.id),
            instance: self.instance.clone(),
            client_id: Arc::clone(&self.client_id),
            host: Arc::clone(&self.host),
            session_ms: self.session_ms,
            rebalance_ms: self.rebalance_ms,
            subscription: self.subscription(protocol),
            topics: said.and_then(|said| said.topics.clone()),
            assignment,
        }
    }
}

/// What a static member's log says of it when another process has taken it over.
pub(super) fn taken_over(
    assigned: &Assigned,
    old: &Name,
    id: Name,
    join: &Join,
) -> Option<KeptMember> {
    let before = &assigned.members[assigned.find(old)?];
    let of = |protocol: &&Protocol| protocol.name == assigned.protocol;
    let said = join.protocols.iter().find(of);
    Some(KeptMember {
        id,
        instance: join.instance.clone(),
        client_id: Arc::clone(&join.client_id),
        host: Arc::clone(&join.host),
        session_ms: join.session_ms,
        rebalance_ms: join.rebalance_ms,
        subscription: said.map_or_else(Bytes::new, |said| said.subscription.clone()),
        topics: said.and_then(|said| said.topics.clone()),
        assignment: before.assignment.clone(),
    })
}

/// Whoever names a protocol twice means the first.
fn once_each(protocols: &[Protocol]) -> Vec<Protocol> {
    let mut seen = BTreeSet::new();
    let first = |protocol: &&Protocol| seen.insert(Arc::clone(&protocol.name));
    let mut once: Vec<Protocol> = protocols.iter().filter(first).cloned().collect();
    once.shrink_to_fit();
    once
}

/// Bytes that a member's protocols take: its subscriptions, and as many of the topics in them.
pub(super) fn bytes(protocols: &[Protocol]) -> usize {
    let one = |protocol: &Protocol| {
        let topics = protocol.topics.iter().flat_map(|topics| topics.iter());
        let topics: usize = topics.map(|topic| 16 + topic.len()).sum();
        PROTOCOL + protocol.name.len() + protocol.subscription.len().max(topics)
    };
    protocols.iter().map(one).sum()
}

/// What all members of a group say together.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// How many know a protocol.
    protocols: BTreeMap<Name, usize>,
    /// How often a topic is subscribed to.
    topics: BTreeMap<Name, usize>,
    /// Subscriptions whose topics could not be read.
    opaque: usize,
    pub(super) bytes: usize,
}

impl Said {
    pub(super) fn add(&mut self, protocols: &[Protocol]) {
        self.bytes += bytes(protocols);
        for protocol in protocols {
            *self
                .protocols
                .entry(Arc::clone(&protocol.name))
                .or_default() += 1;
            match &protocol.topics {
                Some(topics) => topics.iter().for_each(|topic| {
                    *self.topics.entry(Arc::clone(topic)).or_default() += 1;
                }),
                None => self.opaque += 1,
            }
        }
    }

    pub(super) fn take(&mut self, protocols: &[Protocol]) {
        self.bytes -= bytes(protocols);
        for protocol in protocols {
            less(&mut self.protocols, &protocol.name);
            match &protocol.topics {
                Some(topics) => topics
                    .iter()
                    .for_each(|topic| less(&mut self.topics, topic)),
                None => self.opaque -= 1,
            }
        }
    }

    /// How many know that protocol.
    pub(super) fn knowing(&self, protocol: &Name) -> usize {
        self.protocols.get(protocol).copied().unwrap_or(0)
    }

    /// Whether somebody may read that topic.
    pub(super) fn subscribed(&self, topic: &Name) -> bool {
        self.opaque > 0 || self.topics.contains_key(topic)
    }
}

fn less(counts: &mut BTreeMap<Name, usize>, name: &Name) {
    let count = counts.get_mut(name).expect("it was counted");
    *count -= 1;
    if *count == 0 {
        counts.remove(name);
    }
}
