//! The oracle is content with the truth and with nothing else.

use bytes::Bytes;
use leveret_storage::store::{LogSettings, Place, ReadData, ReadRange};
use leveret_storage::types::{EntryMeta, Level, Offset, Ordinal, Term, WallMs};

use super::*;

const LOG: LogId = LogId(3);

fn append(oracle: &mut Oracle, count: u64) {
    append_at(oracle, LOG, count, 5);
}

fn append_at(oracle: &mut Oracle, log: LogId, count: u64, timestamp: i64) {
    for _ in 0..count {
        let (ordinal, first_offset) = oracle.log(log).next();
        let identity = Identity {
            log,
            ordinal,
            unique: oracle.unique(),
            len: 100,
        };
        let meta = EntryMeta {
            ordinal,
            term: Term(1),
            time: WallMs(0),
            first_offset,
            offsets: 2,
            max_timestamp: timestamp,
            len: 100,
        };
        let entry = Appended {
            meta,
            bytes: build(identity),
            level: Level::Synced,
        };
        oracle.log_mut(log).append(ordinal, entry).expect("dense");
    }
}

/// Six entries, three of them durable, two more written.
fn oracle() -> Oracle {
    let mut oracle = Oracle::default();
    oracle.create(LOG, LogKind::Topic, &LogSettings::default());
    append(&mut oracle, 6);
    let frontiers = ((Ordinal(5), Offset(10)), (Ordinal(3), Offset(6)));
    let truth = oracle.log_mut(LOG);
    truth
        .hear_frontiers(frontiers.0, frontiers.1)
        .expect("in range");
    oracle
}

fn found(oracle: &Oracle, next: u64) -> Found {
    let entries = &oracle.log(LOG).entries()[..next as usize];
    Found {
        log: LOG,
        start: (Ordinal(0), Offset(0)),
        next: (Ordinal(next), Offset(next * 2)),
        snapshot: None,
        replay: entries
            .iter()
            .map(|e| (e.meta, e.bytes.slice(..64)))
            .collect(),
        tail: entries.iter().map(|e| (e.meta, e.bytes.clone())).collect(),
    }
}

fn kind(result: Result<(), Violation>) -> Option<Kind> {
    result.err().map(|violation| violation.kind)
}

#[test]
fn what_was_acknowledged_at_a_level_survives_the_crashes_of_that_level() {
    for (crash, least) in [(Crash::Power, 3), (Crash::Kill, 5), (Crash::System, 5)] {
        for next in 0..=6 {
            let mut oracle = oracle();
            let recovered = [found(&oracle, next)];
            let result = kind(oracle.recover(crash, &recovered, WallMs(0)));
            assert_eq!(
                result,
                (next < least).then_some(Kind::Lost),
                "{crash:?} {next}"
            );
        }
        assert_eq!(
            kind(oracle().recover(crash, &[], WallMs(0))),
            Some(Kind::Lost)
        );
    }
}

#[test]
fn what_was_cut_cannot_come_back() {
    let mut oracle = oracle();
    let (cut, all) = (found(&oracle, 4), found(&oracle, 6));
    assert_eq!(kind(oracle.recover(Crash::Power, &[cut], WallMs(0))), None);
    assert_eq!(
        kind(oracle.recover(Crash::Power, &[all], WallMs(0))),
        Some(Kind::Resurrected)
    );
    // Also not in the place of what came after it.
    append(&mut oracle, 2);
    let old = self::oracle().log(LOG).entries()[4].bytes.clone();
    let mut replaced = found(&oracle, 6);
    replaced.tail[4].1 = old;
    assert_eq!(
        kind(oracle.recover(Crash::Power, &[replaced], WallMs(0))),
        Some(Kind::WrongData)
    );
}

#[test]
fn machines_are_rebuilt_from_snapshot_and_replay_without_gap() {
    let mut oracle = oracle();
    let mut whole = found(&oracle, 6);
    let at = oracle.log(LOG).state_at(Ordinal(4));
    whole.snapshot = Some((Ordinal(4), at.snapshot(50)));
    whole.replay.drain(..4);
    assert_eq!(
        kind(oracle.recover(Crash::Power, &[whole], WallMs(0))),
        None
    );
    let mut gap = found(&oracle, 6);
    gap.replay.remove(2);
    assert_eq!(
        kind(oracle.recover(Crash::Power, &[gap], WallMs(0))),
        Some(Kind::MachineState)
    );
    let mut lost = found(&oracle, 6);
    lost.replay.clear();
    assert_eq!(
        kind(oracle.recover(Crash::Power, &[lost], WallMs(0))),
        Some(Kind::MachineState)
    );
}

#[test]
fn reads_give_the_bytes_appended_in_order_and_nothing_that_is_not_durable() {
    let oracle = oracle();
    let truth = oracle.log(LOG);
    let bytes = |range: std::ops::Range<usize>| -> Vec<Bytes> {
        truth.entries()[range]
            .iter()
            .map(|e| e.bytes.clone())
            .collect()
    };
    let range = ReadRange::Offsets(Offset(3), Offset(6));
    let read = |chunks: Vec<Bytes>| {
        let ordinals = chunks.iter().filter_map(|chunk| identify(chunk));
        let ordinals: Vec<u64> = ordinals.map(|found| found.ordinal.0).collect();
        let place = |ordinal| Place {
            ordinal: Ordinal(ordinal),
            offset: Some(Offset(2 * ordinal)),
        };
        ReadData {
            first: ordinals.first().map(|first| place(*first)),
            next: ordinals.last().map(|last| place(last + 1)),
            chunks,
            ..ReadData::default()
        }
    };
    assert_eq!(
        truth.check_read(range, &read(bytes(0..2))),
        Ok((Ordinal(2), Offset(4)))
    );
    let told = |change: fn(&mut ReadData)| {
        let mut data = read(bytes(0..2));
        change(&mut data);
        truth.check_read(range, &data)
    };
    assert!(told(|data| data.next.as_mut().unwrap().offset = None).is_ok());
    assert!(told(|data| data.next.as_mut().unwrap().ordinal.0 += 1).is_err());
    assert!(told(|data| data.first.as_mut().unwrap().offset = Some(Offset(1))).is_err());
    let wrong = [bytes(2..3), bytes(0..1), bytes(0..4), Vec::new()];
    for chunks in wrong {
        assert!(
            truth.check_read(range, &read(chunks.clone())).is_err(),
            "{chunks:?}"
        );
    }
    let mut flipped = bytes(1..2)[0].to_vec();
    flipped[70] ^= 1;
    assert!(
        truth
            .check_read(range, &read(vec![flipped.into()]))
            .is_err()
    );
}

#[test]
fn deletions_and_trims_that_were_announced_stay() {
    let mut oracle = oracle();
    let back = found(&oracle, 6);
    oracle.log_mut(LOG).want_start(Offset(4));
    let start = (Ordinal(2), Offset(4));
    oracle
        .log_mut(LOG)
        .trimmed(start, WallMs(0))
        .expect("wanted");
    assert_eq!(
        kind(oracle.recover(Crash::Power, &[back], WallMs(0))),
        Some(Kind::Resurrected)
    );
    let mut beyond = found(&oracle, 6);
    beyond.start = (Ordinal(3), Offset(6));
    assert_eq!(
        kind(oracle.recover(Crash::Power, &[beyond], WallMs(0))),
        Some(Kind::Lost)
    );
    let again = found(&oracle, 6);
    oracle.log_mut(LOG).dropped();
    assert_eq!(kind(oracle.recover(Crash::Power, &[], WallMs(0))), None);
    assert_eq!(
        kind(oracle.recover(Crash::Power, &[again], WallMs(0))),
        Some(Kind::Resurrected)
    );
}

#[test]
fn age_may_take_what_is_old_and_a_request_what_is_young_before_it() {
    // Producers' clocks disagree: the first entries are the younger ones.
    let starts = |wanted: u64, start: u64| {
        let mut oracle = Oracle::default();
        let settings = LogSettings {
            retention_ms: Some(3000),
            ..LogSettings::default()
        };
        oracle.create(LOG, LogKind::Topic, &settings);
        for timestamp in [5000, 0, 5000] {
            append_at(&mut oracle, LOG, 2, timestamp);
        }
        let truth = oracle.log_mut(LOG);
        truth.want_start(Offset(wanted));
        kind(truth.trimmed((Ordinal(start / 2), Offset(start)), WallMs(4000)))
    };
    assert_eq!(starts(4, 8), None);
    assert_eq!(starts(4, 10), Some(Kind::Lost), "the last are young");
    assert_eq!(starts(2, 8), Some(Kind::Lost), "one of the first was kept");
    assert_eq!(starts(0, 8), Some(Kind::Lost), "nobody asked");
}

#[test]
fn what_former_settings_allowed_stays_allowed_and_nothing_beyond() {
    let limited = |bytes: Option<u64>| LogSettings {
        retention_bytes: bytes,
        ..LogSettings::default()
    };
    let starts = |moved: u64, later: u64| {
        let mut oracle = Oracle::default();
        oracle.create(LOG, LogKind::Topic, &limited(Some(200)));
        append(&mut oracle, 6);
        let truth = oracle.log_mut(LOG);
        let start = |offset: u64| (Ordinal(offset / 2), Offset(offset));
        let altered = truth.altered(&limited(Some(400)), start(moved), WallMs(0));
        altered.and_then(|()| truth.trimmed(start(later), WallMs(0)))
    };
    // The move under the old limit becomes durable under the new one.
    assert_eq!(kind(starts(8, 8)), None);
    assert_eq!(kind(starts(0, 4)), None, "four entries are kept");
    assert_eq!(kind(starts(0, 6)), Some(Kind::Lost), "three are kept");
    assert_eq!(kind(starts(4, 6)), Some(Kind::Lost), "three are kept");
    assert_eq!(kind(starts(10, 10)), Some(Kind::Lost), "one was kept");
}

#[test]
fn logs_of_level_memory_forget_what_their_bounds_demand_and_no_more() {
    const OTHER: LogId = LogId(4);
    // Entries of 100 bytes take 228 in memory: five are kept by a log, six by both.
    let bounds = Bounds {
        own: 5 * 228,
        together: 6 * 228,
    };
    let told = |ends: [u64; 2], begins: [u64; 2]| {
        let settings = LogSettings {
            level: Level::Memory,
            ..LogSettings::default()
        };
        let mut oracle = Oracle::default();
        for (log, count) in [LOG, OTHER].into_iter().zip(ends) {
            oracle.create(log, LogKind::Topic, &settings);
            append_at(&mut oracle, log, count, 5);
        }
        let place = |begin: u64| (Ordinal(begin), Offset(2 * begin));
        let begin = [(LOG, place(begins[0])), (OTHER, place(begins[1]))];
        kind(oracle.forgot(OTHER, &begin, bounds))
    };
    assert_eq!(told([3, 3], [0, 0]), None, "all fits");
    assert_eq!(told([3, 3], [1, 0]), Some(Kind::Lost), "it fitted");
    assert_eq!(told([4, 3], [1, 0]), None);
    assert_eq!(told([4, 3], [0, 1]), None, "whichever gives");
    assert_eq!(told([4, 3], [2, 0]), Some(Kind::Lost), "one too many");
    assert_eq!(told([4, 3], [0, 0]), Some(Kind::Memory), "none went");
    assert_eq!(told([0, 8], [0, 3]), None, "its own bound");
    assert_eq!(told([0, 8], [0, 2]), Some(Kind::Memory));
    assert_eq!(told([0, 8], [0, 4]), Some(Kind::Lost));
    assert_eq!(told([1, 2], [2, 0]), Some(Kind::Frontier), "past its end");
}

#[test]
fn a_look_up_may_be_answered_from_any_start_that_the_log_had_meanwhile() {
    let mut oracle = Oracle::default();
    oracle.create(LOG, LogKind::Topic, &LogSettings::default());
    append_at(&mut oracle, LOG, 6, 5);
    let look = |starts: (u64, u64), timestamp: i64, found: Option<u64>| {
        let starts = Offset(starts.0)..Offset(starts.1);
        let truth = oracle.log(LOG);
        kind(truth.check_time(timestamp, starts, Offset(12), found.map(Offset)))
    };
    // All has gone meanwhile: what was found before that is as good as nothing.
    for found in [None, Some(4), Some(12)] {
        assert_eq!(look((4, 12), 5, found), None, "{found:?}");
    }
    // The first half has: nothing is wrong now, and so is what lies behind the first that is left.
    assert_eq!(look((4, 6), 5, Some(4)), None);
    assert_eq!(look((4, 6), 5, Some(6)), None);
    assert_eq!(look((4, 6), 5, None), Some(Kind::WrongData));
    assert_eq!(look((4, 6), 5, Some(8)), Some(Kind::WrongData));
    // What had gone when it was asked is found by nobody.
    assert_eq!(look((4, 12), 5, Some(2)), Some(Kind::WrongData));
    assert_eq!(look((4, 4), 6, Some(2)), Some(Kind::WrongData));
}
