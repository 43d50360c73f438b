//! An attempt by TCP: connects and accepts what [`Agent`] decides.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use peer_proto::tcp::{Agent, Command, Config, Event, Failure, LinkId, Observed, Path};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::{receive, send, socket};

/// Events of connections that wait; a connection with another waits, too.
const INBOX: usize = 64;

/// An event of a connection.
enum LinkEvent {
    Open(LinkId, Arc<TcpStream>),
    Failed(LinkId, Failure),
    Bytes(LinkId, Vec<u8>),
    Closed(LinkId),
}

/// An attempt that is under way.
pub struct Puncher {
    agent: Agent,
    local: SocketAddr,
    /// The IP addresses of the peer.
    from: Vec<IpAddr>,
    links: HashMap<LinkId, Link>,
    tasks: JoinSet<()>,
    inbox: mpsc::Receiver<LinkEvent>,
    events: mpsc::Sender<LinkEvent>,
    /// Both sides have agreed on this connection, and its reader ends.
    chosen: Option<Path>,
}

struct Link {
    stream: Option<Arc<TcpStream>>,
    task: AbortHandle,
}

/// The connection that both sides have agreed on.
#[derive(Debug)]
pub struct Punched {
    /// The agent's description of it.
    pub path: Path,
    /// Our endpoint.
    pub local: SocketAddr,
    /// The connection, which closes when the last holder drops it.
    pub stream: Arc<TcpStream>,
    /// What has come over it that is not the attempt's.
    pub rest: Vec<u8>,
}

impl Puncher {
    /// Begins to connect from this port, on which somebody listens for
    /// [`Self::accepted`]. The first SYNs have left when this returns.
    pub async fn start(local: SocketAddr, config: Config) -> Puncher {
        let (events, inbox) = mpsc::channel(INBOX);
        let mut puncher = Puncher {
            local,
            from: config.targets.iter().map(SocketAddr::ip).collect(),
            agent: Agent::new(config, Instant::now()),
            links: HashMap::new(),
            tasks: JoinSet::new(),
            inbox,
            events,
            chosen: None,
        };
        puncher.carry_out();
        tokio::task::yield_now().await;
        puncher
    }

    /// Whether the peer may connect from that IP address.
    pub fn expects(&self, from: IpAddr) -> bool {
        self.from.contains(&from)
    }

    /// Connections tried so far.
    pub fn tries(&self) -> u32 {
        self.agent.tries()
    }

    /// Waits for the end: a connection, or what was observed where there is none. A
    /// call that is dropped loses nothing.
    ///
    /// # Errors
    /// When the chosen connection breaks at once.
    pub async fn ended(&mut self) -> io::Result<Result<Punched, Observed>> {
        loop {
            self.carry_out();
            match self.agent.poll_event() {
                Some(Event::Connected(path)) => self.chosen = Some(path),
                Some(Event::Failed(observed)) => return Ok(Err(observed)),
                None => {}
            }
            if let Some(path) = self.chosen {
                return self.take(path).await.map(Ok);
            }
            let timeout = async {
                match self.agent.poll_timeout() {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(event) = self.inbox.recv() => self.handle_link(event),
                () = timeout => self.agent.handle_timeout(Instant::now()),
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    fn carry_out(&mut self) {
        while let Some(command) = self.agent.poll_command() {
            match command {
                Command::Connect { link, to } => {
                    tracing::debug!(?link, %to, "connecting by TCP");
                    let task = connect(link, (self.local, to), self.events.clone());
                    let task = self.tasks.spawn(task);
                    self.links.insert(link, Link { stream: None, task });
                }
                Command::Send { link, bytes } => {
                    let stream = self.links.get(&link).and_then(|link| link.stream.as_ref());
                    // If it breaks, its reader reports that.
                    let _ = stream.map(|stream| send(stream, &bytes));
                }
                Command::Close { link } => {
                    if let Some(link) = self.links.remove(&link) {
                        link.task.abort();
                    }
                }
            }
        }
    }

    /// A connection was accepted.
    pub fn accepted(&mut self, stream: TcpStream, from: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let link = self.agent.handle_accepted(Instant::now(), from);
        tracing::debug!(?link, %from, "connection accepted");
        if let Some(id) = link {
            let stream = Arc::new(stream);
            let task = read(id, Arc::clone(&stream), self.events.clone());
            let task = self.tasks.spawn(task);
            let stream = Some(stream);
            self.links.insert(id, Link { stream, task });
        }
    }

    fn handle_link(&mut self, event: LinkEvent) {
        let now = Instant::now();
        match event {
            LinkEvent::Open(id, stream) => {
                if let Some(link) = self.links.get_mut(&id) {
                    link.stream = Some(stream);
                    self.agent.handle_open(now, id);
                }
            }
            LinkEvent::Failed(link, failure) => {
                self.links.remove(&link);
                self.agent.handle_failed(now, link, failure);
            }
            LinkEvent::Bytes(id, bytes) => self.agent.handle_bytes(now, id, &bytes),
            LinkEvent::Closed(id) => {
                self.links.remove(&id);
                self.agent.handle_closed(now, id);
            }
        }
    }

    /// The connection, once its reader has ended: what that has read is handed over with it.
    async fn take(&mut self, path: Path) -> io::Result<Punched> {
        let lost = || io::Error::from(ErrorKind::ConnectionAborted);
        let link = self.links.get(&path.link).ok_or_else(lost)?;
        link.task.abort();
        while !link.task.is_finished() {
            self.tasks.join_next().await;
        }
        let stream = self.links.remove(&path.link).and_then(|link| link.stream);
        let stream = stream.ok_or_else(lost)?;
        let mut rest = self.agent.take_rest();
        while let Ok(event) = self.inbox.try_recv() {
            match event {
                LinkEvent::Bytes(id, bytes) if id == path.link => rest.extend(bytes),
                // A peer may close as soon as both have agreed: who reads the stream sees its end.
                _ => {}
            }
        }
        Ok(Punched {
            path,
            local: stream.local_addr()?,
            stream,
            rest,
        })
    }
}

async fn connect(
    link: LinkId,
    (local, to): (SocketAddr, SocketAddr),
    events: mpsc::Sender<LinkEvent>,
) {
    let connected = match socket(local) {
        Ok(socket) => socket.connect(to).await,
        Err(error) => Err(error),
    };
    match connected {
        Ok(stream) => {
            let stream = Arc::new(stream);
            let _ = events
                .send(LinkEvent::Open(link, Arc::clone(&stream)))
                .await;
            read(link, stream, events).await;
        }
        Err(error) => {
            tracing::debug!(?link, %to, %error, "connection failed");
            let failure = match error.kind() {
                ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Failure::Reset,
                _ => Failure::Other,
            };
            let _ = events.send(LinkEvent::Failed(link, failure)).await;
        }
    }
}

/// When this is aborted, what was read is in the inbox: between the two nothing is waited for.
async fn read(link: LinkId, stream: Arc<TcpStream>, events: mpsc::Sender<LinkEvent>) {
    while let Ok(place) = events.reserve().await {
        match receive(&stream).await {
            Ok(bytes) => place.send(LinkEvent::Bytes(link, bytes)),
            Err(_) => return place.send(LinkEvent::Closed(link)),
        }
    }
}
