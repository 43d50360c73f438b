//! The relay: TURN (RFC 8656) over UDP, for the pairs that no hole joins.

mod allocation;
mod policy;
pub mod server;

pub use policy::{Cidr, Policy};
