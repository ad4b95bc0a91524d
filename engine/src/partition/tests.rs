//! The partition against a naive oracle that remembers every batch ever appended.

use leveret_record::{Attributes, BatchHeader, HEADER_LEN};
use leveret_storage::types::Term;
use proptest::prelude::*;

use super::*;

const LIMITS: ProducerLimits = ProducerLimits {
    max_producers: 3,
    expiry_ms: 100,
};

fn header(producer_id: i64, epoch: i16, sequence: i32, records: i32) -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        length: (HEADER_LEN - 12) as i32,
        partition_leader_epoch: 0,
        crc: 0,
        attributes: Attributes::from_bits(0),
        last_offset_delta: records - 1,
        base_timestamp: 7,
        max_timestamp: 9,
        producer_id,
        producer_epoch: epoch,
        base_sequence: sequence,
        record_count: records,
    }
}

/// The 61 bytes that a header stands for, as recovery hands them over.
fn prefix(header: &BatchHeader) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(header.base_offset.to_be_bytes());
    bytes.extend(header.length.to_be_bytes());
    bytes.extend(header.partition_leader_epoch.to_be_bytes());
    bytes.push(2);
    bytes.extend(header.crc.to_be_bytes());
    bytes.extend(header.attributes.bits().to_be_bytes());
    bytes.extend(header.last_offset_delta.to_be_bytes());
    bytes.extend(header.base_timestamp.to_be_bytes());
    bytes.extend(header.max_timestamp.to_be_bytes());
    bytes.extend(header.producer_id.to_be_bytes());
    bytes.extend(header.producer_epoch.to_be_bytes());
    bytes.extend(header.base_sequence.to_be_bytes());
    bytes.extend(header.record_count.to_be_bytes());
    bytes
}

/// A partition with its log beside it.
struct Logged {
    partition: Partition,
    log: Vec<(EntryMeta, Vec<u8>)>,
}

impl Logged {
    fn new() -> Self {
        Self {
            partition: Partition::new(Offset(0), LIMITS),
            log: Vec::new(),
        }
    }

    fn offer(&mut self, mut header: BatchHeader, now: i64) -> Result<Decision, AppendRefusal> {
        let decision = self.partition.decide(&header, WallMs(now))?;
        if let Decision::Append { base_offset } = decision {
            header.base_offset = base_offset.0 as i64;
            let meta = EntryMeta {
                ordinal: Ordinal(self.log.len() as u64),
                term: Term(0),
                time: WallMs(now),
                first_offset: base_offset,
                offsets: offsets_of(&header),
                max_timestamp: header.latest_timestamp(),
                len: HEADER_LEN as u32,
            };
            self.partition.apply(&meta, &header);
            self.log.push((meta, prefix(&header)));
        }
        Ok(decision)
    }

    /// What a restart makes of it, with a snapshot taken before entry `at`.
    fn recovered(&self, snapshot: Option<&[u8]>, at: usize) -> Result<Partition, ReplayError> {
        let replay = self.log[at..]
            .iter()
            .map(|(meta, bytes)| (meta, &bytes[..]));
        Partition::recover(snapshot, replay, self.partition.next_offset, LIMITS)
    }
}

fn appended(offset: u64) -> Result<Decision, AppendRefusal> {
    Ok(Decision::Append {
        base_offset: Offset(offset),
    })
}

fn duplicate(offset: u64, records: u64) -> Result<Decision, AppendRefusal> {
    Ok(Decision::Duplicate {
        base_offset: Offset(offset),
        next_offset: Offset(offset + records),
        timestamp: 9,
    })
}

#[test]
fn repeated_batches_of_the_window_answer_with_their_first_offset() {
    let mut log = Logged::new();
    for n in 0..6 {
        assert_eq!(log.offer(header(1, 0, n * 2, 2), 0), appended(n as u64 * 2));
    }
    // Six batches of two: the first has left the window of five.
    for n in 1..6 {
        assert_eq!(
            log.offer(header(1, 0, n * 2, 2), 0),
            duplicate(n as u64 * 2, 2)
        );
    }
    let refused = AppendRefusal::OutOfOrderSequence {
        producer_id: 1,
        expected: 12,
        found: 0,
    };
    assert_eq!(log.offer(header(1, 0, 0, 2), 0), Err(refused));
    // The same first sequence with another length is not the same batch.
    assert!(log.offer(header(1, 0, 10, 1), 0).is_err());
    assert_eq!(log.partition.next_offset(), Offset(12));
}

#[test]
fn sequences_wrap_to_zero() {
    let mut log = Logged::new();
    assert_eq!(log.offer(header(1, 0, i32::MAX - 1, 4), 0), appended(0));
    assert_eq!(log.offer(header(1, 0, i32::MAX - 1, 4), 0), duplicate(0, 4));
    assert_eq!(log.offer(header(1, 0, 2, 1), 0), appended(4));
    assert!(log.offer(header(1, 0, 4, 1), 0).is_err());
}

#[test]
fn a_newer_epoch_starts_at_sequence_zero_and_fences_the_older() {
    let mut log = Logged::new();
    assert_eq!(log.offer(header(1, 3, 40, 1), 0), appended(0));
    let gap = AppendRefusal::OutOfOrderSequence {
        producer_id: 1,
        expected: 0,
        found: 41,
    };
    assert_eq!(log.offer(header(1, 4, 41, 1), 0), Err(gap));
    assert_eq!(log.offer(header(1, 4, 0, 1), 0), appended(1));
    let fenced = AppendRefusal::InvalidProducerEpoch {
        producer_id: 1,
        current: 4,
        found: 3,
    };
    assert_eq!(log.offer(header(1, 3, 40, 1), 0), Err(fenced));
}

#[test]
fn a_silent_producer_expires_and_may_start_anywhere() {
    let mut log = Logged::new();
    assert_eq!(log.offer(header(1, 0, 0, 1), 0), appended(0));
    assert!(log.offer(header(1, 0, 7, 1), 100).is_err());
    assert_eq!(log.offer(header(1, 0, 7, 1), 101), appended(1));
    // What it sent before it expired is forgotten with it.
    assert!(log.offer(header(1, 0, 0, 1), 101).is_err());
    assert_eq!(log.offer(header(2, 0, 0, 1), 500), appended(2));
    assert_eq!(log.partition.producers(), 1, "the expired one is gone");
}

#[test]
fn a_replay_under_a_longer_expiry_remembers_no_more_than_the_log_says() {
    let mut log = Logged::new();
    assert_eq!(log.offer(header(1, 0, 0, 1), 0), appended(0));
    // It has expired, and starts anywhere.
    assert_eq!(log.offer(header(1, 0, 7, 1), 500), appended(1));
    let limits = ProducerLimits {
        expiry_ms: 1_000_000,
        ..LIMITS
    };
    let replay = log.log.iter().map(|(meta, bytes)| (meta, &bytes[..]));
    let longer = Partition::recover(None, replay, Offset(2), limits).unwrap();
    assert_eq!(longer.snapshot(), log.partition.snapshot());
    let again = longer.decide(&header(1, 0, 0, 1), WallMs(500));
    assert!(again.is_err(), "what came before the gap is forgotten");
}

#[test]
fn the_longest_silent_producer_makes_room() {
    let mut log = Logged::new();
    for id in [1, 2, 3] {
        assert_eq!(log.offer(header(id, 0, 0, 1), 0), appended(id as u64 - 1));
    }
    assert_eq!(log.offer(header(1, 0, 1, 1), 0), appended(3));
    assert_eq!(log.offer(header(4, 0, 0, 1), 0), appended(4));
    assert_eq!(log.partition.producers(), LIMITS.max_producers);
    assert!(
        log.offer(header(1, 0, 9, 1), 0).is_err(),
        "1 is still known"
    );
    assert_eq!(log.offer(header(2, 0, 9, 1), 0), appended(5), "2 is not");
}

#[test]
fn transactional_batches_are_refused() {
    let mut batch = header(1, 0, 0, 1);
    batch.attributes = batch.attributes.transactional();
    assert_eq!(
        Logged::new().offer(batch, 0),
        Err(AppendRefusal::Transactional)
    );
}

#[test]
fn recovery_refuses_what_is_not_the_log() {
    let mut log = Logged::new();
    for n in 0..3 {
        log.offer(header(1, 0, n, 1), 0).unwrap();
    }
    let snapshot = log.partition.snapshot();
    assert!(log.recovered(Some(&snapshot), 3).is_ok());
    for at in 0..snapshot.len() {
        let mut damaged = snapshot.to_vec();
        damaged[at] ^= 1;
        let found = log.recovered(Some(&damaged), 3);
        assert!(matches!(found, Err(ReplayError::Snapshot(_))), "byte {at}");
    }
    log.log[1].1[7] ^= 1;
    let found = log.recovered(None, 0).unwrap_err();
    assert!(matches!(
        found,
        ReplayError::Offset {
            ordinal: Ordinal(1),
            ..
        }
    ));
    log.log[1].1.truncate(HEADER_LEN - 1);
    let found = log.recovered(None, 0).unwrap_err();
    assert!(matches!(
        found,
        ReplayError::Header {
            ordinal: Ordinal(1),
            ..
        }
    ));
}

#[test]
fn a_snapshot_of_a_newer_version_is_named_as_such() {
    let mut log = Logged::new();
    log.offer(header(1, 0, 0, 1), 0).unwrap();
    let mut bytes = log.partition.snapshot().to_vec();
    bytes[6] = 9;
    let crc = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    let error = log.recovered(Some(&bytes), 1).unwrap_err();
    let newer = DecodeError::NewerVersion { found: 9, known: 1 };
    assert_eq!(error, ReplayError::Snapshot(newer));
}

/// Everything that a producer ever appended, searched from the end.
#[derive(Default)]
struct Oracle {
    batches: Vec<OracleBatch>,
    next: u64,
}

#[derive(Clone, Copy)]
struct OracleBatch {
    header: BatchHeader,
    time: i64,
    offset: u64,
    /// Its producer was unknown: nothing before this batch counts.
    fresh: bool,
}

impl Oracle {
    fn answer(&mut self, header: &BatchHeader, now: i64) -> Result<Decision, &'static str> {
        if let Some((offset, records)) = self.verdict(header, now)? {
            return Ok(Decision::Duplicate {
                base_offset: Offset(offset),
                next_offset: Offset(offset + records),
                timestamp: 9,
            });
        }
        let batch = OracleBatch {
            header: *header,
            time: now,
            offset: self.next,
            fresh: !self.remembers(header.producer_id, now),
        };
        self.batches.push(batch);
        self.next += header.record_count as u64;
        Ok(Decision::Append {
            base_offset: Offset(batch.offset),
        })
    }

    /// Offset and records of the batch that this one repeats, if it does.
    fn verdict(&self, header: &BatchHeader, now: i64) -> Result<Option<(u64, u64)>, &'static str> {
        let id = header.producer_id;
        if id < 0 || !self.remembers(id, now) {
            return Ok(None);
        }
        let expect = |sequence: i64| match i64::from(header.base_sequence) == sequence {
            true => Ok(None),
            false => Err("sequence"),
        };
        let mine = || {
            self.batches
                .iter()
                .rev()
                .filter(|b| b.header.producer_id == id)
        };
        let last = mine().next().expect("remembered").header;
        if header.producer_epoch < last.producer_epoch {
            return Err("epoch");
        }
        if header.producer_epoch > last.producer_epoch {
            return expect(0);
        }
        for old in mine().take(WINDOW) {
            if old.header.producer_epoch != header.producer_epoch {
                break;
            }
            let same = old.header.base_sequence == header.base_sequence
                && old.header.record_count == header.record_count;
            if same {
                return Ok(Some((old.offset, old.header.record_count as u64)));
            }
            if old.fresh {
                break;
            }
        }
        let end = i64::from(last.base_sequence) + i64::from(last.record_count);
        expect(end % (i64::from(i32::MAX) + 1))
    }

    /// Not expired, and among the producers that appended last.
    fn remembers(&self, id: i64, now: i64) -> bool {
        let mut others = Vec::new();
        for batch in self.batches.iter().rev() {
            let other = batch.header.producer_id;
            if other == id {
                return now - batch.time <= LIMITS.expiry_ms as i64
                    && others.len() < LIMITS.max_producers;
            }
            if other >= 0 && !others.contains(&other) {
                others.push(other);
            }
        }
        false
    }
}

#[derive(Clone, Debug)]
enum Step {
    Offer {
        id: i64,
        epoch: i16,
        back: i32,
        records: i32,
    },
    Wait(i64),
    Restart {
        back: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let offer = (-1..5i64, 0..2i16, -2..14i32, 1..4i32).prop_map(|(id, epoch, back, records)| {
        Step::Offer {
            id,
            epoch,
            back,
            records,
        }
    });
    let wait = (0..60i64).prop_map(Step::Wait);
    let restart = (0..8usize).prop_map(|back| Step::Restart { back });
    let step = prop_oneof![8 => offer, 1 => wait, 1 => restart];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_partition_answers_as_the_oracle_does_also_after_restarts(steps in steps(), wrap: bool) {
        let mut log = Logged::new();
        let mut oracle = Oracle::default();
        let mut snapshots = vec![Bytes::new()];
        let mut now = 0;
        // Where each producer's client believes to be; batches repeat and skip around it.
        let first = if wrap { i32::MAX - 5 } else { 0 };
        let mut sent = [first; 5];
        for step in steps {
            match step {
                Step::Wait(ms) => now += ms,
                Step::Restart { back } => {
                    let at = snapshots.len().saturating_sub(back + 1);
                    let recovered = log.recovered(Some(&snapshots[at]), at).unwrap();
                    prop_assert_eq!(recovered.snapshot(), log.partition.snapshot());
                    log.partition = recovered;
                }
                Step::Offer { id, epoch, back, records } => {
                    let sequence = match id {
                        -1 => -1,
                        id => sent[id as usize].wrapping_sub(back.max(0)) & i32::MAX,
                    };
                    let mut batch = header(id, epoch, sequence, records);
                    if id < 0 {
                        batch.producer_epoch = -1;
                    }
                    let expected = oracle.answer(&batch, now);
                    let found = log.offer(batch, now).map_err(|refusal| match refusal {
                        AppendRefusal::OutOfOrderSequence { .. } => "sequence",
                        AppendRefusal::InvalidProducerEpoch { .. } => "epoch",
                        AppendRefusal::Transactional => "transactional",
                    });
                    prop_assert_eq!(&found, &expected);
                    if matches!(found, Ok(Decision::Append { .. })) {
                        snapshots.push(log.partition.snapshot());
                        if id >= 0 {
                            sent[id as usize] = batch.next_sequence();
                        }
                    }
                }
            }
        }
    }

    /// Also with a true checksum, where the decoder has to look at the fields themselves.
    #[test]
    fn no_bytes_make_the_snapshot_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut body = vec![0, 0, 0, 0, 2, 0, 1, 0];
        body.extend(&bytes);
        let crc = crc32c::crc32c(&body[4..]);
        body[..4].copy_from_slice(&crc.to_le_bytes());
        if let Ok(producers) = snapshot::decode(&body) {
            prop_assert_eq!(snapshot::encode(&producers), body);
        }
    }
}
