//! What a request holds of the budget for requests while it waits for others: nothing, once its bytes are read.

use crate::core::boundary::Protocol;
use crate::core::push::world::World;

fn request(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let head = [&key.to_be_bytes()[..], &version.to_be_bytes()].concat();
    // A correlation, and a client's name.
    let rest = [&1_i32.to_be_bytes()[..], &[0, 2], b"me", body].concat();
    let all = [head, rest].concat();
    [&(all.len() as i32).to_be_bytes()[..], &all].concat()
}

fn text(name: &str) -> Vec<u8> {
    [&(name.len() as i16).to_be_bytes()[..], name.as_bytes()].concat()
}

fn one(element: &[u8]) -> Vec<u8> {
    [&1_i32.to_be_bytes()[..], element].concat()
}

/// Bytes of the budget that are held on the second core while a request waits there for the first one.
fn held(world: &mut World, request: &[u8]) -> usize {
    let conn = world.connect_silent(1, Protocol::Kafka);
    world.hand(conn, request);
    assert_eq!(world.mesh_len(), 1, "it waits for the other core");
    let held = world.cores_mut().map(|core| core.under_way().permits).sum();
    assert!(world.bytes(conn).is_empty());
    world.turn();
    assert!(!world.bytes(conn).is_empty(), "it is answered");
    let left: usize = world.cores_mut().map(|core| core.under_way().permits).sum();
    assert_eq!(left, 0);
    held
}

#[test]
fn who_waits_for_others_holds_no_permit_for_what_was_read() {
    let mut world = World::new();
    world.create("gone", 1);
    let topic = world.create("t", 2);
    for partition in [0, 1] {
        world.produce(topic, partition, 10);
    }
    let delete = request(20, 1, &[one(&text("gone")), vec![0; 4]].concat());
    assert_eq!(held(&mut world, &delete), 0);
    let create = [text("new"), vec![0, 0, 0, 1, 0, 1], vec![0; 8]].concat();
    let create = request(19, 2, &[one(&create), vec![0; 5]].concat());
    assert_eq!(held(&mut world, &create), 0);
    let id = request(22, 0, &[0xff, 0xff, 0, 0, 0, 0]);
    assert_eq!(held(&mut world, &id), 0);
    // The control: its answer is told from its bytes, so they stay and are held.
    let end = |partition: i32| [&partition.to_be_bytes()[..], &(-1_i64).to_be_bytes()].concat();
    let others: Vec<usize> = [0, 1]
        .into_iter()
        .filter_map(|partition| {
            let listed = one(&[text("t"), one(&end(partition))].concat());
            let request = request(2, 1, &[&(-1_i32).to_be_bytes()[..], &listed].concat());
            let conn = world.connect_silent(1, Protocol::Kafka);
            world.hand(conn, &request);
            let asks = world.mesh_len() == 1;
            let held = world.cores_mut().map(|core| core.under_way().permits).sum();
            world.turn();
            asks.then_some((held, request.len()))
        })
        .map(|(held, len): (usize, usize)| {
            assert_eq!(held, len);
            held
        })
        .collect();
    assert_eq!(others.len(), 1, "one of both is the other core's");
}

#[test]
fn what_a_client_calls_itself_is_kept_from_its_first_request() {
    let mut world = World::new();
    let conn = world.connect_silent(0, Protocol::Kafka);
    world.offer(conn, &request(22, 0, &[0xff, 0xff, 0, 0, 0, 0]));
    let mut who = String::new();
    if let Some(core) = world.cores_mut().next() {
        who = core.sessions.get(conn.1).expect("open").who();
    }
    assert_eq!(who, "127.0.0.1:9 (me)");
}
