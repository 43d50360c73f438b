//! Punching by UDP: one attempt between two peers that know each other's
//! addresses and share keys.
//!
//! Each side first sends an opener with a low TTL, which opens its own NAT and dies
//! before it reaches the peer's. Then it sends probes on a [`schedule`], and, where
//! ports are guessed, a [`Burst`]. Every probe carries a MAC. It is answered to the
//! address that it came from, whatever address was announced. The caller nominates
//! the first pair on which a probe of its own was answered, a LAN path before
//! others, as the controlling agent does in RFC 8445 §8.1.1.
//!
//! Once there is a path, a [`Meter`] measures it, if both sides ask for that.

mod agent;
mod burst;
mod checklist;
mod meter;
mod outbox;
mod pair;
pub mod schedule;
mod types;

pub use agent::Agent;
pub use burst::{Burst, targets};
pub use meter::{Measured, Meter, Throughput};
pub use pair::Path;
pub use types::{Config, Event, Observed, Outgoing, Target};
