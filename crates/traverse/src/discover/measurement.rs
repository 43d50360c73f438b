//! What the hands need to know of a brain that measures.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::RngCore;
use wire::Transaction;

use crate::io::{SocketId, Transmit};

/// One measurement, sans-IO. The hands open the sockets that
/// [`poll_transmit`](Self::poll_transmit) names, in the order of their numbers,
/// and go on until [`poll_timeout`](Self::poll_timeout) is `None`.
pub trait Measurement {
    /// A socket has been opened at this address, with the IP address that the
    /// system uses towards the server.
    fn handle_opened(&mut self, _socket: SocketId, _local: SocketAddr) {}

    /// A datagram has come.
    fn handle_input(&mut self, now: Instant, socket: SocketId, from: SocketAddr, datagram: &[u8]);

    /// An ICMP error has come about what `socket` sent.
    fn handle_bounce(&mut self, _now: Instant, _socket: SocketId, _bounce: Bounce) {}

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    fn handle_timeout(&mut self, now: Instant);

    /// The next datagram to send.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` when done.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// An ICMP error about a datagram of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// Where the datagram was going.
    pub to: SocketAddr,
    /// Who sent the error.
    pub offender: IpAddr,
    /// Its time had run out (RFC 792 type 11, RFC 4443 type 3).
    pub expired: bool,
}

/// A transaction id that nobody off the path can guess.
pub(super) fn transaction(rng: &mut ChaCha20Rng) -> Transaction {
    let mut id = [0; 12];
    rng.fill_bytes(&mut id);
    id
}
