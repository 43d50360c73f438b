//! Packets that were seen on a host's network interfaces.
//!
//! [`Capture`] delivers the UDP and TCP packets of chosen local ports, and the ICMP errors about them, as
//! [`Seen`]. [`describe`] puts one into a line for people, and it serializes to JSON
//! (docs/reference/json.md). Where a capture is not permitted, [`Seen::sent`], [`Seen::received`] and
//! [`Seen::icmp`] make the same records from what a socket reports. [`decode`] reads a single frame:
//!
//! ```
//! use capture::{Link, What, decode};
//!
//! let udp_over_ipv4 = [
//!     0x45, 0, 0, 33, 0, 7, 0, 0, 2, 17, 0, 0, 192, 168, 1, 2, 203, 0, 113, 33, // IPv4
//!     0xa0, 0x28, 0x9c, 0x41, 0, 13, 0, 0, // UDP
//!     b'h', b'e', b'l', b'l', b'o',
//! ];
//! let packet = decode(Link::Ip, &udp_over_ipv4).unwrap();
//! assert_eq!(packet.src, "192.168.1.2:41000".parse().unwrap());
//! assert_eq!((packet.ttl, packet.what), (Some(2), What::Data));
//! ```
//!
//! A capture, from its start to its end:
//!
//! ```no_run
//! use std::time::Instant;
//! use capture::{Capture, Ports, describe};
//!
//! let ports = Ports::of([41000]);
//! let (capture, seen) = Capture::open(ports.clone(), Instant::now())?;
//! // … send and receive; ports.watch(Transport::Udp, 41001) when another socket joins …
//! drop(capture); // packets that the kernel has seen until now are still delivered
//! for packet in seen {
//!     println!("{}", describe(&packet));
//! }
//! # Ok::<(), capture::CaptureError>(())
//! ```
//!
//! Checksums are not checked: the kernel delivers frames before it has completed them. Fragments other
//! than the first are left out.

mod capture;
mod decode;
mod describe;
mod filter;
mod owned;
mod packet;
mod ports;
mod seen;

pub use capture::{Capture, CaptureError};
pub use decode::{Link, decode};
pub use describe::describe;
pub use packet::{IcmpError, Packet, Transport, What};
pub use ports::Ports;
pub use seen::{Direction, Seen};
