//! What is loaded: a broker, and a topic on it.

use std::time::Duration;

use leveret_client::{Client, ClientOptions, Connection, ErrorCode, NewTopic, TopicId};

use crate::args::LoadArgs;
use crate::broker::OwnBroker;
use crate::failure::Failure;
use crate::plan::Plan;

/// A broker and a topic.
pub(crate) struct Target {
    client: Client,
    pub(crate) topic_id: TopicId,
    /// As many as the topic has, which may have existed before.
    pub(crate) partitions: u16,
    topic: String,
    delete: bool,
    own: Option<OwnBroker>,
}

impl Target {
    /// Connects, to a broker that it starts itself unless there is an address, and creates the
    /// topic unless it exists.
    ///
    /// # Errors
    /// What kept it from that.
    pub(crate) async fn open(args: &LoadArgs, plan: &Plan) -> Result<Self, Failure> {
        let own = match args.connect {
            Some(_) => None,
            None => Some(OwnBroker::start(args)?),
        };
        let address = match (&own, &args.connect) {
            (Some(broker), _) => broker.address.clone(),
            (None, address) => address.clone().unwrap_or_default(),
        };
        let client = Client::with_options(options(address, plan)).await?;
        let topic = args
            .topic
            .clone()
            .unwrap_or_else(|| format!("loadgen-{}", std::process::id()));
        let mut new = NewTopic::new(&topic, u32::from(plan.partitions));
        new.level = Some(plan.level);
        let created = match client.admin().create_topic(&new).await {
            Ok(_) => true,
            Err(error) if error.code() == Some(ErrorCode::TopicExists) && args.topic.is_some() => {
                false
            }
            Err(error) => return Err(error.into()),
        };
        let metadata = client.admin().metadata(&topic).await?;
        let partitions = u16::try_from(metadata.partitions).map_err(|_| {
            Failure::new("the topic has too many partitions", "choose one with fewer")
        })?;
        let delete = created && !args.keep && own.is_none();
        Ok(Self {
            client,
            topic_id: metadata.topic_id,
            partitions,
            topic,
            delete,
            own,
        })
    }

    /// A connection of its own.
    ///
    /// # Errors
    /// If the broker takes none.
    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        Ok(self.client.open_connection().await?)
    }

    /// The broker's process, if it is one of ours.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.own.as_ref().map(OwnBroker::pid)
    }

    /// The client, for what is not the load itself.
    pub(crate) fn client(&self) -> &Client {
        &self.client
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
            self.client.admin().delete_topic(&self.topic).await?;
        }
        Ok(())
    }
}

/// Bounds that the load itself stays below, so that it is never the client that makes it wait.
fn options(address: String, plan: &Plan) -> ClientOptions {
    let mut options = ClientOptions::new(address);
    let batch_bytes = plan.batch as usize * (plan.size + 32) + 128;
    let in_flight = usize::from(plan.in_flight) * batch_bytes;
    options.client_name = "leveret-loadgen".to_owned();
    options.max_queued_bytes = options.max_queued_bytes.max(2 * in_flight);
    options.max_in_flight = options.max_in_flight.max(65_536);
    options.request_timeout = Duration::from_secs(60);
    options
}

impl From<leveret_client::Error> for Failure {
    fn from(error: leveret_client::Error) -> Self {
        Self::new(error.to_string(), error.remedy())
    }
}
