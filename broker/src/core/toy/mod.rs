//! A toy, there in tests only: a protocol of lines of text. `echo WORDS` is answered `WORDS`; `put TOPIC WORDS`
//! appends a record to the first partition of a topic, on whatever core that is, and is answered `at OFFSET`. Who has
//! said `beat` hears a heartbeat each second, and is not waited for after three without a line.
//!
//! It shows what a new protocol touches: this folder, `mod toy` in `core/mod.rs`, and its line in the list of
//! `core/protocol.rs`. Two lines in two files that were there before it; frames, permits, pauses, slices,
//! patience and the hop between cores know nothing of it. (One that users open has a setting for its address
//! and a listener, too, in `config/settings.rs` and `server.rs`.)

use std::convert::Infallible;

use bytes::BytesMut;
use leveret_engine::EngineError;
use leveret_engine::shard::Produced;
use leveret_record::{BatchBuilder, Compression};
use leveret_storage::io::BufPool;
use leveret_storage::types::{Level, Mono, Now};
use leveret_wire::speech::Speech;

use super::Core;
use super::boundary::ConnId;
use super::net::frames::{Frame, Look};
use super::ops::{AllowedPartition, Known, Operation};
use super::protocol::{Listed, Spoken};

/// Longest line, bytes.
const LONGEST: usize = 1000;

pub(super) struct Toy;

/// So often heartbeats are sent, nanoseconds.
const BEAT: u64 = 1_000_000_000;
/// So many are sent to who says nothing.
const BEATS: usize = 3;

/// What a connection keeps.
#[derive(Debug, Default)]
pub(super) struct ToyState {
    /// How many lines it has sent.
    lines: usize,
    /// Heartbeats that it was sent since the last one, if it wants any.
    beats: Option<usize>,
}

/// A client whose words are on their way to a log.
#[derive(Debug)]
pub(super) struct Put {
    conn: ConnId,
    line: usize,
    permit: usize,
}

impl Spoken for Toy {
    const NAME: &'static str = "toy";
    const SPEECH: Option<Speech> = None;

    type State = ToyState;
    type Produces = Put;
    type WantsId = Infallible;

    fn look<P: BufPool>(core: &mut Core<P>, conn: ConnId, input: &[u8], _now: Now) -> Look {
        let end = input.iter().take(LONGEST).position(|byte| *byte == b'\n');
        match end {
            Some(end) => Look::Frame(Frame {
                len: end + 1,
                permit: end + 1,
            }),
            None if input.len() < LONGEST => Look::NeedMore,
            None => {
                core.toy_end(conn, "a line is too long");
                Look::Refused
            }
        }
    }

    fn take<P: BufPool>(core: &mut Core<P>, conn: ConnId, frame: &[u8], permit: usize, now: Now) {
        core.sessions.greeted(conn);
        let state = core.state::<Self>(conn).expect("a line comes of it");
        state.lines += 1;
        state.beats = state.beats.map(|_| 0);
        let line = state.lines;
        let text = String::from_utf8_lossy(frame);
        let text = text.trim_end();
        let (verb, words) = text.split_once(' ').unwrap_or((text, ""));
        match verb {
            "echo" => core.toy_say(conn, line, words),
            "beat" => state.beats = Some(0),
            "put" => match found(&core.known(conn, now), words) {
                Some((place, batch)) => {
                    let client = Self::produces(Put { conn, line, permit });
                    return core.append(place, (batch, Level::Synced), (conn, 0), client, now);
                }
                None => core.toy_say(conn, line, "no topic"),
            },
            _ => core.toy_say(conn, line, "what?"),
        }
        core.give_back_permit(conn, permit, now);
    }

    fn take_long<P: BufPool>(
        core: &mut Core<P>,
        conn: ConnId,
        frame: BytesMut,
        permit: usize,
        now: Now,
    ) {
        Self::take(core, conn, &frame, permit, now);
    }

    fn late<P: BufPool>(core: &mut Core<P>, conn: ConnId, why: &str) {
        core.toy_end(conn, why);
    }

    fn beat<P: BufPool>(core: &mut Core<P>, conn: ConnId, now: Now) -> Option<Mono> {
        match &mut core.state::<Self>(conn)?.beats {
            Some(BEATS) => core.toy_end(conn, "no heartbeat"),
            Some(beats) => {
                *beats += 1;
                core.toy_say(conn, 0, "beat");
            }
            None => {}
        }
        Some(now.mono.after(BEAT))
    }

    fn produced<P: BufPool>(
        core: &mut Core<P>,
        client: Put,
        reply: Option<Result<Produced, EngineError>>,
        now: Now,
    ) {
        let Put { conn, line, permit } = client;
        core.give_back_permit(conn, permit, now);
        let words = match reply.expect("it waits for ever") {
            Ok(produced) => format!("at {}", produced.base_offset.0),
            Err(error) => error.to_string(),
        };
        core.toy_say(conn, line, &words);
        core.request_done(conn, now);
    }

    fn id_reserved<P: BufPool>(
        _core: &mut Core<P>,
        client: Infallible,
        _id: Result<i64, EngineError>,
        _now: Now,
    ) {
        match client {}
    }
}

/// Where the words that follow a topic's name belong, and the batch that they make.
fn found(known: &Known<'_>, words: &str) -> Option<(AllowedPartition, BytesMut)> {
    let (name, words) = words.split_once(' ')?;
    let topic = known.topic_named(name, Operation::Write).ok()?;
    let place = known.place(&topic, 0)?;
    let mut batch = BatchBuilder::new(Compression::None);
    let time = known.wall.0;
    batch.push(time, None, Some(words.as_bytes()), &[]).ok()?;
    Some((place, BytesMut::from(&batch.finish()[..])))
}

impl<P: BufPool> Core<P> {
    /// Answers a line.
    fn toy_say(&mut self, conn: ConnId, line: usize, words: &str) {
        let session = self.sessions.get(conn).filter(|session| !session.closing);
        let Some(session) = session else { return };
        if session.out.is_empty() {
            self.unflushed.push(conn);
        }
        let answer = format!("{line}: {words}\n");
        session.out.extend_from_slice(answer.as_bytes());
        self.weigh(conn);
    }

    /// Last words.
    fn toy_end(&mut self, conn: ConnId, why: &str) {
        self.toy_say(conn, 0, why);
        self.end(conn);
    }
}

mod tests;
