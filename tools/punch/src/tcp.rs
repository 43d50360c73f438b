//! The attempt by TCP. The introduction comes by UDP.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use net::host;
use net::tcp::{Mapping, Port, Puncher};
use peer_proto::candidate::Tcp;
use peer_proto::endpoint;
use peer_proto::punch::Path;
use sansio::Via;
use tokio::net::TcpStream;

use crate::report::Outcome;

/// Our port, its mapping, and the attempt once there is one.
pub struct ByTcp {
    port: Port,
    server: SocketAddr,
    mapping: Mapping,
    attempt: Option<(endpoint::ByTcp, Puncher)>,
    /// Our endpoint, as hosts on our network see it.
    local: SocketAddr,
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
        let mapping = Mapping::ask(&port, server).await.with_context(|| {
            format!(
                "{server} does not answer by TCP: is it a rendezvous, and is its TCP port open? \
                 Without --tcp, UDP is used"
            )
        })?;
        Ok(ByTcp {
            local: host::local_address(server, port.number()),
            port,
            server,
            mapping,
            attempt: None,
            stream: None,
        })
    }

    /// Our candidates, for a peer.
    pub fn candidates(&self) -> Tcp {
        self.mapping.candidates(&self.port)
    }

    /// Our endpoint of the connection.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// How many connections were tried.
    pub fn tries(&self) -> u32 {
        self.attempt
            .as_ref()
            .map_or(0, |(_, puncher)| puncher.tries())
    }

    /// Begins after the introduction.
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub async fn start(&mut self, attempt: endpoint::ByTcp) -> anyhow::Result<()> {
        // The connections of an earlier attempt have the same 5-tuple.
        self.attempt = None;
        let puncher = Puncher::start(&mut self.port, attempt.config())
            .await
            .with_context(|| format!("cannot listen on TCP port {}", self.port.number()))?;
        self.attempt = Some((attempt, puncher));
        Ok(())
    }

    /// How the attempt ended; `None` where our candidates have changed before it
    /// began.
    ///
    /// # Errors
    /// When a connection breaks right after it was made.
    pub async fn next(&mut self) -> anyhow::Result<Option<Outcome>> {
        let Some((attempt, puncher)) = &mut self.attempt else {
            self.mapping.kept().await;
            // A server that has restarted is asked again.
            if let Ok(mapping) = Mapping::ask(&self.port, self.server).await {
                self.mapping = mapping;
            }
            return Ok(None);
        };
        let ended = puncher.ended().await;
        Ok(Some(match ended.context("the connection broke")? {
            Err(observed) => Outcome::Failed(attempt.cause(&observed)),
            Ok(punched) => {
                self.local = punched.local;
                self.stream = Some(punched.stream);
                Outcome::Connected(Path {
                    via: Via::Socket(0),
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
