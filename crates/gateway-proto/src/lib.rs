//! A port that a home gateway maps, sans-IO: the messages of PCP (RFC 6887) and
//! NAT-PMP (RFC 6886), and the life of a [`lease`].
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

pub mod lease;
pub mod message;
