//! Batches name the core that owns their partition, and never two cores at once.

use super::*;

/// The cores that the next batches go to.
fn cores(producer: &mut Producer<Tag>, now: Mono) -> Vec<(RequestId, Option<u16>)> {
    std::iter::from_fn(|| match producer.poll_transmit(now)? {
        Transmit::Produce { id, core, .. } => Some((id, core)),
        other => panic!("only batches are due, not {other:?}"),
    })
    .collect()
}

fn named(producer: &mut Producer<Tag>, topic: TopicIndex, partition: u32) {
    let record = NewRecord {
        partition: Some(PartitionId(partition)),
        ..NewRecord::default()
    };
    producer.push(ms(0), topic, &record).unwrap();
    producer.flush();
}

#[test]
fn each_partition_is_sent_to_its_owner() {
    let (mut producer, topic) = producer(settings(), 3);
    producer.set_owners(topic, &[1, 0]);
    for partition in 0..3 {
        named(&mut producer, topic, partition);
    }
    identify(&mut producer, ms(0), 1);
    let sent: Vec<_> = cores(&mut producer, ms(0)).iter().map(|b| b.1).collect();
    assert_eq!(
        sent,
        [Some(1), Some(0), None],
        "of the third none was named"
    );
}

#[test]
fn a_partition_that_moves_lets_everything_come_home_first() {
    let (mut producer, topic) = producer(settings(), 1);
    producer.set_owners(topic, &[1]);
    push(&mut producer, ms(0), topic, 0);
    producer.flush();
    establish(&mut producer, ms(0));
    for _ in 0..3 {
        named(&mut producer, topic, 0);
    }
    let before = cores(&mut producer, ms(0));
    assert_eq!(before.len(), 3);
    assert!(before.iter().all(|(_, core)| *core == Some(1)));
    producer.set_owners(topic, &[0]);
    named(&mut producer, topic, 0);
    for (n, (id, _)) in (1..).zip(before) {
        assert_eq!(cores(&mut producer, ms(0)), [], "{n}: it would overtake");
        producer.handle_answer(ms(0), id, produced(n));
    }
    let after = cores(&mut producer, ms(0));
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].1, Some(0));
    // The control: to the same owner it need not wait.
    named(&mut producer, topic, 0);
    assert_eq!(cores(&mut producer, ms(0))[0].1, Some(0));
}

#[test]
fn after_a_lost_connection_the_owners_are_asked_for_again() {
    let (mut producer, topic) = producer(settings(), 1);
    producer.set_owners(topic, &[3]);
    push(&mut producer, ms(0), topic, 0);
    producer.flush();
    establish(&mut producer, ms(0));
    assert_eq!(question(&mut producer, ms(0), topic), None);
    producer.handle_disconnect(&Error::Closed("test"));
    let id = question(&mut producer, ms(0), topic).expect("owners may have changed");
    let mut found = metadata(TOPIC, 1);
    if let Ok(Answer::Metadata(found)) = &mut found {
        found.cores = vec![2];
    }
    producer.handle_answer(ms(0), id, found);
    assert_eq!(question(&mut producer, ms(0), topic), None, "once");
    producer.flush();
    let sent = cores(&mut producer, ms(0));
    assert!(
        !sent.is_empty() && sent.iter().all(|(_, core)| *core == Some(2)),
        "{sent:?}"
    );
}
