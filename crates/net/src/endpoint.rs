//! The driver of an [`Endpoint`].

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nat::plan::Side;
use peer_proto::endpoint::{Endpoint, Event};
use sansio::{Input, SocketId};
use stun::IcmpReason;

use crate::drive::{Driver, Traffic};
use crate::host::address_towards;
use crate::sockets::Sockets;
use crate::udp::Udp;

/// How long the server has to acknowledge that we leave, and a relay that it has our
/// allocation back.
const LEAVE: Duration = Duration::from_millis(100);
const GIVE_BACK: Duration = Duration::from_millis(500);

/// An endpoint on its sockets. `W` is shown every packet.
pub struct EndpointDriver<W> {
    driver: Driver<Endpoint, W>,
    server: SocketAddr,
    answered: Option<SocketAddr>,
}

impl<W: FnMut(Traffic<'_>)> EndpointDriver<W> {
    /// `udp` becomes the endpoint's socket 0; `witness` is shown every packet.
    ///
    /// # Errors
    /// When there is no route to the server.
    pub fn new(udp: Udp, endpoint: Endpoint, server: SocketAddr, witness: W) -> io::Result<Self> {
        let mut sockets = Sockets::new(server, address_towards(server)?);
        sockets.adopt(udp);
        Ok(EndpointDriver {
            driver: Driver::with_witness(sockets, endpoint, witness),
            server,
            answered: None,
        })
    }

    /// The next event, while packets and time pass. A call that is dropped
    /// loses nothing.
    ///
    /// # Errors
    /// Those of the socket, and `ConnectionRefused` when the server's host says
    /// that nothing listens there while we are not registered. If we are, the
    /// server may only be restarting.
    pub async fn next(&mut self) -> io::Result<Event> {
        loop {
            // The first SYNs of an attempt by TCP leave before what invites
            // the peer's.
            if !self.endpoint().has_tcp() {
                self.driver.flush()?;
            }
            if let Some(event) = self.endpoint_mut().poll_event() {
                return Ok(event);
            }
            self.step().await?;
        }
    }

    /// Gives the name back, and waits up to 100 ms for the server's answer: to a
    /// socket that is closed by then, it would cause an ICMP error. A relayed address is
    /// given back as well, within 500 ms: else it counts against our quota.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn leave(&mut self) -> io::Result<()> {
        self.endpoint_mut().leave(Instant::now());
        self.driver.flush()?;
        let mut left = false;
        let start = Instant::now();
        loop {
            let wait = match self.endpoint().is_relaying() {
                true => GIVE_BACK,
                false => LEAVE,
            };
            let step = tokio::time::timeout_at((start + wait).into(), self.step()).await;
            let Ok(from) = step else {
                return Ok(());
            };
            left |= from? == Some(self.server);
            if left && !self.endpoint().is_relaying() {
                return Ok(());
            }
            self.driver.flush()?;
        }
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        self.driver.protocol()
    }

    /// The endpoint, to be told something; [`next`](Self::next) sends what it
    /// then has to send.
    pub fn endpoint_mut(&mut self) -> &mut Endpoint {
        self.driver.protocol_mut()
    }

    /// Tells the endpoint what its NAT does; `None` where this is not known.
    pub fn describe(&mut self, side: Option<Side>) {
        self.endpoint_mut().describe(Instant::now(), side);
    }

    /// The rendezvous.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// The rendezvous is at this address from now on, of the same family.
    pub fn move_server(&mut self, server: SocketAddr) {
        self.server = server;
        self.endpoint_mut().move_server(Instant::now(), server);
    }

    /// The local port of a socket; 0 where there is no such socket.
    pub fn port(&self, socket: SocketId) -> u16 {
        self.driver.port(socket)
    }

    /// Who was the first to send us a datagram. If there is one, UDP is not
    /// blocked, even if it is not the rendezvous.
    pub fn answered(&self) -> Option<SocketAddr> {
        self.answered
    }

    /// One step of the driver; the sender of the datagram, if one came.
    async fn step(&mut self) -> io::Result<Option<SocketAddr>> {
        let Some(arrival) = self.driver.step().await? else {
            return Ok(None);
        };
        match arrival.input() {
            Input::Datagram(datagram) => {
                self.answered.get_or_insert(datagram.from);
                Ok(Some(datagram.from))
            }
            Input::Icmp(error) => {
                let refused = error.reason() == Some(IcmpReason::PortUnreachable);
                if refused && error.to == self.server && self.endpoint().mapped().is_empty() {
                    let problem = format!("nothing listens on UDP {}", self.server);
                    return Err(io::Error::new(ErrorKind::ConnectionRefused, problem));
                }
                Ok(None)
            }
        }
    }
}
