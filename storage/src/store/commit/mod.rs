//! Commits of the journal: what goes into them, in which order, and what their completion means.
//!
//! Its state says who has something to place ([`lines`]), when a commit is due ([`pace`]) and what
//! happens when one is durable ([`effects`]). It takes no journal space by itself: `journal` says
//! what is granted and what is spare.

pub(crate) mod append;
pub(crate) mod effects;
pub(crate) mod issue;
pub(crate) mod lines;
pub(crate) mod pace;
pub(crate) mod plan;

use effects::Effects;
use lines::Lines;
use pace::Pace;

/// What is to be committed and what commits under way will bring.
#[derive(Debug)]
pub(crate) struct Commits {
    pub(crate) lines: Lines,
    pub(crate) pace: Pace,
    pub(crate) effects: Effects,
}
