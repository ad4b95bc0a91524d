//! What the commands have in common that talk to a running broker.

use std::future::Future;
use std::io;

use leveret_client::{Client, ClientOptions, ErrorCode};

use super::args::ServerArg;
use super::failure::Failure;

/// Runs a command's work on an event loop of this thread. Ctrl-C ends it as it ends any program;
/// nothing here needs to be tidied up, for acknowledged records are the broker's.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let no_loop = |error: io::Error| {
        let what = format!("the system gives no event loop: {error}");
        Failure::new(what, "look at this process's limit of open files")
    };
    runtime.map_err(no_loop)?.block_on(work)
}

/// The client that these commands start from.
pub(super) fn options(server: &ServerArg) -> ClientOptions {
    let mut options = ClientOptions::new(server.with_port());
    options.client_name = "leveret-cli".to_owned();
    options
}

/// Connects, once: a command that only asks should not wait for a broker that is not there.
pub(super) async fn connect(server: &ServerArg) -> Result<Client, Failure> {
    Ok(Client::with_options(options(server)).await?)
}

/// As [`Failure::from`], with the topic's name where the broker does not know the topic.
pub(super) fn about_topic(topic: &str, error: &leveret_client::Error) -> Failure {
    if error.code() == Some(ErrorCode::UnknownTopic) {
        let remedy =
            format!("create it with `leveret topic create {topic}`, or see `leveret topic list`");
        return Failure::new(format!("there is no topic `{topic}`"), remedy);
    }
    Failure::from(error.clone())
}

impl From<leveret_client::Error> for Failure {
    fn from(error: leveret_client::Error) -> Self {
        Self::new(error.to_string(), error.remedy())
    }
}
