//! CreateTopics: with settings by Kafka's names, on nodes that are one broker.

use std::borrow::Cow;

use leveret_engine::topology::{TopicCommand, TopicName};
use leveret_wire::kafka::{
    Array, CheckedFrame, CreatableTopic, CreateTopicsRequest, CreatedTopic, CreatedTopicConfig,
    ErrorCode, Line as ToldLine, Place, ReplicaAssignment, Uuid,
};

use super::changes::{Change, Line, MOST_SETTINGS, Wanted};
use super::names::{self, Name};
use super::topics::uuid_of;
use super::{Known, errors};
use crate::core::hop::ChangeTopics;

pub(super) struct CreateTopics;

impl Change for CreateTopics {
    type Request<'a> = CreateTopicsRequest<'a>;
    const TELLS_SETTINGS: bool = true;

    fn named(request: &CreateTopicsRequest<'_>) -> (Place, bool) {
        (request.topics.iter().place(), request.validate_only)
    }

    fn name(frame: &CheckedFrame, place: Place) -> Option<(Name<'_>, Place)> {
        names::read(frame, place, |topic: CreatableTopic<'_>| {
            (Some(topic.name), Uuid::ZERO)
        })
    }

    fn wanted(frame: &CheckedFrame, at: Place, known: &Known<'_>) -> (Line, Wanted) {
        let topic = frame.elements::<CreatableTopic<'_>>(at).next();
        let topic = topic.expect("it was read before");
        let wanted = command_of(&topic, known);
        let mut line = Line::of(topic.name);
        if let Ok(ChangeTopics(command)) = &wanted
            && let TopicCommand::Create { partitions, .. } = &**command
        {
            line.partitions = i32::try_from(*partitions).unwrap_or(-1);
        }
        (line, wanted)
    }

    fn told(line: &Line, known: &Known<'_>, version: i16) -> impl ToldLine {
        let name = line.name.as_deref().unwrap_or_default();
        let ok = line.error == ErrorCode::None;
        let topic = known.topology.topic_named(name).filter(|_| ok);
        // Settings are told from version 5 on.
        let told = topic.filter(|_| version >= 5);
        let configs = told.map(|topic| known.topology.config_of(topic));
        let configs = configs.into_iter().flatten();
        CreatedTopic {
            name: Cow::Borrowed(name),
            id: topic.map_or(line.id, |topic| uuid_of(known.topology, topic.id)),
            error: line.error,
            error_message: line.message.as_deref().map(Cow::Borrowed),
            num_partitions: if ok { line.partitions } else { -1 },
            replication_factor: if ok { 1 } else { -1 },
            configs: Some(
                configs
                    .map(|entry| CreatedTopicConfig {
                        name: Cow::Borrowed(entry.setting.name),
                        source: known.kafka.source_of(entry.source),
                        value: Some(Cow::Owned(entry.value)),
                        read_only: false,
                        is_sensitive: false,
                    })
                    .collect(),
            ),
        }
    }
}

fn command_of(topic: &CreatableTopic<'_>, known: &Known<'_>) -> Wanted {
    let name = TopicName::new(topic.name)
        .map_err(|error| (ErrorCode::InvalidTopicException, error.to_string()))?;
    let partitions = if topic.assignments.is_empty() {
        replication(topic.replication_factor)?;
        match topic.num_partitions {
            -1 => known.kafka.partitions,
            count => u32::try_from(count).unwrap_or(0),
        }
    } else if (topic.num_partitions, topic.replication_factor) != (-1, -1) {
        let message = "partitions are counted or assigned, not both";
        return Err((ErrorCode::InvalidRequest, message.to_owned()));
    } else {
        assigned(topic.assignments, known)?
    };
    if topic.configs.len() > MOST_SETTINGS {
        let message = format!("a topic has far less settings than {}", topic.configs.len());
        return Err((ErrorCode::InvalidConfig, message));
    }
    let config = topic.configs.iter().map(|config| {
        let value = config.value.ok_or_else(|| {
            let message = "is given no value; what is to have its default is left out";
            let message = format!("the setting `{}` {message}", config.name);
            (ErrorCode::InvalidConfig, message)
        })?;
        Ok((config.name.to_owned(), value.to_owned()))
    });
    let config = config.collect::<Result<_, _>>()?;
    let change = known.create(name, partitions, config);
    change.map_err(|refused| errors::not_allowed(&refused))
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
    known: &Known<'_>,
) -> Result<u32, (ErrorCode, String)> {
    let refused = |message: String| (ErrorCode::InvalidReplicaAssignment, message);
    let most = known.topology.most_partitions();
    if assignments.len() > most as usize {
        let message = format!(
            "a topic has 1 to {most} partitions, not {}",
            assignments.len()
        );
        return Err((ErrorCode::InvalidPartitions, message));
    }
    let mut numbers: Vec<i32> = Vec::with_capacity(assignments.len());
    for assignment in assignments {
        let brokers = assignment.broker_ids;
        let live = |id| known.kafka.nodes().any(|node| node == id);
        if brokers.len() != 1 || !brokers.iter().all(live) {
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
