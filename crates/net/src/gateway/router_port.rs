//! A port of our router: asked for when we are behind a NAT, and given back.

use std::future::pending;
use std::net::SocketAddr;

use super::{Config, Event, Lease, Mapped};
use crate::host;

/// The lease of a port of our router, if one is wanted and was asked for.
#[derive(Debug)]
pub struct RouterPort {
    wanted: bool,
    lease: Option<Lease>,
}

impl RouterPort {
    /// Asks for nothing yet.
    pub fn new(wanted: bool) -> RouterPort {
        RouterPort {
            wanted,
            lease: None,
        }
    }

    /// Asks the router for `port`, if the reflexive address shows a NAT. Without
    /// one all goes on as before.
    pub fn ask(&mut self, server: SocketAddr, port: u16, reflexive: SocketAddr) {
        let behind_nat = host::local_address(server, port) != reflexive;
        if self.wanted && behind_nat && reflexive.is_ipv4() {
            let mut config = Config::default();
            config.observed.push(reflexive.ip());
            self.lease = Lease::ask(port, config).ok();
        }
    }

    /// Whether no port was asked for.
    pub fn is_unasked(&self) -> bool {
        self.lease.is_none()
    }

    /// The router is out of reach: its port ends with its lifetime.
    pub fn forget(&mut self) {
        self.lease = None;
    }

    /// The next change of the port. It waits for ever where none was asked for.
    pub async fn next(&mut self) -> Event {
        match &mut self.lease {
            Some(lease) => lease.next().await,
            None => pending().await,
        }
    }

    /// Gives the port back.
    pub async fn close(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.close().await;
        }
    }
}

/// The mapping at whose outside endpoint peers reach us after a change, if there is
/// one. `reflexive` is what servers saw: a port on another address is behind another
/// NAT, and of no use.
pub fn reachable(change: Event, reflexive: &[SocketAddr]) -> Option<Mapped> {
    let Event::Mapped(mapped) = change else {
        return None;
    };
    let mut seen = reflexive.iter();
    seen.any(|seen| seen.ip() == mapped.external.ip())
        .then_some(mapped)
}
