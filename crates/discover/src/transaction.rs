//! Transaction ids of the prober's requests.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::RngCore;
use stun::Transaction;

/// A transaction id that a host off the path cannot guess.
pub(super) fn transaction(rng: &mut ChaCha20Rng) -> Transaction {
    let mut id = [0; 12];
    rng.fill_bytes(&mut id);
    id
}
