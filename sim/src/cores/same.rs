//! One course of requests, asked of brokers of one, two and four cores: every answer is the same.
//!
//! What a request promises as a whole (its limits, what it does once) is so held to what a single
//! core makes of it, whatever order the cores' parts come in.

use leveret_broker::core::boundary::Protocol;

use super::kafka::{self, Bounds, Change, Wanted};
use super::{Conn, Setup, World};
use crate::counters::Counters;
use crate::rng::Rng;
use crate::trace::Trace;
use crate::violation::{Kind, Violation};

/// The numbers of cores that are compared with the first.
const CORES: [u16; 3] = [1, 2, 4];
/// Topics that may be there.
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Most requests of a course.
const REQUESTS: u64 = 60;

/// Draws a course, and has it asked of every broker.
///
/// # Errors
/// [`Kind::WrongData`] where two brokers answer otherwise, [`Kind::Stuck`] where one does not.
pub fn run(
    seed: u64,
    rng: &mut Rng,
    counters: &mut Counters,
    trace: &mut Trace,
) -> Result<(), Violation> {
    let course = course(rng);
    let mut expected: Vec<Vec<u8>> = Vec::new();
    for cores in CORES {
        let mut world = World::new(&Setup::new(seed, cores));
        let at = rng.below(u64::from(cores)) as usize;
        let conn = world.connect(at, Protocol::Kafka);
        for (number, request) in course.iter().enumerate() {
            let answer = ask(&mut world, conn, request)
                .map_err(|error| Violation::new(error.kind, format!("{}: {number}", error.what)))?;
            trace.say(format_args!(
                "{cores} cores, {number}: {request:02x?} gives {answer:02x?}"
            ));
            trace.note([u64::from(cores), number as u64, answer.len() as u64]);
            counters.requests_compared += 1;
            match expected.get(number) {
                None => expected.push(answer),
                Some(first) if *first == answer => {}
                Some(first) => return Err(other(number, request, cores, first, &answer)),
            }
        }
    }
    Ok(())
}

fn other(number: usize, request: &[u8], cores: u16, first: &[u8], answer: &[u8]) -> Violation {
    let api = i16::from_be_bytes([request[4], request[5]]);
    let at = first.iter().zip(answer).take_while(|(a, b)| a == b).count();
    let what = format!(
        "request {number}, of API {api}: {} bytes from one core, {} from {cores}, other from {at} on",
        first.len(),
        answer.len()
    );
    Violation::new(Kind::WrongData, what)
}

/// Asks, and waits for the answer.
///
/// # Errors
/// [`Kind::Stuck`] if there is none, or the connection is closed.
pub fn ask(world: &mut World, conn: Conn, request: &[u8]) -> Result<Vec<u8>, Violation> {
    world.send(conn, request);
    let mut taken = Vec::new();
    let mut answers = Vec::new();
    world.until("a request is answered", |world| {
        taken.extend(world.taken(conn));
        answers = kafka::answers(&mut taken);
        !answers.is_empty() || !world.is_open(conn)
    });
    match answers.len() {
        1 => Ok(answers.remove(0)),
        0 => Err(Violation::new(Kind::Stuck, "the connection was closed")),
        _ => Err(Violation::new(Kind::WrongData, "a request has two answers")),
    }
}

fn course(rng: &mut Rng) -> Vec<Vec<u8>> {
    let partitions = rng.between(1, 9) as i32;
    let mut course = vec![kafka::create_topics(&[("a", partitions), ("b", 4)])];
    for _ in 0..rng.between(10, REQUESTS) {
        course.push(request(rng));
    }
    course
}

fn request(rng: &mut Rng) -> Vec<u8> {
    let name = *rng.pick(&NAMES);
    let many = rng.between(1, 3);
    let names: Vec<&str> = (0..many).map(|_| *rng.pick(&NAMES)).collect();
    let counts = |rng: &mut Rng| -> Vec<(&str, i32)> {
        let count = |name: &&'static str| (*name, rng.between(0, 10) as i32);
        names.iter().map(count).collect()
    };
    match rng.below(32) {
        0 => kafka::create_topics(&counts(rng)),
        1 => kafka::create_partitions(&counts(rng)),
        2 if rng.chance(1, 2) => kafka::delete_topics(&names),
        3 => kafka::metadata(&names),
        4 => kafka::describe_configs(&names),
        5 => {
            let value = rng.between(1, 1 << 20).to_string();
            let (key, value) = ("retention.ms", Some(value.as_str()));
            let (all, each) = ([(key, value)], [(key, Change::Set, value)]);
            match rng.chance(1, 2) {
                true => {
                    let topics = names.iter().map(|name| (*name, &all[..]));
                    kafka::alter_configs(&topics.collect::<Vec<_>>())
                }
                false => {
                    let topics = names.iter().map(|name| (*name, &each[..]));
                    kafka::incremental_alter_configs(&topics.collect::<Vec<_>>())
                }
            }
        }
        6 => kafka::api_versions(),
        7 => kafka::init_producer_id(),
        8 | 9 => {
            let times = [-1, -2, crate::plan::WALL, crate::plan::WALL + 1];
            let asked = (0..many).map(|_| (name, rng.below(10) as i32, *rng.pick(&times)));
            kafka::list_offsets(&asked.collect::<Vec<_>>())
        }
        10..20 => {
            let batches = (0..rng.between(1, 8)).map(|_| {
                let len = rng.magnitude(1, 8_000) as usize;
                (*rng.pick(&NAMES[..2]), rng.below(9) as i32, len)
            });
            kafka::produce(-1, &batches.collect::<Vec<_>>())
        }
        _ => fetch(rng),
    }
}

fn fetch(rng: &mut Rng) -> Vec<u8> {
    let offset = |rng: &mut Rng| match rng.below(8) {
        0 => rng.below(20) as i64 - 1,
        _ => rng.below(3) as i64,
    };
    let wanted = (0..rng.between(1, 9)).map(|_| Wanted {
        topic: NAMES[rng.below(2) as usize],
        partition: rng.below(9) as i32,
        offset: offset(rng),
        max_bytes: rng.magnitude(1, 100_000) as i32,
    });
    let wanted: Vec<_> = wanted.collect();
    let bounds = Bounds {
        max_bytes: rng.magnitude(1, 300_000) as i32,
        min_bytes: rng.magnitude(1, 60_000) as i32,
        max_wait: *rng.pick(&[0, 0, 40]),
    };
    kafka::fetch(bounds, &wanted)
}
