//! Groups of consumers: who is in a group, what each of them reads, and how far they have come.
//!
//! A [`Coordinator`] is the machine over one of the group logs, and has all groups whose names fall there. Of a
//! group it keeps what a restart must not lose: offsets, the number of the last generation, and the members of the
//! last one that had assignments. Who waits, who was heard when, and what is due are memory, and begin anew
//! after a start: each member has a whole session then.
//!
//! It refuses to know protocols, what the bytes of a subscription mean, and which topic a log is of; it draws no
//! random numbers and reads no clock.
//!
//! How it is driven, by whoever holds its log:
//!
//! - [`Coordinator::ask`] takes a call. What needs no entry happens at once. Otherwise it gives a plan, of which nothing has
//!   happened: append its entries in their order, [`Coordinator::apply`] each, then [`Coordinator::carry_out`] the rest of it. If the journal has
//!   no room, drop the plan and ask the same call again later; entries that were applied do no harm.
//! - [`Coordinator::due`] is called after each call and each plan, and at [`Coordinator::next_deadline`], until it says that there is nothing
//!   to do. It does a slice of work, or gives a plan as above; if the journal has no room, drop that plan and
//!   call it again when there is some.
//! - [`Coordinator::poll_answer`] gives the answers, in order. Each may leave when everything that its log had ordered by then is
//!   durable.
//! - [`Coordinator::gone`] tells that nobody waits for an answer any more.

mod admin;
mod call;
mod classic;
mod coordinator;
mod deadlines;
mod entry;
mod error;
mod expiry;
mod ids;
mod kept;
mod named;
mod offsets;
mod reply;
mod rules;
mod settings;
mod shared;
mod snapshot;
#[cfg(test)]
mod tests;

pub use call::{
    Caller, Commit, DeleteOffsets, FetchOffsets, Generation, GroupCall, Heartbeat, Join, Leave,
    Leaving, List, Name, NewOffset, Protocol, Sync, WhichOffsets,
};
pub use coordinator::{Coordinator, CoordinatorFault, CoordinatorSetup, Due, Plan, Then};
pub use entry::{GroupEntry, check_entry};
pub use error::GroupError;
pub use reply::{
    Committed, DescribedMember, Description, FoundOffset, GroupKind, GroupReply, GroupState,
    Joined, JoinedMember, Listing, Offsets, Synced,
};
pub use settings::{GroupSettings, MAX_NAME};
pub use shared::Answer;
pub use snapshot::check_snapshot;
