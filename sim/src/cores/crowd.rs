//! Peers that hold all memory for requests with bodies that they do not finish, and one that waits
//! for it: when they leave, in whatever way, it is served; while they stay it is served, too, since
//! those that stand still are closed. A peer that has sent much in such bodies does not wait for
//! those that have not.

use leveret_broker::core::boundary::Protocol;

use super::same::{answer, ask};
use super::{Conn, Setup, World, kafka};
use crate::rng::Rng;
use crate::violation::{Kind, Violation};

/// Memory for requests, of which bodies may hold three quarters, bytes.
const MEMORY: usize = 840 << 10;
/// The same where strangers, who have half of that, leave room for one more.
const MORE_MEMORY: usize = 7 << 19;
/// A batch of each body, bytes.
const BATCH: usize = 60_000;
/// Batches of each: a shorter request would not wait in line but be awaited as a whole.
const BATCHES: i32 = 10;
/// Bodies that a connection sends to have proved itself: more than 4 MiB.
const PROOF: usize = 8;
/// Nanoseconds in which whatever waits comes to wait: what stands still is closed only later.
const SOON: u64 = 100_000_000;
/// Nanoseconds in which what stands still has been closed, and who waits been served.
const SERVED: u64 = 4_000_000_000;

fn setup_with(memory: usize, setup: &Setup) -> Setup {
    Setup {
        request_bytes: memory,
        max_batch_bytes: 1 << 20,
        ..setup.clone()
    }
}

fn body() -> Vec<u8> {
    let batches = (0..BATCHES).map(|partition| ("a", partition, BATCH));
    kafka::produce(-1, &batches.collect::<Vec<_>>())
}

/// Peers that send all of the body but its last byte.
fn crowd(world: &mut World, core: usize, count: u64) -> Vec<Conn> {
    let body = body();
    let come = |_| {
        let conn = world.connect(core, Protocol::Kafka);
        world.send(conn, &body[..body.len() - 1]);
        world.pass(SOON / 20);
        conn
    };
    (0..count).map(come).collect()
}

/// # Errors
/// [`Kind::Stuck`] if who waits is not served, nobody had to wait, or one had to that has proved itself.
pub(super) fn run(setup: &Setup, rng: &mut Rng) -> Result<(), Violation> {
    leave(&setup_with(MEMORY, setup), rng)?;
    stay(&setup_with(MORE_MEMORY, setup), rng)?;
    stand(&setup_with(MEMORY, setup), rng)
}

/// Those that hold memory neither leave nor go on; nor do more that wait before the one that is looked at.
fn stand(setup: &Setup, rng: &mut Rng) -> Result<(), Violation> {
    let mut world = World::new(setup);
    let core = rng.below(world.cores() as u64) as usize;
    let asker = world.connect(core, Protocol::Kafka);
    ask(&mut world, asker, &kafka::create_topics(&[("a", BATCHES)]))?;
    crowd(&mut world, core, rng.between(2, 12));
    world.send(asker, &body());
    world.pass(SERVED);
    match world.taken(asker).is_empty() {
        true => Err(Violation::new(
            Kind::Stuck,
            "one waits for those that stand still",
        )),
        false => Ok(()),
    }
}

fn stay(setup: &Setup, rng: &mut Rng) -> Result<(), Violation> {
    let mut world = World::new(setup);
    let core = rng.below(world.cores() as u64) as usize;
    let [proven, stranger] = [(); 2].map(|()| world.connect(core, Protocol::Kafka));
    ask(&mut world, proven, &kafka::create_topics(&[("a", BATCHES)]))?;
    for _ in 0..PROOF {
        ask(&mut world, proven, &body())?;
    }
    crowd(&mut world, core, rng.between(8, 12));
    world.send(stranger, &body());
    world.send(proven, &body());
    world.pass(SOON);
    if !world.taken(stranger).is_empty() {
        return Err(Violation::new(Kind::Stuck, "nobody had to wait for memory"));
    }
    if world.taken(proven).is_empty() {
        let what = "one that has sent many long requests waits for those that have not";
        return Err(Violation::new(Kind::Stuck, what));
    }
    Ok(())
}

fn leave(setup: &Setup, rng: &mut Rng) -> Result<(), Violation> {
    let mut world = World::new(setup);
    let core = rng.below(world.cores() as u64) as usize;
    let asker = world.connect(core, Protocol::Kafka);
    ask(&mut world, asker, &kafka::create_topics(&[("a", BATCHES)]))?;
    let crowd = crowd(&mut world, core, rng.between(2, 5));
    world.send(asker, &body());
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
    match kafka::produced(&produced).len() == BATCHES as usize {
        true => Ok(()),
        false => Err(Violation::new(
            Kind::WrongData,
            "a line of the answer is missing",
        )),
    }
}
