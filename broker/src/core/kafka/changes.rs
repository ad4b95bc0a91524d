//! Requests that change topics, as many as they have bytes for, each by itself: what CreateTopics,
//! CreatePartitions, AlterConfigs and IncrementalAlterConfigs have in common.
//!
//! The request is read twice from its frame, in slices: first to see what it names more than once. Its
//! answer has a line for each in the order of the request, put together in slices as well.

use std::marker::PhantomData;
use std::vec;

use leveret_engine::EngineError;
use leveret_engine::topology::{Command, TopicEntry};
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};
use leveret_wire::kafka::{
    ApiRequest, CheckedFrame, ErrorCode, Line as ToldLine, Place, ResourceType, Uuid,
};

use super::api::{Api, Incoming, Read};
use super::names::{Name, Names};
use super::pieces::Pieces;
use super::{Asker, Known, errors};
use crate::core::Core;
use crate::core::fan_out::Job;
use crate::core::hop::{ChangeTopics, Family};
use crate::core::net::Pause;
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

/// An API that changes topics.
pub(super) trait Change: Sized + 'static {
    /// Its requests, as the wire has them.
    type Request<'a>: ApiRequest<'a>;
    /// Whether what is named more than once has a line for each mention, and not one for all.
    const TELLS_EACH_MENTION: bool = false;
    /// Whether the line of what was changed tells all that is in force for it.
    const TELLS_SETTINGS: bool = false;

    /// Where the topics or resources stand, and whether only to say what would come of it.
    fn named(request: &Self::Request<'_>) -> (Place, bool);

    /// Reads the name of the one that stands there, and where the next one does.
    fn name(frame: &CheckedFrame, at: Place) -> Option<(Name<'_>, Place)>;

    /// What is wanted of the one that stands there.
    fn wanted(frame: &CheckedFrame, at: Place, known: &Known<'_>) -> (Line, Wanted);

    /// Its line of the answer, in that version.
    fn told(line: &Line, known: &Known<'_>, version: i16) -> impl ToldLine;
}

impl<C: Change> Api for C {
    type Request<'a> = <C as Change>::Request<'a>;
    type Outline = (Place, bool);

    fn outline(read: &Read<'_, Self>, _known: &Known<'_>) -> (Place, bool) {
        C::named(&read.request)
    }

    fn start<P: BufPool>(core: &mut Core<P>, request: Incoming<Self>, now: Now) {
        let (asker, (named, validate_only)) = (request.asker, request.outline);
        let changing = Changing {
            asker,
            names: Names::new(request.frame.checked(), named, C::name, now.mono),
            validate_only,
            stage: Stage::Meeting,
            changes: Changes::default(),
            lines: Pieces::default(),
            change: PhantomData::<C>,
        };
        core.carry_out(asker.until(None), (), Box::new(changing), now);
    }
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
pub(super) type Wanted = Result<ChangeTopics, (ErrorCode, String)>;

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

    pub(super) fn take(&mut self, part: usize, reply: &Result<TopicEntry, EngineError>) {
        if let Err(error) = reply {
            self.lines[self.parts[part]].fail(error);
        }
    }
}

/// Topics that are being changed.
struct Changing<C> {
    asker: Asker,
    names: Names,
    validate_only: bool,
    stage: Stage,
    changes: Changes,
    lines: Pieces,
    change: PhantomData<C>,
}

enum Stage {
    /// All names are being met.
    Meeting,
    /// What is named once is to be changed.
    Choosing(Vec<(CoreId, ChangeTopics)>),
    /// That is under way.
    Changing,
    /// The lines are being put together.
    Answering(vec::IntoIter<Line>),
}

impl<C: Change, P: BufPool> Job<P, ChangeTopics> for Changing<C> {
    fn blocks(&self) -> Option<Pause> {
        Some(Pause::Topology)
    }

    fn look_up(&mut self, (): &mut (), known: &Known<'_>) -> Option<usize> {
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
                let version = self.asker.version;
                let told = C::told(&line, known, version);
                let len = self.lines.line(|out| told.encode(out, C::KEY, version));
                let settings = C::TELLS_SETTINGS && line.error == ErrorCode::None;
                Some(MEET + len + if settings { SETTINGS } else { 0 })
            }
        }
    }

    fn lets_bytes_go(&mut self) -> bool {
        self.names.forget();
        true
    }

    fn calls(&mut self, _known: &Known<'_>) -> Vec<(CoreId, ChangeTopics)> {
        let Stage::Choosing(calls) = &mut self.stage else {
            return Vec::new();
        };
        let calls = std::mem::take(calls);
        self.stage = Stage::Changing;
        calls
    }

    fn take(&mut self, part: usize, reply: Result<TopicEntry, EngineError>) {
        self.changes.take(part, &reply);
    }

    fn begins_answer(&mut self) -> bool {
        let begins = matches!(self.stage, Stage::Changing);
        if begins {
            let lines = std::mem::take(&mut self.changes.lines);
            self.stage = Stage::Answering(lines.into_iter());
        }
        begins
    }

    fn finish(self: Box<Self>, core: &mut Core<P>, _now: Now) {
        core.kafka_respond_lines(self.asker, C::KEY, self.lines);
    }
}

impl<C: Change> Changing<C> {
    /// Decides about the next topic.
    fn choose(&mut self, known: &Known<'_>) -> Option<usize> {
        let at = self.names.place();
        let mention = self.names.next_mentioned()?.1;
        let bytes = self.names.place().position() - at.position();
        if mention == Mention::Again && !C::TELLS_EACH_MENTION {
            return Some(MEET);
        }
        let (mut line, wanted) = C::wanted(self.names.frame(), at, known);
        let mut cost = DECIDE + bytes * BYTE;
        let wanted = match mention {
            Mention::Only => wanted,
            Mention::First | Mention::Again => Err((ErrorCode::InvalidRequest, TWICE.to_owned())),
        };
        match wanted {
            Ok(call) if self.validate_only => {
                cost += SETTINGS + call.work();
                let command = Command::Topic(call.0.into_inner());
                if let Err(refusal) = known.topology.decide(&command, known.wall) {
                    line.fail(&refusal.into());
                }
                self.changes.lines.push(line);
            }
            Ok(call) => {
                cost += SETTINGS;
                if let Stage::Choosing(calls) = &mut self.stage {
                    calls.push((CoreId(0), call));
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
}
