//! Changes of topics, several to a request: each by itself, one line of the answer for each.

use leveret_engine::EngineError;
use leveret_engine::shard::Reply;
use leveret_engine::topology::{Command, TopologyEntry};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{ErrorCode, ResourceType, Uuid};

use super::Asker;
use super::errors;
use super::gathered::Gathered;
use crate::core::Core;
use crate::core::hop::Call;
use crate::core::once::Mention;

/// Changes that are under way.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) lines: Vec<Line>,
    /// The line of each part.
    parts: Vec<usize>,
}

/// One topic's change, and what came of it.
#[derive(Debug)]
pub(super) struct Line {
    /// What the topic is called; `None` for an id that nobody has.
    pub(super) name: Option<String>,
    /// The id that it was asked for by or found with.
    pub(super) id: Uuid,
    /// What it is, where a request is not about topics alone.
    pub(super) resource: ResourceType,
    /// How many partitions it is to have, or -1.
    pub(super) partitions: i32,
    pub(super) error: ErrorCode,
    pub(super) message: Option<String>,
}

/// Said of what a request names more than once.
pub(super) const TWICE: &str = "it is in the request more than once: nothing was done";

/// What a request wants of one topic, or why it cannot be.
pub(super) type Wanted = Result<Command, (ErrorCode, String)>;

/// What a mention of a topic is to do: with several of the same topic there is one line for all.
pub(super) fn once(mention: Mention, wanted: impl FnOnce() -> Wanted) -> Option<Wanted> {
    match mention {
        Mention::Only => Some(wanted()),
        Mention::First => Some(Err((ErrorCode::InvalidRequest, TWICE.to_owned()))),
        Mention::Again => None,
    }
}

impl Line {
    pub(super) fn of(name: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            id: Uuid::ZERO,
            resource: ResourceType::TOPIC,
            partitions: -1,
            error: ErrorCode::None,
            message: None,
        }
    }

    fn fail(&mut self, error: &EngineError) {
        self.error = errors::code(error);
        self.message = Some(error.to_string());
    }
}

impl Changes {
    /// Adds the line of the next part.
    pub(super) fn ask(&mut self, line: Line) {
        self.parts.push(self.lines.len());
        self.lines.push(line);
    }

    pub(super) fn take(&mut self, part: usize, reply: Reply) {
        if let Err(error) = change_of(reply) {
            self.lines[self.parts[part]].fail(&error);
        }
    }
}

/// What a change of the topology came to.
pub(super) fn change_of(reply: Reply) -> Result<TopologyEntry, EngineError> {
    match reply {
        Reply::Topology(entry) => Ok(entry),
        Reply::Failed(error) => Err(error),
        reply => unreachable!("no change: {reply:?}"),
    }
}

impl<P: BufPool> Core<P> {
    /// Has all changes carried out, each by itself, or only tells what would come of them. `what`
    /// says which request they answer.
    pub(super) fn kafka_change(
        &mut self,
        asker: Asker,
        wanted: Vec<(Line, Wanted)>,
        validate_only: bool,
        what: fn(Changes) -> Gathered,
        now: Now,
    ) {
        let mut changes = Changes::default();
        let mut commands = Vec::new();
        for (mut line, wanted) in wanted {
            match wanted {
                Ok(command) if validate_only => {
                    if let Err(refusal) = self.topology.decide(&command, self.cores, now.wall) {
                        line.fail(&refusal.into());
                    }
                }
                Ok(command) => {
                    commands.push(command);
                    changes.ask(line);
                    continue;
                }
                Err((error, message)) => {
                    line.error = error;
                    line.message = (!message.is_empty()).then_some(message);
                }
            }
            changes.lines.push(line);
        }
        let gather = self.kafka_gather(asker, None, what(changes));
        for command in commands {
            self.ask_part(gather, CoreId(0), Call::Change(command), now);
        }
        self.all_asked(gather, now);
    }
}
