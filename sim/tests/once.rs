//! What a request names more than once is not done, by brokers of one, two and four cores; each
//! API says so as Kafka does.

use leveret_broker::core::boundary::Protocol;
use leveret_sim::cores::kafka::{self, Answer, Bounds, Change, Wanted};
use leveret_sim::cores::{Conn, Setup, World, same};

const INVALID_REQUEST: i16 = 42;

/// A broker, and one client of it.
struct Dialogue {
    world: World,
    conn: Conn,
}

impl Dialogue {
    fn new(cores: u16) -> Self {
        let mut world = World::new(&Setup::new(3, cores));
        let conn = world.connect(0, Protocol::Kafka);
        Self { world, conn }
    }

    fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        same::ask(&mut self.world, self.conn, request).unwrap()
    }

    /// Asks for something that is answered by a line for each name, with an error and, from
    /// some versions on, a message.
    fn named(&mut self, request: &[u8], message: bool) -> Vec<(String, i16)> {
        let lines = kafka::named_errors(&self.ask(request), message).into_iter();
        lines.map(|(name, error)| (name.unwrap(), error)).collect()
    }

    /// Asks for changes of settings; the error of each line.
    fn altered(&mut self, request: &[u8]) -> Vec<i16> {
        let answer = self.ask(request);
        let mut answer = Answer::of(&answer);
        answer.i32();
        answer.array(|answer| {
            let error = answer.i16();
            let _ = (answer.string(), answer.i8(), answer.string());
            error
        })
    }

    /// Deletes; name, id and error of each line.
    fn deleted(&mut self, topics: &[(Option<&str>, u128)]) -> Vec<(Option<String>, u128, i16)> {
        let answer = self.ask(&kafka::delete_topics_by(topics));
        let mut answer = Answer::of(&answer);
        let _ = (answer.i8(), answer.i32());
        let lines = answer.i8() - 1;
        let line = |_| {
            let name = answer.compact_string();
            let id = u128::from_be_bytes(answer.take(16).try_into().unwrap());
            let error = answer.i16();
            let _ = (answer.compact_string(), answer.i8());
            (name, id, error)
        };
        (0..lines).map(line).collect()
    }

    /// Partitions of a topic; `None` if there is no such topic.
    fn partitions(&mut self, name: &str) -> Option<usize> {
        kafka::partitions(&self.ask(&kafka::metadata(&[name])))
    }

    /// Latest offset, or the error, of each partition that is asked for.
    fn latest(&mut self, asked: &[(&str, i32)]) -> Vec<Result<i64, i16>> {
        let asked: Vec<_> = asked
            .iter()
            .map(|(name, index)| (*name, *index, -1))
            .collect();
        let answer = self.ask(&kafka::list_offsets(&asked));
        let mut answer = Answer::of(&answer);
        answer.array(|answer| {
            answer.string();
            let partitions = answer.array(|answer| {
                answer.i32();
                let (error, _, offset) = (answer.i16(), answer.i64(), answer.i64());
                if error == 0 { Ok(offset) } else { Err(error) }
            });
            partitions[0]
        })
    }
}

fn line(name: &str, error: i16) -> (String, i16) {
    (name.to_owned(), error)
}

#[test]
fn topics_named_twice_are_not_changed_and_have_one_line() {
    for cores in [1, 2, 4] {
        let mut dialogue = Dialogue::new(cores);
        let create = kafka::create_topics(&[("a", 1), ("b", 1), ("a", 2), ("a", 3)]);
        let lines = [line("a", INVALID_REQUEST), line("b", 0)];
        assert_eq!(dialogue.named(&create, true), lines);
        assert_eq!(dialogue.partitions("a"), None);
        dialogue.ask(&kafka::create_topics(&[("a", 1)]));
        let more = kafka::create_partitions(&[("a", 2), ("b", 2), ("a", 3)]);
        assert_eq!(dialogue.named(&more, true), lines);
        assert_eq!(
            (dialogue.partitions("a"), dialogue.partitions("b")),
            (Some(1), Some(2))
        );
        let delete = kafka::delete_topics(&["a", "b", "a"]);
        assert_eq!(dialogue.named(&delete, false), lines);
        assert_eq!(
            (dialogue.partitions("a"), dialogue.partitions("b")),
            (Some(1), None)
        );
    }
}

#[test]
fn a_topic_to_delete_is_named_once_by_name_or_by_id() {
    for cores in [1, 2, 4] {
        let mut dialogue = Dialogue::new(cores);
        dialogue.ask(&kafka::create_topics(&[("a", 1), ("b", 1)]));
        let refused = dialogue.deleted(&[(Some("a"), 0), (Some("a"), 0)]);
        let id = refused[0].1;
        let line = [(Some("a".to_owned()), id, INVALID_REQUEST)];
        assert_eq!(refused, line);
        assert_eq!(dialogue.deleted(&[(Some("a"), 0), (None, id)]), line);
        assert_eq!(dialogue.deleted(&[(None, id), (None, id)]), line);
        // By both, or by neither.
        assert_eq!(dialogue.deleted(&[(Some("a"), id)]), line);
        assert_eq!(dialogue.deleted(&[(None, 0)]), [(None, 0, INVALID_REQUEST)]);
        assert_eq!(dialogue.partitions("a"), Some(1));
        let unknown = dialogue.deleted(&[(None, 5), (Some("c"), 0), (None, 5)]);
        let lines = [(None, 5, INVALID_REQUEST), (Some("c".to_owned()), 0, 3)];
        assert_eq!(unknown, lines);
        let done = dialogue.deleted(&[(None, id), (Some("b"), 0)]);
        assert!(done.iter().all(|(.., error)| *error == 0), "{done:?}");
        assert_eq!(
            (dialogue.partitions("a"), dialogue.partitions("b")),
            (None, None)
        );
    }
}

#[test]
fn resources_and_settings_named_twice_are_not_altered() {
    let refused = [INVALID_REQUEST, 0, INVALID_REQUEST];
    for cores in [1, 2, 4] {
        let mut dialogue = Dialogue::new(cores);
        dialogue.ask(&kafka::create_topics(&[("a", 1), ("b", 1)]));
        let before = dialogue.ask(&kafka::describe_configs(&["a"]));
        let set = [("retention.ms", Some("60000"))];
        let all = kafka::alter_configs(&[("a", &set), ("b", &set), ("a", &set)]);
        assert_eq!(dialogue.altered(&all), refused);
        let set = [("retention.ms", Change::Set, Some("60000"))];
        let each = kafka::incremental_alter_configs(&[("a", &set), ("b", &set), ("a", &set)]);
        assert_eq!(dialogue.altered(&each), refused);
        let twice = [
            ("retention.ms", Change::Set, Some("60000")),
            ("segment.bytes", Change::Set, Some("1048576")),
            ("retention.ms", Change::Delete, None),
        ];
        let each = kafka::incremental_alter_configs(&[("a", &twice)]);
        assert_eq!(dialogue.altered(&each), [INVALID_REQUEST]);
        let twice = [("retention.ms", Some("1")), ("retention.ms", Some("2"))];
        let all = kafka::alter_configs(&[("a", &twice)]);
        assert_eq!(dialogue.altered(&all), [INVALID_REQUEST]);
        assert_eq!(dialogue.ask(&kafka::describe_configs(&["a"])), before);
        // Who only asks is answered for each mention.
        let described = dialogue.ask(&kafka::describe_configs(&["a", "a"]));
        let mut described = Answer::of(&described);
        assert_eq!((described.i32(), described.i32()), (0, 2));
    }
}

#[test]
fn partitions_named_twice_are_neither_appended_to_nor_looked_up() {
    for cores in [1, 2, 4] {
        let mut dialogue = Dialogue::new(cores);
        dialogue.ask(&kafka::create_topics(&[("a", 4)]));
        let produce = kafka::produce(-1, &[("a", 0, 10), ("a", 1, 10), ("a", 0, 20)]);
        let answer = dialogue.ask(&produce);
        let lines = kafka::produced(&answer);
        let errors: Vec<i16> = lines.iter().map(|(_, _, error, _)| *error).collect();
        assert_eq!(errors, [INVALID_REQUEST, 0, INVALID_REQUEST]);
        assert_eq!(dialogue.latest(&[("a", 0), ("a", 1)]), [Ok(0), Ok(1)]);
        let twice = [Err(INVALID_REQUEST), Ok(0), Err(INVALID_REQUEST)];
        assert_eq!(dialogue.latest(&[("a", 1), ("a", 0), ("a", 1)]), twice);
        // Reading changes nothing: it is answered once, where it was named first, as in Kafka.
        let wanted = [1, 0, 1].map(|partition| Wanted {
            topic: "a",
            partition,
            offset: 0,
            max_bytes: 1 << 20,
        });
        let bounds = Bounds {
            max_bytes: 1 << 20,
            min_bytes: 1,
            max_wait: 100,
        };
        let fetched = kafka::fetched(&dialogue.ask(&kafka::fetch(bounds, &wanted)));
        assert_eq!(fetched.len(), 2);
        assert!(!fetched[0].records.is_empty() && fetched[1].records.is_empty());
        let one_batch = Bounds {
            max_bytes: 1,
            ..bounds
        };
        let fetched = kafka::fetched(&dialogue.ask(&kafka::fetch(one_batch, &wanted)));
        let given: Vec<bool> = fetched
            .iter()
            .map(|part| !part.records.is_empty())
            .collect();
        assert_eq!(given, [true, false]);
    }
}
