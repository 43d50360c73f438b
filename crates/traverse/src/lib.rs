//! The brains: what to send when, and what an answer means.
//!
//! Everything here is sans-IO. There is no socket, clock, thread or source of
//! randomness in this crate: the time and the seeds are arguments, datagrams
//! go in through `handle_*` and come out through `poll_*`.

pub mod candidate;
pub mod discover;
pub mod endpoint;
pub mod identity;
pub mod introduce;
pub mod io;
pub mod lease;
pub mod nat;
pub mod oracle;
pub mod plan;
pub mod punch;
pub mod relay;
pub mod seal;
pub mod sim;
pub mod tcp;
pub mod verdict;
