//! CreatePartitions: more partitions for topics that exist; one result per topic asked.

use std::borrow::Cow;

use leveret_engine::topology::TopicChanges;
use leveret_wire::kafka::{
    CheckedFrame, CreatePartitionsRequest, CreatePartitionsResult, CreatePartitionsTopic,
    ErrorCode, Line as ToldLine, Place, Uuid,
};

use super::changes::{Change, Line, Wanted};
use super::names::{self, Name};
use super::{Known, errors};
use crate::core::ops::Operation;

pub(super) struct CreatePartitions;

impl Change for CreatePartitions {
    type Request<'a> = CreatePartitionsRequest<'a>;

    fn named(request: &CreatePartitionsRequest<'_>) -> (Place, bool) {
        (request.topics.iter().place(), request.validate_only)
    }

    fn name(frame: &CheckedFrame, place: Place) -> Option<(Name<'_>, Place)> {
        names::read(frame, place, |topic: CreatePartitionsTopic<'_>| {
            (Some(topic.name), Uuid::ZERO)
        })
    }

    fn wanted(frame: &CheckedFrame, at: Place, known: &Known<'_>) -> (Line, Wanted) {
        let topic = frame.elements::<CreatePartitionsTopic<'_>>(at).next();
        let topic = topic.expect("it was read before");
        (Line::of(topic.name), more(&topic, known))
    }

    fn told(line: &Line, _known: &Known<'_>, _version: i16) -> impl ToldLine {
        CreatePartitionsResult {
            name: Cow::Borrowed(line.name.as_deref().unwrap_or_default()),
            error: line.error,
            error_message: line.message.as_deref().map(Cow::Borrowed),
        }
    }
}

fn more(asked: &CreatePartitionsTopic<'_>, known: &Known<'_>) -> Wanted {
    let topic = known.topic_named(asked.name, Operation::Alter);
    let topic = topic.map_err(|why| errors::unfound(&why))?;
    let added = i64::from(asked.count) - i64::from(topic.partitions());
    // More than a topic may have is refused for that, whoever is to have them.
    let few = asked.count <= i32::try_from(known.topology.most_partitions()).unwrap_or(i32::MAX);
    if let Some(assignments) = asked.assignments.filter(|_| few) {
        let fits = i64::try_from(assignments.len()).is_ok_and(|len| len == added);
        let node = |id| known.kafka.nodes().any(|node| node == id);
        let live = fits
            && assignments.iter().all(|assignment| {
                let ids = assignment.broker_ids;
                ids.len() == 1 && ids.iter().all(node)
            });
        if !live {
            let message = "each new partition needs one replica, on a live broker";
            return Err((ErrorCode::InvalidReplicaAssignment, message.to_owned()));
        }
    }
    let changes = TopicChanges {
        partitions: Some(u32::try_from(asked.count).unwrap_or(0)),
        ..TopicChanges::default()
    };
    let change = known.alter(asked.name, changes);
    change.map_err(|why| errors::unfound(&why))
}
