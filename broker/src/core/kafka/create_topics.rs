//! CreateTopics: with settings by Kafka's names, on nodes that are one broker.

use std::borrow::Cow;

use leveret_engine::topology::{Command, TopicName};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    Array, CreatableTopic, CreateTopicsRequest, CreateTopicsResponse, CreatedTopic,
    CreatedTopicConfig, ErrorCode, ReplicaAssignment,
};

use super::Asker;
use super::changes::{Changes, Line, Wanted, once};
use super::gathered::Gathered;
use super::settings::KafkaSettings;
use super::topics::uuid_of;
use crate::core::Core;
use crate::core::once::Mentions;

impl<P: BufPool> Core<P> {
    pub(super) fn kafka_create_topics(
        &mut self,
        asker: Asker,
        request: &CreateTopicsRequest<'_>,
        now: Now,
    ) {
        let mut mentions = Mentions::of(request.topics.iter().map(|topic| topic.name));
        let wanted = request.topics.iter().filter_map(|topic| {
            let mut line = Line::of(topic.name);
            let wanted = once(mentions.next(&topic.name), || {
                command_of(&topic, &self.settings.kafka)
            })?;
            if let Ok(Command::CreateTopic { partitions, .. }) = &wanted {
                line.partitions = i32::try_from(*partitions).unwrap_or(-1);
            }
            Some((line, wanted))
        });
        let wanted = wanted.collect();
        let only = request.validate_only;
        self.kafka_change(asker, wanted, only, Gathered::CreateTopics, now);
    }

    pub(super) fn kafka_created(&mut self, asker: Asker, changes: &Changes) {
        let topics = changes.lines.iter().map(|line| {
            let name = line.name.as_deref().unwrap_or_default();
            let ok = line.error == ErrorCode::None;
            let topic = self.topology.topic_named(name).filter(|_| ok);
            let configs = topic.map(|topic| self.topology.config_of(topic));
            let configs = configs.into_iter().flatten();
            CreatedTopic {
                name: Cow::Borrowed(name),
                id: topic.map_or(line.id, |topic| uuid_of(&self.topology, topic.id)),
                error: line.error,
                error_message: line.message.as_deref().map(Cow::Borrowed),
                num_partitions: if ok { line.partitions } else { -1 },
                replication_factor: if ok { 1 } else { -1 },
                configs: Some(
                    configs
                        .map(|entry| CreatedTopicConfig {
                            name: Cow::Borrowed(entry.key.setting().name),
                            source: self.settings.kafka.source_of(entry.source),
                            value: Some(Cow::Owned(entry.value)),
                            read_only: false,
                            is_sensitive: false,
                        })
                        .collect(),
                ),
            }
        });
        let response = CreateTopicsResponse {
            throttle_time_ms: 0,
            topics: topics.collect(),
        };
        self.kafka_respond(asker, &response);
    }
}

fn command_of(topic: &CreatableTopic<'_>, settings: &KafkaSettings) -> Wanted {
    let name = TopicName::new(topic.name)
        .map_err(|error| (ErrorCode::InvalidTopicException, error.to_string()))?;
    let partitions = if topic.assignments.is_empty() {
        replication(topic.replication_factor)?;
        match topic.num_partitions {
            -1 => settings.partitions,
            count => u32::try_from(count).unwrap_or(0),
        }
    } else if (topic.num_partitions, topic.replication_factor) != (-1, -1) {
        let message = "partitions are counted or assigned, not both";
        return Err((ErrorCode::InvalidRequest, message.to_owned()));
    } else {
        assigned(topic.assignments, settings)?
    };
    let config = topic.configs.iter().map(|config| {
        let value = config.value.ok_or_else(|| {
            let message = "is given no value; what is to have its default is left out";
            let message = format!("the setting `{}` {message}", config.name);
            (ErrorCode::InvalidConfig, message)
        })?;
        Ok((config.name.to_owned(), value.to_owned()))
    });
    Ok(Command::CreateTopic {
        name,
        partitions,
        config: config.collect::<Result<_, _>>()?,
    })
}

fn replication(factor: i16) -> Result<(), (ErrorCode, String)> {
    match factor {
        -1 | 1 => Ok(()),
        _ => Err((
            ErrorCode::InvalidReplicationFactor,
            format!("records have one replica here, not {factor}"),
        )),
    }
}

/// How many partitions a manual assignment makes. Where they really live is the engine's to
/// decide; the assignment has to be one that could be.
fn assigned(
    assignments: Array<'_, ReplicaAssignment<'_>>,
    settings: &KafkaSettings,
) -> Result<u32, (ErrorCode, String)> {
    let refused = |message: String| (ErrorCode::InvalidReplicaAssignment, message);
    let mut numbers: Vec<i32> = Vec::with_capacity(assignments.len());
    for assignment in assignments {
        let brokers = assignment.broker_ids;
        let live = brokers
            .iter()
            .all(|id| settings.nodes().any(|node| node == id));
        if brokers.len() != 1 || !live {
            let partition = assignment.partition;
            let message = format!("partition {partition} needs one replica, on a live broker");
            return Err(refused(message));
        }
        numbers.push(assignment.partition);
    }
    numbers.sort_unstable();
    if !numbers.iter().copied().eq(0..assignments.len() as i32) {
        return Err(refused("partitions are numbered from 0 on".to_owned()));
    }
    Ok(u32::try_from(numbers.len()).unwrap_or(u32::MAX))
}
