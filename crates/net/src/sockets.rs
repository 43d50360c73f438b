//! Several UDP sockets that are received from together.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use sansio::{Input, SocketId, Transmit};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::udp::{Received, Udp};

/// Sockets that are numbered from 0 and closed together.
#[derive(Debug)]
pub struct Sockets {
    /// A host that they send to, for the address family.
    remote: SocketAddr,
    /// The address of this host that the system uses towards it.
    local: IpAddr,
    sockets: Vec<Arc<Udp>>,
    readers: JoinSet<()>,
    /// How many arrivals in a row were returned after the deadline.
    overdue: usize,
    inbox: mpsc::Receiver<io::Result<Arrival>>,
    outbox: mpsc::Sender<io::Result<Arrival>>,
}

/// What one of the sockets has received.
#[derive(Debug)]
pub struct Arrival {
    /// The socket.
    pub socket: SocketId,
    /// When it was read.
    pub at: Instant,
    /// A datagram, or an ICMP error about one.
    pub received: Received,
    /// The payload of the datagram, as far as an ICMP error quotes it.
    pub payload: Vec<u8>,
}

impl Arrival {
    /// The same as the input of a protocol.
    pub fn input(&self) -> Input<'_> {
        self.received.input(self.socket, &self.payload)
    }
}

/// The most arrivals that wait here; more of them wait in the sockets' buffers.
const WAITING: usize = 256;

impl Sockets {
    /// No sockets yet. They will send to hosts of the address family of `remote`,
    /// towards which the system uses the address `local`.
    pub fn new(remote: SocketAddr, local: IpAddr) -> Self {
        let (outbox, inbox) = mpsc::channel(WAITING);
        Self {
            remote,
            local,
            sockets: Vec::new(),
            readers: JoinSet::new(),
            overdue: 0,
            inbox,
            outbox,
        }
    }

    /// The number of sockets.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there is no socket.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Opens another socket on a free port, and returns its address.
    ///
    /// # Errors
    /// What `bind(2)` says.
    pub fn open(&mut self) -> io::Result<SocketAddr> {
        Ok(self.adopt(Udp::bind_for(self.remote)?))
    }

    /// Takes this socket over as the next one, and returns its address.
    pub fn adopt(&mut self, socket: Udp) -> SocketAddr {
        let socket = Arc::new(socket);
        let local = SocketAddr::new(self.local, socket.local_addr().port());
        let (id, outbox) = (self.sockets.len(), self.outbox.clone());
        tracing::debug!(socket = id, %local, "socket opened");
        self.sockets.push(Arc::clone(&socket));
        self.readers.spawn(async move {
            let mut buffer = [0; stun::MAX_DATAGRAM];
            loop {
                let arrival = socket.recv(&mut buffer).await.map(|received| {
                    let (Received::Datagram { length, .. } | Received::Icmp { length, .. }) =
                        received;
                    Arrival {
                        socket: id,
                        at: Instant::now(),
                        received,
                        payload: buffer[..length].to_vec(),
                    }
                });
                let failed = arrival.is_err();
                if outbox.send(arrival).await.is_err() || failed {
                    return;
                }
            }
        });
        local
    }

    /// The local port of a socket.
    pub fn port(&self, id: SocketId) -> Option<u16> {
        Some(self.sockets.get(id)?.local_addr().port())
    }

    /// Sends a datagram from the socket that it names.
    ///
    /// # Errors
    /// As [`Udp::send_to`], and `NotConnected` where there is no such socket.
    pub fn send(&self, transmit: &Transmit) -> io::Result<()> {
        match self.sockets.get(transmit.socket) {
            Some(socket) => socket.send_to(&transmit.payload, transmit.to, transmit.ttl),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The next arrival, or `None` when `deadline` has passed and nothing waits. A
    /// call that is dropped loses nothing.
    ///
    /// In a process that was not scheduled for a while, timers are due before the
    /// sockets are read. Up to 256 arrivals of that time are returned first, so
    /// that what came in time is not taken for silence.
    ///
    /// # Errors
    /// When a socket fails.
    pub async fn recv_until(&mut self, deadline: Option<Instant>) -> io::Result<Option<Arrival>> {
        let Some(deadline) = deadline else {
            return self.recv().await.map(Some);
        };
        if Instant::now() < deadline {
            self.overdue = 0;
        } else if self.overdue == WAITING {
            self.overdue = 0;
            return Ok(None);
        }
        if let Ok(arrival) = timeout_at(deadline.into(), self.recv()).await {
            self.overdue += 1;
            return arrival.map(Some);
        }
        tokio::task::yield_now().await; // to the readers
        self.inbox.try_recv().ok().transpose()
    }

    /// The next arrival at any of the sockets.
    ///
    /// # Errors
    /// When a socket fails.
    pub async fn recv(&mut self) -> io::Result<Arrival> {
        match self.inbox.recv().await {
            Some(arrival) => arrival,
            // We hold a sender ourselves.
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}
