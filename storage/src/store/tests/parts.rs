//! The parts of a store by themselves: what each promises whoever calls it.

use bytes::Bytes;
use proptest::prelude::*;

use crate::io::FileName;
use crate::store::commit::effects::Effects;
use crate::store::commit::lines::Lines;
use crate::store::commit::pace::Pace;
use crate::store::config::LogSettings;
use crate::store::journal::ring::Advance;
use crate::store::log::held::{Held, Run};
use crate::store::log::lines::{Line, Standing};
use crate::store::log::placing::{Placing, Urgency, Way};
use crate::store::log::tail::{Tail, TailEntry};
use crate::store::log::{LogState, Logs};
use crate::store::reclaim::Reclaim;
use crate::store::reclaim::remnants::Remnants;
use crate::types::{
    CommitSeq, EntryMeta, LogId, LogKind, Mono, Offset, Ordinal, SlotId, Term, WallMs,
};

fn entry(ordinal: u64, len: usize) -> TailEntry {
    TailEntry {
        meta: EntryMeta {
            ordinal: Ordinal(ordinal),
            term: Term(1),
            time: WallMs(1),
            first_offset: Offset(ordinal * 2),
            offsets: 2,
            max_timestamp: 1,
            len: u32::try_from(len).unwrap(),
        },
        pos: 0,
        bytes: Bytes::from(vec![1; len]),
        sum: None,
    }
}

fn log(id: u64) -> LogState {
    let kind = LogKind::Topic;
    LogState::new(
        LogId(id),
        SlotId(0),
        (kind, kind.class()),
        LogSettings::default(),
    )
}

fn run(first: u64, last: u64, seq: u64) -> Run {
    Run {
        first: Ordinal(first),
        last: Ordinal(last),
        seq: CommitSeq(seq),
        bytes: 1,
        prefix: false,
        record: None,
        copied: false,
    }
}

const LINES: [Line; 8] = [
    Line::Ready,
    Line::Control,
    Line::Bulk,
    Line::Behind,
    Line::Closing,
    Line::Dirty,
    Line::Frontier,
    Line::Volatile,
];

proptest! {
    /// A log stands in a line once, and in no other because of that.
    #[test]
    fn standing_is_a_set(steps in prop::collection::vec((0usize..8, any::<bool>()), 0..40)) {
        let mut standing = Standing::default();
        let mut model = [false; 8];
        for (line, enters) in steps {
            let before = std::mem::replace(&mut model[line], enters);
            let told = match enters {
                true => !standing.enter(LINES[line]),
                false => standing.leave(LINES[line]),
            };
            prop_assert_eq!(told, before);
            for (line, there) in LINES.iter().zip(model) {
                prop_assert_eq!(standing.is_in(*line), there);
            }
        }
    }

    /// Whatever way entries leave memory, what is said to be freed is what they took.
    #[test]
    fn memory_freed_is_memory_taken(
        lens in prop::collection::vec(1usize..5000, 1..40),
        cuts in prop::collection::vec((0u8..4, 0u64..45), 0..6),
    ) {
        let mut tail = Tail::default();
        let mut account: usize = 0;
        for (ordinal, len) in (0u64..).zip(&lens) {
            account += tail.push(entry(ordinal, *len));
        }
        for (how, at) in cuts {
            account -= match how {
                0 => tail.drop_below(Ordinal(at)),
                1 => tail.drop_from(Ordinal(at)),
                2 => tail.drop_while(|_, freed| freed < 5000),
                _ => tail.clear(),
            };
            prop_assert_eq!(account, tail.bytes());
            let ordinals: Vec<u64> = tail.iter().map(|entry| entry.meta.ordinal.0).collect();
            prop_assert!(ordinals.windows(2).all(|two| two[0] + 1 == two[1]), "dense");
        }
        prop_assert_eq!(tail.bytes() == 0, tail.first().is_none());
    }

    /// All grants come back, however entries are placed.
    #[test]
    fn grants_come_back(grants in prop::collection::vec(1u64..9000, 1..30), share in 0u64..9000) {
        let mut placing = Placing::default();
        let mut out: u64 = 0;
        for grant in &grants {
            placing.add(10, *grant, Urgency::Reader);
            out += grant;
        }
        for (next, _) in (1..).zip(&grants) {
            placing.place(Ordinal(next), 10);
            out -= placing.use_grant(share, next as usize == grants.len());
        }
        prop_assert_eq!((out, placing.bytes()), (0, 0));
        prop_assert_eq!(placing.next, Ordinal(grants.len() as u64));
    }

    /// What logs have in the journal is counted once, as little or as much.
    #[test]
    fn remnants_add_up(changes in prop::collection::vec((0usize..4, 0u64..200), 0..60)) {
        let mut remnants = Remnants::new(100);
        let mut helds: [Held; 4] = std::array::from_fn(|_| Held::default());
        for (log, bytes) in changes {
            remnants.change(&mut helds[log], bytes);
            let all = || helds.iter().map(Held::bytes);
            prop_assert_eq!(remnants.all(), all().sum::<u64>());
            prop_assert_eq!(remnants.bytes(), all().filter(|bytes| *bytes < 100).sum::<u64>());
            prop_assert_eq!(remnants.logs(), all().filter(|bytes| *bytes > 0).count() as u64);
        }
    }
}

#[test]
fn entries_are_found_by_ordinal_and_by_offset() {
    let mut tail = Tail::default();
    for ordinal in 5..9 {
        tail.push(entry(ordinal, 10));
    }
    let ordinals = |entries: std::collections::vec_deque::Iter<'_, TailEntry>| {
        entries.map(|e| e.meta.ordinal.0).collect::<Vec<_>>()
    };
    assert_eq!(ordinals(tail.entries(Ordinal(6), Ordinal(8))), [6, 7]);
    assert_eq!(ordinals(tail.entries(Ordinal(8), Ordinal(8))), [0; 0]);
    // Offset 13 is the second of entry 6.
    assert_eq!(ordinals(tail.at_offset(Offset(13))), [6, 7, 8]);
    assert_eq!(ordinals(tail.at_ordinal(Ordinal(7))), [7, 8]);
    assert_eq!(ordinals(tail.at_ordinal(Ordinal(12))), [0; 0], "given up");
    assert!(tail.reaches(Offset(10)) && !tail.reaches(Offset(9)));
    assert_eq!(tail.move_back(Ordinal(7), Ordinal(9), 0), Some(1));
}

#[test]
fn effects_come_once_and_in_sequence() {
    let mut effects = Effects::default();
    let advance = |log| Advance {
        log,
        next: (Ordinal(1), Offset(1)),
    };
    for seq in 1..4 {
        effects.add_moves(CommitSeq(seq), vec![advance(usize::try_from(seq).unwrap())]);
        effects.add_end(CommitSeq(seq), 0);
        effects.add_obsolete(CommitSeq(seq), FileName::Superblock);
    }
    let logs = |moves: Option<Vec<Advance>>| moves.map(|moves| moves[0].log);
    assert_eq!(
        logs(effects.durable_moves(CommitSeq(1))),
        None,
        "not durable yet"
    );
    assert_eq!(logs(effects.written_moves(CommitSeq(3))), Some(1));
    assert_eq!(logs(effects.written_moves(CommitSeq(3))), Some(2));
    assert_eq!(
        logs(effects.written_moves(CommitSeq(3))),
        None,
        "each is written once"
    );
    assert_eq!(logs(effects.durable_moves(CommitSeq(2))), Some(1));
    assert_eq!(logs(effects.durable_moves(CommitSeq(2))), None);
    assert_eq!(logs(effects.written_moves(CommitSeq(4))), Some(3));
    assert_eq!(effects.durable_end(CommitSeq(1)), None);
    assert_eq!(effects.durable_end(CommitSeq(2)), Some(0));
    assert_eq!(effects.durable_end(CommitSeq(2)), None);
    assert!(effects.durable_obsolete(CommitSeq(1)).is_none());
    assert!(effects.durable_obsolete(CommitSeq(4)).is_some());
}

#[test]
fn a_log_waits_for_a_commit_once() {
    let (mut lines, mut logs) = (Lines::default(), Logs::default());
    let [one, other, gone] = [1, 2, 3].map(|id| logs.insert(log(id)));
    lines.add_ready(one, &mut logs[one], Mono(5));
    lines.add_ready(one, &mut logs[one], Mono(6));
    lines.add_ready_first(other, &mut logs[other], Mono(7));
    assert_eq!((lines.ready(), lines.waits_since()), (2, Some(Mono(7))));
    let first = lines.next_ready(&logs).unwrap();
    assert_eq!(first, (other, Mono(7)));
    lines.put_back_ready(first);
    assert_eq!(lines.next_ready(&logs), Some(first));
    assert_eq!(lines.next_ready(&logs), Some((one, Mono(5))));
    lines.add_control(one, &mut logs[one]);
    lines.add_control(one, &mut logs[one]);
    // Who has left, or is no more, is passed over.
    for key in [other, gone] {
        lines.add_control(key, &mut logs[key]);
    }
    logs[other].lines.leave(Line::Control);
    logs.remove(gone);
    lines.put_back_control(one);
    assert_eq!(lines.next_control(&logs), Some(one));
    assert_eq!(lines.next_control(&logs), Some(one));
    assert_eq!(lines.next_control(&logs), None);
}

#[test]
fn entries_that_are_given_up_leave_nothing_behind() {
    let mut placing = Placing::from(Ordinal(3));
    placing.add(10, 100, Urgency::Commit);
    placing.way = Way::Bulk;
    assert_eq!((placing.inline_bytes(), placing.bytes()), (0, 10));
    assert_eq!(placing.give_up(), 100);
    assert_eq!(
        (placing.way, placing.bytes(), placing.give_up()),
        (Way::Inline, 0, 0)
    );
}

#[test]
fn runs_leave_below_a_floor_and_move_by_their_first_entry() {
    let mut held = Held::default();
    held.push(run(0, 3, 1));
    held.push(run(4, 6, 2));
    assert!(held.pop_below(Ordinal(3)).is_none(), "entry 3 is needed");
    assert!(held.pop_below(Ordinal(4)).is_some());
    held.moved(Ordinal(4), CommitSeq(9));
    assert_eq!(held.runs()[0].seq, CommitSeq(9));
    assert!(held.copy(CommitSeq(3)) && !held.copy(CommitSeq(5)));
    assert_eq!(held.copy_below(), Some(CommitSeq(5)));
    assert!(held.see(1) && !held.see(1) && held.see(2));
    assert_eq!(held.take().len(), 1);
    assert_eq!((held.is_empty(), held.copy_below()), (true, None));
}

#[test]
fn rescues_end_twice_round_the_ring_until_something_happens() {
    let mut reclaim = Reclaim::new(1000, 10);
    reclaim.spend_rescue(1000);
    assert!(reclaim.may_rescue());
    reclaim.spend_rescue(1000);
    assert!(!reclaim.may_rescue());
    reclaim.renew_rescues();
    assert!(reclaim.may_rescue());
    assert!(!reclaim.is_awaited());
    reclaim.refused(7);
    assert!(reclaim.is_awaited() && reclaim.refused_grant() == 7);
    reclaim.said();
    assert!(!reclaim.is_awaited());
}

#[test]
fn only_a_commit_with_records_wants_another_to_vouch_for_it() {
    let mut pace = Pace::new(Mono(0));
    assert!(
        !pace.wants_voucher() && !pace.is_vouched(),
        "none was issued"
    );
    pace.issued(false);
    assert!(pace.wants_voucher());
    pace.issued(true);
    assert!(!pace.wants_voucher() && pace.is_vouched());
    pace.done(Mono(9), Some(1_000_000));
    assert_eq!(
        (pace.last_at(), pace.parallel_at(Mono(0))),
        (Mono(9), Mono(150_000))
    );
}
