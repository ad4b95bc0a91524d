//! Rules that tests break on purpose, to see that they would notice. Nothing but a test can.

/// A rule of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Who is of another generation is refused.
    StaleGeneration,
    /// Who has the instance id of another member id is refused.
    FencedInstance,
    /// That another process is a static member survives.
    TakeOverKept,
    /// A start goes on behind the last generation that was opened.
    GenerationKept,
    /// A barrier ends, whoever is missing.
    BarrierEnds,
    /// A leader knows all members of its generation.
    OneSet,
    /// A snapshot holds all that survives.
    SnapshotWhole,
    /// After a start each member has a whole session.
    WholeSession,
    /// The others do not wait for long for one who was named.
    NamedLetGo,
    /// A newcomer whose asker is gone is dropped.
    NewcomerDropped,
    /// Who does not ask for its assignment is dropped.
    SilentDropped,
    /// Offsets of a group stay while it has members, and long after.
    Retained,
}

#[cfg(test)]
impl Rule {
    /// Those that hold whatever happens; the others have a test each.
    pub(super) const ALWAYS: [Self; 7] = [
        Self::StaleGeneration,
        Self::FencedInstance,
        Self::TakeOverKept,
        Self::GenerationKept,
        Self::BarrierEnds,
        Self::OneSet,
        Self::SnapshotWhole,
    ];
}

#[cfg(test)]
thread_local! {
    /// The rule that the present test breaks.
    pub(super) static BROKEN: std::cell::Cell<Option<Rule>> = const { std::cell::Cell::new(None) };
}

/// Whether a test breaks that rule.
#[cfg(test)]
pub(super) fn breaks(rule: Rule) -> bool {
    BROKEN.get() == Some(rule)
}

/// Whether a test breaks that rule: not in this build.
#[cfg(not(test))]
pub(super) const fn breaks(_rule: Rule) -> bool {
    false
}
