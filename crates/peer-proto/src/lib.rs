//! A peer, sans-IO: how it registers, is introduced, and makes a hole.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

pub mod candidate;
pub mod cause;
pub mod client;
pub mod endpoint;
pub mod punch;
pub mod relay;
pub mod tcp;
