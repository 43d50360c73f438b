//! Drivers on tokio: sockets and a clock for the protocols, which have none.

#[cfg(feature = "discover")]
pub mod discover;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod host;
pub mod reach;
#[cfg(feature = "peer")]
pub mod session;
pub mod sockets;
#[cfg(feature = "peer")]
pub mod tcp;
pub mod udp;
