//! What the commands that ask a running broker have in common.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use leveret_client::{Client, ClientOptions, ErrorCode};

use super::args::ServerArg;
use super::failure::Failure;

/// Without an answer for this long, that is said.
const SILENCE: Duration = Duration::from_millis(1500);
/// How often a client that connects by itself is asked how it goes.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Runs a command's work on an event loop of this thread. Ctrl-C ends it as it ends any program;
/// nothing here needs to be tidied up, for acknowledged records are the broker's.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let no_loop = |error: io::Error| {
        let what = format!("cannot start an event loop: {error}");
        Failure::new(what, "raise the limit of open files with `ulimit -n`")
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
    connect_with(options(server)).await
}

/// The same with settings of one's own.
pub(super) async fn connect_with(options: ClientOptions) -> Result<Client, Failure> {
    let address = options.address.clone();
    let connecting = Client::with_options(options);
    Ok(patiently(&address, connecting).await?)
}

/// Waits for what needs the broker; says so when it takes long, as of an address behind which
/// nobody answers.
pub(super) async fn patiently<T>(address: &str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        outcome = &mut work => return outcome,
        () = tokio::time::sleep(SILENCE) => {}
    }
    eprintln!("no answer from {address} yet; is a broker running there, and can it be reached?");
    work.await
}

/// Says what keeps the client from connecting while it tries again by itself, and when it has
/// connected again. Never ends.
pub(super) async fn tell_trouble(client: &Client) {
    let mut told: Option<String> = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match (client.trouble(), &told) {
            (Some(error), told_before) => {
                let words = error.to_string();
                if told_before.as_ref() != Some(&words) {
                    eprintln!("{words}; trying again ({})", error.remedy());
                    told = Some(words);
                }
            }
            (None, Some(_)) => {
                eprintln!("connected again");
                told = None;
            }
            (None, None) => {}
        }
    }
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
