//! Lines on standard error that say how far a long `produce` has come.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use super::Tally;

/// How often, where a person looks on and where a file is written.
const ON_TERMINAL: Duration = Duration::from_secs(1);
const ELSEWHERE: Duration = Duration::from_secs(5);
/// Without acknowledgements for this long, that is what is said.
const SILENCE: Duration = Duration::from_secs(2);

/// Reports until it is dropped. While a person types, only trouble is reported.
pub(super) async fn report(tally: &Tally, typed: bool) {
    let period = if io::stderr().is_terminal() {
        ON_TERMINAL
    } else {
        ELSEWHERE
    };
    let mut ticks = tokio::time::interval(period);
    ticks.tick().await;
    let (mut last, mut last_progress) = (tally.acknowledged.get(), Instant::now());
    loop {
        let before = Instant::now();
        ticks.tick().await;
        let (sent, acknowledged) = (tally.sent.get(), tally.acknowledged.get());
        let open = sent - acknowledged;
        if acknowledged > last || open == 0 {
            last_progress = Instant::now();
        }
        if open > 0 && last_progress.elapsed() >= SILENCE {
            let seconds = last_progress.elapsed().as_secs();
            eprintln!("{open} records wait, no acknowledgement for {seconds} s; trying again");
        } else if !typed && acknowledged > last {
            let rate = (acknowledged - last) as f64 / before.elapsed().as_secs_f64();
            eprintln!("{acknowledged} records acknowledged, {rate:.0}/s");
        }
        last = acknowledged;
    }
}
