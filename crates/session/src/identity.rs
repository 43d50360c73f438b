//! An identity is an Ed25519 key pair. The same key, as X25519, opens messages
//! that are sealed to its owner.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// An Ed25519 public key in the 32 bytes of RFC 8032 §5.1.2.
pub type PublicKey = [u8; 32];

/// An Ed25519 key pair.
#[derive(Clone)]
pub struct Identity {
    signing: SigningKey,
}

impl Identity {
    /// The key pair of 32 secret bytes (RFC 8032 §5.1.5).
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Identity {
            signing: SigningKey::from_bytes(secret),
        }
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        self.signing.verifying_key().to_bytes()
    }

    /// Signs a message (RFC 8032 §5.1.6).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }

    /// The secret scalar, for a Diffie-Hellman exchange on Curve25519.
    pub(crate) fn scalar(&self) -> [u8; 32] {
        self.signing.to_scalar_bytes()
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", fingerprint(&self.public()))
    }
}

/// Whether `key` made `signature` over `message`. The check is strict: for one
/// message it accepts one signature only (RFC 8032 §8.4).
pub fn verify(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| {
        key.verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    })
}

/// The X25519 public key of an Ed25519 one; `None` if it is not a point on the
/// curve.
pub(crate) fn montgomery(key: &PublicKey) -> Option<[u8; 32]> {
    let key = VerifyingKey::from_bytes(key).ok()?;
    Some(key.to_montgomery().to_bytes())
}

/// The first eight bytes of a key in hex: enough for people to tell keys apart,
/// not enough to trust one.
pub fn fingerprint(key: &PublicKey) -> String {
    hex::encode(&key[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_sixteen_hex_digits_from_the_start_of_the_key() {
        let key = std::array::from_fn(|n| 0x0a_u8.wrapping_add(0x11_u8.wrapping_mul(n as u8)));
        assert_eq!(fingerprint(&key), "0a1b2c3d4e5f7081");
    }

    #[test]
    fn a_signature_is_of_one_key_and_one_message() {
        let [alice, bob] = [[1; 32], [2; 32]].map(|secret| Identity::from_secret(&secret));
        let signature = alice.sign(b"message");
        assert!(verify(&alice.public(), b"message", &signature));
        assert!(!verify(&alice.public(), b"massage", &signature));
        assert!(!verify(&bob.public(), b"message", &signature));
    }
}
