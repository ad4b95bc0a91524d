//! Requests of one native connection: what waits for what, and what is kept of them meanwhile.

use bytes::BytesMut;
use leveret_broker::core::boundary::Protocol;
use leveret_broker::core::observe::{Insight, Question};
use leveret_wire::native::{
    Fetch, FetchPartition, FrameHeader, FrameLimits, Hello, Items, Kind, Offset, PartitionId,
    Request, TopicId,
};

use super::kinds;
use super::world::{Conn, World};

/// Bytes of the budget for requests that are held.
fn held(world: &mut World) -> u64 {
    let Insight::Core(core) = world.tell(1, Question::Core) else {
        panic!("no answer to the question");
    };
    let held = core.count("leveret_memory_used_bytes", Some("requests"));
    held.expect("a figure")
}

/// A request with something that does not belong to it.
fn with_payload(request: &Request<'_>) -> Vec<u8> {
    const PAYLOAD: usize = 10_000;
    let frame = World::frame(1, request);
    let header = FrameHeader::parse(&frame, &FrameLimits::for_requests(0));
    let header = header.expect("a frame").expect("a whole one");
    let own = &frame[header.header_range()];
    let mut all = BytesMut::new();
    FrameHeader::new(header.kind, header.correlation, own.len(), PAYLOAD).write(&mut all);
    [&all[..], own, &[0; PAYLOAD]].concat()
}

#[test]
fn what_comes_with_a_request_that_brings_no_batch_is_not_kept() {
    let mut world = World::new();
    world.create("t", 1);
    let silent = world.connect_silent(1, Protocol::Native);
    let hello = Request::Hello(Hello {
        min_version: 1,
        max_version: 1,
        client_name: "test",
        client_version: "1",
        core: None,
    });
    world.offer(silent, &with_payload(&hello));
    assert_eq!((world.came(silent).len(), held(&mut world)), (1, 0));
    let conn = world.connect(1);
    let requests = [
        Request::Ping,
        Request::Metadata("t"),
        // The first waits for a block of ids, the second does not.
        Request::InitProducer,
        Request::InitProducer,
        Request::ListTopics,
        Request::Status,
    ];
    for request in requests {
        world.offer(conn, &with_payload(&request));
        let answered = world.came(conn).len();
        assert_eq!((answered, held(&mut world)), (1, 0), "{request:?}");
    }
}

#[test]
fn a_batch_that_is_refused_lets_nothing_overtake_a_change() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    let conn = world.connect(1);
    let refused = |partition| {
        let mut frame = World::produce_frame(topic, partition, 10, 0);
        *frame.last_mut().expect("a batch") ^= 1;
        frame
    };
    let looks = World::frame(3, &Request::Metadata("new"));
    // One of both partitions is core 0's, which refuses its batch before all have the new topic.
    let all = [refused(0), refused(1), World::create_frame("new", 1), looks];
    world.hand(conn, &all.concat());
    world.turn();
    let came = world.came(conn);
    let expected = [
        Kind::Error,
        Kind::Error,
        Kind::CreateTopicOk,
        Kind::MetadataOk,
    ];
    assert_eq!(kinds(&came), expected);
}

/// Asks for so many bytes of both partitions, and would wait five minutes.
fn wait_for(world: &mut World, conn: Conn, topic_id: TopicId, min_bytes: u32) {
    let partitions = [0, 1].map(|partition| FetchPartition {
        offset: Offset(0),
        partition: PartitionId(partition),
        max_bytes: 1 << 20,
    });
    let fetch = Fetch {
        topic_id,
        max_bytes: 1 << 20,
        min_bytes,
        max_wait_ms: 300_000,
        partitions: Items::from(&partitions[..]),
    };
    world.ask(conn, 1, &Request::Fetch(fetch));
}

#[test]
fn a_fetch_that_counts_again_is_answered_as_soon_as_there_is_enough() {
    let mut world = World::new();
    let topic = world.create("t", 2);
    let conn = world.connect(1);
    wait_for(&mut world, conn, topic, 1000);
    world.produce(topic, 0, 600);
    assert!(world.came(conn).is_empty(), "that is too little");
    world.produce(topic, 0, 600);
    assert_eq!(kinds(&world.came(conn)), [Kind::FetchOk]);
}
