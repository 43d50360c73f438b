//! Messages ↔ bytes. Every datagram of Pinhole is a STUN message (RFC 8489):
//! reflexive addresses and behaviour discovery as RFC 5780 has them,
//! registration, introduction and punch probes as methods of our own.
//!
//! The clients that speak RFC 3489 alone are answered by [`ClassicRequest`].
//!
//! TURN's messages (RFC 8656) are in [`turn`].
//!
//! The codec is `stun-types`; this crate adds the RFC 5780 attributes, our
//! methods and attributes (docs/reference/protocol.md lists the code points), and a view
//! that never panics on bytes from the network.
//!
//! Nothing here knows a socket, a clock or a source of randomness.
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

/// The largest datagram that we send or look at, in bytes.
pub const MAX_DATAGRAM: usize = 1280;

/// The key of MESSAGE-INTEGRITY-SHA256 for 32 secret bytes: a short-term
/// credential (RFC 8489 §9.1) whose password is their lower-case hex.
pub fn integrity_key(secret: &[u8; 32]) -> IntegrityKey {
    use std::fmt::Write;
    let mut password = String::with_capacity(64);
    for byte in secret {
        let _ = write!(password, "{byte:02x}");
    }
    stun_types::message::ShortTermCredentials::new(password).make_key()
}

/// A Binding request (RFC 8489 §3), asking for the answer to come from another
/// address or port when `change` says so (RFC 5780 §7.2).
pub fn binding_request(transaction: Transaction, change: Option<Change>) -> Vec<u8> {
    let builder = Builder::request(Method::Binding, transaction);
    match change {
        Some(change) => builder.change_request(change).finish(),
        None => builder.finish(),
    }
}

/// A Binding request that asks what came back of these answers.
pub fn bounced_request(transaction: Transaction, about: &[Transaction]) -> Vec<u8> {
    let builder = Builder::request(Method::Binding, transaction);
    builder.bounced(about).finish()
}
