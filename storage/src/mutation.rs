//! Faults that the simulator switches on to prove that it would notice them.
//!
//! Each variant is a rule of the storage (the traps of its design first), of the engine or of the
//! broker's cores that is broken on purpose. A hook is a single `mutated(..)` at the place of the
//! rule that it breaks. Without the cargo feature `mutations` every hook is constant `false`: a
//! production build cannot be told to lose data.

use std::fmt;

macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// A rule of the storage design that is broken on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Mutation {
            $($(#[$doc])* $name),+
        }

        impl Mutation {
            /// Every mutation, in the order of the design's list of traps.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name that the simulator's command line uses.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }
        }
    };
}

mutations! {
    /// Trap 1: a commit or segment is written without being synced.
    SkippedSync = "skipped-sync",
    /// Trap 2: entries count as durable when their commit is handed to the device.
    AckBeforeSync = "ack-before-sync",
    /// Trap 3: a completed commit counts as durable although an earlier one is under way.
    AckOutOfOrder = "ack-out-of-order",
    /// Trap 4: durable-through runs ahead of what is durable.
    DurableThroughAhead = "durable-through-ahead",
    /// Trap 5: journal space is freed before segment, index and directory are synced.
    FreedBeforeSync = "freed-before-sync",
    /// Trap 6: journal space is reused before live-from has durably announced it.
    FreedBeforeLiveFrom = "freed-before-live-from",
    /// Trap 7: an inline entry enters a commit while an earlier bulk write is under way.
    InlineOvertakesBulk = "inline-overtakes-bulk",
    /// Trap 8: an extent is journaled before the new segment's directory entry is synced.
    ExtentBeforeDirectory = "extent-before-directory",
    /// Trap 9: a block that holds acknowledged bytes is written a second time.
    RewrittenBlock = "rewritten-block",
    /// Trap 10: copied records stand after new ones, and records behind a gap are dropped.
    CopiesAfterNew = "copies-after-new",
    /// Trap 11: recovery goes on past a missing commit.
    ReplayPastGap = "replay-past-gap",
    /// Trap 12: recovery accepts commits of an earlier generation.
    OldGeneration = "old-generation",
    /// Trap 13: recovery adopts what it reads without syncing it first.
    NoFirstSync = "no-first-sync",
    /// Trap 14: the superblock is written before the new generation is synced.
    SuperblockFirst = "superblock-first",
    /// Journal files of the generation before are written to under names that are not durable.
    UnsyncedRename = "unsynced-rename",
    /// Trap 15: a bad checksum is accepted.
    AcceptedBadCrc = "accepted-bad-crc",
    /// Trap 16: machine snapshots are not carried over.
    LostProducerState = "lost-producer-state",
    /// Trap 17: the ring keeps no reserve for copies and checkpoints.
    NoReserve = "no-reserve",
    /// Records of what was written in bulk say of no entry what is replayed of it.
    UntoldReplay = "untold-replay",
    /// Of a snapshot's file only the block that tells what the others are is made durable.
    UnsyncedPieces = "unsynced-pieces",
    /// What the file system refused for want of space counts as done.
    RefusalIsSuccess = "refusal-is-success",
    /// What the file system refused for want of space is never tried again.
    FullForEver = "full-for-ever",
    /// A segment that is closed gives back its last block with what it did not need.
    TrimmedTooFar = "trimmed-too-far",
    /// A mark vouches for commits that are still under way.
    MarkAhead = "mark-ahead",
    /// Every mark says that the ring ends there, and a start does not look whether it does.
    StaleEnd = "stale-end",
    /// Logs of level `memory` keep what each of them may, however many there are.
    UnboundedTogether = "unbounded-together",
    /// A log of level `memory` forgets all that it holds when less has to go.
    ForgetsTooMuch = "forgets-too-much",
    /// Readers see what is ordered and not durable.
    UnsyncedVisible = "unsynced-visible",
    /// A batch is let through behind one of the same producer that was refused.
    OvertakesRefused = "overtakes-refused",
    /// A fetch from between the high watermark and the end of the log is answered as out of range.
    OutOfRangeBetween = "out-of-range-between",
    /// Nobody syncs sooner because a reader waits for what is not durable.
    DeafToReaders = "deaf-to-readers",
    /// A batch is acknowledged although nobody has looked at its records.
    NoWalk = "no-walk",
    /// A batch's max timestamp stays what its producer said, not what its records say.
    NoRepair = "no-repair",
    /// A listing, an index or spans that come back to a log that is being deleted are used as if it
    /// lived.
    OutlivesDeletion = "outlives-deletion",
    /// Segments below a log's start are removed before what moved the start is durable.
    RemovedBeforeDurable = "removed-before-durable",
    /// Each partition of a fetch over several cores may read what all of them together may.
    LimitPerCore = "limit-per-core",
    /// Nobody who waits for memory is served when a connection leaves that held some.
    LeavesUnserved = "leaves-unserved",
    /// A connection that has never sent a long request to its end is served as if it had.
    TrustsStrangers = "trusts-strangers",
    /// A long request that stands still is not closed for others that wait for memory.
    LetsStand = "lets-stand",
    /// A change of the topology is answered when it is in force on core 0.
    OkBeforeInstall = "ok-before-install",
    /// What one core tells another comes before what it told it earlier and has not left.
    HopsOvertake = "hops-overtake",
    /// Other cores go on waiting for records when a fetch has enough.
    NeverHurried = "never-hurried",
    /// Other cores go on with a fetch of which nobody wants the answer.
    NeverCancelled = "never-cancelled",
    /// A core that stops flushes although others may still ask it for something.
    StopsUndrained = "stops-undrained",
    /// A connection leaves for another core without what was received of it.
    HandOverForgets = "hand-over-forgets",
    /// What a connection holds for a body that it has not finished stays held when it goes.
    KeepsPermits = "keeps-permits",
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether the rule that `which` names is to be broken in this run.
#[cfg(feature = "mutations")]
#[must_use]
#[inline]
pub fn mutated(active: Option<Mutation>, which: Mutation) -> bool {
    active == Some(which)
}

/// Whether the rule that `which` names is to be broken in this run: never, in this build.
#[cfg(not(feature = "mutations"))]
#[must_use]
#[inline]
pub const fn mutated(_active: Option<Mutation>, _which: Mutation) -> bool {
    false
}
