//! A new key of a name's owner, signed by the old one: the rendezvous binds the
//! name to the new key, and peers that have pinned the old key move their pin.

use crate::identity::{Identity, PublicKey, verify};

/// Length of a rotation in bytes: the old key and its signature.
pub const LENGTH: usize = 96;

/// Distinguishes what is signed from everything else that a key signs.
const LABEL: &[u8] = b"pinhole/1 rotation\0";

/// A rotation: the old key, and its signature of a name and a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation([u8; LENGTH]);

impl Rotation {
    /// The owner of `old` says that `name` belongs to `new` from now on.
    pub fn new(old: &Identity, name: &str, new: &PublicKey) -> Self {
        let mut bytes = [0; LENGTH];
        bytes[..32].copy_from_slice(&old.public());
        bytes[32..].copy_from_slice(&old.sign(&signed(name, new)));
        Rotation(bytes)
    }

    /// A rotation that was received. It is not checked.
    pub fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Rotation(bytes)
    }

    /// As it is sent.
    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// The old key.
    pub fn old(&self) -> PublicKey {
        std::array::from_fn(|n| self.0[n])
    }

    /// Whether the old key has signed that `name` belongs to `new`. It costs the
    /// check of a signature.
    pub fn leads_to(&self, name: &str, new: &PublicKey) -> bool {
        let signature = std::array::from_fn(|n| self.0[32 + n]);
        self.old() != *new && verify(&self.old(), &signed(name, new), &signature)
    }
}

fn signed(name: &str, new: &PublicKey) -> Vec<u8> {
    // No name contains a zero byte.
    [LABEL, name.as_bytes(), &[0], new].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_is_of_one_name_from_one_key_to_one_key() {
        let [old, new, other] = [[1; 32], [2; 32], [3; 32]].map(|s| Identity::from_secret(&s));
        let rotation = Rotation::new(&old, "alice", &new.public());
        let rotation = Rotation::from_bytes(*rotation.as_bytes());
        assert_eq!(rotation.old(), old.public());
        assert!(rotation.leads_to("alice", &new.public()));
        assert!(!rotation.leads_to("alicf", &new.public()));
        assert!(!rotation.leads_to("alice", &other.public()));
        let mut forged = *rotation.as_bytes();
        forged[..32].copy_from_slice(&other.public());
        assert!(!Rotation::from_bytes(forged).leads_to("alice", &new.public()));
        let itself = Rotation::new(&old, "alice", &old.public());
        assert!(!itself.leads_to("alice", &old.public()));
    }
}
