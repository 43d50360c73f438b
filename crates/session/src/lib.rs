//! What peers and the rendezvous share: identities, sealed messages, names, and
//! credentials for the relay.
//!
//! - [`identity`]: an Ed25519 key pair. It signs requests to the rendezvous.
//! - [`name`]: which names can be registered, and for how long.
//! - [`proof`]: how the rendezvous proves that a message is its own.
//! - [`rotation`]: a new key of a name's owner, signed by the old one.
//! - [`work`]: the proof of work that a new name may cost.
//! - [`seal`]: one Noise handshake for each attempt to connect two peers. The
//!   rendezvous forwards its two messages and cannot read them.
//! - [`credentials`]: user names and passwords for the relay (TURN), which the
//!   rendezvous gives to registered names.
//!
//! The caller seals its candidates with [`Offer::new`](seal::Offer::new). The
//! callee opens them with [`Opened::new`](seal::Opened::new), and answers with
//! [`Opened::answer`](seal::Opened::answer). The caller reads the answer with
//! [`Offer::accept`](seal::Offer::accept). Then both hold the same
//! [`Keys`](seal::Keys), which authenticate the probes of this attempt:
//!
//! ```
//! use session::identity::Identity;
//! use session::seal::{Bound, Offer, Opened, SealError};
//!
//! # fn main() -> Result<(), SealError> {
//! let alice = Identity::from_secret(&[1; 32]); // 32 random bytes each,
//! let bob = Identity::from_secret(&[2; 32]); // kept on disk by the tools
//! // Bob hands out a new nonce every few seconds, and takes no offer to an old one.
//! let bound = Bound { caller: "alice", callee: "bob", fresh: [5; 8] };
//!
//! // Each seed is 32 random bytes, used once.
//! let (mut offer, message) =
//!     Offer::new(&alice, &bob.public(), bound, b"alice's candidates", [3; 32])?;
//! let opened = Opened::new(&bob, &alice.public(), bound, &message, [4; 32])?;
//! assert_eq!(opened.payload, b"alice's candidates");
//! let (answer, keys_of_bob) = opened.answer(b"bob's candidates")?;
//! let (candidates, keys_of_alice) = offer.accept(&answer)?;
//! assert_eq!(candidates, b"bob's candidates");
//! assert_eq!(keys_of_alice.outgoing, keys_of_bob.incoming);
//! # Ok(())
//! # }
//! ```
//!
//! This crate does not send or store anything, does not remember which key
//! belongs to which name, and draws no random numbers: seeds are arguments.
//! What peers say to each other once they are connected is encrypted elsewhere
//! (by QUIC, in chat).
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

pub mod credentials;
pub mod identity;
pub mod name;
pub mod proof;
pub mod rotation;
pub mod seal;
pub mod work;
