//! Where peers reach us by TCP, and attempts, one with each peer: in a task of its own, which
//! nobody waits for.

use std::future::{pending, poll_fn};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use peer_proto::candidate::Tcp;
use peer_proto::cause::Cause;
use peer_proto::endpoint;
use peer_proto::tcp::Observed;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{Mapping, Port, Punched, Puncher};

/// Attempts at once, at most.
const MOST_ATTEMPTS: usize = 16;

/// How long to wait where connections cannot be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Peers reach us elsewhere from now on.
    Moved(Tcp),
    /// An attempt has ended.
    Ended(Ended),
}

/// An attempt that has ended.
#[derive(Debug)]
pub struct Ended {
    /// With whom.
    pub peer: String,
    /// Connections that were tried.
    pub tries: u32,
    /// An error: the connection broke right after it was made.
    pub outcome: io::Result<Outcome>,
}

/// What an attempt has come to.
#[derive(Debug)]
pub enum Outcome {
    /// Both sides have agreed on this connection.
    Connected(Punched),
    /// There is none.
    Failed(Cause),
}

/// A port of ours, its mapping, and the attempts from it.
#[derive(Debug)]
pub struct ByTcp {
    candidates: Tcp,
    attempts: mpsc::Sender<Start>,
    events: mpsc::Receiver<Event>,
    /// It ends when this is dropped.
    _task: JoinSet<()>,
}

/// An attempt that is to begin, and who is told that its first SYNs have left.
#[derive(Debug)]
struct Start {
    attempt: endpoint::ByTcp,
    begun: oneshot::Sender<io::Result<()>>,
}

impl ByTcp {
    /// Asks the server for the reflexive address of the port, and keeps it.
    ///
    /// # Errors
    /// When the server does not answer by TCP.
    pub async fn prepare(port: Port, server: SocketAddr) -> io::Result<ByTcp> {
        let mapping = Mapping::ask(&port, server).await?;
        let candidates = mapping.candidates(&port);
        let (attempts, starts) = mpsc::channel(1);
        let (told, events) = mpsc::channel(1);
        let work = Work {
            port,
            server,
            mapping,
            asking: JoinSet::new(),
            listener: None,
            attempts: Vec::new(),
        };
        let mut task = JoinSet::new();
        task.spawn(work.run(starts, told));
        Ok(ByTcp {
            candidates,
            attempts,
            events,
            _task: task,
        })
    }

    /// Our candidates, for a peer.
    pub fn candidates(&self) -> &Tcp {
        &self.candidates
    }

    /// Begins after the introduction, in place of an attempt with the same peer. When this
    /// returns, the first SYNs have left.
    ///
    /// # Errors
    /// When the port cannot be listened on, or too many attempts are under way.
    pub async fn start(&self, attempt: endpoint::ByTcp) -> io::Result<()> {
        let ended = || io::Error::from(ErrorKind::BrokenPipe);
        let (begun, begins) = oneshot::channel();
        let sent = self.attempts.send(Start { attempt, begun }).await;
        sent.map_err(|_| ended())?;
        begins.await.map_err(|_| ended())?
    }

    /// What happens next. A call that is dropped loses nothing.
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => {
                if let Event::Moved(candidates) = &event {
                    self.candidates = candidates.clone();
                }
                event
            }
            None => pending().await,
        }
    }
}

/// What the task has.
struct Work {
    port: Port,
    server: SocketAddr,
    mapping: Mapping,
    /// A server that has restarted, or sees us elsewhere, is asked again.
    asking: JoinSet<io::Result<Mapping>>,
    /// It listens as long as there is an attempt.
    listener: Option<TcpListener>,
    /// One with each peer.
    attempts: Vec<Attempt>,
}

struct Attempt {
    attempt: endpoint::ByTcp,
    puncher: Puncher,
}

impl Work {
    async fn run(mut self, mut starts: mpsc::Receiver<Start>, events: mpsc::Sender<Event>) {
        // Who starts an attempt is not made to take what is told first.
        let mut told: Option<Event> = None;
        loop {
            let is_idle = told.is_none() && self.attempts.is_empty();
            let asks = is_idle && self.asking.is_empty();
            tokio::select! {
                place = events.reserve(), if told.is_some() => match (place, told.take()) {
                    (Ok(place), Some(event)) => place.send(event),
                    _ => return,
                },
                start = starts.recv() => match start {
                    Some(start) => {
                        let begun = self.begin(start.attempt).await;
                        let _ = start.begun.send(begun);
                    }
                    None => return,
                },
                (index, outcome) = ended(&mut self.attempts), if told.is_none() => {
                    told = Some(self.ended(index, outcome));
                }
                (stream, from) = accepted(self.listener.as_ref()) => self.accepted(stream, from),
                () = self.mapping.kept(), if asks => {
                    let (local, server) = (self.port.local, self.server);
                    self.asking.spawn(Mapping::ask_from(local, server));
                }
                Some(asked) = self.asking.join_next(), if told.is_none() => {
                    if let Ok(Ok(mapping)) = asked {
                        self.mapping = mapping;
                        told = Some(Event::Moved(self.mapping.candidates(&self.port)));
                    }
                }
            }
        }
    }

    async fn begin(&mut self, attempt: endpoint::ByTcp) -> io::Result<()> {
        // The connections of an earlier attempt have the same 5-tuple.
        let others = |other: &Attempt| other.attempt.peer != attempt.peer;
        self.attempts.retain(others);
        if self.attempts.len() >= MOST_ATTEMPTS {
            return Err(io::Error::other("too many attempts by TCP are under way"));
        }
        if self.listener.is_none() {
            self.listener = Some(self.port.listen()?);
        }
        let puncher = Puncher::start(self.port.local, attempt.config()).await;
        self.attempts.push(Attempt { attempt, puncher });
        Ok(())
    }

    /// A connection belongs to the attempt with the peer at its address, else to the first: from
    /// a NAT with several addresses it may come from another one than was told.
    fn accepted(&mut self, stream: TcpStream, from: SocketAddr) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let expects = |it: &Attempt| it.puncher.expects(from.ip());
        let index = self.attempts.iter().position(expects).unwrap_or(0);
        if let Some(attempt) = self.attempts.get_mut(index) {
            attempt.puncher.accepted(stream, from);
        }
    }

    fn ended(&mut self, index: usize, outcome: io::Result<Result<Punched, Observed>>) -> Event {
        let Attempt { attempt, puncher } = self.attempts.remove(index);
        if self.attempts.is_empty() {
            self.listener = None;
        }
        let outcome = outcome.map(|ended| match ended {
            Ok(punched) => Outcome::Connected(punched),
            Err(observed) => Outcome::Failed(attempt.cause(&observed)),
        });
        Event::Ended(Ended {
            tries: puncher.tries(),
            outcome,
            peer: attempt.peer,
        })
    }
}

/// The next connection that is accepted.
async fn accepted(listener: Option<&TcpListener>) -> (TcpStream, SocketAddr) {
    let Some(listener) = listener else {
        return pending().await;
    };
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // No file for it, for example: it would fail at once again.
            Err(error) => tracing::debug!(%error, "no connection is accepted"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The next attempt that ends: its place in the list. A call that is dropped loses nothing.
async fn ended(attempts: &mut [Attempt]) -> (usize, io::Result<Result<Punched, Observed>>) {
    let all = attempts.iter_mut().map(|it| Box::pin(it.puncher.ended()));
    let mut all = Vec::from_iter(all);
    poll_fn(|cx| {
        for (index, one) in all.iter_mut().enumerate() {
            if let Poll::Ready(outcome) = one.as_mut().poll(cx) {
                return Poll::Ready((index, outcome));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use nat::plan::Role;
    use peer_proto::tcp::Config;
    use session::seal::Keys;

    use super::super::{receive, send};
    use super::*;

    /// A server that tells each connection its address.
    async fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, from)) = listener.accept().await {
                let request = receive(&stream).await.unwrap();
                let request = stun::Message::parse(&request).unwrap();
                let answer = stun::Builder::success(&request).xor_mapped(from).finish();
                send(&stream, &answer).unwrap();
                kept.push(stream);
            }
        });
        address
    }

    async fn host(ip: [u8; 4], server: SocketAddr) -> ByTcp {
        let port = Port::bind((ip, 0).into()).unwrap();
        ByTcp::prepare(port, server).await.unwrap()
    }

    /// An attempt of `ours` with `peer`; `pair` is theirs alone.
    fn attempt(pair: u8, role: Role, ours: &ByTcp, peer: &ByTcp) -> endpoint::ByTcp {
        let [caller, callee] = [1, 2].map(|side| stun::integrity_key(&[2 * pair + side; 32]));
        let (outgoing, incoming) = match role {
            Role::Caller => (caller, callee),
            Role::Callee => (callee, caller),
        };
        let [ours, theirs] = [ours, peer].map(|host| host.candidates().clone());
        let config = Config {
            role,
            keys: Keys {
                attempt: [pair; 8],
                outgoing,
                incoming,
            },
            targets: theirs.mapped.clone(),
            lan_likely: false,
            deadline: Instant::now() + Duration::from_secs(20),
            seed: [pair; 32],
        };
        endpoint::ByTcp::new(&pair.to_string(), config, ours, theirs)
    }

    #[tokio::test]
    async fn attempts_with_several_peers_go_on_beside_each_other() {
        let server = server().await;
        let mut us = host([127, 0, 0, 1], server).await;
        let peers = [
            host([127, 0, 0, 2], server).await,
            host([127, 0, 0, 3], server).await,
        ];
        for (pair, peer) in (1..).zip(&peers) {
            us.start(attempt(pair, Role::Caller, &us, peer))
                .await
                .unwrap();
        }
        for (pair, peer) in (1..).zip(&peers) {
            peer.start(attempt(pair, Role::Callee, peer, &us))
                .await
                .unwrap();
        }
        let mut ended = Vec::new();
        for _ in &peers {
            let event = tokio::time::timeout(Duration::from_secs(60), us.next()).await;
            if let Ok(Event::Ended(it)) = event
                && let Ok(Outcome::Connected(_)) = it.outcome
            {
                ended.push(it.peer);
            }
        }
        ended.sort();
        assert_eq!(ended, ["1", "2"]);
    }
}
