//! Seeded chance against a model of the broker: whatever is cut, refused, delayed or forgotten,
//! the log holds every acknowledged record once, at its offset, and all records in order.

use super::*;

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

/// A partition as the broker keeps it.
struct Model {
    log: Vec<u32>,
    windows: BTreeMap<i64, VecDeque<(i32, i32, u64)>>,
    /// How many batches of a producer it remembers.
    memory: usize,
    producers: i64,
}

impl Model {
    fn append(&mut self, batch: &[u8]) -> Result<Answer> {
        let header = parse_header(batch).unwrap();
        let (first, last) = (header.base_sequence, header.last_sequence());
        let window = self.windows.entry(header.producer_id).or_default();
        if let Some((_, _, base)) = window
            .iter()
            .find(|known| (known.0, known.1) == (first, last))
        {
            return produced(*base);
        }
        if window
            .back()
            .is_some_and(|known| next_sequence(known.1) != first)
        {
            return refused(ErrorCode::OutOfOrderSequence);
        }
        let base = self.log.len() as u64;
        window.push_back((first, last, base));
        if window.len() > self.memory {
            window.pop_front();
        }
        for record in &records(batch, leveret_record::MAX_RECORDS_LEN).unwrap() {
            let value = record.unwrap().value.unwrap();
            self.log.push(u32::from_be_bytes(value.try_into().unwrap()));
        }
        produced(base)
    }

    fn handle(&mut self, transmit: &Transmit, overloaded: bool) -> (RequestId, Result<Answer>) {
        match transmit {
            Transmit::InitProducer(id) => {
                self.producers += 1;
                (*id, identity(self.producers))
            }
            Transmit::Metadata { id, .. } => (*id, metadata(TOPIC, 1)),
            Transmit::Produce { id, .. } if overloaded => (*id, refused(ErrorCode::Overloaded)),
            Transmit::Produce { id, batch, .. } => (*id, self.append(batch)),
        }
    }
}

#[derive(Default)]
struct Outcome {
    acked: BTreeMap<u32, u64>,
    failed: Vec<u32>,
    log: Vec<u32>,
    cuts: u32,
    /// Producer ids that appended something.
    identities: usize,
}

fn run(seed: u64, memory: usize, delivery_timeout: Duration) -> Outcome {
    const RECORDS: u32 = 150;
    let mut chance = Chance(seed);
    let (mut producer, topic) = producer(
        ProducerSettings {
            delivery_timeout,
            max_in_flight: 1 + chance.below(5),
            seed,
            ..settings()
        },
        1,
    );
    let mut model = Model {
        log: Vec::new(),
        windows: BTreeMap::new(),
        memory,
        producers: 0,
    };
    let mut outcome = Outcome::default();
    let mut now = ms(0);
    let (mut on_the_way, mut answers) = (VecDeque::new(), Vec::new());
    let mut pushed = 0;
    while pushed < RECORDS || producer.buffered() > 0 {
        match chance.below(6) {
            0 if pushed < RECORDS => {
                push(&mut producer, now, topic, pushed);
                pushed += 1;
            }
            1 => on_the_way.extend(producer.poll_transmit(now)),
            2 | 3 => {
                if let Some(transmit) = on_the_way.pop_front() {
                    answers.push(model.handle(&transmit, chance.one_in(8)));
                }
            }
            4 if !answers.is_empty() => {
                let (id, answer) = answers.swap_remove(chance.below(answers.len()));
                producer.handle_answer(now, id, answer);
            }
            5 if chance.one_in(15) => {
                // The broker still gets some of what was on its way; its answers are lost.
                for transmit in on_the_way.drain(..).take(chance.below(4)) {
                    drop(model.handle(&transmit, false));
                }
                answers.clear();
                producer.handle_disconnect(&Error::Disconnected("cut".into()));
                outcome.cuts += 1;
            }
            _ => {
                now = now.after(Duration::from_millis(chance.below(4) as u64));
                producer.handle_timeout(now);
            }
        }
        while let Some(completion) = producer.poll_completion() {
            for (index, number) in completion.tag.borrow().iter().enumerate() {
                match &completion.result {
                    Ok(appended) => {
                        let offset = appended.base_offset.0 + index as u64;
                        assert_eq!(outcome.acked.insert(*number, offset), None);
                    }
                    Err(_) => outcome.failed.push(*number),
                }
            }
        }
    }
    assert_eq!(producer.buffered(), 0);
    outcome.log = model.log;
    outcome.identities = model.windows.len();
    outcome
}

/// What is wrong with the log, if anything.
fn fault(outcome: &Outcome) -> Option<&'static str> {
    if !outcome.log.is_sorted_by(|a, b| a < b) {
        return Some("repeated or out of order");
    }
    let misplaced =
        |(number, offset): (&u32, &u64)| outcome.log.get(*offset as usize) != Some(number);
    outcome
        .acked
        .iter()
        .any(misplaced)
        .then_some("an acknowledged record is not where it should be")
}

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(60);

#[test]
fn nothing_is_lost_repeated_or_reordered() {
    let mut cuts = 0;
    for seed in 0..400 {
        let outcome = run(seed, MAX_IN_FLIGHT, LONG);
        assert_eq!(fault(&outcome), None, "seed {seed}");
        assert_eq!(outcome.acked.len(), 150, "seed {seed}");
        assert_eq!(
            outcome.identities, 1,
            "seed {seed}: no gap, no new identity"
        );
        cuts += outcome.cuts;
    }
    assert!(cuts > 1000, "only {cuts} cuts");
}

#[test]
fn what_is_given_up_disturbs_nothing_else() {
    let (mut failed, mut identities) = (0, 0);
    for seed in 0..400 {
        let outcome = run(seed, MAX_IN_FLIGHT, SHORT);
        assert_eq!(fault(&outcome), None, "seed {seed}");
        assert_eq!(
            outcome.acked.len() + outcome.failed.len(),
            150,
            "seed {seed}"
        );
        failed += outcome.failed.len();
        identities += outcome.identities - 1;
    }
    assert!(
        failed > 1000 && identities > 100,
        "{failed} given up, {identities} new identities"
    );
}

#[test]
fn a_broker_with_a_shorter_memory_is_found_out() {
    let found = (0..400).any(|seed| fault(&run(seed, 1, LONG)).is_some());
    assert!(found, "the check cannot fail");
}
