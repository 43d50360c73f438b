//! A port of our router: asked for when we are behind a NAT, and given back.

use std::future::pending;
use std::net::SocketAddr;

use net::gateway::{Config, Event, Lease, Mapped};
use net::host;

use crate::args::Args;

/// The lease of a port of our router, if one is wanted and was asked for.
pub struct RouterPort {
    wanted: bool,
    lease: Option<Lease>,
}

impl RouterPort {
    /// Asks for nothing yet. A port is of no use to TCP, or where packets go
    /// through the relay alone.
    pub fn new(args: &Args) -> RouterPort {
        RouterPort {
            wanted: !(args.tcp || args.no_port_mapping || args.paths.relay_only),
            lease: None,
        }
    }

    /// Asks the router for `port`, if the reflexive address shows a NAT. Without
    /// one the attempt goes on as before.
    pub fn ask(&mut self, server: SocketAddr, port: u16, reflexive: SocketAddr) {
        let behind_nat = host::local_address(server, port) != reflexive;
        if self.wanted && behind_nat && reflexive.is_ipv4() {
            let mut config = Config::default();
            config.observed.push(reflexive.ip());
            self.lease = Lease::ask(port, config).ok();
        }
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

/// The outside endpoint at which peers reach us after a change, if there is one.
/// `reflexive` is what servers saw: a port on another address is behind another
/// NAT, and of no use.
pub fn outside(change: Event, reflexive: &[SocketAddr]) -> Option<SocketAddr> {
    let Event::Mapped(Mapped {
        external, protocol, ..
    }) = change
    else {
        return None;
    };
    let reachable = reflexive.iter().any(|seen| seen.ip() == external.ip());
    reachable.then(|| {
        cli::stderr::line(format_args!(
            "punch: our router maps {external} to us (by {protocol})"
        ));
        external
    })
}
