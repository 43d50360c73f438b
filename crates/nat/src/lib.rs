//! What a NAT is, in the words of RFC 4787, and what follows from it.
//!
//! [`Behaviour`] holds the axes, from which the classical names are computed;
//! [`oracle`] says from two of them who reaches whom; [`plan`] chooses the way
//! across two NATs, with its cost and its odds.
//!
//! Everything here is a pure function of its arguments.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

mod address;
mod allocation;
mod behaviour;
pub mod oracle;
pub mod plan;

pub use address::is_private;
pub use allocation::Policy;
pub use behaviour::{Behaviour, Class, Dependence};
