//! A core's memory for requests and answers: peers that take much of it and go, or stay and send or
//! take nothing.

use leveret_broker::core::boundary::Protocol;
use leveret_broker::core::observe::{Insight, Question};
use leveret_wire::native::{Kind, Request};

use super::patience::{produce, wait_for_records as fetch};
use super::slices::answers;
use super::world::{Conn, RESPONSES, World};

const SECOND: u64 = 1_000_000_000;
/// More than the budget of the world's cores holds, each with its first piece.
const MANY: usize = 70;

/// The beginning of a Produce request of 4 MiB of a Kafka client.
fn promise() -> Vec<u8> {
    let mut bytes = ((4_i32 << 20) - 4).to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0, 0, 0, 7, 0, 0, 0, 1]);
    bytes
}

fn promisers(world: &mut World) -> Vec<Conn> {
    let conns: Vec<Conn> = (0..MANY)
        .map(|_| {
            let conn = world.connect_silent(1, Protocol::Kafka);
            world.offer(conn, &promise());
            // As much as has to be there before it waits in line.
            world.offer(conn, &vec![0; 530_000]);
            conn
        })
        .collect();
    assert!(conns.iter().all(|conn| world.is_open(*conn)));
    conns
}

fn is_acknowledged(world: &mut World, conn: Conn) -> bool {
    world
        .came(conn)
        .iter()
        .any(|frame| frame.kind == Kind::ProduceOk)
}

/// A request of 600 KB: more than is awaited as a whole.
fn long() -> Vec<u8> {
    produce("t", 10, 60_000)
}

/// A producer that sends such a request.
fn produce_long(world: &mut World) -> Conn {
    let conn = world.connect_silent(1, Protocol::Kafka);
    world.offer(conn, &long());
    conn
}

fn is_answered(world: &mut World, conn: Conn) -> bool {
    answers(&world.bytes(conn)) == 1
}

fn held(world: &mut World) -> usize {
    match world.tell(1, Question::Core) {
        Insight::Core(core) => core
            .count("leveret_memory_used_bytes", Some("requests"))
            .unwrap() as usize,
        other => panic!("{other:?}"),
    }
}

#[test]
fn peers_that_promise_much_and_go_keep_nobody_out() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    let peers = promisers(&mut world);
    // They say no hello, and are closed for it: those that waited in line when they have had their turn.
    world.pass(30 * SECOND);
    assert!(peers.iter().all(|conn| !world.is_open(*conn)));
    let conn = world.produce(topic, 1, 60_000);
    assert!(is_acknowledged(&mut world, conn));
    assert_eq!(held(&mut world), 0);
}

#[test]
fn peers_that_hang_up_in_any_order_keep_nobody_out() {
    for step in [1, 3, 7, 69] {
        let mut world = World::new();
        world.create("t", 10);
        let mut peers = promisers(&mut world);
        let conn = produce_long(&mut world);
        assert!(!is_answered(&mut world, conn), "this test shows nothing");
        let mut at = 0;
        while !peers.is_empty() {
            at = (at + step) % peers.len();
            let peer = peers.remove(at);
            world.hang_up(peer);
        }
        assert!(is_answered(&mut world, conn), "step {step}");
        assert_eq!(held(&mut world), 0);
    }
}

#[test]
fn who_holds_memory_and_sends_nothing_is_closed_when_others_wait() {
    let mut world = World::new();
    world.create("t", 10);
    let peers = promisers(&mut world);
    let conn = produce_long(&mut world);
    assert!(!is_answered(&mut world, conn));
    world.pass(8 * SECOND);
    assert!(is_answered(&mut world, conn));
    assert!(peers.iter().any(|conn| !world.is_open(*conn)));
    assert!(matches!(world.tell(1, Question::Alive), Insight::Alive));
}

/// Four hold all that bodies may hold, and send so much every tenth of a second. Whether one that comes anew with
/// a long request is answered within ten seconds, and how many of the four are not closed then.
fn beside_four_that_send(piece: usize) -> (bool, usize) {
    let mut world = World::new();
    let topic = world.create("t", 10);
    let peers: Vec<Conn> = (0..4)
        .map(|_| {
            let conn = world.connect_silent(1, Protocol::Kafka);
            world.offer(conn, &promise());
            world.offer(conn, &vec![0; 1_200_000]);
            conn
        })
        .collect();
    for len in [1_000, 60_000] {
        let short = world.produce(topic, 1, len);
        assert!(
            is_acknowledged(&mut world, short),
            "a quarter is kept for what arrives whole"
        );
    }
    let larger = produce_long(&mut world);
    assert!(!is_answered(&mut world, larger), "this test shows nothing");
    let mut answered = false;
    for _ in 0..100 {
        world.pass(SECOND / 10);
        answered |= is_answered(&mut world, larger);
        for peer in &peers {
            if world.is_open(*peer) {
                world.offer(*peer, &vec![0; piece]);
            }
        }
    }
    let open = peers.iter().filter(|conn| world.is_open(**conn)).count();
    (answered, open)
}

/// A request of 4 MiB has to come at 256 KiB/s.
#[test]
fn who_sends_much_more_slowly_than_it_has_to_keeps_nobody_out_and_who_keeps_up_goes_on() {
    assert!(beside_four_that_send(15_000).0);
    assert_eq!(beside_four_that_send(27_000).1, 4);
}

/// At how many of twenty moments somebody waited who had just sent a request.
#[derive(Debug, Default, PartialEq)]
struct HeldUp {
    /// Short requests of newcomers.
    short: usize,
    /// Long ones of a connection that had sent one before.
    proven: usize,
    /// Long ones of newcomers.
    stranger: usize,
}

/// More than 4 MiB of long requests.
const PROOF: usize = 8;

/// A producer that has sent so many long requests.
fn produce_much(world: &mut World, requests: usize) -> Conn {
    let conn = produce_long(world);
    for _ in 1..requests {
        assert!(is_answered(world, conn));
        world.offer(conn, &long());
    }
    assert!(is_answered(world, conn));
    conn
}

/// For ten seconds peers send a long request if they do (`whole`) and the first half of one, and come again when
/// they are closed, while others send short and long ones.
fn held_up_by(peers: usize, whole: &[u8], half: &[u8]) -> HeldUp {
    let mut world = World::new();
    let topic = world.create("t", 10);
    let proven = produce_much(&mut world, PROOF);
    let mut open: Vec<Conn> = Vec::new();
    let (mut held_up, mut stranger, mut most) = (HeldUp::default(), None, 0);
    for _ in 0..20 {
        world.pass(SECOND / 2);
        open.retain(|conn| world.is_open(*conn));
        while open.len() < peers {
            let conn = world.connect_silent(1, Protocol::Kafka);
            world.offer(conn, whole);
            world.offer(conn, half);
            open.push(conn);
        }
        let conn = world.produce(topic, 1, 60_000);
        held_up.short += usize::from(!is_acknowledged(&mut world, conn));
        world.offer(proven, &long());
        held_up.proven += usize::from(!is_answered(&mut world, proven));
        let conn = *stranger.get_or_insert_with(|| produce_long(&mut world));
        match is_answered(&mut world, conn) {
            true => stranger = None,
            false => held_up.stranger += 1,
        }
        most = most.max(held(&mut world));
    }
    assert!(most > 1 << 19, "this test shows nothing");
    held_up
}

#[test]
fn halves_of_long_requests_hold_up_only_who_has_not_sent_many() {
    let mut half = promise();
    half.resize(600_000, 0);
    for whole in [&[][..], &long()] {
        let held_up = held_up_by(60, whole, &half);
        assert_eq!((held_up.short, held_up.proven), (0, 0));
        let stranger = held_up.stranger;
        assert!(
            (1..20).contains(&stranger),
            "{stranger} of 20: it waits, but not for ever"
        );
    }
}

#[test]
fn halves_of_short_requests_hold_up_nobody() {
    let request = produce("t", 1, 60_000);
    let held_up = held_up_by(200, &[], &request[..30_000]);
    assert_eq!((held_up.short, held_up.proven), (0, 0));
    let stranger = held_up.stranger;
    assert!(stranger < 20, "they are closed as soon as somebody waits");
}

/// Until a long request that is sent now is answered, milliseconds.
fn time_to_answer(world: &mut World, conn: Conn) -> u64 {
    world.offer(conn, &long());
    for ms in 0..20_000 {
        if is_answered(world, conn) {
            return ms;
        }
        world.pass(SECOND / 1000);
    }
    panic!("not answered in 20 s");
}

/// Peers that have all proved themselves as much as anybody can, and then leave a request half.
#[test]
fn who_has_proved_itself_and_stands_still_is_closed_as_soon_as_somebody_waits() {
    let mut world = World::new();
    world.create("t", 10);
    let good = produce_much(&mut world, PROOF);
    let half = &long()[..400_000];
    let peers: Vec<Conn> = (0..5).map(|_| produce_much(&mut world, PROOF)).collect();
    for peer in &peers {
        world.offer(*peer, half);
    }
    assert!(held(&mut world) > 2 << 20, "this test shows nothing");
    world.pass(SECOND);
    let left = |world: &World| peers.iter().filter(|conn| world.is_open(**conn)).count();
    assert_eq!(left(&world), 5, "nobody waits");
    let new = world.connect_silent(1, Protocol::Kafka);
    for conn in [good, good, new, good, new] {
        let ms = time_to_answer(&mut world, conn);
        assert!(ms < 50, "{ms} ms");
    }
    let left = left(&world);
    assert!((2..5).contains(&left), "{left}: as many as was wanted");
}

/// Hundredths of a second between what slow producers send: after four of them they pause.
const PAUSES: [u64; 4] = [10, 10, 10, 50];

/// Ten that send so much every tenth of a second and pause for half of one, until all have sent a long request.
/// How many are not closed, and how many answered.
fn over_a_long_way(world: &mut World, piece: usize, with: impl Fn(&mut World)) -> (usize, usize) {
    let mut body = long();
    let slow: Vec<Conn> = (0..10)
        .map(|_| world.connect_silent(1, Protocol::Kafka))
        .collect();
    let mut pauses = PAUSES.into_iter().cycle();
    while !body.is_empty() {
        let rest = body.split_off(body.len().min(piece));
        for conn in &slow {
            if world.is_open(*conn) {
                world.offer(*conn, &body);
            }
        }
        body = rest;
        with(world);
        world.pass(pauses.next().expect("for ever") * SECOND / 100);
    }
    let open = slow.iter().filter(|conn| world.is_open(**conn)).count();
    let answered = slow.into_iter().filter(|conn| is_answered(world, *conn));
    (open, answered.count())
}

#[test]
fn who_is_slow_is_pushed_out_only_where_others_wait_for_what_stands_still() {
    let mut world = World::with_memory(16 << 20);
    world.create("t", 10);
    let busy = produce_much(&mut world, PROOF);
    let beside = over_a_long_way(&mut world, 20_000, |world| {
        assert_eq!(time_to_answer(world, busy), 0);
    });
    assert_eq!(beside, (10, 10), "there is room");
    // Where there is room for one or two, they wait for each other, and come fast enough for that.
    let mut world = World::with_memory(1 << 20);
    world.create("t", 10);
    assert_eq!(over_a_long_way(&mut world, 20_000, |_| {}), (10, 10));
    // The control: those that come slower than that.
    let mut world = World::with_memory(1 << 20);
    world.create("t", 10);
    let (open, _) = over_a_long_way(&mut world, 5000, |_| {});
    assert!(open < 10, "this test shows nothing");
}

/// Long requests that three get through in half a minute which send so much at a time and pause, beside so many
/// that send halves and come again.
fn got_through(piece: usize, halves: usize) -> Vec<usize> {
    let mut world = World::new();
    world.create("t", 10);
    let mut half = promise();
    half.resize(600_000, 0);
    let mut open: Vec<Conn> = Vec::new();
    // The connection, and what it has not sent.
    let mut slow = vec![None::<(Conn, Vec<u8>)>; 3];
    let mut done = vec![0; slow.len()];
    for pause in PAUSES.into_iter().cycle().take(4 * 37) {
        open.retain(|conn| world.is_open(*conn));
        while open.len() < halves {
            let conn = world.connect_silent(1, Protocol::Kafka);
            world.offer(conn, &half);
            open.push(conn);
        }
        for (one, done) in slow.iter_mut().zip(&mut done) {
            one.take_if(|(conn, _)| !world.is_open(*conn));
            let (conn, rest) =
                one.get_or_insert_with(|| (world.connect_silent(1, Protocol::Kafka), long()));
            let later = rest.split_off(rest.len().min(piece));
            world.offer(*conn, &std::mem::replace(rest, later));
            if rest.is_empty() && is_answered(&mut world, *conn) {
                *done += 1;
                *rest = long();
            }
        }
        for _ in 0..pause {
            world.pass(SECOND / 100);
        }
    }
    assert!(
        halves == 0 || held(&mut world) > 1 << 20,
        "this test shows nothing"
    );
    done
}

#[test]
fn who_is_slow_and_goes_on_gets_at_least_half_of_its_requests_through_beside_halves() {
    let (alone, beside) = (got_through(20_000, 0), got_through(20_000, 60));
    assert!(alone.iter().all(|done| *done >= 3), "{alone:?}");
    assert!(
        alone.iter().zip(&beside).all(|(a, b)| 2 * b >= *a),
        "{beside:?} of {alone:?}"
    );
    // The control: at a third of the least rate.
    let beside = got_through(4400, 60);
    assert!(beside.contains(&0), "{beside:?}");
}

#[test]
fn a_lone_producer_may_take_its_time() {
    let mut world = World::new();
    let peer = world.connect_silent(1, Protocol::Kafka);
    world.offer(peer, &promise());
    for _ in 0..9 {
        world.pass(SECOND);
        world.offer(peer, &[0; 1000]);
    }
    assert!(world.is_open(peer));
    assert!(
        held(&mut world) <= 65 << 10,
        "of what it promised it holds a piece"
    );
}

fn kinds(world: &mut World, conn: Conn) -> Vec<Kind> {
    world.came(conn).iter().map(|frame| frame.kind).collect()
}

#[test]
fn who_sends_no_more_is_answered_at_once_and_closed() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    for core in [0, 1] {
        let conn = world.connect(core);
        fetch(&mut world, conn, topic, 1);
        fetch(&mut world, conn, topic, 2);
        assert_eq!(kinds(&mut world, conn), [], "they wait");
        world.finish(conn);
        assert!(!world.is_open(conn));
        assert_eq!(kinds(&mut world, conn), [Kind::FetchOk; 2]);
    }
}

#[test]
fn what_was_produced_before_the_end_is_acknowledged_before_it() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    world.disk.hold = true;
    let conn = world.produce(topic, 1, 100);
    world.finish(conn);
    assert!(world.is_open(conn), "an answer is owed");
    world.disk.hold = false;
    world.turn();
    assert!(!world.is_open(conn));
    assert!(is_acknowledged(&mut world, conn));
}

#[test]
fn who_sends_no_more_and_takes_nothing_is_closed() {
    let mut world = World::new();
    let conn = world.connect(1);
    world.stall(conn, true);
    world.ask(conn, 1, &Request::Ping);
    world.finish(conn);
    assert!(world.is_open(conn));
    world.pass(6 * SECOND);
    assert!(!world.is_open(conn));
}

fn pings(world: &mut World, conn: Conn, count: u64) {
    let frame = World::frame(1, &Request::Ping);
    let many = frame.repeat(usize::try_from(count).expect("few"));
    world.offer(conn, &many);
}

#[test]
fn small_answers_count_like_large_ones() {
    let mut world = World::new();
    let conn = world.connect(1);
    world.stall(conn, true);
    pings(&mut world, conn, 100_000);
    let queued = world.queued(conn);
    assert!(
        (RESPONSES..RESPONSES + (64 << 10)).contains(&queued),
        "{queued}"
    );
    world.stall(conn, false);
    assert_eq!(world.came(conn).len(), 100_000, "each is answered at last");
}

#[test]
fn peers_that_take_nothing_are_bounded_together_and_closed() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    let peers: Vec<Conn> = (0..60).map(|_| world.connect(1)).collect();
    for conn in &peers {
        world.stall(*conn, true);
        pings(&mut world, *conn, 100_000);
    }
    let all: usize = peers.iter().map(|conn| world.queued(*conn)).sum();
    // The budget of all is eight times the bound of one; each has its least in any case.
    let bound = 9 * RESPONSES + 60 * (80 << 10);
    assert!(all > 8 * RESPONSES && all < bound, "{all} of {bound}");
    assert!(
        all < 60 * RESPONSES / 2,
        "without a budget they would have more"
    );
    let slow = world.connect(1);
    world.stall(slow, true);
    world.ask(slow, 1, &Request::Ping);
    world.pass(10 * SECOND);
    let open = peers.iter().filter(|conn| world.is_open(**conn)).count();
    let left: usize = peers
        .iter()
        .filter(|c| world.is_open(**c))
        .map(|c| world.queued(*c))
        .sum();
    assert!(left <= 8 * RESPONSES && open < 60, "{left} of {open}");
    assert!(world.is_open(slow), "it has next to nothing");
    let conn = world.produce(topic, 1, 100);
    assert!(is_acknowledged(&mut world, conn));
}

#[test]
fn fetches_that_keep_more_than_the_bound_do_not_wait() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    let conn = world.connect(1);
    // Each keeps 768 bytes while it waits.
    let most = u64::try_from(RESPONSES / 768).expect("few");
    for number in 0..most + 10 {
        fetch(&mut world, conn, topic, number);
    }
    assert_eq!(world.came(conn).len(), 10);
    assert!(world.is_open(conn));
}
