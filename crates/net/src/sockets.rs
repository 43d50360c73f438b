//! Several UDP sockets with one inbox.

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
    /// What the others bind for: the family and the interface's address.
    remote: SocketAddr,
    local: IpAddr,
    sockets: Vec<Option<Arc<Udp>>>,
    readers: JoinSet<()>,
    /// How many in a row have been handed out after their deadline.
    overdue: usize,
    inbox: mpsc::Receiver<io::Result<Arrival>>,
    outbox: mpsc::Sender<io::Result<Arrival>>,
}

/// What came out of one of them.
#[derive(Debug)]
pub struct Arrival {
    /// Which one.
    pub socket: SocketId,
    /// When.
    pub at: Instant,
    /// A datagram, or an error about one.
    pub received: Received,
    /// The datagram, or what the error quotes of it.
    pub payload: Vec<u8>,
}

impl Arrival {
    /// The same for a protocol.
    pub fn input(&self) -> Input<'_> {
        self.received.input(self.socket, &self.payload)
    }
}

/// More than this waits in the sockets' own buffers.
const WAITING: usize = 256;

impl Sockets {
    /// None yet; they will speak to hosts of the family of `remote`, for which
    /// the system uses `local`.
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

    /// How many there are, closed ones included.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// One more, on a free port; where it is.
    ///
    /// # Errors
    /// What `bind(2)` says.
    pub fn open(&mut self) -> io::Result<SocketAddr> {
        Ok(self.adopt(Udp::bind_for(self.remote)?))
    }

    /// Takes that one in as the next; where it is.
    pub fn adopt(&mut self, socket: Udp) -> SocketAddr {
        let socket = Arc::new(socket);
        let local = SocketAddr::new(self.local, socket.local_addr().port());
        let (id, outbox) = (self.sockets.len(), self.outbox.clone());
        self.sockets.push(Some(Arc::clone(&socket)));
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

    /// The local port of one that is open.
    pub fn port(&self, id: SocketId) -> Option<u16> {
        let socket = self.sockets.get(id)?.as_ref()?;
        Some(socket.local_addr().port())
    }

    /// Sends from the socket that it names.
    ///
    /// # Errors
    /// As [`Udp::send_to`], and `NotConnected` where there is no such socket.
    pub fn send(&self, transmit: &Transmit) -> io::Result<()> {
        match self.sockets.get(transmit.socket) {
            Some(Some(socket)) => socket.send_to(&transmit.payload, transmit.to, transmit.ttl),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The next arrival, or `None` when `deadline` has come and nothing waits.
    ///
    /// A process that did not run for a while finds its timers due before its
    /// sockets are read: what came meanwhile is handed out first, up to
    /// [`WAITING`] of it, so that nothing that came in time is told as silence.
    ///
    /// # Errors
    /// Those of a socket itself.
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

    /// The next arrival on any of them.
    ///
    /// # Errors
    /// Those of a socket itself.
    pub async fn recv(&mut self) -> io::Result<Arrival> {
        match self.inbox.recv().await {
            Some(arrival) => arrival,
            // We hold a sender ourselves.
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}
