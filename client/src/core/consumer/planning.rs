//! What a consumer asks for next.

use leveret_wire::native::{ListOffsets, MAX_SUBSCRIPTION_PARTITIONS, Offset, SubscribePartition};

use super::{Consumer, ConsumerTransmit, Key};
use crate::core::{Mono, RequestId};

impl Consumer {
    pub(super) fn plan(&mut self, now: Mono) -> Option<ConsumerTransmit> {
        self.plan_look_up(now)
            .or_else(|| self.plan_end())
            .or_else(|| self.plan_credit())
            .or_else(|| self.plan_subscription(now))
            .or_else(|| self.plan_ping(now))
    }

    fn plan_look_up(&mut self, now: Mono) -> Option<ConsumerTransmit> {
        let wanted = |key: &Key| Some((*key, self.assignments[key].wants_look_up(now)?));
        let (key, spec) = self.to_plan.iter().find_map(wanted)?;
        let request = ListOffsets {
            topic_id: key.0,
            partition: key.1,
            spec,
        };
        self.to_plan.remove(&key);
        let id = self.next_id();
        let generation = self.assignments[&key].generation;
        self.look_ups.insert(id.0, (key, generation));
        Some(ConsumerTransmit::ListOffsets { id, request })
    }

    fn plan_end(&mut self) -> Option<ConsumerTransmit> {
        let subscription = RequestId(self.subscriptions.next_end()?);
        Some(ConsumerTransmit::Unsubscribe { subscription })
    }

    fn plan_credit(&mut self) -> Option<ConsumerTransmit> {
        let buffer = self.settings.buffer_bytes;
        let (id, bytes) = self.subscriptions.next_credit(buffer, self.buffered)?;
        let subscription = RequestId(id);
        Some(ConsumerTransmit::Credit {
            subscription,
            bytes,
        })
    }

    /// One subscription to all whose position is known, once no more are about to become known.
    fn plan_subscription(&mut self, now: Mono) -> Option<ConsumerTransmit> {
        if !self.look_ups.is_empty() || self.subscriptions.any_ending() {
            return None;
        }
        let wanted = |key: &Key| Some((*key, self.assignments[key].wants_subscription(now)?));
        let wanted = self.to_plan.iter().filter_map(wanted);
        let chosen: Vec<(Key, Offset)> = wanted.take(MAX_SUBSCRIPTION_PARTITIONS).collect();
        if chosen.is_empty() {
            return None;
        }
        if !self.subscriptions.make_room() {
            return self.plan_end();
        }
        let id = self.next_id();
        let partitions = chosen.iter().map(|(key, offset)| SubscribePartition {
            topic_id: key.0,
            partition: key.1,
            offset: *offset,
            max_bytes: self.settings.max_partition_bytes,
        });
        let partitions = partitions.collect();
        let mut assigned = Vec::with_capacity(chosen.len());
        for (key, _) in chosen {
            self.to_plan.remove(&key);
            let assignment = self.assignments.get_mut(&key).expect("chosen from the map");
            assignment.subscription = Some(id.0);
            assigned.push((key, assignment.generation));
        }
        let buffer = self.settings.buffer_bytes;
        let subscriptions = &mut self.subscriptions;
        let credit = subscriptions.open(id.0, assigned, buffer, self.buffered);
        Some(ConsumerTransmit::Subscribe {
            id,
            credit,
            partitions,
        })
    }

    fn plan_ping(&mut self, now: Mono) -> Option<ConsumerTransmit> {
        self.ping_at().filter(|at| *at <= now)?;
        let id = self.next_id();
        self.ping = Some(id.0);
        Some(ConsumerTransmit::Ping { id })
    }

    /// When a broker that says nothing is asked; never while it owes an answer anyway.
    pub(super) fn ping_at(&self) -> Option<Mono> {
        let silent = !self.subscriptions.is_empty() && self.awaited() == 0;
        silent.then(|| self.heard_at.after(self.settings.ping_after))
    }

    /// How many answers are due.
    pub(super) fn awaited(&self) -> usize {
        self.look_ups.len() + usize::from(self.ping.is_some()) + self.subscriptions.awaited()
    }
}
