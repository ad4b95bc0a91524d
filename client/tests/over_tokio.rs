//! The tokio driver in every scenario.

mod scenarios;
mod support;

/// What the scenarios need of it.
mod runtime {
    pub(crate) use leveret_client::tokio::Client;
    pub(crate) use tokio::time::sleep;
}

fn run(scenario: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(scenario);
}

scenarios::each!(run);
