//! CreatePartitions: more partitions for topics that exist; one result per topic asked.

use std::borrow::Cow;

use leveret_engine::topology::{Command, TopicChanges};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsResult,
    CreatePartitionsTopic, ErrorCode,
};

use super::Asker;
use super::changes::{Changes, Line, Wanted, once};
use super::gathered::Gathered;
use crate::core::Core;
use crate::core::once::Mentions;

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_create_partitions(
        &mut self,
        asker: Asker,
        request: &CreatePartitionsRequest<'_>,
        now: Now,
    ) {
        let mut mentions = Mentions::of(request.topics.iter().map(|topic| topic.name));
        let wanted = request.topics.iter().filter_map(|topic| {
            let wanted = once(mentions.next(&topic.name), || self.more(&topic))?;
            Some((Line::of(topic.name), wanted))
        });
        let wanted = wanted.collect();
        let only = request.validate_only;
        self.kafka_change(asker, wanted, only, Gathered::CreatePartitions, now);
    }

    pub(super) fn kafka_partitioned(&mut self, asker: Asker, changes: &Changes) {
        let results = changes.lines.iter().map(|line| CreatePartitionsResult {
            name: Cow::Borrowed(line.name.as_deref().unwrap_or_default()),
            error: line.error,
            error_message: line.message.as_deref().map(Cow::Borrowed),
        });
        let response = CreatePartitionsResponse {
            throttle_time_ms: 0,
            results: results.collect(),
        };
        self.kafka_respond(asker, &response);
    }

    fn more(&self, asked: &CreatePartitionsTopic<'_>) -> Wanted {
        let Some(topic) = self.topology.topic_named(asked.name) else {
            return Err((ErrorCode::UnknownTopicOrPartition, String::new()));
        };
        let added = i64::from(asked.count) - i64::from(topic.partitions());
        if let Some(assignments) = asked.assignments {
            let nodes = &self.settings.kafka;
            let fits = i64::try_from(assignments.len()).is_ok_and(|len| len == added);
            let live = assignments.iter().all(|assignment| {
                let ids = assignment.broker_ids;
                ids.len() == 1 && ids.iter().all(|id| nodes.nodes().any(|node| node == id))
            });
            if !fits || !live {
                let message = "each new partition needs one replica, on a live broker";
                return Err((ErrorCode::InvalidReplicaAssignment, message.to_owned()));
            }
        }
        let changes = TopicChanges {
            partitions: Some(u32::try_from(asked.count).unwrap_or(0)),
            ..TopicChanges::default()
        };
        Ok(Command::AlterTopic {
            id: topic.id,
            changes,
        })
    }
}
