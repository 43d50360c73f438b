//! What both ends of a conversation share: keys, sealed messages, names, and
//! credentials for the relay.
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
pub mod seal;
