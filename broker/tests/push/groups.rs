//! Consumer groups through whole sessions on two cores: any core takes any call, those who wait are answered in
//! the end, and who goes is waited for by nobody.

use leveret_broker::core::boundary::Protocol;

use super::world::{Conn, World};

const MS: u64 = 1_000_000;

fn text(name: &str) -> Vec<u8> {
    [&(name.len() as i16).to_be_bytes()[..], name.as_bytes()].concat()
}

fn request(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let head = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0; 4]].concat();
    let all = [head, text("me"), body.to_vec()].concat();
    [&(all.len() as i32).to_be_bytes()[..], &all].concat()
}

/// JoinGroup of version 0, with a session of ten seconds.
fn join(member: &str) -> Vec<u8> {
    let protocol = [
        &1_i32.to_be_bytes()[..],
        &text("range"),
        &3_i32.to_be_bytes(),
        b"abc",
    ]
    .concat();
    let session = 10_000_i32.to_be_bytes();
    let body = [
        text("g"),
        session.to_vec(),
        text(member),
        text("consumer"),
        protocol,
    ];
    request(11, 0, &body.concat())
}

/// The body of an answer, if one is there.
fn answer(world: &mut World, conn: Conn) -> Option<Vec<u8>> {
    let bytes = world.bytes(conn);
    (!bytes.is_empty()).then(|| bytes[8..].to_vec())
}

/// The error of an answer that begins with one.
fn error(answer: &[u8]) -> i16 {
    i16::from_be_bytes([answer[0], answer[1]])
}

fn string(rest: &mut &[u8]) -> String {
    let len = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
    let (text, after) = rest[2..].split_at(len);
    *rest = after;
    String::from_utf8(text.to_vec()).unwrap()
}

/// The leader and the member's own id, and how many members it was told.
fn joined(answer: &[u8]) -> (String, String, i32) {
    assert_eq!(error(answer), 0, "{answer:?}");
    let mut rest = &answer[6..];
    let _protocol = string(&mut rest);
    let (leader, own) = (string(&mut rest), string(&mut rest));
    let members = i32::from_be_bytes(*rest.first_chunk().unwrap());
    (leader, own, members)
}

/// A member that has asked to join, on each of two cores, and has no answer yet.
fn joining(world: &mut World) -> [Conn; 2] {
    [0, 1].map(|core| {
        let conn = world.connect_silent(core, Protocol::Kafka);
        world.offer(conn, &join(""));
        assert_eq!(answer(world, conn), None, "others may come");
        conn
    })
}

fn nothing_is_left(world: &mut World) {
    for core in world.cores_mut() {
        core.check();
        let left = core.under_way();
        let counts = (
            left.pending,
            left.fan_outs,
            left.foreign_group_calls,
            left.permits,
        );
        assert_eq!(counts, (0, 0, 0, 0));
    }
}

#[test]
fn members_on_two_cores_are_in_one_generation() {
    let mut world = World::new();
    let conns = joining(&mut world);
    for _ in 0..40 {
        world.pass(100 * MS);
    }
    let told = conns.map(|conn| joined(&answer(&mut world, conn).expect("an answer")));
    assert_eq!(told[0].0, told[1].0, "one leader");
    assert_ne!(told[0].1, told[1].1);
    let mut members = told.map(|(leader, own, members)| (leader == own, members));
    members.sort_unstable();
    assert_eq!(members, [(false, 0), (true, 2)]);
    nothing_is_left(&mut world);
}

#[test]
fn who_goes_while_it_waits_is_waited_for_by_nobody() {
    for says_so in [false, true] {
        let mut world = World::new();
        let [stays, goes] = joining(&mut world);
        match says_so {
            // It sends no more, and is told so.
            true => world.finish(goes),
            false => world.hang_up(goes),
        }
        for _ in 0..40 {
            world.pass(100 * MS);
        }
        if says_so {
            let refused = answer(&mut world, goes).expect("an answer");
            assert_eq!(error(&refused), 16, "look for the coordinator again");
        }
        let (leader, own, members) = joined(&answer(&mut world, stays).expect("an answer"));
        assert_eq!((leader == own, members), (true, 1));
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_waits_for_a_group_does_not_keep_a_stop_waiting() {
    let mut world = World::new();
    let conns = joining(&mut world);
    world.stop();
    for conn in conns {
        let refused = answer(&mut world, conn).expect("an answer");
        assert_eq!(error(&refused), 16);
    }
    nothing_is_left(&mut world);
}

#[test]
fn what_is_committed_by_way_of_one_core_is_told_by_the_other() {
    let mut world = World::new();
    world.create("t", 2);
    let offset = |index: i32| [&index.to_be_bytes()[..], &7_i64.to_be_bytes(), &text("m")].concat();
    // OffsetCommit of version 2 by nobody's member, for partitions 0 and 9, of which there is no second one.
    let lines = [&2_i32.to_be_bytes()[..], &offset(0), &offset(9)].concat();
    let topics = [&1_i32.to_be_bytes()[..], &text("t"), &lines].concat();
    let caller = [
        &(-1_i32).to_be_bytes()[..],
        &text(""),
        &(-1_i64).to_be_bytes(),
    ]
    .concat();
    let conn = world.connect_silent(0, Protocol::Kafka);
    let commit = [text("g"), caller, topics].concat();
    world.offer(conn, &request(8, 2, &commit));
    world.pass(10 * MS);
    let kept = answer(&mut world, conn).expect("an answer");
    let line = |index: i32, error: i16| [&index.to_be_bytes()[..], &error.to_be_bytes()].concat();
    let both = [line(0, 0), line(9, 3)].concat();
    assert!(kept.ends_with(&both), "{kept:?}");
    // OffsetFetch of version 2: of all that there is.
    let conn = world.connect_silent(1, Protocol::Kafka);
    let fetch = [text("g"), (-1_i32).to_be_bytes().to_vec()].concat();
    world.offer(conn, &request(9, 2, &fetch));
    world.pass(10 * MS);
    let told = answer(&mut world, conn).expect("an answer");
    let one = [&1_i32.to_be_bytes()[..], &text("t"), &1_i32.to_be_bytes()].concat();
    let expected = [
        &one[..],
        &offset(0),
        &0_i16.to_be_bytes(),
        &0_i16.to_be_bytes(),
    ]
    .concat();
    assert_eq!(told, expected);
    // Of what nobody knows there is none, which is no error.
    let unknown = [
        &1_i32.to_be_bytes()[..],
        &text("x"),
        &1_i32.to_be_bytes(),
        &0_i32.to_be_bytes(),
    ];
    let fetch = [text("none"), unknown.concat()].concat();
    world.offer(conn, &request(9, 2, &fetch));
    world.pass(10 * MS);
    let told = answer(&mut world, conn).expect("an answer");
    let nothing = [&(-1_i64).to_be_bytes()[..], &[0, 0], &[0, 0], &[0, 0]].concat();
    assert!(told.ends_with(&nothing), "{told:?}");
    nothing_is_left(&mut world);
}
