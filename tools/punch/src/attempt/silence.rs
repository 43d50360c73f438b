//! Nobody answers, or nobody comes: why?

use net::reach;

use super::*;

/// How long the server's host has to answer a knock by TCP.
const KNOCK: Duration = Duration::from_millis(500);

impl<W: FnMut(Traffic<'_>)> Attempt<'_, W> {
    /// Never an answer by UDP, but one by TCP.
    pub(super) async fn is_blocked(&self) -> anyhow::Result<bool> {
        let server = self.settings.server;
        if !self.session.endpoint().mapped().is_empty() {
            return Ok(false);
        }
        if let Some(other) = self.session.answered().filter(|from| *from != server) {
            anyhow::bail!(
                "{server} was asked and {other} answered: a server with several addresses \
                 has to be started with --ip {}",
                server.ip()
            );
        }
        let (stun, tcp) = tokio::join!(
            reach::speaks_stun(server, KNOCK),
            reach::tcp_rtt(server, KNOCK)
        );
        Ok(!stun? && self.session.answered().is_none() && tcp.is_some())
    }

    /// Nobody was introduced in time: why?
    pub(super) async fn nobody(&self) -> anyhow::Result<(Outcome, Instant)> {
        let failed = |cause| Ok((Outcome::Failed(cause), Instant::now()));
        let server = self.settings.server;
        if self.is_blocked().await? {
            return failed(Cause::UdpBlocked);
        }
        if self.session.endpoint().mapped().is_empty() {
            // What answers and is no rendezvous says nothing about the way.
            let answers = self.session.answered().is_some();
            anyhow::ensure!(
                !answers && !reach::speaks_stun(server, KNOCK).await?,
                "{server} answers, but is no rendezvous: start one with: rendezvous --ip {}",
                server.ip()
            );
            anyhow::bail!(
                "no answer from {server}, neither by UDP nor by TCP: \
                 is it the right address, and is the rendezvous running?"
            );
        }
        let peer = self.args.peer.as_deref().unwrap_or_default();
        let endpoint = self.session.endpoint();
        if let Some(cause) = endpoint.cause_so_far(peer) {
            return failed(cause);
        }
        anyhow::ensure!(
            reach::speaks_stun(server, KNOCK).await?,
            "{server} no longer answers"
        );
        if self.peer.is_none() {
            let name = self.settings.name.clone();
            return failed(Cause::NobodyAsked { name });
        }
        // The server waits longer for the peer than we did for the server.
        anyhow::ensure!(
            endpoint.is_asked_for(peer),
            "there was no time to ask {server} for {peer}: give a longer --timeout"
        );
        failed(Cause::PeerSilent { peer: peer.into() })
    }
}
