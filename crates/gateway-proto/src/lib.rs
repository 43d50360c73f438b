//! A UDP port that a home gateway maps to this host, sans-IO: the messages of PCP
//! (RFC 6887) and NAT-PMP (RFC 6886) in [`message`], and in [`lease`] the state
//! machine that finds a protocol, asks for a mapping, renews it and gives it back.
//!
//! A driver carries out the actions of a [`Lease`](lease::Lease) and reports how
//! each ended:
//!
//! ```
//! use std::time::{Duration, Instant};
//! use gateway_proto::lease::{
//!     Action, Config, Event, Grant, Lease, MappingProtocol, NoMapping,
//! };
//!
//! let now = Instant::now();
//! let mut lease = Lease::new(Config::default());
//! while let Some(action) = lease.poll_action() {
//!     match action {
//!         // Send what gateway_proto::message builds, wait, and report. This
//!         // gateway knows PCP alone.
//!         Action::Find(MappingProtocol::Pcp) => lease.handle_found(now, MappingProtocol::Pcp),
//!         Action::Find(other) => lease.handle_missing(now, other, NoMapping::Silent),
//!         Action::Map { protocol, lifetime, .. } => {
//!             let external = "203.0.113.17:5000".parse().unwrap();
//!             lease.handle_granted(now, protocol, Grant { external, lifetime });
//!         }
//!         Action::Release(_) => lease.handle_released(now),
//!     }
//! }
//! assert!(matches!(lease.poll_event(), Some(Event::Mapped(_))));
//! // Half of the lifetime later it is renewed.
//! let renew = lease.poll_timeout().unwrap();
//! assert_eq!(renew - now, Duration::from_secs(3600));
//! lease.handle_timeout(renew);
//! assert!(matches!(lease.poll_action(), Some(Action::Map { .. })));
//! ```
//!
//! In field names, `internal` and `external` are RFC 6887's words for inside and
//! outside. A field `external` of type `SocketAddr` is an outside endpoint.
//!
//! It has no messages of UPnP-IGD, which is HTTP: the driver brings a client. It
//! maps no TCP ports, and does not notice that the host has moved to another
//! network: that takes another lease.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

pub mod lease;
pub mod message;
