//! Messages that only the two peers of an attempt can read: one Noise IK
//! handshake for each attempt.
//!
//! The caller knows the callee's key and seals its candidates to it. The answer
//! completes the handshake and yields the keys of the attempt, which are forward
//! secret. The rendezvous forwards both messages and can neither read nor change
//! them. The prologue binds both names and a nonce of the callee's, so that an
//! offer cannot be replayed to another callee, nor later.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use stun::IntegrityKey;

use crate::identity::{Identity, PublicKey, montgomery};

const PATTERN: &str = "Noise_IK_25519_ChaChaPoly_BLAKE2s";

/// One message to a known key, from a sender that is not authenticated.
const ONE_WAY: &str = "Noise_N_25519_ChaChaPoly_BLAKE2s";

/// Why a sealed message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key is not a point on the curve.
    #[error("not a public key")]
    BadKey,
    /// It was sealed to another key or for another purpose, or was changed.
    #[error("the sealed message does not open with this key")]
    DoesNotOpen,
    /// It opens, but the caller's key is not the one that sealed it.
    #[error("the message was sealed by another key than the caller's")]
    WrongSender,
}

/// The keys of one attempt.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Identifies the attempt: the same eight bytes on both sides.
    pub attempt: [u8; 8],
    /// Authenticates the probes that we send.
    pub outgoing: IntegrityKey,
    /// Authenticates the probes that we receive.
    pub incoming: IntegrityKey,
}

/// The caller's side of a handshake that waits for the answer.
pub struct Offer {
    state: HandshakeState,
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Offer")
    }
}

/// A nonce of the callee's.
pub type Fresh = [u8; 8];

/// What an offer is bound to: it opens for nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// The caller's registered name.
    pub caller: &'a str,
    /// The callee's.
    pub callee: &'a str,
    /// The nonce that the callee has registered with.
    pub fresh: Fresh,
}

impl Bound<'_> {
    fn prologue(&self) -> Vec<u8> {
        // No name contains a zero byte.
        let names = format!("pinhole/2\0{}\0{}\0", self.caller, self.callee);
        [names.as_bytes(), &self.fresh].concat()
    }
}

impl Offer {
    /// Seals `payload` to the callee's key. `seed` is 32 random bytes,
    /// used once.
    ///
    /// # Errors
    /// `BadKey` when `callee` is not a public key.
    pub fn new(
        identity: &Identity,
        callee: &PublicKey,
        bound: Bound<'_>,
        payload: &[u8],
        seed: [u8; 32],
    ) -> Result<(Offer, Vec<u8>), SealError> {
        let remote = montgomery(callee).ok_or(SealError::BadKey)?;
        let (secret, prologue) = (identity.scalar(), bound.prologue());
        let mut state = builder(PATTERN, seed)
            .local_private_key(&secret)
            .and_then(|builder| builder.remote_public_key(&remote))
            .and_then(|builder| builder.prologue(&prologue))
            .and_then(Builder::build_initiator)
            .map_err(|_| SealError::BadKey)?;
        let message = write(&mut state, payload)?;
        Ok((Offer { state }, message))
    }

    /// Opens the answer.
    ///
    /// # Errors
    /// `DoesNotOpen` when it is not the callee's answer to this offer.
    pub fn accept(&mut self, answer: &[u8]) -> Result<(Vec<u8>, Keys), SealError> {
        let payload = read(&mut self.state, answer)?;
        Ok((payload, keys(&mut self.state, true)))
    }
}

/// The callee's side of a handshake: an offer that can be answered.
pub struct Opened {
    state: HandshakeState,
    /// The payload that the caller sealed.
    pub payload: Vec<u8>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

impl Opened {
    /// Opens an offer that came with the caller's name and key, and with a nonce
    /// that is still valid. `seed` is 32 random bytes, used once.
    ///
    /// # Errors
    /// `DoesNotOpen`, or `WrongSender` when another key sealed it.
    pub fn new(
        identity: &Identity,
        caller: &PublicKey,
        bound: Bound<'_>,
        offer: &[u8],
        seed: [u8; 32],
    ) -> Result<Opened, SealError> {
        let (secret, prologue) = (identity.scalar(), bound.prologue());
        let mut state = builder(PATTERN, seed)
            .local_private_key(&secret)
            .and_then(|builder| builder.prologue(&prologue))
            .and_then(Builder::build_responder)
            .map_err(|_| SealError::BadKey)?;
        let payload = read(&mut state, offer)?;
        let sender = state.get_remote_static().map(<[u8]>::to_vec);
        if sender.as_deref() != montgomery(caller).as_ref().map(|key| &key[..]) {
            return Err(SealError::WrongSender);
        }
        Ok(Opened { state, payload })
    }

    /// Seals the answer.
    ///
    /// # Errors
    /// `DoesNotOpen` when the payload is too long for a message.
    pub fn answer(mut self, payload: &[u8]) -> Result<(Vec<u8>, Keys), SealError> {
        let message = write(&mut self.state, payload)?;
        Ok((message, keys(&mut self.state, false)))
    }
}

/// Seals `payload` so that only the owner of `key` can read it, and only with
/// the same `prologue`. The sender is not authenticated. `seed` is 32 random
/// bytes, used once.
///
/// # Errors
/// `BadKey` when `key` is not a public key.
pub fn seal_to(
    key: &PublicKey,
    prologue: &[u8],
    payload: &[u8],
    seed: [u8; 32],
) -> Result<Vec<u8>, SealError> {
    let remote = montgomery(key).ok_or(SealError::BadKey)?;
    let mut state = builder(ONE_WAY, seed)
        .remote_public_key(&remote)
        .and_then(|builder| builder.prologue(prologue))
        .and_then(Builder::build_initiator)
        .map_err(|_| SealError::BadKey)?;
    write(&mut state, payload)
}

/// Opens a message that [`seal_to`] sealed to our key.
///
/// # Errors
/// `DoesNotOpen` when it was sealed to another key or with another prologue, or
/// was changed.
pub fn open(identity: &Identity, prologue: &[u8], message: &[u8]) -> Result<Vec<u8>, SealError> {
    let secret = identity.scalar();
    // Opening draws no random numbers.
    let mut state = builder(ONE_WAY, [0; 32])
        .local_private_key(&secret)
        .and_then(|builder| builder.prologue(prologue))
        .and_then(Builder::build_responder)
        .map_err(|_| SealError::BadKey)?;
    read(&mut state, message)
}

fn builder<'a>(pattern: &str, seed: [u8; 32]) -> Builder<'a> {
    let params = pattern.parse().expect("a pattern that snow knows");
    Builder::with_resolver(params, Box::new(Seeded(seed)))
}

fn write(state: &mut HandshakeState, payload: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut message = vec![0; payload.len() + 128];
    let length = state
        .write_message(payload, &mut message)
        .map_err(|_| SealError::DoesNotOpen)?;
    message.truncate(length);
    Ok(message)
}

fn read(state: &mut HandshakeState, message: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut payload = vec![0; message.len()];
    let length = state
        .read_message(message, &mut payload)
        .map_err(|_| SealError::DoesNotOpen)?;
    payload.truncate(length);
    Ok(payload)
}

fn keys(state: &mut HandshakeState, caller: bool) -> Keys {
    let mut attempt = [0; 8];
    attempt.copy_from_slice(&state.get_handshake_hash()[..8]);
    // snow warns that the two keys must not be used beside its own transport
    // state. They are not: here they authenticate STUN messages and nothing else.
    let (from_caller, from_callee) = state.dangerously_get_raw_split();
    let from_caller = stun::integrity_key(&from_caller);
    let from_callee = stun::integrity_key(&from_callee);
    let (outgoing, incoming) = if caller {
        (from_caller, from_callee)
    } else {
        (from_callee, from_caller)
    };
    Keys {
        attempt,
        outgoing,
        incoming,
    }
}

/// snow's own primitives, with a seed in place of the system's randomness.
struct Seeded([u8; 32]);

impl CryptoResolver for Seeded {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Rng(ChaCha20Rng::from_seed(self.0))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct Rng(ChaCha20Rng);

impl Random for Rng {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        self.0.fill_bytes(dest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Bound<'_> = Bound {
        caller: "alice",
        callee: "bob",
        fresh: [5; 8],
    };

    fn alice() -> Identity {
        Identity::from_secret(&[1; 32])
    }

    fn bob() -> Identity {
        Identity::from_secret(&[2; 32])
    }

    #[test]
    fn both_peers_read_each_other_and_share_the_keys() {
        let (mut offer, message) =
            Offer::new(&alice(), &bob().public(), BOUND, b"from alice", [3; 32]).unwrap();
        let opened = Opened::new(&bob(), &alice().public(), BOUND, &message, [4; 32]).unwrap();
        assert_eq!(opened.payload, b"from alice");
        let (answer, of_bob) = opened.answer(b"from bob").unwrap();
        let (payload, of_alice) = offer.accept(&answer).unwrap();
        assert_eq!(payload, b"from bob");
        assert_eq!(of_alice.attempt, of_bob.attempt);
        assert_eq!(of_alice.outgoing, of_bob.incoming);
        assert_eq!(of_alice.incoming, of_bob.outgoing);
        assert_ne!(of_alice.incoming, of_alice.outgoing);
    }

    #[test]
    fn an_offer_opens_only_for_its_callee_with_its_caller_its_names_and_its_nonce() {
        let (_, message) = Offer::new(&alice(), &bob().public(), BOUND, b"x", [3; 32]).unwrap();
        let eve = Identity::from_secret(&[9; 32]);
        let open = |who: &Identity, caller: &Identity, bound| {
            Opened::new(who, &caller.public(), bound, &message, [4; 32]).map(|_| ())
        };
        assert_eq!(open(&eve, &alice(), BOUND), Err(SealError::DoesNotOpen));
        assert_eq!(open(&bob(), &eve, BOUND), Err(SealError::WrongSender));
        let renamed = Bound {
            caller: "mallory",
            ..BOUND
        };
        assert_eq!(open(&bob(), &alice(), renamed), Err(SealError::DoesNotOpen));
        let later = Bound {
            fresh: [6; 8],
            ..BOUND
        };
        assert_eq!(open(&bob(), &alice(), later), Err(SealError::DoesNotOpen));
        assert_eq!(open(&bob(), &alice(), BOUND), Ok(()));
    }
}
