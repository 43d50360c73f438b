//! Drivers on tokio: sockets, a clock and randomness for the protocols, which have
//! none of their own.
//!
//! [`drive::Driver`] drives any [`sansio::Protocol`] on UDP sockets; `discover` and
//! `endpoint` are drivers of the prober and of a peer on top of it. `tcp` makes
//! connections, and `gateway` asks the router for a port; `surroundings` holds what helps a peer
//! to be reached directly. Below them, [`udp::Udp`]
//! is a socket that also reports TTLs and ICMP errors, and [`sockets::Sockets`] are
//! several of them that are received from together.
//!
//! ```no_run
//! # async fn ask() -> std::io::Result<()> {
//! use std::time::{Duration, Instant};
//! use net::drive::Driver;
//! use sansio::{Input, Protocol, Transmit};
//!
//! /// Sends one STUN Binding request, and waits a second for an answer.
//! struct Once { request: Option<Transmit>, until: Option<Instant> }
//!
//! impl Protocol for Once {
//!     fn handle_input(&mut self, _now: Instant, _input: Input<'_>) { self.until = None; }
//!     fn handle_timeout(&mut self, _now: Instant) { self.until = None; }
//!     fn poll_transmit(&mut self) -> Option<Transmit> { self.request.take() }
//!     fn poll_timeout(&self) -> Option<Instant> { self.until }
//! }
//!
//! let server = net::host::resolve("stun.example.org", 3478).await?;
//! let request = stun::binding_request([7; 12], None);
//! let once = Once {
//!     request: Some(Transmit::new(0, server, request)),
//!     until: Some(Instant::now() + Duration::from_secs(1)),
//! };
//! let mut driver = Driver::towards(server, once)?;
//! driver.flush()?;
//! if let Some(arrival) = driver.step().await? {
//!     println!("{:?}", arrival.input());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A driver decides nothing that a protocol could decide. These are for Linux,
//! whose sockets report ICMP errors.

#[cfg(feature = "discover")]
pub mod discover;
pub mod drive;
#[cfg(feature = "peer")]
pub mod endpoint;
pub mod eyeballs;
pub mod files;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod host;
#[cfg(feature = "discover")]
pub mod mtu;
pub mod opened;
pub mod reach;
pub mod roaming;
pub mod sockets;
#[cfg(feature = "gateway")]
pub mod surroundings;
#[cfg(feature = "peer")]
pub mod tcp;
pub mod udp;
