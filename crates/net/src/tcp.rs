//! Connections from one local port, for [`peer_proto::tcp::Agent`]: that port
//! connects and listens at the same time.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peer_proto::candidate::Tcp;
use peer_proto::tcp::{Agent, Command, Config, Event, Failure, LinkId, Path};
use stun::{Frames, Message};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// How often the server is asked again, which keeps the mapping.
const KEEP: Duration = Duration::from_secs(15);

/// How long the server has to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// How long a connection to the server may take to be made and answered, and then another. The
/// system repeats a lost SYN after a second, and what comes behind it after three (RFC 6298 §5.7).
const TRIES: [Duration; 2] = [Duration::from_secs(2), ANSWER];

/// SYNs that wait to be accepted.
const BACKLOG: u32 = 16;

/// Pieces of news that wait; whoever sends more has to wait, too.
const INBOX: usize = 64;

/// A local port, bound so that several sockets may share it.
#[derive(Debug)]
pub struct Port {
    /// Keeps the port; listens from the first attempt on.
    socket: Option<TcpSocket>,
    local: SocketAddr,
}

impl Port {
    /// Takes that port; 0 is any.
    ///
    /// # Errors
    /// What `bind(2)` says.
    pub fn bind(local: SocketAddr) -> io::Result<Port> {
        let socket = socket(local)?;
        let local = socket.local_addr()?;
        Ok(Port {
            socket: Some(socket),
            local,
        })
    }

    /// The port.
    pub fn number(&self) -> u16 {
        self.local.port()
    }

    fn listen(&mut self) -> io::Result<TcpListener> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => socket(self.local)?,
        };
        socket.listen(BACKLOG)
    }
}

/// What is said by these sockets is short, and waited for: nothing delays it.
fn socket(local: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match local {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.set_nodelay(true)?;
    socket.bind(local)?;
    Ok(socket)
}

/// A port's connections to the servers: what they see it as, and so that it stays so.
#[derive(Debug)]
pub struct Mapping {
    servers: Vec<TcpStream>,
    mapped: Vec<SocketAddr>,
    /// When they are to be asked again.
    due: Instant,
}

impl Mapping {
    /// Asks the server, and its other address if it tells one. The other may be
    /// silent: then it is not known whether the mapping depends on the destination.
    ///
    /// # Errors
    /// When the server does not answer Binding by TCP.
    pub async fn ask(port: &Port, server: SocketAddr) -> io::Result<Mapping> {
        let (stream, mapped, other) = ask(port.local, server).await?;
        let mut mapping = Mapping {
            servers: vec![stream],
            mapped: vec![mapped],
            due: Instant::now() + KEEP,
        };
        if let Some(other) = other
            && let Ok((stream, mapped, _)) = ask(port.local, other).await
        {
            mapping.servers.push(stream);
            mapping.mapped.push(mapped);
        }
        Ok(mapping)
    }

    /// What a peer is to be told.
    pub fn told(&self, port: &Port) -> Tcp {
        Tcp {
            port: port.number(),
            mapped: self.mapped.clone(),
        }
    }

    /// Keeps the mapping, until the server is lost or sees us elsewhere: then it
    /// is time to ask anew, and again 15 s later. It may be dropped while it waits.
    pub async fn kept(&mut self) {
        loop {
            tokio::time::sleep_until(self.due.into()).await;
            self.due = Instant::now() + KEEP;
            for (stream, mapped) in self.servers.iter().zip(&self.mapped) {
                match binding(stream).await {
                    Ok((now, _)) if now == *mapped => {}
                    _ => {
                        // Another connection cannot have the same two ends.
                        self.servers.clear();
                        break;
                    }
                }
            }
            if self.servers.is_empty() {
                return;
            }
        }
    }
}

/// Asks by a connection of its own from `local`; once more where nothing comes back.
async fn ask(local: SocketAddr, server: SocketAddr) -> io::Result<Asked> {
    let mut asked = Err(no_answer());
    for patience in TRIES {
        asked = tokio::time::timeout(patience, try_to_ask(local, server))
            .await
            .unwrap_or_else(|_| Err(no_answer()));
        if !matches!(&asked, Err(error) if error.kind() == ErrorKind::TimedOut) {
            break;
        }
    }
    asked
}

/// A connection, where the server sees it, and the server's other address.
type Asked = (TcpStream, SocketAddr, Option<SocketAddr>);

async fn try_to_ask(local: SocketAddr, server: SocketAddr) -> io::Result<Asked> {
    let socket = socket(local)?;
    // Closed with a reset, it leaves its two ends to the next at once.
    socket.set_zero_linger()?;
    let stream = socket.connect(server).await?;
    let (mapped, other) = binding(&stream).await?;
    Ok((stream, mapped, other))
}

fn no_answer() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "no answer to Binding")
}

/// Where the server sees us, and its other address.
async fn binding(stream: &TcpStream) -> io::Result<(SocketAddr, Option<SocketAddr>)> {
    let mut transaction = [0; 12];
    getrandom::fill(&mut transaction).map_err(io::Error::other)?;
    let request = stun::binding_request(transaction, None);
    let exchange = async {
        send(stream, &request)?;
        let mut frames = Frames::default();
        loop {
            frames.push(&receive(stream).await?);
            if let Some(bytes) = frames.next().map_err(io::Error::other)? {
                return Ok::<_, io::Error>(bytes);
            }
        }
    };
    let bytes = tokio::time::timeout(ANSWER, exchange)
        .await
        .map_err(|_| no_answer())??;
    let message = Message::parse(&bytes).map_err(io::Error::other)?;
    let ours = message.transaction() == transaction;
    let mapped = message.mapped().filter(|_| ours);
    let mapped = mapped.ok_or_else(|| io::Error::other("an answer that is none to Binding"))?;
    Ok((mapped, message.other_address()))
}

/// All of it, or it is an error: what is sent here fits any send buffer.
fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    match stream.try_write(bytes)? {
        sent if sent == bytes.len() => Ok(()),
        _ => Err(ErrorKind::WriteZero.into()),
    }
}

/// What has arrived; an error at the end, too.
async fn receive(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut buffer = [0; stun::MAX_DATAGRAM];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => return Ok(buffer[..length].to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// What became of a connection.
enum News {
    Open(LinkId, Arc<TcpStream>),
    Failed(LinkId, Failure),
    Bytes(LinkId, Vec<u8>),
    Closed(LinkId),
}

/// An attempt under way.
pub struct Puncher {
    agent: Agent,
    local: SocketAddr,
    listener: TcpListener,
    links: HashMap<LinkId, Link>,
    tasks: JoinSet<()>,
    inbox: mpsc::Receiver<News>,
    tell: mpsc::Sender<News>,
}

struct Link {
    stream: Option<Arc<TcpStream>>,
    task: AbortHandle,
}

/// A connection that both sides have chosen.
#[derive(Debug)]
pub struct Punched {
    /// What the agent says of it.
    pub path: Path,
    /// Our end.
    pub local: SocketAddr,
    /// It; it closes with the last that holds it.
    pub stream: Arc<TcpStream>,
}

impl Puncher {
    /// Listens on the port and begins to connect: the first SYNs have left when
    /// this returns.
    ///
    /// # Errors
    /// What `listen(2)` says.
    pub async fn start(port: &mut Port, config: Config) -> io::Result<Puncher> {
        let (tell, inbox) = mpsc::channel(INBOX);
        let mut puncher = Puncher {
            local: port.local,
            listener: port.listen()?,
            agent: Agent::new(config, Instant::now()),
            links: HashMap::new(),
            tasks: JoinSet::new(),
            inbox,
            tell,
        };
        puncher.obey();
        tokio::task::yield_now().await;
        Ok(puncher)
    }

    /// Connections tried so far.
    pub fn tries(&self) -> u32 {
        self.agent.tries()
    }

    /// How it ends: with a connection, or what was seen instead. It may be
    /// dropped while it waits, and asked again.
    ///
    /// # Errors
    /// When the chosen connection breaks at once.
    pub async fn ended(&mut self) -> io::Result<Result<Punched, peer_proto::tcp::Observed>> {
        loop {
            self.obey();
            match self.agent.poll_event() {
                Some(Event::Connected(path)) => return self.take(path).map(Ok),
                Some(Event::Failed(observed)) => return Ok(Err(observed)),
                None => {}
            }
            let timeout = async {
                match self.agent.poll_timeout() {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(news) = self.inbox.recv() => self.hear(news),
                accepted = self.listener.accept() => if let Ok((stream, from)) = accepted {
                    self.accepted(stream, from);
                },
                () = timeout => self.agent.handle_timeout(Instant::now()),
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    fn obey(&mut self) {
        while let Some(command) = self.agent.poll_command() {
            match command {
                Command::Connect { link, to } => {
                    let task = connect(link, (self.local, to), self.tell.clone());
                    let task = self.tasks.spawn(task);
                    self.links.insert(link, Link { stream: None, task });
                }
                Command::Send { link, bytes } => {
                    let stream = self.links.get(&link).and_then(|link| link.stream.as_ref());
                    // One that breaks says so to its reader.
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

    fn accepted(&mut self, stream: TcpStream, from: SocketAddr) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let _ = stream.set_nodelay(true);
        if let Some(id) = self.agent.handle_accepted(Instant::now(), from) {
            let stream = Arc::new(stream);
            let task = read(id, Arc::clone(&stream), self.tell.clone());
            let task = self.tasks.spawn(task);
            let stream = Some(stream);
            self.links.insert(id, Link { stream, task });
        }
    }

    fn hear(&mut self, news: News) {
        let now = Instant::now();
        match news {
            News::Open(id, stream) => {
                if let Some(link) = self.links.get_mut(&id) {
                    link.stream = Some(stream);
                    self.agent.handle_open(now, id);
                }
            }
            News::Failed(id, failure) => {
                self.links.remove(&id);
                self.agent.handle_failed(now, id, failure);
            }
            News::Bytes(id, bytes) => self.agent.handle_bytes(now, id, &bytes),
            News::Closed(id) => {
                self.links.remove(&id);
                self.agent.handle_closed(now, id);
            }
        }
    }

    /// The connection, without those that read from it.
    fn take(&mut self, path: Path) -> io::Result<Punched> {
        let link = self.links.remove(&path.link);
        let stream = link.and_then(|link| {
            link.task.abort();
            link.stream
        });
        let lost = || io::Error::from(ErrorKind::ConnectionAborted);
        let stream = stream.ok_or_else(lost)?;
        Ok(Punched {
            path,
            local: stream.local_addr()?,
            stream,
        })
    }
}

async fn connect(link: LinkId, (local, to): (SocketAddr, SocketAddr), tell: mpsc::Sender<News>) {
    let connected = match socket(local) {
        Ok(socket) => socket.connect(to).await,
        Err(error) => Err(error),
    };
    match connected {
        Ok(stream) => {
            let stream = Arc::new(stream);
            let _ = tell.send(News::Open(link, Arc::clone(&stream))).await;
            read(link, stream, tell).await;
        }
        Err(error) => {
            let failure = match error.kind() {
                ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Failure::Reset,
                _ => Failure::Other,
            };
            let _ = tell.send(News::Failed(link, failure)).await;
        }
    }
}

async fn read(link: LinkId, stream: Arc<TcpStream>, tell: mpsc::Sender<News>) {
    while let Ok(bytes) = receive(&stream).await {
        let _ = tell.send(News::Bytes(link, bytes)).await;
    }
    let _ = tell.send(News::Closed(link)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_stays_silent_is_followed_by_another() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let answers = tokio::spawn(async move {
            let _silent = listener.accept().await.unwrap();
            let (stream, from) = listener.accept().await.unwrap();
            let request = receive(&stream).await.unwrap();
            let request = Message::parse(&request).unwrap();
            let answer = stun::Builder::success(&request).xor_mapped(from).finish();
            send(&stream, &answer).unwrap();
            from
        });
        let local = "127.0.0.1:0".parse().unwrap();
        let (_stream, mapped, _) = ask(local, server).await.unwrap();
        assert_eq!(mapped, answers.await.unwrap());
    }
}
