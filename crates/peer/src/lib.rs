//! tokio hands for the brains in `traverse`: sockets, addresses, keys on disk.

pub mod discover;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod home;
pub mod host;
pub mod reach;
pub mod session;
pub mod settings;
pub mod signals;
pub mod sockets;
pub mod tcp;
pub mod udp;
