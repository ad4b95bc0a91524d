//! Give producer ids out, which nobody else has ever had.

use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Now};

use super::{Operation, Refused, Resource};
use crate::core::Core;
use crate::core::boundary::ConnId;
use crate::core::hop::ReserveIds;
use crate::core::protocol::WantsId;

impl<P: BufPool> Core<P> {
    /// A producer id for a client; `None` if this core has to get some first, and answers then.
    ///
    /// # Errors
    /// That the client may have none.
    pub(in crate::core) fn take_producer_id(
        &mut self,
        conn: ConnId,
        client: WantsId,
        now: Now,
    ) -> Result<Option<i64>, Refused> {
        let known = self.known(conn, now);
        known.authorize(Operation::IdempotentWrite, Resource::Cluster)?;
        let id = self.producer_ids.take();
        if id.is_none() {
            self.owe_answer(conn);
            self.ask(CoreId(0), ReserveIds, client, now);
        }
        Ok(id)
    }
}
