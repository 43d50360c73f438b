//! A peer, sans-IO: it registers at a rendezvous, is introduced to other peers, and
//! punches through the NATs in between, by UDP or by TCP.
//!
//! | module | what it is for |
//! |---|---|
//! | [`endpoint`] | a whole peer: start here |
//! | [`client`] | the rendezvous' client: registration, lookup, introduction |
//! | [`candidate`] | where a peer may be reached, as the two sides tell each other |
//! | [`punch`] | one attempt by UDP: probes, guessed ports, nomination; the quality of a path |
//! | [`tcp`] | one attempt by TCP: simultaneous open |
//! | [`relay`] | a TURN client |
//! | [`improvement`] | when a better path than a relayed one is tried for again |
//! | [`share`] | after an attempt: what both have noted of it, exchanged |
//! | [`cause`] | why an attempt failed, as data |
//!
//! # The order of calls
//!
//! An [`Endpoint`](endpoint::Endpoint) is driven as every [`sansio::Protocol`] is. In
//! addition:
//!
//! 1. [`Endpoint::new`](endpoint::Endpoint::new) begins to register. If the
//!    configuration says that our NAT is being measured, call
//!    [`describe`](endpoint::Endpoint::describe) with the result: until then no port is
//!    guessed.
//! 2. [`call`](endpoint::Endpoint::call) a peer, or wait for peers that call.
//! 3. After each call of a `handle_…` method, send all that `poll_transmit` yields, **in
//!    that order**, and take what [`poll_event`](endpoint::Endpoint::poll_event) yields.
//! 4. There is a path after [`Connected`](endpoint::Event::Connected). Go on driving
//!    until [`Finished`](endpoint::Event::Finished): only then does the peer know, too.
//! 5. [`leave`](endpoint::Endpoint::leave), and send what is left to send.
//!
//! Two endpoints behind two NATs, with a rendezvous, in the simulator:
//!
//! ```
//! use std::net::{IpAddr, SocketAddr};
//! use std::time::{Duration, Instant};
//!
//! use peer_proto::client;
//! use peer_proto::endpoint::{Config, Endpoint, Event};
//! use rendezvous_proto::server::{self, Server};
//! use session::identity::Identity;
//! use sim::{Network, Profile};
//!
//! let start = Instant::now();
//! let mut network = Network::new(start, 1);
//! let at: SocketAddr = "203.0.113.1:8848".parse().unwrap();
//! let host = network.add_host(Network::CORE, &[at.ip()]);
//! network.bind(host, at);
//! let mut server = Server::new(
//!     server::Config {
//!         addresses: vec![at],
//!         secret: [42; 32],
//!         rate: server::RATE,
//!         most_names: 100,
//!     },
//!     start,
//! )
//! .with_key(Identity::from_secret(&[7; 32]));
//! let server_key = Identity::from_secret(&[7; 32]).public();
//!
//! let mut peer = |name: &str, outside: [u8; 4], inside: [u8; 4], calls: Option<&str>| {
//!     let nat = Profile::named("port-restricted").unwrap();
//!     let lan = network.add_router(Network::CORE, IpAddr::from(outside), nat);
//!     let host = network.add_host(lan, &[IpAddr::from(inside)]);
//!     network.bind(host, SocketAddr::from((inside, 40000)));
//!     let client = client::Config {
//!         server: at,
//!         server_key: Some(server_key),
//!         name: name.into(),
//!         identity: Identity::from_secret(&[inside[2]; 32]),
//!         sequence: 1,
//!         relay: false,
//!         seed: [inside[2]; 32],
//!     };
//!     let config = Config {
//!         peer: calls.map(str::to_owned),
//!         ..Config::new(client)
//!     };
//!     Endpoint::new(config, start)
//! };
//! let mut alice = peer("alice", [203, 0, 113, 17], [192, 168, 1, 2], Some("bob"));
//! let mut bob = peer("bob", [203, 0, 113, 33], [192, 168, 2, 2], None);
//!
//! let deadline = start + Duration::from_secs(10);
//! let path = loop {
//!     // This sends, waits and receives, as a driver does.
//!     assert!(network.step(&mut [&mut server, &mut alice, &mut bob], deadline));
//!     if let Some(Event::Connected { peer, path }) = alice.poll_event() {
//!         assert_eq!(peer, "bob");
//!         break path;
//!     }
//! };
//! assert_eq!(path.remote, bob.mapped()[0]);
//! ```
//!
//! # What it does not do
//!
//! It has no socket, no clock, no thread and no randomness of its own: time and seeds
//! are arguments. (One exception: the transaction ids of [`relay`].) It does not measure
//! the NAT; `pinhole-discover` does. It does not open ports at gateways, does not keep a
//! path alive, and does not encrypt what is sent over a path. Attempts by TCP are
//! introduced by the endpoint, but driven by whoever has the connections: see
//! [`Endpoint::poll_tcp`](endpoint::Endpoint::poll_tcp).
//!
//! `tracing` events at level `debug` say what is decided, at level `trace` what is sent
//! and dropped.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

mod bucket;
pub mod candidate;
pub mod cause;
pub mod client;
pub mod endpoint;
pub mod improvement;
pub mod punch;
pub mod relay;
pub mod share;
pub mod tcp;
