//! What is loaded: a broker, and a topic on it.

use std::time::{SystemTime, UNIX_EPOCH};

use leveret_client::{Level, PartitionId};

use crate::args::{BrokerArgs, WorkArgs};
use crate::broker::OwnBroker;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::protocol::{Connection, How, Protocol, Session, Topic};

/// A broker and a topic.
pub(crate) struct Target {
    pub(crate) session: Session,
    protocol: Protocol,
    delete: bool,
    own: Option<OwnBroker>,
    /// Process of a broker that is not ours.
    foreign: Option<u32>,
}

impl Target {
    /// Connects, to a broker that it starts itself unless there is an address, and creates the
    /// topic unless it exists.
    ///
    /// # Errors
    /// What kept it from that.
    pub(crate) async fn open(
        broker: &BrokerArgs,
        work: &WorkArgs,
        plan: &Plan,
    ) -> Result<Self, Failure> {
        let own = match broker.connect {
            Some(_) => None,
            None => Some(OwnBroker::start(broker, plan.level, work.keep)?),
        };
        let address = match (&own, &broker.connect) {
            (Some(started), _) => &started.address,
            (None, Some(address)) => address,
            (None, None) => unreachable!("without an address a broker was started"),
        };
        let topic = topic(work, plan.partitions, plan.level);
        let how = How {
            in_flight_bytes: in_flight_bytes(plan),
            any_core: broker.any_core,
        };
        let session = Session::open(broker.protocol, address, topic, how).await?;
        let delete = session.created() && !work.keep && own.is_none();
        Ok(Self {
            session,
            protocol: broker.protocol,
            delete,
            own,
            foreign: broker.pid.map(|pid| pid.get()),
        })
    }

    /// A connection for requests about these partitions.
    ///
    /// # Errors
    /// If the broker takes none.
    pub(crate) async fn connect(
        &self,
        partitions: impl Iterator<Item = PartitionId>,
    ) -> Result<Connection, Failure> {
        self.session.connect(partitions).await
    }

    /// As many as the topic has, which may have existed before.
    pub(crate) fn partitions(&self) -> u16 {
        self.session.partitions()
    }

    /// Most partitions that are read together.
    pub(crate) fn feed_partitions(&self) -> usize {
        self.protocol.feed_partitions()
    }

    /// Whether the broker is one of ours.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The broker's process, if it is known.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.own.as_ref().map(OwnBroker::pid).or(self.foreign)
    }

    /// What to report for a failed run: the end of a broker of ours, if that was the cause.
    pub(crate) fn explain(&mut self, failure: Failure) -> Failure {
        match &mut self.own {
            Some(broker) => broker.explain(failure),
            None => failure,
        }
    }

    /// Removes what was made for the run.
    ///
    /// # Errors
    /// If the topic cannot be deleted.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        if self.delete {
            self.session.delete_topic().await?;
        }
        Ok(())
    }
}

fn topic(work: &WorkArgs, partitions: u16, level: Option<Level>) -> Topic {
    let name = work.topic.clone();
    Topic {
        may_exist: name.is_some(),
        name: name.unwrap_or_else(unique_name),
        partitions,
        level,
        config: work.topic_config.clone(),
    }
}

/// A name that no other run has, nor an earlier one of this process whose topic is still going.
fn unique_name() -> String {
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    format!("loadgen-{}-{time}", std::process::id())
}

fn in_flight_bytes(plan: &Plan) -> usize {
    let batch_bytes = plan.batch as usize * (plan.size + 32) + 128;
    usize::from(plan.in_flight) * batch_bytes
}
