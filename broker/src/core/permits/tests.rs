use proptest::prelude::*;

use super::*;

const NOW: Mono = Mono(1);

fn conn(slot: u32) -> ConnId {
    ConnId {
        slot,
        generation: 0,
    }
}

#[test]
fn nobody_overtakes_who_waits() {
    let mut permits = Permits::new(100);
    assert!(permits.take(conn(1), 60, Lane::Whole, NOW));
    assert!(!permits.take(conn(2), 60, Lane::Whole, NOW));
    assert!(
        !permits.take(conn(3), 10, Lane::Whole, NOW),
        "3 must not overtake 2"
    );
    assert_eq!(permits.next(), None);
    permits.give_back(conn(1), 60, NOW);
    assert_eq!(permits.next(), Some(conn(2)));
    assert!(!permits.take(conn(3), 10, Lane::Whole, NOW));
    assert!(permits.take(conn(2), 60, Lane::Whole, NOW));
    assert!(permits.take(conn(3), 10, Lane::Whole, NOW));
    assert_eq!(permits.held(), 70);
}

#[test]
fn an_oversized_request_passes_alone() {
    let mut permits = Permits::new(100);
    assert!(permits.take(conn(1), 1, Lane::Whole, NOW));
    assert!(!permits.take(conn(2), 1000, Lane::Whole, NOW));
    permits.give_back(conn(1), 1, NOW);
    assert!(permits.take(conn(2), 1000, Lane::Whole, NOW));
    assert!(!permits.take(conn(3), 1, Lane::Whole, NOW));
    permits.leave(conn(3));
    permits.give_back(conn(2), 1000, NOW);
    assert_eq!(permits.held(), 0);
    assert_eq!(permits.next(), None);
}

#[test]
fn who_leaves_the_head_of_the_line_makes_way() {
    let mut permits = Permits::new(100);
    assert!(permits.take(conn(1), 60, Lane::Whole, NOW));
    assert!(!permits.take(conn(2), 60, Lane::Whole, NOW));
    assert!(!permits.take(conn(3), 10, Lane::Whole, NOW));
    permits.leave(conn(2));
    assert_eq!(permits.next(), Some(conn(3)));
}

#[test]
fn who_holds_more_than_its_share_is_passed_over_while_others_wait() {
    let mut permits = Permits::new(100);
    assert!(
        permits.take(conn(1), 55, Lane::Whole, NOW),
        "alone it may have all"
    );
    assert!(permits.take(conn(1), 40, Lane::Whole, NOW));
    assert!(!permits.take(conn(1), 40, Lane::Whole, NOW));
    assert!(!permits.take(conn(2), 40, Lane::Whole, NOW));
    permits.give_back(conn(1), 40, NOW);
    assert_eq!(permits.next(), Some(conn(2)));
    assert!(permits.take(conn(2), 40, Lane::Whole, NOW));
    permits.give_back(conn(1), 55, NOW);
    assert_eq!(permits.next(), Some(conn(1)));
}

/// Of a body that is so long.
fn lane(whole: usize) -> Lane {
    Lane::Body { whole }
}

fn begin(permits: &mut Permits, slot: u32, bytes: usize) -> bool {
    let taken = permits.take(conn(slot), bytes, lane(bytes), NOW);
    if taken {
        permits.begin_body(conn(slot), bytes, bytes);
    }
    taken
}

fn finish(permits: &mut Permits, slot: u32, held: usize) {
    permits.finish_body(conn(slot), held as u64);
    permits.give_back(conn(slot), held, NOW);
}

/// The connection has sent a body to its end that was long enough to prove itself.
fn prove(permits: &mut Permits, slot: u32) {
    assert!(begin(permits, slot, 1));
    permits.finish_body(conn(slot), PROOF);
    permits.give_back(conn(slot), 1, NOW);
}

/// Connections that have proved themselves, send bodies and hold so much of them.
fn bodies<const N: usize>(held: [usize; N]) -> Permits {
    let mut permits = Permits::new(100);
    for (slot, bytes) in (1..).zip(held) {
        prove(&mut permits, slot);
        assert!(begin(&mut permits, slot, bytes));
    }
    permits
}

#[test]
fn strangers_hold_half_of_what_bodies_may_hold() {
    for trusted in [false, true] {
        let mut permits = Permits::new(100);
        prove(&mut permits, 9);
        if trusted {
            (1..4).for_each(|slot| permits.trust(conn(slot)));
        }
        assert!(begin(&mut permits, 1, 20) && begin(&mut permits, 2, 15));
        assert_eq!(begin(&mut permits, 3, 30), trusted, "their half is 37");
        assert_eq!(
            begin(&mut permits, 9, 37),
            !trusted,
            "the rule is off, or who has proved itself has the other half"
        );
        if !trusted {
            assert!(!permits.take(conn(1), 20, lane(20), NOW));
            finish(&mut permits, 2, 15);
            assert_eq!(
                permits.next(),
                None,
                "1 is the eldest, and the lane is full"
            );
            finish(&mut permits, 9, 37);
            assert_eq!(permits.next(), Some(conn(1)));
        }
        assert!(permits.is_live());
    }
}

#[test]
fn the_eldest_stranger_passes_their_half_where_nobody_proven_waits() {
    let mut permits = Permits::new(100);
    prove(&mut permits, 9);
    assert!(
        begin(&mut permits, 1, 30),
        "it may become longer than that half"
    );
    assert!(!begin(&mut permits, 2, 20));
    assert!(permits.take(conn(1), 40, lane(40), NOW));
    assert!(!begin(&mut permits, 9, 20), "the lane is full");
    assert!(
        permits.take(conn(1), 20, lane(20), NOW),
        "else all would wait for each other"
    );
    finish(&mut permits, 1, 90);
    assert!(begin(&mut permits, 2, 20) && begin(&mut permits, 9, 20));
}

#[test]
fn a_body_begins_where_it_can_go_on_and_then_does_not_wait() {
    let mut permits = Permits::new(100);
    (1..20).for_each(|slot| permits.trust(conn(slot)));
    assert_eq!((permits.promise(50), permits.promise(3)), (4, 3));
    for slot in 1..19 {
        assert!(permits.take(conn(slot), 1, lane(50), NOW));
        permits.begin_body(conn(slot), 1, 50);
    }
    assert_eq!(permits.held(), 18);
    let beyond = permits.take(conn(19), 1, lane(50), NOW);
    assert!(!beyond, "18 x 4 bytes are promised");
    for slot in 1..19 {
        assert!(
            permits.take(conn(slot), 3, lane(50), NOW),
            "that was promised"
        );
    }
    assert!(!permits.take(conn(2), 4, lane(50), NOW), "and no more");
    assert!(permits.take(conn(20), 28, Lane::Whole, NOW));
    finish(&mut permits, 1, 4);
    assert_eq!(permits.next(), Some(conn(2)), "it has begun");
    permits.leave(conn(2));
    permits.give_back(conn(2), 4, NOW);
    assert_eq!(permits.next(), Some(conn(19)));
}

#[test]
fn who_has_sent_enough_has_proved_itself_and_not_before() {
    let mut permits = Permits::new(100);
    let standing = |permits: &mut Permits| permits.account(conn(1)).standing();
    let send = |permits: &mut Permits, proves| {
        assert!(permits.take(conn(1), 1, lane(1), NOW));
        permits.begin_body(conn(1), 1, 1);
        permits.finish_body(conn(1), proves);
        // What stands in line to be read may come to its end more than once.
        permits.finish_body(conn(1), proves);
        permits.give_back(conn(1), 1, NOW);
    };
    send(&mut permits, PROOF - 1);
    send(&mut permits, 0);
    assert_eq!(standing(&mut permits), Standing::Stranger);
    send(&mut permits, 1);
    assert_eq!(standing(&mut permits), Standing::Proven);
}

#[test]
fn of_bodies_that_hold_everything_the_eldest_goes_on() {
    let mut permits = bodies([35, 40]);
    assert!(!permits.take(conn(3), 30, Lane::Whole, NOW));
    assert!(!permits.take(conn(2), 50, lane(50), NOW));
    assert!(
        permits.take(conn(1), 50, lane(50), NOW),
        "else they would wait for each other"
    );
    permits.end_body(conn(1));
    assert_eq!(permits.next(), None, "no second one passes the budget");
    assert!(permits.is_live());
    permits.give_back(conn(1), 85, NOW);
    assert_eq!(permits.next(), Some(conn(2)), "it began before 3 came");
}

#[test]
fn bodies_keep_no_whole_request_out() {
    let mut permits = bodies([25, 25, 25]);
    assert!(
        !permits.take(conn(4), 20, lane(20), NOW),
        "their lane is full"
    );
    assert!(permits.take(conn(5), 20, Lane::Whole, NOW));
    assert!(
        !permits.take(conn(6), 20, Lane::Whole, NOW),
        "a quarter is kept, no more"
    );
    permits.give_back(conn(5), 20, NOW);
    assert_eq!(permits.next(), Some(conn(6)));
}

#[test]
fn a_large_body_is_not_starved_by_small_requests() {
    let mut permits = bodies([60]);
    assert!(permits.take(conn(2), 40, Lane::Whole, NOW));
    assert!(!permits.take(conn(1), 60, lane(60), NOW));
    assert!(!permits.take(conn(3), 20, Lane::Whole, NOW));
    permits.give_back(conn(2), 20, NOW);
    assert_eq!(
        permits.next(),
        Some(conn(1)),
        "3 takes nothing of what it waits for"
    );
}

const MS: u64 = 1_000_000;

/// How long the connection's body may stand still now, milliseconds.
fn patience(permits: &Permits, slot: u32) -> Option<u64> {
    let patience = permits.patience_with(conn(slot));
    patience.map(|patience| patience / MS)
}

#[test]
fn the_more_wait_the_less_may_a_body_stand_still() {
    let mut permits = bodies([35, 35]);
    assert_eq!(patience(&permits, 1), None, "nobody waits");
    (3..300).for_each(|slot| permits.trust(conn(slot)));
    let mut seen = Vec::new();
    for slot in 3..300 {
        assert!(!begin(&mut permits, slot, 20));
        seen.push(patience(&permits, 1).expect("others wait"));
        assert_eq!(patience(&permits, 2).as_ref(), seen.last());
    }
    assert_eq!((seen[0], seen[39], seen[296]), (250, 100, 13));
    assert!(seen.is_sorted_by(|a, b| a >= b));
    // What waits itself does not stand, so that fewer are to make room.
    assert!(!permits.take(conn(2), 50, lane(50), NOW));
    assert_eq!(patience(&permits, 1), Some(10));
}

#[test]
fn as_many_are_closed_as_those_want_that_wait() {
    let mut permits = bodies([20, 20, 30]);
    prove(&mut permits, 4);
    assert!(!permits.take(conn(4), 20, lane(20), NOW));
    let all: Vec<ConnId> = permits.review(NOW).map(|(conn, _)| conn).collect();
    assert_eq!(all, [conn(1), conn(2), conn(3)], "the eldest first");
    permits.step_out(conn(1));
    assert_eq!(patience(&permits, 2), None, "what it holds is on its way");
    assert_eq!(permits.review(NOW).count(), 0);
    assert!(permits.review_due().is_some(), "somebody waits yet");
    permits.leave(conn(1));
    permits.give_back(conn(1), 20, NOW);
    assert!(permits.take(conn(4), 20, lane(20), NOW));
    assert_eq!(permits.review_due(), None);
}

#[test]
fn strangers_wait_for_strangers_and_who_has_proved_itself_for_none_that_stands() {
    let mut permits = bodies([35]);
    assert!(begin(&mut permits, 2, 30) && !begin(&mut permits, 3, 20));
    assert_eq!(patience(&permits, 2), Some(250));
    assert_eq!(patience(&permits, 1), None, "they have their half");
    permits.trust(conn(4));
    assert!(!begin(&mut permits, 4, 20));
    assert_eq!(
        patience(&permits, 2),
        Some(10),
        "one waits that has proved itself"
    );
    assert_eq!(patience(&permits, 1), Some(250));
    // What arrived whole and is longer than what is kept for such waits for bodies, too.
    let mut permits = bodies([35, 30]);
    assert!(!permits.take(conn(3), 40, Lane::Whole, NOW));
    assert_eq!(patience(&permits, 1), Some(250));
}

#[test]
fn standing_still_is_noticed() {
    let mut permits = Permits::new(100);
    assert!(permits.take(conn(1), 100, Lane::Whole, Mono(1)));
    assert_eq!(permits.still_since(), None);
    assert!(!permits.take(conn(2), 10, Lane::Whole, Mono(2)));
    assert!(!permits.take(conn(3), 10, Lane::Whole, Mono(3)));
    assert_eq!(permits.still_since(), Some(Mono(2)));
    permits.give_back(conn(1), 50, Mono(4));
    assert_eq!(permits.still_since(), Some(Mono(4)));
    permits.give_back(conn(1), 50, Mono(4));
    assert!(permits.take(conn(2), 10, Lane::Whole, Mono(4)));
    assert_eq!(permits.still_since(), Some(Mono(4)));
    assert!(permits.take(conn(3), 10, Lane::Whole, Mono(5)));
    assert_eq!(permits.still_since(), None);
}

/// What happens to one of a few connections.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It sends a request, or the next piece of its body.
    Sends(u32, usize),
    /// It sends the beginning of a body.
    Begins(u32, usize),
    /// Its body is complete.
    Completes(u32),
    /// Its oldest request is answered.
    Answered(u32),
    /// It is closed, and then gone.
    Ends(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..5u8, 0..6u32, 1..90usize).prop_map(|(what, slot, bytes)| match what {
        0 => Step::Sends(slot, bytes),
        1 => Step::Begins(slot, bytes),
        2 => Step::Completes(slot),
        3 => Step::Answered(slot),
        _ => Step::Ends(slot),
    });
    proptest::collection::vec(step, 1..200)
}

/// One connection as its core sees it.
#[derive(Clone, Default)]
struct Peer {
    generation: u32,
    /// Waits with so many bytes; whether they begin a body.
    wants: Option<(usize, bool)>,
    body: Option<usize>,
    requests: Vec<usize>,
}

struct Core {
    permits: Permits,
    peers: Vec<Peer>,
    /// Of connections that are gone.
    late: Vec<(ConnId, usize)>,
}

impl Core {
    fn id(&self, slot: u32) -> ConnId {
        let generation = self.peers[slot as usize].generation;
        ConnId { slot, generation }
    }

    fn try_to_take(&mut self, slot: u32, bytes: usize, begins: bool) {
        let id = self.id(slot);
        let lane = match begins {
            true => lane(2 * bytes),
            false => Lane::Whole,
        };
        let granted = self.permits.take(id, bytes, lane, NOW);
        let peer = &mut self.peers[slot as usize];
        peer.wants = (!granted).then_some((bytes, begins));
        match &mut peer.body {
            _ if !granted => {}
            Some(body) => *body += bytes,
            None if begins => {
                peer.body = Some(bytes);
                self.permits.begin_body(id, bytes, 2 * bytes);
            }
            None => peer.requests.push(bytes),
        }
    }

    fn step(&mut self, step: Step) {
        let (Step::Sends(slot, _)
        | Step::Begins(slot, _)
        | Step::Completes(slot)
        | Step::Answered(slot)
        | Step::Ends(slot)) = step;
        let (id, peer) = (self.id(slot), self.peers[slot as usize].clone());
        match step {
            Step::Sends(_, bytes) if peer.wants.is_none() => self.try_to_take(slot, bytes, false),
            Step::Begins(_, bytes) if peer.wants.is_none() && peer.body.is_none() => {
                self.try_to_take(slot, bytes, true);
            }
            Step::Completes(_) if peer.wants.is_none() => {
                if let Some(body) = self.peers[slot as usize].body.take() {
                    // Some prove themselves soon.
                    self.permits.finish_body(id, body as u64 * PROOF / 64);
                    self.peers[slot as usize].requests.push(body);
                }
            }
            Step::Answered(_) => {
                if let Some((id, bytes)) = self.late.pop() {
                    self.permits.give_back(id, bytes, NOW);
                } else if !peer.requests.is_empty() {
                    let bytes = self.peers[slot as usize].requests.remove(0);
                    self.permits.give_back(id, bytes, NOW);
                }
            }
            Step::Ends(_) => {
                self.permits.leave(id);
                if let Some(body) = peer.body {
                    self.permits.give_back(id, body, NOW);
                }
                self.late
                    .extend(peer.requests.iter().map(|bytes| (id, *bytes)));
                self.peers[slot as usize] = Peer {
                    generation: peer.generation + 1,
                    ..Peer::default()
                };
            }
            _ => {}
        }
    }

    /// As a core does after everything that it handled.
    fn serve(&mut self) {
        while let Some(id) = self.permits.next() {
            let (bytes, begins) = self.peers[id.slot as usize].wants.expect("it waits");
            self.try_to_take(id.slot, bytes, begins);
            assert!(
                self.peers[id.slot as usize].wants.is_none(),
                "who is next gets it"
            );
        }
    }
}

#[test]
fn who_is_to_be_served_is_due_at_once_when_one_leaves() {
    let mut permits = Permits::new(100);
    assert!(permits.take(conn(1), 100, Lane::Whole, NOW));
    assert!(!permits.take(conn(2), 50, Lane::Whole, NOW));
    assert_eq!(permits.due_since(), None, "nothing can be done for it");
    permits.leave(conn(1));
    permits.give_back(conn(1), 100, NOW);
    // The core asks to be called from now on, should it not serve: nobody is forgotten.
    assert_eq!(
        (permits.next(), permits.due_since()),
        (Some(conn(2)), Some(NOW))
    );
    assert!(permits.take(conn(2), 50, Lane::Whole, NOW));
    assert_eq!(permits.due_since(), None);
}

proptest! {
    #[test]
    fn who_waits_waits_for_something(steps in steps()) {
        let mut core = Core {
            permits: Permits::new(100),
            peers: vec![Peer::default(); 6],
            late: Vec::new(),
        };
        for step in steps {
            core.step(step);
            core.serve();
            prop_assert!(core.permits.is_live(), "{step:?}: {:?}", core.permits);
            // Everything under way ends at last, and then nobody waits.
            prop_assert!(core.permits.is_contended() == core.peers.iter().any(|p| p.wants.is_some()));
        }
        for _ in 0..1000 {
            for slot in 0..6 {
                core.step(Step::Completes(slot));
                core.serve();
                core.step(Step::Answered(slot));
                core.serve();
            }
        }
        prop_assert!(!core.permits.is_contended());
        prop_assert_eq!(core.permits.held(), 0);
        prop_assert_eq!(core.permits.active, 0);
    }
}
