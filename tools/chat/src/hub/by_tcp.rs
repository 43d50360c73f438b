//! TCP beside UDP, for peers to which UDP finds no direct path: the hub connects where the endpoint
//! says so, and a connection carries the link as a path by UDP does.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use net::host;
use net::tcp::{self, ByTcp, Port, Punched};
use peer_proto::candidate::Tcp;
use peer_proto::punch::Path;
use sansio::{StreamId, Via};
use tokio::task::JoinSet;

use super::Hub;
use super::peers::Peer;
use crate::link::{Close, Down};
use crate::notice::How;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Where peers reach us by TCP; `None`: nowhere.
    Offer(Option<Tcp>),
    /// An attempt has ended.
    Ended(tcp::Ended),
}

/// Our TCP port, while there is a peer that is not reached directly.
#[derive(Debug, Default)]
pub struct TcpPort {
    preparing: JoinSet<io::Result<ByTcp>>,
    by_tcp: Option<ByTcp>,
    /// The number of the last connection.
    last: StreamId,
}

impl TcpPort {
    /// Takes a port, and asks the server where it is seen.
    fn prepare(&mut self, server: SocketAddr) {
        if self.by_tcp.is_none() && self.preparing.is_empty() {
            self.preparing.spawn(async move {
                let port = Port::bind(SocketAddr::new(host::wildcard(server), 0))?;
                ByTcp::prepare(port, server).await
            });
        }
    }

    /// Gives the port up, with the attempt from it. Connections stay.
    pub fn forget(&mut self) {
        *self = TcpPort {
            last: self.last,
            ..TcpPort::default()
        };
    }

    /// What happens next. A call that is dropped loses nothing.
    pub async fn next(&mut self) -> Event {
        let prepared = self.preparing.join_next();
        let happens = async {
            match &mut self.by_tcp {
                Some(by_tcp) => by_tcp.next().await,
                None => pending().await,
            }
        };
        let prepared = tokio::select! {
            Some(prepared) = prepared => prepared,
            event = happens => return match event {
                tcp::Event::Moved(tcp) => Event::Offer(Some(tcp)),
                tcp::Event::Ended(ended) => Event::Ended(ended),
            },
        };
        match prepared {
            Ok(Ok(by_tcp)) => {
                let candidates = by_tcp.candidates().clone();
                self.by_tcp = Some(by_tcp);
                Event::Offer(Some(candidates))
            }
            failed => {
                tracing::debug!(?failed, "not reached by TCP");
                Event::Offer(None)
            }
        }
    }

    fn next_stream(&mut self) -> StreamId {
        self.last += 1;
        self.last
    }
}

impl Hub {
    /// UDP has found no direct path to a peer.
    pub(super) fn tcp_wanted(&mut self) {
        self.network.tcp.prepare(self.network.server);
    }

    /// Begins the attempts by TCP that the endpoint has introduced. When this returns, their first
    /// SYNs have left: before what invites the peer's.
    pub(super) async fn connect_by_tcp(&mut self) {
        while let Some(attempt) = self.network.endpoint.poll_tcp() {
            let peer = self.peers.get_mut(&attempt.peer);
            // Two connections cannot have the same two ends.
            let has_one = peer.is_some_and(|peer| peer.how() == Some(How::Tcp));
            if let (Some(by_tcp), false) = (&self.network.tcp.by_tcp, has_one)
                && let Err(error) = by_tcp.start(attempt).await
            {
                tracing::debug!(%error, "no attempt by TCP");
            }
        }
    }

    /// What our TCP port reports.
    pub(super) fn handle_tcp(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Offer(tcp) => self.network.endpoint.offer_tcp_too(tcp),
            Event::Ended(ended) => match ended.outcome {
                Ok(tcp::Outcome::Connected(punched)) => {
                    return self.connected_by_tcp(&ended.peer, punched);
                }
                Ok(tcp::Outcome::Failed(cause)) => {
                    let (peer, cause) = (ended.peer, cause.code());
                    tracing::debug!(peer, cause, tries = ended.tries, "no path by TCP");
                }
                Err(error) => tracing::debug!(peer = ended.peer, %error, "the connection broke"),
            },
        }
        Ok(())
    }

    /// Both sides have agreed on a connection: it is a path, if there is no better one.
    fn connected_by_tcp(&mut self, name: &str, punched: Punched) -> anyhow::Result<()> {
        let lacks = |peer: &mut Peer| matches!(peer.how(), None | Some(How::Relay));
        let peer = self.peers.get_mut(name);
        if !peer.is_some_and(|peer| lacks(peer) && !peer.contact.is_punched()) {
            return Ok(());
        }
        let id = self.network.tcp.next_stream();
        let path = Path {
            via: Via::Stream(id),
            remote: punched.path.remote,
            lan: punched.path.lan,
            relayed: false,
            rtt: punched.path.rtt,
            guess: None,
        };
        self.network.socket.carry(id, punched);
        self.connected(name, path)
    }

    /// A connection has ended. A link over it is lost, and looks for another path at once.
    pub(super) fn stream_ended(&mut self, now: Instant, id: StreamId) {
        self.network.socket.streams.remove(id);
        let network = &self.network;
        let over = self.peers.iter().find_map(|(_, peer)| {
            let link = &peer.line.as_ref()?.link;
            let remote = link.connection.remote_address();
            (network.stream_of(remote) == Some(id)).then_some(link)
        });
        if let Some(link) = over {
            link.close(Close::Replaced);
            let (link, why) = (link.id, "the TCP connection has ended");
            self.link_down(now, link, Down::Lost(why.into()));
        }
        self.network.socket.detours.forget(Via::Stream(id));
    }

    /// Ends the connections that no link leads over, and gives the port up once each peer is
    /// reached by UDP.
    pub(super) fn close_streams(&mut self, now: Instant) {
        let network = &self.network;
        let remotes = self.peers.iter().filter_map(|(_, peer)| {
            let link = &peer.line.as_ref()?.link;
            Some(link.connection.remote_address())
        });
        let used = Vec::from_iter(remotes.filter_map(|remote| network.stream_of(remote)));
        let streams = &network.socket.streams;
        for id in streams.close_unused(now, |id| used.contains(&id)) {
            network.socket.detours.forget(Via::Stream(id));
        }
        let direct = |peer: &Peer| matches!(peer.how(), Some(How::Lan | How::Direct));
        let needs = |peer: &Peer| !peer.conversation.is_idle() && !direct(peer);
        if !self.peers.iter().any(|(_, peer)| needs(peer)) {
            self.network.tcp.forget();
            self.network.endpoint.offer_tcp_too(None);
        }
    }
}
