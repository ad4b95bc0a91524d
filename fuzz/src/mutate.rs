//! Changes inputs: a few bytes at a time, by rules that reach further than noise. It knows no
//! format; targets repair checksums and lengths afterwards.

use leveret_sim::rng::Rng;

/// Numbers at which decoders go wrong.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x10000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
];
/// Inputs do not grow beyond this. Bytes.
const LONGEST: usize = 256 << 10;

/// Changes `input` one to a few times. `other` is an input of the same target to take from.
pub(crate) fn mutate(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.magnitude(1, 8) {
        step(rng, input, other);
    }
    input.truncate(LONGEST);
}

fn place(rng: &mut Rng, len: usize) -> usize {
    // Half of the time near the start, where headers are.
    let span = if rng.chance(1, 2) { len.min(128) } else { len };
    rng.below(span.max(1) as u64) as usize
}

fn step(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
    let at = place(rng, input.len());
    match rng.below(9) {
        0 | 1 if !input.is_empty() => input[at] ^= 1 << rng.below(8),
        2 if !input.is_empty() => input[at] = rng.next_u64() as u8,
        3 | 4 if !input.is_empty() => edge(rng, &mut input[at..]),
        5 => {
            // Cut out, or off.
            let len = rng.magnitude(1, 64) as usize;
            let end = if rng.chance(1, 4) {
                input.len()
            } else {
                (at + len).min(input.len())
            };
            input.drain(at.min(end)..end);
        }
        6 => {
            let mut noise = vec![0; rng.magnitude(1, 32) as usize];
            rng.fill(&mut noise);
            let at = at.min(input.len());
            input.splice(at..at, noise);
        }
        7 => {
            // Again what is there already.
            let end = (at + rng.magnitude(1, 4096) as usize).min(input.len());
            let copy = input[at.min(end)..end].to_vec();
            let to = place(rng, input.len());
            input.splice(to..to, copy);
        }
        _ => {
            let from = place(rng, other.len());
            let end = (from + rng.magnitude(1, 4096) as usize).min(other.len());
            let to = (at + end - from.min(end)).min(input.len());
            input.splice(at.min(to)..to, other[from.min(end)..end].iter().copied());
        }
    }
}

/// Overwrites 1 to 8 bytes by a number at an edge, in either byte order, or one beside it.
fn edge(rng: &mut Rng, out: &mut [u8]) {
    let edge = EDGES[rng.below(EDGES.len() as u64) as usize];
    let value = edge.wrapping_add(rng.below(3)).wrapping_sub(1);
    let width = (1 << rng.below(4)).min(out.len());
    let little = rng.chance(1, 2);
    for (at, byte) in out[..width].iter_mut().enumerate() {
        let shift = if little { at } else { width - 1 - at };
        *byte = (value >> (8 * shift)) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_can_be_changed_and_stays_bounded() {
        let mut rng = Rng::new(1);
        let mut changed = 0;
        for round in 0..20_000 {
            let before = vec![round as u8; round % 300];
            let mut input = before.clone();
            mutate(&mut rng, &mut input, &[7; 50]);
            changed += u32::from(input != before);
        }
        assert!(changed > 19_000, "{changed}");
        let mut input = vec![1; 100];
        for _ in 0..10_000 {
            mutate(&mut rng, &mut input, &[9; 5000]);
            assert!(input.len() <= LONGEST);
        }
    }
}
