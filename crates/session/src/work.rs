//! The proof of work that a new name may cost: eight bytes such that SHA-256 over
//! (NONCE ‖ NAME ‖ PUBLIC-KEY ‖ these bytes) begins with so many zero bits. To find
//! them takes 2^bits hashes on average, to check them takes one.

use sha2::{Digest, Sha256};

use crate::identity::PublicKey;

/// Length of a proof in bytes.
pub const LENGTH: usize = 8;

/// The least difficulty that is asked for, in bits: some milliseconds.
pub const LEAST_BITS: u8 = 14;

/// The greatest difficulty that is asked for, in bits: up to a second.
pub const MOST_BITS: u8 = 20;

/// What the proof is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The cookie of the server.
    pub nonce: &'a [u8],
    /// The name to register.
    pub name: &'a str,
    /// The key to bind it to.
    pub key: &'a PublicKey,
}

impl Subject<'_> {
    fn hash(&self) -> Sha256 {
        let hash = Sha256::new_with_prefix(self.nonce);
        hash.chain_update(self.name).chain_update(self.key)
    }

    /// The difficulty that a proof meets, in bits.
    pub fn shown_by(&self, proof: [u8; LENGTH]) -> u8 {
        shown(self.hash(), proof)
    }
}

fn shown(hash: Sha256, proof: [u8; LENGTH]) -> u8 {
    let hash: [u8; 32] = hash.chain_update(proof).finalize().into();
    let first = u64::from_be_bytes(std::array::from_fn(|n| hash[n]));
    first.leading_zeros() as u8
}

/// The search for a proof, in steps.
#[derive(Clone)]
pub struct Search {
    /// Over all but the proof.
    hash: Sha256,
    bits: u8,
    next: u64,
}

impl Search {
    /// A search that has not begun.
    pub fn new(subject: Subject<'_>, bits: u8) -> Self {
        let hash = subject.hash();
        Search {
            hash,
            bits,
            next: 0,
        }
    }

    /// Makes at most so many tries; the proof, if it was found.
    pub fn step(&mut self, tries: u32) -> Option<[u8; LENGTH]> {
        (0..tries).find_map(|_| {
            let proof = self.next.to_be_bytes();
            self.next = self.next.wrapping_add(1);
            (shown(self.hash.clone(), proof) >= self.bits).then_some(proof)
        })
    }
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Search({} bits, {} tries)", self.bits, self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_found_in_steps_and_is_of_one_nonce_one_name_and_one_key() {
        let subject = Subject {
            nonce: b"a cookie",
            name: "alice",
            key: &[7; 32],
        };
        let mut search = Search::new(subject, 12);
        let (mut steps, mut proof) = (0, None);
        while proof.is_none() {
            proof = search.step(100);
            steps += 1;
        }
        assert!((2..1000).contains(&steps), "{steps}");
        let proof = proof.unwrap();
        assert!(subject.shown_by(proof) >= 12);
        for other in [
            Subject {
                nonce: b"another",
                ..subject
            },
            Subject {
                name: "bob",
                ..subject
            },
            Subject {
                key: &[8; 32],
                ..subject
            },
        ] {
            assert!(other.shown_by(proof) < 12, "{other:?}");
        }
    }
}
