//! The kinds of machines that a core hosts, one line each, and the logs that it hosts them for.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use leveret_storage::io::BufPool;
use leveret_storage::store::{Frontiers, State};
use leveret_storage::types::{LogId, Now};

use super::super::grouping::{GroupAsk, HostedGroups};
use super::super::log::LogState;
use super::super::produce::Produce;
use super::super::reply::RequestId;
use super::super::{Replies, Shard};
use super::parked::{Ask, Line};
use super::{Hosted, Order, Served};
#[cfg(test)]
use crate::counter::Counter;
use crate::machine::Machine;
use crate::topology::Topology;

/// A kind of machine that is in the list.
pub(in crate::shard) trait Listed: Served {
    /// The machine, if it is of this kind.
    fn of(tenant: &Tenant) -> Option<&Hosted<Self>>;

    /// As [`Listed::of`].
    fn of_mut(tenant: &mut Tenant) -> Option<&mut Hosted<Self>>;
}

/// Partitions are what most logs are for, and calls of groups may wait or leave no trace: both have a way of
/// their own through the shard. Every other kind of machine is [`Served`], and has one line here.
macro_rules! tenants {
    ($($(#[$meta:meta])* $name:ident($machine:ty)),+ $(,)?) => {
        /// A machine with its log. In boxes: moved as they are, a hundred thousand would take a core's turn
        /// when the table grows.
        pub(in crate::shard) enum Tenant {
            Partition(Box<LogState>),
            Groups(Box<HostedGroups>),
            $($(#[$meta])* $name(Box<Hosted<$machine>>)),+
        }

        /// What a machine is asked.
        pub(in crate::shard) enum Asked {
            Produce(Produce),
            Group(GroupAsk),
            $($(#[$meta])* $name(Order<$machine>)),+
        }

        impl Tenant {
            /// What must survive of the machine, as of the last entry that has its place, which is what the
            /// store takes a snapshot to stand for.
            pub(in crate::shard) fn snapshot(&self) -> State {
                match self {
                    Self::Partition(state) => State::of(Machine::snapshot(&state.hosted.machine)),
                    Self::Groups(hosted) => State::of(Machine::snapshot(&hosted.machine)),
                    $($(#[$meta])* Self::$name(hosted) => State::of(Machine::snapshot(&hosted.machine))),+
                }
            }

            /// Answers that leave because the log's frontiers have moved.
            pub(in crate::shard) fn release(&mut self, frontiers: &Frontiers, replies: &mut Replies) {
                match self {
                    Self::Partition(state) => state.release(frontiers, replies),
                    Self::Groups(hosted) => hosted.answer_calls(frontiers, replies),
                    $($(#[$meta])* Self::$name(hosted) => hosted.answer(frontiers, replies)),+
                }
            }

            /// The log is no more: the requests that wait for it.
            pub(in crate::shard) fn take_waiting(&mut self) -> Vec<RequestId> {
                match self {
                    Self::Partition(state) => state.hosted.take_waiting(),
                    Self::Groups(hosted) => hosted.take_waiting(),
                    $($(#[$meta])* Self::$name(hosted) => hosted.take_waiting()),+
                }
            }

            /// The log takes nothing more: the requests whose entries will not become durable.
            pub(in crate::shard) fn stop(
                &mut self,
                reason: &Arc<str>,
                frontiers: &Frontiers,
            ) -> Vec<RequestId> {
                match self {
                    Self::Partition(state) => state.hosted.stop(reason, frontiers),
                    Self::Groups(hosted) => hosted.stop_calls(reason, frontiers),
                    $($(#[$meta])* Self::$name(hosted) => hosted.stop(reason, frontiers)),+
                }
            }
        }

        impl Asked {
            pub(in crate::shard) fn line(&self) -> Line {
                match self {
                    Self::Produce(_) | Self::Group(_) => Line::Data,
                    $($(#[$meta])* Self::$name(_) => Line::Control),+
                }
            }

            pub(in crate::shard) fn place(&self) -> (RequestId, LogId) {
                match self {
                    Self::Produce(produce) => (produce.request, produce.log),
                    Self::Group(ask) => (ask.request, ask.log),
                    $($(#[$meta])* Self::$name(order) => (order.request, order.log)),+
                }
            }

            /// Bytes that it holds.
            pub(in crate::shard) fn len(&self) -> usize {
                match self {
                    Self::Produce(produce) => produce.batch.len(),
                    Self::Group(ask) => ask.len(),
                    // They are short, and counted.
                    $($(#[$meta])* Self::$name(_) => 0),+
                }
            }

            pub(in crate::shard) fn carry_out<P: BufPool>(
                self,
                shard: &mut Shard<P>,
                now: Now,
            ) -> Result<(), Self> {
                match self {
                    Self::Produce(produce) => produce.carry_out(shard, now).map_err(Self::Produce),
                    Self::Group(ask) => ask.carry_out(shard, now).map_err(Self::Group),
                    $($(#[$meta])* Self::$name(order) => {
                        order.carry_out(shard, now).map_err(Self::$name)
                    }),+
                }
            }
        }

        $($(#[$meta])* impl Listed for $machine {
            fn of(tenant: &Tenant) -> Option<&Hosted<Self>> {
                match tenant {
                    Tenant::$name(hosted) => Some(hosted),
                    _ => None,
                }
            }

            fn of_mut(tenant: &mut Tenant) -> Option<&mut Hosted<Self>> {
                match tenant {
                    Tenant::$name(hosted) => Some(hosted),
                    _ => None,
                }
            }
        }

        $(#[$meta])* impl From<Hosted<$machine>> for Tenant {
            fn from(hosted: Hosted<$machine>) -> Self {
                Self::$name(Box::new(hosted))
            }
        }

        $(#[$meta])* impl From<Order<$machine>> for Asked {
            fn from(order: Order<$machine>) -> Self {
                Self::$name(order)
            }
        })+
    };
}

tenants! {
    Topology(Topology),
    #[cfg(test)]
    Counter(Counter),
}

impl From<LogState> for Tenant {
    fn from(state: LogState) -> Self {
        Self::Partition(Box::new(state))
    }
}

impl From<HostedGroups> for Tenant {
    fn from(hosted: HostedGroups) -> Self {
        Self::Groups(Box::new(hosted))
    }
}

impl From<GroupAsk> for Asked {
    fn from(ask: GroupAsk) -> Self {
        Self::Group(ask)
    }
}

impl From<Produce> for Asked {
    fn from(produce: Produce) -> Self {
        Self::Produce(produce)
    }
}

/// The machines of this core, by their logs.
#[derive(Default)]
pub(in crate::shard) struct Tenants {
    by_log: HashMap<LogId, Tenant, FixedState>,
    partitions: usize,
}

impl Tenants {
    /// A machine moves in.
    ///
    /// # Panics
    /// If its log is another's.
    pub(in crate::shard) fn insert(&mut self, log: LogId, tenant: impl Into<Tenant>) {
        let tenant = tenant.into();
        self.partitions += usize::from(matches!(tenant, Tenant::Partition(_)));
        let before = self.by_log.insert(log, tenant);
        assert!(before.is_none(), "a log is installed once");
    }

    pub(in crate::shard) fn remove(&mut self, log: LogId) -> Option<Tenant> {
        let tenant = self.by_log.remove(&log)?;
        self.partitions -= usize::from(matches!(tenant, Tenant::Partition(_)));
        Some(tenant)
    }

    /// How many partitions there are.
    pub(in crate::shard) fn partitions(&self) -> usize {
        self.partitions
    }

    pub(in crate::shard) fn get(&self, log: LogId) -> Option<&Tenant> {
        self.by_log.get(&log)
    }

    pub(in crate::shard) fn get_mut(&mut self, log: LogId) -> Option<&mut Tenant> {
        self.by_log.get_mut(&log)
    }

    pub(in crate::shard) fn partition(&self, log: LogId) -> Option<&LogState> {
        match self.by_log.get(&log)? {
            Tenant::Partition(state) => Some(state),
            _ => None,
        }
    }

    pub(in crate::shard) fn partition_mut(&mut self, log: LogId) -> Option<&mut LogState> {
        match self.by_log.get_mut(&log)? {
            Tenant::Partition(state) => Some(state),
            _ => None,
        }
    }

    /// The coordinator of groups of that log.
    pub(in crate::shard) fn groups_mut(&mut self, log: LogId) -> Option<&mut HostedGroups> {
        match self.by_log.get_mut(&log)? {
            Tenant::Groups(hosted) => Some(hosted),
            _ => None,
        }
    }

    /// The logs of all coordinators of groups.
    pub(in crate::shard) fn groups(&self) -> Vec<LogId> {
        let of =
            |(log, tenant): (&LogId, &Tenant)| matches!(tenant, Tenant::Groups(_)).then_some(*log);
        let mut logs: Vec<_> = self.by_log.iter().filter_map(of).collect();
        logs.sort_unstable();
        logs
    }

    /// The machine of that log, if it is of that kind.
    pub(in crate::shard) fn machine<M: Listed>(&self, log: LogId) -> Option<&Hosted<M>> {
        M::of(self.by_log.get(&log)?)
    }

    /// As [`Tenants::machine`].
    pub(in crate::shard) fn machine_mut<M: Listed>(
        &mut self,
        log: LogId,
    ) -> Option<&mut Hosted<M>> {
        M::of_mut(self.by_log.get_mut(&log)?)
    }
}
