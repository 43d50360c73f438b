//! Who somebody is: an Ed25519 key. The same key, as X25519, opens what is
//! sealed for its owner.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// An Ed25519 public key as it travels.
pub type PublicKey = [u8; 32];

/// A key pair.
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

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.signing.verifying_key().to_bytes()
    }

    /// Signs.
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

/// Whether `signature` over `message` is of `key`; strict, so that one
/// message has one signature (RFC 8032 §8.4).
pub fn verify(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| {
        key.verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    })
}

/// The X25519 public key of an Ed25519 one; `None` if it is no point.
pub(crate) fn montgomery(key: &PublicKey) -> Option<[u8; 32]> {
    let key = VerifyingKey::from_bytes(key).ok()?;
    Some(key.to_montgomery().to_bytes())
}

/// The first eight bytes in hex: enough for people to tell keys apart, not
/// enough to trust one.
pub fn fingerprint(key: &PublicKey) -> String {
    key[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
