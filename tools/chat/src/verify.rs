//! Digits that two people compare, to be sure that nobody sits between them.

use traverse::identity::PublicKey;

/// Groups of five digits for each of the two keys: 66 bits, so that nobody
/// finds another key with the same ones.
const GROUPS: usize = 4;

/// The same on both sides if and only if both have the keys that the other
/// thinks they have.
pub fn digits(ours: &PublicKey, theirs: &PublicKey) -> String {
    let (first, second) = if ours < theirs {
        (ours, theirs)
    } else {
        (theirs, ours)
    };
    [half(first), half(second)].concat().join(" ")
}

fn half(key: &PublicKey) -> Vec<String> {
    let mut hash = blake3::Hasher::new_derive_key("pinhole chat 2026 verify");
    hash.update(key);
    let mut bytes = [0; 8 * GROUPS];
    hash.finalize_xof().fill(&mut bytes);
    bytes
        .chunks_exact(8)
        .map(|chunk| {
            let number = chunk.iter().fold(0, |sum, &b| (sum << 8) | u64::from(b));
            format!("{:05}", number % 100_000)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_see_the_same_and_of_others_something_else() {
        let (a, b, eve) = ([1; 32], [2; 32], [3; 32]);
        assert_eq!(digits(&a, &b), digits(&b, &a));
        assert_ne!(digits(&a, &b), digits(&a, &eve));
        assert_eq!(digits(&a, &b).split(' ').count(), 2 * GROUPS);
    }
}
