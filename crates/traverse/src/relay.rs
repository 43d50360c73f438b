//! The relay: TURN (RFC 8656) over UDP, for the pairs that no hole joins.
//!
//! [`server`] is the part that the rendezvous plays, [`client`] the part of a
//! peer, with any TURN server. [`credentials`] are good for a while and come
//! from the rendezvous, or from whoever shares its secret.

mod allocation;
pub mod client;
pub mod credentials;
mod policy;
pub mod server;

pub use policy::{Cidr, Policy};
