//! Drivers on tokio: sockets and a clock for the protocols, which have none.

#[cfg(feature = "discover")]
pub mod discover;
pub mod drive;
#[cfg(feature = "peer")]
pub mod endpoint;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod host;
pub mod reach;
pub mod sockets;
#[cfg(feature = "peer")]
pub mod tcp;
pub mod udp;
