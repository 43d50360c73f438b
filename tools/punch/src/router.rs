//! A port of our router, for the peer.

use std::net::SocketAddr;

use net::gateway::{Event, RouterPort, reachable};

use crate::args::Args;

/// Asks for nothing yet. A port is of no use to TCP, or where packets go through the
/// relay alone.
pub fn port(args: &Args) -> RouterPort {
    RouterPort::new(!(args.tcp || args.no_port_mapping || args.paths.relay_only))
}

/// The outside endpoint at which peers reach us after a change, if there is one, which is
/// told. `reflexive` is what servers saw.
pub fn outside(change: Event, reflexive: &[SocketAddr]) -> Option<SocketAddr> {
    let mapped = reachable(change, reflexive)?;
    cli::stderr::line(format_args!(
        "punch: our router maps {} to us (by {})",
        mapped.external, mapped.protocol
    ));
    Some(mapped.external)
}
