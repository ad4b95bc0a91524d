//! The negative control: each rule of storage, of the engine and of a core, broken on purpose, must be noticed, and as the
//! broken promise that it is.

use leveret_storage::mutation::Mutation;

use crate::plan::Mode;
use crate::run::{Outcome, run, run_sound};
use crate::violation::Kind;

/// How the hunt for one mutation ended.
#[derive(Debug)]
pub struct Hunt {
    /// The rule that was broken.
    pub mutation: Mutation,
    /// Seeds tried.
    pub seeds: u64,
    /// The run that noticed it; `None` if none did.
    pub caught: Option<Outcome>,
}

/// The promises that breaking this rule breaks: a violation of another kind would say that the
/// simulator stumbled over something else.
#[must_use]
pub fn expected(mutation: Mutation) -> &'static [Kind] {
    use Kind::{
        Frontier, Lost, MachineState, Memory, Panicked, ReadFailed, Refused, Resurrected, Stuck,
        WrongData,
    };
    match mutation {
        Mutation::AckBeforeSync | Mutation::AckOutOfOrder | Mutation::UnsyncedVisible => &[Lost],
        Mutation::OvertakesRefused => &[Frontier, WrongData],
        Mutation::DurableThroughAhead | Mutation::MarkAhead | Mutation::FreedBeforeLiveFrom => {
            &[Refused]
        }
        Mutation::SkippedSync
        | Mutation::FreedBeforeSync
        | Mutation::ExtentBeforeDirectory
        | Mutation::RewrittenBlock
        | Mutation::NoFirstSync
        | Mutation::UnsyncedRename
        | Mutation::SuperblockFirst => &[Lost, Refused, ReadFailed],
        Mutation::InlineOvertakesBulk | Mutation::CopiesAfterNew | Mutation::StaleEnd => {
            &[Lost, Refused]
        }
        Mutation::ReplayPastGap | Mutation::OldGeneration => {
            &[Resurrected, WrongData, MachineState, Refused]
        }
        Mutation::AcceptedBadCrc => &[WrongData, MachineState],
        Mutation::LostProducerState => &[MachineState],
        Mutation::RefusalIsSuccess | Mutation::TrimmedTooFar => &[Lost, Refused, ReadFailed],
        Mutation::NoReserve | Mutation::FullForEver => &[Stuck],
        Mutation::UnsyncedPieces => &[Refused],
        Mutation::UntoldReplay => &[WrongData, MachineState],
        Mutation::UnboundedTogether => &[Memory],
        Mutation::ForgetsTooMuch => &[Lost],
        Mutation::OutOfRangeBetween => &[ReadFailed],
        Mutation::DeafToReaders => &[Stuck],
        Mutation::NoWalk | Mutation::NoRepair => &[WrongData],
        // An assertion, or files taken for lost that are on their way out.
        Mutation::OutlivesDeletion => &[Panicked, Stuck],
        Mutation::RemovedBeforeDurable => &[Lost, Refused, ReadFailed],
        Mutation::LimitPerCore => &[WrongData],
        // In debug builds the core notices it itself.
        Mutation::LeavesUnserved => &[Stuck, Panicked],
        Mutation::TrustsStrangers | Mutation::LetsStand => &[Stuck],
        // A core does not know, or knows still, what another has acknowledged.
        Mutation::OkBeforeInstall => &[Lost, Resurrected, WrongData, Panicked],
        // Order within a producer, or an answer that never comes.
        Mutation::HopsOvertake => &[WrongData, Frontier, MachineState, Stuck, Panicked],
        Mutation::NeverHurried | Mutation::NeverCancelled | Mutation::StopsUndrained => &[Stuck],
        Mutation::HandOverForgets => &[Stuck],
        Mutation::KeepsPermits => &[Stuck, Panicked],
    }
}

/// The mode in which the rule matters.
#[must_use]
pub fn mode(mutation: Mutation) -> Mode {
    match mutation {
        Mutation::RefusalIsSuccess | Mutation::FullForEver => Mode::Faults,
        Mutation::UnsyncedVisible
        | Mutation::OvertakesRefused
        | Mutation::OutOfRangeBetween
        | Mutation::DeafToReaders
        | Mutation::NoWalk
        | Mutation::NoRepair => Mode::Shards,
        Mutation::OutlivesDeletion | Mutation::RemovedBeforeDurable => Mode::Churn,
        Mutation::LimitPerCore
        | Mutation::LeavesUnserved
        | Mutation::TrustsStrangers
        | Mutation::LetsStand
        | Mutation::OkBeforeInstall
        | Mutation::HopsOvertake
        | Mutation::NeverHurried
        | Mutation::NeverCancelled
        | Mutation::StopsUndrained
        | Mutation::HandOverForgets
        | Mutation::KeepsPermits => Mode::Cores,
        _ => Mode::Crashes,
    }
}

/// Runs seeds from `first` until one notices the mutation as what it is, at most `most`. The same
/// seed, under the same circumstances, must find nothing wrong without the mutation.
#[must_use]
pub fn hunt(mutation: Mutation, first: u64, most: u64) -> Hunt {
    let mode = mode(mutation);
    for tried in 1..=most {
        let outcome = run(first + tried - 1, mode, Some(mutation), false);
        let noticed = outcome.violation.as_ref();
        let as_expected =
            noticed.is_some_and(|violation| expected(mutation).contains(&violation.kind));
        let seed = outcome.seed;
        if as_expected && run_sound(seed, mode, mutation).violation.is_none() {
            return Hunt {
                mutation,
                seeds: tried,
                caught: Some(outcome),
            };
        }
    }
    Hunt {
        mutation,
        seeds: most,
        caught: None,
    }
}

/// The mutation that bears `name`.
#[must_use]
pub fn by_name(name: &str) -> Option<Mutation> {
    let mut all = Mutation::ALL.iter().copied();
    all.find(|mutation| mutation.name() == name)
}
