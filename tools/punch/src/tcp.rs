//! The attempt by TCP, beside the session that introduces.

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
    /// Our end, as peers on our network see it.
    local: SocketAddr,
    /// What was made is held until it has been told.
    stream: Option<Arc<TcpStream>>,
}

impl ByTcp {
    /// Learns our mapping.
    ///
    /// # Errors
    /// When the server does not tell it.
    pub async fn prepare(local: SocketAddr, server: SocketAddr) -> anyhow::Result<ByTcp> {
        let port =
            Port::bind(local).with_context(|| format!("cannot use TCP port {}", local.port()))?;
        let mapping = Mapping::ask(&port, server).await.with_context(|| {
            format!(
                "{server} does not tell our address by TCP: a rendezvous does, \
                 but an old one or the network may not"
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

    /// What peers are told of us.
    pub fn told(&self) -> Tcp {
        self.mapping.candidates(&self.port)
    }

    /// Our end of the connection.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Connections tried.
    pub fn tries(&self) -> u32 {
        self.attempt
            .as_ref()
            .map_or(0, |(_, puncher)| puncher.tries())
    }

    /// The introduction is there.
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub async fn start(&mut self, attempt: endpoint::ByTcp) -> anyhow::Result<()> {
        // The last one's connections have the same two ends.
        self.attempt = None;
        let puncher = Puncher::start(&mut self.port, attempt.config())
            .await
            .with_context(|| format!("cannot listen on TCP port {}", self.port.number()))?;
        self.attempt = Some((attempt, puncher));
        Ok(())
    }

    /// How the attempt ended; `None`: we are told by another address now.
    ///
    /// # Errors
    /// When a connection breaks right after it was made.
    pub async fn next(&mut self) -> anyhow::Result<Option<Outcome>> {
        let Some((attempt, puncher)) = &mut self.attempt else {
            self.mapping.kept().await;
            // A server that starts anew is asked again, as it is by UDP.
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
