//! A TURN client (RFC 8656): one relayed address, asked of any TURN server, and
//! kept alive until [`Client::close`].
//!
//! Feed it what the TURN server sends with [`Client::handle_input`], call
//! [`Client::handle_timeout`] at the time that [`Client::poll_timeout`] returns, send what
//! [`Client::poll_transmit`] yields to the server, always from the same socket, and
//! act on [`Client::poll_event`]. The socket may be shared with others: what is not
//! TURN is left alone.
//!
//! A peer is heard, and can be sent to, once its address is permitted
//! ([`Event::Permitted`]). A payload then costs 36 bytes and up to three of padding
//! (IPv4), or four bytes once a channel is bound. Permissions and channels that are
//! asked for before the allocation is there are remembered.
//!
//! Redirections (300) are not followed, and TURN over TCP is not supported.

mod client;
mod request;
mod types;

pub use client::{Client, KEEPALIVE, MOST_PEERS};
pub use types::{Config, Event, Failure, Input, SendError};
