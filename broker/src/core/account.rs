//! What answers take in memory, as numbers: what is held, what is being read, and what may be read.
//!
//! The records of an answer are read only against memory that was set aside for them, and what was set
//! aside counts like what is held, until the answer takes its place. So, whoever asks however much at
//! once,
//!
//! `held + set aside <= budget + what one lone read comes to beyond what is left`
//!
//! as far as records go; other answers are put together whole, and bounded where requests are.
//!
//! No read gets all that is left: it gets an [eighth](SHARE) of it. There are two groups of peers: those that have
//! shown that they [take](Standing) as much as they ask for, and the others. Each group has three quarters of the
//! budget at most. A peer that finds nothing left stands in line. A lone read may be longer than what is left, as
//! long as much is left: a batch comes whole.
//!
//! A peer is trusted with an [eighth](credit) of what it has taken from us so far. While a quarter of the budget is
//! taken, or somebody waits, it [has](Account::trusts) no more unread answers than that, or a small allowance at
//! first. So a peer that stops reading holds an eighth of what it has read, at most: to hold a large part of the
//! budget, a peer has to read for long before.
//!
//! Fetches that [wait](Weight::kept) keep some memory, too. Readers give way to it only up to
//! [half](Account::kept_share) of the budget: beyond that the waiting fetches are [answered](super::unread) before
//! their time.
//!
//! Nobody stands in line for a [short](Need::is_short) read while its connection has nothing unread: an eighth of the
//! budget is kept beside the rest for those. So a reader that follows the end of a quiet partition gets on, whatever
//! others leave unread.

use std::collections::VecDeque;

use super::boundary::ConnId;
use super::spread::Need;

/// What a kernel takes at most for a peer that reads nothing, bytes (`net.ipv4.tcp_wmem`).
const KERNEL: u64 = 4 << 20;
/// A peer is trusted with what it has taken beyond that, by this divisor.
const TRUST: u64 = 8;
/// What a connection may have at first beside [`LEAST`], as a divisor of what it may have in the best case: room
/// for a long batch, by default.
const FIRST: usize = 8;
/// The share of what is left that one read may come to, as a divisor.
const SHARE: usize = 8;
/// What one read is for in any case, bytes, where that is left.
const LEAST: usize = 64 << 10;

impl Need {
    /// Whether it is for no more than one read is in any case.
    pub(super) fn is_short(self) -> bool {
        self.bytes.max(self.whole) <= LEAST
    }
}

/// Whether a peer has shown that it takes its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has, or would have, more unread than it is trusted with.
    #[default]
    Unknown,
    Takes,
}

impl Standing {
    pub(super) const ALL: [Self; 2] = [Self::Takes, Self::Unknown];
}

/// Bytes that a peer is trusted to take that was sent so many before.
fn credit(sent: u64) -> usize {
    let bytes = sent.saturating_sub(KERNEL) / TRUST;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Memory that those who wait for it lack, bytes: of what those of each standing may have, and of all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shortage {
    takes: usize,
    unknown: usize,
    all: usize,
}

impl Shortage {
    fn part_mut(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::Takes => &mut self.takes,
            Standing::Unknown => &mut self.unknown,
        }
    }

    /// Whether it becomes less if a connection of that standing goes that has so much; it is less from then on.
    pub(super) fn is_eased(&mut self, (standing, weight): (Standing, Weight)) -> bool {
        let part = self.part_mut(standing);
        let eased = *part > 0;
        *part = part.saturating_sub(weight.all);
        let eased = eased || self.all > 0;
        if eased {
            self.all = self.all.saturating_sub(weight.all);
        }
        eased
    }
}

/// What a read may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// Bytes that it is for.
    pub(super) bytes: usize,
    /// Bytes that are set aside: a first batch may be longer.
    pub(super) aside: usize,
}

/// What the answers of peers of one standing take.
#[derive(Clone, Debug, Default)]
struct Part {
    /// Bytes held and set aside.
    all: usize,
    /// Bytes set aside.
    aside: usize,
    /// Who waits for memory to read.
    line: VecDeque<ConnId>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Account {
    budget: usize,
    /// What a connection may have at first.
    first: usize,
    takes: Part,
    unknown: Part,
    /// Bytes that waiting fetches keep.
    kept: usize,
    /// Whose turn it is just now.
    pub(super) turn: Option<ConnId>,
}

impl Account {
    /// With so many bytes for all, and for one connection in the best case.
    pub(super) fn new(budget: usize, most: usize) -> Self {
        Self {
            budget,
            first: most / FIRST + LEAST,
            takes: Part::default(),
            unknown: Part::default(),
            kept: 0,
            turn: None,
        }
    }

    /// Bytes that may be held and set aside.
    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    /// Bytes held, set aside, and kept by waiting fetches.
    pub(super) fn total(&self) -> usize {
        self.takes.all + self.unknown.all + self.kept
    }

    /// The same, as far as it stands in the way of those that read.
    fn in_the_way(&self) -> usize {
        self.takes.all + self.unknown.all + self.kept.min(self.kept_share())
    }

    /// What waiting fetches of all connections may keep together.
    fn kept_share(&self) -> usize {
        self.budget / 2
    }

    /// What they keep beyond that, bytes.
    pub(super) fn kept_too_much(&self) -> usize {
        self.kept.saturating_sub(self.kept_share())
    }

    /// Bytes set aside.
    pub(super) fn aside(&self) -> usize {
        self.takes.aside + self.unknown.aside
    }

    fn part(&self, standing: Standing) -> &Part {
        match standing {
            Standing::Takes => &self.takes,
            Standing::Unknown => &self.unknown,
        }
    }

    fn part_mut(&mut self, standing: Standing) -> &mut Part {
        match standing {
            Standing::Takes => &mut self.takes,
            Standing::Unknown => &mut self.unknown,
        }
    }

    /// How a peer stands that was sent so many bytes, and has so many that it has not taken.
    pub(super) fn standing(&self, sent: u64, unread: usize) -> Standing {
        match credit(sent) >= self.first.max(unread) {
            true => Standing::Takes,
            false => Standing::Unknown,
        }
    }

    /// Bytes that a connection may have now whose peer was sent so many before.
    pub(super) fn trusts(&self, sent: u64) -> usize {
        match self.in_the_way() <= self.budget / 4 && self.line_is_empty() {
            true => usize::MAX,
            false => credit(sent).max(self.first),
        }
    }

    /// How many times as long as others a peer is borne with that was sent so many bytes and does not take those
    /// that it has.
    pub(super) fn patience(sent: u64, unread: usize) -> u64 {
        (credit(sent) / unread.max(1)).clamp(1, 3) as u64
    }

    /// What is lacking if those in line want to read so much, in the order of [`Standing::ALL`].
    pub(super) fn shortage(&self, wants: [usize; 2]) -> Shortage {
        let mut shortage = Shortage::default();
        let mut total = self.in_the_way();
        for (standing, want) in Standing::ALL.into_iter().zip(wants) {
            // More is read in turns; and who is alone with a long batch needs no more.
            let want = want.min(self.budget / 2);
            let part = self.part(standing).all.saturating_add(want);
            *shortage.part_mut(standing) = match want {
                0 => 0,
                _ => part.saturating_sub(self.most()),
            };
            total = total.saturating_add(want);
        }
        shortage.all = total.saturating_sub(self.budget);
        shortage
    }

    /// What those of one standing may hold.
    fn most(&self) -> usize {
        self.budget - self.budget / 4
    }

    fn left(&self, standing: Standing) -> usize {
        let own = self.most().saturating_sub(self.part(standing).all);
        own.min(self.budget.saturating_sub(self.in_the_way()))
    }

    /// What a read may come to of a connection that may have so many bytes beside what it has; `None`
    /// if it has to wait for others.
    pub(super) fn grant(&self, standing: Standing, need: Need, room: usize) -> Option<Grant> {
        let left = self.left(standing);
        let bytes = need.bytes.min(room).min((left / SHARE).max(LEAST)).max(1);
        let aside = bytes.max(need.whole);
        let part = self.part(standing);
        // Of so much as may be set aside, only some may be read at a time: the rest is for later.
        let fits = aside <= left && part.aside + aside <= self.budget / 4;
        let alone =
            part.aside == 0 && part.all <= self.most() / 2 && self.in_the_way() <= self.budget;
        (fits || alone).then_some(Grant { bytes, aside })
    }

    /// What a short read may come to of a connection that has nothing, however many wait for others.
    pub(super) fn grant_short(&self, need: Need) -> Option<Grant> {
        let aside = need.bytes.max(need.whole);
        let fits = self.in_the_way() + aside <= self.budget + self.budget / 8;
        (need.is_short() && fits).then_some(Grant {
            bytes: need.bytes,
            aside,
        })
    }

    /// A connection has so much, of which so much is set aside; before it had and was `before`.
    pub(super) fn change(&mut self, before: (Standing, Weight), after: (Standing, Weight)) {
        let (standing, weight) = before;
        let part = self.part_mut(standing);
        part.all -= weight.all;
        part.aside -= weight.aside;
        self.kept -= weight.kept;
        let (standing, weight) = after;
        let part = self.part_mut(standing);
        part.all += weight.all;
        part.aside += weight.aside;
        self.kept += weight.kept;
    }

    /// Whether nobody waits.
    pub(super) fn line_is_empty(&self) -> bool {
        self.takes.line.is_empty() && self.unknown.line.is_empty()
    }

    pub(super) fn line(&mut self, standing: Standing) -> &mut VecDeque<ConnId> {
        &mut self.part_mut(standing).line
    }

    /// Those in line.
    pub(super) fn waiting(&self, standing: Standing) -> impl Iterator<Item = ConnId> {
        self.part(standing).line.iter().copied()
    }
}

/// What one connection has, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// Held and set aside.
    pub(super) all: usize,
    /// Of that, set aside.
    pub(super) aside: usize,
    /// What its waiting fetches keep beside that.
    pub(super) kept: usize,
}

impl Weight {
    /// All that it has.
    pub(super) fn total(self) -> usize {
        self.all + self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;
    const BUDGET: usize = 256 * MIB;
    const ROOM: usize = 8 * MIB;
    /// A reader of whatever there is, whose batches may be long.
    const ALL: Need = Need {
        bytes: 50 * MIB,
        whole: MIB,
    };

    fn with(all: usize, aside: usize) -> Weight {
        Weight {
            all,
            aside,
            kept: 0,
        }
    }

    /// Readers that take nothing ask all at once, and their reads end one by one, each with all that
    /// was granted: the most that is held and set aside meanwhile, and how many have read.
    fn burst(
        readers: usize,
        standing: Standing,
        grant: impl Fn(&Account, usize) -> Option<Grant>,
    ) -> (usize, usize) {
        let mut account = Account::new(BUDGET, ROOM);
        let (mut most, mut read, mut under_way) = (0, 0, VecDeque::new());
        for asked in 0..readers {
            let Some(grant) = grant(&account, asked) else {
                // Some read ends.
                if let Some(aside) = under_way.pop_front() {
                    let before = (standing, with(aside, aside));
                    account.change(before, (standing, with(aside, 0)));
                }
                continue;
            };
            let none = (standing, Weight::default());
            account.change(none, (standing, with(grant.aside, grant.aside)));
            under_way.push_back(grant.aside);
            read += 1;
            most = most.max(account.total());
        }
        (most, read)
    }

    #[test]
    fn a_burst_stays_within_the_budget_and_leaves_room_for_those_that_take() {
        for standing in Standing::ALL {
            let (most, read) = burst(3000, standing, |account, _| {
                account.grant(standing, ALL, ROOM)
            });
            assert!(most <= BUDGET - BUDGET / 4, "{most}");
            assert!(read > 30, "{read}");
        }
        // The rule before: each has its share of what is left among those under way, when it begins.
        let (most, read) = burst(1000, Standing::Unknown, |account, asked| {
            let share = account.budget() / (asked + 1);
            let bytes = share.clamp(LEAST, ROOM);
            Some(Grant {
                bytes,
                aside: bytes,
            })
        });
        assert!(most > 4 * BUDGET && read == 1000, "{most}");
    }

    #[test]
    fn those_that_take_their_answers_read_beside_those_that_hold_all_they_may() {
        let mut account = Account::new(BUDGET, ROOM);
        let none = Weight::default();
        let unknown = with(BUDGET - BUDGET / 4, 0);
        let of = |weight| (Standing::Unknown, weight);
        account.change(of(none), of(unknown));
        assert_eq!(account.grant(Standing::Unknown, ALL, ROOM), None);
        let grant = account.grant(Standing::Takes, ALL, ROOM);
        assert_eq!(grant.map(|grant| grant.bytes), Some(ROOM));
        account.change(of(unknown), of(none));
        assert!(account.grant(Standing::Unknown, ALL, ROOM).is_some());
    }

    #[test]
    fn one_read_at_a_time_may_be_longer_than_what_is_left() {
        let mut account = Account::new(MIB, MIB);
        let long = Need {
            bytes: 100 * MIB,
            whole: 100 * MIB,
        };
        let grant = account.grant(Standing::Unknown, long, ROOM);
        let aside = grant.expect("nothing else is being read").aside;
        assert_eq!(aside, 100 * MIB);
        let of = |all, aside| (Standing::Unknown, with(all, aside));
        account.change(of(0, 0), of(aside, aside));
        assert_eq!(account.grant(Standing::Unknown, long, ROOM), None);
        assert_eq!(account.grant(Standing::Takes, ALL, ROOM), None);
        account.change(of(aside, aside), of(1000, 0));
        assert!(account.grant(Standing::Unknown, long, ROOM).is_some());
    }

    #[test]
    fn what_is_short_is_read_beside_all_that_waits_up_to_a_bound() {
        let mut account = Account::new(BUDGET, ROOM);
        let of = |all| (Standing::Unknown, with(all, 0));
        let short = Need {
            bytes: 100,
            whole: LEAST,
        };
        account.change(of(0), of(BUDGET));
        assert_eq!(account.grant(Standing::Unknown, short, ROOM), None);
        assert!(account.grant_short(short).is_some());
        assert_eq!(account.grant_short(ALL), None);
        account.change(of(BUDGET), of(BUDGET + BUDGET / 8));
        assert_eq!(account.grant_short(short), None);
    }

    #[test]
    fn a_peer_is_trusted_with_an_eighth_of_what_it_has_taken() {
        let mut account = Account::new(BUDGET, ROOM);
        let none = Weight::default();
        assert_eq!(account.trusts(0), usize::MAX, "nobody needs the memory");
        account.change(
            (Standing::Unknown, none),
            (Standing::Unknown, with(BUDGET / 2, 0)),
        );
        let mib = |bytes: u64| bytes << 20;
        let first = MIB + LEAST;
        for (sent, trusted) in [
            (0, first),
            (mib(5), first),
            (mib(13), 9 * MIB / 8),
            (mib(36), 4 * MIB),
        ] {
            assert_eq!(account.trusts(sent), trusted, "{sent}");
        }
        let standing = |sent, unread| account.standing(sent, unread);
        assert_eq!(standing(mib(5), 0), Standing::Unknown);
        assert_eq!(standing(mib(13), MIB), Standing::Takes);
        assert_eq!(standing(mib(13), 2 * MIB), Standing::Unknown);
        assert_eq!(standing(mib(36), 4 * MIB), Standing::Takes);
        let patience = [0, 8, 12, 20, 400].map(|sent| Account::patience(mib(sent), MIB));
        assert_eq!(patience, [1, 1, 1, 2, 3]);
    }

    #[test]
    fn who_gives_way_is_of_use_to_those_that_wait() {
        let mut account = Account::new(BUDGET, ROOM);
        let none = Weight::default();
        let most = with(BUDGET / 4 * 3, 0);
        account.change((Standing::Unknown, none), (Standing::Unknown, most));
        let mut shortage = account.shortage([0, MIB]);
        assert!(!shortage.is_eased((Standing::Takes, with(MIB, 0))));
        assert!(shortage.is_eased((Standing::Unknown, with(MIB / 2, 0))));
        assert!(shortage.is_eased((Standing::Unknown, with(MIB, 0))));
        assert!(!shortage.is_eased((Standing::Unknown, with(MIB, 0))));
        // Those that take find a quarter free, and need nobody's.
        let mut shortage = account.shortage([MIB, 0]);
        assert!(!shortage.is_eased((Standing::Unknown, with(MIB, 0))));
        account.change(
            (Standing::Takes, none),
            (Standing::Takes, with(BUDGET / 4, 0)),
        );
        let mut shortage = account.shortage([MIB, 0]);
        assert!(shortage.is_eased((Standing::Unknown, with(2 * MIB, 0))));
        assert!(!shortage.is_eased((Standing::Takes, with(MIB, 0))));
    }

    #[test]
    fn however_much_waiting_fetches_keep_others_read_with_half_of_the_budget() {
        let mut account = Account::new(BUDGET, ROOM);
        let of = |kept| {
            let none = Weight::default();
            (Standing::Unknown, Weight { kept, ..none })
        };
        account.change(of(0), of(3 * BUDGET));
        assert_eq!(account.total(), 3 * BUDGET);
        assert_eq!(account.kept_too_much(), 3 * BUDGET - BUDGET / 2);
        for standing in Standing::ALL {
            let grant = account.grant(standing, ALL, ROOM);
            assert_eq!(grant.map(|grant| grant.bytes), Some(ROOM));
        }
        account.change(of(3 * BUDGET), of(0));
        assert_eq!(account.total(), 0);
    }

    #[test]
    fn who_wants_little_is_granted_no_more() {
        let account = Account::new(BUDGET, ROOM);
        let little = Need {
            bytes: 100,
            whole: 100,
        };
        let grant = account.grant(Standing::Unknown, little, ROOM);
        assert_eq!(
            grant,
            Some(Grant {
                bytes: 100,
                aside: 100
            })
        );
        let grant = account.grant(Standing::Unknown, ALL, 10);
        assert_eq!(
            grant,
            Some(Grant {
                bytes: 10,
                aside: MIB
            })
        );
    }
}
