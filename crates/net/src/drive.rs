//! The loop that drives a [`Protocol`] on UDP sockets.
//!
//! [`Driver::flush`] sends what the protocol has to send, and opens the sockets
//! for it; [`Driver::step`] waits for one datagram, ICMP error or timeout, and
//! hands it to the protocol. A caller alternates the two, and between them asks
//! the protocol for what it has learned.
//!
//! It is for protocols that have their sockets to themselves. One that shares a
//! socket (chat, with QUIC) or answers from the address that was asked (the
//! rendezvous) has a driver of its own.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use sansio::{Input, Protocol, SocketId};

use crate::files;
use crate::host::address_towards;
use crate::sockets::{Arrival, Sockets};

/// A packet at a socket, for a witness: a trace, for example. `port` is the
/// local one.
#[derive(Clone, Copy, Debug)]
pub enum Traffic<'a> {
    /// A datagram is being sent.
    Sent {
        /// The port that it leaves from.
        port: u16,
        /// Its destination.
        to: SocketAddr,
        /// Its TTL, where it is not the system's default.
        ttl: Option<u8>,
        /// Its payload.
        payload: &'a [u8],
    },
    /// A datagram was received, or an ICMP error about one that was sent.
    Received {
        /// The port that it came to.
        port: u16,
        /// The datagram or the error.
        input: Input<'a>,
    },
}

/// Why the protocol's datagrams cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// The protocol wants another socket, and the system gives none.
    #[error("opening a UDP socket: {}", files::explained(.0))]
    Open(io::Error),
    /// The system refuses to send to that address. A datagram that is lost is
    /// not such an error: see [`send_to`](crate::udp::Udp::send_to).
    #[error("sending to {0}: {1}")]
    Send(SocketAddr, io::Error),
}

impl From<FlushError> for io::Error {
    fn from(error: FlushError) -> Self {
        match error {
            FlushError::Send(_, error) => error,
            error @ FlushError::Open(_) => io::Error::other(error.to_string()),
        }
    }
}

/// A protocol and its sockets. `W` is shown every packet.
#[derive(Debug)]
pub struct Driver<P, W = fn(Traffic<'_>)> {
    protocol: P,
    sockets: Sockets,
    witness: W,
}

impl<P: Protocol> Driver<P> {
    /// Drives a protocol on these sockets, which it knows already, and on those
    /// that it will want.
    pub fn new(sockets: Sockets, protocol: P) -> Self {
        Driver::with_witness(sockets, protocol, |_| {})
    }

    /// Drives a protocol that has no socket yet and asks the server.
    ///
    /// # Errors
    /// When there is no route to the server.
    pub fn towards(server: SocketAddr, protocol: P) -> io::Result<Self> {
        let sockets = Sockets::new(server, address_towards(server)?);
        Ok(Driver::new(sockets, protocol))
    }
}

impl<P: Protocol, W: FnMut(Traffic<'_>)> Driver<P, W> {
    /// As [`Driver::new`], with a witness.
    pub fn with_witness(sockets: Sockets, protocol: P, witness: W) -> Self {
        Driver {
            protocol,
            sockets,
            witness,
        }
    }

    /// Sends everything that the protocol has to send.
    ///
    /// # Errors
    /// At the first datagram that cannot be sent, which is dropped: another call
    /// goes on after it.
    pub fn flush(&mut self) -> Result<(), FlushError> {
        while let Some(transmit) = self.protocol.poll_transmit() {
            while self.sockets.len() <= transmit.socket {
                let local = self.sockets.open().map_err(FlushError::Open)?;
                let socket = self.sockets.len() - 1;
                self.protocol.handle_opened(socket, local);
            }
            let port = self.port(transmit.socket);
            (self.witness)(Traffic::Sent {
                port,
                to: transmit.to,
                ttl: transmit.ttl,
                payload: &transmit.payload,
            });
            let (to, ttl, length) = (transmit.to, transmit.ttl, transmit.payload.len());
            tracing::trace!(port, %to, ttl, length, "datagram sent");
            if let Err(error) = self.sockets.send(&transmit) {
                tracing::debug!(port, %to, %error, "cannot send");
                return Err(FlushError::Send(to, error));
            }
        }
        Ok(())
    }

    /// Waits for a datagram, an ICMP error or the protocol's timeout, and hands
    /// it over; `None` was the timeout. A call that is dropped loses nothing.
    ///
    /// # Errors
    /// When a socket fails.
    pub async fn step(&mut self) -> io::Result<Option<Arrival>> {
        let timeout = self.protocol.poll_timeout();
        let arrival = self.sockets.recv_until(timeout).await?;
        match &arrival {
            Some(arrival) => {
                let (port, input) = (self.port(arrival.socket), arrival.input());
                match input {
                    Input::Datagram(it) => {
                        let (from, ttl, length) = (it.from, it.ttl, it.payload.len());
                        tracing::trace!(port, %from, ttl, length, "datagram received");
                    }
                    Input::Icmp(error) => {
                        let (to, offender, icmp) = (error.to, error.offender, error.icmp);
                        tracing::debug!(port, %to, %offender, ?icmp, "ICMP error received");
                    }
                }
                (self.witness)(Traffic::Received { port, input });
                self.protocol.handle_input(arrival.at, input);
            }
            None => self.protocol.handle_timeout(Instant::now()),
        }
        Ok(arrival)
    }

    /// The protocol.
    pub fn protocol(&self) -> &P {
        &self.protocol
    }

    /// The protocol, to be told something; [`flush`](Self::flush) sends what it
    /// then has to send.
    pub fn protocol_mut(&mut self) -> &mut P {
        &mut self.protocol
    }

    /// The protocol, without the sockets, which are closed.
    pub fn into_protocol(self) -> P {
        self.protocol
    }

    /// The local port of a socket; 0 where there is no such socket.
    pub fn port(&self, socket: SocketId) -> u16 {
        self.sockets.port(socket).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sansio::Transmit;

    use super::*;

    /// Sends what it is given, and keeps what it is told.
    #[derive(Default)]
    struct Script {
        transmits: Vec<Transmit>,
        timeout: Option<Instant>,
        opened: Vec<(SocketId, SocketAddr)>,
        received: Vec<(SocketId, Vec<u8>)>,
    }

    impl Protocol for Script {
        fn handle_opened(&mut self, socket: SocketId, local: SocketAddr) {
            self.opened.push((socket, local));
        }
        fn handle_input(&mut self, _now: Instant, input: Input<'_>) {
            if let Input::Datagram(datagram) = input {
                let payload = datagram.payload.to_vec();
                self.received.push((datagram.socket, payload));
            }
        }
        fn handle_timeout(&mut self, _now: Instant) {
            self.timeout = None;
        }
        fn poll_transmit(&mut self) -> Option<Transmit> {
            self.transmits.pop()
        }
        fn poll_timeout(&self) -> Option<Instant> {
            self.timeout
        }
    }

    fn server() -> (std::net::UdpSocket, SocketAddr) {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let wait = Duration::from_secs(5);
        server.set_read_timeout(Some(wait)).unwrap();
        let address = server.local_addr().unwrap();
        (server, address)
    }

    #[tokio::test]
    async fn sockets_are_opened_when_the_protocol_first_sends_from_them() {
        let (server, address) = server();
        let mut script = Script::default();
        let hello = Transmit::new(1, address, b"hello".to_vec());
        script.transmits.push(hello);
        let mut driver = Driver::towards(address, script).unwrap();
        driver.flush().unwrap();
        let mut buffer = [0; 64];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"hello");
        let opened = &driver.protocol().opened;
        assert_eq!(opened.len(), 2, "socket 0 comes before socket 1");
        assert_eq!(opened[1], (1, from));
        server.send_to(b"answer", from).unwrap();
        driver.step().await.unwrap();
        let received = driver.into_protocol().received;
        assert_eq!(received, [(1, b"answer".to_vec())]);
    }

    #[tokio::test]
    async fn the_witness_is_shown_each_packet() {
        let (server, address) = server();
        let mut script = Script::default();
        let hello = Transmit::new(0, address, b"hello".to_vec());
        script.transmits.push(hello);
        let (sockets, mut seen) = (Sockets::new(address, address.ip()), Vec::new());
        let mut driver = Driver::with_witness(sockets, script, |traffic| {
            seen.push(match traffic {
                Traffic::Sent { .. } => "sent",
                Traffic::Received { .. } => "received",
            });
        });
        driver.flush().unwrap();
        let (_, from) = server.recv_from(&mut [0; 64]).unwrap();
        server.send_to(b"answer", from).unwrap();
        driver.step().await.unwrap();
        drop(driver);
        assert_eq!(seen, ["sent", "received"]);
    }

    #[tokio::test]
    async fn another_flush_goes_on_after_a_datagram_that_cannot_be_sent() {
        let (server, address) = server();
        let mut script = Script::default();
        let other_family = "[::1]:9".parse().unwrap();
        for to in [address, other_family] {
            let hello = Transmit::new(0, to, b"hello".to_vec());
            script.transmits.push(hello);
        }
        let mut driver = Driver::towards(address, script).unwrap();
        let refused = driver.flush().unwrap_err();
        assert!(matches!(refused, FlushError::Send(to, _) if to == other_family));
        driver.flush().unwrap();
        server.recv_from(&mut [0; 64]).unwrap();
    }

    #[tokio::test]
    async fn a_timeout_is_handed_over_when_nothing_comes() {
        let (_server, address) = server();
        let script = Script {
            timeout: Some(Instant::now()),
            ..Script::default()
        };
        let mut driver = Driver::towards(address, script).unwrap();
        assert!(driver.step().await.unwrap().is_none());
        assert_eq!(driver.protocol().timeout, None);
    }
}
