//! The attempt by TCP. The introduction comes by UDP.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use net::host;
use net::tcp::{self, Ended, Event, Port};
use peer_proto::candidate::Tcp;
use peer_proto::endpoint;
use peer_proto::punch::Path;
use sansio::Via;
use tokio::net::TcpStream;

use crate::report::Outcome;

/// Our port, its mapping, and the attempt once there is one.
pub struct ByTcp {
    port: u16,
    by_tcp: tcp::ByTcp,
    /// Our endpoint, as hosts on our network see it.
    local: SocketAddr,
    /// How many connections were tried.
    tries: u32,
    /// Holds the connection open until it was reported.
    stream: Option<Arc<TcpStream>>,
}

impl ByTcp {
    /// Binds the port and asks the server for its reflexive address.
    ///
    /// # Errors
    /// When the port is taken, or the server does not answer by TCP.
    pub async fn prepare(local: SocketAddr, server: SocketAddr) -> anyhow::Result<ByTcp> {
        let port =
            Port::bind(local).with_context(|| format!("cannot use TCP port {}", local.port()))?;
        let number = port.number();
        let by_tcp = tcp::ByTcp::prepare(port, server).await.with_context(|| {
            format!(
                "{server} does not answer by TCP: is it a rendezvous, and is its TCP port open? \
                 Without --tcp, UDP is used"
            )
        })?;
        Ok(ByTcp {
            port: number,
            by_tcp,
            local: host::local_address(server, number),
            tries: 0,
            stream: None,
        })
    }

    /// Our candidates, for a peer.
    pub fn candidates(&self) -> Tcp {
        self.by_tcp.candidates().clone()
    }

    /// Our endpoint of the connection.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// How many connections were tried.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Begins after the introduction.
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub async fn start(&self, attempt: endpoint::ByTcp) -> anyhow::Result<()> {
        let started = self.by_tcp.start(attempt).await;
        started.with_context(|| format!("cannot listen on TCP port {}", self.port))
    }

    /// How the attempt ended; `None` where our candidates have changed before it
    /// began.
    ///
    /// # Errors
    /// When a connection breaks right after it was made.
    pub async fn next(&mut self) -> anyhow::Result<Option<Outcome>> {
        let Ended { tries, outcome, .. } = match self.by_tcp.next().await {
            Event::Moved(_) => return Ok(None),
            Event::Ended(ended) => ended,
        };
        self.tries = tries;
        Ok(Some(match outcome.context("the connection broke")? {
            tcp::Outcome::Failed(cause) => Outcome::Failed(cause),
            tcp::Outcome::Connected(punched) => {
                self.local = punched.local;
                self.stream = Some(punched.stream);
                Outcome::Connected(Path {
                    via: Via::Stream(0),
                    remote: punched.path.remote,
                    lan: punched.path.lan,
                    relayed: false,
                    rtt: punched.path.rtt,
                    guess: None,
                })
            }
        }))
    }
}
