//! What stands behind the clients of every mode: producers that send again what may be lost, batches that lie,
//! and the ledger of what was sent, acknowledged and seen.

pub(crate) mod ledger;
pub(crate) mod liars;
pub(crate) mod sender;
