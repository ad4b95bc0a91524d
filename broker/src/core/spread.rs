//! A fetch over the cores that own its partitions, for every protocol: what is asked of whom, and
//! how the bounds of the whole request are kept.
//!
//! One core that owns all of it keeps them by itself, and reads at once what there is. Where that is
//! nothing, or several cores have a part, they count first and read
//! nothing, until there is enough for the whole request or its time is over. Then each partition,
//! in the order of the request, is granted what it may read: in parallel as far as the counts
//! together fit, and what was granted and not used goes to those behind. So no more leaves than
//! was asked for, and nothing is read that does not leave: if a core brings more all the same, the surplus
//! is thrown away, and counted.
//!
//! Nothing is read before the caller has [memory](super::reading) for it, and a fetch that waits for records
//! holds none.

use leveret_engine::shard::{FetchPartition, FetchSpec, FetchWork, FetchedPartition};
use leveret_storage::types::{CoreId, Mono};

/// Partitions that a core is asked for at a time. What a fetch asks for beyond that is asked for as if
/// another core owned it, so that no core does the work of thousands at once.
pub(super) const MOST: usize = 512;

/// Bounds of a whole fetch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of all partitions together.
    pub(super) max_bytes: usize,
    /// Bytes to wait for.
    pub(super) min_bytes: usize,
    /// Nanoseconds to wait at most.
    pub(super) max_wait: u64,
}

/// One partition that is asked for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// Its line in the answer.
    line: usize,
    owner: CoreId,
    partition: FetchPartition,
    /// Bytes that there are, as far as its own bound.
    counted: usize,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Nothing was asked for.
    New,
    /// One core has all of it and reads what there is, of which so many bytes have come.
    AtOnce { got: usize },
    /// What there is is being counted.
    Counting,
    /// Shares are being read: those from `next` on are not granted yet, and so many bytes are
    /// `left` for them. Only the first batch of `first` may be longer than that.
    Reading {
        first: Option<usize>,
        next: usize,
        left: usize,
    },
    /// No more is asked for.
    Over,
}

/// What a fetch does next.
#[derive(Debug)]
pub(super) enum Next {
    /// These are asked.
    Ask(Vec<Ask>),
    /// It reads what there is, once there is memory for that: see [`Spread::read`].
    Read(Need),
    /// Nothing: it is complete.
    Nothing,
}

/// What may come to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// Bytes, but for a longer first batch. With fewer it brings less.
    pub(super) bytes: usize,
    /// Bytes of the first batch, which comes whole.
    pub(super) whole: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Spread {
    wanted: Vec<Wanted>,
    bounds: Bounds,
    deadline: Mono,
    stage: Stage,
    /// Longest batch, bytes.
    longest: usize,
    /// Whatever there is leaves without waiting: a partition has an error.
    hurried: bool,
    /// For each part that was asked for, which of `wanted` it answers.
    parts: Vec<Vec<usize>>,
    /// The simulator breaks the rule that all shares together are bounded.
    limit_per_core: bool,
}

/// What a part that has arrived comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// The other parts need not wait any longer.
    pub(super) enough: bool,
    /// Bytes that were read and are not given on.
    pub(super) thrown_away: usize,
}

/// What one core is asked next.
pub(super) type Ask = (CoreId, FetchSpec);

impl Spread {
    /// A fetch that asks for nothing yet.
    pub(super) fn new(bounds: Bounds, now: Mono) -> Self {
        Self {
            wanted: Vec::new(),
            bounds,
            deadline: now.after(bounds.max_wait),
            stage: Stage::New,
            longest: 0,
            hurried: bounds.max_wait == 0,
            parts: Vec::new(),
            limit_per_core: false,
        }
    }

    /// The same, and with each share as large as all together may be, if so.
    pub(super) fn with_limit_per_core(self, limit_per_core: bool) -> Self {
        Self {
            limit_per_core,
            ..self
        }
    }

    /// It is to be answered at once: some line has an error already.
    pub(super) fn hurry(&mut self) {
        self.hurried = true;
        self.bounds.max_wait = 0;
    }

    /// Asks for a partition, for that line of the answer. Returns its number, for [`Spread::change`].
    pub(super) fn want(&mut self, line: usize, owner: CoreId, partition: FetchPartition) -> usize {
        self.wanted.push(Wanted {
            line,
            owner,
            partition,
            counted: 0,
        });
        self.wanted.len() - 1
    }

    /// Asks for that instead of what has this number. Nothing may have begun.
    pub(super) fn change(&mut self, number: usize, partition: FetchPartition) {
        self.wanted[number].partition = partition;
    }

    /// No batch of what is wanted next is longer than this, bytes.
    pub(super) fn expect_batches(&mut self, longest: usize) {
        self.longest = self.longest.max(longest);
    }

    /// What it does first. Instead of [reading](Spread::read) it may [count](Spread::count_first).
    pub(super) fn begin(&mut self, now: Mono) -> Next {
        let Some(first) = self.wanted.first() else {
            return Next::Nothing;
        };
        let owner = first.owner;
        let few = self.wanted.len() <= MOST;
        let alone = few && self.wanted.iter().all(|wanted| wanted.owner == owner);
        // What is too little would be held until there is more.
        if alone && self.bounds.min_bytes <= 1 {
            let most = self.obtainable().saturating_add(self.longest);
            return Next::Read(Need {
                bytes: self.bounds.max_bytes.min(most).max(1),
                whole: self.longest,
            });
        }
        Next::Ask(self.count_first(now))
    }

    /// Bytes that the bounds of all partitions allow.
    fn obtainable(&self) -> usize {
        let bounds = self.wanted.iter().map(Wanted::bound);
        bounds.fold(0, usize::saturating_add)
    }

    /// What there is is counted before it is read.
    pub(super) fn count_first(&mut self, now: Mono) -> Vec<Ask> {
        self.stage = Stage::Counting;
        // More than the bounds allow would be waited for in vain.
        let most = self.bounds.max_bytes.max(1).min(self.obtainable());
        self.bounds.min_bytes = self.bounds.min_bytes.min(most);
        self.count(now)
    }

    /// Whether it counts, and so reads nothing.
    pub(super) fn counts(&self) -> bool {
        matches!(self.stage, Stage::Counting)
    }

    /// There is memory for so many bytes of what [`Next::Read`] said: what is asked for them.
    pub(super) fn read(&mut self, bytes: usize) -> Vec<Ask> {
        match self.stage {
            Stage::New => {
                self.stage = Stage::AtOnce { got: 0 };
                let partitions = self.wanted.iter().map(|wanted| wanted.partition);
                let spec = FetchSpec {
                    partitions: partitions.collect(),
                    max_bytes: bytes,
                    min_bytes: 0,
                    max_wait: 0,
                    work: FetchWork::Read,
                };
                self.parts.push((0..self.wanted.len()).collect());
                vec![(self.wanted[0].owner, spec)]
            }
            Stage::Counting => {
                self.stage = Stage::Reading {
                    first: None,
                    next: 0,
                    left: bytes,
                };
                self.grant(true)
            }
            stage => unreachable!("{stage:?} reads nothing anew"),
        }
    }

    /// It is answered with what there is.
    pub(super) fn end(&mut self) {
        self.stage = Stage::Over;
    }

    /// A part is there: each line that it answers is given on.
    pub(super) fn take(
        &mut self,
        part: usize,
        fetched: Vec<FetchedPartition>,
        mut give: impl FnMut(usize, FetchedPartition),
    ) -> Taken {
        let mut taken = Taken::default();
        let indexes = std::mem::take(&mut self.parts[part]);
        for (index, mut one) in indexes.into_iter().zip(fetched) {
            let wanted = &mut self.wanted[index];
            match &mut self.stage {
                Stage::New | Stage::Over => {}
                Stage::AtOnce { got } => {
                    *got += one.bytes;
                    self.hurried |= one.result.is_err();
                }
                Stage::Counting => {
                    wanted.counted = one.bytes;
                    self.hurried |= one.result.is_err();
                }
                Stage::Reading { first, left, .. } => {
                    if one.bytes > *left && *first != Some(index) {
                        taken.thrown_away += one.take_batches();
                    }
                    *left = left.saturating_sub(one.bytes);
                }
            }
            give(wanted.line, one);
        }
        taken.enough = matches!(self.stage, Stage::Counting);
        taken
    }

    /// Nothing that was asked is missing: what it does next. No more waiting if `last`.
    pub(super) fn go_on(&mut self, last: bool, now: Mono) -> Next {
        let over = last || self.hurried || now >= self.deadline;
        let asks = match self.stage {
            Stage::New | Stage::Over => Vec::new(),
            Stage::AtOnce { got } if over || got >= self.bounds.min_bytes => Vec::new(),
            Stage::AtOnce { .. } => self.count_first(now),
            Stage::Counting => match self.counted() {
                counted if !over && counted < self.bounds.min_bytes => self.count(now),
                0 => Vec::new(),
                counted => return Next::Read(self.need(counted)),
            },
            Stage::Reading { .. } => self.grant(false),
        };
        match asks.is_empty() {
            true => Next::Nothing,
            false => Next::Ask(asks),
        }
    }

    /// What reading what was counted may come to.
    fn need(&self, counted: usize) -> Need {
        let first = self.wanted.iter().find(|wanted| wanted.counted > 0);
        let first = first.expect("something was counted");
        // Less than its bound is all that there is of it, and as much may be the beginning of a batch
        // that comes whole.
        let whole = match first.counted < first.bound() {
            true => self.longest.min(first.counted),
            false => self.longest,
        };
        let counted = counted.saturating_add(whole.saturating_sub(first.counted));
        Need {
            bytes: counted.min(self.bounds.max_bytes.max(1)),
            whole,
        }
    }

    fn counted(&self) -> usize {
        let counts = self.wanted.iter().map(|wanted| wanted.counted);
        counts.fold(0, usize::saturating_add)
    }

    /// Has every core count that may find more. Whichever finds its part of what is missing
    /// answers; while none has, there is not enough.
    fn count(&mut self, now: Mono) -> Vec<Ask> {
        let mut asks: Vec<(Ask, Vec<usize>, usize)> = Vec::new();
        for (index, wanted) in self.wanted.iter().enumerate() {
            let at = asks.iter().rposition(|((owner, spec), ..)| {
                *owner == wanted.owner && spec.partitions.len() < MOST
            });
            let at = at.unwrap_or_else(|| {
                let spec = FetchSpec {
                    partitions: Vec::new(),
                    max_bytes: usize::MAX,
                    min_bytes: 0,
                    max_wait: match self.hurried {
                        true => 0,
                        false => self.deadline.since(now),
                    },
                    work: FetchWork::Count,
                };
                asks.push(((wanted.owner, spec), Vec::new(), 0));
                asks.len() - 1
            });
            let ((_, spec), indexes, counted) = &mut asks[at];
            spec.partitions.push(wanted.partition);
            indexes.push(index);
            *counted += wanted.counted;
        }
        asks.retain(|(_, indexes, counted)| {
            let bounds = indexes.iter().map(|index| self.wanted[*index].bound());
            bounds.fold(0, usize::saturating_add) > *counted
        });
        let missing = self.bounds.min_bytes.saturating_sub(self.counted());
        let each = missing.div_ceil(asks.len().max(1));
        let asks = asks
            .into_iter()
            .map(|((owner, mut spec), indexes, counted)| {
                spec.min_bytes = counted + each;
                self.parts.push(indexes);
                (owner, spec)
            });
        asks.collect()
    }

    /// Grants shares in the order of the request, to as many as can read at the same time.
    fn grant(&mut self, mut first: bool) -> Vec<Ask> {
        let Stage::Reading {
            first: mut begins,
            mut next,
            left,
        } = self.stage
        else {
            unreachable!("shares are granted once all is counted")
        };
        let mut asks: Vec<(Ask, Vec<usize>)> = Vec::new();
        let mut room = left;
        while room > 0 && next < self.wanted.len() {
            let wanted = &self.wanted[next];
            if wanted.counted == 0 {
                next += 1;
                continue;
            }
            let bound = wanted.bound();
            // Nobody knows how long the batch is that comes whole, where it may be longer than
            // its partition's bound.
            let most = match first && wanted.counted >= bound {
                true => bound.max(self.longest),
                false => wanted.counted,
            };
            if most > room && !asks.is_empty() {
                break;
            }
            let max_bytes = wanted.counted.min(room);
            let work = FetchWork::Share { first };
            let at = asks.iter().rposition(|((owner, spec), _)| {
                // The share that begins the request begins a call.
                let fits = spec.work == work || !first;
                *owner == wanted.owner && fits && spec.partitions.len() < MOST
            });
            let at = at.unwrap_or_else(|| {
                let spec = FetchSpec {
                    partitions: Vec::new(),
                    max_bytes: 0,
                    min_bytes: 0,
                    max_wait: 0,
                    work,
                };
                asks.push(((wanted.owner, spec), Vec::new()));
                asks.len() - 1
            });
            let ((_, spec), indexes) = &mut asks[at];
            spec.partitions.push(FetchPartition {
                max_bytes,
                ..wanted.partition
            });
            spec.max_bytes += most.min(room);
            indexes.push(next);
            if std::mem::take(&mut first) {
                begins = Some(next);
            }
            if !self.limit_per_core {
                room = room.saturating_sub(most);
            }
            next += 1;
            if max_bytes < wanted.counted {
                // Less than it could have: those behind it get nothing.
                next = self.wanted.len();
            }
        }
        self.stage = Stage::Reading {
            first: begins,
            next,
            left,
        };
        let asks = asks.into_iter().map(|(ask, indexes)| {
            self.parts.push(indexes);
            ask
        });
        asks.collect()
    }
}

impl Wanted {
    /// Bytes of it at most.
    fn bound(&self) -> usize {
        self.partition.max_bytes.max(1)
    }
}
