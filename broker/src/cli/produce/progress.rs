//! Lines on standard error that say how far a long `produce` has come.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use leveret_client::Producer;

use super::Tally;

/// How often, where a person looks on and where a file is written.
const ON_TERMINAL: Duration = Duration::from_secs(1);
const ELSEWHERE: Duration = Duration::from_secs(5);
/// Without acknowledgements for this long, that is what is said.
const SILENCE: Duration = Duration::from_secs(2);

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Reports until it is dropped. While a person types, only trouble is reported.
pub(super) async fn report(tally: &Tally, typed: bool) {
    let period = if io::stderr().is_terminal() {
        ON_TERMINAL
    } else {
        ELSEWHERE
    };
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.tick().await;
    let (mut last, mut last_told) = (0, Instant::now());
    let mut last_progress = (tally.acknowledged.get(), Instant::now());
    let mut trouble_told: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let (sent, acknowledged) = (tally.sent.get(), tally.acknowledged.get());
        let open = sent - acknowledged;
        if acknowledged > last_progress.0 || open == 0 {
            last_progress = (acknowledged, Instant::now());
            trouble_told = None;
        }
        let silent = last_progress.1.elapsed();
        if silent >= SILENCE {
            if trouble_told.is_none_or(|told| told.elapsed() >= period) {
                trouble_told = Some(Instant::now());
                eprintln!("{}", waiting(open, silent, tally));
            }
        } else if !typed && acknowledged > last && last_told.elapsed() >= period {
            let rate = (acknowledged - last) as f64 / last_told.elapsed().as_secs_f64();
            eprintln!("{acknowledged} records acknowledged, {rate:.0}/s");
            (last, last_told) = (acknowledged, Instant::now());
        }
    }
}

/// How many records wait, and why.
fn waiting(open: u64, silent: Duration, tally: &Tally) -> String {
    let seconds = silent.as_secs();
    let trouble = tally.producer.get().and_then(Producer::trouble);
    let why = trouble.map_or_else(String::new, |error| {
        format!(": {error} ({})", error.remedy())
    });
    let waiting = match open {
        1 => "1 record waits".to_owned(),
        _ => format!("{open} records wait"),
    };
    format!("{waiting}, no acknowledgement for {seconds} s; trying again{why}")
}
