//! What a family of calls declares, and the list of families.
//!
//! A family is a type: the call itself, as it travels between cores. It says what is answered, how it
//! is carried out, which clients may wait for one answer of it, and what joins several. What is outstanding is
//! kept for each family apart, so that an answer can arrive nowhere else than where one of its family is
//! waited for. A new family is a file here and a line in the list.

use std::fmt;

use leveret_engine::EngineError;
use leveret_engine::shard::RequestId;
use leveret_storage::io::BufPool;
use leveret_storage::types::{CoreId, Mono, Now};
use slab::Slab;

#[cfg(test)]
use super::toy;
use super::{
    append, ask_group, ask_nobody, change_topics, create_coordinators, describe, fetch,
    find_offset, report, reserve_ids,
};
use crate::core::Core;
use crate::core::fan_out::{FanOut, FanOutKey, Joint};
use crate::core::latencies::Latencies;
use crate::core::pending::{Slot, Slots, family_of};

/// A family of calls between cores.
pub(in crate::core) trait Family: Sized + fmt::Debug + Send + 'static {
    /// What comes of one.
    type Reply: fmt::Debug + Send + 'static;
    /// A client whose request one answer completes.
    type Client: fmt::Debug;
    /// What joins the answers that complete a request together.
    type Joint: Joint<Self>;

    /// What it costs to carry it out and to answer it, beside the bytes of what it carries, in the
    /// units of [`slices`](crate::core::slices).
    fn work(&self) -> usize;

    /// Carries it out on this core. Its answer goes to [`Core::answered`] for that slot, at once or later.
    fn carry_out<P: BufPool>(self, core: &mut Core<P>, slot: Slot<Self>, now: Now);

    /// Answers a client.
    fn answer<P: BufPool>(core: &mut Core<P>, client: Self::Client, reply: Self::Reply, now: Now);

    /// What it comes to if the engine fails it; `None` if it is not the engine's to carry out, or if it
    /// fails in parts.
    fn failed(_error: EngineError) -> Option<Self::Reply> {
        None
    }

    /// Counts the time that a client waited for it here, if that is counted.
    fn note(_latencies: &mut Latencies, _since: Mono, _reply: &Self::Reply, _now: Mono) {}

    /// Bytes that were read for an answer that nobody waits for.
    fn thrown_away(_reply: &Self::Reply) -> usize {
        0
    }

    /// What was carried out for another core, whose own slot for it is `asked`, is about to be answered.
    fn answers_peer<P: BufPool>(_core: &mut Core<P>, _from: CoreId, _asked: Slot<Self>) {}

    /// Nobody wants the answer any more to what another core carries out.
    fn cancel_there<P: BufPool>(_core: &mut Core<P>, _owner: CoreId, _slot: Slot<Self>) {}
}

/// What is outstanding of one family on this core.
pub(in crate::core) struct Outstanding<P, F: Family> {
    /// Who waits for each answer.
    pub(in crate::core) slots: Slots<F>,
    /// Requests that several answers complete.
    pub(in crate::core) fan_outs: Slab<FanOut<P, F>>,
}

impl<P, F: Family> Default for Outstanding<P, F> {
    fn default() -> Self {
        Self {
            slots: Slots::default(),
            fan_outs: Slab::new(),
        }
    }
}

/// What the list gives each family.
pub(in crate::core) trait Listed: Family {
    /// Its number, which stands in those of its slots.
    const NUMBER: u64;

    /// What is outstanding of it.
    fn of<P: BufPool>(families: &Families<P>) -> &Outstanding<P, Self>;
    /// Likewise.
    fn of_mut<P: BufPool>(families: &mut Families<P>) -> &mut Outstanding<P, Self>;
    /// A request that several answers of it complete.
    fn id(key: FanOutKey<Self>) -> FanOutId;
    /// A call on its way.
    fn call(slot: Slot<Self>, call: Self) -> Call;
    /// An answer on its way.
    fn reply(slot: Slot<Self>, reply: Self::Reply) -> Answer;
}

macro_rules! families {
    ($($(#[$cfg:meta])* $field:ident: $name:ident = $family:ty, $number:literal;)+) => {
        /// A call on its way to the core that is to carry it out, and where its answer is waited for.
        #[derive(Debug)]
        pub(in crate::core) enum Call {
            $($(#[$cfg])* $name(Slot<$family>, $family),)+
        }

        /// An answer on its way to where it is waited for.
        #[derive(Debug)]
        pub(in crate::core) enum Answer {
            $($(#[$cfg])* $name(Slot<$family>, <$family as Family>::Reply),)+
        }

        /// A request that several answers complete, whatever their family.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::core) enum FanOutId {
            $($(#[$cfg])* $name(FanOutKey<$family>),)+
        }

        /// What is outstanding on this core.
        pub(in crate::core) struct Families<P: BufPool> {
            $($(#[$cfg])* pub(in crate::core) $field: Outstanding<P, $family>,)+
        }

        impl<P: BufPool> Default for Families<P> {
            fn default() -> Self {
                Self { $($(#[$cfg])* $field: Outstanding::default(),)+ }
            }
        }

        impl<P: BufPool> Families<P> {
            /// How many answers are waited for.
            pub(in crate::core) fn waiting(&self) -> usize {
                [$($(#[$cfg])* self.$field.slots.len()),+].into_iter().sum()
            }

            /// How many requests there are that several answers complete.
            pub(in crate::core) fn fan_outs(&self) -> usize {
                [$($(#[$cfg])* self.$field.fan_outs.len()),+].into_iter().sum()
            }
        }

        $($(#[$cfg])* impl Listed for $family {
            const NUMBER: u64 = $number;

            fn of<P: BufPool>(families: &Families<P>) -> &Outstanding<P, Self> {
                &families.$field
            }

            fn of_mut<P: BufPool>(families: &mut Families<P>) -> &mut Outstanding<P, Self> {
                &mut families.$field
            }

            fn id(key: FanOutKey<Self>) -> FanOutId {
                FanOutId::$name(key)
            }

            fn call(slot: Slot<Self>, call: Self) -> Call {
                Call::$name(slot, call)
            }

            fn reply(slot: Slot<Self>, reply: Self::Reply) -> Answer {
                Answer::$name(slot, reply)
            }
        })+

        impl<P: BufPool> Core<P> {
            /// Another core asks.
            pub(super) fn take_call(&mut self, from: CoreId, call: Call, now: Now) {
                match call {
                    $($(#[$cfg])* Call::$name(slot, call) => self.carry_out_for(from, slot, call, now),)+
                }
            }

            /// Another core answers.
            pub(super) fn take_answer(&mut self, answer: Answer, now: Now) {
                match answer {
                    $($(#[$cfg])* Answer::$name(slot, reply) => self.answered(slot, reply, now),)+
                }
            }

            /// The engine has failed a request.
            pub(super) fn engine_failed(&mut self, request: RequestId, error: EngineError, now: Now) {
                match family_of(request) {
                    $($(#[$cfg])* $number => self.failed::<$family>(Slot::new(request.0), error, now),)+
                    number => panic!("no family has the number {number}"),
                }
            }

            /// Goes on with a request that stood in line.
            pub(in crate::core) fn go_on_in_turn(&mut self, fan_out: FanOutId, now: Now) {
                match fan_out {
                    $($(#[$cfg])* FanOutId::$name(key) => self.go_on_with(key, now),)+
                }
            }

            /// Looks whether what waits and what it completes fit together.
            ///
            /// # Panics
            /// If they do not.
            pub(in crate::core) fn check_families(&self) {
                $($(#[$cfg])* self.check_family::<$family>();)+
            }
        }
    };
}

families! {
    append: Append = append::AppendBatch, 0;
    fetch: Fetch = fetch::FetchRecords, 1;
    find_offset: FindOffset = find_offset::FindOffset, 2;
    change_topics: ChangeTopics = change_topics::ChangeTopics, 3;
    reserve_ids: ReserveIds = reserve_ids::ReserveIds, 4;
    describe: Describe = describe::DescribeLogs, 5;
    report: Report = report::ReportStatus, 6;
    nobody: Nobody = ask_nobody::AskNobody, 7;
    ask_group: AskGroup = ask_group::AskGroup, 8;
    create_coordinators: CreateCoordinators = create_coordinators::CreateCoordinators, 9;
    #[cfg(test)]
    toy: Toy = toy::CountRecords, 10;
}
