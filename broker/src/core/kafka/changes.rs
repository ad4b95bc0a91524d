//! CreateTopics, CreatePartitions, AlterConfigs and IncrementalAlterConfigs: changes of topics, as many as
//! a request has bytes for, each by itself.
//!
//! The request is read twice from its frame, in slices: first to see what it names more than once. Its
//! answer has a line for each in the order of the request, put together in slices as well.

use std::vec;

use leveret_engine::EngineError;
use leveret_engine::shard::Reply;
use leveret_engine::topology::{Command, TopologyEntry};
use leveret_storage::io::BufPool;
use leveret_storage::types::Now;
use leveret_wire::kafka::{
    ApiKey, CheckedFrame, ErrorCode, Place, ResourceType, Uuid, encode_around,
};

use super::gathered::Gathered;
use super::names::{Names, Read};
use super::pieces::Pieces;
use super::{Asker, Known, alter_configs, create_partitions, create_topics, errors};
use crate::core::Core;
use crate::core::hop::Call;
use crate::core::once::Mention;

/// What it costs to meet a name, to decide about one, and to look through a topic's settings, beside
/// bytes, in the units of slices.
const MEET: usize = 256;
const DECIDE: usize = 1024;
const SETTINGS: usize = 4096;
/// What it costs to look at a byte of what is wanted.
const BYTE: usize = 16;
/// Settings that one topic may name in a request: some times as many as there are.
pub(super) const MOST_SETTINGS: usize = 1000;

/// Which request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    CreateTopics,
    CreatePartitions,
    AlterConfigs,
    IncrementalAlterConfigs,
}

/// What a request asks, without its frame.
pub(super) struct ChangeOutline {
    pub(super) what: What,
    /// Where the topics or resources stand.
    pub(super) named: Place,
    pub(super) validate_only: bool,
}

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

/// Topics that are being changed.
pub(super) struct Changing {
    version: i16,
    what: What,
    names: Names,
    validate_only: bool,
    stage: Stage,
    changes: Changes,
    lines: Pieces,
}

enum Stage {
    /// All names are being met.
    Meeting,
    /// What is named once is to be changed.
    Choosing(Vec<Call>),
    /// That is under way.
    Changing,
    /// The lines are being put together.
    Answering(vec::IntoIter<Line>),
}

impl What {
    fn api(self) -> ApiKey {
        match self {
            Self::CreateTopics => ApiKey::CreateTopics,
            Self::CreatePartitions => ApiKey::CreatePartitions,
            Self::AlterConfigs => ApiKey::AlterConfigs,
            Self::IncrementalAlterConfigs => ApiKey::IncrementalAlterConfigs,
        }
    }

    fn read(self) -> Read {
        match self {
            Self::CreateTopics => create_topics::read,
            Self::CreatePartitions => create_partitions::read,
            Self::AlterConfigs => alter_configs::read,
            Self::IncrementalAlterConfigs => alter_configs::read_incremental,
        }
    }

    /// What is wanted of the topic that stands there.
    fn wanted(self, frame: &CheckedFrame, at: Place, known: &Known<'_>) -> (Line, Wanted) {
        match self {
            Self::CreateTopics => create_topics::wanted(frame, at, known),
            Self::CreatePartitions => create_partitions::wanted(frame, at, known),
            Self::AlterConfigs => alter_configs::wanted(frame, at, known),
            Self::IncrementalAlterConfigs => alter_configs::wanted_incrementally(frame, at, known),
        }
    }

    /// Whether what is named more than once has a line for each mention, and not one for all.
    fn tells_each_mention(self) -> bool {
        matches!(self, Self::AlterConfigs | Self::IncrementalAlterConfigs)
    }
}

impl Changing {
    pub(super) fn take(&mut self, part: usize, reply: Reply) {
        self.changes.take(part, reply);
    }

    /// Looks at the next topic. What that cost; `None` if there is none.
    pub(super) fn look_up(&mut self, known: &Known<'_>) -> Option<usize> {
        match &mut self.stage {
            Stage::Meeting => {
                if self.names.next_met().is_none() {
                    self.names.begin_again();
                    self.stage = Stage::Choosing(Vec::new());
                }
                Some(MEET)
            }
            Stage::Choosing(_) => self.choose(known),
            Stage::Changing => None,
            Stage::Answering(lines) => {
                let line = lines.next()?;
                let (what, version) = (self.what, self.version);
                let len = self.lines.line(|out| match what {
                    What::CreateTopics => create_topics::encode(&line, known, out, version),
                    What::CreatePartitions => create_partitions::encode(&line, out, version),
                    What::AlterConfigs | What::IncrementalAlterConfigs => {
                        alter_configs::encode(&line, out, what.api(), version);
                    }
                });
                // A topic that was made is told with all that is in force for it.
                let made = what == What::CreateTopics && line.error == ErrorCode::None;
                Some(MEET + len + if made { SETTINGS } else { 0 })
            }
        }
    }

    /// Decides about the next topic.
    fn choose(&mut self, known: &Known<'_>) -> Option<usize> {
        let at = self.names.place();
        let mention = self.names.next_mentioned()?.1;
        let bytes = self.names.place().position() - at.position();
        if mention == Mention::Again && !self.what.tells_each_mention() {
            return Some(MEET);
        }
        let (mut line, wanted) = self.what.wanted(self.names.frame(), at, known);
        let mut cost = DECIDE + bytes * BYTE;
        let wanted = match mention {
            Mention::Only => wanted,
            Mention::First | Mention::Again => Err((ErrorCode::InvalidRequest, TWICE.to_owned())),
        };
        match wanted {
            Ok(command) if self.validate_only => {
                let decided = known.topology.decide(&command, known.wall);
                if let Err(refusal) = decided {
                    line.fail(&refusal.into());
                }
                cost += SETTINGS + Call::Change(command).work();
                self.changes.lines.push(line);
            }
            Ok(command) => {
                cost += SETTINGS;
                if let Stage::Choosing(calls) = &mut self.stage {
                    calls.push(Call::Change(command));
                    self.changes.ask(line);
                }
            }
            Err((error, message)) => {
                line.error = error;
                line.message = (!message.is_empty()).then_some(message);
                line.partitions = -1;
                self.changes.lines.push(line);
            }
        }
        Some(cost)
    }

    /// All was looked up: the changes to be made.
    pub(super) fn calls(&mut self) -> Vec<Call> {
        let Stage::Choosing(calls) = &mut self.stage else {
            return Vec::new();
        };
        let calls = std::mem::take(calls);
        self.stage = Stage::Changing;
        calls
    }

    /// What was to be changed is: whether the lines are to be put together now.
    pub(super) fn begins_answer(&mut self) -> bool {
        let begins = matches!(self.stage, Stage::Changing);
        if begins {
            let lines = std::mem::take(&mut self.changes.lines);
            self.stage = Stage::Answering(lines.into_iter());
        }
        begins
    }
}

impl<P: BufPool> Core<P> {
    /// Has all changes carried out, each by itself, or only tells what would come of them.
    pub(super) fn kafka_change(
        &mut self,
        asker: Asker,
        asked: &ChangeOutline,
        frame: CheckedFrame,
        now: Now,
    ) {
        let what = asked.what;
        let changing = Changing {
            version: asker.version,
            what,
            names: Names::new(frame, asked.named, what.read(), now.mono),
            validate_only: asked.validate_only,
            stage: Stage::Meeting,
            changes: Changes::default(),
            lines: Pieces::default(),
        };
        let gather = self.kafka_gather(asker, None, Gathered::Changing(Box::new(changing)));
        self.gather_in_slices(gather, now);
    }

    pub(super) fn kafka_changed(&mut self, asker: Asker, changing: Changing) {
        let Asker {
            version,
            correlation,
            ..
        } = asker;
        let api = changing.what.api();
        self.kafka_respond_pieces(asker, changing.lines, |out, count, len| {
            encode_around(out, api, version, correlation, count, len)
        });
    }
}
