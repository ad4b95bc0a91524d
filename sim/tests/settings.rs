//! Settings of topics through Kafka's requests: lists that grow and shrink, and values that are null.

use leveret_broker::core::boundary::Protocol;
use leveret_sim::cores::kafka::{self, Answer, Change};
use leveret_sim::cores::{Conn, Setup, World, same};

const INVALID_CONFIG: i16 = 40;
const INVALID_REQUEST: i16 = 42;
const LIST: &str = "leader.replication.throttled.replicas";

struct Dialogue {
    world: World,
    conn: Conn,
}

impl Dialogue {
    /// A broker with a topic `a`.
    fn new() -> Self {
        let mut world = World::new(&Setup::new(3, 2));
        let conn = world.connect(1, Protocol::Kafka);
        let mut dialogue = Self { world, conn };
        dialogue.ask(&kafka::create_topics(&[("a", 1)]));
        dialogue
    }

    fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        same::ask(&mut self.world, self.conn, request).unwrap()
    }

    /// Changes one setting; the error.
    fn change(&mut self, key: &str, change: Change, value: Option<&str>) -> i16 {
        let request = kafka::incremental_alter_configs(&[("a", &[(key, change, value)])]);
        self.altered(&request)
    }

    /// The error of an answer that has one resource.
    fn altered(&mut self, request: &[u8]) -> i16 {
        let answer = self.ask(request);
        let mut answer = Answer::of(&answer);
        assert_eq!((answer.i32(), answer.i32()), (0, 1));
        answer.i16()
    }

    /// A setting's value, and where it comes from: 1 is the topic, 5 the default.
    fn value(&mut self, key: &str) -> (Option<String>, i8) {
        let answer = self.ask(&kafka::describe_configs(&["a"]));
        kafka::setting(&answer, key).expect("there is a topic a")
    }
}

fn of_topic(value: &str) -> (Option<String>, i8) {
    (Some(value.to_owned()), 1)
}

#[test]
fn lists_grow_by_what_they_lack_and_shrink_by_what_they_have() {
    let mut dialogue = Dialogue::new();
    for (change, words, then) in [
        (Change::Append, "0:1", "0:1"),
        (Change::Append, "0:1,1:2", "0:1,1:2"),
        (Change::Append, "2:1", "0:1,1:2,2:1"),
        (Change::Subtract, "0:1, 2:1", "1:2"),
        (Change::Subtract, "5:5", "1:2"),
        (Change::Subtract, "1:2", ""),
        (Change::Set, "7:1", "7:1"),
    ] {
        assert_eq!(dialogue.change(LIST, change, Some(words)), 0, "{words}");
        assert_eq!(dialogue.value(LIST), of_topic(then));
    }
    assert_eq!(dialogue.change(LIST, Change::Delete, None), 0);
    assert_eq!(dialogue.value(LIST).1, 5);
    // What is no list neither grows nor shrinks, nor does what Kafka does not know.
    let before = dialogue.value("retention.ms");
    for key in ["retention.ms", "no.such.setting"] {
        for change in [Change::Append, Change::Subtract] {
            assert_eq!(
                dialogue.change(key, change, Some("1")),
                INVALID_CONFIG,
                "{key}"
            );
        }
    }
    assert_eq!(dialogue.value("retention.ms"), before);
}

#[test]
fn a_value_that_is_null_is_no_value() {
    let mut dialogue = Dialogue::new();
    assert_eq!(
        dialogue.change("retention.ms", Change::Set, Some("60000")),
        0
    );
    for (key, change) in [
        ("retention.ms", Change::Set),
        (LIST, Change::Append),
        (LIST, Change::Subtract),
    ] {
        assert_eq!(
            dialogue.change(key, change, None),
            INVALID_REQUEST,
            "{change:?}"
        );
    }
    let all = kafka::alter_configs(&[("a", &[("retention.ms", None)])]);
    assert_eq!(dialogue.altered(&all), INVALID_REQUEST);
    assert_eq!(dialogue.value("retention.ms"), of_topic("60000"));
    let configs = [("segment.bytes", Some("1048576")), ("retention.ms", None)];
    for (name, configs, error) in [("b", &configs[..], INVALID_CONFIG), ("c", &configs[..1], 0)] {
        let answer = dialogue.ask(&kafka::create_topic_with(name, 1, configs));
        let mut answer = Answer::of(&answer);
        assert_eq!((answer.i32(), answer.i32()), (0, 1));
        assert_eq!(
            (answer.string().as_deref(), answer.i16()),
            (Some(name), error)
        );
    }
}
