//! Sends records from a glommio executor, reads them back, and prints a hash of each side.
//!
//! `cargo run -p leveret-client --features glommio --example glommio [ADDRESS [TOPIC [RECORDS]]]`

fn main() {}
