//! The way to peers: the endpoint that finds paths and QUIC, on one socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use cli::lookup::LookUp;
use cli::settings;
use net::host;
use net::surroundings::Surroundings;
use peer_proto::endpoint::{Endpoint, Event};
use peer_proto::punch::Path;
use quinn::Incoming;
use sansio::{IcmpError, Input, Protocol, SocketId, StreamId, Via};
use session::identity::{Identity, PublicKey};
use stun::IcmpReason;
use tokio::sync::mpsc;

use super::by_tcp::TcpPort;
use super::run::sleep_until;
use crate::conversation::LinkId;
use crate::link::Links;
use crate::socket::{self, SharedSocket};
use crate::tls::{self, AllowedKeys};

/// How long the relay may take to confirm that our allocation is deleted.
const GIVE_BACK: Duration = Duration::from_millis(500);

/// The way to peers.
pub struct Network {
    /// The one socket.
    pub socket: Arc<SharedSocket>,
    /// Registers us, and finds paths.
    pub endpoint: Endpoint,
    /// Makes connections over these paths.
    pub quic: quinn::Endpoint,
    /// Runs them.
    pub links: Links,
    /// The keys that may be at their other ends.
    pub allowed: AllowedKeys,
    /// Our key.
    pub identity: Identity,
    /// The rendezvous.
    pub server: SocketAddr,
    /// Whether it is at another address by now.
    pub lookup: LookUp,
    /// What helps to reach peers directly.
    pub surroundings: Surroundings,
    /// Where peers reach us by TCP, if that is wanted.
    pub tcp: TcpPort,
    /// Peers are told our own addresses.
    pub tells_hosts: bool,
    /// How often a link is kept alive.
    pub keepalive: Duration,
    /// The number of the last link.
    pub last_link: LinkId,
    /// The server has seen us.
    pub was_registered: bool,
    /// When a script gives up if we are not registered.
    pub register_by: Option<Instant>,
}

impl Network {
    /// What the socket has beside QUIC.
    ///
    /// # Errors
    /// When nothing listens at the rendezvous' address, and never did.
    pub fn handle_socket(&mut self, now: Instant, event: socket::Event) -> anyhow::Result<()> {
        match event {
            socket::Event::Stun(socket, from, datagram) => {
                let input = Input::datagram(socket, from, &datagram);
                self.endpoint.handle_input(now, input);
            }
            // The hub's.
            socket::Event::StreamEnded(stream) => self.socket.streams.remove(stream),
            socket::Event::SendRelayed(peer, datagram) => {
                self.endpoint.relay_send(now, peer, &datagram);
            }
            socket::Event::Icmp {
                socket,
                to,
                offender,
                icmp,
            } => {
                let error = IcmpError {
                    socket,
                    to,
                    offender,
                    icmp,
                    quoted: &[],
                };
                self.endpoint.handle_input(now, Input::Icmp(error));
                let refused = error.reason() == Some(IcmpReason::PortUnreachable);
                if refused && to == self.server && !self.is_registered() {
                    bail!(
                        "no rendezvous at {to}: the host answers that nothing listens on this \
                         UDP port. Start one there with: rendezvous --ip {}",
                        to.ip()
                    );
                }
            }
        }
        Ok(())
    }

    /// The rendezvous' name leads to another address by now.
    pub fn server_moved(&mut self, now: Instant, server: SocketAddr) {
        self.server = server;
        self.socket.move_relay(server);
        self.endpoint.move_server(now, server);
        // Where the old server saw our TCP port says nothing any more.
        self.tcp.forget();
        self.endpoint.offer_tcp_too(None);
    }

    /// What the endpoint has learned.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.endpoint.poll_event();
        if matches!(event, Some(Event::Registered(_))) {
            self.register_by = None;
        }
        event
    }

    /// Sends what the endpoint wants to send, and passes on what came through
    /// the relay.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        while let Some((peer, payload)) = self.endpoint.poll_relayed() {
            self.socket.detours.push((Via::Relay, peer), payload);
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.socket
                .send_to(
                    transmit.socket,
                    &transmit.payload,
                    transmit.to,
                    transmit.ttl,
                )
                .context("the socket failed")?;
        }
        Ok(())
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timeouts = [self.endpoint.poll_timeout(), self.register_by];
        timeouts.into_iter().flatten().min()
    }

    /// Whether the rendezvous has not answered in time; true once.
    pub fn is_overdue(&mut self, now: Instant) -> bool {
        self.register_by.take_if(|by| *by <= now).is_some() && !self.is_registered()
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    /// Whether the rendezvous has told us our mapped address.
    pub fn is_registered(&self) -> bool {
        !self.endpoint.mapped().is_empty()
    }

    /// The address by which quinn knows the other end of a path.
    pub fn quic_address(&self, path: &Path) -> SocketAddr {
        match path.via {
            Via::Socket(0) => path.remote,
            via => self.socket.detours.placeholder((via, path.remote)),
        }
    }

    /// The address that quinn's address stands for.
    pub fn real_address(&self, remote: SocketAddr) -> SocketAddr {
        let way = self.socket.detours.real(remote);
        way.map_or(remote, |(_, real)| real)
    }

    /// The relay on the way to quinn's address: the server's, if the allocation is ours,
    /// else the relayed address that the peer has there.
    pub fn relay_of(&self, remote: SocketAddr) -> SocketAddr {
        match self.socket.detours.real(remote) {
            Some((Via::Relay, _)) => self.server,
            _ => self.real_address(remote),
        }
    }

    /// Our own address on the way to quinn's address.
    pub fn local_address(&self, remote: SocketAddr) -> SocketAddr {
        let stream = self.stream_of(remote);
        if let Some(local) = stream.and_then(|stream| self.socket.streams.local(stream)) {
            return local;
        }
        let socket = self.socket_of(remote).unwrap_or(0);
        let port = self.socket.port(socket).unwrap_or(0);
        host::local_address(self.real_address(remote), port)
    }

    /// The socket that the way to quinn's address begins at, if it is not the first.
    pub fn socket_of(&self, remote: SocketAddr) -> Option<SocketId> {
        match self.socket.detours.real(remote)? {
            (Via::Socket(socket), _) => Some(socket),
            (Via::Relay | Via::Stream(_), _) => None,
        }
    }

    /// The connection that the way to quinn's address leads over, if it is one.
    pub fn stream_of(&self, remote: SocketAddr) -> Option<StreamId> {
        match self.socket.detours.real(remote)? {
            (Via::Stream(stream), _) => Some(stream),
            (Via::Relay | Via::Socket(_), _) => None,
        }
    }

    /// This host has changed its network.
    pub fn roamed(&mut self, now: Instant) {
        let local = SocketAddr::new(
            host::wildcard(self.server),
            self.socket.port(0).unwrap_or(0),
        );
        let hosts = settings::hosts(self.server, local, self.tells_hosts);
        self.endpoint.roamed(now, hosts.unwrap_or_default(), false);
    }

    /// Connects to the owner of `key` over a path that was made.
    ///
    /// # Errors
    /// What rustls says of the configuration.
    pub fn connect(&mut self, key: PublicKey, path: &Path) -> anyhow::Result<()> {
        let config = tls::client(&self.identity, key, path.rtt, self.keepalive)
            .context("cannot set up TLS")?;
        let (id, to) = (self.next_link(), self.quic_address(path));
        self.links.dial(id, &self.quic, config, to, key);
        Ok(())
    }

    /// Answers a connection of a peer.
    pub fn answer(&mut self, incoming: Incoming) {
        let id = self.next_link();
        self.links.answer(id, incoming);
    }

    /// Gives the allocation at the relay and our name back: the relay counts
    /// the allocations of each client.
    pub async fn leave(&mut self, events: &mut mpsc::Receiver<socket::Event>) {
        let _ = tokio::time::timeout(GIVE_BACK, self.surroundings.close()).await;
        self.endpoint.leave(Instant::now());
        let _ = self.flush();
        let given_back = async {
            while self.endpoint.is_relaying() {
                let timeout = self.endpoint.poll_timeout();
                tokio::select! {
                    Some(event) = events.recv() => {
                        let _ = self.handle_socket(Instant::now(), event);
                    }
                    () = sleep_until(timeout) => self.handle_timeout(Instant::now()),
                }
                let _ = self.flush();
            }
        };
        let _ = tokio::time::timeout(GIVE_BACK, given_back).await;
    }

    fn next_link(&mut self) -> LinkId {
        self.last_link += 1;
        self.last_link
    }
}
