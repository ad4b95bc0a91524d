//! One course of requests, asked of brokers of one, two and four cores: every answer is the same.
//!
//! What a request promises as a whole (its limits, what it does once) is so held to what a single
//! core makes of it, whatever order the cores' parts come in. No fetch reads what it does not
//! give.

use leveret_broker::core::boundary::{Behaviour, Protocol};
use leveret_broker::core::observe::{Insight, Question};
use leveret_storage::mutation::Mutation;

use super::course::{self, Step};
use super::{Conn, Setup, World, crowd, kafka, native};
use crate::counters::Counters;
use crate::rng::Rng;
use crate::trace::Trace;
use crate::violation::{Kind, Violation};

/// The numbers of cores that are compared with the first.
const CORES: [u16; 3] = [1, 2, 4];
/// Producers that send at once, at most.
const PRODUCERS: usize = 4;
/// Nanoseconds after which everything is durable and can be read by all.
const REST: u64 = 2_000_000_000;
/// What is compared where a connection was closed instead of an answer.
const CLOSED: &[u8] = b"closed";

/// Draws a course, and has it asked of every broker.
///
/// # Errors
/// [`Kind::WrongData`] where two brokers answer otherwise or one reads for nothing, [`Kind::Stuck`]
/// where one does not answer.
pub fn run(
    seed: u64,
    rng: &mut Rng,
    mutation: Option<Mutation>,
    counters: &mut Counters,
    trace: &mut Trace,
) -> Result<(), Violation> {
    let course = course::draw(rng);
    let mut expected: Vec<Vec<u8>> = Vec::new();
    for cores in CORES {
        let mut setup = Setup::new(seed, cores);
        setup.store.mutation = mutation;
        // Some clients are silent for long.
        setup.hello_ns = 1000 * REST;
        setup.idle_ns = 1000 * REST;
        let mut player = Player::new(&setup, rng.below(u64::from(cores)) as usize)?;
        for (number, step) in course.iter().enumerate() {
            let answer = player
                .play(step)
                .map_err(|error| Violation::new(error.kind, format!("{}: {number}", error.what)))?;
            trace.say(format_args!(
                "{cores} cores, {number}: {step:02x?} gives {answer:02x?}"
            ));
            trace.note([u64::from(cores), number as u64, answer.len() as u64]);
            counters.requests_compared += 1;
            match expected.get(number) {
                None => expected.push(answer),
                Some(first) if *first == answer => {}
                Some(first) => return Err(other(number, step, cores, first, &answer)),
            }
        }
        let thrown_away = thrown_away(&mut player.world);
        if thrown_away > 0 {
            let what = format!("{cores} cores read {thrown_away} bytes for nothing");
            return Err(Violation::new(Kind::WrongData, what));
        }
        crowd::run(&setup, rng)?;
    }
    Ok(())
}

/// Bytes that all cores together have read for fetches and given nobody.
pub fn thrown_away(world: &mut World) -> u64 {
    let (now, cores) = (world.now(), world.cores());
    let of = |core| match world.core(core).observe(Question::Core, now) {
        Insight::Core(insight) => insight
            .count("leveret_fetch_thrown_away_bytes", None)
            .expect("every core counts it"),
        insight => unreachable!("no core: {insight:?}"),
    };
    (0..cores).map(of).sum()
}

fn other(number: usize, step: &Step, cores: u16, first: &[u8], answer: &[u8]) -> Violation {
    let (of, kind) = match step {
        Step::Kafka(request) | Step::Early(request) => ("Kafka API", &request[4..6]),
        Step::Unanswered(_) => ("a produce without answer", &[0, 0][..]),
        Step::Together(_) => ("several producers", &[0, 0][..]),
        Step::Native(request) => ("native request", &request[6..8]),
    };
    let at = first.iter().zip(answer).take_while(|(a, b)| a == b).count();
    let what = format!(
        "step {number}, {of} {kind:?}: {} bytes from one core, {} from {cores}, other from {at} on",
        first.len(),
        answer.len()
    );
    Violation::new(Kind::WrongData, what)
}

/// One broker, and the clients that play a course.
struct Player {
    world: World,
    at: usize,
    kafka: Conn,
    native: Conn,
    producers: Vec<Conn>,
}

impl Player {
    /// The clients' first connections are served by the core `at`.
    fn new(setup: &Setup, at: usize) -> Result<Self, Violation> {
        let mut world = World::new(setup);
        let cores = world.cores();
        let kafka = world.connect(at, Protocol::Kafka);
        let native = world.connect(at, Protocol::Native);
        ask_as(&mut world, native, &native::hello(), native::answers)?;
        let producers = (0..PRODUCERS).map(|number| world.connect(number % cores, Protocol::Kafka));
        Ok(Self {
            producers: producers.collect(),
            world,
            at,
            kafka,
            native,
        })
    }

    fn play(&mut self, step: &Step) -> Result<Vec<u8>, Violation> {
        let world = &mut self.world;
        match step {
            Step::Kafka(request) => ask(world, self.kafka, request),
            Step::Native(request) => ask_as(world, self.native, request, native::answers),
            Step::Early(request) => {
                let answer = ask(world, self.kafka, request)?;
                world.pass(REST);
                Ok(answer)
            }
            Step::Unanswered(request) => {
                world.send(self.kafka, request);
                world.pass(REST);
                if world.is_open(self.kafka) {
                    return Ok(world.taken(self.kafka));
                }
                self.kafka = world.connect(self.at, Protocol::Kafka);
                Ok(CLOSED.to_vec())
            }
            Step::Together(requests) => {
                let clients = || self.producers.iter().copied().zip(requests);
                for (conn, request) in clients() {
                    world.send(conn, request);
                }
                let answers = clients().map(|(conn, _)| answer(world, conn, kafka::answers));
                let answers = answers.collect::<Result<Vec<_>, _>>()?;
                world.pass(REST);
                let answers = answers.iter();
                let mut lines: Vec<_> = answers.flat_map(|one| kafka::produced(one)).collect();
                lines.sort();
                Ok(format!("{lines:?}").into_bytes())
            }
        }
    }
}

/// Asks for a Kafka client, and waits for the answer.
///
/// # Errors
/// [`Kind::Stuck`] if there is none, or the connection is closed.
pub fn ask(world: &mut World, conn: Conn, request: &[u8]) -> Result<Vec<u8>, Violation> {
    ask_as(world, conn, request, kafka::answers)
}

/// How what a peer has taken is cut into answers.
pub(super) type Cut = fn(&mut Vec<u8>) -> Vec<Vec<u8>>;

fn ask_as(world: &mut World, conn: Conn, request: &[u8], cut: Cut) -> Result<Vec<u8>, Violation> {
    world.send(conn, request);
    answer(world, conn, cut)
}

pub(super) fn answer(world: &mut World, conn: Conn, cut: Cut) -> Result<Vec<u8>, Violation> {
    let mut taken = Vec::new();
    let mut answers = Vec::new();
    world.until("a request is answered", |world| {
        taken.extend(world.taken(conn));
        answers = cut(&mut taken);
        !answers.is_empty() || !world.is_open(conn)
    });
    match answers.len() {
        1 => Ok(answers.remove(0)),
        0 => Err(Violation::new(Kind::Stuck, "the connection was closed")),
        _ => Err(Violation::new(Kind::WrongData, "a request has two answers")),
    }
}
