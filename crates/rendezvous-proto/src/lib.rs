//! The rendezvous, sans-IO: a STUN server with NAT behaviour discovery, a
//! registry of names, introductions of peers, and a relay (TURN).
//!
//! A [`Server`](server::Server) is driven as every [`Protocol`](sansio::Protocol)
//! is: datagrams and ICMP errors go in through `handle_input`; then everything
//! that `poll_transmit` yields is sent; `handle_timeout` is called when
//! `poll_timeout` says so. `handle_datagram` is a richer `handle_input`: it
//! reports whether the sender has proved its address.
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::Instant;
//! use rendezvous_proto::server::{Config, MOST_NAMES, RATE, Sender, Server};
//! use sansio::Protocol;
//!
//! let addresses: Vec<SocketAddr> = ["203.0.113.1:8848", "203.0.113.1:8849"]
//!     .map(|address| address.parse().unwrap())
//!     .to_vec();
//! let config = Config {
//!     addresses,
//!     secret: [7; 32], // random
//!     rate: RATE,
//!     most_names: MOST_NAMES as usize,
//! };
//! let now = Instant::now();
//! let mut server = Server::new(config, now);
//!
//! // A client asks for its reflexive address.
//! let client: SocketAddr = "198.51.100.7:40000".parse().unwrap();
//! let request = stun::binding_request([1; 12], None);
//! let sender = server.handle_datagram(now, 0, client, &request);
//! assert_eq!(sender, Sender::Unproved);
//!
//! let answer = server.poll_transmit().unwrap();
//! assert_eq!((answer.socket, answer.to), (0, client));
//! let answer = stun::Message::parse(&answer.payload).unwrap();
//! assert_eq!(answer.mapped(), Some(client));
//! assert_eq!(server.poll_timeout(), None);
//! ```
//!
//! The components, each with its own state:
//!
//! - `discovery`: Binding by UDP and TCP, also in the dialect of RFC 3489, and
//!   the ICMP errors that answers have met;
//! - `registrar`: cookies, signatures and the registry of names;
//! - [`bindings`]: what of the registry the driver stores, so that it outlives the process;
//! - `introductions`: the caller's offer to the callee, and the answer back;
//! - [`relay`]: the TURN server, whose relayed sockets the driver opens;
//! - `streams`: the TCP connections;
//! - `prover`: the server's own key, which signs what clients ask to be proved;
//! - `rate`: what one source prefix may ask for.
//!
//! Every table has a share for each source prefix ([`sansio::Shares`]).
//!
//! What it does not do: it has no sockets, no clock and no files. It does not speak TLS or DTLS, and by TCP answers Binding alone. It
//! cannot read what peers seal for each other. Without a relay no payload of one
//! client reaches another, except the sealed offer and its answer.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

pub mod bindings;
mod cookie;
mod discovery;
mod icmp_errors;
mod introductions;
mod output;
mod prover;
mod rate;
mod registrar;
mod registry;
pub mod relay;
mod secret;
pub mod server;
mod streams;
mod types;
