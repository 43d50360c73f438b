//! The driver: sockets and a clock for the server of `rendezvous_proto`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use net::udp::{Queue, Received, Udp};
use rendezvous_proto::bindings::Change;
use rendezvous_proto::relay::Command;
use rendezvous_proto::server::{Sender, Server};
use sansio::{Prefix, Protocol, Transmit};
use tokio::net::UdpSocket;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::inbox::{Datagram, Inbox};
use crate::listen::{self, Passed};
use crate::local_addresses::{LocalAddresses, OwnAddresses, own_addresses};
use crate::log::{Log, Ourselves};
use crate::metrics::{self, Histogram};
use crate::notify;
use crate::relay::Sockets;
use crate::reload::Reload;
use crate::state::{State, Stored};
use crate::status;
use crate::stream::{self, Streams};

/// Datagrams that are received at once from one socket.
const BATCH: usize = 64;

/// Datagrams of one socket that are handled before more are received, and before the other sockets have
/// their turn.
const TURNS: usize = 16;

/// How often the host is asked for its addresses.
const OWN_ADDRESSES: Duration = Duration::from_secs(5);

/// What the tasks share.
pub struct Shared {
    pub started: Instant,
    server: Mutex<Server>,
    sockets: Vec<Udp>,
    relayed: Sockets,
    pub streams: Streams,
    local_addresses: Mutex<LocalAddresses>,
    /// Where changes of the names' keys are stored, if they are.
    changes: Option<mpsc::Sender<Change>>,
    log: Log,
    /// From the arrival of datagrams until they are handled.
    pub latency: Histogram,
    /// The server's next timeout may have changed.
    changed: Notify,
}

/// What is driven beside the sockets of the server.
pub struct Driven {
    /// Sockets that the service manager has bound.
    pub passed: Passed,
    pub relayed: Sockets,
    pub state: Option<State>,
    pub metrics: Option<SocketAddr>,
    pub status: Option<PathBuf>,
    pub reload: Reload,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When a socket cannot be bound, or `state` cannot be written.
pub async fn serve(
    server: Server,
    addresses: &[SocketAddr],
    mut driven: Driven,
    log: Log,
    ourselves: &Ourselves,
) -> anyhow::Result<()> {
    let listen::Sockets {
        udp: sockets,
        tcp: listeners,
    } = listen::listen(addresses, driven.passed)?;
    let metrics = match driven.metrics {
        Some(address) => Some(metrics::listen(address).await?),
        None => None,
    };
    let status = status::listen(driven.status.as_deref())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    log.listening(addresses, ourselves)?;
    if let Err(error) = notify::tell(notify::READY) {
        log.trouble(&format!(
            "cannot tell NOTIFY_SOCKET that it listens: {error}"
        ));
    }
    let (stored, reports) = unbounded_channel();
    let shared = Arc::new(Shared {
        started: Instant::now(),
        server: Mutex::new(server),
        sockets,
        relayed: driven.relayed,
        streams: Streams::default(),
        local_addresses: Mutex::default(),
        changes: driven.state.map(|state| state.store(stored)),
        log,
        latency: Histogram::default(),
        changed: Notify::new(),
    });
    for index in 0..shared.sockets.len() {
        tokio::spawn(receive(Arc::clone(&shared), index));
    }
    for (index, listener) in listeners.into_iter().enumerate() {
        tokio::spawn(stream::accept(Arc::clone(&shared), index, listener));
    }
    if let Some(listener) = metrics {
        tokio::spawn(metrics::serve(Arc::clone(&shared), listener));
    }
    if let Some(socket) = status {
        tokio::spawn(status::serve(Arc::clone(&shared), socket));
    }
    if shared.needs_own_addresses(addresses) {
        tokio::spawn(watch_own_addresses(Arc::clone(&shared)));
    }
    tokio::select! {
        () = keep_time(&shared) => {}
        () = async {
            while hangup.recv().await.is_some() {
                shared.reload(&mut driven.reload);
            }
        } => {}
        error = not_stored(&shared, reports) => return Err(error),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    // Whoever started it learns of the end by itself as well.
    let _ = notify::tell(notify::STOPPING);
    let mut server = shared.lock();
    shared.log.ended(&server.stats());
    if let Some(relay) = server.relaying() {
        shared.log.relay_ended(&relay.stats());
    }
    Ok(())
}

async fn receive(shared: Arc<Shared>, index: usize) {
    let socket = &shared.sockets[index];
    // One byte more than is looked at shows that a datagram is too long.
    let mut buffer = [0; stun::turn::MAX_DATAGRAM + 1];
    let mut inbox = Inbox::default();
    loop {
        if inbox.is_empty()
            && let Err(error) = socket.readable().await
        {
            return shared.log.trouble(&format!(
                "no longer receives on {}: {error}",
                socket.local_addr()
            ));
        }
        for queue in [Queue::Errors, Queue::Datagrams] {
            for _ in 0..BATCH {
                let Ok(received) = socket.try_recv(queue, &mut buffer) else {
                    break;
                };
                shared.take_in(index, received, &buffer, &mut inbox);
            }
        }
        for _ in 0..TURNS {
            let Some(datagram) = inbox.pop() else {
                break;
            };
            shared.handle(index, &datagram);
        }
        shared.changed.notify_one();
        tokio::task::yield_now().await;
    }
}

/// Receives what peers send to a relayed address.
async fn receive_relayed(shared: Arc<Shared>, port: u16, socket: Arc<UdpSocket>) {
    let mut buffer = [0; stun::turn::MAX_DATAGRAM + 1];
    while socket.readable().await.is_ok() {
        for _ in 0..BATCH {
            let Ok((length, from)) = socket.try_recv_from(&mut buffer) else {
                break;
            };
            let mut server = shared.lock();
            if let Some(relay) = server.relaying().filter(|_| length < buffer.len()) {
                relay.handle_relayed(Instant::now(), port, from, &buffer[..length]);
            }
            shared.flush(&mut server, None);
        }
        tokio::task::yield_now().await;
    }
}

async fn keep_time(shared: &Arc<Shared>) {
    loop {
        let next = shared.lock().poll_timeout();
        match next {
            Some(at) => {
                tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => {}
                    () = shared.changed.notified() => continue,
                }
            }
            None => {
                shared.changed.notified().await;
                continue;
            }
        }
        let mut server = shared.lock();
        server.handle_timeout(Instant::now());
        shared.flush(&mut server, None);
        shared.close_streams(&mut server);
    }
}

/// Tells the server how many of its changes are stored, until one cannot be.
async fn not_stored(shared: &Arc<Shared>, mut reports: UnboundedReceiver<Stored>) -> anyhow::Error {
    loop {
        match reports.recv().await {
            Some(Ok(changes)) => {
                let mut server = shared.lock();
                server.changes_stored(changes);
                shared.flush(&mut server, None);
            }
            Some(Err(error)) => return error,
            None if shared.changes.is_some() => {
                return anyhow::anyhow!("what writes to --state has failed: see the line above");
            }
            None => std::future::pending().await,
        }
    }
}

/// Watches which addresses this host has: they come and go.
async fn watch_own_addresses(shared: Arc<Shared>) {
    let mut watched = OwnAddresses::default();
    loop {
        match watched.next(own_addresses()) {
            Some(Ok(own)) => {
                shared.local_addresses().keep(own);
                if let Some(relay) = shared.lock().relaying() {
                    relay.set_own_addresses(own.to_vec());
                }
            }
            Some(Err(error)) => shared.log.trouble(&format!("{error:#}")),
            None => {}
        }
        tokio::time::sleep(OWN_ADDRESSES).await;
    }
}

impl Shared {
    /// The server.
    pub fn lock(&self) -> std::sync::MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything depends on the addresses that this host has: the relay, which sends to none of them, and
    /// sockets on all of them.
    fn needs_own_addresses(&self, sockets: &[SocketAddr]) -> bool {
        self.lock().relaying().is_some() || sockets.iter().any(|at| at.ip().is_unspecified())
    }

    /// The addresses that it listens on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(Udp::local_addr).collect()
    }

    /// The server's next timeout may have changed.
    pub fn changed(&self) {
        self.changed.notify_one();
    }

    /// Closes the TCP connections that have ended.
    pub fn close_streams(&self, server: &mut Server) {
        while let Some(id) = server.poll_closed_stream() {
            self.streams.close(id);
        }
    }

    /// Reads again what may change; or nothing, and says why.
    fn reload(self: &Arc<Self>, reload: &mut Reload) {
        let mut server = self.lock();
        let reloaded = reload.again(Instant::now(), &mut server);
        self.flush(&mut server, None);
        match reloaded {
            Ok(reloaded) => self.log.reloaded(&reloaded),
            Err(error) => self.log.trouble(&format!(
                "SIGHUP: what was read before stays in use: {error:#}"
            )),
        }
    }

    fn local_addresses(&self) -> std::sync::MutexGuard<'_, LocalAddresses> {
        let addresses = self.local_addresses.lock();
        addresses.unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts what socket `index` has received into `buffer` among what waits to be handled. ICMP errors
    /// are handled at once.
    fn take_in(&self, index: usize, received: Received, buffer: &[u8], inbox: &mut Inbox) {
        let (mut server, now) = (self.lock(), Instant::now());
        let Received::Datagram {
            length, from, at, ..
        } = received
        else {
            return server.handle_input(now, received.input(index, buffer));
        };
        let payload = buffer[..length].to_vec();
        let standing = server.standing(now, index, from, &payload);
        let owner = (standing, Prefix::of(from.ip()));
        inbox.push(
            owner,
            Datagram {
                from,
                at,
                payload,
                arrived: now,
            },
        );
    }

    fn handle(self: &Arc<Self>, index: usize, datagram: &Datagram) {
        let (mut server, now) = (self.lock(), Instant::now());
        let &Datagram { from, at, .. } = datagram;
        let sender = server.handle_datagram(now, index, from, &datagram.payload);
        if let Some(at) = at.filter(|_| sender == Sender::Proved) {
            self.local_addresses().note(from, at);
        }
        self.flush(&mut server, at.map(|at| (from, at)));
        self.latency.count(datagram.arrived.elapsed());
    }

    /// Does what the server wants. If a datagram has just come, `asked` is its
    /// source, and the address of ours that it came to.
    fn flush(self: &Arc<Self>, server: &mut Server, asked: Option<(SocketAddr, IpAddr)>) {
        self.relay(server);
        while let Some(change) = server.poll_change() {
            if let Some(changes) = &self.changes {
                // Where nobody takes it any more, `not_stored` ends the process.
                let _ = changes.send(change);
            }
        }
        while let Some(Transmit {
            socket,
            to,
            payload,
            ..
        }) = server.poll_transmit()
        {
            let from = match asked {
                Some((client, at)) if client == to => Some(at),
                // The same host, which wants the answer at another port.
                Some((client, at)) if client.ip() == to.ip() => {
                    self.local_addresses().towards(to).or(Some(at))
                }
                _ => self.local_addresses().towards(to),
            };
            let socket = &self.sockets[socket];
            let sent = match from {
                Some(from) => socket.send_from(from, &payload, to),
                None => socket.send_to(&payload, to, None),
            };
            if let Err(error) = sent {
                tracing::debug!(%to, %error, "cannot send");
            }
        }
        while let Some(event) = server.poll_event() {
            self.log.event(&event);
        }
    }

    fn relay(self: &Arc<Self>, server: &mut Server) {
        let Some(relay) = server.relaying() else {
            return;
        };
        while let Some(command) = relay.poll_command() {
            match command {
                Command::Send { port, to, payload } => self.relayed.send(port, to, &payload),
                Command::Close { port } => self.relayed.close(port),
                Command::Open { port } => {
                    let shared = Arc::clone(self);
                    let open = self
                        .relayed
                        .open(port, |socket| receive_relayed(shared, port, socket));
                    relay.opened(Instant::now(), port, open);
                }
            }
        }
        while let Some(event) = relay.poll_event() {
            self.log.relay_event(&event);
        }
    }
}
