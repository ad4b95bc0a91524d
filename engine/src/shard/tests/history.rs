//! Random producers, consumers and restarts against the plainest oracle: a list of records.

use leveret_storage::types::Level;
use proptest::prelude::*;

use super::bench::*;

#[derive(Clone, Debug)]
enum Step {
    /// A batch of so many records of so many bytes; `repeat` sends it twice.
    Produce {
        producer: i64,
        records: usize,
        bytes: usize,
        repeat: bool,
    },
    Fetch {
        back: u64,
        max_bytes: usize,
    },
    Wait(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![4 => 1..200usize, 2 => 200..9000usize, 1 => 60_000..90_000usize];
    let produce = (-1..3i64, 1..4usize, bytes, any::<bool>()).prop_map(
        |(producer, records, bytes, repeat)| Step::Produce {
            producer,
            records,
            bytes,
            repeat,
        },
    );
    let fetch = (0..60u64, 1..50_000usize);
    prop_oneof![
        12 => produce,
        6 => fetch.prop_map(|(back, max_bytes)| Step::Fetch { back, max_bytes }),
        2 => (1..400u64).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

fn check(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut bench = Bench::new(1, Level::Synced);
    let mut expected: Vec<Vec<u8>> = Vec::new();
    let mut sequences = [0; 3];
    for step in steps {
        match step {
            Step::Wait(ms) => bench.wait_ms(ms),
            Step::Restart => bench = bench.restart(),
            Step::Produce {
                producer,
                records,
                bytes,
                repeat,
            } => {
                let values: Vec<Vec<u8>> = (0..records)
                    .map(|n| vec![(expected.len() + n) as u8; bytes])
                    .collect();
                let slices: Vec<&[u8]> = values.iter().map(|value| &value[..]).collect();
                let sent = match usize::try_from(producer) {
                    Ok(index) => stamped(producer, sequences[index], &slices),
                    Err(_) => batch(&slices),
                };
                let offset = expected.len() as u64;
                prop_assert_eq!(produced(&bench.produce(1, sent.clone())), (offset, false));
                expected.extend(values);
                if let Ok(index) = usize::try_from(producer) {
                    sequences[index] += records as i32;
                    if repeat {
                        prop_assert_eq!(produced(&bench.produce(1, sent)), (offset, true));
                    }
                }
            }
            Step::Fetch { back, max_bytes } => {
                let from = (expected.len() as u64).saturating_sub(back);
                let fetched = bench.fetch(1, from, max_bytes).unwrap();
                prop_assert_eq!(fetched.high_watermark.0, expected.len() as u64);
                let found = contents(&fetched);
                let first = found.iter().position(|(offset, _)| *offset == from);
                prop_assert_eq!(first.is_some(), from < expected.len() as u64);
                for (offset, value) in found {
                    prop_assert_eq!(&value, &expected[offset as usize]);
                }
            }
        }
    }
    // From the start to the end, nothing is missing.
    let mut next = 0;
    while next < expected.len() as u64 {
        let fetched = bench.fetch(1, next, 100_000).unwrap();
        for (offset, value) in contents(&fetched) {
            if offset >= next {
                prop_assert_eq!(offset, next);
                prop_assert_eq!(&value, &expected[offset as usize]);
                next += 1;
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_log_holds_what_was_acknowledged_and_nothing_else(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        check(steps)?;
    }
}
