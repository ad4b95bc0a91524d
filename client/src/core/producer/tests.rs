use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use leveret_record::{
    BatchHeader, next_sequence, parse_header, partition_for_key, records, verify,
};
use leveret_wire::native::{Level, ProducerId, TopicId};

use super::*;

mod chance;
mod owners;

/// Numbers of the records in a batch.
type Tag = Rc<RefCell<Vec<u32>>>;

const TOPIC: TopicId = TopicId(7);

fn settings() -> ProducerSettings {
    ProducerSettings {
        linger: Duration::from_millis(5),
        max_batch_bytes: 200,
        ..ProducerSettings::default()
    }
}

fn ms(millis: u64) -> Mono {
    Mono::default().after(Duration::from_millis(millis))
}

fn producer(settings: ProducerSettings, partitions: u32) -> (Producer<Tag>, TopicIndex) {
    let mut producer = Producer::new(settings);
    let topic = producer.add_topic("t", TOPIC, NonZeroU32::new(partitions).unwrap());
    (producer, topic)
}

fn push(producer: &mut Producer<Tag>, now: Mono, topic: TopicIndex, number: u32) -> PartitionId {
    let value = number.to_be_bytes();
    let record = NewRecord {
        value: Some(&value),
        ..NewRecord::default()
    };
    let pushed = producer.push(now, topic, &record).unwrap();
    assert_eq!(pushed.index as usize, pushed.tag.borrow().len());
    pushed.tag.borrow_mut().push(number);
    pushed.partition
}

fn identity(id: i64) -> Result<Answer> {
    Ok(Answer::Identity(InitProducerOk {
        producer_id: ProducerId(id),
        producer_epoch: 0,
    }))
}

fn produced(base_offset: u64) -> Result<Answer> {
    Ok(Answer::Produced(ProduceOk {
        base_offset: Offset(base_offset),
        log_start_offset: Offset(0),
        duplicate: false,
        append_time: None,
    }))
}

fn refused(code: ErrorCode) -> Result<Answer> {
    Err(Error::broker(code, "refused"))
}

/// Answers the request for the first identity.
fn identify(producer: &mut Producer<Tag>, now: Mono, id: i64) {
    let Some(Transmit::InitProducer(request)) = producer.poll_transmit(now) else {
        panic!("an identity comes first");
    };
    assert_eq!(producer.poll_transmit(now), None, "nothing goes without it");
    producer.handle_answer(now, request, identity(id));
}

fn next_batch(producer: &mut Producer<Tag>, now: Mono) -> Option<(RequestId, BatchHeader)> {
    match producer.poll_transmit(now)? {
        Transmit::Produce {
            id, request, batch, ..
        } => {
            assert_eq!(request.topic_id, TOPIC);
            Some((id, verify(&batch).unwrap()))
        }
        other => panic!("only batches are due, not {other:?}"),
    }
}

/// The next batches, as many as may go.
fn next_batches(producer: &mut Producer<Tag>, now: Mono) -> Vec<(RequestId, BatchHeader)> {
    std::iter::from_fn(|| next_batch(producer, now)).collect()
}

/// Has one batch acknowledged, so that the broker knows the identity; returns its records.
fn establish(producer: &mut Producer<Tag>, now: Mono) -> i32 {
    identify(producer, now, 1);
    let first = next_batches(producer, now);
    assert_eq!(
        first.len(),
        1,
        "only one goes before the identity is established"
    );
    producer.handle_answer(now, first[0].0, produced(0));
    producer.poll_completion().unwrap();
    first[0].1.record_count
}

/// Fills batches until `batches` of one partition are closed and a record waits in the next.
fn fill(producer: &mut Producer<Tag>, topic: TopicIndex, batches: u32) {
    let per_batch = 200 / 36;
    for number in 0..=batches * per_batch {
        push(producer, ms(0), topic, number);
    }
}

#[test]
fn a_batch_waits_for_its_linger_and_no_longer() {
    let (mut producer, topic) = producer(settings(), 1);
    push(&mut producer, ms(1), topic, 0);
    assert_eq!(producer.poll_transmit(ms(1)), None);
    assert_eq!(producer.poll_timeout(), Some(ms(6)));
    producer.handle_timeout(ms(5));
    assert_eq!(producer.poll_transmit(ms(5)), None);
    producer.handle_timeout(ms(6));
    identify(&mut producer, ms(6), 3);
    let (id, header) = next_batch(&mut producer, ms(6)).unwrap();
    assert_eq!((header.producer_id, header.base_sequence), (3, 0));
    producer.handle_answer(ms(7), id, produced(41));
    let completion = producer.poll_completion().unwrap();
    assert_eq!(completion.result.unwrap().base_offset, Offset(41));
    assert_eq!((producer.buffered(), producer.poll_timeout()), (0, None));
}

#[test]
fn five_in_flight_and_sequences_without_gaps() {
    let (mut producer, topic) = producer(settings(), 1);
    fill(&mut producer, topic, 8);
    let mut expected = establish(&mut producer, ms(0));
    let sent = next_batches(&mut producer, ms(0));
    assert_eq!(sent.len(), 5);
    for (_, header) in &sent {
        assert_eq!(header.base_sequence, expected);
        expected += header.record_count;
    }
    // The second is done, the first is not: a sixth would be out of the broker's window.
    producer.handle_answer(ms(1), sent[1].0, produced(5));
    assert!(next_batch(&mut producer, ms(1)).is_none());
    producer.handle_answer(ms(1), sent[0].0, produced(0));
    assert!(next_batch(&mut producer, ms(1)).is_some());
}

#[test]
fn after_a_refusal_everything_comes_home_before_it_goes_again() {
    let (mut producer, topic) = producer(settings(), 1);
    fill(&mut producer, topic, 4);
    establish(&mut producer, ms(0));
    let sent = next_batches(&mut producer, ms(0));
    assert_eq!(sent.len(), 3);
    producer.handle_answer(ms(1), sent[0].0, refused(ErrorCode::Overloaded));
    producer.handle_answer(ms(1), sent[1].0, refused(ErrorCode::OutOfOrderSequence));
    producer.handle_timeout(ms(1000));
    assert!(
        next_batch(&mut producer, ms(1000)).is_none(),
        "one is in flight"
    );
    producer.handle_answer(ms(1000), sent[2].0, refused(ErrorCode::OutOfOrderSequence));
    let again = next_batches(&mut producer, ms(1000));
    let headers = |sent: &[(RequestId, BatchHeader)]| -> Vec<BatchHeader> {
        sent.iter().map(|(_, header)| *header).collect()
    };
    assert_eq!(
        headers(&again)[..3],
        headers(&sent),
        "the same batches, in order"
    );
}

#[test]
fn a_deadline_names_the_refusal_and_not_what_followed_of_it() {
    let (mut producer, topic) = producer(settings(), 1);
    fill(&mut producer, topic, 2);
    establish(&mut producer, ms(0));
    let sent = next_batches(&mut producer, ms(0));
    producer.handle_answer(ms(1), sent[0].0, refused(ErrorCode::DiskFull));
    for (id, _) in &sent[1..] {
        producer.handle_answer(ms(1), *id, refused(ErrorCode::OutOfOrderSequence));
    }
    producer.handle_timeout(ms(120_001));
    let Err(Error::Deadline { last, .. }) = producer.poll_completion().unwrap().result else {
        panic!("its time has passed");
    };
    assert_eq!(last.code(), Some(ErrorCode::DiskFull));
}

#[test]
fn a_gap_at_the_front_takes_a_new_identity() {
    let (mut producer, topic) = producer(settings(), 1);
    fill(&mut producer, topic, 1);
    identify(&mut producer, ms(0), 1);
    let (id, first) = next_batch(&mut producer, ms(0)).unwrap();
    producer.handle_answer(ms(1), id, refused(ErrorCode::OutOfOrderSequence));
    let Some(Transmit::InitProducer(request)) = producer.poll_transmit(ms(1)) else {
        panic!("a new identity");
    };
    producer.handle_answer(ms(1), request, identity(2));
    let (_, again) = next_batch(&mut producer, ms(1)).unwrap();
    assert_eq!((again.producer_id, again.base_sequence), (2, 0));
    assert_eq!(again.record_count, first.record_count);
}

#[test]
fn what_may_have_been_appended_keeps_its_identity() {
    let (mut producer, topic) = producer(settings(), 1);
    fill(&mut producer, topic, 2);
    identify(&mut producer, ms(0), 1);
    let (_, first) = next_batch(&mut producer, ms(0)).unwrap();
    producer.handle_disconnect(&Error::Disconnected("cut".into()));
    let (_, again) = next_batch(&mut producer, ms(1)).unwrap();
    assert_eq!(again, first);
}

#[test]
fn an_answer_from_before_a_cut_is_ignored() {
    let (mut producer, topic) = producer(settings(), 1);
    fill(&mut producer, topic, 1);
    identify(&mut producer, ms(0), 1);
    let (id, _) = next_batch(&mut producer, ms(0)).unwrap();
    producer.handle_disconnect(&Error::Disconnected("cut".into()));
    producer.handle_answer(ms(1), id, produced(0));
    assert!(producer.poll_completion().is_none());
}

#[test]
fn what_is_refused_for_good_fails_alone() {
    let (mut producer, topic) = producer(settings(), 1);
    fill(&mut producer, topic, 3);
    establish(&mut producer, ms(0));
    let sent = next_batches(&mut producer, ms(0));
    producer.handle_answer(ms(1), sent[0].0, refused(ErrorCode::MessageTooLarge));
    let completion = producer.poll_completion().unwrap();
    assert_eq!(
        completion.result.unwrap_err().code(),
        Some(ErrorCode::MessageTooLarge)
    );
    producer.handle_answer(ms(1), sent[1].0, refused(ErrorCode::OutOfOrderSequence));
    let Some(Transmit::InitProducer(request)) = producer.poll_transmit(ms(1)) else {
        panic!("the gap needs a new identity");
    };
    producer.handle_answer(ms(1), request, identity(2));
    let (_, again) = next_batch(&mut producer, ms(1)).unwrap();
    assert_eq!((again.producer_id, again.base_sequence), (2, 0));
}

#[test]
fn a_deadline_passes_with_and_without_a_connection() {
    for connected in [true, false] {
        let (mut producer, topic) = producer(settings(), 1);
        push(&mut producer, ms(0), topic, 0);
        producer.flush();
        if connected {
            identify(&mut producer, ms(0), 1);
            next_batch(&mut producer, ms(0)).unwrap();
        }
        assert_eq!(producer.poll_timeout(), Some(ms(120_000)));
        producer.handle_timeout(ms(119_999));
        assert!(producer.poll_completion().is_none());
        producer.handle_timeout(ms(120_000));
        let completion = producer.poll_completion().unwrap();
        assert!(matches!(completion.result, Err(Error::Deadline { .. })));
        assert_eq!((producer.buffered(), producer.poll_timeout()), (0, None));
    }
}

#[test]
fn the_buffer_has_its_bound() {
    let (mut producer, topic) = producer(
        ProducerSettings {
            buffer_bytes: 100,
            ..settings()
        },
        1,
    );
    let value = [0; 40];
    let record = NewRecord {
        value: Some(&value),
        ..NewRecord::default()
    };
    assert_eq!(producer.push(ms(0), topic, &record).unwrap().index, 0);
    assert_eq!(
        producer.push(ms(0), topic, &record).unwrap_err(),
        PushError::Full
    );
    let long = NewRecord {
        value: Some(&[0; 100]),
        ..NewRecord::default()
    };
    let refused = producer.push(ms(0), topic, &long).unwrap_err();
    assert!(matches!(
        refused,
        PushError::Invalid(Error::InvalidRecord(_))
    ));
}

#[test]
fn keys_choose_partitions_and_others_take_turns() {
    let (mut producer, topic) = producer(settings(), 4);
    for key in [&b"a"[..], b"b", b"21", b""] {
        let record = NewRecord {
            key: Some(key),
            ..NewRecord::default()
        };
        let pushed = producer.push(ms(0), topic, &record).unwrap();
        let expected = partition_for_key(key, NonZeroU32::new(4).unwrap());
        assert_eq!(pushed.partition, PartitionId(expected));
    }
    let mut seen = BTreeMap::new();
    for number in 0..100 {
        let pushed = producer
            .push(ms(0), topic, &NewRecord::default())
            .unwrap()
            .partition;
        *seen.entry(pushed).or_insert(0) += 1;
        if number == 3 {
            assert!(seen.len() <= 2, "one batch is filled before the next");
        }
    }
    assert_eq!(seen.len(), 4);
}

fn metadata(topic_id: TopicId, partitions: u32) -> Result<Answer> {
    Ok(Answer::Metadata(MetadataOk {
        topic_id,
        partitions,
        level: Level::Synced,
        cores: Vec::new(),
    }))
}

/// Pushes a record and gives the question for metadata that it gives rise to.
fn question(producer: &mut Producer<Tag>, now: Mono, topic: TopicIndex) -> Option<RequestId> {
    push(producer, now, topic, 0);
    match producer.poll_transmit(now) {
        Some(Transmit::Metadata { id, name }) => {
            assert_eq!(&*name, "t");
            Some(id)
        }
        Some(Transmit::InitProducer(_)) | None => None,
        Some(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_topic_that_grows_is_heard_of_and_its_new_partitions_are_used() {
    let age = settings().metadata_max_age;
    let (mut producer, topic) = producer(settings(), 2);
    let other = producer.add_topic("other", TopicId(8), NonZeroU32::new(3).unwrap());
    let start = ms(7);
    assert_eq!(question(&mut producer, start, topic), None);
    let soon = start.after(age - Duration::from_millis(1));
    assert_eq!(question(&mut producer, soon, topic), None);
    // Nobody asks about a topic that nobody sends to.
    let due = start.after(age);
    assert_eq!(producer.poll_transmit(due), None);
    let first = question(&mut producer, due, topic).expect("it is old");
    assert_eq!(question(&mut producer, due, topic), None, "once at a time");
    // A lost connection answers nothing: the next record asks again, a late answer is nothing.
    producer.handle_disconnect(&Error::Closed("test"));
    let again = question(&mut producer, due, topic).expect("asked again");
    producer.handle_answer(due, first, metadata(TOPIC, 9));
    producer.handle_answer(due, again, metadata(TOPIC, 4));
    assert_eq!(
        question(&mut producer, due, topic),
        None,
        "it is young again"
    );

    let at = |producer: &mut Producer<Tag>, topic, number| {
        let record = NewRecord {
            partition: Some(PartitionId(number)),
            ..NewRecord::default()
        };
        let pushed = producer.push(due, topic, &record);
        pushed.map(|pushed| pushed.partition.0)
    };
    assert_eq!(at(&mut producer, topic, 3).unwrap(), 3);
    assert_eq!(at(&mut producer, other, 2).unwrap(), 2);
    for (topic, known) in [(topic, 4), (other, 3)] {
        let refused = at(&mut producer, topic, known).unwrap_err();
        let known = NonZeroU32::new(known).unwrap();
        let asked = known.get();
        assert_eq!(refused, PushError::NoPartition { asked, known });
    }
    let key = (0..100u32)
        .map(|n| n.to_string())
        .find(|key| partition_for_key(key.as_bytes(), NonZeroU32::new(4).unwrap()) == 3)
        .unwrap();
    let record = NewRecord {
        key: Some(key.as_bytes()),
        ..NewRecord::default()
    };
    let pushed = producer.push(due, topic, &record).unwrap();
    assert_eq!(pushed.partition, PartitionId(3));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let pushed = producer.push(due, topic, &NewRecord::default());
        seen.insert(pushed.unwrap().partition);
    }
    assert_eq!(seen.len(), 4, "records without a key go there in turn");
}

#[test]
fn a_topic_that_was_created_again_has_to_be_resolved_again() {
    let age = settings().metadata_max_age;
    let (mut producer, topic) = producer(settings(), 1);
    assert_eq!(question(&mut producer, ms(0), topic), None);
    let id = question(&mut producer, ms(0).after(age), topic).expect("it is old");
    producer.handle_answer(ms(0).after(age), id, metadata(TopicId(99), 5));
    assert_eq!(producer.topic("t"), None);
}

#[test]
fn an_unknown_topic_has_to_be_resolved_again() {
    let (mut producer, topic) = producer(settings(), 1);
    push(&mut producer, ms(0), topic, 0);
    producer.flush();
    identify(&mut producer, ms(0), 1);
    let (id, _) = next_batch(&mut producer, ms(0)).unwrap();
    assert!(producer.topic("t").is_some());
    producer.handle_answer(ms(0), id, refused(ErrorCode::UnknownTopic));
    assert!(producer.topic("t").is_none());
}
