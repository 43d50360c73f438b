//! The server's addresses: what was given, and what the server reports.

use std::net::SocketAddr;

use super::test::Answer;

#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    /// The address that is asked first.
    pub(super) s1: SocketAddr,
    /// Its other address, or another server's, if given.
    pub(super) s2: Option<SocketAddr>,
    /// OTHER-ADDRESS of the first answer. It depends on the address that was asked, so a later one
    /// may be `s1` itself.
    pub(super) other: Option<SocketAddr>,
}

impl Server {
    /// Takes OTHER-ADDRESS from the first answer that has one, and returns the addresses to ask in
    /// addition.
    pub(super) fn learn(&mut self, answer: &Answer) -> Vec<SocketAddr> {
        // All sockets are of one family, and port 0 is not an address to send to.
        let usable = |other: &SocketAddr| other.is_ipv4() == self.s1.is_ipv4() && other.port() != 0;
        let Some(other) = answer.other.filter(usable) else {
            return Vec::new();
        };
        if self.other.is_some() || answer.asked != self.s1 {
            return Vec::new();
        }
        tracing::debug!(%other, "the server reports another address");
        self.other = Some(other);
        // A second port of the first address does not stand for another address.
        let given = self.s2.is_some_and(|s2| s2.ip() != self.s1.ip());
        let by_address = !given && other.ip() != self.s1.ip();
        let by_port = other.port() != self.s1.port();
        [
            by_address.then(|| SocketAddr::new(other.ip(), self.s1.port())),
            by_port.then(|| SocketAddr::new(self.s1.ip(), other.port())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The other address, if it has another IP address.
    pub(super) fn elsewhere(&self) -> Option<SocketAddr> {
        self.other.filter(|other| other.ip() != self.s1.ip())
    }
}
