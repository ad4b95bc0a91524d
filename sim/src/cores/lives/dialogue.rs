//! One connection of a client that keeps to its protocol: what was asked on it and is not answered
//! yet.

use std::collections::VecDeque;

use leveret_broker::core::boundary::Protocol;
use leveret_storage::types::Level;

use super::asked::{Asked, Reply, Wait};
use super::topics::Topic;
use super::{kafka, native};
use crate::cores::native::Whole;
use crate::cores::{Conn, World};
use crate::violation::{Kind, Violation};

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Not: the broker has no reason to close it.
    Never,
    /// The client has sent its last: all is answered, then the broker closes it.
    HungUp,
    /// At any time, with whatever is under way.
    AnyTime,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub(super) conn: Conn,
    pub(super) protocol: Protocol,
    pub(super) ending: Ending,
    /// It takes nothing just now.
    pub(super) stalled: bool,
    /// All that was under way when the broker was told to stop has to be answered.
    pub(super) owed: bool,
    /// By their numbers, in the order asked.
    asked: VecDeque<(u32, Asked)>,
    /// Taken, and no whole answer yet.
    rest: Vec<u8>,
    numbers: u32,
}

impl Dialogue {
    pub(super) fn new(conn: Conn, protocol: Protocol) -> Self {
        Self {
            conn,
            protocol,
            ending: Ending::Never,
            stalled: false,
            owed: false,
            asked: VecDeque::new(),
            rest: Vec::new(),
            numbers: 0,
        }
    }

    /// Sends a request.
    pub(super) fn ask(&mut self, world: &mut World, topics: &[Topic], asked: Asked) {
        self.numbers += 1;
        let frame = match self.protocol {
            Protocol::Kafka => kafka::request(self.numbers as i32, &asked),
            Protocol::Native => native::request(u64::from(self.numbers), &asked, topics),
        };
        world.send(self.conn, &frame);
        let level = match &asked {
            Asked::Produce { level, .. } => Some(*level),
            _ => None,
        };
        if (self.protocol, level) == (Protocol::Kafka, Some(Level::Memory)) {
            // It is answered by the end of the connection, if it fails.
            self.ending = Ending::AnyTime;
        } else {
            self.asked.push_back((self.numbers, asked));
        }
    }

    /// Whether the client may send more.
    pub(super) fn may_ask(&self) -> bool {
        self.ending != Ending::HungUp
    }

    /// Whether answers to what is asked next may have to stand behind one that nobody is in a hurry to give.
    pub(super) fn waits(&self) -> bool {
        self.open().any(waits)
    }

    /// What it asked and is not answered.
    pub(super) fn open(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter().map(|(_, asked)| asked)
    }

    /// The end of it: what is not answered will not be.
    pub(super) fn give_up(self) -> impl Iterator<Item = Asked> {
        self.asked.into_iter().map(|(_, asked)| asked)
    }

    /// What has been answered since this was last called.
    ///
    /// # Errors
    /// An answer that nobody asked for, or out of the order that the protocol has.
    pub(super) fn hear(&mut self, world: &mut World) -> Result<Vec<(Asked, Reply)>, Violation> {
        self.rest.extend(world.taken(self.conn));
        let mut heard = Vec::new();
        let frames = match self.protocol {
            Protocol::Kafka => crate::cores::kafka::answers(&mut self.rest),
            Protocol::Native => crate::cores::native::frames(&mut self.rest),
        };
        for frame in frames {
            heard.push(match self.protocol {
                Protocol::Kafka => {
                    let number = crate::cores::kafka::number(&frame) as u32;
                    let asked = self.asked.pop_front();
                    let asked = asked.filter(|(first, _)| *first == number);
                    let (_, asked) = asked.ok_or_else(|| self.unasked(number, &frame))?;
                    let reply = kafka::reply(&asked, &frame);
                    (asked, reply)
                }
                Protocol::Native => {
                    let whole = Whole::of(&frame);
                    let number = whole.number as u32;
                    let place = self.asked.iter().position(|(asked, _)| *asked == number);
                    let place = place.ok_or_else(|| self.unasked(number, &frame))?;
                    let reply = native::reply(&self.asked[place].1, &whole);
                    match &self.asked[place].1 {
                        Asked::Subscribe(log) if !native::ends_subscription(&whole) => {
                            let credit = native::credit(whole.number, whole.payload.len() as u64);
                            if !whole.payload.is_empty() && self.may_ask() {
                                world.send(self.conn, &credit);
                            }
                            (Asked::Subscribe(*log), reply)
                        }
                        _ => {
                            let (_, asked) = self.asked.remove(place).expect("just found");
                            (asked, reply)
                        }
                    }
                }
            });
        }
        Ok(heard)
    }

    fn unasked(&self, number: u32, frame: &[u8]) -> Violation {
        let open: Vec<_> = self.asked.iter().collect();
        let what = format!(
            "an answer to number {number}, not asked or not the next; open: {open:.200?}; it is {:02x?}",
            &frame[..frame.len().min(100)]
        );
        Violation::new(Kind::WrongData, what)
    }
}

/// Whether it may stay open however quiet it is.
pub(super) fn waits(asked: &Asked) -> bool {
    matches!(
        asked,
        Asked::Fetch(_, Wait::ForRecords) | Asked::Subscribe(_)
    )
}
