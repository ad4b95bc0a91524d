//! Kafka's protocol from outside: another implementation as the oracle, frozen bytes for what it
//! does not know, and hostile input.

mod allocation;
mod frozen;
mod harness;
mod hostile;
mod oracle;
mod pieces;
mod source;
mod table;
mod uncopied;
