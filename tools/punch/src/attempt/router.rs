//! A port of our router's: asked for, and where it leads from.

use net::gateway;

use super::*;

/// What becomes of our router's port.
pub async fn granted(lease: &mut Option<Lease>) -> gateway::Event {
    match lease {
        Some(lease) => lease.next().await,
        None => std::future::pending().await,
    }
}

impl<W: FnMut(Traffic<'_>)> Attempt<'_, W> {
    /// Asks our router for a port, if there is a router between.
    pub(super) fn ask_gateway(&mut self, mapped: SocketAddr) {
        let port = self.session.port(0);
        let translated = host::local_address(self.settings.server, port) != mapped;
        if self.args.tcp
            || self.args.no_port_mapping
            || self.args.paths.relay_only
            || !translated
            || !mapped.is_ipv4()
        {
            return;
        }
        let config = gateway::Config {
            observed: vec![mapped.ip()],
            ..gateway::Config::default()
        };
        // Without one it is as before.
        self.lease = Lease::ask(port, config).ok();
    }

    /// Where the router's port is of use: an outer one behind another NAT is not.
    pub fn opened(&mut self, event: gateway::Event) {
        let mapped = self.session.endpoint().mapped();
        let external = match event {
            gateway::Event::Mapped(gateway::Mapped {
                external, protocol, ..
            }) if mapped.iter().any(|seen| seen.ip() == external.ip()) => {
                cli::stderr::line(format_args!(
                    "punch: our router leads from {external} to us ({protocol})"
                ));
                Some(external)
            }
            _ => None,
        };
        self.session.endpoint_mut().opened(external);
    }
}
