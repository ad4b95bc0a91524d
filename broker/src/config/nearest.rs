//! Which known name a mistyped one was probably meant to be.

/// The name with the fewest edits to `word`, unless even that one is too far to be meant.
pub(super) fn nearest(
    word: &str,
    names: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    // Nobody mistypes at such length, and the distance costs the product of both lengths.
    if word.len() > 64 {
        return None;
    }
    let word = word.replace('_', ".").to_lowercase();
    let far = word.len().max(3) / 2;
    let best = names.map(|name| (distance(&word, name), name)).min()?;
    (best.0 <= far).then_some(best.1)
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, byte_a) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, byte_b) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(byte_a != byte_b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
