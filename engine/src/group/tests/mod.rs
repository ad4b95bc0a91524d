//! Groups from outside: what is asked, what is answered, and what a restart leaves.

mod bench;
mod bytes;
mod classic;
mod offsets;
mod random;
mod statics;
mod table;
