//! The negative control: decoders as one should not write them. The search must find that one
//! panics and that the other allocates what a peer says.

use std::hint::black_box;

use leveret_sim::rng::Rng;

use crate::Target;
use crate::allocator::{peak_of, within};

const SEED: &[u8] = b"\x04\0\0\0\x02abcd";

/// Believes an index.
pub(crate) struct Panics;

impl Target for Panics {
    fn name(&self) -> &'static str {
        "control-panic"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        vec![SEED.to_vec()]
    }

    fn repair(&self, _: &mut Rng, _: &mut Vec<u8>) {}

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let Some(&at) = input.get(4) else {
            return Ok("short".to_owned());
        };
        Ok(format!("{}", input[usize::from(at)] == b'a'))
    }
}

/// Believes a length.
pub(crate) struct Allocates;

impl Target for Allocates {
    fn name(&self) -> &'static str {
        "control-allocation"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        vec![SEED.to_vec()]
    }

    fn repair(&self, _: &mut Rng, _: &mut Vec<u8>) {}

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let Some(length) = input.first_chunk::<4>() else {
            return Ok("short".to_owned());
        };
        let length = u32::from_le_bytes(*length) as usize % (1 << 30);
        // An allocation that nobody looks at may be optimized away, and the control with it.
        let ((), peak) = peak_of(|| drop(black_box(Vec::<u8>::with_capacity(length))));
        within(peak, 1 << 20)?;
        Ok("kept".to_owned())
    }
}
