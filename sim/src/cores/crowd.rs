//! Peers that hold all memory for requests with bodies that they do not finish, and one that waits for
//! it: when they leave, in whatever way, it is served.

use leveret_broker::core::boundary::Protocol;

use super::same::{answer, ask};
use super::{Setup, World, kafka};
use crate::rng::Rng;
use crate::violation::{Kind, Violation};

/// Memory for requests, of which bodies may hold three quarters, bytes.
const MEMORY: usize = 256 << 10;
/// A batch of each body, bytes.
const BATCH: usize = 60_000;
/// Batches of each: a shorter request would not wait in line but be awaited as a whole.
const BATCHES: i32 = 3;
/// Nanoseconds in which whatever waits comes to wait: a body that is slow is closed only later.
const SOON: u64 = 100_000_000;

/// # Errors
/// [`Kind::Stuck`] if who waits is not served, or nobody had to wait.
pub(super) fn run(setup: &Setup, rng: &mut Rng) -> Result<(), Violation> {
    let setup = Setup {
        request_bytes: MEMORY,
        max_batch_bytes: 2 * setup.max_batch_bytes,
        ..setup.clone()
    };
    let mut world = World::new(&setup);
    let core = rng.below(world.cores() as u64) as usize;
    let asker = world.connect(core, Protocol::Kafka);
    ask(&mut world, asker, &kafka::create_topics(&[("a", BATCHES)]))?;
    let body = kafka::produce(-1, &[("a", 0, BATCH), ("a", 1, BATCH), ("a", 2, BATCH)]);
    let crowd: Vec<_> = (0..rng.between(2, 5))
        .map(|_| {
            let conn = world.connect(core, Protocol::Kafka);
            world.send(conn, &body[..body.len() - 1]);
            world.pass(SOON / 10);
            conn
        })
        .collect();
    world.send(asker, &body);
    world.pass(SOON);
    if !world.taken(asker).is_empty() {
        return Err(Violation::new(Kind::Stuck, "nobody had to wait for memory"));
    }
    for conn in crowd {
        match rng.chance(1, 2) {
            true => world.reset(conn),
            false => world.finish(conn),
        }
    }
    let produced = answer(&mut world, asker, kafka::answers)?;
    match kafka::produced(&produced)[..] {
        [_, _, _] => Ok(()),
        _ => Err(Violation::new(
            Kind::WrongData,
            "a line of the answer is missing",
        )),
    }
}
