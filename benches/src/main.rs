//! What the inside costs, without a kernel: `record`, `codecs`, `commit` (the journal), `append`,
//! `fetch`, `recovery`, each a group of criterion's.
//!
//! Everything is driven through public functions, on a device in memory that completes at once,
//! with time as a parameter. What a broker costs with sockets and a device is `leveret-loadgen`'s
//! business; what changed between two commits is `benches/compare`'s.

mod append;
mod codecs;
mod commit;
mod core;
mod device;
mod fetch;
mod input;
mod record;
mod recovery;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    // Short, because comparing wants many rounds rather than long ones.
    let mut criterion = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .configure_from_args();
    record::benches(&mut criterion);
    codecs::benches(&mut criterion);
    commit::benches(&mut criterion);
    append::benches(&mut criterion);
    fetch::benches(&mut criterion);
    recovery::benches(&mut criterion);
    criterion.final_summary();
}
