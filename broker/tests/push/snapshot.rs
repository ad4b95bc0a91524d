//! A snapshot of the topology that cannot be written.

use leveret_broker::core::observe::{Insight, Question};
use leveret_storage::io::{FileName, Op};
use leveret_wire::native::{Kind, Request, Response};

use super::world::World;

/// More topics than the journal holds changes of: a snapshot of them has been wanted by then.
const TOPICS: u32 = 600;

/// How many topics can be made until that is refused.
fn made(world: &mut World) -> u32 {
    let conn = world.connect(0);
    for number in 0..TOPICS {
        let name = format!("{number:0>60}");
        world.offer(conn, &World::create_frame(&name, 1));
        if world.came(conn)[0].kind == Kind::Error {
            return number;
        }
    }
    TOPICS
}

/// A write of a file that makes it durable is not repeated after it has failed, whatever the file: so
/// the topology changes no more. Its operator is told, and everything else goes on.
#[test]
fn one_that_fails_stops_changes_of_topics_alone_and_is_told() {
    let of_snapshots = |op: &Op<Vec<u8>>| {
        let file = match op {
            Op::Create { file, .. } | Op::Write { file, .. } => file,
            _ => return false,
        };
        matches!(file, FileName::Snapshot { .. })
    };
    for fails in [true, false] {
        let mut world = World::new();
        let topic = world.create("t", 2);
        world.disk.fails = fails.then_some(of_snapshots);
        let made = made(&mut world);
        assert_eq!(made < TOPICS, fails, "{made} topics");
        let Insight::Core(insight) = world.tell(0, Question::Core) else {
            panic!("no answer to the question");
        };
        let stopped = insight.count("leveret_stopped_logs", None);
        assert_eq!(stopped, Some(u64::from(fails)), "the metric");
        let conn = world.connect(1);
        world.ask(conn, 1, &Request::Status);
        let came = world.came(conn);
        let Ok(Response::Status(status)) = came[0].response() else {
            panic!("{came:?}");
        };
        let stopped = status.stopped_logs.iter();
        let told: Vec<_> = stopped.map(|log| (log.topic, log.reason)).collect();
        match fails {
            true => assert_eq!(told, [("(topology)", "the test's fault")]),
            false => assert_eq!(told, []),
        }
        // Records of all topics come and go.
        let producer = world.produce(topic, 1, 100);
        assert_eq!(world.came(producer)[0].kind, Kind::ProduceOk);
    }
}
