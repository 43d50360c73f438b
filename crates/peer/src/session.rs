//! A socket and a clock for [`traverse::endpoint::Endpoint`].

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use traverse::endpoint::{Endpoint, Event};

use crate::udp::{Received, Udp};

/// A packet at the socket, for those who want to see them.
#[derive(Clone, Copy, Debug)]
pub enum Traffic<'a> {
    /// Sent.
    Sent {
        /// Where to.
        to: SocketAddr,
        /// With which TTL, if not the system's.
        ttl: Option<u8>,
        /// The datagram.
        payload: &'a [u8],
    },
    /// Received.
    Received {
        /// Where from.
        from: SocketAddr,
        /// The TTL that was left.
        ttl: Option<u8>,
        /// The datagram.
        payload: &'a [u8],
    },
    /// An ICMP error about something sent.
    Bounced {
        /// Where it was going.
        to: SocketAddr,
        /// Who says so.
        offender: IpAddr,
        /// ICMP type and code.
        error: (u8, u8),
        /// What was sent, as far as quoted.
        payload: &'a [u8],
    },
}

/// ICMP destination unreachable, port unreachable (RFC 792).
const PORT_UNREACHABLE: (u8, u8) = (3, 3);

/// How long the server has to answer that we leave.
const LEAVE: Duration = Duration::from_millis(100);

/// An endpoint on a socket.
pub struct Session<W> {
    udp: Udp,
    endpoint: Endpoint,
    server: SocketAddr,
    answered: Option<SocketAddr>,
    witness: W,
}

impl<W: FnMut(Traffic<'_>)> Session<W> {
    /// `witness` is shown every packet.
    pub fn new(udp: Udp, endpoint: Endpoint, server: SocketAddr, witness: W) -> Self {
        Session {
            udp,
            endpoint,
            server,
            answered: None,
            witness,
        }
    }

    /// The next event, while packets and time pass.
    ///
    /// # Errors
    /// Those of the socket, and `ConnectionRefused` when the server's host says
    /// that nobody listens there, unless we are registered: then it may only
    /// be starting anew.
    pub async fn next(&mut self) -> io::Result<Event> {
        let mut buffer = [0; wire::MAX_DATAGRAM];
        loop {
            self.flush()?;
            if let Some(event) = self.endpoint.poll_event() {
                return Ok(event);
            }
            let timeout = async {
                match self.endpoint.poll_timeout() {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                received = self.udp.recv(&mut buffer) => {
                    let received = received?;
                    self.take(received, &buffer)?;
                }
                () = timeout => self.endpoint.handle_timeout(Instant::now()),
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
        let mut buffer = [0; wire::MAX_DATAGRAM];
        let answer = async {
            loop {
                let received = self.udp.recv(&mut buffer).await?;
                self.take(received, &buffer)?;
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

    /// Who has sent us anything at all: UDP is not blocked then, even if it
    /// was not the rendezvous.
    pub fn answered(&self) -> Option<SocketAddr> {
        self.answered
    }

    fn take(&mut self, received: Received, buffer: &[u8]) -> io::Result<()> {
        match received {
            Received::Datagram { length, from, ttl } => {
                let payload = &buffer[..length];
                (self.witness)(Traffic::Received { from, ttl, payload });
                self.answered.get_or_insert(from);
                self.endpoint.handle_input(Instant::now(), from, payload);
            }
            Received::Bounced {
                length,
                to,
                offender,
                icmp_type,
                code,
            } => {
                let (error, payload) = ((icmp_type, code), &buffer[..length]);
                (self.witness)(Traffic::Bounced {
                    to,
                    offender,
                    error,
                    payload,
                });
                if error == PORT_UNREACHABLE {
                    self.endpoint.handle_refused(to);
                    if to == self.server && self.endpoint.mapped().is_empty() {
                        let problem = format!("nobody listens at {to} (UDP)");
                        return Err(io::Error::new(ErrorKind::ConnectionRefused, problem));
                    }
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            let (to, ttl, payload) = (transmit.to, transmit.ttl, &transmit.payload);
            (self.witness)(Traffic::Sent { to, ttl, payload });
            self.udp.send_to(payload, to, ttl)?;
        }
        Ok(())
    }
}
