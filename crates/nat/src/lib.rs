//! What a NAT is, in the terms of RFC 4787, and what follows from it.
//!
//! - [`Behaviour`] holds the two axes, mapping and filtering; the classical name, [`Class`], is
//!   computed from them. [`PortAssignment`] is how the NAT chooses outside ports.
//! - [`oracle::expected`] says from two behaviours whether plain punching connects the hosts.
//! - [`plan::between`] chooses the strategy for two sides, with its cost and its odds.
//!
//! ```
//! use nat::Dependence::{AddressAndPortDependent, EndpointIndependent};
//! use nat::oracle::{Outcome, Why, expected};
//! use nat::plan::{Side, Strategy, between};
//! use nat::{Behaviour, Class};
//!
//! let ours = Behaviour::translated(EndpointIndependent, AddressAndPortDependent);
//! let theirs = Behaviour::translated(AddressAndPortDependent, AddressAndPortDependent);
//! assert_eq!(ours.class(), Some(Class::PortRestricted));
//! assert_eq!(theirs.class(), Some(Class::Symmetric));
//!
//! let plain = expected(&ours, &theirs);
//! assert_eq!((plain.outcome, plain.why), (Outcome::Failed, Why::SymmetricRemap));
//!
//! let side = |behaviour| Side { behaviour, ..Side::default() };
//! let plan = between(&side(ours), &side(theirs));
//! assert_eq!(plan.strategy, Strategy::Spray);
//! assert_eq!(plan.caller.ports_per_socket, 1946); // guesses, towards one of 300 ports
//! assert_eq!(plan.callee.sockets, 300);
//! ```
//!
//! Everything here is a pure function of its arguments. Nothing here measures a NAT (the crate
//! `discover` does), imitates one (`sim` does) or sends a packet (`peer-proto` carries a plan out).
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

mod address;
mod behaviour;
pub mod oracle;
pub mod plan;
mod port_assignment;
mod schema;

pub use address::{is_private, private_network};
pub use behaviour::{Behaviour, Class, Dependence};
pub use port_assignment::{ALL_PORTS, MAX_STEP, PortAssignment};
pub use schema::Schema;
