//! Making the hole: one attempt between two peers that know each other's
//! addresses and share keys.
//!
//! Both sides send a low-TTL opener first, which opens their own NAT and dies
//! in the core, then probes on a [`schedule`]. Every probe carries a MAC. Who
//! hears one answers to its *observed source*, whatever address was announced.
//! The caller nominates the first path on which it was answered, a LAN path
//! before others, as a controlling agent does in RFC 8445 §8.1.1.

mod agent;
mod checklist;
mod meter;
mod outbox;
mod pair;
pub mod schedule;
mod volley;
mod words;

pub use agent::Agent;
pub use meter::{Burst, Measured, Meter};
pub use pair::Path;
pub use volley::{Outgoing, Shot, Volley, shots};
pub use words::{Config, Event, Observed};
