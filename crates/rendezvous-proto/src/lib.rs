//! The rendezvous, sans-IO: STUN server, registry, introducer, relay.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

mod bounces;
pub mod cookie;
mod forward;
mod limit;
pub mod registry;
pub mod relay;
mod secret;
pub mod server;
