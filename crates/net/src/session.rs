//! Sockets and a clock for [`peer_proto::endpoint::Endpoint`].

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nat::plan::Side;
use peer_proto::endpoint::{Endpoint, Event};
use sansio::{Input, Protocol, SocketId};
use stun::IcmpReason;

use crate::discover::address_towards;
use crate::sockets::{Arrival, Sockets};
use crate::udp::{Received, Udp};

/// A packet at a socket, for those who want to see them; `port` is the local
/// one.
#[derive(Clone, Copy, Debug)]
pub enum Traffic<'a> {
    /// None yet, but a new socket.
    Opened {
        /// Its port.
        port: u16,
    },
    /// Sent.
    Sent {
        /// Where from.
        port: u16,
        /// Where to.
        to: SocketAddr,
        /// With which TTL, if not the system's.
        ttl: Option<u8>,
        /// The datagram.
        payload: &'a [u8],
    },
    /// Received: a datagram, or an ICMP error about something sent.
    Received {
        /// By whom.
        port: u16,
        /// What came.
        input: Input<'a>,
    },
}

/// How long the server has to answer that we leave.
const LEAVE: Duration = Duration::from_millis(100);

/// An endpoint on its sockets.
pub struct Session<W> {
    sockets: Sockets,
    endpoint: Endpoint,
    server: SocketAddr,
    answered: Option<SocketAddr>,
    witness: W,
}

impl<W: FnMut(Traffic<'_>)> Session<W> {
    /// `witness` is shown every packet.
    ///
    /// # Errors
    /// When there is no way to the server.
    pub fn new(udp: Udp, endpoint: Endpoint, server: SocketAddr, witness: W) -> io::Result<Self> {
        let mut sockets = Sockets::new(server, address_towards(server)?);
        sockets.adopt(udp);
        Ok(Session {
            sockets,
            endpoint,
            server,
            answered: None,
            witness,
        })
    }

    /// The next event, while packets and time pass.
    ///
    /// # Errors
    /// Those of the socket, and `ConnectionRefused` when the server's host says
    /// that nobody listens there, unless we are registered: then it may only
    /// be starting anew.
    pub async fn next(&mut self) -> io::Result<Event> {
        loop {
            if !self.endpoint.has_tcp() {
                self.flush()?;
            }
            if let Some(event) = self.endpoint.poll_event() {
                return Ok(event);
            }
            let timeout = self.endpoint.poll_timeout();
            match self.sockets.recv_until(timeout).await? {
                Some(arrival) => self.take(&arrival)?,
                None => self.endpoint.handle_timeout(Instant::now()),
            }
        }
    }

    /// Gives the name back, and waits a moment for the server to say so: a
    /// socket that is closed before bounces the answer.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn leave(&mut self) -> io::Result<()> {
        self.endpoint.leave(Instant::now());
        self.flush()?;
        let answer = async {
            loop {
                let arrival = self.sockets.recv().await?;
                let received = arrival.received;
                self.take(&arrival)?;
                if matches!(received, Received::Datagram { from, .. } if from == self.server) {
                    return Ok(());
                }
            }
        };
        tokio::time::timeout(LEAVE, answer).await.unwrap_or(Ok(()))
    }

    /// The brain.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Tells the brain what its NAT does, or that this is not known.
    pub fn describe(&mut self, side: Option<Side>) {
        self.endpoint.describe(Instant::now(), side);
    }

    /// The brain, to be told something; what it then wants is done by
    /// [`Self::next`].
    pub fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// The local port of a socket.
    pub fn port(&self, socket: SocketId) -> u16 {
        self.sockets.port(socket).unwrap_or(0)
    }

    /// Who has sent us anything at all: UDP is not blocked then, even if it
    /// was not the rendezvous.
    pub fn answered(&self) -> Option<SocketAddr> {
        self.answered
    }

    fn take(&mut self, arrival: &Arrival) -> io::Result<()> {
        let (port, input) = (self.port(arrival.socket), arrival.input());
        (self.witness)(Traffic::Received { port, input });
        self.endpoint.handle_input(arrival.at, input);
        match input {
            Input::Datagram(datagram) => {
                self.answered.get_or_insert(datagram.from);
            }
            Input::Icmp(error) => {
                let refused = error.reason() == Some(IcmpReason::PortUnreachable);
                let to = error.to;
                if refused && to == self.server && self.endpoint.mapped().is_empty() {
                    let problem = format!("nobody listens at {to} (UDP)");
                    return Err(io::Error::new(ErrorKind::ConnectionRefused, problem));
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            while self.sockets.len() <= transmit.socket {
                let port = self.sockets.open()?.port();
                (self.witness)(Traffic::Opened { port });
            }
            let port = self.port(transmit.socket);
            (self.witness)(Traffic::Sent {
                port,
                to: transmit.to,
                ttl: transmit.ttl,
                payload: &transmit.payload,
            });
            self.sockets.send(&transmit)?;
        }
        Ok(())
    }
}
