//! STUN and TURN messages, to and from bytes. Every datagram of Pinhole is a STUN message (RFC 8489):
//! reflexive addresses and behaviour discovery (RFC 5780), TURN (RFC 8656), and registration,
//! introduction and probes as methods of our own (docs/reference/protocol.md has the code points).
//!
//! - [`Message::parse`] reads a datagram; its methods return the attributes.
//! - [`Builder`] writes one, attribute by attribute.
//! - [`Frames`] finds the messages in a byte stream. [`turn`] has what only TURN needs.
//! - [`ClassicRequest`] answers clients of RFC 3489, whose messages [`Message::parse`] refuses.
//! - [`Icmp::reason`] is the meaning of an ICMP error, in both address families.
//!
//! ```
//! use stun::{Builder, Class, Message, Method};
//!
//! // The client sends a Binding request; the server answers with the source that it saw.
//! let request = stun::binding_request([7; 12], None);
//! let request = Message::parse(&request)?;
//! let answer = Builder::success(&request)
//!     .xor_mapped("198.51.100.1:40000".parse()?)
//!     .finish();
//!
//! let answer = Message::parse(&answer)?;
//! assert!(answer.is(Class::Success, Method::Binding));
//! assert_eq!(answer.transaction(), request.transaction());
//! assert_eq!(answer.mapped(), Some("198.51.100.1:40000".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The codec is the crate `stun-types`. This crate adds the attributes of RFC 5780, our own, and
//! readers that never panic on bytes from the network. It does not send, retransmit or make up
//! transaction ids, and it does not judge which requests are allowed.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

mod attribute;
mod build;
mod classic;
mod describe;
mod icmp;
mod message;
mod method;
mod stream;
pub mod turn;

pub use attribute::{Attribute, Change};
pub use build::Builder;
pub use classic::ClassicRequest;
pub use describe::describe;
pub use icmp::{Icmp, IcmpReason};
pub use message::{Message, ParseError};
pub use method::{Class, Method, code};
pub use stream::Frames;
pub use stun_types::message::IntegrityKey;

/// A STUN transaction id (RFC 8489 §5): 96 bits.
pub type Transaction = [u8; 12];

/// The default UDP port of the rendezvous.
pub const DEFAULT_PORT: u16 = 8848;

/// The largest datagram that we send or read, in bytes.
pub const MAX_DATAGRAM: usize = 1280;

/// The key of MESSAGE-INTEGRITY-SHA256 for 32 secret bytes: a short-term
/// credential (RFC 8489 §9.1) whose password is their lower-case hex.
pub fn integrity_key(secret: &[u8; 32]) -> IntegrityKey {
    stun_types::message::ShortTermCredentials::new(hex::encode(secret)).make_key()
}

/// A Binding request (RFC 8489 §3), with a CHANGE-REQUEST (RFC 5780 §7.2) if `change` is given.
pub fn binding_request(transaction: Transaction, change: Option<Change>) -> Vec<u8> {
    let builder = Builder::request(Method::Binding, transaction);
    match change {
        Some(change) => builder.change_request(change).finish(),
        None => builder.finish(),
    }
}

/// A Binding request that asks for ICMP errors about the answers of these transactions.
pub fn bounced_request(transaction: Transaction, about: &[Transaction]) -> Vec<u8> {
    let builder = Builder::request(Method::Binding, transaction);
    builder.bounced(about).finish()
}
