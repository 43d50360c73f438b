//! Packets seen in one place: captured, decoded, told.
//!
//! A vantage point is one host's network interfaces.
//! [`Capture`] watches the UDP packets of chosen local ports there, and the ICMP errors about
//! them; [`decode`] turns a frame into a [`Packet`]; [`tell`] says it in one line for people.
//! Where capturing is not permitted, [`Seen::sent`], [`Seen::received`] and [`Seen::icmp`] make
//! the same records from what a socket can tell.
//!
//! ```no_run
//! use std::time::Instant;
//! use capture::{Capture, Ports, tell};
//!
//! let ports = Ports::of([41000]);
//! let (capture, seen) = Capture::open(ports.clone(), Instant::now())?;
//! // … send and receive; ports.watch(41001) when another socket joins …
//! drop(capture); // what the kernel had seen until now is still delivered
//! for packet in seen {
//!     println!("{}", tell(&packet));
//! }
//! # Ok::<(), capture::CaptureError>(())
//! ```
//!
//! Checksums are never judged: the kernel hands out frames before it has completed them.

mod capture;
mod decode;
mod filter;
mod packet;
mod ports;
mod seen;
mod tell;

pub use capture::{Capture, CaptureError};
pub use decode::{Link, decode};
pub use packet::{IcmpError, Packet, What};
pub use ports::Ports;
pub use seen::{Direction, Seen};
pub use tell::tell;
