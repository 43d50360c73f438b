//! Making the hole: one attempt between two peers that know each other's
//! addresses and share keys.
//!
//! Both sides send a low-TTL opener first, which opens their own NAT and dies
//! in the core, then probes on a [`schedule`]. Every probe carries a MAC. Who
//! hears one answers to its *observed source*, whatever address was announced.
//! The caller nominates the first path on which it was answered, a LAN path
//! before others, as a controlling agent does in RFC 8445 §8.1.1.

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
